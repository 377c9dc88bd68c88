"""The DAG of an evaluation.

    prepare -> prompt -> plan -> infer -> collect -> postprocess -> execute -> score -> summarize

prompt … collect go round until no solver has a question left. Steps hand each other keys and paths; the rows are in the
ledger, so running again does only what is missing. Models are asked in this process, or by workers (`compute:`): the
flow is the same.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Sequence
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Cancelled, Completed, Failed

from assay.chunks import chunked
from assay.registry import name_of
from flows.form import EvalForm
from flows.table import troubles
from storage.ledger import Ledger
from tasks.begin import begin
from tasks.check import check
from tasks.collect import collect_orphans, collect_task
from tasks.context import Run, elsewhere, open_run
from tasks.dispatch import ask_elsewhere, check_place
from tasks.execute import execute
from tasks.infer import infer_task
from tasks.lease import leased
from tasks.plan import plan_task
from tasks.pool import CancelledRun, cancel_children
from tasks.postprocess import postprocess_task
from tasks.prepare import prepare_task
from tasks.prompt import prompt_task
from tasks.report import report_task
from tasks.rounds import rounds_task
from tasks.score import score_task
from tasks.summarize import summarize_task

BATCHES = 8
"""Task runs a step is divided into at most: a Prefect run should keep to some 500 task runs."""


@flow(name="evaluation", on_cancellation=[cancel_children], on_crashed=[cancel_children])
def evaluation(spec: EvalForm, ledger: str | None = None, run_id: str | None = None) -> State[dict[str, Any]]:
    """Evaluate models on benchmarks.

    Args:
        spec: What is asked for.
        ledger: The DuckDB file that records everything; by default $ASSAY_LEDGER, else assay.duckdb.
        run_id: A run of this ledger that is to be completed; by default the unfinished one of the same spec.
    """
    book = Ledger(ledger or os.environ.get("ASSAY_LEDGER", "assay.duckdb"))
    if run_id is None:
        book.check()
        check(spec.spec())
        check_place(spec.spec())
        run_id = begin(spec.spec(), book).run_id
    try:
        told = {"run": run_id, "state": evaluate(str(book.path.absolute()), run_id)}
    except CancelledRun:
        return Cancelled(message=f"what was answered is kept: assay resume {run_id} --ledger {book.path}")
    if told["state"] == "done":
        return Completed(data=told)
    return Failed(name="Incomplete", data=told, message="; ".join(troubles(book, run_id)))


def evaluate(ledger: str, run_id: str) -> str:
    """Take a recorded run from its spec to its figures; the state that it ends in."""
    open_run.cache_clear()
    run = open_run(ledger, run_id)
    names = list(run.benchmarks)
    batches = list(chunked(names, -(-len(names) // BATCHES)))
    collect_orphans(run)
    gc.set_threshold(200_000, 50, 1000)  # to search millions of long-lived things for cycles takes a third of a run
    with run.ledger.kept(), leased(run, str(flow_run.id or "")):
        batches = [prompt_task(ledger, run_id, prepare_task(ledger, run_id, batch)) for batch in batches]
        for models in [run.subjects] if run.others else [(model,) for model in run.subjects]:
            ask(run, models)
            for model in models:
                for batch in batches:
                    read = execute(ledger, run_id, postprocess_task(ledger, run_id, batch, model), model)
                    summarize_task(ledger, run_id, score_task(ledger, run_id, read, model), model)
        return str(report_task(ledger, run_id))


def ask(run: Run, models: Sequence[str]) -> None:
    """Have all of a run's questions to some evaluated models answered, round by round: in each round first by these,
    then by the judges, so that a judge is loaded once a round and not once a model."""
    ledger = str(run.ledger.path)
    asking = [name for name, benchmark in run.benchmarks.items() if name_of(benchmark.solver)[0] != "direct"]
    for round_ in range(run.spec.max_rounds):
        for model in dict.fromkeys((*models, *run.others)):
            ask_open(run, model, round_)
        if not asking or not sum([rounds_task(ledger, run.id, model, asking, round_ + 1) for model in models]):
            return


def ask_open(run: Run, model: str, round_: int) -> None:
    """Have what is open of a run's questions to one model answered."""
    ledger = str(run.ledger.path)
    while shards := plan_task(ledger, run.id, model, round_):
        if elsewhere(run.spec, run.models[model]):
            ask_elsewhere(run, model, shards)
        else:
            for shard in shards:
                infer_task(ledger, run.id, model, shard)
        collect_task(ledger, run.id, shards)
