"""What of a trie is computed after what: beginnings that many rows share, each once, and under them what is left.

A beginning worth a forward pass of its own is a `Stem`: its keys and values are kept while all that stands under it is
computed. What is left is cut into units, subtrees small enough to be computed as a whole, of which many make a batch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from adapters.hf.trie import Trie


class Limits(NamedTuple):
    """What makes one way of cutting better than another, in tokens."""

    unit: int
    """Of a unit that branches: its mask is as wide as it is high. 0: each unit is one row."""
    batch: int
    """Of a forward pass: a row that is longer is computed as a stem, piece by piece."""
    overhead: int
    """A forward pass costs about as much as so many tokens."""
    reach: int
    """Looking at so many tokens costs about as much as all else that is computed of one."""


class Unit(NamedTuple):
    """The rows from `low` to `high` without their first `start` tokens, which they share."""

    low: int
    high: int
    start: int
    size: int
    """Tokens that are computed."""


@dataclass(slots=True)
class Stem:
    """The tokens from `start` to `end` of the rows from `low` to `high`: a beginning, computed once."""

    low: int
    high: int
    start: int
    end: int
    units: list[Unit] = field(default_factory=list)
    stems: list[Stem] = field(default_factory=list)

    def ended(self, trie: Trie) -> range:
        """The row that is the stem and no more, if there is one."""
        return range(self.low, self.low + int(self.low < self.high and trie.lengths[self.low] == self.end))


def divide(trie: Trie, limits: Limits) -> Stem:
    """The whole trie as a stem without tokens, with all that stands under it."""
    root = Stem(0, len(trie.rows), 0, 0)
    open_ = [(root, root.low + len(root.ended(trie)), root.high, 0)] if trie.rows else []
    while open_:
        stem, low, high, depth = open_.pop()
        for a, b in trie.parts(low, high, depth) if low < high else ():
            end = trie.end(a, b)
            parts = trie.parts(a, b, end)
            if _is_unit(trie, stem.end, (a, b), parts, limits):
                stem.units.append(Unit(a, b, stem.end, trie.size(a, b, stem.end)))
            elif b == a + 1 or _again(trie, stem.end, (a, b), parts, limits) > limits.overhead:
                child = Stem(a, b, stem.end, end)
                stem.stems.append(child)
                open_.append((child, a + len(child.ended(trie)), b, end))
            else:
                open_.append((stem, a, b, end))
    return root


def _again(trie: Trie, depth: int, rows: tuple[int, int], parts: list[tuple[int, int]], limits: Limits) -> int:
    """How many tokens are computed more than once where the rows' common beginning is computed with each part."""
    pieces = max(len(parts), -(-trie.size(*rows, depth) // max(1, limits.unit)))
    return (trie.end(*rows) - depth) * (min(pieces, rows[1] - rows[0]) - 1)


def _is_unit(trie: Trie, depth: int, rows: tuple[int, int], parts: list[tuple[int, int]], limits: Limits) -> bool:
    """Whether the rows are computed as one: they fit, and apart they would cost more.

    As one, each token has room in its mask for all others; apart, what they share is computed with each part.
    """
    size = trie.size(*rows, depth)
    if rows[1] == rows[0] + 1:
        return size <= limits.batch
    if size > min(limits.unit, limits.batch):
        return False
    shared = trie.end(*rows) - depth
    apart = sum((shared + trie.size(a, b, depth + shared)) ** 2 for a, b in parts)
    return shared * (len(parts) - 1) * limits.reach >= size**2 - apart
