"""What was drawn independently of what, and drawing it again.

The design of some scores: units (a cluster of samples that share a passage, else the sample itself) within strata (the
groups, whose number and sizes are fixed). Errors are sums over units; the bootstrap draws units.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.types import Scores

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

REPLICATES = 1000
CHUNK = 4_000_000
"""Cells of a block of resamples: 32 MB at a time, however many samples there are."""


@dataclass(frozen=True)
class Design:
    """Which samples were drawn together, and within what."""

    unit: Ints
    """The unit of each sample."""
    stratum: Ints
    """The stratum of each unit."""

    @property
    def freedom(self) -> int:
        """Degrees of freedom: units less strata."""
        return len(self.stratum) - int(self.stratum.max(initial=-1)) - 1

    @property
    def clustered(self) -> bool:
        """Whether a unit holds more than one sample."""
        return len(self.stratum) < len(self.unit)

    @property
    def name(self) -> str:
        """What the error of a mean under it is called."""
        if self.clustered:
            return "clustered"
        return "stratified" if self.stratum.any() else "mean"


def design(scores: Scores) -> Design:
    """The design of some scores: their clusters, within their groups.

    Where a group has a single unit, or a cluster reaches over groups, the groups are no strata: then the error of the
    whole counts the differences between groups too.
    """
    n = len(scores.values)
    unit, group = np.arange(n), codes(scores.groups)
    labels = scores.clusters.tolist()
    if any(labels):
        unit = codes([label or i for i, label in enumerate(labels)])
    units = int(unit.max(initial=-1)) + 1
    stratum = np.zeros(units, np.int64)
    stratum[unit] = group
    if (stratum[unit] != group).any() or (np.bincount(stratum) < 2).any():
        stratum = np.zeros(units, np.int64)
    return Design(unit, stratum)


def codes(labels: Iterable[Any]) -> Ints:
    """Small numbers for labels, in the order in which they come."""
    known: dict[Any, int] = {}
    listed = labels.tolist() if isinstance(labels, np.ndarray) else labels
    return np.array([known.setdefault(label, len(known)) for label in listed], np.int64)


def resamples(drawn: Design, replicates: int = REPLICATES, seed: int = 0) -> Iterator[Floats]:
    """Blocks of (replicates × samples): how often each sample is in each replicate.

    Units are drawn with replacement, within their strata. What is drawn does not depend on the size of the blocks.
    """
    rng = np.random.default_rng(seed)
    units, samples = len(drawn.stratum), len(drawn.unit)
    order = np.argsort(drawn.stratum, kind="stable")
    sizes = np.bincount(drawn.stratum)
    start, size = (np.cumsum(sizes) - sizes)[drawn.stratum[order]], sizes[drawn.stratum[order]]

    def counts() -> Ints:
        if len(sizes) == 1:
            return np.bincount(rng.integers(units, size=units), minlength=units)
        return np.bincount(order[start + (rng.random(units) * size).astype(np.int64)], minlength=units)

    rows = max(1, CHUNK // samples)
    for done in range(0, replicates, rows):
        block = np.empty((min(rows, replicates - done), samples))
        for row in block:
            row[:] = counts()[drawn.unit] if drawn.clustered else counts()
        yield block
