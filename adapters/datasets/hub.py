"""Rows from the Hugging Face hub, by `datasets`, at a pinned commit; or from a folder of such a data set."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from adapters.datasets import Rows, Unavailable
from assay.lock import combined, read_lock, sha256
from assay.spec import HubSource

PROBE_TIMEOUT = 5.0


def open_hub(source: HubSource, catalog: Sequence[Path] = ()) -> tuple[dict[str, Any], Rows]:
    """What identifies a data set of the hub, and its rows.

    A path that is a folder, from here or in a catalogue, is read as it lies, its revision the digest of its files.
    Raises Unavailable where the hub cannot be reached and has left no copy here, has no such data set, or its commit is
    pinned nowhere.
    """
    facts: dict[str, Any] = {"source": "hub", "path": source.path, "name": source.name, "split": source.split}
    for folder in (Path(source.path), *(Path(folder) / source.path for folder in catalog)):
        if folder.is_dir():
            files = sorted(path for path in folder.rglob("*") if path.is_file())
            revision = combined((path.relative_to(folder).as_posix(), sha256(path)) for path in files)
            return {**facts, "revision": revision}, _rows(_load(str(folder), source, None))
    revision = source.revision or read_lock(catalog).revisions.get(source.path, "")
    if not revision:
        raise Unavailable(
            f"the hub's {source.path} is pinned to no commit: say `revision:`, or put a line `hub:{source.path}`, tab,"
            " COMMIT into a datasets.lock"
        )
    with _offline(not reachable()):
        return {**facts, "revision": revision}, _rows(_load(source.path, source, revision))


def _load(path: str, source: HubSource, revision: str | None) -> Any:
    import datasets

    try:
        return datasets.load_dataset(path, source.name, split=source.split, revision=revision)
    except Exception as error:  # a dozen kinds, from the network to a builder: whatever it is, there is no data set
        name = "/".join(filter(None, (source.path, source.name, source.split)))
        at = f" at {revision}" if revision else ""
        raise Unavailable(f"the hub's {name}{at} cannot be had: {type(error).__name__}: {error}") from error


def _rows(loaded: Any) -> Rows:
    return Rows(lambda: (dict(row) for row in loaded))


@lru_cache(maxsize=1)
def reachable() -> bool:
    """Whether the hub answers; asked once in a process, since `datasets` itself tries for half a minute each time."""
    from huggingface_hub import constants

    try:
        with urllib.request.urlopen(urllib.request.Request(constants.ENDPOINT, method="HEAD"), timeout=PROBE_TIMEOUT):
            return True
    except urllib.error.HTTPError as error:
        error.close()
        return True
    except OSError:
        return False


@contextmanager
def _offline(off: bool) -> Iterator[None]:
    """With the hub out of reach, only what an earlier download has left here is looked at."""
    if not off:
        yield
        return
    from datasets import config
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE, config.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = config.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE, config.HF_HUB_OFFLINE = before
