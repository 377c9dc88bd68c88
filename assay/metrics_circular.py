"""Metrics of questions whose choices were turned: `NAME@circular` (assay/circular.py)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from assay.design import Floats, design
from assay.errors import SpecError
from assay.metrics import metric, resampled
from assay.metrics_units import Units, units
from assay.registry import other_scale
from assay.statistics import average
from assay.types import Figure, Scores

Judge = Callable[[Sequence[dict[str, Any]], Sequence[float]], float]
"""What a question is worth, from the details and the values of all its rotations."""


def _questions(scores: Scores, judge: Judge) -> Units:
    """A value of each question of which every rotation was answered. Raises SpecError where none was turned."""
    details = _details(scores)

    def value(rows: Sequence[int]) -> float | None:
        told = [details[row] for row in rows]
        return judge(told, scores.values[list(rows)].tolist()) if len(rows) == told[0]["of"] else None

    return units([d["question"] for d in details], value)


def _details(scores: Scores) -> Sequence[dict[str, Any]]:
    told = scores.details
    if len(told) != len(scores.values) or not all(isinstance(d, dict) and "turn" in d for d in told):
        raise SpecError("the metrics of circular want the scorer rotated: name the benchmark NAME@circular")
    return told


def _at_least(j: int) -> Judge:
    return lambda told, values: float(sum(v == 1 for v in values) >= j)


def _all(told: Sequence[dict[str, Any]], values: Sequence[float]) -> float:
    return float(all(v == 1 for v in values))


def _voted(told: Sequence[dict[str, Any]], values: Sequence[float]) -> float:
    """Whether the choice that was picked most often is right; of several equally often, the first that was picked."""
    picked = [(d["picked"] + d["turn"]) % d["of"] if d["picked"] is not None else None for d in told]
    votes = Counter(place for place in picked if place is not None).most_common(1)
    right = {place for place, value in zip(picked, values, strict=True) if value == 1}
    return float(bool(votes) and votes[0][0] in right)


def _perfects(scores: Scores) -> Callable[[Floats], Floats]:
    return _questions(scores, _all).replicates()


def _mores(scores: Scores, j: int) -> Callable[[Floats], Floats]:
    return _questions(scores, _at_least(j)).replicates()


def _votes(scores: Scores) -> Callable[[Floats], Floats]:
    return _questions(scores, _voted).replicates()


@metric
@resampled(_perfects)
def circular_perfect(scores: Scores) -> Figure:
    """The share of questions that are right under every rotation."""
    return _questions(scores, _all).figure(scores)


@metric
@resampled(_mores)
def circular_more(scores: Scores, j: int) -> Figure:
    """The share of questions that are right under at least j rotations."""
    return _questions(scores, _at_least(j)).figure(scores)


@metric
@resampled(_votes)
def circular_vote(scores: Scores) -> Figure:
    """The share of questions of which the choice that is picked most often over the rotations is right."""
    return _questions(scores, _voted).figure(scores)


def _priors(scores: Scores, place: int) -> Callable[[Floats], Floats]:
    picked = np.array([d["picked"] == place for d in _details(scores)], float)
    return lambda block: np.asarray((block @ picked) / block.sum(axis=1))


@metric
@other_scale
@resampled(_priors)
def circular_prior(scores: Scores, place: int) -> Figure:
    """The share of answers that pick a place: without a liking for it one of the number of choices, since the right
    one stands everywhere equally often."""
    picked = np.array([d["picked"] == place for d in _details(scores)], float)
    return average(picked, np.ones(len(picked)), design(scores))
