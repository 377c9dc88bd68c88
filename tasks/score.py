"""score: predictions are held against what is right."""

from __future__ import annotations

from typing import Any

import orjson
import pyarrow as pa

from assay.chunks import CHUNK
from assay.errors import AssayError, SpecError
from assay.execute import jobs_of
from assay.keys import key
from assay.programs import Ran
from assay.reading import Scoring, scorings
from assay.registry import version_of
from assay.samples import loads
from assay.types import Scored
from storage.executions import rans
from tasks.context import Run, open_run
from tasks.predictions import predictions
from tasks.progress import advance
from tasks.steps import each, step

SCORES = pa.schema(
    {
        "ordinal": pa.int64(), "sample_key": pa.string(), "replica": pa.int32(), "filter": pa.string(),
        "scorer": pa.string(), "value": pa.float64(), "weight": pa.float64(), "detail": pa.string(),
    }
)  # fmt: skip


@step("score")
def score_task(ledger: str, run_id: str, benchmarks: list[str], model: str) -> list[str]:
    """Scores of some benchmarks by one model, in the ledger; the benchmarks."""
    run = open_run(ledger, run_id)
    return each(run, "score", benchmarks, lambda name: score(run, name, model), model)


def score(run: Run, name: str, model: str) -> None:
    """Have the scores of a model on a benchmark in the ledger. Raises SpecError where a scorer fails on a sample."""
    predicted = run.key_of("postprocess", name, model)
    by_filter: dict[str, dict[str, Scoring]] = {}
    for one in sorted(scorings(run.benchmarks[name]), key=lambda one: one.keeps):
        by_filter.setdefault(one.filter, {})[one.scorer] = one
    versions = [(s.filter, s.scorer, version_of(s.function), s.keeps) for s in scorings(run.benchmarks[name])]
    executed = run.keys.get(("execute", name, model, 0))
    step_key = key("score", predicted, versions, *([executed] if executed else []))
    with run.step("score", name, step_key, "scores", model) as record:
        if not record.fresh:
            advance("score", record.rows)
            return
        for rows in predictions(run, predicted, run.key_of("prepare", name), CHUNK):
            ends = rans(run.ledger, executed, rows[0][0], rows[-1][0]) if executed and rows else {}
            scored = [row for one in rows for row in _scores(name, one, by_filter, ends)]
            if scored:
                columns = dict(zip(SCORES.names, zip(*scored, strict=True), strict=True))
                run.put("scores", step_key, pa.table(columns, schema=SCORES))
            record.rows += len(scored)
            advance("score", len(rows))


def _scores(
    name: str, row: tuple[Any, ...], by_filter: dict[str, dict[str, Scoring]], ends: dict[tuple[Any, ...], list[Ran]]
) -> list[tuple[Any, ...]]:
    ordinal, sample_key, replica, filter_, value, fields = row
    sample = loads(fields)
    found = None if value is None else orjson.loads(value)
    result = []
    for one in by_filter.get(filter_, {}).values():
        ran = ends.get((ordinal, replica, filter_, one.scorer), [])
        given = score_of(name, one, ran if found is not None and jobs_of(one.function) else found, sample)
        told = _with_answer(given.detail, found) if one.keeps else given.detail
        detail = None if told is None else orjson.dumps(told).decode()
        result.append((ordinal, sample_key, replica, filter_, one.scorer, given.value, given.weight, detail))
    return result


def _with_answer(detail: Any, found: Any) -> dict[str, Any]:
    """What was read, beside what the scorer tells itself."""
    own = detail if isinstance(detail, dict) else {} if detail is None else {"detail": detail}
    return own | {"answer": found}


def score_of(name: str, one: Scoring, found: Any, sample: dict[str, Any]) -> Scored:
    """One sample's score; an answer that could not be read scores 0 and is counted as such."""
    if found is None and not getattr(one.function, "also_unread", False):
        return Scored(0.0)
    try:
        value = one.function(found, sample, **one.options)
    except AssayError:
        raise
    except Exception as error:
        raise SpecError(
            f"{name}: the scorer {one.scorer!r} failed on {found!r:.80}: {type(error).__name__}: {error}"
        ) from error
    return value if isinstance(value, Scored) else Scored(None if value is None else float(value))
