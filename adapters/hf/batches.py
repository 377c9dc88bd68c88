"""What is computed together: the longest first, as many as a budget of tokens allows, fewer where memory runs out."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

logger = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")

FAILURES = (RuntimeError, ValueError, LookupError, MemoryError)
"""What a network raises for an input that it cannot take; torch's errors, memory's included, are RuntimeErrors."""
_NO_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")


class Failure(str):
    """In place of a result: why there is none."""


class Batches(Generic[T]):
    """Items in batches, each as wide as its longest item."""

    def __init__(self, items: Sequence[T], width: Callable[[T], int], tokens: int, rows: int | None) -> None:
        self.waiting = sorted(items, key=width)  # taken from its end: the longest first, so memory runs out early
        self.width, self.tokens, self.rows = width, tokens, rows
        self.parts: list[list[T]] = []

    def run(self, forward: Callable[[list[T]], R]) -> Iterator[tuple[list[T], R | Failure]]:
        """Each batch with what `forward` makes of it.

        A batch that fails is halved until what fails stands alone; that one comes with a Failure. Where memory was the
        reason, later batches are no larger than what was tried next.
        """
        while batch := self.take():
            failure = None
            try:
                result = forward(batch)
            except FAILURES as error:
                failure = Failure(f"{type(error).__name__}: {error}")
            if failure is None:
                yield batch, result
                continue
            if is_memory(failure):
                logger.warning("%d texts of %d tokens: %s", len(batch), self.width(batch[0]), failure.splitlines()[0])
                free()
            if len(batch) == 1:
                yield batch, failure
            else:
                self.halve(batch, is_memory(failure))

    def take(self) -> list[T]:
        """The next batch; an empty one at the end."""
        if self.parts:
            return self.parts.pop()
        if not self.waiting:
            return []
        count = max(1, self.tokens // max(1, self.width(self.waiting[-1])))
        count = min(count, self.rows or count)
        batch = self.waiting[-count:][::-1]
        del self.waiting[-count:]
        return batch

    def halve(self, batch: list[T], memory: bool) -> None:
        """Put a failed batch back: into what waits, with half the budget, or in two parts of which one will fail."""
        half = (len(batch) + 1) // 2
        if memory:
            self.tokens = half * self.width(batch[0])
            self.waiting += batch[::-1]
        else:
            self.parts += [batch[half:], batch[:half]]


def is_memory(failure: str) -> bool:
    """Whether memory ran out: torch.OutOfMemoryError on a GPU, a RuntimeError of the allocator on the CPU."""
    return "OutOfMemory" in failure or "MemoryError" in failure or any(text in failure for text in _NO_MEMORY)


def free() -> None:
    """Give back what a failed batch held."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
