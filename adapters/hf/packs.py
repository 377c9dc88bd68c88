"""Units of a trie side by side in one sequence, without padding, and which scores are read off which of its tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from adapters.hf.plan import Stem, Unit
from adapters.hf.spans import Span
from adapters.hf.trie import Trie

Array = Any


@dataclass(slots=True)
class Pack:
    """Units of one stem as one sequence. A token sees the stem's and those of its unit that it descends from."""

    tokens: Array
    depths: Array
    """The place of each token in its own row, from 0."""
    ends: Array
    """Where, in its unit, what descends from a token ends: itself and all between are its descendants."""
    sizes: Array
    """Tokens of each unit."""
    paths: dict[int, Array]
    """Row of the trie -> where its tokens after the stem's are in the sequence."""

    @property
    def branches(self) -> bool:
        """Whether any unit is more than one row."""
        return bool((self.ends != np.repeat(self.sizes, self.sizes)).any())


def packed(trie: Trie, units: Sequence[Unit]) -> Pack:
    """Units of one stem, in this order."""
    sizes = np.asarray([unit.size for unit in units], np.int64)
    total = int(sizes.sum())
    pack = Pack(np.empty(total, np.int64), np.empty(total, np.int64), np.repeat(sizes, sizes), sizes, {})
    at = 0
    for unit in units:
        _lay(trie, unit, pack, at)
        at += unit.size
    return pack


def _lay(trie: Trie, unit: Unit, pack: Pack, first: int) -> None:
    """A unit's tokens, depth first: where a row leaves the one before, what that one has alone has no more to come."""
    path, at = np.empty(0, np.int64), first
    for row in range(unit.low, unit.high):
        tokens = trie.rows[row]
        fork = unit.start if row == unit.low else int(trie.common[row])
        new = np.arange(at, at + len(tokens) - fork)
        pack.ends[path[fork - unit.start :]] = at - first
        pack.tokens[new], pack.depths[new] = tokens[fork:], np.arange(fork, len(tokens))
        path = np.concatenate([path[: fork - unit.start], new])
        pack.paths[row] = path
        at += len(new)


def piece(trie: Trie, stem: Stem, start: int, size: int) -> Pack:
    """So many tokens of a stem from `start` on."""
    tokens = trie.rows[stem.low][start : start + size].astype(np.int64)
    return Pack(tokens, np.arange(start, start + size), np.full(size, size), np.asarray([size]), {})


class Targets:
    """Scores to be read off the tokens of one sequence: which next token is asked after which, and of which span."""

    def __init__(self) -> None:
        self.places: list[Array] = []
        self.tokens: list[Array] = []
        self.spans: list[tuple[Span, int]] = []

    def add(self, span: Span, depths: tuple[int, int], places: Array) -> None:
        """The tokens that follow those of the span's row at these depths, which are at these places."""
        first, end = max(depths[0], len(span.tokens) - 1 - span.reach), depths[1]
        if first < end:
            self.places.append(places[first - depths[0] :])
            self.tokens.append(span.tokens[first + 1 : end + 1])
            self.spans.append((span, first - (len(span.tokens) - 1 - span.reach)))

    def fill(self, values: Array, hits: Array) -> None:
        """Put log-probabilities, and whether each is the likeliest, into the spans."""
        at = 0
        for (span, first), places in zip(self.spans, self.places, strict=True):
            span.put(first, values[at : at + len(places)], hits[at : at + len(places)])
            at += len(places)
