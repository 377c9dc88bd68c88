"""execute: the programs that answers are, run in a sandbox; what ran once is not run again.

Only for benchmarks whose scorers run programs. Each end is in the ledger half a second after it is known, so that a
run which is killed loses what was running.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from assay.errors import AssayError, SpecError
from assay.execute import jobs_of
from assay.keys import key
from assay.programs import Job, Outcome, Ran, Sandbox
from assay.reading import Scoring, scorings
from assay.registry import version_of
from assay.samples import loads
from assay.spec import Benchmark
from storage.executions import keep, linked, open_executions
from tasks.context import Run, open_run
from tasks.predictions import Row, predictions
from tasks.progress import advance
from tasks.steps import each, step

CHUNK = 512
"""Answers whose programs are in memory at a time: a test may hold a megabyte."""
EVERY = 0.5
"""Seconds between two writes."""


def execute(ledger: str, run_id: str, benchmarks: list[str], model: str) -> list[str]:
    """The ends of the programs of some benchmarks by one model, in the ledger; a task where there are any."""
    run = open_run(ledger, run_id)
    some = any(running(run.benchmarks[name]) for name in benchmarks)
    return execute_task(ledger, run_id, benchmarks, model) if some else benchmarks


@step("execute")
def execute_task(ledger: str, run_id: str, benchmarks: list[str], model: str) -> list[str]:
    """As `execute`; the benchmarks."""
    from adapters.sandboxes import open_best

    run = open_run(ledger, run_id)
    names = [name for name in benchmarks if running(run.benchmarks[name])]
    with open_best(run.spec.sandbox, catalog=run.spec.catalog) as sandbox:
        each(run, "execute", names, lambda name: execute_one(run, name, model, sandbox), model)
    return benchmarks


def running(benchmark: Benchmark) -> list[Scoring]:
    """Those of a benchmark's scorings whose scorers run programs, each scorer once a filter."""
    return list({(s.filter, s.scorer): s for s in scorings(benchmark) if jobs_of(s.function)}.values())


def execute_one(run: Run, name: str, model: str, sandbox: Sandbox) -> None:
    """Have the ends of all programs of a model's answers to a benchmark in the ledger."""
    predicted, wanted = run.key_of("postprocess", name, model), running(run.benchmarks[name])
    how = [(s.filter, s.scorer, version_of(s.function), version_of(jobs_of(s.function))) for s in wanted]
    step_key = key("execute", predicted, how, sandbox.tier, dict(sandbox.languages))
    with run.step("execute", name, step_key, "executed", model) as record:
        if not record.fresh:
            return
        for rows in predictions(run, predicted, run.key_of("prepare", name), CHUNK):
            jobs: dict[str, Job] = {}
            links = [link for row in rows for link in _links(name, row, wanted, sandbox, jobs)]
            run_missing(run, jobs, sandbox)
            if links:
                run.put("executed", step_key, linked(links))
            record.rows += len(links)


def _links(
    name: str, row: Row, wanted: list[Scoring], sandbox: Sandbox, jobs: dict[str, Job]
) -> Iterator[tuple[Any, ...]]:
    """Which executions the scores of an answer are made of; their jobs go into `jobs`."""
    ordinal, sample_key, replica, filter_, value, fields = row
    for one in wanted:
        if one.filter == filter_ and value is not None:
            for place, job in enumerate(jobs_for(name, one, orjson.loads(value), loads(fields))):
                known = execution_key(job, sandbox)
                jobs[known] = Job(known, job.programs)
                yield ordinal, sample_key, replica, filter_, one.scorer, place, known


def jobs_for(name: str, one: Scoring, found: Any, sample: dict[str, Any]) -> Sequence[Job]:
    """The jobs of an answer. Raises SpecError where the scorer fails to make them."""
    jobs = jobs_of(one.function)
    assert jobs is not None
    try:
        return jobs(found, sample, **one.options)
    except AssayError:
        raise
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        raise SpecError(f"{name}: the scorer {one.scorer!r} cannot run {found!r:.80}: {why}") from error


def execution_key(job: Job, sandbox: Sandbox) -> str:
    """What changes the end of a job: all that it is, and what runs it."""
    return key("execution", job.key, sandbox.tier, [sandbox.languages.get(p.command[0]) for p in job.programs])


def run_missing(run: Run, jobs: Mapping[str, Job], sandbox: Sandbox) -> None:
    """Run the jobs whose ends are not in the ledger."""
    missing = open_executions(run.ledger, jobs)
    ended: list[tuple[Job, Ran]] = []
    told = time.monotonic()
    for ran in ends([jobs[name] for name in missing], sandbox):
        ended.append((jobs[ran.key], ran))
        advance("execute", 1)
        if time.monotonic() - told > EVERY:
            keep(run.ledger, ended, sandbox)
            ended, told = [], time.monotonic()
    keep(run.ledger, ended, sandbox)


def ends(jobs: Sequence[Job], sandbox: Sandbox) -> Iterator[Ran]:
    """How jobs end; those that want a language which is not here are not run, and say so."""
    able = []
    for job in jobs:
        lacks = sorted({p.command[0] for p in job.programs} - set(sandbox.languages))
        if lacks:
            yield Ran(job.key, tuple(Outcome("failed", stderr=f"no {lacks[0]} here") for _ in job.programs))
        else:
            able.append(job)
    yield from sandbox.run(able)
