"""The DAG of an evaluation.

    prepare -> prompt -> plan -> infer -> collect -> postprocess -> score -> summarize

prompt … collect go round until no solver has a question left. Steps hand each other keys and paths; the rows are in the
ledger, so running again does only what is missing.
"""

from __future__ import annotations

from prefect import flow
from prefect.runtime import flow_run

from assay.chunks import chunked
from assay.reading import name_of
from tasks.collect import collect_orphans, collect_task
from tasks.context import Run, open_run
from tasks.infer import infer_task
from tasks.lease import leased
from tasks.plan import plan_task
from tasks.postprocess import postprocess_task
from tasks.prepare import prepare_task
from tasks.prompt import prompt_task
from tasks.report import report_task
from tasks.rounds import rounds_task
from tasks.score import score_task
from tasks.summarize import summarize_task

BATCHES = 8
"""Task runs a step is divided into at most: a Prefect run should keep to some 500 task runs."""


@flow(name="evaluation", validate_parameters=False)
def evaluation(ledger: str, run_id: str) -> str:
    """Take a run from its spec to its figures; the run's state at the end."""
    open_run.cache_clear()
    run = open_run(ledger, run_id)
    names = list(run.benchmarks)
    batches = list(chunked(names, -(-len(names) // BATCHES)))
    collect_orphans(run)
    with leased(run, str(flow_run.id or "")):
        for batch in batches:
            prepare_task(ledger, run_id, batch)
            prompt_task(ledger, run_id, batch)
        for model in run.models:
            ask(run, model)
            for batch in batches:
                postprocess_task(ledger, run_id, batch, model)
                score_task(ledger, run_id, batch, model)
                summarize_task(ledger, run_id, batch, model)
        return str(report_task(ledger, run_id))


def ask(run: Run, model: str) -> None:
    """Have all of a run's questions to a model answered, round by round."""
    ledger = str(run.ledger.path)
    asking = [name for name, benchmark in run.benchmarks.items() if name_of(benchmark.solver)[0] != "direct"]
    for round_ in range(run.spec.max_rounds):
        while shards := plan_task(ledger, run.id, model, round_):
            for shard in shards:
                infer_task(ledger, run.id, model, shard)
            collect_task(ledger, run.id, shards)
        if not asking or not rounds_task(ledger, run.id, model, asking, round_ + 1):
            return
