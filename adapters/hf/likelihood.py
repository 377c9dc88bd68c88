"""Log-probabilities of given texts: one forward pass over many rows of tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from adapters.hf.batches import Batches, Failure
from adapters.hf.engine import Engine
from adapters.hf.spans import Row, Spans, completion_of, rows_of, settled
from adapters.hf.texts import Texts
from assay.types import Completion, Request

LOGITS_A_TOKEN = 16_384
"""So many logits take about the memory of one token's activations."""


class Likelihood:
    """The scoring half of a model."""

    def __init__(self, engine: Engine, texts: Texts) -> None:
        self.engine, self.texts = engine, texts
        self.spans = Spans(texts, engine.max_length)

    def answer(self, requests: Sequence[Request]) -> Iterator[list[Completion]]:
        """The completions of requests of the scoring kinds, each as soon as all of its spans have their scores."""
        asked = self.spans.of(requests)
        if done := [completion_of(one) for one in asked if not one.open]:
            yield done
        batches = Batches(rows_of(asked), self.cost, self.engine.tokens, self.engine.rows)
        for batch, result in batches.run(self.score):
            if done := settled(batch, str(result) if isinstance(result, Failure) else None):
                yield done

    def cost(self, row: Row) -> int:
        """What a row takes of a batch's budget: its tokens, and more where much of a large vocabulary is wanted."""
        return len(row.tokens) + (len(row.tokens) - row.first) * self.engine.vocabulary // LOGITS_A_TOKEN

    def score(self, rows: list[Row]) -> None:
        """Fill in the spans of some rows: one forward pass."""
        torch = self.engine.torch
        wanted = np.unique(np.concatenate([np.arange(row.first, len(row.tokens)) for row in rows]))
        spans = [(i, span) for i, row in enumerate(rows) for span in row.spans]
        flat = np.concatenate([span.tokens[-span.reach :] for _, span in spans])
        with torch.inference_mode():
            width = max(len(row.tokens) for row in rows)
            logits = self.engine.logits(self.engine.pad([row.tokens for row in rows], width), wanted.tolist())
            targets = torch.as_tensor(flat, dtype=torch.long, device=logits.device)
            found, hits, done = [], [], 0
            for i, row in enumerate(rows):
                begin = int(np.searchsorted(wanted, row.first))
                own = logits[i, begin : begin + len(row.tokens) - row.first].float()
                logprobs, best = own.log_softmax(-1), own.argmax(-1)
                for span in row.spans:
                    target = targets[done : done + span.reach]
                    found.append(logprobs[-span.reach :].gather(-1, target[:, None])[:, 0])
                    hits.append(best[-span.reach :] == target)
                    done += span.reach
            values = torch.cat(found).double().cpu().numpy()
            greedy = torch.cat(hits).cpu().numpy()
        ends = np.cumsum([span.reach for _, span in spans])
        for (_, span), end in zip(spans, ends, strict=True):
            span.logprobs = values[end - span.count : end]
            span.greedy = bool(greedy[end - span.count : end].all())
            span.whole = float(values[end - span.reach : end].sum())
