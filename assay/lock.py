"""datasets.lock: what every data file must be, and where it comes from.

One tab-separated line a file — path, SHA-256, bytes, repository, commit, path in the repository — and one a data set
of the Hugging Face hub: `hub:PATH` and its commit. `python -m assay.lock PROVENANCE.jsonl [FILE]` writes the file
lines anew from a list of provenances and keeps the hub lines; a catalogue folder may have a datasets.lock of its own.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote

from assay.errors import DatasetError

LOCK = Path(__file__).with_name("datasets.lock")
RAW = "https://raw.githubusercontent.com"
_verified: dict[tuple[str, int, int], str] = {}


@dataclass(frozen=True, slots=True)
class Pin:
    """What one file must be."""

    path: str
    """Under the data folder."""
    sha256: str
    size: int
    repository: str = ""
    commit: str = ""
    origin: str = ""
    """Its path in the repository."""

    @property
    def url(self) -> str:
        """Where it is fetched from; empty where the lock does not say."""
        if not self.repository:
            return ""
        return f"{RAW}/{self.repository}/{self.commit}/{quote(self.origin)}"

    @property
    def line(self) -> str:
        """As it stands in the lock."""
        return "\t".join((self.path, self.sha256, str(self.size), self.repository, self.commit, self.origin))


@dataclass(frozen=True)
class Lock:
    """All that is pinned: files by path, data sets of the hub by name."""

    files: Mapping[str, Pin]
    revisions: Mapping[str, str]


def read_lock(catalog: Sequence[Path] = ()) -> Lock:
    """What datasets.lock pins, and the one in each catalogue folder.

    Raises DatasetError where a line is malformed or two locks want different things of one file.
    """
    files: dict[str, Pin] = {}
    revisions: dict[str, str] = {}
    for path in (LOCK, *(Path(folder) / LOCK.name for folder in catalog)):
        if not path.exists():
            continue
        lock = _read(path, path.stat().st_mtime_ns)
        for name in lock.files.keys() & files.keys():
            if files[name].sha256 != lock.files[name].sha256:
                raise DatasetError(f"{path} pins {name} to another SHA-256 than another lock does: rename it")
        files.update(lock.files)
        revisions.update(lock.revisions)
    return Lock(files, revisions)


@lru_cache(maxsize=16)
def _read(path: Path, mtime_ns: int) -> Lock:
    files, revisions = {}, {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        parts = line.split("\t")
        if parts[0].startswith("hub:") and len(parts) == 2:
            revisions[parts[0].removeprefix("hub:")] = parts[1]
        elif len(parts) in (3, 6) and parts[2].isdigit():
            files[parts[0]] = Pin(parts[0], parts[1], int(parts[2]), *parts[3:])
        elif line.strip() and not line.startswith("#"):
            raise DatasetError(
                f"{path}, line {number}: wanted path, SHA-256, bytes, repository, commit, source path (the last three"
                f" may be left out), or hub:PATH and a commit, with tabs between; got {line!r:.80}"
            )
    return Lock(files, revisions)


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal; read once in this process while its size and time stay the same."""
    stat = path.stat()
    seen = (str(path), stat.st_size, stat.st_mtime_ns)
    if seen not in _verified:
        with path.open("rb") as stream:
            _verified[seen] = hashlib.file_digest(stream, "sha256").hexdigest()
    return _verified[seen]


def verify(path: Path, pin: Pin) -> str:
    """The SHA-256 of a file that is as pinned. Raises DatasetError where it is another, naming what came."""
    came = sha256(path)
    if came != pin.sha256:
        raise DatasetError(
            f"{path} is not the pinned {pin.path}: wanted SHA-256 {pin.sha256} ({pin.size} bytes), got {came}"
            f" ({path.stat().st_size} bytes); remove it to have it fetched anew"
        )
    return came


def combined(digests: Iterable[tuple[str, str]]) -> str:
    """One SHA-256 for (path, SHA-256) of some files: a single file's own."""
    pairs = sorted(set(digests))
    if len(pairs) == 1:
        return pairs[0][1]
    return hashlib.sha256("".join(f"{digest}  {name}\n" for name, digest in pairs).encode()).hexdigest()


def write(provenance: Path, target: Path = LOCK) -> int:
    """Write a lock from lines of `{dataset, file, repo, commit, path, bytes, sha256}`; how many files it pins."""
    rows = [json.loads(line) for line in provenance.read_text(encoding="utf-8").splitlines()]
    pins = sorted(
        {Pin(f"{r['dataset']}/{r['file']}", r["sha256"], r["bytes"], r["repo"], r["commit"], r["path"]) for r in rows},
        key=lambda pin: pin.path,
    )
    hub = _read(target, target.stat().st_mtime_ns).revisions if target.exists() else {}
    lines = [f"hub:{name}\t{revision}" for name, revision in sorted(hub.items())] + [pin.line for pin in pins]
    target.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return len(pins)


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: python -m assay.lock PROVENANCE.jsonl [datasets.lock]")
    print(write(*map(Path, sys.argv[1:])), "files pinned")
