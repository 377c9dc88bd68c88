"""collect: what workers left in the spool becomes rows of the ledger. Nothing else writes completions."""

from __future__ import annotations

import time
from collections.abc import Sequence

from filelock import FileLock

from assay.errors import AssayError
from storage.collect import collect, orphans
from storage.exchange import Exchange
from storage.lock import say
from storage.spool import SEGMENTS, shard_path
from storage.steps import bury, record_shards, release, unfinished
from tasks.context import Run, exchange_of, now, open_run, spool_of
from tasks.heartbeat import Watch
from tasks.infer import receipt_name
from tasks.steps import step

LOOK = 0.5
"""Seconds between two looks at whether the workers of a dead run have ended."""


@step("collect")
def collect_task(ledger: str, run_id: str, shards: list[str]) -> int:
    """Completions that came in from some shards; the shards are closed."""
    return close(open_run(ledger, run_id), shards)


def close(run: Run, shards: Sequence[str]) -> int:
    """Take the segments of shards into the ledger, then remove the shards and give up the claims; how many came."""
    local = Exchange(run.spool)
    got = collect(run.ledger, run.spool, run.id, shards)
    receipts = [told for shard in shards if (told := local.told(receipt_name(shard)))]
    with run.ledger.write() as con:
        record_shards(con, run.id, list(shards), receipts, now())
        if not con.execute("FROM shards WHERE run_id = ? AND state = 'open' LIMIT 1", [run.id]).fetchone():
            release(con, run.id)
    local.drop(shard_path(run.spool, shard).name for shard in shards)
    return got.completions


def collect_orphans(run: Run) -> int:
    """Take in what runs that were cut off had answered; how many completions came.

    Their workers, where they had some elsewhere that still live, are told to end, and waited for: what they are asking
    just now is not asked again.
    """
    home = spool_of(run.ledger.path)
    (home / "locks").mkdir(parents=True, exist_ok=True)
    with FileLock(home / "locks" / "orphans.lock"):  # of two runs that begin at once, one takes them in
        with run.ledger.write() as con:
            bury(con)
            cut = unfinished(con)
        for run_id, spool in cut:
            try:
                dismiss(exchange_of(run.ledger.path, run_id, spool))
            except AssayError as error:  # a store that is gone for good must not hold up every run after it
                say(f"what the run {run_id} has left behind cannot be had now: {error}")
        with run.ledger.read() as con:
            left = orphans(con, home)
        return sum(collect(run.ledger, home / run_id, run_id).completions for run_id in left)


def dismiss(place: Exchange) -> None:
    """End the jobs of a run that died, wait until its workers have ended, and have their segments in its folder."""
    if not place.names():
        return
    place.drop(place.names("*.job.json"))
    watch = Watch(place)
    while any(watch.alive(worker) for worker in place.names("*.worker.json")):
        time.sleep(LOOK)
    place.take(place.names(f"*{SEGMENTS}"))
    place.leave()
