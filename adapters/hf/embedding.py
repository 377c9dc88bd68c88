"""Texts as vectors: the mean of a network's last hidden states over a text's tokens, as sentence-transformers pools by
default."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from adapters.hf.batches import Batches, Failure
from adapters.hf.engine import Engine
from adapters.hf.tokens import CHUNK
from assay.chat import render
from assay.chunks import chunked
from assay.errors import AssayError
from assay.types import Completion, Request

Item = tuple[Request, list[int], int]
"""A request, the tokens of its text that the network sees, how many it does not see."""


class Embedding:
    """The part of a model that embeds. Texts are taken as they are, and one that is too long loses its right end."""

    def __init__(self, engine: Engine, tokenizer: Any) -> None:
        self.engine, self.tokenizer = engine, tokenizer
        self.limit = min(engine.max_length, tokenizer.model_max_length)  # roberta counts its positions from 2

    def answer(self, requests: Sequence[Request]) -> Iterator[list[Completion]]:
        """The completions of requests of kind `embed`, a batch at a time."""
        texts: list[tuple[Request, str]] = []
        failed: list[Completion] = []
        for request in requests:
            try:
                texts.append((request, render(request.messages, None, "gen")))
            except AssayError as error:
                failed.append(Completion(request.key, error=str(error)))
        if failed:
            yield failed
        items = [item for chunk in chunked(texts, CHUNK) for item in self.items(chunk)]
        batches = Batches(items, lambda item: len(item[1]), self.engine.tokens, self.engine.rows)
        for batch, result in batches.run(self.vectors):
            if isinstance(result, Failure):
                yield [Completion(request.key, error=str(result)) for request, _, _ in batch]
                continue
            yield [
                Completion(request.key, vector=vector, input_tokens=len(tokens), truncated=lost)
                for (request, tokens, lost), vector in zip(batch, result, strict=True)
            ]

    def items(self, texts: Sequence[tuple[Request, str]]) -> Iterator[Item]:
        """Texts as tokens; one without any is its vocabulary's first token, so that it has a vector too."""
        whole = self.tokenizer([text for _, text in texts], verbose=False)["input_ids"]
        for (request, text), tokens in zip(texts, whole, strict=True):
            seen = tokens
            if len(tokens) > self.limit:  # cut by the tokenizer, which keeps the marks at both ends
                seen = self.tokenizer(text, truncation=True, max_length=self.limit, verbose=False)["input_ids"]
            yield request, seen or [0], len(tokens) - len(seen)

    def vectors(self, batch: list[Item]) -> Any:
        """The vectors of some rows, in fp32: one forward pass."""
        torch, width = self.engine.torch, max(len(tokens) for _, tokens, _ in batch)
        ids = self.engine.pad([tokens for _, tokens, _ in batch], width)
        mask = self.engine.pad([[1] * len(tokens) for _, tokens, _ in batch], width)
        with torch.inference_mode():
            states = self.engine.states(ids, mask).float()
            weights = mask.to(states.device)[..., None]
            return ((states * weights).sum(1) / weights.sum(1)).cpu().numpy()
