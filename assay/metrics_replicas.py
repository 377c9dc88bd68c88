"""Metrics of several answers to each question (`sampling.replicas`): whether some, or most, of k are right.

Of a question with n answers of which c are right, k drawn without replacement hold at least m right ones with the
probability of the hypergeometric distribution, and so every k up to n is estimated without bias from one run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np

from assay.design import Floats
from assay.errors import SpecError
from assay.metrics import metric, resampled
from assay.metrics_units import Units, units
from assay.types import Figure, Scores


@lru_cache(maxsize=65536)
def at_least(m: int, n: int, c: int, k: int) -> float:
    """The probability that of k answers, drawn of n of which c are right, at least m are right."""
    ways = sum(math.comb(c, i) * math.comb(n - c, k - i) for i in range(m, min(c, k) + 1))
    return ways / math.comb(n, k)


def _samples(scores: Scores, k: int, chance: Callable[[int, int], float]) -> Units:
    """The chance of each sample, from how many answers it has and how many are right.

    A sample of which fewer than k answers were scored is left out. Raises SpecError where all are.
    """
    if k < 1:
        raise SpecError(f"wanted a k of at least 1, got {k}")
    right = scores.values == 1
    labels = scores.samples if len(scores.samples) else np.arange(len(right))

    def value(rows: Sequence[int]) -> float | None:
        return chance(len(rows), int(right[list(rows)].sum())) if len(rows) >= k else None

    found = units(labels, value)
    if len(right) and not len(found.values):
        raise SpecError(f"of k = {k} answers to a question none has so many: set sampling.replicas to at least {k}")
    return found


def _pass(scores: Scores, k: int = 1) -> Units:
    return _samples(scores, k, lambda n, c: at_least(1, n, c, k))


def _g_pass(scores: Scores, k: int, tau: float = 1.0) -> Units:
    if not 0 <= tau <= 1:
        raise SpecError(f"g_pass_at_k: wanted a tau from 0 to 1, got {tau!r}")
    m = max(math.ceil(k * tau - 1e-9), 1)
    return _samples(scores, k, lambda n, c: at_least(m, n, c, k))


def _mg_pass(scores: Scores, k: int) -> Units:
    most = range(math.ceil(k / 2) + 1, k + 1)
    return _samples(scores, k, lambda n, c: 2 / k * sum(at_least(m, n, c, k) for m in most))


def _resampled(each: Callable[..., Units]) -> Callable[..., Callable[[Floats], Floats]]:
    return lambda scores, **options: each(scores, **options).replicates()


@metric
@resampled(_resampled(_pass))
def pass_at_k(scores: Scores, k: int = 1) -> Figure:
    """How likely one of k answers is right, without bias from n ≥ k answers (Chen et al. 2021, arXiv:2107.03374)."""
    return _pass(scores, k).figure(scores)


@metric
@resampled(_resampled(_g_pass))
def g_pass_at_k(scores: Scores, k: int, tau: float = 1.0) -> Figure:
    """How likely at least the share `tau` of k answers is right (Liu et al. 2024, arXiv:2412.13147); at 0 it is
    pass@k, at 1 all must be."""
    return _g_pass(scores, k, tau).figure(scores)


@metric
@resampled(_resampled(_mg_pass))
def mg_pass_at_k(scores: Scores, k: int) -> Figure:
    """The mean of G-Pass@k over the taus from a half to 1 (Liu et al. 2024)."""
    return _mg_pass(scores, k).figure(scores)
