"""A cluster as `make cluster` starts it, for tests: server, workers and deployments in processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from conftest import ROOT

from flows.server import _call, _free_port


@dataclass
class Cluster:
    """One that runs."""

    process: subprocess.Popen[bytes]
    home: Path
    port: int
    env: dict[str, str]

    @property
    def api(self) -> str:
        """Its API URL."""
        return f"http://127.0.0.1:{self.port}/api"

    def said(self) -> str:
        """What it has printed."""
        return (self.home / "said.log").read_text()

    def ask(self, path: str, body: Any = None, **query: Any) -> Any:
        """A question to its server, asked again where its SQLite is busy, as Prefect's own client does."""
        for _ in range(5):
            try:
                return _call(f"{self.api}/{path}", query if body is None else body)
            except urllib.error.HTTPError as error:
                if error.code != 503:
                    raise
                time.sleep(2)
        raise AssertionError(f"{path}: the server is busy")

    def get(self, path: str) -> Any:
        """What its server says of something."""
        return _call(f"{self.api}/{path}")

    def prefect(self, *arguments: str, code: int = 0) -> str:
        """Prefect's own command line on it; what it prints."""
        command = [sys.executable, "-m", "prefect", "--no-prompt", *arguments]
        done = subprocess.run(command, env=self.env, cwd=ROOT, capture_output=True, text=True, timeout=300)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def deployment(self, name: str) -> dict[str, Any]:
        """A deployment by its name."""
        [found] = [one for one in self.ask("deployments/filter") if one["name"] == name]
        return dict(found)

    def begin(self, deployment: str, **parameters: Any) -> str:
        """A new run of a deployment; its id."""
        made = self.ask(f"deployments/{self.deployment(deployment)['id']}/create_flow_run", parameters=parameters)
        return str(made["id"])

    def run(self, flow_run_id: str) -> dict[str, Any]:
        """A flow run as it stands."""
        [found] = self.ask("flow_runs/filter", flow_runs={"id": {"any_": [flow_run_id]}})
        return dict(found)

    def final(self, flow_run_id: str, seconds: float = 180) -> dict[str, Any]:
        """A flow run when it has ended."""
        ends = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
        wait(lambda: self.run(flow_run_id)["state_type"] in ends, seconds)
        return self.run(flow_run_id)

    def processes(self) -> list[psutil.Process]:
        """It and all that it has started."""
        me = psutil.Process(self.process.pid)
        return [me, *me.children(recursive=True)]

    def child(self, *words: str) -> psutil.Process:
        """The process of it that has these words on its command line."""
        [found] = [p for p in self.processes()[1:] if not set(words) - set(_words(p))]
        return found


def _words(process: psutil.Process) -> list[str]:
    try:
        return " ".join(process.cmdline()).split()
    except psutil.NoSuchProcess:
        return []


def wait(condition: Callable[[], object], seconds: float = 120) -> None:
    """Until something is so."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it does not come to pass"
        time.sleep(0.3)


@contextmanager
def cluster(home: Path, *options: str, **environment: str) -> Iterator[Cluster]:
    """A cluster with its data in a folder, for the time of the block; then nothing of it may be left."""
    port = _free_port()
    env = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT")} | {
        "PREFECT_HOME": str(home / "prefect"), "ASSAY_DEVICES": "0,1", "ASSAY_DEVICE_LOCKS": str(home / "locks"),
        "ASSAY_LEDGER": str(home / "l.duckdb"), **environment,
    }  # fmt: skip
    command = [sys.executable, "-m", "flows.cluster", "--port", str(port), *options]
    home.mkdir(parents=True, exist_ok=True)
    with (home / "said.log").open("w") as said:
        process = subprocess.Popen(command, env=env, cwd=ROOT, stdout=said, stderr=said)
    started = Cluster(process, home, port, env | {"PREFECT_API_URL": f"http://127.0.0.1:{port}/api"})
    try:
        wait(lambda: "Ctrl-C" in started.said() or process.poll() is not None, 300)
        assert process.poll() is None, started.said()
        yield started
    finally:
        family = started.processes() if process.poll() is None else []
        killed = process.poll() == -signal.SIGKILL  # by the test itself
        process.send_signal(signal.SIGTERM)
        code = process.wait(90)
        left = [p for p in family if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
        for one in left:
            one.kill()
    assert killed or (code, left) == (0, []), started.said()
