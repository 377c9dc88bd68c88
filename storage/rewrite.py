"""A ledger written anew: what it keeps goes into a file beside it, which then takes its place.

DuckDB gives the room of deleted rows to new rows, never back to the disk. The old file is only read, and the new one
gets its name when it is whole and on the disk: whoever is killed in between leaves the one or the other.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from assay.errors import LedgerError
from storage.ledger import Ledger
from storage.lock import Lock
from storage.spool import publish


@contextmanager
def at_rest(book: Ledger) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that can only read the ledger (and make temporary tables), while nobody else can have it.

    Waits while another process has it. Raises LedgerError where there is none or it cannot be read.
    """
    with book.read():
        pass  # it is there, and of today's schema
    path = book.path.resolve()
    with Lock(book.path.absolute()).held():
        try:
            with _connection(path) as con:
                con.execute(f"ATTACH {_text(path)} AS ledger")
                con.execute("CHECKPOINT ledger")  # a log that is left would be taken for one of the new file
                con.execute("DETACH ledger")
                con.execute(f"ATTACH {_text(path)} AS ledger (READ_ONLY)")
                con.execute("USE ledger")
                yield con
        except duckdb.Error as error:
            raise LedgerError(f"the ledger {book.path} is as it was: {str(error).splitlines()[0]}") from error


@contextmanager
def _connection(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    config = {
        "memory_limit": os.environ.get("ASSAY_DUCKDB_MEMORY", "1GB"),
        "threads": 2,
        "temp_directory": f"{path}.tmp",
    }
    with duckdb.connect(config=config) as con:
        con.execute("SET TimeZone = 'UTC'")
        yield con


@contextmanager
def rewritten(con: duckdb.DuckDBPyConnection, book: Ledger, room: int) -> Iterator[None]:
    """In a block, an empty ledger is attached as `fresh`, with all tables, views and macros; at its end it takes the
    place of the one that `at_rest` gave; on an error, nothing changes.

    Raises LedgerError where the disk has less than so many bytes of room.
    """
    path = book.path.resolve()
    fresh = path.with_name(path.name + ".fresh")
    _remove(fresh)  # of a process that was killed
    free = shutil.disk_usage(path.parent).free
    if free < room:
        raise LedgerError(
            f"the ledger {book.path} is as it was: to write it anew takes up to {room >> 20} MiB beside it,"
            f" and the disk has {free >> 20} MiB free"
        )
    try:
        con.execute(f"ATTACH {_text(fresh)} AS fresh")
        con.execute("COPY FROM DATABASE ledger TO fresh (SCHEMA)")
        yield
        con.execute("CHECKPOINT fresh")
        con.execute("DETACH fresh")
        shutil.copymode(path, fresh)
        publish(fresh, path)
    finally:
        _remove(fresh)


def tables(con: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """The ledger's tables, those that others have put there too: each with its name as any attached ledger has it."""
    found = con.execute(
        "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = 'ledger' ORDER BY ALL"
    ).fetchall()
    return {table if schema == "main" else f"{schema}.{table}": f'"{schema}"."{table}"' for schema, table in found}


def _remove(path: Path) -> None:
    for name in (path.name, path.name + ".wal"):
        path.with_name(name).unlink(missing_ok=True)


def _text(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
