"""A loaded model: one part scores texts, another writes them, a third makes vectors of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from assay.types import Completion, Request

SCORING = frozenset({"loglikelihood", "rolling", "choice"})
KINDS = SCORING | {"generate"}
EMBEDDING = frozenset({"embed"})


class Half(Protocol):
    """What answers requests of some kinds."""

    def answer(self, requests: Sequence[Request]) -> Iterator[list[Completion]]:
        """The completions, a batch as soon as it is done."""
        ...


class Halves:
    """Gives each part its requests; a network without a head has only the last."""

    def __init__(
        self, adapter: str, likelihood: Half | None, generation: Half | None, embedding: Half | None = None
    ) -> None:
        self.adapter, self.likelihood, self.generation, self.embedding = adapter, likelihood, generation, embedding
        given = {SCORING: likelihood, frozenset({"generate"}): generation, EMBEDDING: embedding}
        self.parts = {kinds: part for kinds, part in given.items() if part}

    @property
    def how(self) -> str:
        """How the scores are computed, where their part tells; else nothing."""
        return str(getattr(self.likelihood, "how", ""))

    def answer(self, requests: Sequence[Request]) -> Iterator[Sequence[Completion]]:
        """The completions of all requests, a batch as soon as it is done; what fails has an error."""
        other = [r for r in requests if not any(r.kind in kinds for kinds in self.parts)]
        if other:
            yield [Completion(r.key, error=f"{self.adapter} cannot answer requests of kind {r.kind!r}") for r in other]
        for kinds, part in self.parts.items():
            yield from part.answer([r for r in requests if r.kind in kinds])
