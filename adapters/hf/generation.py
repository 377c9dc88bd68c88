"""Texts written by a model, token by token: kind `generate`.

Rows are padded on the left and keep their keys and values in a cache; a row that is done leaves the batch. A sampled
row draws from a generator of its own, seeded by its request, so what it says does not depend on who sits beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from adapters.hf.batches import Batches, Failure
from adapters.hf.drafts import Draft, Drafts
from adapters.hf.engine import Engine
from adapters.hf.texts import Texts, Tokens
from assay.types import Completion, Request

SPARE_TOKENS = 8
"""Looked back beyond a stop string's length in bytes, for tokens that hold more than its end or nothing to be seen."""


@dataclass(slots=True, eq=False)
class Row:
    """A draft in a batch: what has been written, and whether it is done."""

    draft: Draft
    stops: frozenset[int]
    back: int
    """Tokens to look back for a stop string; 0 where there is none."""
    generator: Any
    written: Tokens = field(default_factory=list)
    finish: str = ""


class Generation:
    """The writing half of a model."""

    def __init__(self, engine: Engine, texts: Texts, stops: frozenset[int]) -> None:
        self.engine, self.texts = engine, texts
        self.drafts = Drafts(texts, engine.max_length, stops)

    def answer(self, requests: Sequence[Request]) -> Iterator[list[Completion]]:
        """The completions of requests of kind `generate`, a batch at a time."""
        drafts, failed = self.drafts.of(requests)
        if failed:
            yield failed
        rows = self.engine.rows if self.engine.cached else 1  # without a cache, padding cannot be told from text
        batches = Batches(drafts, lambda draft: len(draft.tokens) + draft.limit, self.engine.tokens, rows)
        for batch, result in batches.run(self.write):
            if isinstance(result, Failure):
                yield [Completion(draft.request.key, error=str(result)) for draft in batch]
            else:
                yield result

    def write(self, drafts: list[Draft]) -> list[Completion]:
        """The completions of a batch: read the prompts, then a token at a time until every row is done."""
        torch, engine = self.engine.torch, self.engine
        rows = [self.row(draft) for draft in drafts]
        live = [row for row in rows if not row.finish]
        if not live:
            return [self.drafts.completion(row.draft, row.written, row.finish) for row in rows]
        prompts = [row.draft.tokens for row in live]
        width = max(map(len, prompts))
        with torch.inference_mode():
            ids = engine.pad(prompts, width, left=True)
            mask = engine.pad([[1] * len(prompt) for prompt in prompts], width, left=True)
            cache: Any = None
            while True:
                logits, cache = engine.step(ids, mask, cache)
                new = self.choose(logits, live)
                for row, token in zip(live, new.tolist(), strict=True):
                    self.add(row, token)
                keep = [i for i, row in enumerate(live) if not row.finish]
                if not keep:
                    break
                mask = torch.cat([mask, torch.ones_like(mask[:, :1])], 1)
                # without a cache there is one row, and it is read again from its beginning
                ids = new[:, None] if engine.cached else torch.cat([ids, new[:, None]], 1)
                if len(keep) < len(live):
                    live = [live[i] for i in keep]
                    index = torch.tensor(keep, device=engine.device)
                    mask, ids = mask[index], ids[index]
                    cache.batch_select_indices(index)
        return [self.drafts.completion(row.draft, row.written, row.finish) for row in rows]

    def row(self, draft: Draft) -> Row:
        """A draft at its beginning."""
        sampling = draft.request.sampling
        texts = [stop for stop in sampling.stop if stop]
        generator = None
        if sampling.temperature > 0:
            generator = self.engine.torch.Generator().manual_seed(draft.request.seed % 2**63)
        back = max(len(stop.encode()) for stop in texts) + SPARE_TOKENS + sampling.min_tokens if texts else 0
        return Row(draft, self.drafts.stops(draft.request), back, generator, finish="" if draft.limit > 0 else "length")

    def choose(self, logits: Any, rows: Sequence[Row]) -> Any:
        """The next token of each row: the likeliest one, or drawn."""
        for i, row in enumerate(rows):
            if len(row.written) < row.draft.request.sampling.min_tokens:
                logits[i, list(row.stops)] = float("-inf")
        tokens = logits.argmax(-1)
        drawing = [i for i, row in enumerate(rows) if row.generator is not None]
        if drawing:
            tokens[drawing] = self.draw(logits[drawing], [rows[i] for i in drawing])
        return tokens

    def draw(self, logits: Any, rows: Sequence[Row]) -> Any:
        """Tokens drawn at the rows' temperatures from the `top_k` likeliest of them, and of those from the fewest that
        together have a probability of `top_p`."""
        torch = self.engine.torch
        knobs = [row.draft.request.sampling for row in rows]

        def column(values: Sequence[float]) -> Any:
            return torch.tensor(values, dtype=torch.float32, device=logits.device)[:, None]

        warm = logits / column([k.temperature for k in knobs])
        ranked, order = torch.sort(warm, dim=-1, descending=True, stable=True)
        place = torch.arange(ranked.shape[-1], device=logits.device)
        ranked = ranked.masked_fill(place >= column([k.top_k or ranked.shape[-1] for k in knobs]), float("-inf"))
        share = ranked.softmax(-1)
        before = share.cumsum(-1) - share
        share = share.masked_fill((before >= column([k.top_p for k in knobs])) & (place > 0), 0.0)
        reached = share.cumsum(-1)
        drawn = column([torch.rand((), generator=row.generator).item() for row in rows]) * reached[:, -1:]
        index = (reached <= drawn).sum(-1, keepdim=True).clamp(max=ranked.shape[-1] - 1)
        return order.gather(-1, index)[:, 0]

    def add(self, row: Row, token: int) -> None:
        """Write a token, and see whether that was the last one."""
        row.written.append(token)
        sampling = row.draft.request.sampling
        early = len(row.written) < sampling.min_tokens
        if not early and (token in row.stops or self.stopped(row)):
            row.finish = "stop"
        elif len(row.written) >= row.draft.limit:
            row.finish = "length"

    def stopped(self, row: Row) -> bool:
        """Whether a stop string has been written: looked for at the end, then made sure of in the whole text."""
        if not row.back:
            return False
        stops = [stop for stop in row.draft.request.sampling.stop if stop]
        for tokens in (row.written[-row.back :], row.written):
            text = self.texts.decode(tokens)
            if not any(stop in text for stop in stops):
                return False
        return True
