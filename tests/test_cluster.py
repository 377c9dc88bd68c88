"""`make cluster` on this machine: a real server, real workers, real runs; and what happens when one of them dies."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import slow_runs
from clusters import Cluster, cluster, wait

from flows.database import SETTINGS, _data_folder
from flows.pools import SILENCE, ZOMBIES, limits
from storage.ledger import Ledger

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One for the whole file, with a user's own catalogue: sums, and a model that is slow to add."""
    home = tmp_path_factory.mktemp("cluster")
    (home / "own" / "models").mkdir(parents=True)
    (home / "own" / "models" / "slow.py").write_text(slow_runs.SLOW)
    (home / "own" / "sums.yaml").write_text(slow_runs.SUMS)
    sums = [{"question": f"{i} + 1", "answer": str(i + 1)} for i in range(slow_runs.COUNT)]
    (home / "own" / "sums.jsonl").write_text("\n".join(map(json.dumps, sums)))
    with cluster(home, ASSAY_CATALOG=str(home / "own")) as started:
        yield started


def spec(**more: Any) -> dict[str, Any]:
    return {"models": ["oracle"], "benchmarks": ["mini_add", "mini_exam"], "limit": 20, **more}


def states(ledger: Path) -> dict[str, str]:
    with Ledger(ledger).read() as con:
        return dict(con.execute("SELECT run_id, state FROM runs").fetchall())


def test_pools_have_the_limits_of_the_devices_and_a_worker_each(running: Cluster) -> None:
    pools = {one["name"]: one["concurrency_limit"] for one in running.ask("work_pools/filter")}
    assert pools == {"cpu": limits()["cpu"], "gpu-1": 2, "gpu-8": 0}
    assert [one["name"] for one in running.ask("work_pools/filter") if one["is_paused"]] == ["gpu-8"]
    for name in ("cpu", "gpu-1"):
        wait(lambda name=name: running.ask(f"work_pools/{name}/workers/filter"))
    assert not running.ask("work_pools/gpu-8/workers/filter")
    assert "pool gpu-8  no worker: too few devices" in running.said()


def test_workers_look_often_and_send_heartbeats_that_the_automation_waits_for(running: Cluster) -> None:
    for pool in ("cpu", "gpu-1"):
        env = running.child("worker", pool).environ()
        assert (env["PREFECT_WORKER_QUERY_SECONDS"], env["PREFECT_RUNNER_AUTO_INSTALL_DEPENDENCIES"]) == ("2", "false")
        assert float(env["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"]) * 3 <= SILENCE.seconds
    [zombies] = [one for one in running.ask("automations/filter") if one["name"] == ZOMBIES]
    assert (zombies["trigger"]["posture"], zombies["trigger"]["within"]) == ("Proactive", SILENCE.seconds)


def test_the_server_writes_in_batches_keeps_few_events_and_tells_nobody(running: Cluster) -> None:
    assert running.child("server", "start").environ()["DO_NOT_TRACK"] == "1"
    told = running.get("admin/settings")["server"]
    assert told["analytics_enabled"] is False
    assert told["events"]["retention_period"] in (3 * 86400, "P3D")
    assert told["services"]["task_run_recorder"]["batch_size"] == 200
    assert told["services"]["event_persister"]["batch_size"] == 200
    assert (told["ui"]["api_url"], told["ui"]["show_promotional_content"]) == ("/api", False)


def test_what_is_deployed_is_deployed_again_without_harm(running: Cluster) -> None:
    def there() -> tuple[dict[str, Any], list[str]]:
        deployments = {one["name"]: (one["id"], len(one["schedules"])) for one in running.ask("deployments/filter")}
        return deployments, sorted(one["name"] for one in running.ask("automations/filter"))

    before = there()
    running.prefect("deploy", "--all")
    assert there() == before
    assert set(before[0]) == {"evaluation", "gpu-1", "gpu-8", "checkpoints", "alert"}
    assert before[0]["checkpoints"][1] == 1 and len(before[1]) == 2


def test_a_run_that_the_command_line_begins_is_asked_on_the_pool(running: Cluster) -> None:
    ledger = running.home / "pool.duckdb"
    wanted = json.dumps(spec(compute={"pool": "gpu-1", "replicas": 1}))
    begin = ["deployment", "run", "evaluation/evaluation", "--watch"]
    assert "Completed" in running.prefect(*begin, "--param", f"spec={wanted}", "--param", f'ledger="{ledger}"')
    [(run_id, state)] = states(ledger).items()
    assert state == "done"
    runs = running.ask("flow_runs/filter", flow_runs={"tags": {"all_": [f"assay-run-{run_id}"]}})
    [child] = [one for one in runs if one["deployment_id"] == running.deployment("gpu-1")["id"]]
    assert (child["state_type"], child["work_pool_name"]) == ("COMPLETED", "gpu-1")


def test_what_is_not_in_the_form_is_refused_before_a_run_begins(running: Cluster) -> None:
    wrong = json.dumps({"models": ["oracle"], "suites": ["minni"]})
    told = running.prefect("deployment", "run", "evaluation/evaluation", "--param", f"spec={wrong}", code=1)
    assert "'minni' is not one of" in " ".join(told.split())


def test_an_event_of_a_fall_begins_the_alert(running: Cluster) -> None:
    fall = {
        "family": "tiny", "step": 2, "against": "previous", "against_step": 1, "benchmark": "mini_add", "p": 0.001,
        "metric": "exact_match", "from": 0.5, "to": 0.25, "difference": -0.25, "lost": 9, "won": 0, "n": 40,
    }  # fmt: skip
    code = "import json, sys; from tasks.follow import FELL, resource; from prefect.events import emit_event\n"
    code += "emit_event(FELL, resource=resource('tiny', 2), payload=json.loads(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", code, json.dumps(fall)], env=running.env, check=True)
    alert = {"deployment_id": {"any_": [running.deployment("alert")["id"]]}}
    wait(lambda: running.ask("flow_runs/filter", flow_runs=alert))
    [begun] = running.ask("flow_runs/filter", flow_runs=alert)
    assert begun["parameters"] == {"fall": fall}
    ended = running.final(begun["id"])
    assert ended["state_name"] == "Regressed" and "mini_add (exact_match) fell at step 2" in ended["state"]["message"]


def test_a_schedule_fires_and_the_night_evaluates_the_committed_checkpoints(running: Cluster) -> None:
    night = running.deployment("checkpoints")
    asked = night["parameters"]["night"] | {"at_most": 2, "limit": 5, "settle": 0}
    own = {"cron": "* * * * *", "timezone": "Europe/Berlin"}
    parameters = {"night": asked, "ledger": str(running.home / "night.duckdb")}
    told = {"schedule": own, "active": True, "parameters": parameters}
    [made] = running.ask(f"deployments/{night['id']}/schedules", [told])
    fired = {"deployment_id": {"any_": [night["id"]]}, "state": {"type": {"not_any_": ["SCHEDULED", "PENDING"]}}}
    try:
        wait(lambda: running.ask("flow_runs/filter", flow_runs=fired), 150)
    finally:
        running.prefect("deployment", "schedule", "delete", "checkpoints/checkpoints", made["id"], "--accept-yes")
    [first, *_] = running.ask("flow_runs/filter", flow_runs=fired, sort="START_TIME_ASC")
    assert first["auto_scheduled"] and running.final(first["id"], 300)["state_name"] in ("Completed", "Regressed")
    with Ledger(running.home / "night.duckdb").read() as con:
        steps = con.execute("SELECT DISTINCT step FROM checkpoints ORDER BY step").fetchall()
    assert len(steps) == 2, running.run(first["id"])["state"]["message"]


def test_a_worker_and_its_run_that_die_together_are_noticed_and_both_go_on(running: Cluster) -> None:
    """Prefect alone would show the run as running for ever, and it would keep its place in the pool."""
    log = running.home / "asked.log"
    slow = {"adapter": "slow", "path": "x", "options": {"log": str(log), "seconds": 0.5}}
    wanted = {"spec": {"models": [slow], "benchmarks": ["sums"]}, "ledger": str(running.home / "slow.duckdb")}
    first = running.begin("evaluation", **wanted)
    wait(log.exists)
    for one in (running.child("worker", "cpu"), psutil.Process(slow_runs.askers(running.home)[-1])):
        one.kill()
    died = time.monotonic()
    assert "cut off" not in running.said()
    ended = running.final(first, 150)
    assert (ended["state_type"], "nothing was heard" in ended["state"]["message"]) == ("CRASHED", True)
    assert time.monotonic() - died < SILENCE.seconds + 30 + 20
    assert "worker-cpu ended with -9 and is started again" in running.said()
    again = running.final(running.begin("evaluation", **wanted))
    assert again["state_type"] == "COMPLETED"
    assert list(states(running.home / "slow.duckdb").values()) == ["done"]
    assert len(slow_runs.asked(running.home)) <= slow_runs.COUNT + 1


def test_a_server_that_dies_is_started_again_and_knows_what_it_knew(running: Cluster) -> None:
    before = running.ask("flow_runs/count")
    running.child("server", "start").kill()
    wait(lambda: "server ended with -9" in running.said())
    wait(lambda: answers(running.port))
    assert running.ask("flow_runs/count") >= before
    assert running.final(running.begin("evaluation", spec=spec()))["state_type"] == "COMPLETED"


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def refused(home: Path, *options: str) -> str:
    env = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT")}
    command = [sys.executable, "-m", "flows.cluster", *options]
    done = subprocess.run(command, env=env | {"PREFECT_HOME": str(home)}, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "Traceback" not in done.stderr and done.stderr.count("\n") == 1
    return done.stderr


def test_what_cannot_be_is_told_in_one_line(running: Cluster, tmp_path: Path) -> None:
    assert f"port {running.port}: Address already in use" in refused(tmp_path, "--port", str(running.port))
    assert "is running already: end it" in refused(running.home / "prefect", "--port", "1")
    assert "wanted the python of an environment" in refused(tmp_path, "--gpu-python", str(tmp_path / "none"))


@pytest.fixture
def swept(tmp_path: Path) -> Iterator[Path]:
    """A folder; gone afterwards is also what PostgreSQL has elsewhere, where its user may not go into the folder."""
    yield tmp_path
    shutil.rmtree(_data_folder(tmp_path / "prefect" / "assay" / "cluster").parent)


def test_on_postgresql_and_redis_a_run_goes_through_and_the_next_cluster_knows_it(swept: Path) -> None:
    with cluster(swept, "--postgres") as one:
        env = one.child("server", "start").environ()
        assert env.items() >= SETTINGS.items() and env["PREFECT_SERVER_DOCKET_URL"].startswith("redis://")
        assert "PREFECT_SERVER_DATABASE_CONNECTION_URL" not in one.child("worker", "cpu").environ()
        assert one.child("-c", "listen_addresses=127.0.0.1") and not list(swept.rglob("prefect.db"))
        ended = one.final(one.begin("evaluation", spec=spec(compute={"pool": "gpu-1", "replicas": 2})))
        assert ended["state_type"] == "COMPLETED"
        wait(lambda: one.run(ended["id"])["state_type"] == "COMPLETED")
        known = one.ask("flow_runs/count")
        one.child("redis-server").kill()
        wait(lambda: "redis ended with -9 and is started again" in one.said())
        assert one.final(one.begin("evaluation", spec=spec(seed=1)))["state_type"] == "COMPLETED"
        family = one.processes()
        family[0].kill()  # itself: the others have nobody then
        one.process.wait(10)
    assert [p for p in family[1:] if p.is_running()]
    with cluster(swept, "--postgres") as other:
        assert not [p for p in family if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
        assert other.ask("flow_runs/count") > known
