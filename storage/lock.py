"""Who holds the ledger: one process at a time, and whoever waits says for whom.

DuckDB lets one process write, and then nobody else may even read. So everybody takes `LEDGER.lock` first; the holder
leaves its process id and command beside it, in `LEDGER.lock.json`, for those who wait; and these leave
`LEDGER.lock.wanted`, so that a holder who keeps the ledger open for longer than one transaction gives way.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

PATIENCE = 2.0
"""Seconds that one waits in silence."""


class Lock:
    """An exclusive lock between processes on a file beside the one that it guards."""

    def __init__(self, guarded: Path) -> None:
        self.guarded = guarded
        self.path = guarded.with_name(guarded.name + ".lock")
        self.holder = guarded.with_name(guarded.name + ".lock.json")
        self.wanted = guarded.with_name(guarded.name + ".lock.wanted")
        self.made = False
        self.file = FileLock(self.path, thread_local=False)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock; wait until it is free, after two seconds with a word on who has it.

        Raises OSError where the lock file cannot be written.
        """
        self._make()
        self._wait()
        try:
            self.holder.write_text(json.dumps({"pid": os.getpid(), "command": " ".join(sys.argv)}))
            yield
        finally:
            self.holder.unlink(missing_ok=True)
            self.file.release()

    def _wait(self) -> None:
        start, told = time.monotonic(), False
        while True:
            try:
                self.file.acquire(timeout=0 if not told and time.monotonic() - start < 0.01 else 0.2)
                break
            except Timeout:
                self.wanted.touch()  # again and again: whoever else waits removes it when it is their turn
            if not told and time.monotonic() - start > PATIENCE:
                say(f"the ledger {self.guarded} is held by {self._who()}; waiting")
                told = True
        self.wanted.unlink(missing_ok=True)

    def is_wanted(self) -> bool:
        """Whether another process waits for it."""
        return self.wanted.exists()

    def forget(self) -> None:
        """Remove the lock file where it is of our making: what it guards has turned out to be no ledger."""
        if self.made:
            self.path.unlink(missing_ok=True)

    def _make(self) -> None:
        # filelock tries for ever where a folder is there and takes no file, so the file is made before it looks
        try:
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666))
            self.made = True
        except FileExistsError:
            self.made = False
            os.close(os.open(self.path, os.O_RDWR))

    def _who(self) -> str:
        try:
            holder = json.loads(self.holder.read_text())
            return f"process {holder['pid']} ({holder['command']})"
        except (OSError, ValueError, KeyError):  # it has just been released, or is just being written
            return "another process"


def say(text: str) -> None:
    """A line on stderr, for whoever watches."""
    print(f"assay: {text}", file=sys.stderr, flush=True)
