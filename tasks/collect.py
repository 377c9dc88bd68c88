"""collect: what workers left in the spool becomes rows of the ledger. Nothing else writes completions."""

from __future__ import annotations

from storage.collect import collect, orphans
from storage.spool import shard_path
from storage.steps import release
from tasks.context import Run, now, open_run, spool_of
from tasks.steps import step


@step("collect")
def collect_task(ledger: str, run_id: str, shards: list[str]) -> int:
    """Completions that came in from some shards; the shards are closed."""
    return close(open_run(ledger, run_id), shards)


def close(run: Run, shards: list[str]) -> int:
    """Take the segments of shards into the ledger, then remove the shards and give up the claims; how many came."""
    got = collect(run.ledger, run.spool, run.id, shards)
    with run.ledger.write() as con:
        con.execute(
            "UPDATE shards SET state = 'done', finished = ? WHERE run_id = ? AND list_contains(?, shard)",
            [now(), run.id, shards],
        )
        release(con, run.id)
    for shard in shards:
        shard_path(run.spool, shard).unlink(missing_ok=True)
    return got.completions


def collect_orphans(run: Run) -> int:
    """Take in what runs that were cut off had answered; how many completions came."""
    spool = spool_of(run.ledger.path)
    with run.ledger.read() as con:
        left = orphans(con, spool)
    return sum(collect(run.ledger, spool / run_id, run_id).completions for run_id in left)
