"""How programs ended, in the ledger: what ran, which scores are made of it, and what is still to be run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from assay.programs import Job, Outcome, Ran, Sandbox
from storage.ledger import Ledger

EXECUTED = pa.schema(
    {
        "ordinal": pa.int64(), "sample_key": pa.string(), "replica": pa.int32(), "filter": pa.string(),
        "scorer": pa.string(), "place": pa.int32(), "execution_key": pa.string(),
    }
)  # fmt: skip
EXECUTIONS = pa.schema(
    {
        "execution_key": pa.string(), "program": pa.int32(), "command": pa.string(), "ended": pa.string(),
        "code": pa.int32(), "stdout": pa.string(), "stderr": pa.string(), "seconds": pa.float64(), "tier": pa.string(),
        "language": pa.string(), "limits": pa.string(), "recorded": pa.timestamp("us"),
    }
)  # fmt: skip


def linked(rows: Sequence[tuple[Any, ...]]) -> pa.Table:
    """Which executions scores are made of, as a table of the columns of EXECUTED."""
    return _table(EXECUTED, rows)


def open_executions(ledger: Ledger, keys: Iterable[str]) -> list[str]:
    """Those of some executions that are not in the ledger, in their order."""
    wanted = list(keys)
    with ledger.read() as con:
        known = con.execute(
            "SELECT DISTINCT execution_key FROM executions WHERE list_contains(?, execution_key)", [wanted]
        ).fetchall()
    there = {name for (name,) in known}
    return [name for name in wanted if name not in there]


def keep(ledger: Ledger, ended: Sequence[tuple[Job, Ran]], sandbox: Sandbox) -> None:
    """Put ends into the ledger; what another run has put there meanwhile stays."""
    now = datetime.now(UTC).replace(tzinfo=None)
    rows = [
        (
            ran.key, place, " ".join(program.command), outcome.end, outcome.code, outcome.stdout, outcome.stderr,
            outcome.seconds, sandbox.tier, sandbox.languages.get(program.command[0]),
            program.limits.model_dump_json(), now,
        )
        for job, ran in ended
        for place, (program, outcome) in enumerate(zip(job.programs, ran.outcomes, strict=True))
    ]  # fmt: skip
    if not rows:
        return
    with ledger.write() as con:
        con.register("new_ends", _table(EXECUTIONS, rows))
        con.execute(
            "INSERT INTO executions BY NAME FROM new_ends ANTI JOIN (SELECT execution_key FROM executions)"
            " USING (execution_key)"
        )


def rans(ledger: Ledger, executed: str, first: int, last: int) -> dict[tuple[Any, ...], list[Ran]]:
    """How the jobs of some samples' answers ended, by (ordinal, replica, filter, scorer)."""
    with ledger.read() as con:
        rows = con.execute(
            "SELECT e.ordinal, e.replica, e.filter, e.scorer, e.place, e.execution_key, x.ended, x.code, x.stdout,"
            " x.stderr, x.seconds FROM executed e JOIN executions x USING (execution_key)"
            " WHERE e.executed = ? AND e.ordinal BETWEEN ? AND ?"
            " ORDER BY e.ordinal, e.replica, e.filter, e.scorer, e.place, x.program",
            [executed, first, last],
        ).fetchall()
    found: dict[tuple[Any, ...], dict[int, Ran]] = {}
    for *answer, place, known, end, code, stdout, stderr, seconds in rows:
        ran = found.setdefault(tuple(answer), {}).setdefault(place, Ran(known, ()))
        ran.outcomes = (*ran.outcomes, Outcome(end, code, stdout, stderr, seconds))
    return {answer: list(places.values()) for answer, places in found.items()}


def _table(schema: pa.Schema, rows: Sequence[tuple[Any, ...]]) -> pa.Table:
    return pa.table(dict(zip(schema.names, zip(*rows, strict=True), strict=True)), schema=schema)
