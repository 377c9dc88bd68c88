"""Rows on a terminal: a table that folds long texts, or CSV or JSON lines for the next program."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

FORMATS = ("table", "csv", "json")
SHOWN = 1000
"""Characters of a cell that a table shows."""


def show_rows(names: Sequence[str], rows: Iterable[Sequence[Any]], form: str = "table") -> None:
    """Print rows to stdout as a table, as CSV with a header, or as one JSON object a line."""
    if form == "json":
        for row in rows:
            print(json.dumps(dict(zip(names, row, strict=True)), default=str, ensure_ascii=False))
    elif form == "csv":
        writer = csv.writer(sys.stdout)
        writer.writerow(names)
        writer.writerows(rows)
    else:
        console = Console() if sys.stdout.isatty() else Console(width=200)
        console.print(_table(names, list(rows)))


def _table(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD, caption=f"{len(rows)} rows" if len(rows) != 1 else "1 row", caption_justify="left"
    )
    for place, name in enumerate(names):
        numeric = any(isinstance(row[place], int | float) for row in rows)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(_cell, row))
    return table


def _cell(value: Any) -> Text:
    """A value as text: what a model wrote is never taken for markup or for commands to the terminal."""
    if value is None:
        return Text("", style="dim")
    shown = f"{value:.6g}" if isinstance(value, float) else str(value)
    return Text(printable(shown[:SHOWN] + ("…" if len(shown) > SHOWN else "")))


def printable(text: str) -> str:
    """The text without control characters, which could move the cursor or colour what follows."""
    return "".join(c if c in "\n\t" or c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
