"""Workers, and the runs that started them, are killed: nothing is lost, and what is asked twice is at most a batch."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
import pytest
from slow_runs import COUNT, asked, askers, finished, place, rows, wait_for
from spread_runs import assay, run, spec, write

__all__ = ["place", "spec"]  # fixtures


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


@pytest.mark.parametrize("does", ["die", pytest.param("hang", marks=pytest.mark.server)])  # half a minute each
def test_a_question_that_ends_every_worker_fails_and_the_others_are_answered(
    place: Path, spec: dict[str, Any], does: str
) -> None:
    spec["compute"] |= {"replicas": 1, "attempts": 1, "timeout": 3.0}
    write(place, spec, bad={"question": "7 + 1", "does": does}, seconds=0.01)
    code, told = run(place)
    assert code == 1
    [score] = told["scores"]
    causes = {cause for (cause,) in rows(place, "SELECT cause FROM problems WHERE problem = 'request failed'")}
    assert len(causes) == 1 and "2 workers have ended" in causes.pop()
    assert len(set(askers(place))) == 2  # one, and one in place of the dead
    failed = rows(place, "SELECT count(DISTINCT completion_key) FROM failures")[0][0]
    assert failed == score["n_errors"] <= 10
    assert rows(place, "SELECT count(*) FROM completions") == [(COUNT - failed,)]
    (place / "asked.log").unlink()
    write(place, spec, bad=None)
    code, told = run(place)
    assert code == 0 and told["scores"][0]["value"] == 1 and len(asked(place)) == failed
