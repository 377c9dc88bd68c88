"""plan: what has to be asked of a model, over all benchmarks of the run, is claimed and cut into shards."""

from __future__ import annotations

import time

import duckdb

from assay.solve import roles_of
from assay.workload import workload
from storage.steps import claim, open_columns, open_requests, write_shards
from tasks.collect import collect_orphans
from tasks.context import LEASE, Run, elsewhere, now, open_run
from tasks.dispatch import replicas
from tasks.divide import divide, shard_amounts
from tasks.estimate import rates_for
from tasks.progress import advance
from tasks.steps import step

WAIT = 1.0
"""Seconds between two looks at what another run is asking just now."""


@step("plan")
def plan_task(ledger: str, run_id: str, model: str, round: int) -> list[str]:
    """The shards of what is open; empty where everything is answered or has failed in this attempt."""
    return plan(open_run(ledger, run_id), model, round)


def plan(run: Run, model: str, round: int = 0) -> list[str]:
    """Claim the open requests to a model and write them to the spool; the names of their shards.

    Where all that is left is being asked by another run, waits until that one has it or has died.
    """
    names = run.alive(run.benchmarks, model)
    prompted = [key for name in names for key in run.prompted(name, model)]
    told = _told(run, names) if model in run.others else []
    while prompted or told:
        collect_orphans(run)  # of a run that died meanwhile, whose requests are open again
        with run.ledger.write() as con:
            counts = open_requests(con, run.id, model, prompted, told)
            left = _without_failures(con, run)
            if left:
                advance("infer", 0, total=left)
                return _write(con, run, model, round)
        if not counts.waiting:
            break
        time.sleep(WAIT)
    return []


def _told(run: Run, names: list[str]) -> list[str]:
    """The keys of what was asked about evaluated models, for benchmarks that ask others about them."""
    asking = [name for name in names if roles_of(run.benchmarks[name])]
    return [key for name in asking for subject in run.subjects for key in run.prompted(name, subject)]


def _without_failures(con: duckdb.DuckDBPyConnection, run: Run) -> int:
    """Take from `wanted` what has failed since this process took the run up; how much is left."""
    con.execute(
        "DELETE FROM wanted WHERE completion_key IN"
        " (SELECT completion_key FROM failures WHERE run_id = ? AND recorded >= ?)",
        [run.id, run.began],
    )
    [(left,)] = con.execute("SELECT count(*) FROM wanted").fetchall()
    return int(left)


def _write(con: duckdb.DuckDBPyConnection, run: Run, model: str, round: int) -> list[str]:
    subject = run.models[model]
    if "gold" not in subject.info.needs:  # the right answer leaves the ledger for a test double only
        con.execute("UPDATE wanted SET gold = NULL")
    [(before,)] = con.execute("SELECT count(*) FROM shards WHERE run_id = ?", [run.id]).fetchall()
    columns, rates = open_columns(con), rates_for(con, run, model)
    seconds = workload(columns, rates).total if elsewhere(run.spec, subject) else 0.0  # one process is one worker
    workers = replicas(run.spec, subject, seconds, rates.load)
    shards = divide(columns, run.spec.partitioner, f"{model[:8]}-{before:04d}-", rates, workers)
    claim(con, run.id, LEASE)
    written = write_shards(con, model, shards.assignment, run.spool)
    size = shard_amounts(columns, shards)
    con.executemany(
        "INSERT INTO shards (run_id, shard, model_key, round, requests, cost, path, state, started, bytes,"
        " distinct_bytes, allowance) VALUES (?, ?, ?, ?, ?, ?, ?, 'open', ?, ?, ?, ?)",
        [
            (run.id, one.shard, model, round, one.requests, shards.costs[one.shard], str(one.path), now(),
             size[one.shard].bytes, size[one.shard].distinct_bytes, size[one.shard].allowance)
            for one in written
        ],
    )  # fmt: skip
    return [shard.shard for shard in written]
