"""prefect.yaml: Prefect ignores a key that it does not know, so each is held to a strict record here."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
import yaml
from conftest import ROOT
from prefect import Flow
from prefect.client.schemas.schedules import CronSchedule
from prefect.events import DeploymentEventTrigger
from prefect.flows import load_flow_from_entrypoint
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools.validation import validate
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from flows.pools import limits

TEXT = (ROOT / "prefect.yaml").read_text(encoding="utf-8")


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Schedule(Strict):
    slug: str
    cron: str
    timezone: str
    active: bool
    parameters: dict[str, Any] = {}

    @model_validator(mode="after")
    def _as_prefect_reads_it(self) -> Schedule:
        CronSchedule(cron=self.cron, timezone=self.timezone)
        return self


class Job(Strict):
    """What a process pool can be told of a run, as far as it is used here."""

    working_dir: str
    command: Literal["python -m prefect.engine"]
    env: dict[str, str] = {}


class WorkPool(Strict):
    name: str
    job_variables: Job


class Limit(Strict):
    limit: int
    collision_strategy: Literal["ENQUEUE", "CANCEL_NEW"]
    grace_period_seconds: int = Field(default=60, ge=60, le=86400)


class Trigger(Strict):
    type: Literal["event"]
    name: str
    enabled: bool
    match: dict[str, str]
    expect: list[str]
    parameters: dict[str, Any]


class Deployment(Strict):
    name: str
    entrypoint: Annotated[str, Field(pattern=r"^flows(\.\w+)+$")]
    description: str
    tags: list[str]
    parameters: dict[str, Any] = {}
    work_pool: WorkPool
    schedules: list[Schedule] = []
    concurrency_limit: Limit | None = None
    triggers: list[Trigger] = []


class Whole(Strict):
    name: Literal["assay"]
    prefect_version: str = Field(alias="prefect-version")
    definitions: dict[str, Job]
    pull: list[Any] = Field(max_length=0)
    deployments: list[Deployment]


WHOLE = Whole.model_validate(yaml.safe_load(TEXT))
EACH = pytest.mark.parametrize("deployment", WHOLE.deployments, ids=lambda one: one.name)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("work_pool:", "workpool:"),
        ("schedules:", "schedule:"),
        ("job_variables:", "job_variable:"),
        ("concurrency_limit:", "concurency_limit:"),
        ("timezone: Europe/Berlin", "timezone: Europe/Bonn"),
        ('cron: "0 2 * * *"', 'cron: "0 25 * * *"'),
        ("collision_strategy:", "on_collision:"),
        ("triggers:", "trigger:"),
        ("flows.evaluation.evaluation", "flows/evaluation.py:evaluation"),
        ("pull: []", "pul: []"),
    ],
)
def test_a_slip_is_seen(right: str, wrong: str) -> None:
    assert right in TEXT
    with pytest.raises(ValidationError):
        Whole.model_validate(yaml.safe_load(TEXT.replace(right, wrong)))


def test_each_deployment_has_a_name_of_its_own_and_a_pool_that_make_cluster_makes() -> None:
    names = [(one.entrypoint, one.name) for one in WHOLE.deployments]
    assert len(set(names)) == len(names)
    assert {one.work_pool.name for one in WHOLE.deployments} == set(limits())


def test_parents_and_children_never_share_a_pool() -> None:
    """With one limit for both, parents that wait for children hold the places that these wait for."""
    children = {one.work_pool.name for one in WHOLE.deployments if one.entrypoint == "flows.inference.inference"}
    parents = {one.work_pool.name for one in WHOLE.deployments if one.entrypoint != "flows.inference.inference"}
    assert parents == {"cpu"} and not children & parents


def test_workers_of_a_pool_are_found_by_its_name() -> None:
    inference = [one for one in WHOLE.deployments if one.entrypoint == "flows.inference.inference"]
    assert all(one.name == one.work_pool.name for one in inference)


@EACH
def test_the_entrypoint_is_a_sync_flow_and_takes_the_parameters(deployment: Deployment) -> None:
    flow = load_flow_from_entrypoint(deployment.entrypoint)
    assert isinstance(flow, Flow) and not flow.isasync
    schema = parameter_schema(flow).model_dump_for_openapi()
    assert validate(deployment.parameters, schema, ignore_required=not deployment.parameters) == []
    for one in (*deployment.schedules, *deployment.triggers):
        assert set(one.parameters) <= set(flow.fn.__annotations__)
    if deployment.schedules:
        flow.validate_parameters({**deployment.parameters, **deployment.schedules[0].parameters})


@EACH
def test_runs_begin_in_the_folder_of_the_deployment(deployment: Deployment) -> None:
    """By default a process worker runs a flow in an empty folder that goes away with it, and its ledger too."""
    assert deployment.work_pool.job_variables.working_dir == "{{ $PWD }}"


def test_the_night_is_paused_until_somebody_wants_it_and_one_at_a_time() -> None:
    [night] = [one for one in WHOLE.deployments if one.schedules]
    assert (night.name, [one.active for one in night.schedules]) == ("checkpoints", [False])
    assert night.concurrency_limit is not None and night.concurrency_limit.limit == 1


def test_the_alert_waits_for_the_event_that_is_emitted() -> None:
    from tasks.follow import FELL, resource

    [alert] = [one for one in WHOLE.deployments if one.triggers]
    [trigger] = alert.triggers
    assert trigger.expect == [FELL]
    wanted = DeploymentEventTrigger.model_validate(trigger.model_dump())
    assert wanted.match.matches(resource("tiny", 3)) and not wanted.match.matches({"prefect.resource.id": "other"})
