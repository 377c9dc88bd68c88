"""summarize: scores become figures with standard errors and intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson

from assay.metrics import metric, summarize_scores
from assay.reading import Scoring, scorings
from assay.registry import Step
from assay.solve import roles_of
from assay.types import Figure, Scores
from tasks.context import Run, open_run
from tasks.steps import each, step


@step("summarize")
def summarize_task(ledger: str, run_id: str, benchmarks: list[str], model: str) -> None:
    """Figures of some benchmarks by one model, in the ledger."""
    run = open_run(ledger, run_id)
    each(run, "summarize", benchmarks, lambda name: summarize(run, name, model), model)


def summarize(run: Run, name: str, model: str) -> None:
    """Record every figure of a model on a benchmark: over all samples, over groups, and of each group."""
    asked = _asked(run, name)
    listed = scorings(run.benchmarks[name])
    rows = [row for place, one in enumerate(listed) for row in _figures(run, name, model, one, asked, place)]
    with run.ledger.write() as con:
        con.execute("DELETE FROM metrics WHERE run_id = ? AND benchmark = ? AND model_key = ?", [run.id, name, model])
        con.executemany(f"INSERT INTO metrics ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})", rows)


COLUMNS = (
    "run_id", "model_key", "recipe_key", "benchmark", "dimension", "metric", "scorer", "filter", "aggregation", "grp",
    "value", "stderr", "ci_low", "ci_high", "method", "n", "n_errors", "headline", "judged_by",
    "place", "share",
)  # fmt: skip


def _figures(run: Run, name: str, model: str, one: Scoring, asked: dict[str, int], place: int) -> list[tuple[Any, ...]]:
    """One metric's rows: over samples, over groups where there are some, and of each group."""
    benchmark = run.benchmarks[name]
    step: Step = {one.metric: one.metric_options} if one.metric_options else one.metric
    scores = _read(run, name, model, one)
    summary = summarize_scores(scores, step, sum(asked.values()) - len(scores.values), run.spec.seed)
    macro, sizes = summary["macro"], summary["sizes"]
    whole = benchmark.aggregate if macro else "micro"
    share = not any(hasattr(made, "other_scale") for made in (one.function, metric[one.metric]))
    by = _judges(run) if "judge" in roles_of(benchmark) else None
    found = [("micro", "", summary["micro"], summary["n"], summary["n_errors"])]
    if macro:
        found.append(("macro", "", macro, summary["n"], summary["n_errors"]))
    found += [("group", grp, figure, sizes[grp], asked[grp] - sizes[grp]) for grp, figure in summary["groups"].items()]
    if macro:  # a group of which nothing was answered is told too: it is missing from the mean over groups
        found += [("group", grp, Figure(None), 0, asked[grp]) for grp in sorted(asked.keys() - sizes.keys())]
    return [
        (run.id, model, benchmark.recipe_key, name, benchmark.dimension, one.shown, one.scorer, one.filter, aggregation,
         grp, f.value, f.stderr, f.ci_low, f.ci_high, f.method, n, errors, aggregation == whole, by,
         place, share)
        for aggregation, grp, f, n, errors in found
    ]  # fmt: skip


def _judges(run: Run) -> str:
    return ", ".join(run.models[key].spec.label for key in run.roles["judge"])


def _asked(run: Run, name: str) -> dict[str, int]:
    """How many answers each group should have: its samples, times the replicas."""
    replicas = run.sampling(run.benchmarks[name]).replicas
    with run.ledger.read() as con:
        rows = con.execute(
            "SELECT grp, count(*) FROM samples WHERE prepared = ? GROUP BY grp", [run.key_of("prepare", name)]
        ).fetchall()
    return {grp: count * replicas for grp, count in rows}


def _read(run: Run, name: str, model: str, one: Scoring) -> Scores:
    """The scores of one scorer, as columns; answers to the same sample are a cluster unless the benchmark names one."""
    own = "s.sample_key" if run.sampling(run.benchmarks[name]).replicas > 1 else "''"
    with run.ledger.read() as con:
        columns = con.execute(
            "SELECT c.value, c.weight, s.grp, c.detail, c.ordinal,"
            f" CASE WHEN s.cluster != '' THEN s.cluster ELSE {own} END AS cluster"
            " FROM scores c JOIN samples s ON s.prepared = ? AND s.ordinal = c.ordinal"
            " WHERE c.scored = ? AND c.filter = ? AND c.scorer = ? AND c.value IS NOT NULL"
            " ORDER BY c.ordinal, c.replica",
            [run.key_of("prepare", name), run.key_of("score", name, model), one.filter, one.scorer],
        ).fetchnumpy()
    told = columns["detail"]
    details = [] if np.ma.count(told) == 0 else [orjson.loads(d) if d else None for d in np.ma.filled(told, "")]
    return Scores(
        np.asarray(columns["value"], dtype=float),
        np.asarray(columns["weight"], dtype=float),
        np.asarray(columns["grp"], dtype=str),
        np.asarray(columns["cluster"], dtype=str),
        details,
        np.asarray(columns["ordinal"], dtype=np.int64),
    )
