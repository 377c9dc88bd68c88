"""assay ls: what there is by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from flows.commands.run import catalog_option, ledger_option

WHAT = (
    "benchmarks", "suites", "models", "runs", "adapters", "extractors", "scorers", "metrics", "retrievers", "solvers",
    "partitioners", "generators", "readers", "filters",
)  # fmt: skip


@click.command("ls", short_help="List benchmarks, models, suites, runs, functions.")
@click.argument("what", type=click.Choice(WHAT), default="benchmarks")
@click.option("--format", "form", type=click.Choice(["table", "csv", "json"]), default="table", show_default=True)
@catalog_option
@ledger_option
def command(what: str, form: str, catalogs: tuple[Path, ...], ledger: Path) -> None:
    """List what there is: benchmarks (with their variants), models, suites, the ledger's runs, or functions that a
    recipe may name."""
    from assay.functions import load_functions
    from flows.show import show_rows

    load_functions(catalogs)
    listed = {"benchmarks": _benchmarks, "suites": _suites, "models": _models, "adapters": _adapters}
    if what in listed:
        names, rows = listed[what](catalogs)
    elif what == "runs":
        names, rows = _runs(ledger)
    else:
        names, rows = _functions(what)
    show_rows(names, rows, form)


Listing = tuple[tuple[str, ...], list[tuple[Any, ...]]]


def _benchmarks(catalogs: tuple[Path, ...]) -> Listing:
    from itertools import groupby

    from adapters.datasets.store import state_of_sources
    from assay.catalog import benchmark_ids, load_benchmark
    from assay.registry import folders

    rows = []
    for name, ids in groupby(benchmark_ids(catalogs), key=lambda id: id.partition("@")[0]):
        own, *variants = [load_benchmark(id, catalogs) for id in ids]
        kinds = " ".join(dict.fromkeys(one.kind for one in (own, *variants)))
        named = " ".join(one.variant for one in variants)
        state = state_of_sources(own.sources, folders(catalogs))
        rows.append((name, own.dimension, own.questions or "", kinds, named, state))
    return ("benchmark", "dimension", "questions", "kinds", "variants", "data"), rows


def _suites(catalogs: tuple[Path, ...]) -> Listing:
    from assay.catalog import load_suite, suite_names

    return ("suite", "benchmarks"), [(name, " ".join(load_suite(name, catalogs))) for name in suite_names(catalogs)]


def _models(catalogs: tuple[Path, ...]) -> Listing:
    from assay.catalog import load_model, model_names

    specs = [(name, load_model(name, catalogs)) for name in model_names(catalogs)]
    return ("model", "adapter", "path"), [(name, spec.adapter, spec.path) for name, spec in specs]


def _adapters(catalogs: tuple[Path, ...]) -> Listing:
    from adapters import adapter_names

    return ("adapter",), [(name,) for name in adapter_names("models", catalogs)]


def _runs(ledger: Path) -> Listing:
    from storage.ledger import Ledger

    with Ledger(ledger).read() as con:
        rows = con.execute(
            "SELECT run_id, state, created::VARCHAR, round(epoch(finished - created), 1),"
            " (SELECT string_agg(DISTINCT coalesce(o.label, m.model_key), ' ' ORDER BY coalesce(o.label, m.model_key))"
            "  FROM run_models m LEFT JOIN models o"
            "  USING (model_key) WHERE m.run_id = r.run_id),"
            " (SELECT count(DISTINCT benchmark) FROM steps s WHERE s.run_id = r.run_id AND benchmark <> '')"
            " FROM runs r ORDER BY created DESC"
        ).fetchall()
    return ("run", "state", "created (UTC)", "seconds", "models", "benchmarks"), rows


def _functions(what: str) -> Listing:
    from assay.extract import extractor
    from assay.generate import generated
    from assay.metrics import metric
    from assay.partition import partitioner
    from assay.readers import reader
    from assay.registry import Registry
    from assay.retrieve import retriever
    from assay.score import scorer
    from assay.solve import solver
    from assay.template import template_filter

    registries: dict[str, Registry[Any]] = {
        "extractors": extractor, "scorers": scorer, "metrics": metric, "retrievers": retriever, "solvers": solver,
        "partitioners": partitioner, "generators": generated, "readers": reader, "filters": template_filter,
    }  # fmt: skip
    registry = registries[what]
    return ("name", "what it does"), [(name, (registry[name].__doc__ or "").split("\n\n")[0]) for name in registry]
