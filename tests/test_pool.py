"""Evaluations on a real Prefect server with work pools and workers, all in processes of their own, as `make cluster`
starts them: shared shards, deaths, cancellations, and what is asked twice."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import slow_runs
from clusters import cluster
from slow_runs import COUNT, asked, askers, finished, place, rows, wait_for

from flows.server import _call

pytestmark = pytest.mark.server
__all__ = ["place"]  # a fixture


def call(url: str, body: Any = None) -> Any:
    """What the server answers; asked again while its database is locked or the machine is busy."""
    for _ in range(10):
        try:
            return _call(url, body)
        except (TimeoutError, urllib.error.HTTPError) as error:
            if isinstance(error, urllib.error.HTTPError) and error.code != 503:
                raise
            time.sleep(1)
    return _call(url, body)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A cluster on this machine with four pretended devices; its API URL."""
    home = tmp_path_factory.mktemp("cluster")
    (home / "catalog").mkdir()
    (home / "catalog" / "sums.yaml").write_text(slow_runs.SUMS)  # the form knows what is there when it is deployed
    with cluster(home, ASSAY_DEVICES="0,1,2,3", ASSAY_CATALOG=str(home / "catalog")) as started:
        yield started.api


@pytest.fixture
def spec(place: Path, api: str) -> dict[str, Any]:
    """A run on the pool gpu-1: two replicas, six shards of ten questions."""
    told: dict[str, Any] = json.loads((place / "spec.yaml").read_text())
    told["models"][0]["options"]["seconds"] = 0.5
    told["partitioner"] = {"num_worker": {"workers": 6, "min_task_size": 10}}
    told["compute"] = {"pool": "gpu-{devices}", "replicas": 2}
    return write(place, told)


def write(place: Path, told: dict[str, Any], **options: Any) -> dict[str, Any]:
    told["models"][0]["options"].update(options)
    (place / "spec.yaml").write_text(json.dumps(told))
    return told


@contextmanager
def assay(place: Path, api: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    with slow_runs.assay(place, *arguments, PREFECT_API_URL=api) as process:
        yield process


def children(api: str, run_id: str) -> list[dict[str, Any]]:
    """The flow runs that a run has started on the pool."""
    query = {"flow_runs": {"tags": {"all_": [f"assay-run-{run_id}"]}}}
    return [one for one in call(f"{api}/flow_runs/filter", query) if "replica" in one["parameters"]]


def the_run(place: Path) -> str:
    return str(rows(place, "SELECT run_id FROM runs ORDER BY created DESC LIMIT 1")[0][0])


def test_workers_of_a_pool_share_a_run_and_show_how_they_get_on(place: Path, api: str, spec: dict[str, Any]) -> None:
    with assay(place, api, "run", str(place / "spec.yaml"), "--json") as process:
        code, told = finished(process)
    assert code == 0 and told["scores"][0]["value"] == 1 and told["scores"][0]["n"] == COUNT
    assert len(asked(place)) == len(set(asked(place))) == COUNT and len(set(askers(place))) == 2
    visible = {line.split()[1] for line in (place / "loaded.log").read_text().splitlines()}
    assert len(visible) == 2 and visible <= set("0123")
    both = children(api, told["run"])
    assert [one["state"]["type"] for one in both] == ["COMPLETED", "COMPLETED"]
    assert {one["parent_task_run_id"] is not None for one in both} == {True}
    for one in both:
        artifacts = call(f"{api}/artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [one["id"]]}}})
        by_key = {artifact["key"]: artifact for artifact in artifacts}
        assert {"progress", "speed", "running-score"} <= set(by_key)
        assert by_key["progress"]["data"] > 0
        [speed] = json.loads(by_key["speed"]["data"])
        assert speed["answered"] > 0 and speed["tokens a second"] >= 0
        [score] = json.loads(by_key["running-score"]["data"])
        assert score["benchmark"] == "sums" and score["score so far"] == 1 and score["answers"] > 0


def test_replicas_of_two_widths_share_the_devices(place: Path, api: str, spec: dict[str, Any]) -> None:
    """Four pretended devices: two replicas of a model of width 2 and beside them, in another run, two of width 1."""
    wide, narrow = json.loads(json.dumps(spec)), json.loads(json.dumps(spec))
    (place / "wide").mkdir()
    for told, devices, log in ((wide, 2, place / "wide" / "asked.log"), (narrow, 1, place / "asked.log")):
        told["models"][0] |= {"devices": devices}
        told["models"][0]["options"] |= {"log": str(log), "seconds": 0.1, "name": devices}
        told["compute"] = {"pool": "gpu-1", "replicas": 2}
    (place / "wide.yaml").write_text(json.dumps(wide))
    write(place, narrow)
    with (
        assay(place / "wide", api, "run", str(place / "wide.yaml"), "--json") as one,
        assay(place, api, "run", str(place / "spec.yaml"), "--json") as other,
    ):
        assert finished(one)[0] == 0 and finished(other)[0] == 0
    loaded = [(place / f / "loaded.log").read_text().splitlines() for f in ("wide", ".")]
    widths = [[len(line.split()[1].split(",")) for line in lines] for lines in loaded]
    assert set(widths[0]) == {2} and set(widths[1]) == {1}
    assert {d for lines in loaded for line in lines for d in line.split()[1].split(",")} <= set("0123")


def killed(pid: int) -> None:
    psutil.Process(pid).kill()


def test_a_flow_process_that_is_killed_in_mid_shard_is_replaced(place: Path, api: str, spec: dict[str, Any]) -> None:
    with assay(place, api, "run", str(place / "spec.yaml"), "--json") as process:
        wait_for(lambda: len(set(askers(place))) == 2, 180)
        killed(askers(place)[-1])
        code, told = finished(process)
    assert code == 0 and told["scores"][0]["value"] == 1 and told["scores"][0]["n_errors"] == 0
    often = Counter(asked(place))
    assert len(often) == COUNT and sum(often.values()) <= COUNT + 1
    states = Counter(one["state"]["type"] for one in children(api, told["run"]))
    assert states["CRASHED"] == 1 and states["COMPLETED"] >= 1


def test_a_worker_and_its_flow_process_killed_together_are_noticed_and_their_slot_is_freed(
    place: Path, api: str, spec: dict[str, Any]
) -> None:
    write(place, spec, seconds=1.0)
    with assay(place, api, "run", str(place / "spec.yaml"), "--json") as process:
        wait_for(lambda: len(set(askers(place))) == 2, 180)
        flow = psutil.Process(askers(place)[-1])
        workers = [p for p in flow.parents() if "worker" in p.cmdline()]
        before, began = len(asked(place)), time.monotonic()
        for one in [*workers, flow]:
            one.kill()
        others = set(askers(place))
        wait_for(lambda: _is_over(api, place, set(), 1), 90)
        assert time.monotonic() - began < 90 and before <= len(asked(place)) and len(workers) == 1
        code, told = finished(process)
    assert code == 0 and told["scores"][0]["value"] == 1, others
    often = Counter(asked(place))  # the killed worker had both of them
    assert len(often) == COUNT and sum(often.values()) <= COUNT + 2


def _is_over(api: str, place: Path, states: set[str], at_least: int) -> bool:
    over = [one for one in children(api, the_run(place)) if one["state"]["type"] in (states or {"CRASHED"})]
    return len(over) >= at_least


def deployed(api: str, place: Path, spec: dict[str, Any]) -> str:
    """A run of the deployment `evaluation`, as the UI starts one; its id."""
    [deployment] = call(f"{api}/deployments/filter", {"deployments": {"name": {"any_": ["evaluation"]}}})
    parameters = {"spec": spec, "ledger": str(place / "l.duckdb")}
    run = call(f"{api}/deployments/{deployment['id']}/create_flow_run", {"parameters": parameters})
    return str(run["id"])


def state(api: str, flow_run: str) -> dict[str, Any]:
    found: dict[str, Any] = call(f"{api}/flow_runs/{flow_run}")["state"]
    return found


def test_a_deployed_run_that_is_cancelled_cancels_its_workers_and_is_completed_by_another(
    place: Path, api: str, spec: dict[str, Any]
) -> None:
    parent = deployed(api, place, spec)
    wait_for(lambda: len(set(askers(place))) == 2, 180)
    processes = set(askers(place))
    call(f"{api}/flow_runs/{parent}/set_state", {"state": {"type": "CANCELLING", "name": "Cancelling"}})
    wait_for(lambda: state(api, parent)["type"] == "CANCELLED", 60)
    run_id = the_run(place)
    wait_for(lambda: {one["state"]["type"] for one in children(api, run_id)} == {"CANCELLED"}, 60)
    wait_for(lambda: not any(psutil.pid_exists(pid) for pid in processes), 30)
    before = len(asked(place))
    assert before < COUNT
    again = deployed(api, place, spec)
    wait_for(lambda: state(api, again)["type"] in ("COMPLETED", "FAILED", "CRASHED"), 180)
    assert state(api, again)["type"] == "COMPLETED", state(api, again)
    assert the_run(place) == run_id and rows(place, "SELECT state FROM runs") == [("done",)]
    often = Counter(asked(place))
    assert len(often) == COUNT and sum(often.values()) <= COUNT + 2  # one in flight at each of the two


def test_a_deployed_run_that_is_killed_is_completed_by_its_next(place: Path, api: str, spec: dict[str, Any]) -> None:
    parent = deployed(api, place, spec)
    wait_for(lambda: len(set(askers(place))) == 2, 180)
    [(pid,)] = rows(place, "SELECT pid FROM runs")
    killed(pid)
    wait_for(lambda: state(api, parent)["type"] == "CRASHED", 60)
    again = deployed(api, place, spec)
    wait_for(lambda: state(api, again)["type"] in ("COMPLETED", "FAILED", "CRASHED"), 240)
    assert state(api, again)["type"] == "COMPLETED", state(api, again)
    assert rows(place, "SELECT count(*), min(state), min(value) FROM runs, leaderboard") == [(1, "done", 1.0)]
    often = Counter(asked(place))
    assert len(often) == COUNT and sum(often.values()) <= COUNT + 2


def test_a_run_of_the_command_line_can_be_cancelled_from_the_ui(place: Path, api: str, spec: dict[str, Any]) -> None:
    with assay(place, api, "run", str(place / "spec.yaml")) as process:
        wait_for(lambda: len(set(askers(place))) >= 1, 180)
        [(flow_run,)] = rows(place, "SELECT prefect_flow_run FROM runs")
        call(f"{api}/flow_runs/{flow_run}/set_state", {"state": {"type": "CANCELLING", "name": "Cancelling"}})
        _, err = process.communicate(timeout=90)
    assert process.returncode == 130 and "assay resume" in err, err
    assert state(api, flow_run)["type"] == "CANCELLED"
    for one in children(api, the_run(place)):
        assert one["state"]["type"] == "CANCELLED", one["state"]


def test_failed_requests_make_a_deployed_run_incomplete(place: Path, api: str, spec: dict[str, Any]) -> None:
    spec["compute"] |= {"attempts": 0}
    write(place, spec, bad={"question": "7 + 1", "does": "die"}, seconds=0.01)
    run = deployed(api, place, spec)
    wait_for(lambda: state(api, run)["type"] in ("COMPLETED", "FAILED", "CRASHED"), 180)
    assert (state(api, run)["type"], state(api, run)["name"]) == ("FAILED", "Incomplete")
    assert "request failed" in state(api, run)["message"]


def test_a_spec_that_is_wrong_is_told_on_the_runs_page(place: Path, api: str, spec: dict[str, Any]) -> None:
    run = deployed(api, place, spec | {"compute": {"pool": "gpu-3"}})
    wait_for(lambda: state(api, run)["type"] in ("COMPLETED", "FAILED", "CRASHED"), 120)
    assert state(api, run)["type"] == "FAILED" and "no work pool 'gpu-3'" in state(api, run)["message"]
    assert not (place / "l.duckdb").exists()
