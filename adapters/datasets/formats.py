"""Bytes to records: jsonl, json, csv, tsv, parquet, txt, through .gz and .bz2, and members of a .zip.

Values of csv, tsv and txt are texts, as they stand: `007` stays `007`, and a template says `| int` where a number is
wanted. In JSON an integer beyond 64 bits becomes a text, since nothing after it could hold it exactly.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Literal, TextIO

from assay.errors import DatasetError, SpecError, unknown
from assay.spec import FilesSource

_PACKED: Mapping[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open}
_OPTIONS: Mapping[str, set[str]] = {
    "csv": {"encoding", "delimiter", "ragged"}, "tsv": {"encoding", "quotes", "ragged"}, "parquet": set(),
}  # fmt: skip
csv.field_size_limit(2**31 - 1)  # the default of 128 KiB is less than one long document


@dataclass(frozen=True)
class File:
    """One file of a data set, or one member of a zip."""

    name: str
    """Under the data folder; a member's name goes on behind the zip's."""
    path: Path
    sha256: str
    captures: Mapping[str, str] = field(default_factory=dict)
    member: str = ""


def records(file: File, source: FilesSource) -> Iterator[dict[str, Any]]:
    """The records of a file, lazily. Raises DatasetError with the file (and line) where they are malformed."""
    kind = kind_of(file, source)
    read = FORMATS[kind]
    known = _OPTIONS.get(kind, {"encoding"})
    for name in source.options:
        if name not in known:
            raise SpecError(f"{source.path}: " + unknown(f"option of the format {kind}", name, known))
    try:
        with _bytes(file) as stream:
            yield from read(stream, file, source)
    except UnicodeDecodeError as error:
        raise DatasetError(f"{file.name}: {error}; say `options: {{encoding: …}}` where it is not UTF-8") from None
    except (EOFError, gzip.BadGzipFile, zipfile.BadZipFile, csv.Error, LookupError, OSError) as error:
        raise DatasetError(f"{file.name} cannot be read as {kind}: {error}") from error


def kind_of(file: File, source: FilesSource) -> str:
    """A file's format, as said or by its ending. Raises SpecError where neither is known."""
    name = PurePosixPath(file.name)
    kind = source.format or (PurePosixPath(name.stem) if name.suffix in _PACKED else name).suffix.removeprefix(".")
    if kind not in FORMATS:
        raise SpecError(f"{file.name}: {unknown('format', kind, FORMATS)}; say it with `format:`, or name a `reader:`")
    return kind


@contextmanager
def _bytes(file: File) -> Iterator[BinaryIO]:
    if file.member:
        with zipfile.ZipFile(file.path) as packed, packed.open(file.member) as stream:
            yield stream  # type: ignore[misc]
    else:
        with _PACKED.get(file.path.suffix, Path.open)(file.path, "rb") as stream:
            yield stream


def _text(stream: BinaryIO, source: FilesSource, newline: str | None = None) -> TextIO:
    return io.TextIOWrapper(stream, encoding=source.options.get("encoding", "utf-8-sig"), newline=newline)


def _integer(digits: str) -> int | str:
    value = int(digits) if len(digits) < 20 else None
    return digits if value is None or not -(2**63) <= value < 2**64 else value


_decode = json.JSONDecoder(parse_int=_integer).decode


def _json(text: str, where: str) -> Any:
    try:
        return _decode(text)
    except json.JSONDecodeError as error:
        hint = "; say `format: jsonl` where each line is a record" if error.msg == "Extra data" else ""
        raise DatasetError(f"{where}: this is not JSON: {error}{hint}") from None


def _jsonl(stream: BinaryIO, file: File, source: FilesSource) -> Iterator[dict[str, Any]]:
    # by bytes: a text stream would break lines at characters that JSON may hold as they are
    encoding = source.options.get("encoding", "utf-8-sig")
    for number, raw in enumerate(stream, 1):
        line = raw.decode(encoding if number == 1 else encoding.removesuffix("-sig"))
        if line.strip():
            yield _record(_json(line, f"{file.name}, line {number}"), source, {})


def _whole(stream: BinaryIO, file: File, source: FilesSource) -> Iterator[dict[str, Any]]:
    with _text(stream, source) as text:
        value = _json(text.read(), file.name)
    if source.records is None:
        if not isinstance(value, list):
            keys = f" with the keys {', '.join(list(value)[:8])}" if isinstance(value, dict) else ""
            raise DatasetError(
                f"{file.name}: wanted a list of records, got a {type(value).__name__}{keys}: say with `records:` where"
                " the list lies (`*` for the values of a map), or `format: jsonl` for one record a line"
            )
        return (_record(item, source, {}) for item in value)
    return _below(value, str(source.records).split("."), source, {}, file.name)


def _below(
    value: Any, path: list[str], source: FilesSource, above: dict[str, Any], where: str
) -> Iterator[dict[str, Any]]:
    """The records at the end of a path: lists on the way are gone through, and what the maps on the way say beside it
    (texts and numbers) is in each record, such as the passage of a question."""
    if isinstance(value, list):
        for item in value:
            if path:
                yield from _below(item, path, source, above, where)
            else:
                yield _record(item, source, above)
    elif not path:
        yield _record(value, source, above)
    elif not isinstance(value, dict):
        raise DatasetError(f"{where}: records: wanted a map with {path[0]!r}, got a {type(value).__name__}")
    elif path[0] == "*":
        for name, item in value.items():
            yield from _below(item, path[1:], source, {**above, "key": name}, where)
    elif path[0] not in value:
        raise DatasetError(f"{where}: records: " + unknown("key", path[0], map(str, value)))
    else:
        beside = {k: v for k, v in value.items() if isinstance(v, str | int | float)}
        yield from _below(value[path[0]], path[1:], source, {**above, **beside}, where)


def _record(item: Any, source: FilesSource, above: Mapping[str, Any]) -> dict[str, Any]:
    """A map as it is; a list by `columns`; anything else as `value`."""
    if isinstance(item, dict):
        return {**above, **item} if above else item
    if isinstance(item, list) and source.columns:
        return {**above, **_named(item, source.columns, source.path)}
    return {**above, source.columns[0] if source.columns else "value": item}


def _named(values: list[Any], columns: Iterable[str], where: str, ragged: bool = False) -> dict[str, Any]:
    """A record of some columns; `ragged`: those that a short line lacks are null."""
    names = tuple(columns)
    if ragged and len(values) < len(names):
        values = [*values, *[None] * (len(names) - len(values))]
    if len(values) != len(names):
        raise DatasetError(f"{where}: wanted {len(names)} columns ({', '.join(names)[:80]}), got {len(values)}")
    return dict(zip(names, values, strict=True))


def _csv(stream: BinaryIO, file: File, source: FilesSource) -> Iterator[dict[str, Any]]:
    with _text(stream, source, "") as text:
        yield from _table(csv.reader(text, delimiter=source.options.get("delimiter", ",")), file, source)


def _tsv(stream: BinaryIO, file: File, source: FilesSource) -> Iterator[dict[str, Any]]:
    """A quotation mark is a character like any other, unless `options: {quotes: true}` says that it wraps a field."""
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if source.options.get("quotes") else csv.QUOTE_NONE
    with _text(stream, source, "") as text:
        yield from _table(csv.reader(text, delimiter="\t", quoting=quoting), file, source)


def _table(lines: Any, file: File, source: FilesSource) -> Iterator[dict[str, Any]]:
    names = source.columns or tuple(next(lines, ()))
    if len(set(names)) < len(names):
        raise DatasetError(f"{file.name}: two columns have one name: {', '.join(names)[:200]}")
    for values in lines:
        if values:
            yield _named(values, names, f"{file.name}, line {lines.line_num}", bool(source.options.get("ragged")))


def _lines(stream: BinaryIO, file: File, source: FilesSource) -> Iterator[dict[str, Any]]:
    """One record a line, blank ones too (what is beside it is joined by its place); N lines; or, at 0, the whole."""
    count = 1 if source.records is None else source.records
    if not isinstance(count, int) or count < 0:
        raise SpecError(f"{source.path}: records: wanted how many lines are one record, got {count!r}")
    names = source.columns or (("text",) if count < 2 else tuple(f"line{i + 1}" for i in range(count)))
    with _text(stream, source) as whole:
        text = whole.read()
    if count == 0:
        yield {names[0]: text}
        return
    lines = text.removesuffix("\n").split("\n") if text else []
    if len(lines) % count:
        raise DatasetError(f"{file.name}: wanted {count} lines a record, got {len(lines)} lines")
    for start in range(0, len(lines), count):
        yield _named(lines[start : start + count], names, f"{file.name}, line {start + 1}")


def _parquet(stream: BinaryIO, file: File, source: FilesSource) -> Iterator[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        for batch in pq.ParquetFile(stream).iter_batches(batch_size=4096):
            yield from batch.to_pylist()
    except pa.ArrowInvalid as error:
        raise DatasetError(f"{file.name} cannot be read as parquet: {error}") from None


FORMATS: Mapping[str, Callable[[BinaryIO, File, FilesSource], Iterator[dict[str, Any]]]] = {
    "jsonl": _jsonl, "json": _whole, "csv": _csv, "tsv": _tsv, "parquet": _parquet, "txt": _lines,
}  # fmt: skip
