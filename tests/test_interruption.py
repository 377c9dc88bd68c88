"""Runs that are cut off: nothing that was answered is lost, nothing is asked twice but what was in flight."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

from slow_runs import COUNT, asked, assay, finished, no_server, place, rows, wait_for

__all__ = ["place"]  # a fixture


def test_a_killed_run_is_completed_and_asks_at_most_what_was_in_flight_again(place: Path) -> None:
    with assay(place, "run", str(place / "spec.yaml"), "--json") as process:
        wait_for(lambda: len(asked(place)) >= COUNT // 3)
        process.send_signal(signal.SIGKILL)
    with assay(place, "run", str(place / "spec.yaml"), "--json") as process:
        wait_for(lambda: len(asked(place)) >= 2 * COUNT // 3)
        process.send_signal(signal.SIGKILL)
    with assay(place, "resume", "--json") as process:
        code, told = finished(process)
    assert code == 0
    assert told["scores"][0]["value"] == 1 and told["scores"][0]["n"] == COUNT and told["scores"][0]["n_errors"] == 0
    often = Counter(asked(place))
    assert len(often) == COUNT
    assert sum(often.values()) <= COUNT + 2  # one in flight at each of the two kills
    assert rows(place, "SELECT count(*), count(DISTINCT completion_key) FROM completions") == [(COUNT, COUNT)]
    assert rows(place, "SELECT count(*), min(state) FROM runs") == [(1, "done")]
    assert rows(place, "SELECT count(*) FROM claims") == [(0,)]
    assert not list((place / "l.duckdb.spool").glob("*/*.parquet"))
    wait_for(lambda: no_server(place), 30)


def test_an_interrupted_run_says_how_to_go_on_and_ends_its_server(place: Path) -> None:
    with assay(place, "run", str(place / "spec.yaml")) as process:
        wait_for(lambda: len(asked(place)) >= 5)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 130, err
    assert "assay resume" in err and "Traceback" not in err
    assert rows(place, "SELECT state, lease IS NULL FROM runs") == [("interrupted", True)]
    wait_for(lambda: no_server(place), 30)
    with assay(place, "resume", "--json") as process:
        code, told = finished(process)
    assert code == 0 and told["scores"][0]["value"] == 1
    assert max(Counter(asked(place)).values()) <= 2 and len(asked(place)) <= COUNT + 1


def test_two_runs_and_a_reader_at_once_share_one_ledger_and_ask_nothing_twice(place: Path) -> None:
    spec = json.loads((place / "spec.yaml").read_text())
    (place / "other.yaml").write_text(json.dumps({**spec, "seed": 1}))  # another run of the same questions
    with (
        assay(place, "run", str(place / "spec.yaml"), "--json") as one,
        assay(place, "run", str(place / "other.yaml"), "--json") as other,
    ):
        wait_for(lambda: len(asked(place)) >= 3)
        with assay(place, "sql", "SELECT count(*) FROM runs", "--format", "csv") as reader:
            out, err = reader.communicate(timeout=60)
            assert reader.returncode == 0, err
            assert out.split() == ["count_star()", "2"]
        results = [finished(one), finished(other)]
    assert [code for code, _ in results] == [0, 0]
    assert [told["scores"][0]["value"] for _, told in results] == [1, 1]
    assert len(asked(place)) == len(set(asked(place))) == COUNT
    wait_for(lambda: no_server(place), 30)


def test_the_task_graph_is_there_when_a_server_is_started_later(place: Path) -> None:
    with assay(place, "run", str(place / "spec.yaml"), "--set", "model.options.seconds=0", "--json") as process:
        code, told = finished(process)
    assert code == 0
    wait_for(lambda: no_server(place), 30)
    environ = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT")} | {
        "PREFECT_HOME": str(place / "prefect")
    }
    look = subprocess.run(
        [sys.executable, "-c", HISTORY, told["run"]], env=environ, capture_output=True, text=True, timeout=120
    )
    assert look.returncode == 0, look.stderr
    found = json.loads(look.stdout.splitlines()[-1])
    assert found["flow"] == ["evaluation", "COMPLETED"]
    steps = {"prepare", "prompt", "plan", "infer", "collect", "postprocess", "score", "summarize", "report"}
    assert {name for name, _ in found["tasks"]} == steps
    (shards,) = rows(place, "SELECT count(*) FROM shards")[0]
    assert len(found["tasks"]) == 8 + 1 + shards  # plan looks once more whether anything is open
    assert {state for _, state in found["tasks"]} == {"COMPLETED"}


HISTORY = """
import json, sys
from flows.server import Embedded, apply_settings, _call
apply_settings()
server = Embedded()
server.start()
url = server.ready()
tag = {"flow_runs": {"tags": {"all_": ["assay-run-" + sys.argv[1]]}}}
(run,) = _call(url + "/flow_runs/filter", tag)
flow = _call(url + "/flows/filter", {"flows": {"id": {"any_": [run["flow_id"]]}}})[0]
tasks = _call(url + "/task_runs/filter", {"flow_runs": {"id": {"any_": [run["id"]]}}})
print(json.dumps({"flow": [flow["name"], run["state"]["type"]],
                  "tasks": [[t["name"].rsplit("-", 1)[0], t["state"]["type"]] for t in tasks]}))
server.stop()
"""
