"""prompt: samples and demonstrations become requests; in later rounds, solvers ask what the answers so far call for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from assay.chunks import CHUNK
from assay.keys import key
from assay.prompt import Prompter
from assay.registry import name_of, version_of
from assay.retrieve import best, retriever
from assay.retrieve_topk import Near
from assay.samples import loads
from assay.solve import solver
from assay.spec import Benchmark
from assay.template import filters_in, text_template
from tasks.columns import Columns
from tasks.context import Run, open_run
from tasks.examples import Case, Chooser, Pool, pool_of
from tasks.fit import Fit
from tasks.progress import advance
from tasks.retrieval import Helpers, aid, helpers_of
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
    helpers = helpers_of(run.spec, benchmark)
    recipe = benchmark.model_dump(mode="json", include={"prompt", "kind", "choices", "needs"})
    sampling = run.sampling(benchmark)
    chosen_by = [retriever[fewshot.retriever], best, *([Near] if helpers.embedder else [])] if fewshot else []
    code = [version_of(one) for one in (Prompter, text_template, *chosen_by)]
    how = [sampling.model_dump(mode="json"), run.spec.seed, facts, code, filters_in(recipe), *helpers.keys]
    if benchmark.solver != "direct":  # it has the first questions
        how += [benchmark.solver, version_of(solver[name_of(benchmark.solver)[0]])]
    fits = fewshot is not None and fewshot.fit
    for model in run.subjects:  # the same questions to each: the first has them made, the others are linked to them
        step_key = key("prompt", prepared, recipe, *how, *([model] if fits else []))
        with run.step("prompt", name, step_key, "asked", model) as record:
            if record.fresh:
                record.rows = _write(run, benchmark, pool, prepared, step_key, helpers, model if fits else None)
            else:
                advance("prompt", record.rows)


def _write(
    run: Run, benchmark: Benchmark, pool: Pool, prepared: str, step_key: str, helpers: Helpers, fitted: str | None
) -> int:
    """Write the requests of a benchmark, of a length that fits a model where one is named; of how many samples."""
    prompter, sampling, rows = Prompter(benchmark), run.sampling(benchmark), 0
    choose = Chooser(benchmark, pool, run.spec.seed, aid(run, benchmark, prompter, helpers))
    fit = Fit(benchmark, prompter, run.models[fitted], sampling, run.spec.catalog) if fitted else None
    for chunk in _sample_chunks(run, prepared):
        columns = Columns(benchmark, prompter, run.spec.seed, sampling)
        cases = [Case(ordinal, sample_key, grp, loads(fields)) for ordinal, sample_key, grp, fields in chunk]
        for case, shown in zip(cases, choose(cases), strict=True):
            shown = (fit(case, shown) if fit else shown).arranged(benchmark.prompt.fewshot)
            columns.add(case.ordinal, case.sample_key, case.sample, shown)
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
