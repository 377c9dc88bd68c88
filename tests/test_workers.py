"""Workers in processes of their own, started by a cluster back end: shared work, deaths, and what is asked twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import slow_runs
from ftp_server import ftp
from slow_runs import COUNT, asked, askers, finished, place, rows, wait_for

from assay.errors import ModelError
from storage.exchange import Exchange
from tasks import devices, heartbeat
from tasks.heartbeat import Watch, claims

__all__ = ["ftp", "place"]  # fixtures

HERE = """
import subprocess

def run(command, gpus):
    subprocess.run(command, check=True)
"""


@pytest.fixture
def spec(place: Path, prefect_server: str) -> dict[str, Any]:
    """A run on the cluster of this machine: two replicas, six shards of ten questions. Its server is the session's."""
    (place / "catalog" / "clusters").mkdir()
    (place / "catalog" / "clusters" / "here.py").write_text(HERE)
    told: dict[str, Any] = json.loads((place / "spec.yaml").read_text())
    told["partitioner"] = {"num_worker": {"workers": 6, "min_task_size": 10}}
    told["compute"] = {"cluster": "here", "replicas": 2}
    return write(place, told)


@contextmanager
def assay(place: Path, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    with slow_runs.assay(place, *arguments, PREFECT_API_URL=os.environ["PREFECT_API_URL"], **environment) as process:
        yield process


def write(place: Path, told: dict[str, Any], **options: Any) -> dict[str, Any]:
    told["models"][0]["options"].update(options)
    (place / "spec.yaml").write_text(json.dumps(told))
    return told


def run(place: Path, *more: str, **environment: str) -> tuple[int, dict[str, Any]]:
    with assay(place, "run", str(place / "spec.yaml"), "--json", *more, **environment) as process:
        return finished(process)


def test_two_workers_share_the_shards_and_each_question_is_asked_once(place: Path, spec: dict[str, Any]) -> None:
    code, told = run(place)
    assert code == 0 and told["scores"][0]["value"] == 1 and told["scores"][0]["n"] == COUNT
    assert len(asked(place)) == len(set(asked(place))) == COUNT
    assert len(set(askers(place))) == 2
    found = rows(place, "SELECT state, requests, worker, device, devices, seconds, load_seconds, bytes FROM shards")
    assert len(found) == 6 and {row[:2] for row in found} == {("done", 10)}
    assert len({row[2] for row in found}) == 2 and {row[3:5] for row in found} == {("cpu", 1)}
    assert all(row[5] > 0.9 and row[7] > 0 for row in found) and sum(row[6] > 0 for row in found) == 2
    assert rows(place, "SELECT count(*) FROM claims") == [(0,)]
    assert [path.name for path in (place / "l.duckdb.spool").iterdir()] == ["locks"]


@pytest.mark.parametrize(("kind", "cut_by"), [("folder", signal.SIGINT), ("ftp", signal.SIGKILL)])
def test_the_spool_may_be_elsewhere(
    place: Path, spec: dict[str, Any], kind: str, cut_by: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    spec["compute"]["spool"] = str(tmp_path / "shared") if kind == "folder" else request.getfixturevalue("ftp")
    write(place, spec, seconds=0.05)
    with assay(place, "run", str(place / "spec.yaml"), "--json") as process:
        wait_for(lambda: len(asked(place)) >= 12)
        process.send_signal(cut_by)
        process.wait(60)
    code, told = run(place)
    assert code == 0 and told["scores"][0]["value"] == 1 and told["scores"][0]["n"] == COUNT
    assert len(asked(place)) == len(set(asked(place))) == COUNT
    shared = tmp_path / ("shared" if kind == "folder" else "served/spool")
    assert list(shared.iterdir()) == []


def test_a_worker_that_is_killed_in_mid_shard_costs_at_most_its_batch(place: Path, spec: dict[str, Any]) -> None:
    with assay(place, "run", str(place / "spec.yaml"), "--json") as process:
        wait_for(lambda: len(asked(place)) >= 15)
        os.kill(askers(place)[-1], signal.SIGKILL)
        code, told = finished(process)
    assert code == 0 and told["scores"][0]["value"] == 1 and told["scores"][0]["n_errors"] == 0
    often = Counter(asked(place))
    assert len(often) == COUNT and sum(often.values()) <= COUNT + 1
    assert {ended for (ended,) in rows(place, "SELECT state FROM shards")} == {"done"}


AWAY = """
import subprocess, time

def run(command, gpus):
    subprocess.Popen(["unshare", "--uts", "sh", "-c", 'hostname away && exec "$@"', "sh", *command])
    time.sleep(3600)  # whoever started it hears nothing of its end
"""


@pytest.mark.server  # it takes a minute: that is what it is about
@pytest.mark.skipif(os.geteuid() != 0, reason="another host's name is given to a process by root only")
def test_a_worker_of_another_host_that_falls_silent_is_noticed_within_90_seconds(
    place: Path, spec: dict[str, Any]
) -> None:
    (place / "catalog" / "clusters" / "away.py").write_text(AWAY)
    spec["compute"] |= {"cluster": "away"}
    write(place, spec, seconds=0.2)
    with assay(place, "run", str(place / "spec.yaml"), "--json") as process:
        wait_for(lambda: len(set(askers(place))) == 2 and len(asked(place)) >= 15)
        for pid in set(askers(place)):
            os.kill(pid, signal.SIGKILL)
        dead, before, began = set(askers(place)), len(asked(place)), time.monotonic()
        wait_for(lambda: len(asked(place)) > before, 90)
        noticed = time.monotonic() - began
        code, told = finished(process)
    print(f"noticed, and others at work, after {noticed:.0f} s")
    assert code == 0 and told["scores"][0]["value"] == 1
    often = Counter(asked(place))
    assert len(often) == COUNT and sum(often.values()) <= COUNT + 2  # one in flight at each of the two
    assert not dead & set(askers(place)[before:])


def test_a_killed_run_dismisses_its_workers_and_asks_nothing_twice(place: Path, spec: dict[str, Any]) -> None:
    with assay(place, "run", str(place / "spec.yaml"), "--json") as process:
        wait_for(lambda: len(asked(place)) >= 12)
        process.send_signal(signal.SIGKILL)
    first = set(askers(place))
    assert all(psutil.pid_exists(pid) for pid in first)  # they live on, and end when they see that nobody waits
    code, told = run(place)
    assert code == 0 and told["scores"][0]["value"] == 1
    assert len(asked(place)) == len(set(asked(place))) == COUNT
    assert not any(psutil.pid_exists(pid) for pid in first)
    assert rows(place, "SELECT count(*), min(state) FROM runs") == [(1, "done")]


def test_another_run_of_the_same_takes_over_from_one_that_dies(place: Path, spec: dict[str, Any]) -> None:
    with assay(place, "run", str(place / "spec.yaml"), "--json") as one:
        wait_for(lambda: len(asked(place)) >= 5)
        with assay(place, "run", str(place / "spec.yaml"), "--json") as other:
            wait_for(lambda: rows(place, "SELECT count(*) FROM runs") == [(2,)])
            wait_for(lambda: len(asked(place)) >= 20)
            one.send_signal(signal.SIGKILL)
            code, told = finished(other)
    assert code == 0 and told["scores"][0]["value"] == 1
    assert len(asked(place)) == len(set(asked(place))) == COUNT


def test_ctrl_c_ends_the_workers(place: Path, spec: dict[str, Any]) -> None:
    with assay(place, "run", str(place / "spec.yaml")) as process:
        wait_for(lambda: len(asked(place)) >= 5)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 130, err
    wait_for(lambda: not any(psutil.pid_exists(pid) for pid in set(askers(place))), 30)
    code, told = run(place)
    assert code == 0 and told["scores"][0]["value"] == 1
    assert len(asked(place)) == len(set(asked(place))) == COUNT


@pytest.mark.parametrize("does", ["die", "hang"])
def test_a_question_that_ends_every_worker_fails_and_the_others_are_answered(
    place: Path, spec: dict[str, Any], does: str
) -> None:
    spec["compute"] |= {"attempts": 2, "timeout": 3.0}
    write(place, spec, bad={"question": "7 + 1", "does": does}, seconds=0.01)
    code, told = run(place)
    assert code == 1
    [score] = told["scores"]
    assert score["n_errors"] == 10 - 7 % 10 or score["n_errors"] > 0
    causes = {cause for (cause,) in rows(place, "SELECT cause FROM problems WHERE problem = 'request failed'")}
    assert len(causes) == 1 and "4 workers have ended" in causes.pop()
    assert len(set(askers(place))) == 4  # two, and two in place of the dead
    failed = rows(place, "SELECT count(DISTINCT completion_key) FROM failures")[0][0]
    assert failed == score["n_errors"] <= 10
    assert rows(place, "SELECT count(*) FROM completions") == [(COUNT - failed,)]
    (place / "asked.log").unlink()
    write(place, spec, bad=None)
    code, told = run(place)
    assert code == 0 and told["scores"][0]["value"] == 1 and len(asked(place)) == failed


def test_a_model_that_does_not_load_is_told_once(place: Path, spec: dict[str, Any]) -> None:
    write(place, spec, refuses=True)
    with assay(place, "run", str(place / "spec.yaml"), "--json") as process:
        _, err = process.communicate(timeout=120)
    assert process.returncode == 1 and "no such weights" in err and "Traceback" not in err.split("step failed")[-1]
    assert rows(place, "SELECT count(*) FROM completions") == [(0,)]


HOLDS = """
import sys, time
from tasks.devices import leased
with leased(int(sys.argv[1])) as mine:
    began = time.time()
    time.sleep(0.7)
    print(*mine, began, time.time())
"""


def test_nobody_has_a_device_that_somebody_else_has(tmp_path: Path) -> None:
    """Four pretended devices, wanted by replicas of width 1 and 2 at once: seven of them, ten devices."""
    environ = {**os.environ, "ASSAY_DEVICES": "0,1,2,3", "ASSAY_DEVICE_LOCKS": str(tmp_path)}
    held: list[tuple[set[str], float, float]] = []
    with ExitStack() as stack:
        started = [
            stack.enter_context(
                subprocess.Popen([sys.executable, "-c", HOLDS, width], env=environ, stdout=subprocess.PIPE, text=True)
            )
            for width in "2121211"
        ]
        for width, one in zip("2121211", started, strict=True):
            *mine, began, ended = one.communicate(timeout=120)[0].split()
            assert len(set(mine)) == int(width) and set(mine) <= set("0123")
            held.append((set(mine), float(began), float(ended)))
    for i, (mine, began, ended) in enumerate(held):
        for theirs, start, stop in held[:i]:
            assert not mine & theirs or stop <= began or ended <= start


def test_devices_are_leased_and_come_back_when_their_holder_dies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASSAY_DEVICES", "0,1,2,3")
    monkeypatch.setenv("ASSAY_DEVICE_LOCKS", str(tmp_path))
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    holds = "import time\nfrom tasks.devices import leased\nwith leased(3) as mine:\n    print(*mine, flush=True)\n"
    command = [sys.executable, "-c", holds + "    time.sleep(60)"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as one:
        assert one.stdout is not None and one.stdout.readline().split() == ["0", "1", "2"]
        with devices.leased(1) as mine:
            assert mine == ["3"] and os.environ["CUDA_VISIBLE_DEVICES"] == "3"
        assert "CUDA_VISIBLE_DEVICES" not in os.environ
        one.kill()
        one.wait()
    with devices.leased(4) as mine:
        assert mine == ["0", "1", "2", "3"]
    with pytest.raises(ModelError, match="wants 5 devices, and this machine has 4"), devices.leased(5):
        pass
    monkeypatch.setitem(sys.modules, "torch", sys)
    with pytest.raises(ModelError, match="before torch is imported"), devices.leased(1):
        pass


def test_a_heartbeat_that_stands_still_is_a_dead_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "SILENCE", 0.2)
    exchange, watch = Exchange(tmp_path), Watch(Exchange(tmp_path))
    assert not watch.alive("w.worker.json")
    elsewhere = {"host": "elsewhere", "pid": 1}
    exchange.say("w.worker.json", elsewhere | {"beat": 1})
    assert watch.alive("w.worker.json")
    time.sleep(0.3)
    assert not watch.alive("w.worker.json")
    exchange.say("w.worker.json", elsewhere | {"beat": 2})
    assert watch.alive("w.worker.json")
    exchange.say("w.worker.json", elsewhere | {"beat": 3, "ended": True})
    assert not watch.alive("w.worker.json")


def test_of_several_who_claim_one_gets_it_and_the_last_claim_counts(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path)
    assert [exchange.first("a.claim-0001.json", {"worker": name}) for name in "xyz"] == [True, False, False]
    assert exchange.told("a.claim-0001.json") == {"worker": "x"}
    exchange.first("a.claim-0002.json", {"worker": "y"})
    exchange.say("b.receipt.json", {})
    assert claims(["a", "b", "c"], exchange.names()) == {"a": 2, "c": 0}


@pytest.mark.parametrize(
    ("compute", "why"),
    [
        ({"cluster": "nowhere"}, "no cluster back end 'nowhere'; "),
        ({"pool": "gpu-1"}, "has no work pool 'gpu-1' with a deployment inference/gpu-1"),
        ({"pool": "gpu-1", "cluster": "here"}, "name one"),
        ({"replicas": 0}, "greater than or equal to 1"),
        ({"pools": "gpu-1"}, "pools"),
        ({"cluster": "here", "spool": "nope://x"}, "the spool nope://x"),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_written(
    place: Path, spec: dict[str, Any], compute: dict[str, Any], why: str
) -> None:
    spec["compute"] = compute
    write(place, spec)
    with assay(place, "run", str(place / "spec.yaml")) as process:
        _, err = process.communicate(timeout=120)
    assert process.returncode == 2 and why in err and "Traceback" not in err, err
    assert not (place / "l.duckdb").exists() and not asked(place)
