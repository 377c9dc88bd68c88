"""The next round: what solvers ask once their earlier questions are answered."""

from __future__ import annotations

from typing import Any

from assay.errors import SpecError
from assay.keys import key
from assay.prompt import Prompter, ask_of
from assay.registry import name_of, version_of
from assay.samples import loads
from assay.solve import solve, solver
from assay.types import Reply
from tasks.columns import Columns
from tasks.context import Run, open_run
from tasks.replies import fingerprint
from tasks.steps import each, step
from tasks.transcripts import transcripts


@step("next round")
def rounds_task(ledger: str, run_id: str, model: str, benchmarks: list[str], round: int) -> int:
    """How many new questions the solvers of some benchmarks have for a model; they are in the ledger."""
    run = open_run(ledger, run_id)
    counts: list[int] = []
    each(run, "prompt", benchmarks, lambda name: counts.append(next_round(run, name, model, round)), model)
    return sum(counts)


def next_round(run: Run, name: str, model: str, round: int) -> int:
    """Have the questions that follow from a model's answers in the ledger; how many there are.

    Raises SpecError where there are some and the run has no round left for them.
    """
    benchmark = run.benchmarks[name]
    prompted = [run.key_of("prompt", name, model, earlier) for earlier in range(round)]
    solver_name, options = name_of(benchmark.solver)
    step_key = key(
        "round", round, prompted, model, fingerprint(run, prompted, model), version_of(solver[solver_name]), options
    )
    with run.step("prompt", name, step_key, "asked", model, round) as record:
        if record.fresh:
            run.forget("prompt", name, model, round)
            prompter, sampling = Prompter(benchmark), run.sampling(benchmark)
            for chunk in transcripts(run, benchmark, model, prompted):
                columns = Columns(benchmark, prompter, run.spec.seed, sampling, round)
                for ordinal, sample_key, replica, fields, prompt, exchanges in chunk:
                    record.rows += _ask(run, columns, ordinal, sample_key, replica, loads(fields), prompt, exchanges)
                if record.rows and round >= run.spec.max_rounds:
                    raise SpecError(f"{name}: the solver asks on after {round} rounds: more are had by max_rounds")
                columns.insert(run.ledger, step_key)
    return record.rows


def _ask(run: Run, columns: Columns, *told: Any) -> int:
    ordinal, sample_key, replica, sample, prompt, exchanges = told
    result = solve(columns.benchmark, sample, prompt, exchanges)
    if isinstance(result, Reply):
        return 0
    for turn, question in enumerate(result):
        role, ask = question.role, ask_of(question)
        for asked_of in (None,) if role == "subject" else run.roles[role]:
            columns.add_ask(ordinal, sample_key, ask, replica, turn, role, None, asked_of, question.sampling)
    return len(result)
