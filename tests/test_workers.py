"""Workers in processes of their own, started by a cluster back end: shared work, devices, spools, claims."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from ftp_server import ftp
from slow_runs import COUNT, asked, askers, place, rows, wait_for
from spread_runs import assay, run, spec, write

from assay.errors import ModelError
from storage.exchange import Exchange
from tasks import devices, heartbeat
from tasks.heartbeat import Watch, claims

__all__ = ["ftp", "place", "spec"]  # fixtures


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


@pytest.mark.parametrize(
    ("kind", "cut_by"), [pytest.param("folder", signal.SIGINT, marks=pytest.mark.server), ("ftp", signal.SIGKILL)]
)
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
    assert len(set(asked(place))) == COUNT
    # over FTP two workers may claim one shard of ten at the same moment: docs/decisions/001
    assert len(asked(place)) - COUNT <= (10 if kind == "ftp" else 0)
    shared = tmp_path / ("shared" if kind == "folder" else "served/spool")
    assert list(shared.iterdir()) == []


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
