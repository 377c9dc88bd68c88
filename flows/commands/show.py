"""assay show: a benchmark's recipe, a model, or a run."""

from __future__ import annotations

from pathlib import Path

import click

from flows.commands.run import catalog_option, ledger_option


@click.command("show", short_help="Show a benchmark's recipe, a model, or a run.")
@click.argument("name")
@catalog_option
@ledger_option
def command(name: str, catalogs: tuple[Path, ...], ledger: Path) -> None:
    """Show NAME in full: a benchmark (gsm8k, gsm8k@cot), a model (a row of models.yaml, or adapter:path), or a run."""
    from assay.catalog import benchmark_ids, load_benchmark, model_names
    from assay.errors import SpecError, unknown
    from assay.functions import load_functions

    load_functions(catalogs)
    runs = _runs(ledger)
    known = [*benchmark_ids(catalogs), *model_names(catalogs), *runs]
    if name in runs:
        _show_run(name, ledger)
    elif ":" in name or name in model_names(catalogs):
        _show_model(name, catalogs)
    elif name in known or "@" in name:
        click.echo(_yaml(load_benchmark(name, catalogs).model_dump(mode="json", by_alias=True, exclude_defaults=True)))
    else:
        raise SpecError(unknown("benchmark, model or run", name, known))


def _yaml(data: object) -> str:
    import yaml

    return str(yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=118)).rstrip()


def _runs(ledger: Path) -> list[str]:
    from storage.ledger import Ledger

    if not ledger.exists():
        return []
    with Ledger(ledger).read() as con:
        return [run_id for (run_id,) in con.execute("SELECT run_id FROM runs").fetchall()]


def _show_model(name: str, catalogs: tuple[Path, ...]) -> None:
    from adapters import model_adapter
    from assay.catalog import load_model

    spec = load_model(name, catalogs)
    info = model_adapter(spec.adapter, catalogs).describe(spec)
    told = {
        "model": spec.model_dump(mode="json", exclude_defaults=True),
        "answers": sorted(info.kinds),
        "gives": sorted(info.needs),
        "chat": info.chat,
        "max_length": info.max_length,
        "identity": dict(info.identity),
        "facts": dict(info.facts),
    }
    click.echo(_yaml(told))


def _show_run(run_id: str, ledger: Path) -> None:
    import orjson

    from flows.show import show_rows
    from flows.table import print_whole, queries_to_try, score_table, troubles
    from storage.ledger import Ledger
    from storage.results import figures

    book = Ledger(ledger)
    with book.read() as con:
        engines = con.execute(
            "SELECT coalesce(o.label, model_key) AS model, list_sort(list_distinct(list(engine))) FROM shards"
            " LEFT JOIN models o USING (model_key) WHERE run_id = ? AND engine <> '' GROUP BY model ORDER BY model",
            [run_id],
        ).fetchall()
        row = con.execute("SELECT state, created, finished, spec FROM runs WHERE run_id = ?", [run_id]).fetchone()
        steps = con.execute(
            "SELECT s.step, benchmark, coalesce(o.label, ''), round, state, rows, round(seconds, 2) FROM steps s"
            " LEFT JOIN models o USING (model_key) WHERE run_id = ? ORDER BY recorded", [run_id]
        ).fetchall()  # fmt: skip
    assert row is not None
    told = {"run": run_id, "state": row[0], "created": row[1], "finished": row[2], "spec": orjson.loads(row[3])}
    click.echo(_yaml(told | ({"engines": dict(engines)} if engines else {})))
    show_rows(("step", "benchmark", "model", "round", "state", "rows", "seconds"), steps)
    print_whole(score_table(figures(book, run_id)))
    for line in troubles(book, run_id):
        click.echo(line)
    click.echo(queries_to_try(ledger, run_id))
