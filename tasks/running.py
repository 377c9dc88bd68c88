"""Scores while a run goes on: what each worker's answers came to so far, for the Prefect UI. Not kept: the figures of a
run are made by its last steps, from all of its answers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from assay.errors import AssayError
from assay.reading import readings, scorings
from assay.samples import loads
from assay.spec import Choice
from storage.arrow import columns
from storage.exchange import Exchange
from storage.spool import shard_path
from tasks.context import Run
from tasks.infer import receipt_name
from tasks.postprocess import predictions
from tasks.replies import REPLY, items
from tasks.score import score_of

ANSWERS = f"""
SELECT k.worker, p.benchmark, a.ordinal, a.sample_key, a.replica, s.fields,
       {", ".join(f"{'r' if name == 'continuations' else 'c'}.{name}" for name in REPLY)}
FROM answered k
JOIN completions c ON c.completion_key = k.completion_key
JOIN asked a ON a.request_key = c.request_key AND a.sampling_key = c.sampling_key AND a.replica = c.replica
JOIN prompts p ON p.prompted = a.prompted
JOIN requests r ON r.request_key = a.request_key
JOIN samples s ON s.prepared = p.prepared AND s.ordinal = a.ordinal
"""
Means = dict[str, dict[str, tuple[float, int]]]
"""Worker -> benchmark -> (mean of its first scorer, answers)."""


class Running:
    """The running scores of one model's workers."""

    def __init__(self, run: Run, model: str) -> None:
        self.run, self.model = run, model
        self.sums: dict[str, dict[str, tuple[float, int]]] = {}

    @contextmanager
    def of(self, shards: Sequence[str]) -> Iterator[Means]:
        """Around the collecting of some shards: on leaving, the means of the workers that answered them, over all that
        they have answered so far. Only benchmarks of one request a sample have them."""
        place, means = Exchange(self.run.spool), Means()
        keys, workers = [], []
        for shard in shards:
            told = place.told(receipt_name(shard)) or {}
            new = pq.read_table(shard_path(self.run.spool, shard), columns=["completion_key"])["completion_key"]
            keys.append(new.combine_chunks())
            workers += [told.get("worker") or ""] * len(new)
        yield means
        answered = pa.table({"completion_key": pa.concat_arrays(keys), "worker": workers})
        for worker, benchmark, value in self._values(answered):
            mine = self.sums.setdefault(worker, {})
            total, count = mine.get(benchmark, (0.0, 0))
            mine[benchmark] = (total + value, count + 1)
        for worker in set(workers) & self.sums.keys() - {""}:
            means[worker] = {name: (total / count, count) for name, (total, count) in self.sums[worker].items()}

    def _values(self, answered: pa.Table) -> Iterator[tuple[str, str, float]]:
        run = self.run
        simple = [name for name in run.alive(run.benchmarks, self.model) if _simple(run, name)]
        asked = [(run.prompted(name, self.model)[0], run.key_of("prepare", name), name) for name in simple]
        if not asked:
            return
        prompts = pa.table(dict(zip(("prompted", "prepared", "benchmark"), zip(*asked, strict=True), strict=True)))
        with run.ledger.read() as con:
            con.register("answered", answered)
            con.register("prompts", prompts)
            found = columns(con.sql(ANSWERS).to_arrow_table())
        for place, benchmark in enumerate(found["benchmark"]):
            one = {name: values[place : place + 1] for name, values in found.items()}
            value = self._value(benchmark, one)
            if value is not None:
                yield found["worker"][place], benchmark, value

    def _value(self, name: str, row: dict[str, list[Any]]) -> float | None:
        """The first score of an answer; None where there is none, or where its scorer breaks down: the step tells."""
        benchmark = self.run.benchmarks[name]
        first = scorings(benchmark)[0]
        [item] = items(row, len(benchmark.prompt.delimiter))
        read = [reading for reading in readings(benchmark) if reading.filter == first.filter]
        try:
            [(_, _, _, _, value, _, _)] = predictions(item, read)
            return score_of(name, first, None if value is None else orjson.loads(value), loads(item[3])).value
        except AssayError:
            return None


def _simple(run: Run, name: str) -> bool:
    benchmark = run.benchmarks[name]
    several = any(isinstance(choice, Choice) and choice.context is not None for choice in benchmark.choices)
    return benchmark.solver == "direct" and not several
