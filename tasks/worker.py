"""A worker: one replica of a model, which takes a run's shards from the exchange until none is left. It never opens the
ledger, and needs neither Prefect nor the process that made the shards, only the exchange.

A job is one model's work: `JOB.job.json` says the model, the shards, how many devices. While its parent lives, the
parent writes it anew; a worker whose job is gone or silent ends after the batch in hand. A worker lives as long as its
heartbeat changes; what a dead one had claimed is claimed again, and only what its segments lack is asked again.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from assay.errors import AssayError, LedgerError
from assay.functions import load_functions
from assay.spec import ModelSpec
from assay.types import Model
from storage.exchange import Exchange, exchange
from storage.spool import SEGMENTS, answered, shard_path
from tasks.devices import leased
from tasks.infer import Receipt, infer, load, receipt_name, sign
from tasks.progress import advance

BEAT = 5.0
"""Seconds between two heartbeats."""
SILENCE = 40.0
"""Seconds without a heartbeat after which a worker, or a parent, counts as dead."""
STUCK = 70
"""Exit code of a worker that ended itself, since no answer came for too long."""


class Job:
    """What a parent tells its workers."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.spec = ModelSpec.model_validate(told["model"])
        self.catalog = tuple(map(Path, told["catalog"]))
        self.shards: list[str] = told["shards"]
        """The costliest first."""
        self.devices: int = told["devices"]
        self.timeout: float = told["timeout"]
        self.folder: str = told["folder"]
        """The parent's working directory."""


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
            if time.monotonic() - self.moved > self.timeout:
                self._end()

    def _end(self) -> None:
        """End a process that does not get on: what hangs in it cannot be interrupted otherwise."""
        self.tell(ended=True, error=f"no answer came for {self.timeout:.0f} s: the worker ended itself")
        for child in psutil.Process().children(recursive=True):
            child.kill()
        os._exit(STUCK)


class Worker:
    """A replica at work."""

    def __init__(self, url: str, pulse: Pulse, job: Job, name: str) -> None:
        self.exchange, self.pulse, self.job, self.name = exchange(url), pulse, job, name
        self.watch = Watch(self.exchange)
        self.model: Model | None = None
        self.total = Receipt("", name, devices=job.devices)
        """Over all shards that this worker has answered."""

    def shards(self) -> Iterator[tuple[str, int]]:
        """Shards that this worker has claimed, one after the other, with the number of the claim; until none is left
        that nobody has, or the job is over."""
        while not self.pulse.revoked:
            claimed = self._claim()
            if claimed is None:
                return
            yield claimed

    def done(self) -> tuple[int, int]:
        """How many of the job's shards are answered, of how many."""
        names = set(self.exchange.names("*.receipt.json"))
        return sum(receipt_name(shard) in names for shard in self.job.shards), len(self.job.shards)

    def _claim(self) -> tuple[str, int] | None:
        """The longest of the shards that are open; those that a worker has died of come last."""
        last = claims(self.job.shards, self.exchange.names())
        for shard in sorted(last, key=lambda shard: last[shard]):  # those of one number stay in the job's order
            number = last[shard] + 1
            if self.watch.held(shard, last[shard]):
                continue
            if self.exchange.first(claim_name(shard, number), {"worker": self.name}):
                self.pulse.next_claim, self.pulse.lost = claim_name(shard, number + 1), False
                return shard, number
        return None

    def answer(self, shard: str, claim: int) -> Receipt:
        """Answer what is open of a shard; its receipt, which is signed unless the job was over before the shard was.

        Raises ModelError where the model does not load, LedgerError where the spool takes no more.
        """
        self.pulse.progress(state="loading" if self.model is None else "answering", shard=shard)
        model = self.model = load(self.job.spec, self.job.catalog)
        segments = self.exchange.names(f"{shard}{SEGMENTS}")
        self.exchange.take([shard_path(Path(), shard).name, *segments])
        receipt = Receipt(shard, self.name, devices=self.job.devices)
        before = answered(self.exchange.folder, shard)
        for batch in infer(model, self.exchange.folder, shard, before, receipt, claim):
            self.exchange.give([batch.segment])
            self.total.add(batch.completions)
            self.pulse.progress(
                state="answering", answered=self.total.answered, failed=self.total.failed,
                input_tokens=self.total.input_tokens, output_tokens=self.total.output_tokens,
            )  # fmt: skip
            advance("infer", len(batch.completions), total=0)
            if self.pulse.revoked or self.pulse.lost:
                return receipt
        sign(self.exchange, receipt, self.job.spec)
        self.total.seconds += receipt.seconds
        return receipt


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


@contextmanager
def working(url: str, job: str, name: str, lease: bool = True) -> Iterator[Worker | None]:
    """A worker of a job, with its devices leased unless it was given some; None where the job is over already.

    On leaving, the heartbeat says that it ended, and why. Raises ModelError where the devices are not there.
    """
    told = exchange(url).told(f"{job}.job.json")
    if told is None:
        yield None
        return
    read = Job(told)
    with Pulse(url, job, name, read.timeout) as pulse:
        pulse.tell(state="waiting for devices")
        with leased(read.devices if lease else 0) as mine:
            pulse.progress(devices=mine)
            load_functions(read.catalog)
            yield Worker(url, pulse, read, name)


def work(url: str, job: str, name: str) -> int:
    """Do a worker's work from beginning to end, without Prefect: what a cluster back end has run; how many shards.

    Its devices are those that the cluster lets it see.
    """
    count = 0
    with working(url, job, name, lease=False) as worker:
        for shard, claim in worker.shards() if worker else ():
            worker.answer(shard, claim)  # type: ignore[union-attr]
            count += 1
    return count
