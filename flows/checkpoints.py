"""The night: checkpoints that the ledger lacks are evaluated one after the other, each is compared with those before.

    watch -> (evaluation -> follow) for each -> the night's table

A night begins where the last one stopped: what is evaluated or broken is in the ledger, and an evaluation that was cut
off is taken up, as its specification is the same.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Annotated, Any

from prefect import flow
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterParentFlowRunId
from prefect.client.schemas.objects import FlowRun, State
from prefect.events import emit_event
from prefect.logging import get_run_logger
from prefect.states import Cancelled, Completed, Failed

from assay.errors import AssayError, ModelError
from assay.nightly import Folders, Nightly, Revisions
from assay.spec import Compute, EvalSpec
from flows.evaluation import evaluation
from flows.form import Benchmarks, EvalForm, Schema, ShownAs, Suites, shown
from storage.ledger import Ledger
from storage.sightings import Sighting
from tasks.curves import slug
from tasks.follow import Fall, follow_task, resource
from tasks.pool import cancel_children
from tasks.steps import step
from tasks.watch import Seen, look, remember, take, waits

BROKEN = "assay.checkpoint.broken"
"""The event of a checkpoint that cannot be loaded."""
CUT_OFF = Sighting("failed", "the night ended before it was compared")
SHOWN = 3
"""Causes in the message of the night's state; the log has them all."""


class NightlyForm(Schema, Nightly):
    """What is watched and how it is evaluated, as the Prefect UI shows it."""

    watch: Annotated[Folders | Revisions, ShownAs(lambda: shown(Folders, "folders") | shown(Revisions, "revisions"))]
    benchmarks: Annotated[tuple[str, ...], ShownAs(Benchmarks)] = ()
    suites: Annotated[tuple[str, ...], ShownAs(Suites)] = ()
    compute: Annotated[Compute, ShownAs(lambda: shown(Compute, "compute"))] = Compute()


@dataclass
class Told:
    """What came of a night."""

    lines: list[dict[str, Any]] = field(default_factory=list)
    falls: list[Fall] = field(default_factory=list)

    def add(self, seen: Seen, state: str, cause: str = "", run: str | None = None) -> None:
        """A checkpoint's line in the night's table."""
        found = seen.found
        self.lines.append({"step": found.step, "state": state, "cause": cause, "run": run, "place": found.place})


def cancel_evaluations(flow: Any, flow_run: FlowRun, state: State[Any]) -> None:
    """Prefect does not pass a cancellation on: cancel the night's evaluation, and its workers."""
    below = FlowRunFilter(parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[flow_run.id]))
    with get_client(sync_client=True) as client:
        for one in client.read_flow_runs(flow_run_filter=below):
            cancel_children(flow, one, state)
            if one.state is not None and not one.state.is_final():
                client.set_flow_run_state(one.id, Cancelled(message="the night was cancelled"), force=True)


@flow(name="checkpoints", on_cancellation=[cancel_evaluations], on_crashed=[cancel_evaluations])
def checkpoints(night: NightlyForm, ledger: str | None = None) -> State[dict[str, Any]]:
    """Evaluate the checkpoints that the ledger lacks, and compare each with those before it.

    Args:
        night: What is watched, what is asked of it, how much a night may do.
        ledger: The DuckDB file that records everything; by default $ASSAY_LEDGER, else assay.duckdb.
    """
    book, told = Ledger(ledger or os.environ.get("ASSAY_LEDGER", "assay.duckdb")), Told()
    began, waited = time.monotonic(), 0.0
    tried: set[tuple[str, str]] = set()
    evaluated = 0
    while True:
        try:
            seen = watch_task(night, str(book.path))
        except (AssayError, OSError) as error:
            return Failed(message=f"the checkpoints cannot be looked for: {error}")
        todo = [one for one in seen if one.state in ("lacking", "failed") and one.id not in tried]
        over = evaluated == night.at_most or (night.hours and time.monotonic() - began > night.hours * 3600)
        if todo and not over:
            tried.add(todo[0].id)
            evaluated += evaluate(night, book, todo[0], told)
        elif not todo and not over and 0 < (pause := waits(night, seen)) <= night.wait - waited:
            time.sleep(pause)
            waited += pause
        else:
            return end(night, told, [one for one in seen if one.id not in tried])


@step("watch")
def watch_task(night: Nightly, ledger: str) -> list[Seen]:
    """The checkpoints that there are, as they stand."""
    return look(night, Ledger(ledger))


def evaluate(night: Nightly, book: Ledger, seen: Seen, told: Told) -> bool:
    """Evaluate one checkpoint and tell what came of it; whether it could be begun."""
    log = get_run_logger()
    try:
        spec = take(night, seen)
    except ModelError as error:
        told.add(seen, "broken", str(error))
        tell_broken(night, seen, str(error))
        remember(night, book, seen, Sighting("broken", str(error)))
        return False
    except OSError as error:
        told.add(seen, "failed", f"it cannot be read: {error}")
        log.error("step %d cannot be read: %s", seen.found.step, error)
        return False
    run_id, cause = run(spec, book)
    if run_id is not None:
        remember(night, book, seen, CUT_OFF, run_id)
        falls = follow_task(night, str(book.path), seen.found.step)
        told.falls += falls
        for fall in falls:
            log.error("%s", fall.told())
    state = "failed" if cause else "done"
    told.add(seen, state, cause, run_id)
    remember(night, book, seen, Sighting(state, cause or None), run_id)
    if cause:
        log.error("the evaluation of step %d failed: %s", seen.found.step, cause)
    return True


def run(spec: EvalSpec, book: Ledger) -> tuple[str | None, str]:
    """Run an evaluation within this night; the run, where there is one, and why it failed, where it did."""
    form = EvalForm.model_validate(spec.model_dump(mode="json"))
    state = evaluation(form, str(book.path), return_state=True)
    found = state.result(raise_on_failure=False)
    run_id = found.get("run") if isinstance(found, dict) else None
    if state.is_completed():
        return run_id, ""
    return run_id, str(found) if isinstance(found, Exception) else state.message or state.name or "no reason given"


def tell_broken(night: Nightly, seen: Seen, cause: str) -> None:
    """Report a checkpoint that cannot be loaded: once, as it is skipped until its files change."""
    get_run_logger().error("the checkpoint of step %d is broken and will be skipped: %s", seen.found.step, cause)
    create_markdown_artifact(
        f"# {night.family}, step {seen.found.step}\n\n`{seen.found.place}` is broken and is skipped until its files"
        f" change.\n\n    {cause}\n",
        key=slug("broken", night.family, str(seen.found.step)),
        description=f"A broken checkpoint of {night.family}",
    )
    payload = {"family": night.family, "step": seen.found.step, "place": seen.found.place, "cause": cause}
    emit_event(BROKEN, resource=resource(night.family, seen.found.step), payload=payload)


def end(night: Nightly, told: Told, rest: list[Seen]) -> State[dict[str, Any]]:
    """Show the night's table; the state that the night ends in."""
    for one in rest:
        if one.state in ("lacking", "failed"):
            told.add(one, "left", "for the next night")
        elif one.state in ("waiting", "unclear"):
            told.add(one, one.state, one.cause)
    create_table_artifact(
        told.lines or [{"state": "nothing to do"}],
        key=slug("night", night.family),
        description=f"Checkpoints of {night.family} in this night; {len(rest)} more are known",
    )
    falls = [fall.told() for fall in told.falls]
    failed = [f"step {line['step']}: {line['cause']}" for line in told.lines if line["state"] == "failed"]
    data: dict[str, Any] = {"checkpoints": told.lines, "fallen": falls}
    if falls or failed:
        return Failed(name="Regressed" if falls else "Incomplete", message=named(falls + failed), data=data)
    states = Counter(line["state"] for line in told.lines)
    return Completed(message=", ".join(f"{n} {state}" for state, n in states.items()) or "nothing to do", data=data)


def named(causes: list[str]) -> str:
    """The first causes, and how many more there are."""
    return "; ".join(causes[:SHOWN]) + (f"; and {len(causes) - SHOWN} more" if len(causes) > SHOWN else "")
