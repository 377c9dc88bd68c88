"""Checkpoints where a training leaves them: folders on a disk or under an fsspec URL, or revisions on the hub.

A listing says what is there, how large and since when; nothing is read before a checkpoint is wanted. One that lies
elsewhere is then fetched into a folder of `$ASSAY_CACHE` (by default ~/.cache/assay), whole or not at all.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock
from fsspec.core import url_to_fs

from adapters import library
from adapters.hf.folder import TOKENIZER, WEIGHTS, config_of, tensors_of, tokenizer_files, weights_of
from assay.errors import AssayError, ModelError, SpecError
from assay.keys import key

FILES = ("*config.json", "*.index.json", "*.py", *TOKENIZER, *WEIGHTS)
"""What makes a model. Optimizer states, logs and results beside it are none of ours: they may come and go."""
TIMES = ("mtime", "LastModified", "last_modified", "modify", "updated", "created")
"""What file systems call the time of a file's last change."""


class Found(NamedTuple):
    """A checkpoint as a listing shows it."""

    place: str
    """A folder, a URL, or OWNER/NAME on the hub."""
    step: int
    fingerprint: str
    """Another where a file has changed; the commit of a hub's revision."""
    changed: float
    """When the newest file did, in seconds since 1970; 0 where nothing says so."""
    commit: str | None = None
    """Of a revision on the hub."""

    @property
    def remote(self) -> bool:
        """Whether it has to be fetched."""
        return self.commit is None and "://" in self.place


def step_in(name: str, pattern: str) -> int | None:
    """The training step that a name tells by a regular expression; None where it tells none.

    Raises SpecError for a pattern that is none, or does not find a number.
    """
    try:
        match = re.search(pattern, name)
        return int(match[1] if match.re.groups else match[0]) if match else None
    except (re.error, ValueError, TypeError) as error:
        raise SpecError(
            f"step_pattern {pattern!r}: wanted a regular expression that finds a number: {error}"
        ) from error


def folders(pattern: str, step_pattern: str) -> list[Found]:
    """The folders that match a pattern (`/runs/x/step-*`, `s3://bucket/x/step-*`) and have a step in their name.

    Raises SpecError where a protocol is unknown or lacks its package, OSError where the place does not answer.
    """
    try:
        files, path = url_to_fs(pattern if "://" in pattern else str(Path(pattern).expanduser()))
    except (ImportError, ValueError) as error:
        raise SpecError(f"watch {pattern}: {error}") from error
    local, found = "file" in files.protocol, []
    with _reaching(pattern):
        files.invalidate_cache()
        for folder in sorted(files.glob(path)):
            step = step_in(folder.rstrip("/").rpartition("/")[2], step_pattern)
            if step is not None and files.isdir(folder):
                listed = _listed(files, folder)
                changed = max((_time(info) for _, info in listed), default=_time(files.info(folder)))
                fingerprint = key([[name, info["size"], _time(info)] for name, info in listed])
                place = (
                    folder if local else f"{pattern.removesuffix(path)}{folder}"
                )  # with its host, as ftp://… has one
                found.append(Found(place, step, fingerprint, changed))
    return found


def revisions(name: str, wanted: Sequence[str], step_pattern: str) -> list[Found]:
    """Revisions of a model on the hub, each with its commit. Raises OSError where the hub does not answer, ModelError
    where there is no such revision or it has no step in its name."""
    hub, errors = (library(f"huggingface_hub{part}", "checkpoints") for part in ("", ".errors"))
    missing = (errors.RepositoryNotFoundError, errors.RevisionNotFoundError)
    found = []
    for revision in wanted:
        step = step_in(revision, step_pattern)
        if step is None:
            raise ModelError(f"{name}: the revision {revision!r} has no step in its name, by {step_pattern!r}")
        try:
            with _reaching(f"{name} on the hub"):
                commit = hub.HfApi().model_info(name, revision=revision).sha
        except missing as error:
            raise ModelError(f"{name}: the hub has no revision {revision!r}") from error
        found.append(Found(name, step, commit, 0.0, commit))
    return found


@contextmanager
def _reaching(place: str) -> Iterator[None]:
    """What a library raises of its own where a place does not answer is an OSError."""
    try:
        yield
    except (OSError, AssayError):  # what the hub answers is an OSError too
        raise
    except Exception as error:
        raise OSError(f"{place}: {type(error).__name__}: {error}") from error


def fetched(found: Found) -> str:
    """Where it can be loaded from: the place itself, or the folder into which it was fetched, now or before.

    Raises OSError where it cannot be fetched, or changes meanwhile.
    """
    if not found.remote:
        return found.place
    files, folder = url_to_fs(found.place)
    place = cache() / "checkpoints" / f"{key(found.place)[:8]}-{found.step}-{found.fingerprint}"
    place.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{place}.lock"), _reaching(found.place):
        if not place.exists():
            part = place.with_name(place.name + ".part")
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            for name, info in _listed(files, folder):
                files.get_file(info["name"], str(part / name))
                if (part / name).stat().st_size != info["size"]:
                    raise OSError(f"{found.place}/{name} changed while it was fetched")
            part.rename(place)
    return str(place)


def check_whole(folder: str, tokenizer: bool = True) -> None:
    """Raise ModelError where a model's folder lacks a file, or one is not whole: configuration, tokenizer (unless it
    is another folder's), all weights that the index names, each safetensors file as long as its header says."""
    path = Path(folder)
    try:
        config_of(path)
        tensors_of(weights_of(path))
        if tokenizer:
            tokenizer_files(path)
    except (ModelError, OSError):
        raise
    except Exception as error:  # a file that is half written may hold anything
        raise ModelError(f"model {folder}: {type(error).__name__}: {error}") from error


def cache() -> Path:
    """Where fetched checkpoints lie."""
    return Path(os.environ.get("ASSAY_CACHE") or Path.home() / ".cache" / "assay")


def _listed(files: Any, folder: str) -> list[tuple[str, dict[str, Any]]]:
    """The files that make the model, by name."""
    named = [
        (info["name"].rpartition("/")[2], info) for info in files.ls(folder, detail=True) if info["type"] == "file"
    ]
    return sorted((name, info) for name, info in named if any(fnmatch(name, one) for one in FILES))


def _time(info: dict[str, Any]) -> float:
    value = next((info[name] for name in TIMES if info.get(name)), 0.0)
    if isinstance(value, str):  # FTP writes 20260102030405, the others ISO 8601
        form = "%Y%m%d%H%M%S" if value[:14].isdigit() else None
        value = datetime.strptime(value[:14], form) if form else datetime.fromisoformat(value)
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    return float(value)
