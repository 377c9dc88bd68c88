"""Rows of tokens computed as one trie: each token once, after what it shares with others."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

import numpy as np
import torch

from adapters.hf.attention import Stored
from adapters.hf.batches import FAILURES, Batches, Failure, free, is_memory
from adapters.hf.head import read
from adapters.hf.packing import Packing
from adapters.hf.packs import Targets, packed, piece
from adapters.hf.plain import Plain
from adapters.hf.plan import Limits, Stem, Unit, divide
from adapters.hf.spans import Row, settled
from adapters.hf.trie import Trie
from assay.types import Completion

logger = logging.getLogger(__name__)


class Climber:
    """Goes up the stems of a trie, and keeps the keys and values of the one it is on."""

    def __init__(self, packing: Packing, trie: Trie) -> None:
        self.packing, self.engine, self.trie = packing, packing.engine, trie
        self.stored = Stored()

    def climb(self, stem: Stem) -> bool:
        """Compute a stem's own tokens, in smaller pieces where memory runs out; whether that could be done."""
        start = stem.start
        while start < stem.end:
            size = min(self.engine.tokens, stem.end - start)
            try:
                self.step(stem, start, size)
            except FAILURES as error:
                failure = f"{type(error).__name__}: {error}"
                logger.warning("%d tokens that texts share: %s", size, failure.splitlines()[0])
                if size == 1 or not is_memory(failure):
                    return False
                self.engine.tokens = size // 2
                free()
            else:
                start += size
        return True

    def step(self, stem: Stem, start: int, size: int) -> None:
        """So many tokens of a stem, and what is asked of them."""
        pack = piece(self.trie, stem, start, size)
        with torch.inference_mode():
            states, kept = self.packing.states(pack, self.stored, keep=True)
            read(self.engine, states, self.targets(stem, start, size))
        self.stored.add(kept)

    def targets(self, stem: Stem, start: int, size: int) -> Targets:
        """What is asked of these tokens of a stem: nothing."""
        return Targets()


class Packed(Climber):
    """Rows of which scores are asked."""

    def __init__(self, packing: Packing, trie: Trie, rows: Sequence[Row]) -> None:
        super().__init__(packing, trie)
        self.rows = [rows[i] for i in trie.order]
        self.first = np.asarray([row.first for row in self.rows])

    def answer(self, limits: Limits) -> Iterator[list[Completion]]:
        """The completions that rows settle, a pack at a time."""
        yield from self.under(divide(self.trie, limits))

    def under(self, stem: Stem) -> Iterator[list[Completion]]:
        """All that begins with a stem: itself, what is left under it, and the stems that go on from it."""
        if self.climb(stem):
            if done := settled([self.rows[i] for i in stem.ended(self.trie)]):
                yield done
            yield from self.leaves(stem)
            for child in stem.stems:
                yield from self.under(child)
        else:
            yield from Plain(self.engine, self.rows[stem.low : stem.high]).answer()
        self.stored.cut(stem.start)

    def leaves(self, stem: Stem) -> Iterator[list[Completion]]:
        """What is left under a stem, pack by pack. A unit that fails is computed row by row: one of them may be why."""
        batches = Batches(stem.units, lambda unit: unit.size, self.engine.tokens, self.engine.rows)
        for units, result in batches.run(self.score):
            self.engine.tokens = batches.tokens
            rows = [row for unit in units for row in self.rows[unit.low : unit.high]]
            if isinstance(result, Failure):
                yield from Plain(self.engine, rows).answer()
            elif done := settled(rows):
                yield done

    def score(self, units: list[Unit]) -> None:
        """Fill in the spans of some units: one forward pass."""
        pack, targets = packed(self.trie, units), Targets()
        for unit in units:
            for i in range(unit.low, unit.high):
                for span in self.rows[i].spans:
                    targets.add(span, (unit.start, len(self.rows[i].tokens)), pack.paths[i])
        with torch.inference_mode():
            read(self.engine, self.packing.states(pack, self.stored)[0], targets)

    def targets(self, stem: Stem, start: int, size: int) -> Targets:
        """What the rows ask of these tokens of a stem that they share."""
        targets = Targets()
        for i in stem.low + np.flatnonzero(self.first[stem.low : stem.high] < start + size):
            for span in self.rows[i].spans:
                targets.add(span, (start, start + size), np.arange(size))
        return targets
