"""What a person sees at the end of a run: its figures, what went wrong, and what to ask the ledger next."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from assay.shown import interval
from flows.show import printable
from storage.ledger import Ledger
from storage.results import FAILED

SHOWN = 10
"""Causes that are named; the rest are counted."""


def score_table(rows: list[dict[str, Any]]) -> Table:
    """The figures, a line a benchmark and metric, a column a model, each with its 95 % interval."""
    models = list(dict.fromkeys(row["model"] for row in rows))
    lines: dict[tuple[str, str, str], dict[str, dict[str, Any]]] = {}
    for row in rows:
        lines.setdefault((row["dimension"] or "", row["benchmark"], row["metric"]), {})[row["model"]] = row
    table = Table(box=box.SIMPLE_HEAD, caption="value [95 % interval]; n samples", caption_justify="left")
    for name in ("benchmark", "metric", "n", *models):
        table.add_column(Text(printable(name)), justify="right" if name == "n" else "left", no_wrap=True)
    above = None
    for (dimension, benchmark, metric), by_model in lines.items():
        if dimension != above:
            table.add_row(Text(dimension, style="bold"))
            above = dimension
        sizes = sorted({str(row["n"]) for row in by_model.values()})
        cells = [cell(by_model[model]) if model in by_model else "" for model in models]
        table.add_row(*(Text(printable(text)) for text in ("  " + benchmark, metric, "/".join(sizes), *cells)))
    return table


def print_whole(table: Table) -> None:
    """Print a table to stdout with no cell cut off, however narrow the terminal."""
    console = Console()
    console.width = max(console.width, console.measure(table, options=console.options.update(width=1000)).maximum)
    console.print(table)


def cell(row: dict[str, Any]) -> str:
    """A figure as a table shows it: `0.712 [0.655, 0.762]`, and how many answers are missing."""
    shown = interval(row["value"], row["ci_low"], row["ci_high"])
    return shown + (f" ({row['n_errors']} missing)" if row["n_errors"] else "")


def troubles(book: Ledger, run_id: str) -> list[str]:
    """What went wrong in a run, a line a cause: failed benchmarks and requests; what was cut or could not be read."""
    with book.read() as con:
        rows = con.execute(
            "SELECT problem, model, benchmark, count(*), any_value(cause) FROM problems WHERE run_id = ?"
            " GROUP BY problem, model, benchmark,"
            " CASE WHEN problem IN ('step failed', 'request failed') THEN cause END"
            " ORDER BY problem NOT IN ('step failed', 'request failed'), count(*) DESC, 1, 2, 3", [run_id]
        ).fetchall()  # fmt: skip
    lines = [
        f"{problem}{f' x {count}' if count > 1 else ''}: {benchmark}{f' ({model})' if model else ''}:"
        f" {'for example ' if count > 1 and problem not in FAILED else ''}{cause}"
        for problem, model, benchmark, count, cause in rows
    ]
    rest = len(lines) - SHOWN
    lines = [printable(line).replace("\n", " ") for line in lines[:SHOWN]]
    return lines + ([f'… and {rest} more: assay sql "FROM problems"'] if rest > 0 else [])


def queries_to_try(ledger: Path, run_id: str) -> str:
    """Where the results are, and three questions to ask them."""
    default = Path(os.environ.get("ASSAY_LEDGER", "assay.duckdb"))
    option = "" if ledger == default else f" --ledger {ledger}"
    return (
        f"run {run_id} in {ledger}; ask it:\n"
        f'  assay sql{option} "FROM leaderboard"\n'
        f'  assay sql{option} "SELECT score, prediction, text, fields FROM lineage WHERE score < 1 LIMIT 5"\n'
        f'  assay sql{option} "FROM cost"'
    )
