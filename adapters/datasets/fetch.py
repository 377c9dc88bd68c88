"""The data folder, and files fetched into it from where datasets.lock pins them."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path

from adapters.datasets import Unavailable
from assay.errors import DatasetError
from assay.lock import Pin

ATTEMPTS = 3
TIMEOUT = 20.0
_AGAIN = (408, 429, 500, 502, 503, 504)
_ROOT = Path(__file__).resolve().parents[2]


def data_folder() -> Path:
    """`$ASSAY_DATA`; else `../shared/data` beside the working directory or the repository, where there is such a
    folder; else `assay/data` under the user's cache folder."""
    given = os.environ.get("ASSAY_DATA")
    if given:
        return Path(given).expanduser()
    for base in (Path.cwd(), _ROOT):
        if (base.parent / "shared" / "data").is_dir():
            return base.parent / "shared" / "data"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "assay" / "data"


def lookup(name: str, catalog: Sequence[Path] = ()) -> Path | None:
    """Where a file lies: under the data folder, else in a catalogue folder; None where it does not."""
    places = (Path(folder) / name for folder in (data_folder(), *catalog))
    return next((path for path in places if path.is_file()), None)


def fetch(pin: Pin, folder: Path) -> Path:
    """The pinned file, fetched into a folder: whole and verified, or not there at all.

    Raises Unavailable where it cannot be had, with its URL; DatasetError where the URL gives another file.
    """
    target = folder / pin.path
    if not pin.url:
        raise Unavailable(f"{pin.path} is not under {folder} ($ASSAY_DATA), and datasets.lock says no URL for it")
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        came = _download(pin.url, part)
        if came != pin.sha256:
            raise DatasetError(f"{pin.url} gave another file than pinned: wanted SHA-256 {pin.sha256}, got {came}")
        part.replace(target)
    except (OSError, HTTPException) as error:
        raise Unavailable(
            f"{pin.path} is not under {folder} and cannot be fetched from {pin.url} ({error or type(error).__name__}):"
            " put the file there, or set $ASSAY_DATA to the folder that has it"
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return target


def _download(url: str, part: Path) -> str:
    """The SHA-256 of what a URL gave, which is then in a file. A server that is busy is asked again."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
                part.parent.mkdir(parents=True, exist_ok=True)
                with part.open("wb") as stream:
                    shutil.copyfileobj(answer, stream)
            break
        except urllib.error.HTTPError as error:
            with error:  # it is an open answer too
                if error.code not in _AGAIN or attempt == ATTEMPTS:
                    raise
        time.sleep(2.0**attempt)
    with part.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
