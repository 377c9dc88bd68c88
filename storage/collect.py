"""Answers in: what workers left in the spool becomes rows of the ledger, each once, however often it is collected."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import duckdb

from storage.ledger import Ledger
from storage.spool import SEGMENTS, segment_paths, shard_path, sound

# Which row of which file counts: the first answer to each request that the ledger has no answer to. Files are read
# again for the wide columns, since to sort those would cost more.
_FRESH = """
CREATE OR REPLACE TEMP TABLE fresh AS
WITH answer AS (
    SELECT completion_key, min((created, filename, file_row_number)) AS place
    FROM read_parquet($segments, filename = true, file_row_number = true)
    WHERE error IS NULL GROUP BY completion_key
), request AS (
    SELECT completion_key, any_value(request_key) AS request_key, any_value(model_key) AS model_key,
           any_value(sampling_key) AS sampling_key, any_value(replica) AS replica
    FROM read_parquet($shards) GROUP BY completion_key
)
SELECT request.*, place[2] AS filename, place[3] AS file_row_number
FROM answer JOIN request USING (completion_key)
ANTI JOIN completions c ON c.completion_key = answer.completion_key
"""
_REFRESH = """
DELETE FROM completions WHERE created < (SELECT created FROM runs WHERE run_id = $run AND refresh)
AND completion_key IN (SELECT completion_key FROM read_parquet($segments) WHERE error IS NULL)
"""
_COMPLETIONS = """
INSERT INTO completions BY NAME
SELECT f.completion_key, request_key, model_key, sampling_key, replica, text, sums, tokens, greedy, prompt_sums,
       prompt_lengths, token_logprobs, finish, input_tokens, output_tokens, truncated, created, $run AS run_id
FROM read_parquet($segments, filename = true, file_row_number = true) s
JOIN fresh f ON f.filename = s.filename AND f.file_row_number = s.file_row_number
"""
_RENDERINGS = """
INSERT INTO renderings BY NAME
SELECT request_key, model_key, rendering AS text
FROM read_parquet($segments, filename = true, file_row_number = true) s
JOIN (
    SELECT request_key, model_key, min((filename, file_row_number)) AS place FROM fresh GROUP BY request_key, model_key
) f ON f.place[1] = s.filename AND f.place[2] = s.file_row_number
ANTI JOIN renderings r ON r.request_key = f.request_key AND r.model_key = f.model_key
WHERE rendering IS NOT NULL
"""
_FAILURES = """
INSERT INTO failures BY NAME
SELECT DISTINCT s.completion_key, q.request_key, q.model_key, $run AS run_id, s.error, s.created AS recorded
FROM read_parquet($segments) s JOIN read_parquet($shards) q USING (completion_key)
ANTI JOIN failures f ON f.completion_key = s.completion_key AND f.run_id = $run AND f.recorded = s.created
WHERE s.error IS NOT NULL
"""


class Collected(NamedTuple):
    """What a collection brought in."""

    completions: int
    failures: int
    broken: tuple[Path, ...] = ()
    """Segments that could not be read: removed, and what they held is asked again."""


def collect(ledger: Ledger, folder: Path, run_id: str, shards: Sequence[str] | None = None) -> Collected:
    """Take the segments of a run's folder (of some shards, or of all) into the ledger, and remove them once that is
    committed. What the ledger has already, it keeps; in a run that refreshes, what is older than the run is replaced.

    Raises LedgerError.
    """
    found = segment_paths(folder) if shards is None else [p for s in shards for p in segment_paths(folder, s)]
    good, bad = sound(p for p in found if shard_path(folder, shard_of(p)).exists())
    counts = (0, 0)
    if good:
        with ledger.write() as con:
            counts = _insert(con, folder, good, run_id)
            ledger.after_commit(lambda: _remove(good))
    _remove(bad)
    return Collected(*counts, tuple(bad))


def shard_of(segment: Path) -> str:
    """The shard that a segment answers."""
    return segment.name.rsplit(".", 2)[0]


def _insert(con: duckdb.DuckDBPyConnection, folder: Path, segments: list[Path], run_id: str) -> tuple[int, int]:
    given = {
        "segments": [str(path) for path in segments],
        "shards": [str(shard_path(folder, shard)) for shard in sorted({shard_of(path) for path in segments})],
        "run": run_id,
    }

    def run(query: str) -> int:
        row = con.execute(query, {name: value for name, value in given.items() if f"${name}" in query}).fetchone()
        return int(row[0]) if row else 0

    run(_REFRESH)
    run(_FRESH)
    completions = run(_COMPLETIONS)
    run(_RENDERINGS)
    return completions, run(_FAILURES)


def _remove(paths: Sequence[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def orphans(con: duckdb.DuckDBPyConnection, spool: Path) -> list[str]:
    """The runs that left segments in the spool and live no more: whoever starts or resumes collects these first."""
    folders = sorted({path.parent.name for path in spool.glob(f"*/*{SEGMENTS}")})
    rows = con.execute("SELECT run_id FROM runs WHERE lease > epoch(now())").fetchall()
    alive = {run_id for (run_id,) in rows}
    return [name for name in folders if name not in alive]
