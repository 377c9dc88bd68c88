"""assay plan: what a run will ask, how long it will take and what it will cost, without asking."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from flows.commands.run import command as run
from flows.given import spec_of

if TYPE_CHECKING:
    from rich.table import Table

    from tasks.estimate import Estimate
    from tasks.planned import Plan


@click.command("plan", short_help="What a run will ask, take and cost, without asking.", params=run.params)
def command(
    spec_file: Path | None, models: tuple[str, ...], benchmarks: tuple[str, ...], suites: tuple[str, ...],
    judges: tuple[str, ...], baseline: str | None, embedder: str | None,
    limit: int | None, seed: int | None, settings: tuple[str, ...], refresh: bool, as_json: bool,
    catalogs: tuple[Path, ...], ledger: Path,
) -> None:  # fmt: skip
    """Say what `assay run` with the same arguments will ask, how long it will take and what it will cost.

    No model is loaded or asked, but an embedder where prompts want one. Samples and prompts are put into the ledger,
    which is made where there is none: the run that follows finds them there.
    """
    from flows.running import Bars
    from flows.server import apply_settings
    from storage.ledger import Ledger

    spec = spec_of(spec_file, models, benchmarks, suites, limit, seed, settings, catalogs, judges, baseline, embedder)
    apply_settings()  # the steps' files import Prefect; nothing is run by it
    from tasks.check import check
    from tasks.planned import plan

    book = Ledger(ledger)
    book.check()
    check(spec)
    with Bars():
        told = plan(spec, book, refresh)
    _show(told, ledger, as_json)
    raise click.exceptions.Exit(1 if told.failed else 0)


def _show(told: Plan, ledger: Path, as_json: bool) -> None:
    import orjson

    from flows.running import console
    from flows.show import printable

    if as_json:
        models = [one.model_dump(mode="json") for one in told.estimates]
        failed = [{"benchmark": name, "error": error} for name, error in told.failed]
        whole = {"run": told.run_id, "ledger": str(ledger), "models": models, "failed": failed}
        print(orjson.dumps(whole | {"first_round_only": told.in_rounds}).decode())
    else:
        from flows.table import print_whole

        for one in told.estimates:
            print_whole(_table(one))
            for line in _lines(one):
                click.echo(printable(f"  {line}"))
    for name, error in told.failed:
        console.print(printable(f"step failed: {name}: {error}"), style="yellow", soft_wrap=True, markup=False)
    if told.in_rounds:
        names = ", ".join(told.in_rounds)
        console.print(f"only the first round is counted of {names}: the others depend on the answers", soft_wrap=True)


def _table(one: Estimate) -> Table:
    """What is open of each benchmark."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from flows.show import printable

    table = Table(box=box.SIMPLE_HEAD, title=Text(printable(one.model), style="bold"), title_justify="left")
    for name in ("benchmark", "requests", "shards", "prompt tokens", "written tokens", "one replica"):
        table.add_column(name, justify="left" if name == "benchmark" else "right", no_wrap=True)
    for share in one.benchmarks:
        counts = (share.requests, share.shards, share.prompt_tokens, share.written_tokens)
        table.add_row(Text(printable(share.benchmark)), *(f"{n:,}" for n in counts), duration(share.seconds))
    counts = (one.open, one.shards, one.prompt_tokens, one.written_tokens)
    answering = sum(share.seconds for share in one.benchmarks)
    table.add_row("all", *(f"{n:,}" for n in counts), duration(answering), style="bold")
    return table


def _lines(one: Estimate) -> list[str]:
    """What the table does not say, a line each."""
    elsewhere = f", {one.waiting:,} being asked by another run" if one.waiting else ""
    times = ", ".join(f"{duration(time.seconds)} on {time.replicas}" for time in one.times)
    where = f" replicas; up to {one.worth:,} worth the loading" if len(one.times) > 1 else ", in the run's own process"
    price = "the model has no price" if one.price is None else f"{one.price:,.2f}"
    return [
        f"requests: {one.open:,} open, {one.cached:,} answered already{elsewhere}, of {one.asked:,}",
        f"shards:   {one.shards:,}, the longest {duration(one.longest)}",
        f"time:     {times}{where}; {duration(one.load)} of it to load" if one.open else "time:     nothing to ask",
        f"cost:     {price}; {one.device_hours:,.2f} device hours",
        f"rates:    {one.prefill:,.0f} prompt and {one.decode:,.0f} written tokens a second, from {one.rates_from}",
    ]


def duration(seconds: float) -> str:
    """Seconds as a person says them: `0.4 s`, `5 min 03 s`, `2 h 05 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
