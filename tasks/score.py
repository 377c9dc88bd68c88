"""score: predictions are held against what is right."""

from __future__ import annotations

from typing import Any

import orjson
import pyarrow as pa
from prefect import task
from prefect.cache_policies import NO_CACHE

from assay.chunks import CHUNK
from assay.errors import AssayError, SpecError
from assay.keys import key
from assay.reading import Scoring, scorings
from assay.registry import version_of
from assay.samples import loads
from assay.types import Scored
from tasks.context import Run, open_run
from tasks.progress import advance
from tasks.steps import each

SCORES = pa.schema(
    {
        "ordinal": pa.int64(), "sample_key": pa.string(), "replica": pa.int32(), "filter": pa.string(),
        "scorer": pa.string(), "value": pa.float64(), "weight": pa.float64(), "detail": pa.string(),
    }
)  # fmt: skip


@task(name="score", cache_policy=NO_CACHE)
def score_task(ledger: str, run_id: str, benchmarks: list[str], model: str) -> None:
    """Scores of some benchmarks by one model, in the ledger."""
    run = open_run(ledger, run_id)
    each(run, "score", benchmarks, lambda name: score(run, name, model), model)


def score(run: Run, name: str, model: str) -> None:
    """Have the scores of a model on a benchmark in the ledger. Raises SpecError where a scorer fails on a sample."""
    benchmark = run.benchmarks[name]
    predicted = run.key_of("postprocess", name, model)
    by_filter: dict[str, dict[str, Scoring]] = {}
    for one in scorings(benchmark):
        by_filter.setdefault(one.filter, {})[one.scorer] = one
    versions = [(s.filter, s.scorer, version_of(s.function)) for s in scorings(benchmark)]
    step_key = key("score", predicted, versions)
    with run.step("score", name, step_key, "scores", model) as step:
        if not step.fresh:
            advance("score", step.rows)
            return
        start, samples = 0, run.key_of("prepare", name)
        while True:
            with run.ledger.read() as con:
                rows = con.execute(
                    "SELECT p.ordinal, p.sample_key, p.replica, p.filter, p.value, s.fields FROM predictions p"
                    " JOIN samples s ON s.prepared = ? AND s.ordinal = p.ordinal"
                    " WHERE p.predicted = ? AND p.ordinal >= ? AND p.ordinal < ? ORDER BY p.ordinal, p.replica",
                    [samples, predicted, start, start + CHUNK],
                ).fetchall()
                (more,) = con.execute("SELECT max(ordinal) FROM predictions WHERE predicted = ?", [predicted]).fetchall()[0]
            scored = [row for one in rows for row in _scores(name, one, by_filter)]
            if scored:
                table = pa.table(dict(zip(SCORES.names, zip(*scored, strict=True), strict=True)), schema=SCORES)
                with run.ledger.write() as con:
                    con.register("chunk", table)
                    con.execute(
                        "INSERT INTO scores (scored, ordinal, sample_key, replica, filter, scorer, value, weight, detail)"
                        " SELECT ?, ordinal, sample_key, replica, filter, scorer, value, weight, detail FROM chunk",
                        [step_key],
                    )
            step.rows += len(scored)
            advance("score", len(rows))
            start += CHUNK
            if more is None or start > more:
                return


def _scores(name: str, row: tuple[Any, ...], by_filter: dict[str, dict[str, Scoring]]) -> list[tuple[Any, ...]]:
    ordinal, sample_key, replica, filter_, value, fields = row
    sample = loads(fields)
    found = None if value is None else orjson.loads(value)
    result = []
    for one in by_filter.get(filter_, {}).values():
        scored = _score(name, one, found, sample)
        detail = None if scored.detail is None else orjson.dumps(scored.detail).decode()
        result.append((ordinal, sample_key, replica, filter_, one.scorer, scored.value, scored.weight, detail))
    return result


def _score(name: str, one: Scoring, found: Any, sample: dict[str, Any]) -> Scored:
    """One sample's score; an answer that could not be read scores 0 and is counted as such."""
    if found is None:
        return Scored(0.0)
    try:
        value = one.function(found, sample, **one.options)
    except AssayError:
        raise
    except Exception as error:  # noqa: BLE001  a scorer may be a user's: its name and the sample are told, the rest goes on
        raise SpecError(f"{name}: the scorer {one.scorer!r} failed on {found!r:.80}: {type(error).__name__}: {error}") from error
    return value if isinstance(value, Scored) else Scored(None if value is None else float(value))
