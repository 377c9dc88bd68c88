"""Drafts that are being written: which token comes next, and when one is done.

A sampled draft draws from a generator of its own, seeded by its request, so what it says does not depend on what else
is written at the same time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from adapters.hf.drafts import Draft, Drafts
from adapters.hf.stopping import Stopping, Watch
from adapters.hf.texts import Tokens


@dataclass(slots=True, eq=False)
class Row:
    """A draft in a batch: what has been written, and whether it is done."""

    draft: Draft
    stops: frozenset[int]
    watch: Watch | None
    """For its stop strings."""
    generator: Any
    written: Tokens = field(default_factory=list)
    finish: str = ""

    @property
    def last(self) -> int:
        """The token that comes before the next one."""
        return self.written[-1] if self.written else self.draft.tokens[-1]


class Writing:
    """Goes on with drafts, a token at a time."""

    def __init__(self, drafts: Drafts, vocabulary: int) -> None:
        self.drafts, self.stopping = drafts, Stopping(drafts.texts.tokenizer, vocabulary)

    def row(self, draft: Draft) -> Row:
        """A draft at its beginning."""
        sampling = draft.request.sampling
        generator = None
        if sampling.temperature > 0:
            generator = torch.Generator().manual_seed(draft.request.seed % 2**63)
        watch = self.stopping.watch(sampling.stop, sampling.min_tokens)
        return Row(draft, self.drafts.stops(draft.request), watch, generator)

    def write(self, logits: Any, rows: Sequence[Row]) -> Any:
        """The next token of each row, chosen by its logits and written."""
        tokens = self.choose(logits, rows)
        for row, token in zip(rows, tokens.tolist(), strict=True):
            self.add(row, token)
        return tokens

    def choose(self, logits: Any, rows: Sequence[Row]) -> Any:
        """The next token of each row: the likeliest one, or drawn."""
        for i, row in enumerate(rows):
            if len(row.written) < row.draft.request.sampling.min_tokens:
                logits[i, list(row.stops)] = float("-inf")
        tokens = logits.argmax(-1)
        drawing = [i for i, row in enumerate(rows) if row.generator is not None]
        if drawing:
            tokens[drawing] = draw(logits[drawing], [rows[i] for i in drawing])
        return tokens

    def add(self, row: Row, token: int) -> None:
        """Write a token, and see whether that was the last one."""
        row.written.append(token)
        least = row.draft.request.sampling.min_tokens
        watch = row.watch
        stopped = watch and (watch.maybe[token] or len(row.written) == least) and watch.done(row.written)
        if len(row.written) >= least and (token in row.stops or stopped):
            row.finish = "stop"
        elif len(row.written) >= row.draft.limit:
            row.finish = "length"


def draw(logits: Any, rows: Sequence[Row]) -> Any:
    """Tokens drawn at the rows' temperatures from the `top_k` likeliest of them, and of those from the fewest that
    together have a probability of `top_p`."""
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
