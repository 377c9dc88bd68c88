"""A worker: one replica of a model, which takes a run's shards from the exchange until none is left. It never opens the
ledger, and needs neither Prefect nor the process that made the shards, only the exchange.

A job is one model's work: `JOB.job.json` says the model, the shards, how many devices. While its parent lives, the
parent writes it anew; a worker whose job is gone or silent ends after the batch in hand. A worker lives as long as its
heartbeat changes; what a dead one had claimed is claimed again, and only what its segments lack is asked again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from assay.functions import load_functions
from assay.spec import ModelSpec
from assay.types import Model
from storage.exchange import exchange
from storage.spool import SEGMENTS, answered, shard_path
from tasks.devices import leased
from tasks.heartbeat import WAITING, Pulse, Watch, claim_name, claims
from tasks.infer import Receipt, infer, load, receipt_name, sign
from tasks.progress import advance


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
        pulse.tell(state=WAITING)
        with leased(read.devices if lease else 0) as mine:
            pulse.progress(state="ready", devices=mine)
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
