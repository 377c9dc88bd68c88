"""Runs that last long enough to be cut off: a model that sleeps over every answer and writes down what it is asked.

So what was asked is known even of processes that were killed. Its adapter comes from a catalogue folder, as a user's.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
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
        self.log, self.seconds, self.bad = Path(options["log"]), options["seconds"], options.get("bad")
        if options.get("refuses"):
            raise OSError("no such weights")
        with self.log.with_name("loaded.log").open("a") as log:
            log.write(f"{os.getpid()} {os.environ.get('CUDA_VISIBLE_DEVICES')} {time.time()}\\n")

    def answer(self, requests):
        for request in requests:
            with self.log.open("a") as log:
                log.write(f"{request.key} {os.getpid()}\\n")
            text = request.messages[-1]["content"]
            if self.bad and f"{text} ".startswith(f"{self.bad['question']} "):
                {"die": lambda: os._exit(1), "hang": lambda: time.sleep(600)}[self.bad["does"]]()
            time.sleep(self.seconds)
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
def assay(place: Path, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """The command line in a process of its own, with an embedded server unless the environment names another."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT")} | {
        "PREFECT_HOME": str(place / "prefect"),
        **environment,
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
    return [line.split()[0] for line in log.read_text().splitlines()] if log.exists() else []


def askers(place: Path) -> list[int]:
    """The processes that asked, in order."""
    log = place / "asked.log"
    return [int(line.split()[1]) for line in log.read_text().splitlines()] if log.exists() else []


def wait_for(condition: Any, seconds: float = 90) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it does not come to pass"
        time.sleep(0.05)


def finished(process: subprocess.Popen[str]) -> tuple[int, dict[str, Any]]:
    out, err = process.communicate(timeout=180)
    assert process.returncode in (0, 1) and out.strip(), err
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
