"""Rows of tokens as a trie: what they have in common is there once.

Sorted by their tokens, rows that begin alike stand side by side, and how many tokens each shares with the one before it
says where it branches off. That is the whole trie: a subtree is a range of rows, its tokens are what each row of it
does not share with the one before.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

Array = Any


class Trie:
    """Rows, no two of them alike, in the order of their tokens."""

    def __init__(self, rows: Sequence[Array]) -> None:
        order = sorted(range(len(rows)), key=lambda i: rows[i].astype(">u4").tobytes())
        self.order = np.asarray(order, np.int64)
        """Which of the given rows each is."""
        self.rows = [rows[i] for i in order]
        self.lengths = np.asarray([len(row) for row in self.rows], np.int64)
        self.common = np.asarray([0, *(common(a, b) for a, b in pairwise(self.rows))][: len(rows)], np.int64)
        """How many tokens each row shares with the one before it."""
        self._fresh = np.concatenate([[0], np.cumsum(self.lengths - self.common)])

    def size(self, low: int, high: int, depth: int) -> int:
        """The tokens of the rows from `low` to `high`, each counted once, without the first `depth` of all."""
        return int(self._fresh[high] - self._fresh[low] + self.common[low] - depth)

    def end(self, low: int, high: int) -> int:
        """How many tokens the rows from `low` to `high` have in common."""
        return int(self.lengths[low] if high == low + 1 else self.common[low + 1 : high].min())

    def parts(self, low: int, high: int, depth: int) -> list[tuple[int, int]]:
        """The rows from `low` to `high`, which share `depth` tokens, by the token that comes next; a row that has none
        is the first part."""
        cuts = low + 1 + np.flatnonzero(self.common[low + 1 : high] <= depth)
        bounds = [low, *cuts.tolist(), high]
        return list(pairwise(bounds))


def common(one: Array, other: Array) -> int:
    """How many tokens two rows have in common at their beginning."""
    length = min(len(one), len(other))
    differ = np.flatnonzero(one[:length] != other[:length])
    return int(differ[0]) if len(differ) else length
