"""A run that is planned: its samples and prompts are in the ledger, and nothing has been asked. The run that follows
takes it up, and finds them there."""

from __future__ import annotations

from typing import NamedTuple

from assay.registry import name_of
from assay.spec import EvalSpec
from storage.ledger import Ledger
from tasks.begin import begin
from tasks.context import Run, open_run
from tasks.estimate import Estimate, estimate
from tasks.prepare import prepare
from tasks.prompt import prompt
from tasks.steps import each


class Plan(NamedTuple):
    """What a run will come to."""

    run_id: str
    estimates: tuple[Estimate, ...]
    """Of each model."""
    failed: tuple[tuple[str, str], ...]
    """Benchmarks that cannot be asked, and why."""
    in_rounds: tuple[str, ...]
    """Benchmarks of which only the first round's questions are known."""


def plan(spec: EvalSpec, ledger: Ledger, refresh: bool = False) -> Plan:
    """What a run of a spec will ask, and how long it will take: of the unfinished one, where there is one.

    Prepares the samples and the prompts that the run needs; asks nobody but whom retrievers ask. Raises SpecError,
    ModelError, LedgerError.
    """
    run = _planned(spec, ledger)
    with ledger.kept():
        for name in run.benchmarks:
            each(run, "prepare", [name], lambda name: prepare(run, name))
            each(run, "prompt", [name], lambda name: prompt(run, name))
        estimates = tuple(estimate(run, model, refresh) for model in run.subjects)
    with ledger.read() as con:
        failed = con.execute(
            "SELECT benchmark, error FROM steps WHERE run_id = ? AND state = 'failed' AND step IN ('prepare', 'prompt')"
            " ORDER BY recorded", [run.id]
        ).fetchall()  # fmt: skip
    rounds = [name for name, one in run.benchmarks.items() if name_of(one.solver)[0] != "direct"]
    return Plan(run.id, estimates, tuple(failed), tuple(rounds))


def _planned(spec: EvalSpec, ledger: Ledger) -> Run:
    """The run that `assay run` would go on with, else a new one that nobody is at; what failed is tried again."""
    run_id, resumed = begin(spec, ledger)
    with ledger.write() as con:
        if not resumed:
            con.execute("UPDATE runs SET state = 'planned', lease = NULL WHERE run_id = ?", [run_id])
        con.execute(
            "DELETE FROM steps WHERE run_id = ? AND state = 'failed' AND step IN ('prepare', 'prompt')", [run_id]
        )
    open_run.cache_clear()
    return open_run(str(ledger.path.absolute()), run_id)
