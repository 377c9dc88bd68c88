"""follow: what is shown of a checkpoint that has been evaluated: curves, what it differs in from others, what fell."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from prefect.artifacts import create_table_artifact
from prefect.events import emit_event

from assay.compare import Change, Pair, compare
from assay.nightly import Nightly
from assay.shown import interval, number, probability
from storage.ledger import Ledger
from storage.paired import Left, Measured, measured, of_step, pairs
from tasks.context import benchmarks_of
from tasks.curves import Line, less_is_better, show_curves, slug
from tasks.steps import step

FELL = "assay.benchmark.fell"
"""The event of a benchmark that fell."""


class Other(NamedTuple):
    """A checkpoint that another is compared with."""

    what: str
    """`previous` or `best`."""
    step: int


class Fall(NamedTuple):
    """A benchmark that is significantly worse than it was."""

    step: int
    other: Other
    change: Change

    def told(self) -> str:
        """In a line."""
        c, other = self.change, self.other
        return (
            f"{c.benchmark} ({c.metric}) fell at step {self.step}: {number(c.before)} → {number(c.after)}"
            f" against the {other.what}, step {other.step} (p = {probability(c.p_worse_adjusted)})"
        )


@step("follow")
def follow_task(night: Nightly, ledger: str, step: int) -> list[Fall]:
    """Show a checkpoint's curves and comparisons in the Prefect UI, and tell of each fall by an event; the falls."""
    benchmarks = benchmarks_of(night)
    with Ledger(ledger).read() as con:
        figures = measured(con, night.family, benchmarks)
    show_curves(night.family, figures, benchmarks)
    falls = []
    for other in others(figures, step, less_is_better(benchmarks.values())):
        with Ledger(ledger).read() as con:
            before, after = of_step(con, night.family, other.step), of_step(con, night.family, step)
            found = list(pairs(con, before, after, benchmarks))
        changes = compare([one for one in found if isinstance(one, Pair)])
        show_comparison(night.family, step, other, changes, [one for one in found if isinstance(one, Left)])
        if other.what == night.against:
            falls += [Fall(step, other, c) for c in changes if fell(c, night.alpha)]
    for fall in falls:
        tell(night.family, fall)
    return falls


def others(figures: Sequence[Measured], step: int, less: Collection[Line]) -> list[Other]:
    """The checkpoint before a step, and the best so far: that with the highest mean over the step's own figures.

    Where less is better in some of them, the mean is over the others; where it is in all, the lowest mean is the best.
    """
    wanted = {(row.benchmark, row.metric) for row in figures if row.step == step}
    counted = wanted - set(less) or wanted
    found: dict[int, list[Measured]] = {}
    for row in figures:
        if row.step < step and (row.benchmark, row.metric) in counted and row.value is not None:
            found.setdefault(row.step, []).append(row)
    if not found:
        return []
    sign = -1 if counted <= set(less) else 1
    means = {at: sign * sum(r.value or 0.0 for r in rows) for at, rows in found.items() if len(rows) == len(counted)}
    places = [("previous", max(found)), *([("best", max(means, key=lambda at: (means[at], at)))] if means else [])]
    return [Other(what, at) for what, at in places]


def fell(change: Change, alpha: float) -> bool:
    """Whether a benchmark is significantly worse, all that were looked at considered."""
    return change.p_worse_adjusted is not None and change.p_worse_adjusted < alpha


def show_comparison(family: str, step: int, other: Other, changes: Sequence[Change], left: Sequence[Left]) -> None:
    """A table of what a checkpoint differs in from another, as an artifact."""
    table = [
        {
            "benchmark": c.benchmark, "metric": c.metric, f"step {other.step}": number(c.before),
            f"step {step}": number(c.after), "difference [95 %]": interval(c.difference, c.low, c.high),
            "p": probability(c.p), "Holm's p": probability(c.p_adjusted),
            "Holm's p of a fall": probability(c.p_worse_adjusted), "lost": c.lost, "won": c.won, "n": c.n,
            "test": c.method,
        }
        for c in changes
    ]  # fmt: skip
    untold = "".join(f"\n\nNot compared: {one.benchmark} ({one.metric}): {one.why}" for one in left)
    create_table_artifact(
        table,
        key=slug("compare", family, other.what),
        description=f"{family}: step {step} against the {other.what}, step {other.step}. Lost are questions on which it"
        f" scores lower: right before, wrong now{untold}",
    )


def tell(family: str, fall: Fall) -> None:
    """Emit the event of a fall, on which the automation `alert` waits."""
    c = fall.change
    payload: dict[str, Any] = {
        "family": family, "step": fall.step, "against": fall.other.what, "against_step": fall.other.step,
        "benchmark": c.benchmark, "metric": c.metric, "from": c.before, "to": c.after, "difference": c.difference,
        "low": c.low, "high": c.high, "p": c.p_worse_adjusted, "lost": c.lost, "won": c.won, "n": c.n,
    }  # fmt: skip
    emit_event(FELL, resource=resource(family, fall.step), payload=payload)


def resource(family: str, step: int) -> dict[str, str]:
    """A checkpoint as events name it."""
    return {"prefect.resource.id": f"assay.checkpoint.{family}.{step}", "prefect.resource.name": f"{family}-{step}"}
