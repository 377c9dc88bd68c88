"""Workers on a Prefect work pool: each is a run of the deployment `inference/POOL`."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import httpx
from prefect import get_client, runtime
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId, FlowRunFilterTags
from prefect.client.schemas.objects import FlowRun, State
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelled, Cancelling, Crashed

from assay.errors import SpecError
from tasks.context import Run

FRESH = 2.0
"""Seconds that what the server said of the workers' states is good for."""
PATIENCE = 30.0
"""Seconds that a cancelled worker has to end; one that nobody ends then is marked Crashed, which frees its slot."""

logger = logging.getLogger("prefect.assay")


class CancelledRun(BaseException):
    """The run's flow run was cancelled: it ends as it does at Ctrl-C, and nothing catches it on the way."""


class Pool:
    """Starts, watches and ends the workers of one model on a pool."""

    def __init__(self, name: str, run: Run, model: str) -> None:
        self.name, self.run, self.label = name, run, run.models[model].spec.label
        self.parent = str(runtime.flow_run.id or "")
        self.states: dict[str, str] = {}
        self.asked = 0.0
        self.artifacts: dict[str, UUID] = {}

    def start(self, url: str, job: str, number: int) -> str | None:
        """Have a run of the deployment made; its id is the worker's name. None while the server is away: the same
        number asked for again is the same run."""
        try:
            started = run_deployment(
                f"inference/{self.name}",
                parameters={"spool": url, "job": job, "replica": number},
                flow_run_name=f"{self.label} {number}",
                timeout=0,
                tags=[f"assay-run-{self.run.id}", f"assay-parent-{self.parent}"],
                idempotency_key=f"{job}-{number}",  # one for each attempt: a key gives a crashed run back
            )
        except httpx.HTTPError as error:
            logger.warning("no worker of %s could be started: %s", self.label, error)
            return None
        assert isinstance(started, FlowRun)
        self.states[str(started.id)] = "waiting"
        return str(started.id)

    def state(self, name: str) -> str:
        """`waiting`, `running`, `done`, or the state in words; what was last known while the server is away."""
        if time.monotonic() - self.asked > FRESH:
            self.asked = time.monotonic()
            try:
                self.states |= {str(one.id): _word(one) for one in _flow_runs(_of_ids(self.states))}
            except httpx.HTTPError as error:
                logger.warning("the Prefect server does not answer: %s", error)
        return self.states[name]

    def stop(self, names: Sequence[str], why: str, dead: bool = False) -> None:
        """Cancel runs, and mark those Crashed that nobody is there to end; the dead soon, since others wait for their
        slots."""
        if not names:
            return
        try:
            _end(names, why, PATIENCE / 3 if dead else PATIENCE)
        except httpx.HTTPError as error:  # they end by themselves, as their job's file is gone
            logger.warning("workers of %s could not be cancelled: %s", self.label, error)

    def show(self, name: str, scores: Mapping[str, tuple[float, int]]) -> None:
        """The running scores of a worker as a table on its page."""
        rows = [{"benchmark": key, "score so far": round(mean, 4), "answers": n} for key, (mean, n) in scores.items()]
        data = json.dumps(rows)
        try:
            with _client() as client:
                if name in self.artifacts:
                    client.update_artifact(self.artifacts[name], ArtifactUpdate(data=data))
                    return
                told = f"{self.label}: scores so far"
                made = client.create_artifact(
                    ArtifactCreate(
                        key="running-score", type="table", description=told, data=data, flow_run_id=UUID(name)
                    )
                )
                self.artifacts[name] = made.id
        except httpx.HTTPError as error:
            logger.warning("the running scores could not be shown: %s", error)

    def check(self) -> None:
        """Raise CancelledRun where the run's own flow run has been cancelled."""
        if self.parent and self.parent not in self.states:
            self.states[self.parent] = "running"
        if self.parent and self.state(self.parent).startswith("Cancel"):
            raise CancelledRun


def limit(name: str) -> int | None:
    """How many workers a pool admits at a time; None for no limit.

    Raises SpecError where the pool or its deployment is not there, or is paused.
    """
    try:
        with _client() as client:
            pool = client.read_work_pool(name)
            client.read_deployment_by_name(f"inference/{name}")
    except ObjectNotFound as error:
        with _client() as client:
            there = sorted(one.name for one in client.read_work_pools())
        raise SpecError(
            f"compute.pool: the Prefect server has no work pool {name!r} with a deployment inference/{name}; its pools:"
            f" {', '.join(there) or 'none'} (docs/operations.md says how to make one)"
        ) from error
    if pool.is_paused:
        raise SpecError(
            f"compute.pool: the work pool {name} is paused, or has too few devices: prefect work-pool resume {name}"
        )
    return pool.concurrency_limit


def cancel_children(flow: Any, flow_run: FlowRun, state: State[Any]) -> None:
    """Prefect does not pass a cancellation on: cancel the workers that a flow run has started."""
    children = FlowRunFilter(tags=FlowRunFilterTags(all_=[f"assay-parent-{flow_run.id}"]))
    if living := [str(one.id) for one in _flow_runs(children)]:
        _end(living, "its parent was cancelled", patience=0)


def _client() -> SyncPrefectClient:
    return get_client(sync_client=True)


def _of_ids(names: Sequence[str] | Mapping[str, Any]) -> FlowRunFilter:
    return FlowRunFilter(id=FlowRunFilterId(any_=[UUID(name) for name in names]))


def _flow_runs(which: FlowRunFilter) -> list[FlowRun]:
    found: list[FlowRun] = []
    with _client() as client:
        while page := client.read_flow_runs(flow_run_filter=which, limit=200, offset=len(found)):
            found += page
    return found


def _word(one: FlowRun) -> str:
    state = one.state
    if state is None or state.is_scheduled() or state.is_pending():
        return "waiting"
    if state.is_completed():
        return "done"
    if state.is_running():
        return "running"
    return f"{state.name}{f': {state.message}' if state.message else ''}"


def _end(names: Sequence[str], why: str, patience: float = PATIENCE) -> None:
    until = time.monotonic() + patience
    with _client() as client:
        for one in _unfinished(names):
            begun = one.state is not None and (one.state.is_running() or one.state.is_cancelling())
            client.set_flow_run_state(one.id, (Cancelling if begun else Cancelled)(message=why))
        while (left := _unfinished(names)) and time.monotonic() < until:
            time.sleep(0.5)
        for one in left if patience else ():
            client.set_flow_run_state(one.id, Crashed(message=why), force=True)


def _unfinished(names: Sequence[str]) -> list[FlowRun]:
    return [one for one in _flow_runs(_of_ids(names)) if one.state is None or not one.state.is_final()]
