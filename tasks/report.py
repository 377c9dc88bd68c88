"""report: the end of a run is recorded, and its figures are shown in the Prefect UI."""

from __future__ import annotations

import shutil

from prefect.artifacts import create_table_artifact

from storage.results import FAILED, figures
from tasks.context import Run, now, open_run
from tasks.steps import step


@step("report")
def report_task(ledger: str, run_id: str) -> str:
    """The run's state: `done`, or `failed` where requests or benchmarks failed. Its table is a Prefect artifact."""
    run = open_run(ledger, run_id)
    state, table = finish(run), figures(run.ledger, run.id)
    shown = [{name: round(v, 4) if isinstance(v, float) else v for name, v in row.items()} for row in table]
    create_table_artifact(table=shown, key="scores", description=f"Run {run.id} in {run.ledger.path}: {state}")
    return state


def finish(run: Run) -> str:
    """Record the state that a run ended in, and remove its folder in the spool."""
    with run.ledger.write() as con:
        row = con.execute(
            "SELECT count(*) FROM problems WHERE run_id = ? AND list_contains(?, problem)", [run.id, list(FAILED)]
        ).fetchone()
        state = "failed" if row and row[0] else "done"
        con.execute("UPDATE runs SET state = ?, finished = ? WHERE run_id = ?", [state, now(), run.id])
    run.ledger.checkpoint()
    shutil.rmtree(run.spool, ignore_errors=True)
    return state
