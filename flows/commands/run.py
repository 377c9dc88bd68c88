"""assay run: evaluate models on benchmarks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


def ledger_option(function: Any) -> Any:
    """`--ledger`, with its default from $ASSAY_LEDGER."""
    return click.option(
        "--ledger", type=click.Path(path_type=Path), envvar="ASSAY_LEDGER", default=Path("assay.duckdb"),
        show_default="$ASSAY_LEDGER or assay.duckdb", help="The DuckDB file that records everything.",
    )(function)  # fmt: skip


def catalog_option(function: Any) -> Any:
    """`--catalog`, any number of them."""
    return click.option(
        "--catalog", "catalogs", type=click.Path(path_type=Path), multiple=True,
        help="A folder with your own benchmarks, models and functions.",
    )(function)  # fmt: skip


@click.command("run", short_help="Evaluate models on benchmarks.")
@click.argument("spec_file", required=False, type=click.Path(path_type=Path), metavar="[SPEC.yaml]")
@click.option("-m", "--model", "models", multiple=True, help="A row of models.yaml, or adapter:path, such as hf:gpt2.")
@click.option("-b", "--benchmark", "benchmarks", multiple=True, help="Such as gsm8k or gsm8k@cot.")
@click.option("-s", "--suite", "suites", multiple=True, help="A named list of benchmarks, such as mini.")
@click.option("--limit", type=int, help="At most so many samples of each group of each benchmark.")
@click.option("--judge", "judges", multiple=True, help="A model that judges answers, for benchmarks that ask one.")
@click.option("--baseline", help="The model whose answers others are held against, for benchmarks that compare two.")
@click.option("--embedder", help="The model whose vectors say which examples are near, for retrievers that ask one.")
@click.option("--seed", type=int, help="Seed of everything that is drawn (0).")
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="model.dtype=float32, sampling.max_tokens=64"
)
@click.option("--refresh", is_flag=True, help="Ask again what has been answered already.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object as the last line.")
@catalog_option
@ledger_option
def command(
    spec_file: Path | None, models: tuple[str, ...], benchmarks: tuple[str, ...], suites: tuple[str, ...],
    judges: tuple[str, ...], baseline: str | None, embedder: str | None,
    limit: int | None, seed: int | None, settings: tuple[str, ...], refresh: bool, as_json: bool,
    catalogs: tuple[Path, ...], ledger: Path,
) -> None:  # fmt: skip
    """Evaluate models on benchmarks, from a file, from flags, or from both (flags win).

    A run of the same spec that was interrupted is resumed.
    """
    from flows.given import spec_of
    from flows.running import run_spec

    spec = spec_of(spec_file, models, benchmarks, suites, limit, seed, settings, catalogs, judges, baseline, embedder)
    raise click.exceptions.Exit(run_spec(spec, ledger, refresh=refresh, as_json=as_json))
