"""Runs whose workers are processes of their own, started by a cluster back end of this machine."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import slow_runs
from slow_runs import finished, place

__all__ = ["place"]  # a fixture

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
