"""What was answered, as columns: the replies to a benchmark's samples, as extractors read them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from assay.chunks import CHUNK
from assay.keys import key
from assay.spec import Benchmark, Choice
from assay.types import Reply
from storage.arrow import columns
from tasks.context import Run
from tasks.transcripts import final_replies, reply_of

Item = tuple[int, str, int, str, Reply]
"""ordinal, sample key, replica, the sample's fields, what was answered."""


def fingerprint(run: Run, prompted: list[str], model: str) -> str:
    """What changes when a completion of these requests comes or is replaced."""
    with run.ledger.read() as con:
        row = con.execute(
            "SELECT count(*), bit_xor(hash(c.completion_key, c.created)) FROM"
            " (SELECT DISTINCT"
            "   completion_key_of(request_key, coalesce(asked_of, ?), sampling_key, replica) AS completion_key"
            "  FROM asked WHERE list_contains(?, prompted)) k JOIN completions c USING (completion_key)",
            [model, prompted],
        ).fetchone()
    return key(*row) if row else ""


def replies(run: Run, benchmark: Benchmark, model: str, prompted: list[str]) -> Iterator[list[Item]]:
    """What a model answered to a benchmark's samples, in chunks; a sample that has a failure is not among them."""
    if benchmark.solver != "direct":
        yield from final_replies(run, benchmark, model, prompted)
        return
    merged = any(isinstance(choice, Choice) and choice.context is not None for choice in benchmark.choices)
    prepared, last = run.key_of("prepare", benchmark.id), _last(run, prompted[0])
    for start in range(0, last + 1, CHUNK):
        values = {"model": model, "prompted": prompted[0], "prepared": prepared, "start": start, "end": start + CHUNK}
        with run.ledger.read() as con:
            found = columns(con.sql(MERGED if merged else REPLIES, params=values).to_arrow_table())
        yield list(items(found, len(benchmark.prompt.delimiter)))


def _last(run: Run, prompted: str) -> int:
    with run.ledger.read() as con:
        [(last,)] = con.execute("SELECT max(ordinal) FROM asked WHERE prompted = ?", [prompted]).fetchall()
    return -1 if last is None else int(last)


def items(found: dict[str, list[Any]], delimiter: int) -> Iterator[Item]:
    """The rows of a query as they are read: the choices without the delimiter in front of them."""
    place, reply = list(zip(*[found[name] for name in PLACE], strict=True)), [found[name] for name in REPLY]
    for where, row in zip(place, zip(*reply, strict=True), strict=True):
        texts = row[-2]
        yield (*where, reply_of([*row[:-2], [text[delimiter:] for text in texts] if texts else (), row[-1]]))


PLACE = ("ordinal", "sample_key", "replica", "fields")
REPLY = (
    "text", "sums", "tokens", "greedy", "prompt_sums", "prompt_lengths", "token_logprobs", "continuations", "finish",
)  # fmt: skip
JOINS = """
FROM asked a
JOIN requests r USING (request_key)
{join} JOIN completions c ON c.completion_key = completion_key_of(a.request_key, $model, a.sampling_key, a.replica)
JOIN samples s ON s.prepared = $prepared AND s.ordinal = a.ordinal
WHERE a.prompted = $prompted AND a.ordinal >= $start AND a.ordinal < $end
"""
REPLIES = f"""
SELECT a.ordinal, a.sample_key, a.replica, s.fields, c.text, c.sums, c.tokens, c.greedy, c.prompt_sums,
       c.prompt_lengths, c.token_logprobs, r.continuations, c.finish
{JOINS.format(join="")}
ORDER BY a.ordinal, a.replica
"""
MERGED = f"""
SELECT a.ordinal, any_value(a.sample_key) AS sample_key, a.replica, any_value(s.fields) AS fields,
       first(c.text) AS text, first(c.finish) AS finish,
       {
    ", ".join(
        f"flatten(list({name} ORDER BY a.choice)) AS {name.split('.')[1]}"
        for name in (
            "c.sums",
            "c.tokens",
            "c.greedy",
            "c.prompt_sums",
            "c.prompt_lengths",
            "c.token_logprobs",
            "r.continuations",
        )
    )
}
{JOINS.format(join="LEFT")}
GROUP BY a.ordinal, a.replica
HAVING count(*) = count(c.completion_key)
ORDER BY a.ordinal, a.replica
"""
"""Where choices have contexts of their own there is a request for each; their replies are one, whole or not at all."""
