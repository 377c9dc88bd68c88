"""Rows of tokens computed each by itself, side by side: what any causal network can do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from adapters.hf.batches import Batches, Failure
from adapters.hf.engine import Engine
from adapters.hf.head import read
from adapters.hf.packs import Targets
from adapters.hf.spans import Row, settled
from assay.types import Completion


class Plain:
    """Rows side by side, each computed whole."""

    def __init__(self, engine: Engine, rows: Sequence[Row]) -> None:
        self.engine, self.rows = engine, rows

    def answer(self) -> Iterator[list[Completion]]:
        """The completions that rows settle, a batch at a time."""
        batches = Batches(self.rows, lambda row: len(row.tokens), self.engine.tokens, self.engine.rows)
        for batch, result in batches.run(self.score):
            if done := settled(batch, str(result) if isinstance(result, Failure) else None):
                yield done

    def score(self, rows: list[Row]) -> None:
        """Fill in the spans of some rows: one forward pass."""
        width, targets = max(len(row.tokens) for row in rows), Targets()
        for i, row in enumerate(rows):
            for span in row.spans:
                targets.add(span, (0, len(row.tokens)), np.arange(len(row.tokens)) + i * width)
        with torch.inference_mode():
            states = self.engine.states(self.engine.pad([row.tokens for row in rows], width))
            read(self.engine, states.flatten(0, 1), targets)
