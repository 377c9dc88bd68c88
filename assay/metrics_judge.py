"""Figures of what judges decided: who wins, at any length, and how far judges agree with people and each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from assay.classes import pairs
from assay.design import Floats
from assay.errors import SpecError
from assay.metrics import metric, once, resampled
from assay.types import Scores

RIDGE = 1e-6
"""Of a fit, a game: who wins all games would otherwise be infinitely better."""
STEPS = 50


def _fit(features: Floats, outcomes: Floats, weights: Floats) -> Floats:
    """Logistic regressions of outcomes in [0, 1], by Newton's method: (games × features), (games), and a row of weights
    a replicate; a row of coefficients a replicate."""
    found = np.zeros((len(weights), features.shape[1]))
    damping = RIDGE * weights.sum(axis=1)[:, None, None] * np.eye(features.shape[1])
    for _ in range(STEPS):
        chance = 1 / (1 + np.exp(-np.clip(found @ features.T, -30, 30)))
        slope = (weights * (outcomes - chance)) @ features - damping[:, 0, :1] * found
        curve = np.einsum("rg,gi,gj->rij", weights * chance * (1 - chance), features, features) + damping
        step = np.linalg.solve(curve, slope[:, :, None])[:, :, 0]
        found += np.clip(step, -2, 2)
        if np.abs(step).max() < 1e-9:
            break
    return found


class _Games:
    """All games of some scores: outcome, weight, and which sample each is of."""

    def __init__(self, scores: Scores, name: str) -> None:
        details = scores.details
        if len(details) != len(scores.values) or not all(isinstance(d, dict) and "games" in d for d in details):
            raise SpecError(f"{name} wants the scorer win, whose detail has the games")
        games = [(i, *game) for i, detail in enumerate(details) for game in detail["games"]]
        self.sample = np.array([game[0] for game in games])
        self.outcome, self.weight = (np.array([game[place] for game in games], float) for place in (1, 2))

    def chances(self, features: Floats, block: Floats) -> Floats:
        """The chance to win where all features but the first, which is 1, are 0."""
        found = _fit(features, self.outcome, block[:, self.sample] * self.weight)
        return np.asarray(1 / (1 + np.exp(-found[:, 0])))


def _strengths(scores: Scores) -> Callable[[Floats], Floats]:
    games = _Games(scores, "bradley_terry")
    return lambda block: games.chances(np.ones((len(games.outcome), 1)), block)


def _controlled(scores: Scores) -> Callable[[Floats], Floats]:
    games = _Games(scores, "length_controlled")
    lengths = [detail["lengths"] for detail in scores.details]
    if any(pair is None for pair in lengths):
        raise SpecError("length_controlled wants lengths: preference: {other: FIELD} with the answer compared to")
    longer = np.array([own - other for own, other in lengths], float)
    scaled = np.tanh(longer / (longer.std() or 1.0))[games.sample]
    return lambda block: games.chances(np.column_stack([np.ones(len(scaled)), scaled]), block)


@metric
@resampled(_strengths)
def bradley_terry(scores: Scores) -> float:
    """The chance to win against the baseline by the Bradley–Terry model, from all games, ties as half a win each.

    Arena-Hard's figure (Li et al. 2024, https://arxiv.org/abs/2406.11939): as every model plays the baseline alone, a
    fit over all models gives each the same strength as this one of its own games does.
    """
    return once(_strengths(scores), scores)


@metric
@resampled(_controlled)
def length_controlled(scores: Scores) -> float:
    """The chance to win against an answer of the same length (Dubois et al. 2024, https://arxiv.org/abs/2404.04475).

    A logistic regression of the games on the difference of lengths, tanh(difference / standard deviation), read where
    that is 0. AlpacaEval's own has a third term, an instruction's difficulty, fitted on its leaderboard's annotations.
    """
    return once(_controlled(scores), scores)


def _f1s(scores: Scores) -> Callable[[Floats], Floats]:
    def values(block: Floats) -> Floats:
        right = block @ (scores.values * scores.weights)
        with np.errstate(all="ignore"):  # F1 = 2 · right / (attempted + all), which is the harmonic mean of both shares
            return np.asarray(2 * right / (block @ scores.weights + block.sum(axis=1)))

    return values


@metric
@resampled(_f1s)
def attempted_f1(scores: Scores) -> float:
    """The harmonic mean of the share that is right of all and of those attempted: SimpleQA's F1 (Wei et al. 2024,
    https://arxiv.org/abs/2411.04368), of the scorer `attempted`."""
    return once(_f1s(scores), scores)


def _kappas(scores: Scores) -> Callable[[Floats], Floats]:
    found = pairs(scores)
    same = (found.gold * found.pred).sum(axis=1)

    def values(block: Floats) -> Floats:
        counts = found.counts(block)
        n = counts.sum(axis=1)
        chance = ((counts @ found.gold) * (counts @ found.pred)).sum(axis=1) / n**2
        with np.errstate(all="ignore"):
            return np.asarray((counts @ same / n - chance) / (1 - chance))

    return values


@metric
@resampled(_kappas)
def kappa(scores: Scores) -> float:
    """Cohen's kappa of what is said and what is right (Cohen 1960): agreement above chance; of scorers whose detail is
    {pred, gold}. NaN where both are one label throughout."""
    return once(_kappas(scores), scores)


def _alphas(scores: Scores, level: str = "nominal") -> Callable[[Floats], Floats]:
    if level not in ("nominal", "interval"):
        raise SpecError(f"alpha: wanted level nominal or interval, got {level!r}")
    details = scores.details
    if len(details) != len(scores.values) or not all(d is None or "judges" in d for d in details):
        raise SpecError("alpha wants a scorer whose detail has what each judge said, such as judged_as or rated")
    said = [[one for one in (detail or {"judges": {}})["judges"].values() if one is not None] for detail in details]
    units = [one if len(one) > 1 else [] for one in said]  # a lone judgement can be compared with none
    return _nominal(units) if level == "nominal" else _interval(units)


def _nominal(units: list[list[Any]]) -> Callable[[Floats], Floats]:
    labels = sorted({str(one) for unit in units for one in unit})
    counts = np.array([[sum(str(one) == label for one in unit) for label in labels] for unit in units], float)
    total = counts.sum(axis=1)
    differ = (total**2 - (counts**2).sum(axis=1)) / np.maximum(total - 1, 1)

    def values(block: Floats) -> Floats:
        each = block @ counts
        n = each.sum(axis=1)
        with np.errstate(all="ignore"):
            return np.asarray(1 - (block @ differ) * (n - 1) / (n**2 - (each**2).sum(axis=1)))

    return values


def _interval(units: list[list[Any]]) -> Callable[[Floats], Floats]:
    numbers = [np.array(unit, float) for unit in units]
    total = np.array([len(unit) for unit in numbers], float)
    sums, squares = (np.array([(unit**power).sum() for unit in numbers]) for power in (1, 2))
    differ = 2 * (total * squares - sums**2) / np.maximum(total - 1, 1)

    def values(block: Floats) -> Floats:
        n = block @ total
        with np.errstate(all="ignore"):
            expected = 2 * (n * (block @ squares) - (block @ sums) ** 2) / (n - 1)
            return np.asarray(1 - (block @ differ) / expected)

    return values


@metric
@resampled(_alphas)
def alpha(scores: Scores, level: str = "nominal") -> float:
    """Krippendorff's alpha of the judges (Krippendorff 2011): agreement above chance of any number of them, where not
    all need judge all; of labels (`nominal`) or ratings (`level: interval`). NaN where nothing differs."""
    return once(_alphas(scores, level), scores)
