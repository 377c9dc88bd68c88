"""summarize: scores become figures with standard errors and intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
from prefect import task
from prefect.cache_policies import NO_CACHE

from assay.metrics import metric
from assay.reading import Scoring, scorings
from assay.statistics import summarize_scores
from assay.types import Figure, Scores
from tasks.context import Run, open_run
from tasks.steps import each


@task(name="summarize", cache_policy=NO_CACHE)
def summarize_task(ledger: str, run_id: str, benchmarks: list[str], model: str) -> None:
    """Figures of some benchmarks by one model, in the ledger."""
    run = open_run(ledger, run_id)
    each(run, "summarize", benchmarks, lambda name: summarize(run, name, model), model)


def summarize(run: Run, name: str, model: str) -> None:
    """Record every figure of a model on a benchmark: over all samples, over groups, and of each group."""
    benchmark = run.benchmarks[name]
    asked = _asked(run, name)
    rows: list[tuple[Any, ...]] = []
    for one in scorings(benchmark):
        scores = _read(run, name, model, one)
        figures = summarize_scores(scores, metric[one.metric], seed=run.spec.seed, **one.metric_options)
        whole = benchmark.aggregate if len(figures.groups) > 1 else "micro"
        for aggregation, grp, figure, n in figures.rows():
            total = asked.get(grp, 0) if aggregation == "group" else sum(asked.values())
            rows.append(_row(run, name, model, one, aggregation, grp, figure, n, total - n, aggregation == whole))
    with run.ledger.write() as con:
        con.execute("DELETE FROM metrics WHERE run_id = ? AND benchmark = ? AND model_key = ?", [run.id, name, model])
        if rows:
            con.executemany(f"INSERT INTO metrics VALUES ({', '.join('?' * len(rows[0]))})", rows)  # some tens of rows


def _row(
    run: Run, name: str, model: str, one: Scoring, aggregation: str, grp: str, figure: Figure, n: int, errors: int, headline: bool
) -> tuple[Any, ...]:
    benchmark = run.benchmarks[name]
    return (
        run.id, model, benchmark.recipe_key, name, benchmark.dimension, one.shown, aggregation, grp,
        figure.value, figure.stderr, figure.ci_low, figure.ci_high, n, errors, figure.method, headline,
    )  # fmt: skip


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
    with run.ledger.read() as con:
        columns = con.execute(
            "SELECT c.value, c.weight, s.grp, CASE WHEN s.cluster != '' THEN s.cluster ELSE s.sample_key END AS cluster,"
            " c.detail FROM scores c JOIN samples s ON s.prepared = ? AND s.ordinal = c.ordinal"
            " WHERE c.scored = ? AND c.filter = ? AND c.scorer = ? AND c.value IS NOT NULL ORDER BY c.ordinal, c.replica",
            [run.key_of("prepare", name), run.key_of("score", name, model), one.filter, one.scorer],
        ).fetchnumpy()
    details = [None if d is None or d is np.ma.masked else orjson.loads(d) for d in columns["detail"]]
    return Scores(
        np.asarray(columns["value"], dtype=float),
        np.asarray(columns["weight"], dtype=float),
        np.asarray(columns["grp"], dtype=str),
        np.asarray(columns["cluster"], dtype=str),
        details if any(d is not None for d in details) else (),
    )
