"""Log-probabilities of given texts: kinds `loglikelihood`, `choice` and `rolling`.

All requests of a shard are one trie of tokens, of which each token is computed once: a beginning that many share before
all that stands under it, then questions with their choices as branches, packed. Networks whose attention cannot be
packed take each row by itself, and so do those whose packs are found to differ from their rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from adapters.hf.engine import Engine
from adapters.hf.packed import Packed
from adapters.hf.plain import Plain
from adapters.hf.probe import Probe
from adapters.hf.spans import Spans, completion_of, rows_of
from adapters.hf.texts import Texts
from adapters.hf.trie import Trie
from assay.types import Completion, Request


class Likelihood:
    """The scoring half of a model."""

    def __init__(self, engine: Engine, texts: Texts, probe: Probe) -> None:
        self.engine, self.texts, self.probe = engine, texts, probe
        self.spans = Spans(texts, engine.max_length)

    @property
    def how(self) -> str:
        """Whether requests are computed as packs, and if not, why."""
        return "packs" if self.probe.refusal is None else f"row by row: {self.probe.refusal}"

    def answer(self, requests: Sequence[Request]) -> Iterator[list[Completion]]:
        """The completions of requests of the scoring kinds, each as soon as all of its spans have their scores."""
        asked = self.spans.of(requests)
        if done := [completion_of(one) for one in asked if not one.open]:
            yield done
        rows = rows_of(asked)
        trie = None if self.probe.refusal else Trie([row.tokens for row in rows])
        if trie is not None and self.probe.packs(trie):
            yield from Packed(self.probe.packing, trie, rows).answer(self.probe.packing.limits)
        else:
            yield from Plain(self.engine, rows).answer()
