"""A model's shards, answered by workers elsewhere: the run starts them, takes in what they have answered, replaces
those that died, and ends those that nobody needs any more.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from assay.errors import AssayError, LedgerError
from assay.types import Completion
from storage.exchange import Exchange
from storage.spool import SEGMENTS, answered, read_requests, shard_path, write_segment
from tasks.collect import close
from tasks.context import Run, exchange_of
from tasks.heartbeat import BEAT, Watch, claim_name, claims
from tasks.infer import give_up, receipt_name
from tasks.progress import advance
from tasks.running import Running

LOOK = 1.0
"""Seconds between two looks at how the workers are getting on."""
START = 120.0
"""Seconds after which a worker that is said to run, and has said nothing, counts as dead."""
GRACE = 10.0
"""Seconds that workers have to end by themselves when all is done."""

logger = logging.getLogger("prefect.assay")  # under Prefect's own, so that its pages show it


class Hand(Protocol):
    """What starts workers somewhere: on a work pool, on a cluster."""

    def start(self, url: str, job: str, number: int) -> str | None:
        """Have the number-th worker of a job started; its name, under which it has its heartbeat. None where that is
        not possible just now."""

    def state(self, name: str) -> str:
        """`waiting`, `running`, `done`, or in words how it ended otherwise."""

    def stop(self, names: Sequence[str], why: str, dead: bool = False) -> None:
        """End workers, if they are there: those that seem to be dead are not waited for long."""

    def show(self, name: str, scores: Mapping[str, tuple[float, int]]) -> None:
        """Show what a worker's answers have scored so far: benchmark -> (mean, answers)."""

    def check(self) -> None:
        """Raise what should end the run, such as its cancellation."""


class Member:
    """A worker, as its run sees it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.over = False
        self.cause = ""
        """Why, where it died."""
        self.final = False
        """Another worker would meet the same."""
        self.since = time.monotonic()
        """Since when it has been said to run."""


class Fleet:
    """The workers of one model."""

    def __init__(self, run: Run, model: str, shards: Sequence[str], hand: Hand, replicas: int) -> None:
        self.run, self.model, self.hand = run, model, hand
        self.shards = list(shards)
        """Those that are not collected yet, the costliest first."""
        self.replicas = min(replicas, len(self.shards))
        self.job = f"{model[:8]}-{uuid.uuid4().hex[:8]}"
        self.exchange = self._exchange()
        self.watch = Watch(self.exchange)
        self.members: list[Member] = []
        self.running = Running(run, model)

    def _exchange(self) -> Exchange:
        return exchange_of(self.run.ledger.path, self.run.id, self.run.spec.compute.spool)

    def ask(self) -> None:
        """Have every shard answered and collected, or its requests failed with the cause. Raises LedgerError, and what
        the hand's `check` raises."""
        self.exchange.give([shard_path(Path(), shard).name for shard in self.shards])
        with self._job():
            try:
                while self.shards:
                    self.hand.check()
                    self._look_after()
                    time.sleep(LOOK)
                    self._collect()
                self._let_go(GRACE)
            finally:
                self._let_go(0)
        self.exchange.drop(self.exchange.names("*.json"))
        self.exchange.leave()

    @contextmanager
    def _job(self) -> Iterator[None]:
        """The job's file, rewritten while the block lasts, and gone after it."""
        subject, spec = self.run.models[self.model], self.run.spec
        told = {
            "host": socket.gethostname(), "pid": os.getpid(), "folder": str(Path.cwd()),
            "model": subject.spec.model_dump(mode="json"), "devices": subject.devices, "shards": list(self.shards),
            "catalog": [str(folder.absolute()) for folder in spec.catalog], "timeout": spec.compute.timeout,
        }  # fmt: skip
        name, over = f"{self.job}.job.json", threading.Event()
        self.exchange.say(name, told | {"beat": 0})
        beating = threading.Thread(target=_beat, args=(self._exchange(), name, told, over), daemon=True)
        beating.start()
        try:
            yield
        finally:
            over.set()
            beating.join()
            self.exchange.drop([name])

    def _look_after(self) -> None:
        """See who is over, and have as many workers as there is work for."""
        for member in self.members:
            if not member.over:
                self._see(member)
        living = [member for member in self.members if not member.over]
        hopeless = next((member for member in self.members if member.final), None)
        last = claims(self.shards, self.exchange.names())
        names = {member.name for member in living}
        loose = sum(self.watch.owner(shard, number) not in names for shard, number in last.items())
        wanted = min(loose, self.replicas) - len(living)
        left = self.replicas + self.run.spec.compute.attempts - len(self.members)
        for _ in range(0 if hopeless else min(wanted, left)):
            if name := self.hand.start(self.exchange.url, self.job, len(self.members)):
                self.members.append(Member(name))
        if last and not living and (hopeless or left <= 0):
            self._fail(hopeless or self.members[-1], last)

    def _see(self, member: Member) -> None:
        """Whether a worker is over: as its heartbeat says, or its silence, or the system that started it."""
        heartbeat = f"{member.name}.worker.json"
        told, state = self.exchange.told(heartbeat), self.hand.state(member.name)
        if state == "waiting":
            member.since = time.monotonic()
        if told is not None and told.get("ended"):
            member.over, member.cause, member.final = True, told.get("error", ""), told.get("final", False)
        elif state not in ("waiting", "running"):
            member.over, member.cause = True, "" if state == "done" else state
        elif told is not None and not self.watch.alive(heartbeat):
            member.over, member.cause = True, f"process {told['pid']} on {told['host']} fell silent"
        elif told is None and time.monotonic() - member.since > START:
            member.over, member.cause = True, f"it has said nothing for {START:.0f} s"
        if member.cause:
            label = self.run.models[self.model].spec.label
            logger.warning("the worker %s of %s is over: %s", member.name, label, member.cause)
            self.exchange.say(heartbeat, {**(told or {}), "ended": True, "error": member.cause})
            self.hand.stop([member.name], member.cause, dead=True)

    def _collect(self) -> None:
        """Take in the shards of which all has been asked."""
        names = set(self.exchange.names())
        done = [shard for shard in self.shards if receipt_name(shard) in names]
        if not done:
            return
        segments = [name for shard in done for name in self.exchange.names(f"{shard}{SEGMENTS}")]
        self.exchange.take([*(receipt_name(shard) for shard in done), *segments])
        with self.running.of(done) as scores:
            advance("infer", close(self.run, done), total=0)
        for worker, means in scores.items():
            self.hand.show(worker, means)
        self.exchange.drop([*segments, *(shard_path(Path(), shard).name for shard in done)])
        self.shards = [shard for shard in self.shards if shard not in set(done)]

    def _fail(self, member: Member, last: Mapping[str, int]) -> None:
        """No worker is left and no more are started: what is open fails, with the cause."""
        cause = member.cause or "it ended without a word"
        if not self.exchange.names(f"*{SEGMENTS}") and len(last) == len(self.shards):  # nothing was ever answered
            give_up(self.run, self.model, AssayError(cause))
            self.shards = []
            return
        for shard, number in last.items():
            if self.exchange.first(claim_name(shard, number + 1), {"worker": "none"}):
                self._fail_shard(shard, number + 1, f"{len(self.members)} workers have ended, the last one: {cause}")

    def _fail_shard(self, shard: str, claim: int, cause: str) -> None:
        self.exchange.take(self.exchange.names(f"{shard}{SEGMENTS}"))
        folder, failed = self.exchange.folder, 0
        before = answered(folder, shard)
        for requests in read_requests(shard_path(folder, shard)):
            lost = [Completion(request.key, error=cause) for request in requests if request.key not in before]
            failed += len(lost)
            self.exchange.give([write_segment(folder, shard, 0, lost, claim).name])
        self.exchange.say(receipt_name(shard), {"shard": shard, "failed": failed})

    def _let_go(self, seconds: float) -> None:
        """Give the workers some time to end; then end them."""
        until = time.monotonic() + seconds
        while any(not member.over for member in self.members) and time.monotonic() < until:
            time.sleep(LOOK)
            for member in self.members:
                if not member.over:
                    self._see(member)
        left = [member for member in self.members if not member.over]
        for member in left:
            member.over = True
        self.hand.stop([member.name for member in left], "its run needs it no more")


def _beat(place: Exchange, name: str, told: dict[str, Any], over: threading.Event) -> None:
    beat = 0
    while not over.wait(BEAT):
        beat += 1
        try:
            place.say(name, told | {"beat": beat})
        except LedgerError as error:  # a full disk meets the run itself too; the workers may end meanwhile
            logger.warning("the heartbeat of the run could not be written: %s", error)
