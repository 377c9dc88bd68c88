"""What the steps between prompt and score ask of the ledger: what is open, who has it, shards out, answers in."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from urllib.parse import unquote

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from storage.spool import publish, shard_path, whole

_WANTED = """
CREATE OR REPLACE TEMP TABLE wanted AS
SELECT completion_key_of(request_key, $model, sampling_key, replica) AS completion_key,
       min((prompted, ordinal, round, turn, choice)) AS place, any_value(request_key) AS request_key,
       any_value(sampling_key) AS sampling_key, any_value(replica) AS replica, any_value(sampling) AS sampling,
       any_value(seed) AS seed, any_value(gold) AS gold
FROM asked WHERE prompted IN (SELECT unnest($prompted)) AND asked_of IS NULL
    OR prompted IN (SELECT unnest($told)) AND asked_of = $model
GROUP BY completion_key
"""
_STATE = """
CREATE OR REPLACE TEMP TABLE wanted_state AS
SELECT w.completion_key, c.completion_key IS NOT NULL AS answered, t.completion_key IS NOT NULL AS taken
FROM wanted w
LEFT JOIN (
    SELECT DISTINCT completion_key FROM completions SEMI JOIN wanted USING (completion_key)
    WHERE created >= coalesce((SELECT created FROM runs WHERE run_id = $run AND refresh), '-infinity'::TIMESTAMP)
) c USING (completion_key)
LEFT JOIN (
    SELECT DISTINCT completion_key FROM claims JOIN runs USING (run_id)
    WHERE run_id <> $run AND lease > $now
) t USING (completion_key)
"""


class Counts(NamedTuple):
    """How the requests of a model stand, each counted once however often it is asked."""

    asked: int
    answered: int
    """Have a completion: a cache hit."""
    waiting: int
    """Have none and are claimed by another run that lives."""
    open: int
    """Are to be asked by this run."""


def open_requests(
    con: duckdb.DuckDBPyConnection, run_id: str, model_key: str, prompted: Sequence[str], told: Sequence[str] = ()
) -> Counts:
    """Find what has to be asked of a model, among what was asked under some prompt keys of its own and, of it as a
    judge or baseline, under those of others (`told`), into the temporary table `wanted` of this connection, where
    `open_columns`, `claim` and `write_shards` find it.

    In a run that refreshes, completions older than the run do not count.
    """
    con.execute(_WANTED, {"model": model_key, "prompted": list(prompted), "told": list(told)})
    con.execute(_STATE, {"run": run_id, "now": time.time()})
    row = con.execute(
        "SELECT count(*), count(*) FILTER (answered), count(*) FILTER (taken AND NOT answered),"
        " count(*) FILTER (NOT taken AND NOT answered)"
        " FROM wanted_state"
    ).fetchone()
    con.execute(
        "DELETE FROM wanted WHERE completion_key IN (SELECT completion_key FROM wanted_state WHERE answered OR taken)"
    )
    return Counts(*row) if row else Counts(0, 0, 0, 0)


def waiting(con: duckdb.DuckDBPyConnection, run_id: str, model_key: str, prompted: Sequence[str]) -> int:
    """How many requests have no completion yet and are claimed by another run that lives."""
    return open_requests(con, run_id, model_key, prompted).waiting


def open_columns(con: duckdb.DuckDBPyConnection) -> pa.Table:
    """What a partitioner goes by, a row for each open request in the order of the benchmarks: completion_key, prompted,
    kind, header_key, header_bytes, bytes (of messages and continuations), continuations (how many), max_tokens."""
    return con.sql(
        "SELECT w.completion_key, w.place[1] AS prompted, q.kind, q.header_key,"
        " coalesce(h.bytes, 0) AS header_bytes,"
        " strlen(q.messages) + coalesce(list_sum([strlen(c) FOR c IN q.continuations]), 0)::BIGINT AS bytes,"
        " coalesce(len(q.continuations), 0) AS continuations,"
        " coalesce((w.sampling->>'$.max_tokens')::BIGINT, 0) AS max_tokens"
        " FROM wanted w JOIN requests q USING (request_key)"
        " LEFT JOIN (SELECT header_key, strlen(messages) AS bytes FROM headers) h USING (header_key)"
        " ORDER BY w.place"
    ).to_arrow_table()


_FIRST = """
CREATE OR REPLACE TEMP TABLE first_of_header AS
SELECT min(completion_key) AS completion_key, header_key
FROM assignment JOIN wanted USING (completion_key) JOIN requests USING (request_key)
WHERE header_key IS NOT NULL GROUP BY shard, header_key
"""
_SHARDS = """
COPY (
    SELECT a.shard::VARCHAR AS shard, w.completion_key, w.request_key, $model::VARCHAR AS model_key, w.sampling_key,
           w.replica, q.kind, q.header_key, h.messages AS header, q.messages, q.continuations, q.needs, w.sampling,
           w.seed, w.gold
    FROM assignment a JOIN wanted w USING (completion_key) JOIN requests q USING (request_key)
    LEFT JOIN first_of_header f ON f.completion_key = w.completion_key
    LEFT JOIN headers h ON h.header_key = f.header_key
) TO '{folder}' (FORMAT parquet, COMPRESSION zstd, PARTITION_BY (shard))
"""


class Written(NamedTuple):
    """A shard in the spool."""

    shard: str
    path: Path
    requests: int


def write_shards(con: duckdb.DuckDBPyConnection, model_key: str, assignment: pa.Table, folder: Path) -> list[Written]:
    """Write the open requests to shards, as an assignment `completion_key, shard` divides them; in order of name.

    After `open_requests` on the same connection. Whoever reads a shard finds it whole.
    """
    folder.mkdir(parents=True, exist_ok=True)
    con.register("assignment", assignment)
    count = len(assignment["shard"].unique())
    if not count:
        return []
    with TemporaryDirectory(prefix=".plan-", dir=folder) as parts:
        con.execute(f"SET partitioned_write_max_open_files = {count + 1}")
        con.execute(_FIRST)
        con.execute(_SHARDS.format(folder=parts.replace("'", "''")), {"model": model_key})
        written = [_shard(part, folder) for part in sorted(Path(parts).glob("shard=*"))]
    con.unregister("assignment")
    return written


def _shard(part: Path, folder: Path) -> Written:
    """Move what DuckDB wrote for one shard, which may be several files, to the one place where it is looked for."""
    shard = unquote(part.name.removeprefix("shard="))
    path = shard_path(folder, shard)
    files = sorted(part.glob("*.parquet"))
    if len(files) == 1:
        publish(files[0], path)
    else:
        with whole(path) as merged, pq.ParquetWriter(merged, pq.read_schema(files[0]), compression="zstd") as writer:
            for file in files:
                for batch in pq.ParquetFile(file).iter_batches():
                    writer.write_batch(batch)
    return Written(shard, path, pq.read_metadata(path).num_rows)


def claim(con: duckdb.DuckDBPyConnection, run_id: str, seconds: float) -> None:
    """Have the open requests of this connection belong to a run while it lives: nobody else asks them."""
    con.execute(
        "INSERT INTO claims SELECT completion_key, $run, $expires FROM wanted"
        " ANTI JOIN (SELECT completion_key FROM claims WHERE run_id = $run) USING (completion_key)",
        {"run": run_id, "expires": time.time() + seconds},
    )


def release(con: duckdb.DuckDBPyConnection, run_id: str) -> None:
    """Give up what a run has claimed."""
    con.execute("DELETE FROM claims WHERE run_id = ?", [run_id])


def record_shards(
    con: duckdb.DuckDBPyConnection, run_id: str, shards: Sequence[str], receipts: Sequence[Mapping[str, Any]],
    now: datetime,
) -> None:  # fmt: skip
    """Close shards, with what their receipts say of who answered them and how fast."""
    con.execute(
        "UPDATE shards SET state = 'done', finished = ?"
        " WHERE run_id = ? AND list_contains(?, shard) AND state = 'open'",
        [now, run_id, list(shards)],
    )
    for told in receipts:
        con.execute(
            f"UPDATE shards SET {', '.join(f'{name} = ?' for name in RECEIPT)} WHERE run_id = ? AND shard = ?",
            [*(told.get(name) for name in RECEIPT), run_id, told["shard"]],
        )


RECEIPT = ("worker", "device", "devices", "input_tokens", "output_tokens", "seconds", "load_seconds", "engine")


def unfinished(con: duckdb.DuckDBPyConnection) -> list[tuple[str, str | None]]:
    """The runs that were cut off and had workers elsewhere, each with its spool where it named one."""
    rows = con.execute(
        "SELECT run_id, spec->>'$.compute.spool' FROM runs WHERE state IN ('running', 'interrupted')"
        " AND coalesce(lease, 0) < epoch(now())"
        " AND coalesce(spec->>'$.compute.pool', spec->>'$.compute.cluster') IS NOT NULL"
    ).fetchall()
    return [(run_id, spool) for run_id, spool in rows]


def renew_lease(con: duckdb.DuckDBPyConnection, run_id: str, seconds: float) -> None:
    """Have a run count as alive for some seconds from now."""
    con.execute("UPDATE runs SET lease = ? WHERE run_id = ?", [time.time() + seconds, run_id])


def bury(con: duckdb.DuckDBPyConnection) -> list[str]:
    """End the leases of runs of this host whose process is no more, rather than wait for them to lapse; which."""
    rows = con.execute(
        "SELECT run_id, pid FROM runs WHERE lease > ? AND host = ?", [time.time(), socket.gethostname()]
    ).fetchall()
    dead = [run_id for run_id, pid in rows if not _alive(pid)]
    for run_id in dead:
        con.execute("UPDATE runs SET lease = 0 WHERE run_id = ?", [run_id])
        release(con, run_id)
    return dead


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is there, and another user's
        return True
    return True
