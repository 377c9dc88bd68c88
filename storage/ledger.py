"""The ledger: the one door to DuckDB.

Only a run's parent process and those who ask questions come through it, each for a short transaction under a lock:

    with Ledger(path).write() as con: ...     begins, commits, closes; rolls back on an error
    with Ledger(path).read() as con: ...      sees what is committed, changes nothing

Workers never open it: they leave segments in the spool. What a process that was killed had committed is there when the
next one opens the file (DuckDB's write-ahead log); what it had not is not.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import duckdb

from assay.errors import LedgerError
from storage.lock import PATIENCE, Lock, say
from storage.migrations import migrate, steps, version

_BROKEN = (
    duckdb.IOException,
    duckdb.FatalException,
    duckdb.OutOfMemoryException,
    duckdb.SerializationException,
    duckdb.TransactionException,  # a commit that the disk has no room for
)
"""What DuckDB raises where the disk, the file or the memory is at fault and not the query."""

IDLE = 1.0
"""Seconds after which a ledger that is kept open is closed all the same."""
GIVE_WAY = 0.12
"""Seconds for whoever waits to take the ledger: they look every 0.05 s."""

_doors: dict[Path, _Door] = {}
_doors_lock = threading.Lock()


class Ledger:
    """A ledger by its path; nothing is opened or made before it is read or written."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with _doors_lock:
            self._door = _doors.setdefault(self.path.absolute(), _Door(self.path.absolute()))

    @contextmanager
    def write(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection in a transaction: committed at the end, rolled back on an error. Makes the ledger if need be.

        In a `write` of the same thread: the same connection and transaction. Waits while another process has the
        ledger. Raises LedgerError where it cannot be opened or written, is none, or is of a newer schema.
        """
        with self._door.entered(writing=True) as con:
            yield con

    @contextmanager
    def read(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection that can only read. Raises LedgerError as `write` does, and where there is no ledger."""
        with self._door.entered(writing=False) as con:
            yield con

    def check(self) -> None:
        """Raise LedgerError where it cannot be opened, or cannot be made where there is none. Leaves nothing behind."""
        if _is_there(self.path):
            with self.read():
                return
        try:
            with tempfile.TemporaryFile(dir=self._door.path.parent):
                return
        except OSError as error:
            raise LedgerError(f"the ledger {self.path} cannot be written: {error.strerror}") from error

    def after_commit(self, action: Callable[[], None]) -> None:
        """Do something once the transaction that is open is committed; never, if it is not."""
        self._door.actions.append(action)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """For the time of a block the ledger stays open between this process's transactions, since each opening costs
        some 30 ms; but another process that asks for it gets it, and it is closed where nothing happens for a second.
        """
        with self._door.kept():
            yield

    def checkpoint(self) -> None:
        """Put what the write-ahead log holds into its place in the file: once a step, since each costs the more the
        larger the tables are."""
        with self._door.alone(writing=True) as con:
            con.execute("CHECKPOINT")


class _Open(NamedTuple):
    """An open connection, and what closes it."""

    con: duckdb.DuckDBPyConnection
    writing: bool
    stack: ExitStack


class _Door:
    """What the threads of a process share of one ledger."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = Lock(path)
        self.thread = threading.RLock()
        self.con: duckdb.DuckDBPyConnection | None = None
        """Of the transaction that a thread is in."""
        self.writing = False
        self.actions: list[Callable[[], None]] = []
        self.open: _Open | None = None
        self.keepers = 0
        self.used = 0.0

    @contextmanager
    def entered(self, writing: bool) -> Iterator[duckdb.DuckDBPyConnection]:
        with self.thread:
            if self.con is not None:
                if writing and not self.writing:
                    raise LedgerError(f"the ledger {self.path} is open for reading here: write after that")
                yield self.con
                return
            with self.alone(writing) as con:
                self.con, self.writing, self.actions = con, writing, []
                try:
                    with _transaction(con, "BEGIN" if writing else "BEGIN READ ONLY"):
                        yield con
                finally:
                    self.con = None
            for action in self.actions:
                action()

    @contextmanager
    def alone(self, writing: bool) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection of our own, under the lock; what goes wrong with the file is a LedgerError."""
        with self.thread:
            sound = False
            try:
                yield self._connection(writing)
                sound = True
            except _BROKEN as error:
                raise LedgerError(f"the ledger {self.path} failed: {_reason(error)}") from error
            finally:
                self.used = time.monotonic()
                asked = self.lock.is_wanted()
                if not sound or not self.keepers or asked:
                    self.close()
                if self.keepers and asked:
                    time.sleep(GIVE_WAY)

    @contextmanager
    def kept(self) -> Iterator[None]:
        with self.thread:
            self.keepers += 1
        over = threading.Event()
        watch = threading.Thread(target=self._watch, args=(over,), daemon=True)
        watch.start()
        try:
            yield
        finally:
            over.set()
            watch.join()
            with self.thread:
                self.keepers -= 1
                if not self.keepers:
                    self.close()

    def _watch(self, over: threading.Event) -> None:
        while not over.wait(0.1):
            if self.open and self.thread.acquire(blocking=False):
                try:
                    if self.con is None and (self.lock.is_wanted() or time.monotonic() - self.used > IDLE):
                        self.close()
                finally:
                    self.thread.release()

    def _connection(self, writing: bool) -> duckdb.DuckDBPyConnection:
        """The connection that is open, or a new one. Raises LedgerError where there can be none."""
        if self.open and (self.open.writing or not writing):
            return self.open.con
        self.close()
        if not writing and not _is_there(self.path):
            raise LedgerError(f"no ledger at {self.path}")
        with ExitStack() as stack:
            stack.enter_context(self._locked())
            con = self._opened(writing or self.keepers > 0)
            stack.callback(con.close)
            self.open = _Open(con, writing or self.keepers > 0, stack.pop_all())
        return con

    def close(self) -> None:
        """Nothing is open and the lock is free."""
        if self.open:
            was, self.open = self.open, None
            was.stack.close()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        if self.path.is_dir():
            raise LedgerError(f"{self.path} is a folder, and the ledger is a file")
        try:
            with self.lock.held():
                yield
        except OSError as error:
            if error.filename not in (str(self.lock.path), str(self.lock.holder)):
                raise
            raise LedgerError(f"the ledger {self.path} cannot be written: {error.strerror}") from error

    def _opened(self, writing: bool) -> duckdb.DuckDBPyConnection:
        """A connection to a ledger of today's schema; where there can be none, nothing is left behind."""
        new = not _is_there(self.path)
        if new and writing:
            self.path.unlink(missing_ok=True)  # of no bytes: what a process leaves that is killed as it makes it
        con = None
        try:
            con = _connect(self.path, read_only=not writing)
            found = version(con)
            if found < steps()[-1].version:
                con = self._migrated(con, found, writing)
            return con
        except (LedgerError, duckdb.Error) as error:
            if con is not None:
                con.close()
            if new and writing:
                self.path.unlink(missing_ok=True)
            self.lock.forget()
            if isinstance(error, LedgerError):
                raise LedgerError(f"{self.path} {error}") from None
            raise LedgerError(f"{self.path} cannot be opened as a ledger: {_reason(error)}") from error

    def _migrated(self, con: duckdb.DuckDBPyConnection, found: int, writing: bool) -> duckdb.DuckDBPyConnection:
        if writing:
            migrate(con)
            return con
        con.close()
        if found == 0:
            raise LedgerError("is no ledger: it is empty")
        with suppress(duckdb.Error), _connect(self.path, read_only=False) as writer:
            migrate(writer)
        return _connect(self.path, read_only=True)


SETTINGS = """
SET TimeZone = 'UTC';
SET enable_progress_bar = false;  -- a slow disk draws one over our lines
SET disabled_optimizers = 'common_subplan';  -- DuckDB 2.0.0 with it never ends where two parts of a view read one join
"""


def _connect(path: Path, read_only: bool) -> duckdb.DuckDBPyConnection:
    config = {
        "memory_limit": os.environ.get("ASSAY_DUCKDB_MEMORY", "1GB"),
        "threads": 2,
        "preserve_insertion_order": False,  # what must be in order says so
        "checkpoint_threshold": "4GB",  # by its default, every collect rewrites what is there
    }
    start, told = time.monotonic(), False
    while True:
        try:
            con = duckdb.connect(str(path), read_only=read_only, config=config)
            con.execute(SETTINGS)
            return con
        except duckdb.IOException as error:
            if "Could not set lock" not in str(error):
                raise
            # somebody who does not know our lock has it open: the duckdb shell, a notebook
            if not told and time.monotonic() - start > PATIENCE:
                say(f"the ledger {path} is open elsewhere; waiting. {_reason(error)}")
                told = True
            time.sleep(0.1)


@contextmanager
def _transaction(con: duckdb.DuckDBPyConnection, begin: str) -> Iterator[None]:
    con.execute(begin)
    try:
        yield
        con.execute("COMMIT")
    except BaseException:
        with suppress(duckdb.Error):  # a failed COMMIT has rolled back, a fatal error has closed the database
            con.execute("ROLLBACK")
        raise


def _is_there(path: Path) -> bool:
    return path.exists() and (path.is_dir() or path.stat().st_size > 0)


def _reason(error: Exception) -> str:
    """The first line of what DuckDB says, without the kind of error in front."""
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    kind, _, rest = first.partition(": ")
    return rest if kind.endswith("Error") and rest else first
