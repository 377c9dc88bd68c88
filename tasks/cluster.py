"""Workers on a cluster that Prefect has no pool for: a back end runs the worker's command, to its end, on some GPUs."""

from __future__ import annotations

import sys
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence

from adapters import cluster_backend
from tasks.context import Run


class Cluster:
    """Starts the workers of one model; each has a thread that waits for its command's end."""

    def __init__(self, name: str, run: Run, model: str) -> None:
        self.command: Callable[[Sequence[str], int], None] = cluster_backend(name, run.spec.catalog).run
        self.devices = run.models[model].devices
        self.states: dict[str, str] = {}

    def start(self, url: str, job: str, number: int) -> str:
        """Have the back end run a worker."""
        name = f"{job}-{number}-{uuid.uuid4().hex[:8]}"
        command = [sys.executable, "-m", "flows.work", url, job, name]
        self.states[name] = "waiting"
        threading.Thread(target=self._run, args=(name, command), daemon=True).start()
        return name

    def _run(self, name: str, command: Sequence[str]) -> None:
        try:
            self.command(command, self.devices)
            self.states[name] = "done"
        except Exception as error:  # noqa: BLE001  a back end may be a user's, and what it says is the worker's end
            self.states[name] = f"{type(error).__name__}: {error}"

    def state(self, name: str) -> str:
        """`waiting` from its start on, since the cluster may have it in a queue; `done`, or the error that ended it."""
        return self.states[name]

    def stop(self, names: Sequence[str], why: str, dead: bool = False) -> None:
        """A command is left to itself: its worker ends once its job's file is gone."""

    def show(self, name: str, scores: Mapping[str, tuple[float, int]]) -> None:
        """There is no page to show it on."""

    def check(self) -> None:
        """Nothing ends the run but the run itself."""
