"""prompt: samples and demonstrations become requests; in later rounds, solvers ask what the answers so far call for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from assay.chunks import CHUNK
from assay.keys import key
from assay.prompt import Prompter
from assay.reading import name_of
from assay.registry import version_of
from assay.retrieve import retriever
from assay.samples import loads
from assay.solve import solver
from assay.spec import Benchmark
from assay.template import filters_in, text_template
from tasks.columns import Columns
from tasks.context import Run, open_run
from tasks.examples import Pool, chooser, pool_of
from tasks.progress import advance
from tasks.steps import each, step


@step("prompt")
def prompt_task(ledger: str, run_id: str, benchmarks: list[str]) -> list[str]:
    """Requests of some benchmarks' first round, in the ledger; the benchmarks."""
    run = open_run(ledger, run_id)
    return each(run, "prompt", benchmarks, lambda name: prompt(run, name))


def prompt(run: Run, name: str) -> None:
    """Have the first round's requests of a benchmark in the ledger. Raises SpecError, DatasetError."""
    benchmark = run.benchmarks[name]
    prepared = run.key_of("prepare", name)
    fewshot = benchmark.prompt.fewshot
    pool, facts = pool_of(benchmark, run.spec.catalog)
    recipe = benchmark.model_dump(mode="json", include={"prompt", "kind", "choices", "needs"})
    sampling = run.sampling(benchmark)
    code = [version_of(one) for one in (Prompter, text_template, *([retriever[fewshot.retriever]] if fewshot else []))]
    how = [sampling.model_dump(mode="json"), run.spec.seed, facts, code, filters_in(recipe)]
    if benchmark.solver != "direct":  # it has the first questions
        how += [benchmark.solver, version_of(solver[name_of(benchmark.solver)[0]])]
    step_key = key("prompt", prepared, recipe, *how)
    for model in run.subjects:  # the same questions to each: the first has them made, the others are linked to them
        with run.step("prompt", name, step_key, "asked", model) as record:
            if record.fresh:
                record.rows = _write(run, benchmark, pool, prepared, step_key)
            else:
                advance("prompt", record.rows)


def _write(run: Run, benchmark: Benchmark, pool: Pool, prepared: str, step_key: str) -> int:
    prompter, demos = Prompter(benchmark), chooser(benchmark, pool, run.spec.seed)
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
