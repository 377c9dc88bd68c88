"""The ledger's schema: the numbered steps `schema/NNN_name.sql`.

Each is applied once, in a transaction with the row in `schema_versions` that says so.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import duckdb

from assay.errors import LedgerError


class Step(NamedTuple):
    """One change of the schema."""

    version: int
    name: str
    path: Path


def steps() -> list[Step]:
    """All changes, in order."""
    files = sorted((Path(__file__).parent / "schema").glob("[0-9][0-9][0-9]_*.sql"))
    return [Step(int(file.stem[:3]), file.stem[4:], file) for file in files]


def version(con: duckdb.DuckDBPyConnection) -> int:
    """The last change that a database has seen; 0 for an empty one.

    Raises LedgerError where it is of a newer schema, or has tables and is no ledger.
    """
    tables = [name for (name,) in con.execute("SELECT table_name FROM duckdb_tables() WHERE NOT internal").fetchall()]
    if not tables:
        return 0
    if "schema_versions" not in tables:
        raise LedgerError(f"is a DuckDB file but no ledger: it holds {', '.join(sorted(tables)[:5])}")
    row = con.execute("SELECT max(version) FROM schema_versions").fetchone()
    found, known = int((row and row[0]) or 0), steps()[-1].version
    if found > known:
        raise LedgerError(f"is of schema {found}, and this assay knows schemas up to {known}: use a newer assay")
    return found


def migrate(con: duckdb.DuckDBPyConnection) -> None:
    """Apply what a database has not seen. Raises LedgerError as `version` does."""
    found = version(con)
    for step in steps():
        if step.version > found:
            con.execute("BEGIN")
            if step.version == 1:
                con.execute("CREATE TABLE schema_versions (version INTEGER, name VARCHAR, applied TIMESTAMP)")
            con.execute(step.path.read_text())
            con.execute(
                "INSERT INTO schema_versions VALUES (?, ?, make_timestamp(epoch_us(now())))", [step.version, step.name]
            )
            con.execute("COMMIT")
