"""A loaded model: one half scores texts, the other writes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from assay.types import Completion, Request

SCORING = frozenset({"loglikelihood", "rolling", "choice"})
KINDS = SCORING | {"generate"}


class Half(Protocol):
    """What answers requests of some kinds."""

    def answer(self, requests: Sequence[Request]) -> Iterator[list[Completion]]:
        """The completions, a batch as soon as it is done."""
        ...


class Halves:
    """Gives each half its requests."""

    def __init__(self, adapter: str, likelihood: Half, generation: Half) -> None:
        self.adapter, self.likelihood, self.generation = adapter, likelihood, generation

    def answer(self, requests: Sequence[Request]) -> Iterator[Sequence[Completion]]:
        """The completions of all requests, a batch as soon as it is done; what fails has an error."""
        other = [r for r in requests if r.kind not in KINDS]
        if other:
            yield [Completion(r.key, error=f"{self.adapter} cannot answer requests of kind {r.kind!r}") for r in other]
        yield from self.likelihood.answer([r for r in requests if r.kind in SCORING])
        yield from self.generation.answer([r for r in requests if r.kind == "generate"])
