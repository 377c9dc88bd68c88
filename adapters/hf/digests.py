"""SHA-256 of big files, each computed once: kept in the user's cache folder by path, size and time of change."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from assay.keys import digest

logger = logging.getLogger(__name__)


def file_digest(path: Path) -> str:
    """The SHA-256 of a file's bytes; from the cache where path, size and time of change are as they were."""
    path = path.resolve()
    stat = path.stat()
    state = {"path": str(path), "size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
    place = _cache() / f"{digest(str(path).encode())}.json"
    known = _read(place)
    if known is not None and {name: known.get(name) for name in state} == state:
        return str(known["sha256"])
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    _write(place, state | {"sha256": sha256})
    return sha256


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "assay" / "digests"


def _read(place: Path) -> dict[str, Any] | None:
    try:
        known = json.loads(place.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:  # it is only a cache: what cannot be read is computed
        logger.warning("the cached digest %s cannot be read: %s", place, error)
        return None
    return known if isinstance(known, dict) and "sha256" in known else None


def _write(place: Path, record: dict[str, Any]) -> None:
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile("w", dir=place.parent, delete=False) as file:
            json.dump(record, file)
        Path(file.name).replace(place)  # whole or not at all: other processes read it
    except OSError as error:
        logger.warning("the digest of %s cannot be kept: %s", record["path"], error)
