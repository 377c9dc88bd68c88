"""Runs that are cut off: nothing that was answered is lost, nothing is asked twice but what was in flight.

The model sleeps over every answer and writes down each question that it is asked, so what was asked is known even of
processes that were killed. Its adapter comes from a catalogue folder, as a user's own would.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from storage.ledger import Ledger

SLOW = """
import os, time
from pathlib import Path
from assay.types import Completion, ModelInfo

def describe(spec):
    return ModelInfo(identity={"slow": 1}, kinds=frozenset({"generate"}))

def load(spec):
    return Slow(spec.options)

class Slow:
    def __init__(self, options):
        self.log, self.seconds = Path(options["log"]), options["seconds"]

    def answer(self, requests):
        for request in requests:
            with self.log.open("a") as log:
                log.write(request.key + "\\n")
            time.sleep(self.seconds)
            text = request.messages[-1]["content"]
            yield [Completion(request.key, text=str(added(text)), finish="stop")]

def added(text):
    one, other = text.rstrip("= ").split(" + ")
    return int(one) + int(other)
"""
SUMS = """
# Sums of two numbers.
dimension: reasoning
sources: [{files: {path: sums.jsonl}}]
sample: {input: question, target: answer}
prompt: {template: "{{ input }} ="}
extract: [last_number]
score: [number_match]
"""
COUNT = 60


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A folder with a catalogue and a specification of a run that takes some seconds, and a Prefect home of its own."""
    catalog = tmp_path / "catalog"
    (catalog / "models").mkdir(parents=True)
    (catalog / "models" / "slow.py").write_text(SLOW)
    (catalog / "sums.yaml").write_text(SUMS)
    rows = [{"question": f"{i} + 1", "answer": str(i + 1)} for i in range(COUNT)]
    (catalog / "sums.jsonl").write_text("\n".join(map(json.dumps, rows)))
    options = {"log": str(tmp_path / "asked.log"), "seconds": 0.1}
    spec = {
        "models": [{"adapter": "slow", "path": "x", "options": options}],
        "benchmarks": ["sums"],
        "catalog": [str(catalog)],
    }
    (tmp_path / "spec.yaml").write_text(json.dumps(spec))
    yield tmp_path
    for path in (tmp_path / "prefect" / "assay").glob("server.json"):  # only where a test failed before its end
        psutil.Process(json.loads(path.read_text())["pid"]).kill()


@contextmanager
def assay(place: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The command line in a process of its own, with an embedded server."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT")} | {
        "PREFECT_HOME": str(place / "prefect")
    }
    command = [sys.executable, "-m", "flows.cli", *arguments, "--ledger", str(place / "l.duckdb")]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def asked(place: Path) -> list[str]:
    log = place / "asked.log"
    return log.read_text().split() if log.exists() else []


def wait_for(condition: Any, seconds: float = 90) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it does not come to pass"
        time.sleep(0.05)


def finished(process: subprocess.Popen[str]) -> tuple[int, dict[str, Any]]:
    out, err = process.communicate(timeout=180)
    assert process.returncode in (0, 1), err
    told: dict[str, Any] = json.loads(out.strip().splitlines()[-1])
    return process.returncode, told


def rows(place: Path, query: str) -> list[tuple[Any, ...]]:
    with Ledger(place / "l.duckdb").read() as con:
        found: list[tuple[Any, ...]] = con.execute(query).fetchall()
    return found


def no_server(place: Path) -> bool:
    return not (place / "prefect" / "assay" / "server.json").exists() and not any(
        "flows.server" in p.info["cmdline"] and p.environ().get("PREFECT_HOME") == str(place / "prefect")
        for p in psutil.process_iter(["cmdline"])
        if p.info["cmdline"]
    )


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
