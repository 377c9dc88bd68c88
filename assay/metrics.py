"""Scores to figures.

A metric is a function of all scores of one scorer on one benchmark. It gives a Figure where it knows its own error, or
a plain number, whose error the bootstrap then finds: by computing it anew on every resample, or all at once where the
metric says, by `resampled`, what it is on samples that count several times.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypedDict, TypeVar

import numpy as np

from assay.classes import f1s, mccs
from assay.design import Floats, codes, design
from assay.registry import Registry, Step, name_of, other_scale
from assay.statistics import average, bootstrap, macro
from assay.types import Figure, Scores

Metric = Callable[..., Figure | float | None]
Resampled = Callable[..., Callable[[Floats], Floats]]
M = TypeVar("M", bound=Metric)

metric: Registry[Metric] = Registry("metric")


def resampled(replicates: Resampled) -> Callable[[M], M]:
    """Tell the bootstrap how to compute a metric on a block of resamples.

    `replicates(scores, **options)` gives a function from a (replicates × samples) array, how often each sample counts,
    to one value a replicate.
    """

    def mark(function: M) -> M:
        function.__dict__["replicates"] = replicates
        return function

    return mark


def of_answers(function: M) -> M:
    """Mark a metric that wants what was read in each answer: scores then keep it, as `answer` in their detail."""
    function.__dict__["of_answers"] = True
    return function


class Summary(TypedDict):
    """A metric's figures: over samples, of each group, over groups, and of how many samples."""

    micro: Figure
    groups: dict[str, Figure]
    macro: Figure | None
    """None where there are no groups."""
    n: int
    """Samples with a score: those that the figures are of."""
    n_errors: int
    """Samples without one: they were asked for, and are in no figure."""
    sizes: dict[str, int]
    """Samples with a score of each group."""


def summarize_scores(scores: Scores, step: Step, n_errors: int = 0, seed: int = 0) -> Summary:
    """A metric's micro figure, its groups', and their macro figure.

    A score of NaN is a missing one: it counts as an error, beside those (`n_errors`) that the caller knows of.
    Raises SpecError where there is no such metric or it has no such option.
    """
    scored = np.isfinite(scores.values)
    kept, groups = take(scores, scored), codes(scores.groups)
    names = dict.fromkeys(map(str, scores.groups.tolist()))
    summary = Summary(
        micro=measure(kept, step, seed), groups={}, macro=None,
        n=int(scored.sum()), n_errors=n_errors + int((~scored).sum()), sizes={},
    )  # fmt: skip
    if set(names) <= {""}:
        return summary
    for code, name in enumerate(names):
        group = take(scores, scored & (groups == code))
        summary["groups"][name], summary["sizes"][name] = measure(group, step, seed), len(group.values)
    summary["macro"] = macro(list(summary["groups"].values()))
    return summary


def measure(scores: Scores, step: Step, seed: int = 0) -> Figure:
    """One figure of some scores, with its error: the metric's own, else the bootstrap's."""
    function, options = _fitting(scores, step)
    if len(scores.values) == 0:
        return Figure(None)
    value = function(scores, **options)
    if isinstance(value, Figure) or value is None:
        return value or Figure(None)
    return bootstrap(float(value), design(scores), replicates_of(scores, step), seed)


def replicates_of(scores: Scores, step: Step) -> Callable[[Floats], Floats]:
    """What a metric is on resamples: of a block (replicates x samples) of how often each sample counts, one value each.

    Raises SpecError as `summarize_scores` does.
    """
    function, options = _fitting(scores, step)
    replicates: Resampled | None = getattr(function, "replicates", None)
    return replicates(scores, **options) if replicates else _one_by_one(function, scores, options)


def _fitting(scores: Scores, step: Step) -> tuple[Metric, dict[str, Any]]:
    name, options = name_of(step)
    return metric.fitting(name, scores, **options), options


def take(scores: Scores, which: np.ndarray) -> Scores:
    """Some of the scores, by a mask or by their places."""
    places = np.flatnonzero(which) if which.dtype == bool else which
    details = [scores.details[i] for i in places.tolist()] if len(scores.details) else ()
    values, weights = scores.values[places], scores.weights[places]
    samples = scores.samples[places] if len(scores.samples) else scores.samples
    return Scores(values, weights, scores.groups[places], scores.clusters[places], details, samples)


def _one_by_one(function: Metric, scores: Scores, options: Mapping[str, Any]) -> Callable[[Floats], Floats]:
    def value(counts: Floats) -> float:
        got = function(take(scores, np.repeat(np.arange(len(counts)), counts.astype(np.int64))), **options)
        got = got.value if isinstance(got, Figure) else got
        return math.nan if got is None else got

    return lambda block: np.array([value(counts) for counts in block])


@metric
def mean(scores: Scores) -> Figure:
    """The mean of the values."""
    return average(scores.values, np.ones(len(scores.values)), design(scores))


@metric
def weighted_mean(scores: Scores) -> Figure:
    """Σ weight · value / Σ weight."""
    return average(scores.values, scores.weights, design(scores))


def _medians(scores: Scores) -> Callable[[Floats], Floats]:
    order = np.argsort(scores.values)
    values = scores.values[order]

    def medians(block: Floats) -> Floats:
        passed = block[:, order].cumsum(axis=1)
        half = passed[:, -1] / 2
        lower = [np.searchsorted(row, h, "left") for row, h in zip(passed, half, strict=True)]
        upper = [np.searchsorted(row, h, "right") for row, h in zip(passed, half, strict=True)]
        return np.asarray((values[lower] + values[upper]) / 2)

    return medians


@metric
@other_scale
@resampled(_medians)
def median(scores: Scores) -> float:
    """The median of the values."""
    return float(np.median(scores.values))


@metric
@resampled(f1s)
def f1(scores: Scores, average: str = "macro", positive: Any = 1) -> float:
    """2 · hits / (gold + predicted): of the positive class, the mean over classes, or of all classes together."""
    return once(f1s(scores, average, positive), scores)


@metric
@resampled(mccs)
def mcc(scores: Scores) -> float:
    """Matthews' correlation of gold and predicted classes; 0 where one of them is constant."""
    return once(mccs(scores), scores)


def once(replicates: Callable[[Floats], Floats], scores: Scores) -> float:
    """What a metric that knows resamples is on the scores themselves, NaN where it is nothing."""
    return float(replicates(np.ones((1, len(scores.values))))[0])
