"""Who lives and who has what: heartbeats and claims, which are files of the exchange.

Each is written by one process. Who looks at one goes by their own clock, since hosts' clocks differ: a writer whose
heartbeat has not changed for some time is dead.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Sequence
from typing import Any

import psutil

from assay.errors import AssayError, LedgerError
from storage.exchange import Exchange, exchange
from tasks.infer import receipt_name

BEAT = 5.0
"""Seconds between two heartbeats."""
SILENCE = 40.0
"""Seconds without a heartbeat after which a worker, or a parent, counts as dead."""
WAITING = "waiting for devices"
"""The state of a worker that may wait as long as it takes."""
STUCK = 70
"""Exit code of a worker that ended itself, since no answer came for too long."""


def claim_name(shard: str, number: int) -> str:
    """The file that says which worker has a shard: the highest number counts."""
    return f"{shard}.claim-{number:04d}.json"


def claims(shards: Sequence[str], names: Sequence[str]) -> dict[str, int]:
    """Of the shards that are not done, the number of the last claim, 0 where there is none; in order."""
    there = set(names)
    last = {shard: 0 for shard in shards if receipt_name(shard) not in there}
    for name in names:  # sorted: the last claim comes last
        shard, claim, number = name.removesuffix(".json").rpartition(".claim-")
        if claim and shard in last:
            last[shard] = int(number)
    return last


class Watch:
    """Who lives, by one's own clock: those whose heartbeat has changed within `SILENCE` seconds."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.seen: dict[str, tuple[Any, float]] = {}
        self.owners: dict[str, str] = {}
        """Claim -> worker: that never changes."""

    def alive(self, name: str) -> bool:
        """Whether a heartbeat's writer lives; at the first look at it, that is assumed unless it says that it ended."""
        told = self.exchange.told(name)
        if told is None or told.get("ended"):
            return False
        if told["host"] == socket.gethostname() and not psutil.pid_exists(told["pid"]):
            return False
        before, since = self.seen.get(name, (None, 0.0))
        if told["beat"] != before:
            self.seen[name] = (told["beat"], time.monotonic())
            return True
        return time.monotonic() - since < SILENCE

    def owner(self, shard: str, number: int) -> str | None:
        """The worker that made a shard's claim of this number; None where there is none."""
        name = claim_name(shard, number)
        if name not in self.owners and number and (told := self.exchange.told(name)):
            self.owners[name] = told["worker"]
        return self.owners.get(name)

    def held(self, shard: str, number: int) -> bool:
        """Whether the worker that made a shard's last claim lives."""
        owner = self.owner(shard, number)
        return owner is not None and self.alive(f"{owner}.worker.json")


class Pulse:
    """A worker's heartbeat, in a thread: it tells how far the worker is, and finds out whether it should go on."""

    def __init__(self, url: str, job: str, worker: str, timeout: float) -> None:
        self.exchange = exchange(url)
        self.job, self.name, self.timeout = f"{job}.job.json", f"{worker}.worker.json", timeout
        self.told: dict[str, Any] = {"host": socket.gethostname(), "pid": os.getpid(), "job": job, "state": "starting"}
        self.beat = 0
        self.revoked = False
        """The job is gone, or its parent is: nobody waits for the answers."""
        self.next_claim = ""
        """The file that is there once somebody else has taken this worker's shard, having believed it dead."""
        self.lost = False
        """The shard in hand is somebody else's."""
        self.moved = time.monotonic()
        self.over = threading.Event()
        self.lock = threading.Lock()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Pulse:
        self.tell()
        self.thread.start()
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        self.over.set()
        self.thread.join()
        cause = {"error": f"{error}" if isinstance(error, AssayError) else f"{type(error).__name__}: {error}"}
        self.tell(ended=True, final=isinstance(error, AssayError), **(cause if error else {}))

    def tell(self, **more: Any) -> None:
        """Put something into the heartbeat, and send it."""
        with self.lock:
            self.told |= more
            self.beat += 1
            self.exchange.say(self.name, {**self.told, "beat": self.beat})

    def progress(self, **more: Any) -> None:
        """Something was answered; the next heartbeat tells it."""
        self.moved = time.monotonic()
        self.told |= more

    def _run(self) -> None:
        parent = Watch(self.exchange)
        while not self.over.wait(BEAT):
            try:
                self.tell()
                self.revoked = not parent.alive(self.job)
                self.lost = bool(self.next_claim) and self.exchange.told(self.next_claim) is not None
            except (LedgerError, OSError) as error:  # a full disk, a store that is away: the next segment meets it too
                print(f"assay: the heartbeat of {self.name} could not be written: {error}", flush=True)
            if self.told["state"] != WAITING and time.monotonic() - self.moved > self.timeout:
                self._end()

    def _end(self) -> None:
        """End a process that does not get on: what hangs in it cannot be interrupted otherwise."""
        self.tell(ended=True, error=f"no answer came for {self.timeout:.0f} s: the worker ended itself")
        for child in psutil.Process().children(recursive=True):
            child.kill()
        os._exit(STUCK)
