"""assay doctor: whether this machine has what an evaluation needs."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from flows.commands.run import ledger_option

Finding = tuple[str, str, str]
"""(ok | note | wrong, what was looked at, what was found)."""


@click.command("doctor", short_help="Check this machine: libraries, data, model, ledger, server.")
@ledger_option
def command(ledger: Path) -> None:
    """Check what an evaluation needs, and say what to do where something is missing. Exit 1 where all is not well."""
    wrong = 0
    for finding in (*_libraries(), *_devices(), *_data(), *_ledger(ledger), *_server()):
        state, what, found = finding
        wrong += state == "wrong"
        click.echo(f"{state:<6}{what:<14}{found}")
    if wrong:
        raise click.exceptions.Exit(1)


def _libraries() -> Iterator[Finding]:
    from importlib.metadata import PackageNotFoundError, requires, version

    from packaging.requirements import Requirement

    yield "ok" if sys.version_info >= (3, 11) else "wrong", "python", platform.python_version()
    for text in requires("assay") or []:
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            found = version(requirement.name)
        except PackageNotFoundError:
            yield "wrong", requirement.name, f"not installed: pip install -c constraints.txt '{requirement}'"
            continue
        if found not in requirement.specifier:
            yield "wrong", requirement.name, f"{found}, and assay wants {requirement.specifier}"
        else:
            yield "ok", requirement.name, found


def _devices() -> Iterator[Finding]:
    import psutil
    import torch

    memory = psutil.virtual_memory()
    yield "ok", "processor", f"{os.cpu_count()} cores, {memory.available >> 30} of {memory.total >> 30} GiB free"
    if not torch.cuda.is_available():
        yield "note", "GPU", "none that torch can use: models run on the processor"
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        yield "ok", f"GPU {index}", f"{properties.name}, {properties.total_memory >> 30} GiB"


def _data() -> Iterator[Finding]:
    from adapters.datasets.fetch import data_folder

    folder = data_folder()
    if folder.is_dir():
        yield "ok", "data", f"{folder} ({sum(1 for path in folder.iterdir() if path.is_dir())} data sets)"
    else:
        yield (
            "note",
            "data",
            f"no folder {folder}: set ASSAY_DATA, or `assay data pull`; generated benchmarks need none",
        )


def _ledger(ledger: Path) -> Iterator[Finding]:
    import time

    from assay.errors import LedgerError
    from storage.ledger import Ledger

    if not ledger.exists():
        yield "note", "ledger", f"{ledger} is not there yet: the first run makes it"
        return
    try:
        with Ledger(ledger).read() as con:
            runs = con.execute("SELECT state, count(*) FROM runs GROUP BY state ORDER BY state").fetchall()
            dead = con.execute(
                "SELECT run_id FROM runs WHERE state IN ('running', 'interrupted') AND coalesce(lease, 0) < ?",
                [time.time()],
            ).fetchall()  # fmt: skip
    except LedgerError as error:
        yield "wrong", "ledger", str(error)
        return
    told = ", ".join(f"{count} {state}" for state, count in runs) or "no runs"
    yield "ok", "ledger", f"{ledger}, {ledger.stat().st_size >> 20} MiB: {told}"
    for (run_id,) in dead:
        yield "note", "unfinished", f"assay resume {run_id} --ledger {ledger}"


def _server() -> Iterator[Finding]:
    from assay.errors import AssayError
    from flows.server import given_url, reachable

    url = given_url()
    if url is None:
        yield "ok", "Prefect", "embedded: each run starts a server of its own (set PREFECT_API_URL to use another)"
        return
    try:
        reachable()
        yield "ok", "Prefect", f"server at {url}"
    except AssayError as error:
        yield "wrong", "Prefect", str(error)
