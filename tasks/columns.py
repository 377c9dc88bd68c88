"""Requests as columns on their way into the ledger: each header and each request goes in once."""

from __future__ import annotations

from typing import Any

import orjson
import pyarrow as pa

from assay.keys import canonical, digest, generator
from assay.prompt import Ask, Prompter, gold_index
from assay.spec import Benchmark
from assay.types import Kind, Sample, Sampling
from storage.ledger import Ledger
from tasks.examples import Shown


class Drawn:
    """How answers are drawn, as the ledger keeps it."""

    def __init__(self, sampling: Sampling) -> None:
        self.sampling, self.sampled, self.json = sampling, sampling.temperature != 0, sampling.model_dump_json()
        self.greedy: dict[Kind, str] = {}

    def key(self, kind: Kind, seed: int) -> str:
        """The sampling key of a request; it is the same for all that are not drawn at random."""
        if self.sampled and kind == "generate":
            return digest(canonical(self.sampling.identity(kind, seed)))
        if kind not in self.greedy:
            self.greedy[kind] = digest(canonical(self.sampling.identity(kind, 0)))
        return self.greedy[kind]


class Columns:
    """The requests of a chunk of samples, as columns."""

    def __init__(self, benchmark: Benchmark, prompter: Prompter, seed: int, sampling: Sampling, round: int = 0) -> None:
        self.benchmark, self.prompter, self.seed, self.sampling = benchmark, prompter, seed, sampling
        self.round = round
        self.drawn = Drawn(sampling)
        self.others: dict[Sampling, Drawn] = {}
        self.headers: dict[str, str] = {}
        self.requests: dict[str, Ask] = {}
        self.asked: list[tuple[Any, ...]] = []
        self.shown: list[tuple[Any, ...]] = []
        self.examples: dict[int, Sample] = {}

    def add(self, ordinal: int, sample_key: str, sample: Sample, shown: Shown) -> None:
        """A sample's requests of the first round, in every replica, and its demonstrations as they stand in them."""
        gold = self._gold(sample)
        for ask in self.prompter.asks(sample, shown.demos):
            right = gold if ask.choice < 0 else ([0] if ask.choice in gold else [])  # of its only continuation
            told = None if right is None else orjson.dumps(right).decode()
            for replica in range(self.sampling.replicas):
                self.add_ask(ordinal, sample_key, ask, replica, ask.turn, "subject", told, None, ask.sampling)
        if shown.wanted:
            self.shown.append((sample_key, shown.places, shown.scores, shown.wanted))
            self.examples.update(zip(shown.places, shown.demos, strict=True))

    def add_ask(
        self, ordinal: int, sample_key: str, ask: Ask, replica: int, turn: int, role: str, gold: str | None = None,
        asked_of: str | None = None, sampling: Sampling | None = None,
    ) -> None:  # fmt: skip
        """One request of a sample; of another model than the evaluated one where `asked_of` says which."""
        self.requests[ask.request_key] = ask
        if ask.header_key and ask.header:
            self.headers[ask.header_key] = ask.header
        drawn = self.drawn if sampling is None else self.others.setdefault(sampling, Drawn(sampling))
        seed = 0
        if drawn.sampled and ask.kind == "generate":
            later = [self.round] if self.round else []  # the same question may be put again: another draw
            seed = generator(self.seed, self.benchmark.name, sample_key, replica, turn, *later).getrandbits(31)
        self.asked.append(
            (ordinal, sample_key, ask.request_key, role, ask.choice, replica, turn, drawn.json,
             drawn.key(ask.kind, seed), seed, gold, asked_of)
        )  # fmt: skip

    def _gold(self, sample: Sample) -> Any:
        """What the test double `echo:oracle` answers: as a demonstration writes it; of choices, a list of places."""
        if sample.get("target") is None or self.benchmark.kind == "rolling":
            return None
        if self.benchmark.kind == "generate":
            return self.prompter.answer(sample)
        gold = gold_index(sample, [text for _, text in self.prompter.choices(sample)])
        return gold if isinstance(gold, list) else [gold]

    def insert(self, ledger: Ledger, step_key: str) -> None:
        """Put the chunk into the ledger in one transaction."""
        if not self.asked:
            return
        asks = [
            (a.request_key, a.kind, a.header_key, a.messages, a.continuations, list(a.needs))
            for a in self.requests.values()
        ]
        with ledger.write() as con:
            con.register("new_headers", _table(HEADERS, list(self.headers.items())))
            con.register("new_requests", _table(REQUESTS, asks))
            con.register("new_asked", _table(ASKED, self.asked))
            con.register("new_shown", _table(SHOWN, self.shown))
            examples = [(place, canonical(demo).decode()) for place, demo in self.examples.items()]
            con.register("new_examples", _table(EXAMPLES, examples))
            con.execute(
                "INSERT INTO headers FROM new_headers n WHERE NOT EXISTS (FROM headers h WHERE h.header_key = n.k)"
            )
            con.execute(
                "INSERT INTO requests SELECT request_key, kind, header_key, messages, continuations, needs"
                " FROM new_requests n WHERE NOT EXISTS (FROM requests r WHERE r.request_key = n.request_key)"
            )
            con.execute(
                "INSERT INTO asked (prompted, ordinal, sample_key, request_key, role, choice, replica, round, turn,"
                " sampling, sampling_key, seed, gold, asked_of) SELECT ?, ordinal, sample_key, request_key, role,"
                " choice, replica, ?, turn, sampling, sampling_key, seed, gold, asked_of FROM new_asked",
                [step_key, self.round],
            )
            con.execute(
                "INSERT INTO shown (prompted, sample_key, places, scores, wanted)"
                " SELECT ?, sample_key, places, scores, wanted FROM new_shown",
                [step_key],
            )
            con.execute(
                "INSERT INTO examples SELECT $key, place, demo FROM new_examples"
                " WHERE place NOT IN (SELECT place FROM examples WHERE prompted = $key)",
                {"key": step_key},
            )


def _table(schema: pa.Schema, rows: list[tuple[Any, ...]]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    return pa.table(
        [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)], schema=schema
    )


HEADERS = pa.schema({"k": pa.string(), "m": pa.string()})
REQUESTS = pa.schema(
    {
        "request_key": pa.string(), "kind": pa.string(), "header_key": pa.string(), "messages": pa.string(),
        "continuations": pa.list_(pa.string()), "needs": pa.list_(pa.string()),
    }
)  # fmt: skip
ASKED = pa.schema(
    {
        "ordinal": pa.int64(), "sample_key": pa.string(), "request_key": pa.string(), "role": pa.string(),
        "choice": pa.int32(), "replica": pa.int32(), "turn": pa.int32(), "sampling": pa.string(),
        "sampling_key": pa.string(), "seed": pa.int64(), "gold": pa.string(), "asked_of": pa.string(),
    }
)  # fmt: skip
SHOWN = pa.schema(
    {
        "sample_key": pa.string(), "places": pa.list_(pa.int32()), "scores": pa.list_(pa.float64()),
        "wanted": pa.int32(),
    }
)  # fmt: skip
EXAMPLES = pa.schema({"place": pa.int32(), "demo": pa.string()})
