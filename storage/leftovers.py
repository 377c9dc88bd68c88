"""What runs leave in the spool: folders of those that were killed and never resumed, and a lock a step."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import duckdb
from filelock import FileLock, Timeout

_RUN = re.compile(r"\d{8}-\d{6}-[0-9a-f]{6}")


class Leftovers(NamedTuple):
    """What nobody will ask for any more."""

    folders: list[Path]
    locks: list[Path]
    files: int
    bytes: int

    def remove(self) -> None:
        """Delete the folders, and the locks that nobody holds."""
        for folder in self.folders:
            shutil.rmtree(folder, ignore_errors=True)
        for path in self.locks:
            with _free(path) as free:
                if free:
                    path.unlink(missing_ok=True)


def leftovers(con: duckdb.DuckDBPyConnection, spool: Path, cut: datetime) -> Leftovers:
    """Folders of runs that are old (in the temporary table `old`) or that the ledger does not know, and locks, in which
    nothing was touched since the cut."""
    young = {run_id for (run_id,) in con.execute("SELECT run_id FROM runs ANTI JOIN old USING (run_id)").fetchall()}
    named = [path for path in spool.glob("*") if _RUN.fullmatch(path.name) and path.name not in young]
    folders = [path for path in named if max(map(_touched, [path, *path.rglob("*")])) < cut]
    locks = [path for path in (spool / "locks").glob("*.lock") if _touched(path) < cut]
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return Leftovers(folders, locks, len(files) + len(locks), sum(path.stat().st_size for path in files))


def held(spool: Path, keys: Iterable[str]) -> list[str]:
    """Of some step keys those whose step is being made or linked just now. Whoever comes later has to read the ledger
    first."""
    found = []
    for key in keys:
        path = spool / "locks" / f"{key}.lock"
        if path.exists():
            with _free(path) as free:
                if not free:
                    found.append(key)
    return found


@contextmanager
def _free(path: Path) -> Iterator[bool]:
    """Whether nobody has a lock; then it is ours for the time of the block."""
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _touched(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC).replace(tzinfo=None)
