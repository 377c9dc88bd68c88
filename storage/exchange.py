"""The place through which a run and its workers hand each other files: a folder, or any fsspec URL (`s3://…`, `gs://…`).

    RUN/JOB.job.json               what a worker has to know; rewritten by the run while it lives, gone when it is over
    RUN/SHARD.parquet              what is to be asked
    RUN/SHARD.claim-0001.json      which worker has it; the highest number counts
    RUN/SHARD.1-00007.parquet      a segment: what was answered, under that claim
    RUN/SHARD.receipt.json         all of it has been asked: how much, how fast
    RUN/WORKER.worker.json         a worker's heartbeat, with how far it is

Every file is whole or not there. Elsewhere than on a disk, files are worked on in a folder of the process's own and put
there when they are done (`give`), or fetched when they are wanted (`take`).
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, TypeVar

import fsspec
from fsspec.implementations.local import LocalFileSystem

from assay.errors import LedgerError, SpecError
from storage.spool import publish, whole

logger = logging.getLogger(__name__)
WAITS = (0.2, 1.0, 5.0, None)
"""Seconds before a store is asked again."""
T = TypeVar("T")


class Exchange:
    """A folder on a disk that all of them reach."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        """Where this process reads and writes the files."""
        self.url = str(folder)

    def names(self, pattern: str = "*") -> list[str]:
        """The names of the files that are there, sorted; none where there is no folder yet."""
        return sorted(name for name in self._names() if fnmatch(name, pattern) and not name.endswith(".part"))

    def _names(self) -> Iterable[str]:
        return (path.name for path in self.folder.iterdir()) if self.folder.is_dir() else ()

    def give(self, names: Sequence[str]) -> None:
        """Have files that this process wrote in `folder` be there for the others."""

    def take(self, names: Sequence[str]) -> list[Path]:
        """Files that others wrote, to be read. Raises FileNotFoundError where one is not there any more."""
        return [self.folder / name for name in names]

    def drop(self, names: Iterable[str]) -> None:
        """Have files be there no more, for anybody."""
        for name in names:
            (self.folder / name).unlink(missing_ok=True)

    def leave(self) -> None:
        """Nothing is wanted here any more: where it is not this process's own folder, all of it goes."""

    def say(self, name: str, told: dict[str, Any]) -> None:
        """Write a small JSON file, in place of what stood there. Raises LedgerError where the disk takes no more."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with whole(self.folder / name) as part:
            part.write_text(json.dumps(told))

    def told(self, name: str) -> dict[str, Any] | None:
        """What a small JSON file says; None where there is none."""
        try:
            return _parsed((self.folder / name).read_bytes())
        except FileNotFoundError:
            return None

    def first(self, name: str, told: dict[str, Any]) -> bool:
        """Write a small JSON file, unless it is there; of several who try at once, one gets True."""
        part = self.folder / f"{name}.{os.getpid()}.part"
        part.write_text(json.dumps(told))
        try:
            os.link(part, self.folder / name)  # as O_EXCL, but nobody ever sees it empty; atomic on NFS too
        except FileExistsError:
            return False
        finally:
            part.unlink()
        return True


class Remote(Exchange):
    """Under an fsspec URL, or in a folder elsewhere on a disk; `folder` is this process's own.

    `first` is atomic where the store can write a file only if it is absent (S3, GCS). Elsewhere two workers may take
    the same shard, and its answers count once.
    """

    def __init__(self, url: str, folder: Path | None = None) -> None:
        super().__init__(folder or Path(tempfile.mkdtemp(prefix="assay-spool-")))
        self.url = url
        try:  # a connection of its own: the heartbeat's thread has another
            self.fs, self.root = fsspec.core.url_to_fs(url, use_listings_cache=False, skip_instance_cache=True)
            self.made = bool(self.fs.exists(self.root))
        except Exception as error:  # each store raises what its own library does
            raise SpecError(f"the spool {url} cannot be reached: {error}") from error

    def _patiently(self, action: Callable[..., T], *given: Any, **more: Any) -> T:
        """What a call of the store gives, which is tried again for some seconds where the store has a bad moment.

        Raises FileNotFoundError, FileExistsError, and LedgerError for what does not pass.
        """
        for wait in WAITS:
            try:
                return action(*given, **more)
            except (FileNotFoundError, FileExistsError):
                raise
            except Exception as error:
                if wait is None:
                    raise LedgerError(f"the spool {self.url}: {type(error).__name__}: {error}") from error
                time.sleep(wait)
        raise AssertionError

    def _names(self) -> Iterable[str]:
        self.fs.invalidate_cache()
        try:
            there = self._patiently(self.fs.ls, self.root, detail=False)
        except FileNotFoundError:
            return ()
        return [path.rstrip("/").rpartition("/")[2] for path in there]

    def _make(self) -> None:
        if not self.made:
            self._patiently(self.fs.makedirs, self.root, exist_ok=True)
            self.made = True

    def _put(self, name: str, data: bytes) -> None:
        self._make()
        path = f"{self.root}/{name}"
        self._patiently(self.fs.pipe_file, f"{path}.part", data)
        self._patiently(self.fs.mv, f"{path}.part", path)

    def give(self, names: Sequence[str]) -> None:
        """Have files that this process wrote in `folder` be there for the others."""
        for name in names:
            self._put(name, (self.folder / name).read_bytes())

    def take(self, names: Sequence[str]) -> list[Path]:
        """Files that others wrote, fetched unless they are here. Raises FileNotFoundError."""
        for name in names:
            path = self.folder / name
            if not path.exists():
                part = path.with_name(name + ".part")
                part.write_bytes(self._patiently(self.fs.cat_file, f"{self.root}/{name}"))
                publish(part, path)
        return super().take(names)

    def drop(self, names: Iterable[str]) -> None:
        """Have files be there no more, for anybody."""
        names = list(names)
        super().drop(names)
        for name in names:
            if self._patiently(self.fs.exists, f"{self.root}/{name}"):
                self._patiently(self.fs.rm_file, f"{self.root}/{name}")

    def leave(self) -> None:
        """All that is there goes, and the folder where the store has such a thing; what this process has stays."""
        try:
            self.fs.rm(self.root, recursive=True)
            self.made = False
        except Exception as error:  # noqa: BLE001  each store raises what its own library does
            logger.info("the spool %s stays: %s", self.url, error)

    def say(self, name: str, told: dict[str, Any]) -> None:
        """Write a small JSON file, in place of what stood there."""
        self._put(name, json.dumps(told).encode())

    def told(self, name: str) -> dict[str, Any] | None:
        """What a small JSON file says; None where there is none."""
        try:
            return _parsed(self._patiently(self.fs.cat_file, f"{self.root}/{name}"))
        except FileNotFoundError:
            return None

    def first(self, name: str, told: dict[str, Any]) -> bool:
        """Write a small JSON file, unless it is there."""
        self._make()
        try:
            self._patiently(self.fs.pipe_file, f"{self.root}/{name}", json.dumps(told).encode(), mode="create")
        except FileExistsError:
            return False
        return True


def exchange(url: str | Path) -> Exchange:
    """The exchange at a folder or URL, for a worker: files of a URL are worked on in a temporary folder.

    Raises SpecError where the URL's kind is not known or cannot be reached.
    """
    text = str(url)
    if "://" not in text:
        return Exchange(Path(text))
    protocol = text.partition("://")[0]
    try:
        local = issubclass(fsspec.get_filesystem_class(protocol), LocalFileSystem)
    except (ImportError, ValueError) as error:
        raise SpecError(f"the spool {text}: {error}") from error
    return Exchange(Path(text.partition("://")[2])) if local else Remote(text)


def _parsed(data: bytes) -> dict[str, Any] | None:
    """What is being replaced on a store that is not atomic may be cut: the next look sees it."""
    try:
        told: dict[str, Any] = json.loads(data)
    except ValueError:
        return None
    return told
