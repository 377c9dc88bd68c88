"""prompt: samples and demonstrations become requests; in later rounds, solvers ask what the answers so far call for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from adapters.datasets import open_source
from assay.chunks import CHUNK
from assay.errors import SpecError
from assay.keys import key
from assay.prompt import Prompter
from assay.registry import version_of
from assay.retrieve import retriever
from assay.samples import demonstrations, loads
from assay.spec import Benchmark
from assay.types import Sample
from tasks.columns import Columns
from tasks.context import Run, open_run
from tasks.progress import advance
from tasks.steps import each, step

Demos = Callable[[str, str, Sample, int], list[tuple[int, Sample]]]
"""(group, sample key, sample, ordinal) -> the demonstrations with their places in the pool."""


@step("prompt")
def prompt_task(ledger: str, run_id: str, benchmarks: list[str]) -> None:
    """Requests of some benchmarks' first round, in the ledger."""
    run = open_run(ledger, run_id)
    each(run, "prompt", benchmarks, lambda name: prompt(run, name))


def prompt(run: Run, name: str) -> None:
    """Have the first round's requests of a benchmark in the ledger. Raises SpecError, DatasetError."""
    benchmark = run.benchmarks[name]
    prepared = run.key_of("prepare", name)
    fewshot = benchmark.prompt.fewshot
    pool, facts = _pool(run, benchmark)
    recipe = benchmark.model_dump(mode="json", include={"prompt", "kind", "choices", "needs"})
    sampling = run.sampling(benchmark)
    picks = version_of(retriever[fewshot.retriever]) if fewshot else ""
    step_key = key("prompt", prepared, recipe, sampling.model_dump(mode="json"), run.spec.seed, facts, picks)
    for model in run.models:  # the same questions to each: the first has them made, the others are linked to them
        with run.step("prompt", name, step_key, "asked", model) as record:
            if record.fresh:
                record.rows = _write(run, benchmark, pool, prepared, step_key)
            else:
                advance("prompt", record.rows)


def _write(run: Run, benchmark: Benchmark, pool: Mapping[str, Sequence[Sample]], prepared: str, step_key: str) -> int:
    prompter, demos = Prompter(benchmark), _demos(run, benchmark, pool)
    rows = 0
    for chunk in _sample_chunks(run, prepared):
        columns = Columns(benchmark, prompter, run.spec.seed, run.sampling(benchmark))
        for ordinal, sample_key, grp, fields in chunk:
            sample = loads(fields)
            columns.add(ordinal, sample_key, sample, demos(grp, sample_key, sample, ordinal))
        columns.insert(run.ledger, step_key)
        rows += len(chunk)
        advance("prompt", len(chunk))
    return rows


def _pool(run: Run, benchmark: Benchmark) -> tuple[Mapping[str, Sequence[Sample]], Any]:
    """The worked examples to choose from, by group, and what says which ones they are."""
    fewshot = benchmark.prompt.fewshot
    if fewshot is None or fewshot.k == 0:
        return {}, None
    if fewshot.samples:
        return {"": list(fewshot.samples)}, "written in the recipe"
    sources = benchmark.sources if fewshot.own else fewshot.sources
    if not sources:
        raise SpecError(f"{benchmark.id}: prompt.fewshot wants `from:` (a file, a source, self) or `samples:`")
    opened = open_source(sources, catalog=run.spec.catalog)
    return demonstrations(benchmark, opened.rows), opened.facts


def _demos(run: Run, benchmark: Benchmark, pool: Mapping[str, Sequence[Sample]]) -> Demos:
    """A function that chooses each sample's demonstrations; one retriever a group, as each is a task of its own."""
    fewshot = benchmark.prompt.fewshot
    if not pool or fewshot is None:
        return lambda grp, sample_key, sample, ordinal: []
    make = retriever[fewshot.retriever]
    made: dict[str, Any] = {}

    def choose(grp: str, sample_key: str, sample: Sample, ordinal: int) -> list[tuple[int, Sample]]:
        mine = pool.get(grp if grp in pool else "", [])
        if not mine:
            raise SpecError(
                f"{benchmark.id}: there are no demonstrations for the group {grp!r}; there are for {sorted(pool)}"
            )
        if grp not in made:
            options = fewshot.options | ({"own": True} if fewshot.own else {})
            made[grp] = make(mine, fewshot.k, run.spec.seed, benchmark.name, **options)
        return [(place, mine[place]) for place in made[grp](sample_key, sample, ordinal)]

    return choose


def _sample_chunks(run: Run, prepared: str) -> Iterator[Sequence[tuple[int, str, str, str]]]:
    start = 0
    while True:
        with run.ledger.read() as con:
            rows = con.execute(
                "SELECT ordinal, sample_key, grp, fields FROM samples"
                " WHERE prepared = ? AND ordinal >= ? AND ordinal < ? ORDER BY ordinal",
                [prepared, start, start + CHUNK],
            ).fetchall()
        if not rows:
            return
        yield rows
        start += CHUNK
