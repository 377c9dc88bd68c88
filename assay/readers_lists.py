"""Readers of files whose fields hold lists: texts that write a list out, columns that run side by side."""

from __future__ import annotations

import ast
import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from assay.readers import reader


@reader
def written_lists(path: Path, columns: Sequence[str], encoding: str = "utf-8-sig") -> Iterator[dict[str, Any]]:
    """The rows of a CSV of which some columns hold a list as Python writes it, `['a', 'b']`; `columns` name old and new
    as `old:new`."""
    names = dict(column.split(":") for column in columns)
    with path.open(encoding=encoding, newline="") as stream:
        for row in csv.DictReader(stream):
            yield row | {new: ast.literal_eval(row[old]) for old, new in names.items()}


@reader
def gathered(path: Path, **lists: str) -> Iterator[dict[str, Any]]:
    """The records of a JSON list, and in each by the names of `lists` the values of all columns that begin so."""
    for record in json.loads(path.read_text(encoding="utf-8")):
        found = {name: [v for column, v in record.items() if column.startswith(begin)] for name, begin in lists.items()}
        yield record | found


@reader
def side_by_side(path: Path, records: str, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The records of a JSON whose columns are lists of equal length: a row for each place, `columns` naming old and new
    as `old:new`; the other fields are in each row."""
    names = dict(column.split(":") for column in columns)
    for record in json.loads(path.read_text(encoding="utf-8"))[records]:
        shared = {name: value for name, value in record.items() if name not in names}
        for values in zip(*(record[name] for name in names), strict=True):
            yield shared | dict(zip(names.values(), values, strict=True))
