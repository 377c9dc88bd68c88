"""Running an evaluation from the command line: server, flow, progress, what is said at the end."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from assay.errors import AssayError, SpecError
from assay.spec import EvalSpec
from flows.server import Embedded, drain, reachable, serving
from flows.table import print_whole, queries_to_try, score_table, troubles
from storage.ledger import Ledger
from storage.results import figures
from storage.steps import bury

console = Console(stderr=True, markup=False)  # what a server says is no markup


def run_spec(spec: EvalSpec, ledger: Path, refresh: bool = False, as_json: bool = False) -> int:
    """Evaluate a spec, or resume the unfinished run of the same spec; the exit code."""
    with serving() as server:  # it starts while the spec is checked
        from tasks.begin import begin
        from tasks.check import check

        book = Ledger(ledger)
        book.check()
        check(spec)
        reachable()
        _check_place(spec)
        run_id, resumed = begin(spec, book, refresh)
        if resumed:
            console.print(f"resuming the unfinished run {run_id} of the same spec")
        return _run(book, spec, run_id, server, as_json)


def resume(run_id: str | None, ledger: Path, as_json: bool = False) -> int:
    """Complete an unfinished run: the one named, else the newest. Raises SpecError where there is none."""
    book = Ledger(ledger)
    with book.read() as con:
        rows = con.execute(
            "SELECT run_id, state, spec FROM runs"
            " WHERE run_id = $1 OR $1 IS NULL AND state NOT IN ('done', 'planned') ORDER BY created DESC", [run_id]
        ).fetchall()  # fmt: skip
    if not rows:
        raise SpecError(
            f"{ledger} has no run {run_id!r}" if run_id else f"{ledger} has no unfinished run: nothing to resume"
        )
    with serving() as server:
        from tasks.check import check

        spec = EvalSpec.model_validate_json(rows[0][2])
        _nobody_at(book, rows[0][0])
        check(spec)
        reachable()
        _check_place(spec)
        return _run(book, spec, rows[0][0], server, as_json)


def _check_place(spec: EvalSpec) -> None:
    """Raise SpecError where workers should answer and cannot; Prefect is imported only where some should."""
    if spec.compute.pool or spec.compute.cluster:
        from tasks.dispatch import check_place

        check_place(spec)


def _nobody_at(book: Ledger, run_id: str) -> None:
    with book.write() as con:
        bury(con)
        row = con.execute("SELECT pid, host FROM runs WHERE run_id = ? AND lease > ?", [run_id, time.time()]).fetchone()
    if row:
        raise SpecError(
            f"the run {run_id} is being worked on by process {row[0]} on {row[1]}: let it end, or stop it first"
        )


def _run(book: Ledger, spec: EvalSpec, run_id: str, server: Embedded | None, as_json: bool) -> int:
    again = f"assay resume {run_id} --ledger {book.path}"
    try:
        state = _flow(book, spec, run_id, server)
    except KeyboardInterrupt:
        console.print(f"\ninterrupted; what was answered is kept. To complete it: {again}", soft_wrap=True)
        return 130
    except AssayError as error:
        console.print(f"stopped: {error}\nwhat was answered is kept. To complete it: {again}", soft_wrap=True)
        return 1
    rows = figures(book, run_id)
    if rows and not as_json:
        print_whole(score_table(rows))
    for line in troubles(book, run_id):
        console.print(line, style="yellow", soft_wrap=True, markup=False)
    if as_json:
        print(orjson.dumps({"run": run_id, "ledger": str(book.path), "scores": rows}).decode())
    else:
        console.print(queries_to_try(book.path, run_id), soft_wrap=True, highlight=False)
    return 0 if state == "done" else 1


def _flow(book: Ledger, spec: EvalSpec, run_id: str, server: Embedded | None) -> str:
    """Run the flow, with progress bars, on the server that there is; the run's state.

    Raises KeyboardInterrupt where the flow run was cancelled.
    """
    if server:
        os.environ["PREFECT_API_URL"] = server.url
    from prefect import tags
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    from flows.evaluation import evaluation
    from flows.form import EvalForm
    from tasks.steps import task_runs

    if server:
        server.ready()
    # a heartbeat thread would hold up the end of the flow by a second; the embedded server watches this process itself
    quiet = {PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None} if server else {}
    form = EvalForm.model_validate(spec.model_dump(mode="json"))
    with temporary_settings(quiet), tags(f"assay-pid-{os.getpid()}", f"assay-run-{run_id}"), Bars():
        final = evaluation(form, str(book.path.absolute()), run_id, return_state=True)
    if server:
        details = final.state_details
        drain(server.url, str(details.flow_run_id), task_runs())
    told: Any = final.result(raise_on_failure=False)
    if final.is_cancelled():
        raise KeyboardInterrupt
    if isinstance(told, BaseException):
        raise told
    return str(told["state"])


class Bars:
    """Progress bars of the steps, on stderr; lines now and then where it is no terminal."""

    def __init__(self) -> None:
        self.bars = Progress(
            TextColumn("{task.description:<10}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
        )
        self.tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Bars:
        from tasks.progress import show_on

        show_on(self.advance)
        self.bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        from tasks.progress import silence

        self.bars.stop()
        silence(self.advance)

    def advance(self, what: str, by: int, total: int | None) -> None:
        """Move a bar on; `total` is added to what the bar is to reach."""
        if what not in self.tasks:
            self.tasks[what] = self.bars.add_task(what, total=0)
        task = next(t for t in self.bars.tasks if t.id == self.tasks[what])
        reached = (task.total or 0) + (total if total is not None else by)
        self.bars.update(self.tasks[what], total=reached, advance=by)
