"""Metrics of pairs: how two numbers go together, how well probabilities rank, and whether they can be believed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.design import Floats
from assay.errors import SpecError
from assay.metrics import metric, once, resampled, take
from assay.registry import other_scale
from assay.types import Scores

Bools = NDArray[np.bool_]


def _columns(scores: Scores, name: str, fields: tuple[str, ...], scorer: str) -> list[list[Any]]:
    """Fields of the details, as columns. Raises SpecError where the scorer gave no such detail."""
    details = scores.details
    if len(details) != len(scores.values) or not all(isinstance(d, dict) and set(fields) <= d.keys() for d in details):
        raise SpecError(f"{name} wants a scorer whose detail is {{{', '.join(fields)}}}, such as {scorer}")
    return [[d[field] for d in details] for field in fields]


def _correlated(x: Floats, y: Floats, weights: Floats) -> Floats:
    """Pearson's correlation of each replicate, NaN where one of the two is constant. x and y: one row a replicate."""
    n = np.maximum(weights.sum(axis=1, keepdims=True), 1)  # none at all: nothing can be read off nothing
    x = x - (weights * x).sum(axis=1, keepdims=True) / n
    y = y - (weights * y).sum(axis=1, keepdims=True) / n
    below = np.sqrt((weights * x**2).sum(axis=1) * (weights * y**2).sum(axis=1))
    above = (weights * x * y).sum(axis=1)
    return np.asarray(np.divide(above, below, out=np.full(len(above), np.nan), where=below > 1e-12))


def _ranks(values: Floats, block: Floats) -> Floats:
    """The mean rank of each value in each replicate."""
    levels, place = np.unique(values, return_inverse=True)
    counts = np.stack([np.bincount(place, row, len(levels)) for row in block])
    return np.asarray((counts.cumsum(axis=1) - (counts - 1) / 2)[:, place])


def _read(scores: Scores) -> Bools:
    """Which answers could be read: the others have no detail, and no number to be correlated."""
    return np.array([detail is not None for detail in scores.details], bool)


def _pearsons(scores: Scores) -> Callable[[Floats], Floats]:
    read = _read(scores)
    x, y = (_standard(column) for column in _columns(take(scores, read), "pearson", ("pred", "gold"), "numbers"))
    return lambda block: _correlated(x[None, :], y[None, :], block[:, read])


def _standard(column: list[Any]) -> Floats:
    """Numbers of mean 0 and deviation 1, so that what is nearly constant is so whatever its unit."""
    values = np.array(column, float)
    if not len(values):
        return values
    return np.asarray((values - values.mean()) / (values.std() or 1.0))


def _spearmans(scores: Scores) -> Callable[[Floats], Floats]:
    read = _read(scores)
    columns = _columns(take(scores, read), "spearman", ("pred", "gold"), "numbers")
    x, y = (np.array(column, float) for column in columns)
    return lambda block: _correlated(_ranks(x, block[:, read]), _ranks(y, block[:, read]), block[:, read])


@metric
@resampled(_pearsons)
def pearson(scores: Scores) -> float:
    """Pearson's correlation of found and right numbers; none where one of the two is constant."""
    return once(_pearsons(scores), scores)


@metric
@resampled(_spearmans)
def spearman(scores: Scores) -> float:
    """Spearman's rank correlation of found and right numbers; equals share their mean rank."""
    return once(_spearmans(scores), scores)


def _aucs(scores: Scores, positive: int = 1) -> Callable[[Floats], Floats]:
    gold, shares = _columns(scores, "auc", ("gold", "shares"), "chosen")
    likely, right = np.array([one[positive] for one in shares], float), np.array(gold) == positive

    def each(block: Floats) -> Floats:
        ranks = _ranks(likely, block)
        good, bad = block @ right, block @ ~right
        above = (block * ranks * right).sum(axis=1) - good * (good + 1) / 2
        return np.asarray(np.divide(above, good * bad, out=np.full(len(block), np.nan), where=good * bad > 0))

    return each


@metric
@resampled(_aucs)
def auc(scores: Scores, positive: int = 1) -> float:
    """The area under the ROC curve of the probability of one choice: how often a sample of which it is right has more
    of it than one of which it is not (Hanley and McNeil 1982); none where all are of one kind."""
    return once(_aucs(scores, positive), scores)


def _eces(scores: Scores, bins: int = 10) -> Callable[[Floats], Floats]:
    (shares,) = _columns(scores, "ece", ("shares",), "chosen")
    sure = np.array([max(one) for one in shares], float)
    place = np.minimum((sure * bins).astype(np.int64), bins - 1)
    member = np.eye(bins)[place]

    def each(block: Floats) -> Floats:
        gaps = (block * (scores.values - sure)) @ member
        return np.asarray(np.abs(gaps).sum(axis=1) / block.sum(axis=1))

    return each


@metric
@other_scale
@resampled(_eces)
def ece(scores: Scores, bins: int = 10) -> float:
    """Expected calibration error: the mean gap between how sure the likeliest choice is and how often it is right, over
    bins of equal width (Guo et al. 2017, arXiv:1706.04599)."""
    return once(_eces(scores, bins), scores)
