"""postprocess: completions become predictions, by the benchmark's extractors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pyarrow as pa

from assay.extract import run_chain
from assay.keys import key
from assay.reading import Reading, readings
from assay.reasoning import apart
from assay.registry import name_of, version_of
from assay.samples import loads
from assay.solve import solver
from tasks.context import Run, open_run
from tasks.progress import advance
from tasks.replies import Item, fingerprint, replies
from tasks.steps import each, step


@step("postprocess")
def postprocess_task(ledger: str, run_id: str, benchmarks: list[str], model: str) -> list[str]:
    """Predictions of some benchmarks by one model, in the ledger; the benchmarks."""
    run = open_run(ledger, run_id)
    return each(run, "postprocess", benchmarks, lambda name: postprocess(run, name, model), model)


def postprocess(run: Run, name: str, model: str) -> None:
    """Have the predictions of a model on a benchmark in the ledger."""
    benchmark = run.benchmarks[name]
    read = readings(benchmark)
    prompted = run.prompted(name, model)
    print_ = fingerprint(run, prompted, model)
    how = [version_of(run_chain), version_of(apart), [(r.filter, r.identity) for r in read], benchmark.solver]
    how.append(version_of(solver[name_of(benchmark.solver)[0]]))
    step_key = key("postprocess", prompted, model, print_, how)
    with run.step("postprocess", name, step_key, "predictions", model) as record:
        if not record.fresh:
            advance("score", record.rows)
            return
        for chunk in filter(None, replies(run, benchmark, model, prompted)):
            rows = [row for item in chunk for row in predictions(item, read)]
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


def predictions(item: Item, read: list[Reading]) -> Iterator[tuple[Any, ...]]:
    """What the filters read in a reply: a row each, in the order of the table's columns."""
    ordinal, sample_key, replica, fields, reply = item
    sample = loads(fields)
    for reading in read:
        found = run_chain(reading.chain, reply, sample)
        value = None if found.value is None else orjson.dumps(found.value, option=orjson.OPT_SERIALIZE_NUMPY).decode()
        yield ordinal, sample_key, replica, reading.filter, value, found.method, found.status
