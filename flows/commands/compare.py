"""assay compare: two models on the same questions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from flows.commands.run import catalog_option, ledger_option

if TYPE_CHECKING:
    from rich.table import Table

    from assay.compare import Change
    from storage.paired import Left


@click.command("compare", short_help="Compare two models question by question.")
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@click.option("-b", "--benchmark", "benchmarks", multiple=True, help="On this benchmark only; any number of them.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object as the last line.")
@catalog_option
@ledger_option
def command(
    before: str, after: str, benchmarks: tuple[str, ...], as_json: bool, catalogs: tuple[Path, ...], ledger: Path
) -> None:
    """Compare two models, named as tables call them, on the questions that both answered: how much B differs from A,
    with the difference's 95 % interval, and how surely. Each benchmark by its newest figures of both.

    p is of a paired test; Holm's p is adjusted for the number of lines.
    """
    from dataclasses import asdict

    import orjson

    from assay.compare import Pair, compare
    from assay.errors import SpecError, unknown
    from assay.functions import load_functions
    from flows.table import print_whole
    from storage.ledger import Ledger
    from storage.paired import Left, of_model, pairs

    load_functions(catalogs)
    with Ledger(ledger).read() as con:
        ours, theirs = of_model(con, before), of_model(con, after)
        shared = {benchmark for benchmark, _ in ours.keys() & theirs.keys()}
        for name in benchmarks:
            if name not in shared:
                raise SpecError(unknown(f"benchmark that {before} and {after} share", name, shared))
        found = list(pairs(con, ours, theirs, benchmarks or None))
    if not found:
        raise SpecError(f"{before} and {after} share no benchmark")
    changes = compare([one for one in found if isinstance(one, Pair)])
    left = [one for one in found if isinstance(one, Left)]
    if as_json:
        told = {"before": before, "after": after, "ledger": str(ledger), "changes": [asdict(c) for c in changes]}
        print(orjson.dumps(told | {"left": [one._asdict() for one in left]}).decode())
        return
    print_whole(_table(before, after, changes))
    for line in _notes(changes, left):
        click.echo(line, err=True)


def _table(before: str, after: str, changes: list[Change]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from flows.show import printable

    table = Table(box=box.SIMPLE_HEAD, caption=f"{after} less {before} [95 % interval]", caption_justify="left")
    columns = ("benchmark", "metric", before, after, "difference", "p", "Holm's p", "lost", "won", "n", "test")
    for place, name in enumerate(columns):
        table.add_column(Text(printable(name)), justify="right" if 2 <= place < 10 else "left", no_wrap=True)
    for c in changes:
        table.add_row(*(Text(printable(text)) for text in _cells(c)))
    return table


def _cells(c: Change) -> tuple[str, ...]:
    from assay.shown import interval, number, probability

    return (
        c.benchmark, c.metric, number(c.before), number(c.after), interval(c.difference, c.low, c.high),
        probability(c.p), probability(c.p_adjusted), str(c.lost), str(c.won), str(c.n), c.method,
    )  # fmt: skip


def _notes(changes: list[Change], left: list[Left]) -> list[str]:
    notes = [
        f"{c.benchmark} ({c.metric}): {c.alone} answers of one model alone are left out" for c in changes if c.alone
    ]
    return notes + [f"{one.benchmark} ({one.metric}) is not compared: {one.why}" for one in left]
