"""Metrics of log-probabilities: perplexities and bits, by the text, the word or the byte."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from assay.design import Floats, design
from assay.metrics import Resampled, metric, resampled
from assay.registry import other_scale
from assay.statistics import figure, ratio
from assay.types import Figure, Scores


def _by_ratio(scores: Scores, weights: Floats, scale: float, exponential: bool) -> Figure:
    """The ratio Σ value / Σ weight, scaled, or e to the power of that; the error by the delta method."""
    estimate = ratio(scale * scores.values, weights, design(scores))
    if estimate is None:
        return Figure(None)
    value, stderr, interval = estimate.value, estimate.stderr, estimate.interval()
    if exponential:
        with np.errstate(over="ignore"):
            value, *ends = np.exp([value, *(interval or ())]).tolist()
        stderr, interval = None if stderr is None else stderr * value, (ends[0], ends[1]) if ends else None
    return figure(value, stderr, interval, "delta")


def _ratios(scale: float, weighted: bool, exponential: bool) -> Resampled:
    """The same on resamples."""

    def replicates(scores: Scores) -> Callable[[Floats], Floats]:
        weights = scores.weights if weighted else np.ones(len(scores.values))

        def values(block: Floats) -> Floats:
            with np.errstate(all="ignore"):
                ratios = scale * (block @ scores.values) / (block @ weights)
                return np.asarray(np.exp(ratios) if exponential else ratios)

        return values

    return replicates


@metric
@other_scale
@resampled(_ratios(-1.0, weighted=False, exponential=True))
def perplexity(scores: Scores) -> Figure:
    """e to the power of minus the mean log-probability."""
    return _by_ratio(scores, np.ones(len(scores.values)), -1.0, exponential=True)


@metric
@other_scale
@resampled(_ratios(-1.0, weighted=True, exponential=True))
def weighted_perplexity(scores: Scores) -> Figure:
    """e to the power of minus Σ log-probability / Σ weight: a word's perplexity where the weights are words."""
    return _by_ratio(scores, scores.weights, -1.0, exponential=True)


@metric
@other_scale
@resampled(_ratios(-1.0 / math.log(2), weighted=True, exponential=False))
def weighted_bits(scores: Scores) -> Figure:
    """- Σ log-probability / Σ weight / ln 2: bits a byte where the weights are bytes."""
    return _by_ratio(scores, scores.weights, -1.0 / math.log(2), exponential=False)
