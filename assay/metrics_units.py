"""Metrics of questions that have several scores: one value a question first, then their mean.

A question's scores are no draws of their own, so the error is that of a mean over questions, clustered where they are.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from assay.design import Floats, Ints, codes, design
from assay.metrics import take
from assay.statistics import average
from assay.types import Figure, Scores


class Units(NamedTuple):
    """One value of each question."""

    first: Ints
    """The place of its first score: its group and its cluster are the question's."""
    values: Floats

    def figure(self, scores: Scores) -> Figure:
        """The mean over questions."""
        part = take(scores, self.first)
        return average(self.values, np.ones(len(self.values)), design(part))

    def replicates(self) -> Callable[[Floats], Floats]:
        """The same on resamples, in which the scores of a question count as often as it."""

        def each(block: Floats) -> Floats:
            counts = block[:, self.first]
            total = counts.sum(axis=1)
            return np.asarray(np.divide(counts @ self.values, total, out=np.full(len(block), np.nan), where=total > 0))

        return each


def units(labels: Iterable[Hashable], value: Callable[[Sequence[int]], float | None]) -> Units:
    """One value of each label's scores, given their places; a label without a value is left out."""
    place = codes(labels)
    members: list[list[int]] = [[] for _ in range(int(place.max(initial=-1)) + 1)]
    for row, unit in enumerate(place.tolist()):
        members[unit].append(row)
    found = [(rows[0], each) for rows in members if (each := value(rows)) is not None]
    return Units(np.array([row for row, _ in found], np.int64), np.array([each for _, each in found], float))
