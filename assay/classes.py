"""Metrics over classes: what was predicted against what is right, from the counts of each (gold, predicted) pair.

The scorer gives both as its detail, `{"pred": …, "gold": …}`; a `pred` of None is an answer that was not found: missed
for the gold class, and no class of its own to be averaged over. Otherwise the definitions are scikit-learn's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from assay.design import Floats, Ints, codes
from assay.errors import SpecError
from assay.keys import canonical
from assay.types import Scores


@dataclass(frozen=True)
class Pairs:
    """The distinct (gold, predicted) pairs of some scores."""

    pair: Ints
    """Of each sample."""
    gold: Floats
    """Pairs × classes: 1 where the pair's gold is the class."""
    pred: Floats
    labels: list[bytes]
    """The classes, as JSON; `null` among them where an answer was not found."""

    def counts(self, block: Floats) -> Floats:
        """How often each pair is in each replicate."""
        return np.stack([np.bincount(self.pair, row, len(self.gold)) for row in block])


def pairs(scores: Scores) -> Pairs:
    """The pairs of gold and predicted class. Raises SpecError where the scorer gave no such detail."""
    details = scores.details
    if len(details) != len(scores.values) or not all(isinstance(d, dict) and "gold" in d for d in details):
        raise SpecError("f1 and mcc want a scorer whose detail is {pred, gold}, and this one gives none")
    text = [(canonical(d["gold"]), canonical(d.get("pred"))) for d in details]
    distinct = dict.fromkeys(text)
    labels = sorted({label for pair in distinct for label in pair})
    gold = np.array([[gold == label for label in labels] for gold, _ in distinct], float)
    pred = np.array([[pred == label for label in labels] for _, pred in distinct], float)
    return Pairs(codes(text), gold, pred, labels)


def f1s(scores: Scores, average: str = "macro", positive: Any = 1) -> Callable[[Floats], Floats]:
    """F1 of each replicate. Raises SpecError where the average is none of binary, macro, micro."""
    if average not in ("binary", "macro", "micro"):
        raise SpecError(f"f1: wanted average binary, macro or micro, got {average!r}")
    found = pairs(scores)
    chosen = [label == canonical(positive) if average == "binary" else label != b"null" for label in found.labels]
    gold, pred = found.gold[:, chosen], found.pred[:, chosen]

    def each(block: Floats) -> Floats:
        counts = found.counts(block)
        hits, both = 2 * counts @ (gold * pred), counts @ (gold + pred)
        if average == "micro":
            hits, both = hits.sum(axis=1, keepdims=True), both.sum(axis=1, keepdims=True)
        present = both > 0
        values = np.divide(hits, both, out=np.zeros_like(hits), where=present)
        return np.asarray(values.sum(axis=1) / np.maximum(present.sum(axis=1), 1))

    return each


def mccs(scores: Scores) -> Callable[[Floats], Floats]:
    """Matthews' correlation of each replicate (Gorodkin 2004 for more than two classes)."""
    found = pairs(scores)
    right = (found.gold * found.pred).sum(axis=1)

    def each(block: Floats) -> Floats:
        counts = found.counts(block)
        n, hits = counts.sum(axis=1), counts @ right
        gold, pred = counts @ found.gold, counts @ found.pred
        above = hits * n - (gold * pred).sum(axis=1)
        below = (n**2 - (gold**2).sum(axis=1)) * (n**2 - (pred**2).sum(axis=1))
        return np.asarray(np.divide(above, np.sqrt(below), out=np.zeros_like(above), where=below > 0))

    return each
