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
from assay.spec import Benchmark, Step
from assay.types import Scores

_NEWEST = """
SELECT m.benchmark, m.metric, m.run_id, m.model_key, m.recipe_key, m.dimension, m.scorer, m.filter, m.aggregation,
       (SELECT any_value(recipe) FROM recipes c WHERE c.recipe_key = m.recipe_key) AS recipe
FROM metrics m JOIN models o USING (model_key) JOIN runs r USING (run_id)
WHERE m.headline AND o.label = ?
QUALIFY row_number() OVER (PARTITION BY m.benchmark, m.metric ORDER BY r.created DESC, m.run_id) = 1
ORDER BY m.dimension, m.benchmark, m.metric
"""
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


def labels(con: duckdb.DuckDBPyConnection) -> list[str]:
    """What tables call the models that have figures."""
    rows = con.execute("SELECT DISTINCT o.label FROM models o JOIN metrics m USING (model_key) ORDER BY 1").fetchall()
    return [label for (label,) in rows]


Rows = tuple[dict[str, Any], dict[str, Any]]


def common(con: duckdb.DuckDBPyConnection, before: str, after: str) -> dict[tuple[str, str], Rows]:
    """(benchmark, metric) -> where two models have the figure from, each the newest one.

    Raises SpecError for a model without figures, or two that share none.
    """
    ours, theirs = (
        {(row["benchmark"], row["metric"]): row for row in _newest(con, label)} for label in (before, after)
    )
    shared = {name: (row, theirs[name]) for name, row in ours.items() if name in theirs}
    if not shared:
        raise SpecError(f"{before} and {after} share no benchmark")
    return shared


def pairs(
    con: duckdb.DuckDBPyConnection, before: str, after: str, benchmarks: Container[str] | None = None
) -> Iterator[Pair | Left]:
    """What two models both have on some benchmarks, or on all: scores side by side, or why they cannot be compared.

    Raises SpecError as `common` does.
    """
    for (benchmark, _), (one, other) in common(con, before, after).items():
        if benchmarks is None or benchmark in benchmarks:
            yield _pair(con, one, other)


def _newest(con: duckdb.DuckDBPyConnection, label: str) -> list[dict[str, Any]]:
    """The newest headline figures of a model and where they come from. Raises SpecError where there are none."""
    found = con.execute(_NEWEST, [label])
    names = [column[0] for column in found.description or []]
    rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    if not rows:
        raise SpecError(unknown("model with figures", label, labels(con)))
    return rows


def _pair(con: duckdb.DuckDBPyConnection, one: dict[str, Any], other: dict[str, Any]) -> Pair | Left:
    name = one["benchmark"], one["metric"]
    if one["recipe_key"] != other["recipe_key"]:
        return Left(*name, "the recipe has changed between the two runs")
    try:
        step = _step(one)
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


def _step(row: dict[str, Any]) -> Step:
    """The metric behind a figure, by the recipe that the run used."""
    for one in scorings(Benchmark.model_validate_json(row["recipe"])):
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
    model: str
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
        "SELECT c.step, c.model, c.benchmark, c.dimension, c.metric, c.value, m.stderr, c.ci_low, c.ci_high, c.n"
        " FROM checkpoints c JOIN models o ON o.label = c.model AND o.family = c.family AND o.step = c.step"
        " JOIN metrics m USING (run_id, benchmark, metric) JOIN runs r USING (run_id)"
        " WHERE m.headline AND m.model_key = o.model_key AND c.family = ? AND list_contains(?, c.benchmark)"
        " QUALIFY row_number() OVER (PARTITION BY c.step, c.benchmark, c.metric ORDER BY r.created DESC, run_id) = 1"
        " ORDER BY c.dimension, c.benchmark, c.metric, c.step",
        [family, list(benchmarks)],
    ).fetchall()
    return [Measured(*row) for row in rows]
