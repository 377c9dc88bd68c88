"""assay prompt: what a model will be asked, to the letter."""

from __future__ import annotations

from pathlib import Path

import click

from flows.commands.run import catalog_option


@click.command("prompt", short_help="Show what a model will be asked, to the letter.")
@click.argument("benchmark")
@click.option("-m", "--model", help="Show the text that this model's template makes of it.")
@click.option("-n", "count", type=click.IntRange(1), default=1, show_default=True, help="How many samples.")
@click.option("--seed", type=int, default=0, show_default=True)
@catalog_option
def command(benchmark: str, model: str | None, count: int, seed: int, catalogs: tuple[Path, ...]) -> None:
    """Show the first requests of BENCHMARK (such as gsm8k@cot): messages, continuations, what is right."""
    from itertools import islice

    from assay.catalog import load_benchmark, load_model
    from assay.functions import load_functions
    from flows.show import printable
    from tasks.preview import preview, written

    load_functions(catalogs)
    recipe = load_benchmark(benchmark, catalogs)
    spec = load_model(model, catalogs) if model else None
    for shown in islice(preview(recipe, catalogs, seed=seed), count):
        click.echo(printable(written(recipe, shown, spec, catalogs)))
