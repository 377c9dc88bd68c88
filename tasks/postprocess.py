"""postprocess: completions become predictions, by the benchmark's extractors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pyarrow as pa

from assay.chunks import CHUNK
from assay.extract import run_chain
from assay.keys import key
from assay.reading import Reading, readings
from assay.samples import loads
from assay.spec import Benchmark
from assay.types import Reply
from tasks.context import Run, open_run
from tasks.progress import advance
from tasks.steps import each, step
from tasks.transcripts import final_replies, reply_of


@step("postprocess")
def postprocess_task(ledger: str, run_id: str, benchmarks: list[str], model: str) -> None:
    """Predictions of some benchmarks by one model, in the ledger."""
    run = open_run(ledger, run_id)
    each(run, "postprocess", benchmarks, lambda name: postprocess(run, name, model), model)


def postprocess(run: Run, name: str, model: str) -> None:
    """Have the predictions of a model on a benchmark in the ledger."""
    benchmark = run.benchmarks[name]
    read = readings(benchmark)
    prompted = run.prompted(name, model)
    print_ = fingerprint(run, prompted, model)
    step_key = key("postprocess", prompted, model, print_, [(r.filter, r.identity) for r in read], benchmark.solver)
    with run.step("postprocess", name, step_key, "predictions", model) as record:
        if not record.fresh:
            advance("score", record.rows)
            return
        for chunk in replies(run, benchmark, model, prompted):
            rows = [row for item in chunk for row in _predictions(item, read)]
            table = pa.table(dict(zip(PREDICTIONS.names, zip(*rows, strict=True), strict=True)), schema=PREDICTIONS)
            run.put("predictions", step_key, table)
            record.rows += len(chunk)
            advance("score", len(chunk))


PREDICTIONS = pa.schema(
    {
        "ordinal": pa.int64(), "sample_key": pa.string(), "replica": pa.int32(), "filter": pa.string(),
        "value": pa.string(), "method": pa.string(), "status": pa.string(),
    }
)  # fmt: skip

Item = tuple[int, str, int, str, Reply]
"""ordinal, sample key, replica, the sample's fields, what was answered."""


def _predictions(item: Item, read: list[Reading]) -> Iterator[tuple[Any, ...]]:
    ordinal, sample_key, replica, fields, reply = item
    sample = loads(fields)
    for reading in read:
        found = run_chain(reading.chain, reply, sample)
        value = None if found.value is None else orjson.dumps(found.value, option=orjson.OPT_SERIALIZE_NUMPY).decode()
        yield ordinal, sample_key, replica, reading.filter, value, found.method, found.status


def fingerprint(run: Run, prompted: list[str], model: str) -> str:
    """What changes when a completion of these requests comes or is replaced."""
    with run.ledger.read() as con:
        row = con.execute(
            "SELECT count(*), bit_xor(hash(c.completion_key, c.created)) FROM"
            " (SELECT DISTINCT completion_key_of(request_key, ?, sampling_key, replica) AS completion_key"
            "  FROM asked WHERE list_contains(?, prompted)) k JOIN completions c USING (completion_key)",
            [model, prompted],
        ).fetchone()
    return key(*row) if row else ""


def replies(run: Run, benchmark: Benchmark, model: str, prompted: list[str]) -> Iterator[list[Item]]:
    """What a model answered to a benchmark's samples, in chunks; a sample that has a failure is not among them."""
    if benchmark.solver != "direct":
        yield from final_replies(run, benchmark, model, prompted)
        return
    delimiter = len(benchmark.prompt.delimiter)
    start = 0
    while True:
        with run.ledger.read() as con:
            rows = con.execute(REPLIES, {"model": model, "prompted": prompted[0], "start": start, "end": start + CHUNK,
                                         "prepared": run.key_of("prepare", benchmark.id)}).fetchall()  # fmt: skip
            more = con.execute(
                "SELECT 1 FROM asked WHERE prompted = ? AND ordinal >= ? LIMIT 1", [prompted[0], start]
            ).fetchone()
        if rows:
            yield [(*row[:4], reply_of([*row[4:-2], [c[delimiter:] for c in row[-2] or ()], row[-1]])) for row in rows]
        if not more:
            return
        start += CHUNK


REPLIES = """
SELECT a.ordinal, any_value(a.sample_key), a.replica, any_value(s.fields),
       first(c.text), flatten(list(c.sums ORDER BY a.choice)), flatten(list(c.tokens ORDER BY a.choice)),
       flatten(list(c.greedy ORDER BY a.choice)), flatten(list(c.prompt_sums ORDER BY a.choice)),
       flatten(list(c.prompt_lengths ORDER BY a.choice)), flatten(list(c.token_logprobs ORDER BY a.choice)),
       flatten(list(r.continuations ORDER BY a.choice)), first(c.finish)
FROM asked a
JOIN requests r USING (request_key)
LEFT JOIN completions c ON c.completion_key = completion_key_of(a.request_key, $model, a.sampling_key, a.replica)
JOIN samples s ON s.prepared = $prepared AND s.ordinal = a.ordinal
WHERE a.prompted = $prompted AND a.ordinal >= $start AND a.ordinal < $end
GROUP BY a.ordinal, a.replica
HAVING count(*) = count(c.completion_key)
ORDER BY a.ordinal, a.replica
"""
