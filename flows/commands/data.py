"""assay data: the files of benchmarks, each pinned by URL and SHA-256, and the texts in the ledger, which age."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from flows.commands.run import catalog_option, ledger_option

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from assay.lock import Pin
    from assay.spec import HubSource

SHOWN = 10


@click.group("data", short_help="List, fetch and verify the data of benchmarks; prune the ledger.")
def command() -> None:
    """List, fetch and verify the files of benchmarks, which lie under $ASSAY_DATA; drop old texts from the ledger."""


@command.command("ls")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--format", "form", type=click.Choice(["table", "csv", "json"]), default="table", show_default=True)
@catalog_option
def ls(names: tuple[str, ...], form: str, catalogs: tuple[Path, ...]) -> None:
    """List data sets: files, bytes, state (present, incomplete, absent, corrupt), and the licence where a benchmark
    names one."""
    from adapters.datasets.fetch import data_folder
    from adapters.datasets.store import data_sets, state_of, state_of_set
    from assay.registry import folders
    from flows.show import show_rows

    licences = _licences(catalogs)
    rows = []
    for name, pins in data_sets(names, folders(catalogs)).items():
        state = state_of_set([state_of(pin, folders(catalogs)) for pin in pins])
        rows.append((name, len(pins), sum(pin.size for pin in pins), state, licences.get(name, "")))
    show_rows(("data set", "files", "bytes", "state", "licence"), rows, form)
    click.echo(f"data folder: {data_folder()}", err=True)


@command.command("pull")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--all", "everything", is_flag=True, help="Those of the Hugging Face hub too, where no file is pinned.")
@catalog_option
def pull(names: tuple[str, ...], everything: bool, catalogs: tuple[Path, ...]) -> None:
    """Fetch what is absent or corrupt, of all data sets or of those named. Exit 1 where some could not be had.

    What is here already is not fetched again, so that a pull that was cut off goes on where it was.
    """
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    from adapters.datasets import store
    from adapters.datasets.fetch import data_folder
    from assay.registry import folders

    sets = store.data_sets(names, folders(catalogs))
    wanted = [pin for pins in sets.values() for pin in pins if store.state_of(pin, folders(catalogs)) != "present"]
    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn()
    fetched = []
    with Progress(*columns, console=Console(stderr=True), disable=not wanted) as progress:
        bar = progress.add_task("fetching", total=sum(pin.size for pin in wanted))

        def done(pin: Pin) -> None:
            fetched.append(pin)
            progress.advance(bar, pin.size)

        failed = store.pull(wanted, done)
        hub = _hub_sources(catalogs) if everything else []
        if hub:
            bar = progress.add_task("from the hub", total=len(hub))
            failed += store.pull_hub(hub, lambda source: progress.advance(bar))
    files = sum(len(pins) for pins in sets.values())
    click.echo(
        f"{files} files of {len(sets)} data sets: {len(wanted)} to fetch, {len(fetched)} fetched into {data_folder()}"
    )
    _told(failed)


@command.command("verify")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@catalog_option
def verify(names: tuple[str, ...], catalogs: tuple[Path, ...]) -> None:
    """Check every file against its SHA-256. Exit 1 where one is missing or another than pinned."""
    from adapters.datasets.store import data_sets, state_of
    from assay.registry import folders

    sets = data_sets(names, folders(catalogs))
    states = {pin.path: state_of(pin, folders(catalogs)) for pins in sets.values() for pin in pins}
    wrong = [f"{path}: {state}" for path, state in states.items() if state != "present"]
    click.echo(f"{len(states) - len(wrong)} of {len(states)} files of {len(sets)} data sets are as pinned")
    _told(wrong)


@command.command("prune")
@click.option("--keep", required=True, metavar="AGE", help="How far back texts are kept: 30d, 12h or 8w.")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@click.option("--format", "form", type=click.Choice(["table", "csv", "json"]), default="table", show_default=True)
@ledger_option
def prune(keep: str, dry_run: bool, form: str, ledger: Path) -> None:
    """Drop the texts that only runs older than AGE use: questions, prompts, answers, what was read in them, failures.

    Figures, scores and the history of runs stay for ever. What was dropped is asked again by a run that wants it.
    """
    from rich.console import Console

    from flows.show import show_rows
    from storage.ledger import Ledger
    from storage.prune import prune as pruned
    from tasks.context import spool_of

    age = _age(keep)
    with Console(stderr=True).status("looking for what is old") as status:
        told = pruned(Ledger(ledger), spool_of(ledger), age, dry_run, lambda table: status.update(f"writing {table}"))
    show_rows(("from", "rows", "bytes"), told.going, form)
    if not told.going:
        click.echo(f"{ledger}: nothing that only runs older than {keep} use ({told.runs} are older)", err=True)
    elif dry_run:
        click.echo(f"{ledger}: {told.runs} runs are older than {keep}; nothing was changed", err=True)
    else:
        click.echo(
            f"{ledger}: {told.runs} runs are older than {keep}; {told.before:,} bytes before, {told.after:,} after."
            " Scores and figures are kept; a run that wants what was dropped asks it again",
            err=True,
        )


def _age(text: str) -> timedelta:
    """How long `30d` (or `12h`, `8w`) is. Raises SpecError for anything else."""
    import re
    from datetime import timedelta

    from assay.errors import SpecError

    found = re.fullmatch(r"([1-9]\d{0,4})([hdw])", text)
    if not found:
        raise SpecError(f"--keep {text!r}: wanted a number and a unit, h, d or w, such as 30d, 12h or 8w")
    unit = {"h": "hours", "d": "days", "w": "weeks"}[found[2]]
    return timedelta(**{unit: int(found[1])})


def _told(wrong: Sequence[str]) -> None:
    """Name what is wrong, the first of it at most, and end with 1."""
    for line in wrong[:SHOWN]:
        click.echo(line, err=True)
    if len(wrong) > SHOWN:
        click.echo(f"… and {len(wrong) - SHOWN} more", err=True)
    if wrong:
        raise click.exceptions.Exit(1)


def _hub_sources(catalogs: tuple[Path, ...]) -> list[HubSource]:
    """The hub's data sets that benchmarks need, since no files of theirs are pinned; each once."""
    from assay.catalog import benchmark_ids, load_benchmark

    found: dict[str, HubSource] = {}
    for name in benchmark_ids(catalogs):
        benchmark = load_benchmark(name, catalogs)
        shots = benchmark.prompt.fewshot.sources if benchmark.prompt.fewshot else ()
        for sources in (benchmark.sources, shots):
            if not any(source.files or source.generated for source in sources):
                found |= {source.hub.model_dump_json(): source.hub for source in sources if source.hub}
    return list(found.values())


def _licences(catalogs: tuple[Path, ...]) -> dict[str, str]:
    """The licence of each data set, as the benchmarks that read it name it."""
    from assay.catalog import benchmark_ids, load_benchmark

    found: dict[str, set[str]] = {}
    for name in benchmark_ids(catalogs):
        benchmark = load_benchmark(name, catalogs)
        for source in benchmark.sources:
            if source.files and benchmark.licence:
                found.setdefault(source.files.path.partition("/")[0], set()).add(benchmark.licence)
    return {name: "; ".join(sorted(licences)) for name, licences in found.items()}
