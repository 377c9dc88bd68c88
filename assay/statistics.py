"""How sure a figure is: standard errors and 95 % intervals.

An average, or a ratio of sums, has its error from its residuals, summed over what was drawn together (`assay.design`):
for plain samples that is sd / √n; for clusters the clustered error of Miller 2024 (arXiv 2411.00640), times the
correction √(C / (C - 1)) that makes the one a case of the other. Whatever else can be computed from scores is computed
again on seeded resamples: the bootstrap. Where the data cannot tell there is None, never NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from assay.design import REPLICATES, Design, Floats, resamples
from assay.types import Figure

Z = 1.959963984540054
"""The 97.5 % point of the normal distribution."""


class Estimate(NamedTuple):
    """A figure and the error of its linear approximation."""

    value: float
    stderr: float | None
    freedom: int

    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval by Student's t."""
        if self.stderr is None:
            return None
        half = student(self.freedom) * self.stderr
        return self.value - half, self.value + half


def student(freedom: int) -> float:
    """The 97.5 % point of Student's t distribution."""
    from scipy.special import stdtrit  # scipy is needed by nothing else that `assay --help` imports

    return float(stdtrit(freedom, 0.975))


def ratio(top: Floats, bottom: Floats, drawn: Design) -> Estimate | None:
    """Σ top / Σ bottom with the error of its linearisation; None where there is nothing to divide by.

    A mean is the ratio with ones below, a weighted mean that of weight × value to weight. The residuals are summed by
    unit, so that what goes together in a cluster counts as one draw; the strata's own differences do not count.
    """
    n, below = len(top), float(bottom.sum())
    if n == 0 or below == 0:
        return None
    value = float(top.sum()) / below
    if drawn.freedom < 1:
        return Estimate(value, None, 0)
    residual = (top - value * bottom) / below
    stratum = drawn.stratum[drawn.unit]
    residual -= (np.bincount(stratum, residual) / np.bincount(stratum))[stratum]
    totals = np.bincount(drawn.unit, residual)
    sizes = np.bincount(drawn.stratum)
    variance = float((np.bincount(drawn.stratum, totals**2) * (sizes / np.maximum(sizes - 1, 1))).sum())
    return Estimate(value, math.sqrt(variance), drawn.freedom)


def wilson(share: float, n: float) -> tuple[float, float]:
    """The 95 % score interval of a proportion of n draws, which need not be a whole number (Wilson 1927)."""
    centre = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * math.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))


def effective(estimate: Estimate, weights: Floats, drawn: Design) -> float:
    """How many independent draws tell as much of a proportion: the samples over their design effect, never more than n.

    Few clusters are made to count for less by Student's t (Korn and Graubard 1998). Where all samples agree no error
    can be seen, and so whole clusters count as if they held one answer each.
    """
    n, (share, stderr, freedom) = len(weights), estimate
    if share <= 0 or share >= 1:
        totals = np.bincount(drawn.unit, weights)
        return float(totals.sum() ** 2 / (totals**2).sum())
    plain = share * (1 - share) / (n - 1)
    effect = 1.0 if not stderr else max(1.0, stderr**2 / plain)
    return n / effect * (student(n - 1) / student(freedom)) ** 2


def average(values: Floats, weights: Floats, drawn: Design) -> Figure:
    """The weighted mean; a proportion's interval is Wilson's, which holds near 0 and 1 too."""
    estimate = ratio(values * weights, weights, drawn)
    if estimate is None:
        return Figure(None)
    if estimate.stderr is None:
        return Figure(estimate.value)
    if bool(((values == 0) | (values == 1)).all()):
        low, high = wilson(min(1.0, max(0.0, estimate.value)), effective(estimate, weights, drawn))
        return Figure(estimate.value, estimate.stderr, low, high, "wilson")
    return figure(estimate.value, estimate.stderr, estimate.interval(), drawn.name)


def figure(value: float | None, stderr: float | None, interval: tuple[float, float] | None, method: str) -> Figure:
    """A figure in which what is not a finite number is None."""
    value, stderr, low, high = map(finite, (value, stderr, *(interval or (None, None))))
    return Figure(None) if value is None else Figure(value, stderr, low, high, method if low is not None else "")


def finite(value: float | None) -> float | None:
    """The number, or None where it is none that can be written down."""
    return float(value) if value is not None and math.isfinite(value) else None


def bootstrap(value: float, drawn: Design, statistic: Callable[[Floats], Floats], seed: int = 0) -> Figure:
    """A value with the standard deviation and the 2.5 and 97.5 percentiles of what the statistic is on resamples.

    The statistic gets a block of resamples and gives one value each, NaN where it has none (Efron and Tibshirani 1993).
    """
    if drawn.freedom < 1:
        return Figure(finite(value))
    got = np.concatenate([statistic(block) for block in resamples(drawn, seed=seed)])
    got = got[np.isfinite(got)]
    if len(got) < REPLICATES / 2:
        return Figure(finite(value))
    low, high = np.percentile(got, [2.5, 97.5])
    return figure(value, float(got.std(ddof=1)), (float(low), float(high)), "bootstrap")


def macro(figures: Sequence[Figure]) -> Figure:
    """The mean of group figures, its error √Σ se² / k.

    The interval puts the groups' own together (Zou and Donner 2008), so that what is near 0 or 1 stays inside. Where a
    group has no error of its own, the groups are what was drawn, and the error is that of a mean of k values.
    """
    known = [f for f in figures if f.value is not None]
    if not known:
        return Figure(None)
    values, k = np.array([f.value for f in known], float), len(known)
    value = float(values.mean())
    errors = [
        (f.stderr, f.value - f.ci_low, f.ci_high - f.value)
        for f in known
        if not (f.value is None or f.stderr is None or f.ci_low is None or f.ci_high is None)
    ]
    if len(errors) < k:
        plain = ratio(values, np.ones(k), Design(np.arange(k), np.zeros(k, np.int64)))
        return figure(value, plain.stderr, plain.interval(), "mean") if plain else Figure(value)
    stderr, low, high = np.sqrt((np.array(errors) ** 2).sum(axis=0)) / k
    return figure(value, float(stderr), (value - float(low), value + float(high)), "macro")


def mean_stderr(values: Floats) -> float | None:
    """sd / √n as everybody reports it, samples taken as independent; None below two."""
    return float(values.std(ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else None


def pooled_stderr(errors: Sequence[float], sizes: Sequence[int]) -> float | None:
    """The error that lm-evaluation-harness gives a group of tasks, for comparison with it: √(pooled variance / Σ n)."""
    squares = sum((n - 1) * n * error**2 for error, n in zip(errors, sizes, strict=True))
    freedom = sum(sizes) - len(sizes)
    return math.sqrt(squares / freedom / sum(sizes)) if freedom > 0 else None


def holm(ps: Sequence[float | None]) -> list[float | None]:
    """p values adjusted for their number: the k-th smallest of m times m - k + 1, never less than the one before it
    (Holm 1979). What is None stays so and does not count."""
    order = sorted((p, place) for place, p in enumerate(ps) if p is not None)
    adjusted: list[float | None] = [None] * len(ps)
    above = 0.0
    for rank, (p, place) in enumerate(order):
        above = max(above, min(1.0, p * (len(order) - rank)))
        adjusted[place] = above
    return adjusted
