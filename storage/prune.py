"""Pruning: what is older than some days loses its texts, and keeps its scores.

A run is old when nothing of it is younger than the cut (its beginning, its steps, its end) and no process is at it.
What only old runs use goes: questions, prompts, answers, what was read in them, failures. For ever stay runs, steps,
models, recipes, data sets, figures, scores, and of samples all but the text, since paired tests of old checkpoints go
by their groups and clusters. Steps whose rows went are `pruned` and no longer `done`, so that no later run takes them
for made; and what `cost` said of old runs is written down, since it counts answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import duckdb

from storage.ledger import Ledger
from storage.leftovers import held, leftovers
from storage.rewrite import at_rest, rewritten, tables

_RUNS = """
CREATE TEMP TABLE old AS
SELECT run_id FROM runs LEFT JOIN (SELECT run_id, max(recorded) AS last FROM steps GROUP BY run_id) USING (run_id)
WHERE greatest(created, finished, last) < $cut AND coalesce(lease, 0) <= epoch(now())
"""
_KEYS = """
CREATE TEMP TABLE gone AS
SELECT step_key FROM (
    SELECT prepared AS step_key FROM samples
    UNION SELECT prompted FROM asked UNION SELECT prompted FROM shown UNION SELECT prompted FROM examples
    UNION SELECT predicted FROM predictions UNION SELECT executed FROM executed
)
EXCEPT SELECT step_key FROM steps WHERE run_id NOT IN (FROM old)
"""
_CONTENT = """
CREATE TEMP TABLE kept_answers AS
SELECT completion_key, request_key, model_key FROM completions
WHERE created >= $cut
   OR completion_key IN (SELECT completion_key FROM run_requests WHERE run_id NOT IN (FROM old));
CREATE TEMP TABLE kept_requests AS
SELECT request_key FROM asked WHERE prompted NOT IN (FROM gone) UNION SELECT request_key FROM kept_answers;
CREATE TEMP TABLE kept_headers AS
SELECT DISTINCT header_key FROM requests
WHERE header_key IS NOT NULL AND request_key IN (FROM kept_requests);
"""
_GOES = {
    "samples": "prepared IN (FROM gone) AND fields IS NOT NULL",
    "asked": "prompted IN (FROM gone)",
    "shown": "prompted IN (FROM gone)",
    "examples": "prompted IN (FROM gone)",
    "requests": "request_key NOT IN (FROM kept_requests)",
    "headers": "header_key NOT IN (FROM kept_headers)",
    "completions": "completion_key NOT IN (SELECT completion_key FROM kept_answers)",
    "renderings": "(request_key, model_key) NOT IN (SELECT (request_key, model_key) FROM kept_answers)",
    "predictions": "predicted IN (FROM gone)",
    "executed": "executed IN (FROM gone)",
    "executions": "execution_key NOT IN (SELECT execution_key FROM executed WHERE executed NOT IN (FROM gone))",
    "failures": "run_id IN (FROM old)",
    "claims": "run_id IN (FROM old)",
}
"""Which rows of each table go; of samples, the column `fields` alone."""
_CHANGED = {
    "samples": "SELECT * REPLACE (CASE WHEN prepared NOT IN (FROM gone) THEN fields END AS fields)",
    "steps": "SELECT * REPLACE (CASE WHEN state = 'done' AND step_key IN (FROM gone) THEN 'pruned' ELSE state END"
    " AS state)",
}
_COST = """
INSERT INTO fresh.pruned
SELECT run_id, model, requests, answered, cached, input_tokens, output_tokens, $now FROM cost
WHERE run_id IN (FROM old)
"""
_BYTES = """
SELECT coalesce(sum(share + 262144 * len(additional_block_ids)), 0)::BIGINT FROM (
    SELECT column_name, coalesce(additional_block_ids, []) AS additional_block_ids,
           CASE WHEN block_id >= 0 THEN 262144 / count(*) OVER (PARTITION BY block_id) ELSE 0 END AS share
    FROM pragma_storage_info($table)
) WHERE $table <> 'samples' OR column_name = 'fields'
"""
"""What a table takes in the file; its blocks are of 256 KiB, which small columns share."""


class Going(NamedTuple):
    """What goes from a table, or from the spool."""

    where: str
    rows: int
    bytes: int
    """In the ledger's file, an estimate."""


class Pruned(NamedTuple):
    """What went, or would go."""

    runs: int
    """The old ones."""
    going: list[Going]
    before: int
    """Bytes of the ledger's file."""
    after: int


def prune(
    book: Ledger, spool: Path, keep: timedelta, dry_run: bool = False, told: Callable[[str], None] = lambda _: None
) -> Pruned:
    """Drop what only runs older than `keep` use, from the ledger and from the spool, or only say what would go.

    `told` is called with each table's name when its turn comes. Where nothing goes, nothing is written. Raises
    LedgerError where there is no ledger or no room to write it anew; it is then as it was.
    """
    now = datetime.now(UTC).replace(tzinfo=None)
    with at_rest(book) as con, _cut(con, spool, now - keep) as runs:
        before = book.path.stat().st_size
        going = [one for table in _GOES if (one := _going(con, table)).rows]
        folders = leftovers(con, spool, now - keep)
        if going and not dry_run:
            stays = before - sum(one.bytes for one in going)
            with rewritten(con, book, room=max(0, stays * 11 // 10) + (16 << 20)):
                _fill(con, now, told)
        if not dry_run:
            folders.remove()
    if folders.files:
        going.append(Going("spool", folders.files, folders.bytes))
    return Pruned(runs, going, before, book.path.stat().st_size)


@contextmanager
def _cut(con: duckdb.DuckDBPyConnection, spool: Path, cut: datetime) -> Iterator[int]:
    """Which runs are old, which keys only they use, and what of the rest is still wanted, as temporary tables; how many
    old runs there are."""
    con.execute(_RUNS, {"cut": cut})
    con.execute(_KEYS)
    keys = [key for (key,) in con.execute("FROM gone").fetchall()]
    con.execute("DELETE FROM gone WHERE list_contains($held, step_key)", {"held": held(spool, keys)})
    for query in _CONTENT.split(";\n")[:-1]:
        con.execute(query, {"cut": cut} if "$cut" in query else None)
    [(runs,)] = con.execute("SELECT count(*) FROM old").fetchall()
    yield int(runs)


def _going(con: duckdb.DuckDBPyConnection, table: str) -> Going:
    [(rows, gone)] = con.execute(f"SELECT count(*), count(*) FILTER ({_GOES[table]}) FROM {table}").fetchall()
    [(size,)] = con.execute(_BYTES, {"table": table}).fetchall()
    return Going(table, gone, size * gone // rows if rows else 0)


def _fill(con: duckdb.DuckDBPyConnection, now: datetime, told: Callable[[str], None]) -> None:
    """What stays, table by table, into the new file."""
    for table, name in tables(con).items():
        told(table)
        what = _CHANGED.get(table, "SELECT *")
        where = "" if table in _CHANGED or table not in _GOES else f"WHERE NOT ({_GOES[table]})"
        if table == "pruned":
            where = "WHERE run_id NOT IN (FROM old)"
            con.execute(_COST, {"now": now})
        con.execute(f"INSERT INTO fresh.{name} {what} FROM ledger.{name} {where}")
