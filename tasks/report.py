"""report: the end of a run is recorded, and its figures are shown in the Prefect UI."""

from __future__ import annotations

import shutil

from prefect.artifacts import create_table_artifact

from tasks.context import Run, now, open_run
from tasks.steps import step


@step("report")
def report_task(ledger: str, run_id: str) -> str:
    """The run's state: `done`, or `failed` where requests or benchmarks failed. Its table is a Prefect artifact."""
    run = open_run(ledger, run_id)
    state = finish(run)
    create_table_artifact(table=figures(run), key="scores", description=f"Run {run.id} in {run.ledger.path}: {state}")
    return state


def finish(run: Run) -> str:
    """Record the state that a run ended in, and remove its folder in the spool."""
    with run.ledger.write() as con:
        row = con.execute(
            "SELECT count(*) FROM problems WHERE run_id = ? AND problem IN ('step failed', 'request failed')", [run.id]
        ).fetchone()
        state = "failed" if row and row[0] else "done"
        con.execute("UPDATE runs SET state = ?, finished = ? WHERE run_id = ?", [state, now(), run.id])
    run.ledger.checkpoint()
    shutil.rmtree(run.spool, ignore_errors=True)
    return state


def figures(run: Run) -> list[dict[str, object]]:
    """The run's leaderboard, a row a figure."""
    with run.ledger.read() as con:
        found = con.execute(
            "SELECT model, benchmark, dimension, metric, value, ci_low, ci_high, n, n_errors FROM leaderboard"
            " WHERE run_id = ? ORDER BY ALL", [run.id]
        )  # fmt: skip
        names = [column[0] for column in found.description or []]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
