"""assay resume: complete a run that was interrupted."""

from __future__ import annotations

from pathlib import Path

import click

from flows.commands.run import ledger_option


@click.command("resume", short_help="Complete a run that was interrupted.")
@click.argument("run_id", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object as the last line.")
@ledger_option
def command(run_id: str | None, as_json: bool, ledger: Path) -> None:
    """Complete an interrupted run: the one named, else the newest that is unfinished.

    What was answered stays; at most the requests in flight are asked again.
    """
    from flows.running import resume

    raise click.exceptions.Exit(resume(run_id, ledger, as_json=as_json))
