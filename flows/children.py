"""Processes that are kept running: one that dies is started again, and none of them outlives this one's end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from assay.errors import AssayError

SHORT = 10.0
"""A process that lives less long than so many seconds has not come up."""
TRIES = 5
"""So often in a row is one that does not come up started again."""
PIDS = "children.json"
SAME = 5.0
END = 20.0
"""Seconds that a process has to end before it is killed."""


class Child:
    """A process that is kept running."""

    def __init__(self, name: str, command: Sequence[str], env: Mapping[str, str], log: Path, **more: Any) -> None:
        self.name, self.command, self.env, self.log, self.more = name, list(command), dict(env), log, more
        self.tries = 0
        self.process = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        """Start it; what it says is in its log."""
        self.began, self.born = time.monotonic(), time.time()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            return subprocess.Popen(
                self.command,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the parent, which ends them in their order
                **self.more,
            )

    def end(self, how: int) -> None:
        """End it and whatever it has started: by a signal, and if that is not heard, by force."""
        family = _family(self.process.pid)
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(END)
        kill([*family, *_family(self.process.pid)])
        self.process.kill()
        self.process.wait()


class Children:
    """All of them, in the order in which they were started."""

    def __init__(self, logs: Path, say: Callable[[str], None]) -> None:
        self.logs, self.say = logs, say
        self.all: list[tuple[Child, int]] = []

    def keep(
        self, name: str, command: Sequence[str], env: Mapping[str, str], how: int = signal.SIGTERM, **more: Any
    ) -> None:
        """Start a process and keep it running; `how` is the signal that ends it."""
        self.all.append((Child(name, command, env, self.logs / f"{name}.log", **more), how))
        self.note()

    def note(self) -> None:
        """Write down who they are, for `end_orphans`."""
        (self.logs / PIDS).write_text(json.dumps([(child.process.pid, child.born) for child, _ in self.all]))

    def look(self) -> None:
        """Start again what has died. Raises AssayError where one does not come up."""
        for child, _ in self.all:
            code = child.process.poll()
            if code is None:
                continue
            child.tries = child.tries + 1 if time.monotonic() - child.began < SHORT else 0
            if child.tries >= TRIES:
                raise AssayError(f"{child.name} does not come up: it ended {TRIES} times with {code}; see {child.log}")
            self.say(f"{child.name} ended with {code} and is started again; see {child.log}")
            child.process = child.start()
            self.note()

    def until(self, ready: Callable[[], bool], what: str, seconds: float) -> None:
        """Wait until something is ready. Raises AssayError where it is not after so many seconds."""
        until = time.monotonic() + seconds
        while not ready():
            self.look()
            if time.monotonic() > until:
                raise AssayError(f"{what} is not there after {seconds:.0f} s; see the logs in {self.logs}")
            time.sleep(0.2)

    def end(self) -> None:
        """End all of them, the last one first."""
        while self.all:
            child, how = self.all.pop()
            child.end(how)


def end_orphans(logs: Path) -> None:
    """Kill what is left of processes whose keeper was killed."""
    path = logs / PIDS
    for pid, born in json.loads(path.read_text()) if path.exists() else ():
        with contextlib.suppress(psutil.NoSuchProcess):
            left = psutil.Process(pid)
            if abs(left.create_time() - born) < SAME:  # else the number has gone to another process
                kill([*_family(pid), left])


def _family(pid: int) -> list[psutil.Process]:
    """Whatever a process has started, directly or not."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).children(recursive=True)
    return []


def kill(processes: Sequence[psutil.Process]) -> None:
    """Kill processes that are still there, and wait until they are gone."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=END)


def as_user(name: str) -> dict[str, Any]:
    """What Popen wants so that a process runs as another user; nothing where this one is not root."""
    return {"user": name, "group": name, "extra_groups": []} if os.geteuid() == 0 else {}
