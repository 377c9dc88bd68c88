"""Nights on a real cluster: begun, cut off, gone on with; a broken checkpoint, one half written, one that fell."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
from clusters import Cluster, cluster, wait
from conftest import TINY

from assay.catalog import load_suite
from storage.ledger import Ledger

pytestmark = pytest.mark.server
MINI = load_suite("mini")


class Hook(HTTPServer):
    """Takes what alerts post."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Post)
        self.posted: list[dict[str, Any]] = []


class Post(BaseHTTPRequestHandler):
    """A post to it."""

    def do_POST(self) -> None:
        assert isinstance(self.server, Hook)
        self.server.posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nothing on the terminal."""


@pytest.fixture(scope="module")
def hook() -> Iterator[Hook]:
    with Hook() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, hook: Hook) -> Iterator[Cluster]:
    url = f"http://127.0.0.1:{hook.server_port}/alerts"
    with cluster(tmp_path_factory.mktemp("nights"), ASSAY_ALERT_URL=url, OMP_NUM_THREADS="1") as started:
        yield started


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a training has left: four checkpoints and, as 2400, 700 again; 500 is broken, 3000 half written."""
    folder = tmp_path_factory.mktemp("runs")
    for step in (300, 700, 1200, 1800):
        shutil.copytree(TINY / f"step-{step}", folder / f"step-{step}")
    shutil.copytree(TINY / "step-700", folder / "step-2400")
    shutil.copytree(TINY / "step-300", folder / "step-500")
    weights = folder / "step-500" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    age(folder)
    (folder / "step-3000").mkdir()
    shutil.copy(TINY / "step-3000" / "config.json", folder / "step-3000")
    return folder


def age(folder: Path) -> None:
    """Let the files be an hour old."""
    for path in folder.rglob("*"):
        os.utime(path, (time.time() - 3600,) * 2)


def rows(running: Cluster, query: str) -> list[tuple[Any, ...]]:
    with Ledger(running.home / "l.duckdb").read() as con:
        found: list[tuple[Any, ...]] = con.execute(query).fetchall()
    return found


def begin(running: Cluster, runs: Path, **more: Any) -> str:
    night = {"watch": {"pattern": f"{runs}/step-*"}, "family": "tiny", "suites": ["mini"], "limit": 6, "settle": 900}
    for _ in range(10):
        try:
            return running.begin("checkpoints", night=night | more)
        except HTTPError as error:
            assert error.code == 503, error.read()  # SQLite is locked, says a server under load: try again
            time.sleep(3)
    raise AssertionError("the server takes no run")


def told(running: Cluster, night: str) -> dict[int, str]:
    """Step -> state, of the night's table."""
    found = running.ask(
        "artifacts/filter", artifacts={"flow_run_id": {"any_": [night]}, "key": {"any_": ["night-tiny"]}}
    )
    return {line["step"]: line["state"] for line in json.loads(found[0]["data"])}


def events(running: Cluster, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = running.ask("events/filter", filter={"event": {"name": [name]}}, limit=50)["events"]
    return found


def test_a_night_that_is_killed_is_gone_on_with_by_the_next(running: Cluster, runs: Path) -> None:
    first = begin(running, runs, at_most=2)
    ledger = running.home / "l.duckdb"
    wait(lambda: ledger.exists() and rows(running, "SELECT 1 FROM steps WHERE step = 'prompt' LIMIT 1"))
    [(killed, pid)] = rows(running, "SELECT run_id, pid FROM runs")
    os.kill(pid, signal.SIGKILL)
    assert running.final(first)["state_name"] == "Crashed"
    second = begin(running, runs, at_most=2)
    ended = running.final(second, 600)
    assert (ended["state_name"], ended["state"]["message"]) == ("Completed", "2 done, 1 broken, 3 left, 1 waiting")
    assert told(running, second) == {
        300: "done", 500: "broken", 700: "done", 1200: "left", 1800: "left", 2400: "left", 3000: "waiting"
    }  # fmt: skip
    assert rows(running, "SELECT run_id FROM runs ORDER BY created")[0] == (killed,), "taken up, not begun anew"
    assert rows(running, "SELECT state, count(*) FROM runs GROUP BY ALL") == [("done", 2)]


def test_the_ledger_knows_family_and_step_of_each(running: Cluster) -> None:
    found = rows(
        running, "SELECT family, step, model, count(DISTINCT benchmark) FROM checkpoints GROUP BY ALL ORDER BY 2"
    )
    assert found == [("tiny", 300, "tiny-300", len(MINI)), ("tiny", 700, "tiny-700", len(MINI))]


def test_the_night_after_goes_on_and_tells_what_fell(running: Cluster, runs: Path, hook: Hook) -> None:
    night = begin(running, runs)
    ended = running.final(night, 900)
    assert ended["state_name"] == "Regressed" and "fell at step 2400" in ended["state"]["message"]
    assert told(running, night) == {1200: "done", 1800: "done", 2400: "done", 3000: "waiting"}
    fell = events(running, "assay.benchmark.fell")
    assert {event["resource"]["prefect.resource.id"] for event in fell} == {"assay.checkpoint.tiny.2400"}
    [paper] = [event["payload"] for event in fell if event["payload"]["benchmark"] == "mini_paper"]
    assert (paper["family"], paper["step"], paper["against"], paper["against_step"]) == ("tiny", 2400, "previous", 1800)
    assert paper["from"] > paper["to"] and paper["p"] < 0.05 and paper["lost"] > paper["won"]
    wait(lambda: len(hook.posted) == len(fell), 300)
    assert sorted(posted["benchmark"] for posted in hook.posted) == sorted(e["payload"]["benchmark"] for e in fell)
    assert all("fell at step 2400" in posted["text"] for posted in hook.posted)
    alerts = running.ask("flow_runs/filter", flows={"name": {"any_": ["alert"]}})
    wait(lambda: all(running.run(one["id"])["state_name"] == "Regressed" for one in alerts))


def test_curves_and_comparisons_are_pages_of_the_run(running: Cluster) -> None:
    latest = {one["key"]: one for one in running.ask("artifacts/latest/filter")}
    curves = {key for key in latest if key.startswith("curve-tiny-")}
    dimensions = {d for (d,) in rows(running, "SELECT DISTINCT dimension FROM checkpoints")}
    assert curves == {f"curve-tiny-{dimension.replace('_', '-')}" for dimension in dimensions}
    page = latest["curve-tiny-reasoning"]["data"]
    assert "data:image/svg+xml;base64," in page and "| mini_add (exact_match) | 2400 |" in page
    for key, against in (("compare-tiny-previous", "step 1800"), ("compare-tiny-best", "step 1800")):
        table = json.loads(latest[key]["data"])
        assert {row["benchmark"] for row in table} == set(MINI)
        assert {against, "step 2400", "difference [95 %]", "Holm's p", "lost", "won"} <= set(table[0])


def test_what_was_half_written_is_taken_when_it_is_whole_and_what_is_broken_is_told_once(
    running: Cluster, runs: Path
) -> None:
    shutil.copytree(TINY / "step-3000", runs / "step-3000", dirs_exist_ok=True)
    (runs / "step-3000" / "model.safetensors").touch()
    night = begin(running, runs, settle=20, wait=60)
    ended = running.final(night, 600)
    assert (ended["state_name"], ended["state"]["message"]) == ("Completed", "1 done")
    assert told(running, night) == {3000: "done"}
    [broken] = events(running, "assay.checkpoint.broken")
    assert broken["payload"]["step"] == 500 and "not a whole safetensors file" in broken["payload"]["cause"]
    [page] = [one for one in running.ask("artifacts/filter") if one["key"] == "broken-tiny-500"]
    assert "is skipped until its files change" in page["data"]
    assert running.final(begin(running, runs))["state"]["message"] == "nothing to do"


def test_a_night_that_is_cancelled_cancels_its_evaluation_and_the_workers_of_it(running: Cluster, runs: Path) -> None:
    night = begin(running, runs, family="other", limit=None, compute={"pool": "gpu-{devices}"}, at_most=1)

    def below(of: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = running.ask("flow_runs/filter", flow_runs={"parent_flow_run_id": {"any_": [of]}})
        return found

    wait(lambda: below(night) and any(one["state_name"] == "Running" for one in below(below(night)[0]["id"])))
    [evaluation] = below(night)
    running.prefect("flow-run", "cancel", night)
    assert running.final(night)["state_name"] == "Cancelled"
    assert running.final(evaluation["id"])["state_name"] == "Cancelled"
    wait(lambda: {one["state_name"] for one in below(evaluation["id"])} == {"Cancelled"})
