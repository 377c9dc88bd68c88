"""The scores of two models side by side, and the figures of a family's checkpoints."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from typing import Any, NamedTuple

import duckdb
import numpy as np
import orjson

from assay.compare import Pair
from assay.errors import AssayError, SpecError, unknown
from assay.reading import scorings
from assay.registry import Step
from assay.spec import Benchmark
from assay.types import Scores

_FIGURES = """
SELECT m.benchmark, m.metric, m.dimension, m.run_id, m.model_key, m.recipe_key, m.scorer, m.filter, m.aggregation
FROM {source} JOIN runs r USING (run_id)
WHERE m.headline
QUALIFY row_number() OVER (PARTITION BY m.benchmark, m.metric ORDER BY r.created DESC, m.run_id) = 1
ORDER BY m.dimension, m.benchmark, m.metric
"""
_OF_MODEL = "metrics m JOIN (FROM models WHERE label = ?) o USING (model_key)"
_OF_STEP = (
    "metrics m JOIN (FROM checkpoints WHERE family = ? AND step = ?) c USING (run_id, model_key, benchmark, metric)"
)
_SCORES = """
SELECT s.ordinal, s.sample_key, s.replica, s.value, s.weight, s.detail, x.grp, x.cluster
FROM steps z JOIN scores s ON s.scored = z.step_key
JOIN steps y ON y.run_id = z.run_id AND y.benchmark = z.benchmark AND y.step = 'prepare'
JOIN samples x ON x.prepared = y.step_key AND x.ordinal = s.ordinal
WHERE z.step = 'score' AND s.value IS NOT NULL AND (z.run_id, z.benchmark, z.model_key) = ({run}, $benchmark, {model})
  AND s.scorer = $scorer AND s.filter = $filter
"""
_PAIRS = f"""
SELECT coalesce(a.ordinal, b.ordinal) AS ordinal, a.value AS before, b.value AS after, a.weight AS before_weight,
       b.weight AS after_weight, a.detail AS before_detail, b.detail AS after_detail, a.grp,
       CASE WHEN a.cluster <> '' THEN a.cluster WHEN max(a.replica) OVER () > 0 THEN a.sample_key ELSE '' END AS cluster
FROM ({_SCORES.format(run="$before_run", model="$before_model")}) a
FULL JOIN ({_SCORES.format(run="$after_run", model="$after_model")}) b USING (sample_key, replica)
ORDER BY ordinal, coalesce(a.replica, b.replica)
"""


class Left(NamedTuple):
    """A figure that two models have and that cannot be compared, and why."""

    benchmark: str
    metric: str
    why: str


Rows = dict[tuple[str, str], dict[str, Any]]
"""(benchmark, metric) -> where a model's newest figure comes from."""


def of_model(con: duckdb.DuckDBPyConnection, label: str) -> Rows:
    """What a model has figures of. Raises SpecError where there is no such model, or none of it."""
    rows = _rows(con, _OF_MODEL, [label])
    if not rows:
        known = con.execute("SELECT DISTINCT label FROM models JOIN metrics USING (model_key)").fetchall()
        raise SpecError(unknown("model with figures", label, [name for (name,) in known]))
    return rows


def of_step(con: duckdb.DuckDBPyConnection, family: str, step: int) -> Rows:
    """What a checkpoint has figures of."""
    return _rows(con, _OF_STEP, [family, step])


def _rows(con: duckdb.DuckDBPyConnection, source: str, asked: list[Any]) -> Rows:
    found = con.execute(_FIGURES.format(source=source), asked)
    names = [column[0] for column in found.description or []]
    return {row[:2]: dict(zip(names, row, strict=True)) for row in found.fetchall()}


def pairs(
    con: duckdb.DuckDBPyConnection, before: Rows, after: Rows, benchmarks: Container[str] | None = None
) -> Iterator[Pair | Left]:
    """What two models both have on some benchmarks, or on all: scores side by side, or why they cannot be compared."""
    for name, row in before.items():
        if name in after and (benchmarks is None or name[0] in benchmarks):
            yield _pair(con, row, after[name])


def _pair(con: duckdb.DuckDBPyConnection, one: dict[str, Any], other: dict[str, Any]) -> Pair | Left:
    name = one["benchmark"], one["metric"]
    if one["recipe_key"] != other["recipe_key"]:
        return Left(*name, "the recipe has changed between the two runs")
    try:
        step = _step(con, one)
    except AssayError as error:
        return Left(*name, str(error))
    columns = con.execute(
        _PAIRS,
        {"benchmark": one["benchmark"], "scorer": one["scorer"], "filter": one["filter"]}
        | {"before_run": one["run_id"], "before_model": one["model_key"]}
        | {"after_run": other["run_id"], "after_model": other["model_key"]},
    ).fetchnumpy()
    both = ~(np.ma.getmaskarray(columns["before"]) | np.ma.getmaskarray(columns["after"]))
    if not both.any():
        return Left(*name, "no question was answered by both")
    before, after = (_side(columns, side, both) for side in ("before", "after"))
    macro = one["aggregation"] == "macro"
    return Pair(*name[:1], one["dimension"], name[1], step, macro, before, after, int((~both).sum()))


def _step(con: duckdb.DuckDBPyConnection, row: dict[str, Any]) -> Step:
    """The metric behind a figure, by the recipe that the run used."""
    found = con.execute("SELECT recipe FROM recipes WHERE recipe_key = ?", [row["recipe_key"]]).fetchone()
    for one in scorings(Benchmark.model_validate_json(found[0])) if found else ():
        if (one.shown, one.scorer, one.filter) == (row["metric"], row["scorer"], row["filter"]):
            return {one.metric: one.metric_options} if one.metric_options else one.metric
    raise SpecError("its recipe, as it is read today, has no such figure")


def _side(columns: dict[str, Any], side: str, both: np.ndarray) -> Scores:
    details = np.ma.filled(columns[f"{side}_detail"], "")[both].tolist()
    return Scores(
        np.asarray(columns[side][both], dtype=float),
        np.asarray(columns[f"{side}_weight"][both], dtype=float),
        np.asarray(columns["grp"][both], dtype=str),
        np.asarray(columns["cluster"][both], dtype=str),
        [orjson.loads(d) if d else None for d in details] if any(details) else (),
    )


class Measured(NamedTuple):
    """A figure of a checkpoint."""

    step: int
    benchmark: str
    dimension: str
    metric: str
    value: float | None
    stderr: float | None
    ci_low: float | None
    ci_high: float | None
    n: int


def measured(con: duckdb.DuckDBPyConnection, family: str, benchmarks: Iterable[str]) -> list[Measured]:
    """The newest figures of a family's checkpoints on some benchmarks, by benchmark and step."""
    rows = con.execute(
        "SELECT step, benchmark, dimension, metric, value, stderr, ci_low, ci_high, n"
        " FROM checkpoints JOIN runs USING (run_id) WHERE family = ? AND list_contains(?, benchmark)"
        " QUALIFY row_number() OVER (PARTITION BY step, benchmark, metric ORDER BY created DESC, run_id) = 1"
        " ORDER BY dimension, benchmark, metric, step",
        [family, list(benchmarks)],
    ).fetchall()
    return [Measured(*row) for row in rows]
