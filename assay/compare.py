"""Whether two models differ on the same questions: differences of pairs, their intervals, and how surely.

Each question asked of both is one pair, so that what makes it easy or hard for both falls out (Miller 2024, arXiv
2411.00640, section 4.2); pairs that share a passage, or are answers to one question, are one draw. Which test:

- a mean of 0 and 1 without clusters, fewer than `FEW` pairs that differ: the exact test of McNemar (1947);
- any other mean: Student's t of the paired differences, summed by cluster;
- where all draws differ by the same: the exact sign test over draws, since an error cannot be seen;
- whatever is no mean: the paired bootstrap, the same resamples for both, and the normal distribution.

Over the lines of a comparison the p values are adjusted as Holm (1979) does, which holds however they depend.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from assay.design import Design, Floats, design
from assay.metrics import measure, replicates_of, take
from assay.registry import Step
from assay.statistics import bootstrap, figure, finite, holm, macro, ratio
from assay.types import Figure, Scores

FEW = 25
"""Pairs that differ: with fewer the normal distribution is no good approximation to their binomial one."""
LESS_IS_BETTER = frozenset({"perplexity", "weighted_perplexity", "weighted_bits"})


@dataclass(frozen=True)
class Pair:
    """The scores of two models on the questions that both answered, in the same order."""

    benchmark: str
    dimension: str
    metric: str
    """What tables call it."""
    step: Step
    """The metric itself, with its options."""
    macro: bool
    """Whether the figure is the mean over groups."""
    before: Scores
    after: Scores
    alone: int = 0
    """Answers of one without a counterpart of the other: they are left out."""


@dataclass(frozen=True)
class Change:
    """How a benchmark's figure differs from one model to the other; None where the data cannot tell."""

    benchmark: str
    dimension: str
    metric: str
    before: float | None
    after: float | None
    difference: float | None
    low: float | None
    """Of the difference's 95 % interval."""
    high: float | None
    p: float | None
    """That models which do not differ would differ as much."""
    p_worse: float | None
    """The same, one-sided: that a model which is no worse would look as much worse."""
    n: int
    lost: int
    """Questions that the second scores lower on: right before and wrong after, where a score is 0 or 1."""
    won: int
    alone: int
    method: str
    p_adjusted: float | None = None
    p_worse_adjusted: float | None = None


def compare(pairs: Sequence[Pair]) -> list[Change]:
    """The change of each pair, p values adjusted over all of them."""
    changes = [change(pair) for pair in pairs]
    both, worse = holm([c.p for c in changes]), holm([c.p_worse for c in changes])
    adjusted = zip(changes, both, worse, strict=True)
    return [replace(c, p_adjusted=p, p_worse_adjusted=p_worse) for c, p, p_worse in adjusted]


@dataclass(frozen=True)
class Tested:
    """A difference with its interval, and the probability of one as large in each direction."""

    figure: Figure
    up: float | None
    """The p value of a rise: that no rise would look as large."""
    down: float | None


def change(pair: Pair) -> Change:
    """One pair's change. Raises SpecError where there is no such metric."""
    name = pair.step if isinstance(pair.step, str) else next(iter(pair.step))
    before, after, drawn = pair.before, pair.after, design(pair.before)
    weights = before.weights if name == "weighted_mean" else np.ones(len(before.values))
    averaged = name == "mean" or (name == "weighted_mean" and bool((before.weights == after.weights).all()))
    test = _averaged(pair, weights, drawn) if averaged else _resampled(pair, drawn)
    return Change(
        pair.benchmark, pair.dimension, pair.metric, _value(pair, before), _value(pair, after),
        test.figure.value, test.figure.ci_low, test.figure.ci_high,
        p=None if test.up is None or test.down is None else min(1.0, 2 * min(test.up, test.down)),
        p_worse=test.up if name in LESS_IS_BETTER else test.down,
        n=len(before.values), lost=int((after.values < before.values).sum()),
        won=int((after.values > before.values).sum()), alone=pair.alone, method=test.figure.method,
    )  # fmt: skip


def _value(pair: Pair, scores: Scores) -> float | None:
    """One model's figure over the pairs."""
    if not pair.macro:
        return measure(scores, pair.step).value
    return macro([measure(take(scores, mask), pair.step) for mask in _masks(scores)]).value


def _averaged(pair: Pair, weights: Floats, drawn: Design) -> Tested:
    gained = pair.after.values - pair.before.values
    binary = bool(np.isin([pair.before.values, pair.after.values], (0.0, 1.0)).all())
    single = binary and not drawn.clustered and not pair.macro and bool((weights == 1).all())
    if single and int((gained != 0).sum()) < FEW:
        return _mcnemar(gained)
    if pair.macro:
        gains = replace(pair.before, values=gained, weights=weights)
        found = macro([_mean(take(gains, mask)) for mask in _masks(gains)])
    else:
        found = _figure(gained * weights, weights, drawn)
    if found.value is not None and found.stderr is not None and found.stderr <= 1e-12 * abs(found.value):
        return Tested(Figure(found.value, method="sign"), *_sign(np.bincount(drawn.unit, gained * weights)))
    over_groups = found.method == "mean"  # a group with no error of its own: the groups are what was drawn
    return _student(found, len(_masks(pair.before)) - 1 if over_groups else drawn.freedom)


def _masks(scores: Scores) -> list[np.ndarray]:
    return [scores.groups == name for name in dict.fromkeys(scores.groups.tolist())]


def _mean(group: Scores) -> Figure:
    return _figure(group.values * group.weights, group.weights, design(group))


def _figure(top: Floats, bottom: Floats, drawn: Design) -> Figure:
    estimate = ratio(top, bottom, drawn)
    return figure(estimate.value, estimate.stderr, estimate.interval(), "paired t") if estimate else Figure(None)


def _student(found: Figure, freedom: int) -> Tested:
    from scipy.special import stdtr

    if found.value is None or not found.stderr or freedom < 1:
        return Tested(found, None, None)
    t = found.value / found.stderr
    return Tested(found, float(stdtr(freedom, -t)), float(stdtr(freedom, t)))


def _sign(gained: np.ndarray) -> tuple[float, float]:
    """The exact one-sided p values of a rise and of a fall: of those that differ, half should rise by chance."""
    from scipy.special import bdtr

    up, down = int((gained > 0).sum()), int((gained < 0).sum())
    if up + down == 0:
        return 1.0, 1.0
    return float(bdtr(down, up + down, 0.5)), float(bdtr(up, up + down, 0.5))


def _mcnemar(gained: Floats) -> Tested:
    """McNemar's exact test. The interval is the one of Clopper and Pearson (1934) for the share that rose among those
    that differ, whose number is taken as given: it leaves 0 out where the test says p < 0.05."""
    from scipy.special import betaincinv

    up, down, n = int((gained > 0).sum()), int((gained < 0).sum()), len(gained)
    if n == 0:
        return Tested(Figure(None), None, None)
    differ, value = up + down, (up - down) / n
    if differ == 0:
        return Tested(Figure(value, method="McNemar"), 1.0, 1.0)
    low = float(betaincinv(up, down + 1, 0.025)) if up else 0.0
    high = float(betaincinv(up + 1, down, 0.975)) if down else 1.0
    low, high = ((2 * share - 1) * differ / n for share in (low, high))
    return Tested(Figure(value, None, low, high, "McNemar"), *_sign(gained))


def _resampled(pair: Pair, drawn: Design) -> Tested:
    """The paired bootstrap (Efron and Tibshirani 1993). Not of a mean over groups: None, and said so."""
    from scipy.special import ndtr

    before, after = _value(pair, pair.before), _value(pair, pair.after)
    if pair.macro or before is None or after is None:
        return Tested(Figure(None, method="not tested"), None, None)
    ours, theirs = replicates_of(pair.after, pair.step), replicates_of(pair.before, pair.step)
    found = bootstrap(after - before, drawn, lambda block: ours(block) - theirs(block))
    if found.value is None or not found.stderr:
        return Tested(found, None, None)
    z = finite(found.value / found.stderr)
    return Tested(found, None, None) if z is None else Tested(found, float(ndtr(-z)), float(ndtr(z)))
