"""Texts written by a model, token by token: kind `generate`.

Networks that can compute packs write side by side whatever there is room for. For the others rows are padded on the
left and keep their keys and values in a cache, and a row that is done leaves the batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from adapters.hf.batches import Batches, Failure
from adapters.hf.continuous import Continuous
from adapters.hf.drafts import Draft, Drafts
from adapters.hf.engine import Engine
from adapters.hf.probe import Probe
from adapters.hf.texts import Texts
from adapters.hf.writing import Row, Writing
from assay.types import Completion, Request

AT_ONCE = 16_384
"""Tokens of a batch that is not packed: its prompts are read in one pass."""


class Generation:
    """The writing half of a model."""

    def __init__(self, engine: Engine, texts: Texts, stops: frozenset[int], probe: Probe) -> None:
        self.engine, self.texts, self.probe = engine, texts, probe
        self.drafts = Drafts(texts, engine.max_length, stops)
        self.writing = Writing(self.drafts, engine.vocabulary)

    def answer(self, requests: Sequence[Request]) -> Iterator[list[Completion]]:
        """The completions of requests of kind `generate`, as soon as they are done."""
        drafts, done = self.drafts.of(requests)
        done += [self.drafts.completion(draft, [], "length") for draft in drafts if draft.limit <= 0]
        if done:
            yield done
        drafts = [draft for draft in drafts if draft.limit > 0]
        if drafts and self.probe.writes([draft.tokens for draft in drafts]):
            together = Continuous(self.probe.packing, drafts)
            for rows in together.write(self.writing):
                yield self.completions(rows)
            drafts = together.left
        yield from self.plain(drafts)

    def completions(self, rows: Sequence[Row]) -> list[Completion]:
        """What is told of rows that are done."""
        return [self.drafts.completion(row.draft, row.written, row.finish) for row in rows]

    def plain(self, drafts: Sequence[Draft]) -> Iterator[list[Completion]]:
        """The completions of drafts, a batch after the other."""
        rows = self.engine.rows if self.engine.cached else 1  # without a cache, padding cannot be told from text
        tokens = max(self.engine.tokens, min(self.engine.kept, AT_ONCE))
        batches = Batches(drafts, lambda draft: len(draft.tokens) + draft.limit, tokens, rows)
        for batch, result in batches.run(self.batch):
            if isinstance(result, Failure):
                yield [Completion(draft.request.key, error=str(result)) for draft in batch]
            else:
                yield self.completions(result)

    def batch(self, drafts: list[Draft]) -> list[Row]:
        """A batch, written: read the prompts, then a token at a time until every row is done."""
        engine = self.engine
        rows = live = [self.writing.row(draft) for draft in drafts]
        width = max(len(draft.tokens) for draft in drafts)
        with torch.inference_mode():
            ids = engine.pad([draft.tokens for draft in drafts], width, left=True)
            mask = engine.pad([[1] * len(draft.tokens) for draft in drafts], width, left=True)
            cache: Any = None
            while True:
                logits, cache = engine.step(ids, mask, cache)
                new = self.writing.write(logits, live)
                keep = [i for i, row in enumerate(live) if not row.finish]
                if not keep:
                    return rows
                mask = torch.cat([mask, torch.ones_like(mask[:, :1])], 1)
                # without a cache there is one row, and it is read again from its beginning
                ids = new[:, None] if engine.cached else torch.cat([ids, new[:, None]], 1)
                if len(keep) < len(live):
                    live = [live[i] for i in keep]
                    index = torch.tensor(keep, device=engine.device)
                    mask, ids = mask[index], ids[index]
                    cache.batch_select_indices(index)
