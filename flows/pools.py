"""What a Prefect server has to have before `prefect deploy --all`: work pools, and an automation that ends zombies."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import cast

from prefect import get_client
from prefect.automations import Automation
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import StateType
from prefect.events import EventTrigger, Posture, ResourceSpecification
from prefect.events.actions import ChangeFlowRunState
from prefect.exceptions import ObjectNotFound
from prefect.states import Crashed
from prefect.workers.process import ProcessWorker

from tasks.devices import count

WIDTHS = (1, 8)
"""Devices of one replica: each width has a pool, `gpu-1` and `gpu-8`."""
ZOMBIES = "flow runs whose heartbeat has stopped"
SILENCE = timedelta(seconds=90)


def limits() -> dict[str, int]:
    """The work pools of this machine, and how many runs each admits: what is `evaluation` waits for what is
    `inference`, so they never share one."""
    gpu = {f"gpu-{width}": count() // width for width in WIDTHS}
    gpu["gpu-1"] = max(1, gpu["gpu-1"])  # without GPU a model runs on the processor
    return {"cpu": max(4, os.cpu_count() or 1), **gpu}


def make_pools(pools: Mapping[str, int]) -> None:
    """Have process pools with these limits on the server, and the automation."""
    with get_client(sync_client=True) as client:
        for name, limit in pools.items():
            _make_pool(client, name, limit)
    _end_zombies()


def _make_pool(client: SyncPrefectClient, name: str, limit: int) -> None:
    try:
        client.read_work_pool(name)
    except ObjectNotFound:
        template = ProcessWorker.get_default_base_job_template()
        client.create_work_pool(WorkPoolCreate(name=name, type="process", base_job_template=template))
    # paused where nothing can run: who asks for it is told so, and does not wait
    client.update_work_pool(name, WorkPoolUpdate(concurrency_limit=limit, is_paused=limit == 0))


def bury(pools: Collection[str]) -> int:
    """Mark Crashed what is said to run in pools that have no worker yet; how many there were. The automation does not
    see what began before the server did."""
    types = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]
    running = FlowRunFilterState(type=FlowRunFilterStateType(any_=types))
    with get_client(sync_client=True) as client:
        left = client.read_flow_runs(
            flow_run_filter=FlowRunFilter(state=running),
            work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=list(pools))),
        )
        for run in left:
            client.set_flow_run_state(run.id, Crashed(message="the cluster that ran it has ended"), force=True)
    return len(left)


def _end_zombies() -> None:
    """Mark Crashed what has been silent for 90 s: where a worker and its flow process die together, nobody else would,
    and the run would hold its place in the pool for ever. Workers have a heartbeat sent every 30 s."""
    trigger = EventTrigger(
        after={"prefect.flow-run.heartbeat"},
        expect={"prefect.flow-run.*"},
        match=ResourceSpecification({"prefect.resource.id": ["prefect.flow-run.*"]}),
        for_each={"prefect.resource.id"},
        posture=Posture.Proactive,
        threshold=1,
        within=SILENCE,
    )
    told = f"nothing was heard of it for {SILENCE.seconds} s: its process and its worker have died"
    wanted = Automation(
        name=ZOMBIES, trigger=trigger, actions=[ChangeFlowRunState(state=StateType.CRASHED, message=told)]
    )
    try:
        wanted.id = cast(Automation, Automation.read(name=ZOMBIES)).id  # called from no coroutine
        wanted.update()
    except ValueError:
        wanted.create()
