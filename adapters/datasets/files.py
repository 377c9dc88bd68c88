"""Rows from files, each pinned by SHA-256 in datasets.lock, or a user's own in a catalogue folder.

`path` may hold `*` (anything within a name), `**` (folders too) and captures: `{subject}` becomes a column, and a
capture that stands twice is the same twice. A path goes on into a zip: `sets.zip/data/{part}.jsonl`. Where the lock
pins files of such names, all of them are the data set, wherever they lie; else what a catalogue folder has.
"""

from __future__ import annotations

import re
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from adapters.datasets import Rows, Unavailable
from adapters.datasets.fetch import data_folder, fetch, lookup
from adapters.datasets.formats import File, kind_of, records
from assay.errors import DatasetError, SpecError, unknown
from assay.lock import Lock, combined, read_lock, sha256, verify
from assay.readers import reader
from assay.registry import version_of
from assay.spec import FilesSource

_SPECIAL = re.compile(r"\*\*/|\*\*|\*|\{([^{}]*)\}")


def open_files(source: FilesSource, catalog: Sequence[Path] = ()) -> tuple[dict[str, Any], Rows]:
    """What identifies the files of a source, and their rows, in the order of the files' names.

    Raises Unavailable where a file is missing and cannot be fetched, DatasetError where one is not as pinned, SpecError
    for a format, reader or option that there is not.
    """
    lock = read_lock(catalog)
    files = _find(source, catalog, lock)
    facts = _facts(source, files, lock)
    if source.join is None:
        return facts, Rows(lambda: _rows(files, source))
    beside = source.join
    others = _find(beside, catalog, lock)
    facts["join"] = _facts(beside, others, lock)
    # one file beside many, and nothing to match by: it stands beside each of them (a source text, its translations)
    each = len(others) == 1 and not captures(beside.path)
    parts = [[file] for file in files] if each else [files]

    def rows() -> Iterator[dict[str, Any]]:
        for part in parts:
            yield from _joined(_rows(part, source), _rows(others, beside), source, beside)

    return facts, Rows(rows)


def captures(path: str) -> list[str]:
    """The names of a path's captures, each once."""
    return list(dict.fromkeys(found[1] for found in _SPECIAL.finditer(path) if found[1] is not None))


def pattern(path: str) -> re.Pattern[str]:
    """What names a path stands for. Raises SpecError for a capture whose name cannot be a column."""
    parts, end, seen = [], 0, set()
    for found in _SPECIAL.finditer(path):
        parts.append(re.escape(path[end : found.start()]))
        end, name = found.end(), found[1]
        if name is None:
            parts.append({"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*"}[found[0]])
        elif not name.isidentifier():
            raise SpecError(f"{path}: wanted a column's name in {{…}}, got {found[0]!r}")
        else:
            parts.append(f"(?P={name})" if name in seen else f"(?P<{name}>[^/]+?)")
            seen.add(name)
    return re.compile("".join(parts) + re.escape(path[end:]), re.DOTALL)


def outer_path(path: str) -> tuple[str, str]:
    """The file that a path leads into, where it goes on inside of a zip, and what divides the two."""
    outer, packed, _ = path.partition(".zip/")
    return outer + (".zip" if packed else ""), packed


def pinned_names(source: FilesSource, lock: Lock) -> list[str]:
    """The files of a source that the lock pins, sorted. Raises SpecError for a capture that can be no column."""
    outer, _ = outer_path(source.path)
    wanted = pattern(outer)
    # a first folder that is a pattern is a user's: `{lang}/test.jsonl` means none of our data sets
    ours = read_lock().files if _SPECIAL.search(outer.partition("/")[0]) else {}
    return [name for name in sorted(lock.files) if name not in ours and wanted.fullmatch(name)]


def _find(source: FilesSource, catalog: Sequence[Path], lock: Lock) -> list[File]:
    outer, packed = outer_path(source.path)
    wanted = pattern(outer)
    pinned = pinned_names(source, lock)
    if pinned:
        places = [(name, _pinned(name, catalog, lock)) for name in pinned]
    else:
        places = next(filter(None, (_own(Path(folder), outer, wanted) for folder in catalog)), [])
    if not places:
        folder = outer.partition("/")[0] + "/"
        near = [name for name in lock.files if name.startswith(folder)]
        known = near or {name.partition("/")[0] for name in lock.files}
        raise Unavailable(f"{unknown('file', outer, known)} in datasets.lock, and no catalogue folder has it")
    files = [File(name, path, sha256(path), _captured(wanted, name)) for name, path in places]
    if not outer.endswith(".zip") or source.reader:
        return files
    return [member for file in files for member in _members(file, pattern(source.path if packed else f"{outer}/**"))]


def _captured(wanted: re.Pattern[str], name: str) -> dict[str, str]:
    found = wanted.fullmatch(name)
    return dict(found.groupdict()) if found else {}


def _pinned(name: str, catalog: Sequence[Path], lock: Lock) -> Path:
    """A pinned file where it lies, else fetched; in both cases it is as pinned."""
    path = lookup(name, catalog)
    if path is None:
        return fetch(lock.files[name], data_folder())
    verify(path, lock.files[name])
    return path


def pinned_file(sha256: str, catalog: Sequence[Path] = ()) -> Path:
    """The pinned file of a digest, verified. Raises DatasetError where none is pinned by it or it cannot be had."""
    lock = read_lock(catalog)
    name = next((name for name, pin in lock.files.items() if pin.sha256 == sha256), None)
    if name is None:
        raise DatasetError(f"datasets.lock pins no file by the SHA-256 {sha256}")
    return _pinned(name, catalog, lock)


def _own(folder: Path, outer: str, wanted: re.Pattern[str]) -> list[tuple[str, Path]]:
    """The files of such a name in a user's folder, sorted by it."""
    fixed = _SPECIAL.split(outer)[0].rpartition("/")[0]  # only below what is fixed: the folder may be large
    if not _SPECIAL.search(outer):
        return [(outer, folder / outer)] if (folder / outer).is_file() and ".." not in Path(outer).parts else []
    found = ((path.relative_to(folder).as_posix(), path) for path in (folder / fixed).rglob("*") if path.is_file())
    return sorted((name, path) for name, path in found if wanted.fullmatch(name))


def _members(file: File, wanted: re.Pattern[str]) -> list[File]:
    try:
        with zipfile.ZipFile(file.path) as packed:
            names = sorted(info.filename for info in packed.infolist() if not info.is_dir())
    except zipfile.BadZipFile as error:
        raise DatasetError(f"{file.name} is not a zip: {error}") from None
    found = [
        replace(file, name=f"{file.name}/{name}", member=name, captures=_captured(wanted, f"{file.name}/{name}"))
        for name in names
        if wanted.fullmatch(f"{file.name}/{name}")
    ]
    if not found:
        raise DatasetError(f"{file.name}: {unknown('member', wanted.pattern, names)}")
    return found


def _facts(source: FilesSource, files: Sequence[File], lock: Lock) -> dict[str, Any]:
    said = source.model_dump(mode="json", exclude_defaults=True, exclude={"join"})
    facts: dict[str, Any] = {"source": "files", **said}
    digests = {file.name.removesuffix(f"/{file.member}"): file.sha256 for file in files}
    facts |= {"sha256": combined(digests.items()), "files": len(files)}
    pins = [lock.files[name] for name in digests if name in lock.files]
    revisions = {f"{pin.repository}@{pin.commit}" for pin in pins if pin.repository}
    if len(revisions) == 1:
        facts["revision"] = revisions.pop()
    if source.reader:
        facts["reader_version"] = version_of(reader[source.reader])
    else:
        for file in files:
            kind_of(file, source)
    return facts


def _rows(files: Sequence[File], source: FilesSource) -> Iterator[dict[str, Any]]:
    for file in files:
        for row in _read(file, source):
            for name, value in file.captures.items():
                if row.setdefault(name, value) != value:
                    raise DatasetError(f"{file.name}: the capture {{{name}}} is a column already: rename the capture")
            yield row


def _read(file: File, source: FilesSource) -> Iterator[dict[str, Any]]:
    if not source.reader:
        return records(file, source)
    try:
        return iter([dict(row) for row in reader[source.reader](file.path, **source.options)])
    except (TypeError, ValueError, KeyError, OSError, EOFError) as error:
        what = f"{file.name}: the reader {source.reader}"
        raise DatasetError(f"{what} (options {source.options}): {type(error).__name__}: {error}") from error


def _joined(
    rows: Iterator[dict[str, Any]], others: Iterator[dict[str, Any]], source: FilesSource, joined: FilesSource
) -> Iterator[dict[str, Any]]:
    """Each row with the one beside it: the next of those with the same captures; or the one of them, for them all, as
    is a whole file (`records: 0`)."""
    keys, path, beside = captures(joined.path), source.path, joined.path
    shared = bool(keys) or joined.records == 0
    pool: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for other in others:
        pool.setdefault(tuple(other[key] for key in keys), []).append(other)
    counts: Counter[tuple[Any, ...]] = Counter()
    for row in rows:
        if any(key not in row for key in keys):
            raise DatasetError(f"{path}: joined to {beside} by {', '.join(keys)}; the row has {', '.join(row)}")
        at = tuple(str(row[key]) for key in keys)
        there, place = pool.get(at, []), counts[at]
        counts[at] += 1
        if len(there) == 1 and shared:
            place = 0
        if place >= len(there):
            raise DatasetError(f"{beside} has {len(there)} rows {_for(keys, at)}and {path} has more")
        yield {**there[place], **row}
    for at, there in pool.items():
        if counts[at] < len(there) and (counts[at] or not shared):
            raise DatasetError(f"{beside} has {len(there)} rows {_for(keys, at)}and {path} has {counts[at]}")


def _for(keys: Sequence[str], at: tuple[Any, ...]) -> str:
    return f"for {', '.join(f'{key}={value}' for key, value in zip(keys, at, strict=True))} " if keys else ""
