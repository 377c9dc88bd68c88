"""Which tokens of a request are scored after which: kinds `loglikelihood`, `choice` and `rolling`.

Each request becomes spans: tokens to be scored after tokens that are only seen. Spans that see the same tokens are one
row of what an engine computes, so the letters of a quiz, one token each, cost one row a question.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import numpy as np

from adapters.hf.texts import Prompt, Texts, Tokens
from assay.chat import render
from assay.errors import AssayError
from assay.types import Completion, Request

Array = Any


@dataclass(slots=True, eq=False)
class Asked:
    """A request with its spans."""

    request: Request
    spans: list[Span] = field(default_factory=list)
    open: int = 0
    """Spans without a score."""
    input_tokens: int = 0
    truncated: int = 0
    rendering: str | None = None
    error: str | None = None


@dataclass(slots=True, eq=False)
class Span:
    """Tokens of which the last few are to be scored."""

    asked: Asked
    tokens: Array
    count: int
    """How many are scored."""
    values: Array = None
    """The log-probabilities that are computed: of the last `reach` tokens."""
    hits: Array = None
    """Whether each of these is the likeliest."""

    @property
    def reach(self) -> int:
        """How many log-probabilities are computed: of those that are scored, or of all."""
        return len(self.tokens) - 1 if "prompt_sums" in self.asked.request.needs else self.count

    def put(self, first: int, values: Array, hits: Array) -> None:
        """Fill in what is computed, from the `first` on."""
        if self.values is None:
            self.values, self.hits = np.empty(self.reach), np.empty(self.reach, bool)
        self.values[first : first + len(values)] = values
        self.hits[first : first + len(hits)] = hits

    @property
    def logprobs(self) -> Array:
        """Of the tokens that are scored."""
        return self.values[-self.count :]

    @property
    def greedy(self) -> bool:
        """Whether greedy decoding would write what is scored."""
        return bool(self.hits[-self.count :].all())

    @property
    def whole(self) -> float:
        """Log-probability of all tokens after the first, where that is asked for."""
        return float(self.values.sum())


@dataclass(slots=True, eq=False)
class Row:
    """Tokens as the network sees them, all but the last of each span."""

    tokens: Array
    spans: list[Span] = field(default_factory=list)

    @property
    def first(self) -> int:
        """The first position whose logits are wanted."""
        return len(self.tokens) - max(span.reach for span in self.spans)


class Spans:
    """Cuts requests into spans for a model that sees so many tokens."""

    def __init__(self, texts: Texts, max_length: int) -> None:
        self.texts, self.max_length = texts, max_length

    def of(self, requests: Sequence[Request]) -> list[Asked]:
        """Requests with their spans; what cannot be asked has an error and none."""
        asked = [Asked(request) for request in requests]
        prompts: list[tuple[Asked, Prompt]] = []
        for one in asked:
            try:
                if one.request.kind == "rolling":
                    self.roll(one)
                else:
                    prompts.append((one, self.texts.prompt(one.request)))
            except AssayError as error:
                one.error = str(error)
        texts = [(prompt.text, prompt.after(text)) for one, prompt in prompts for text in one.request.continuations]
        pairs = iter(self.texts.pairs(texts))
        for one, prompt in prompts:
            one.rendering = prompt.rendering
            self.place(one, [next(pairs) for _ in one.request.continuations])
        return asked

    def place(self, one: Asked, pairs: Sequence[tuple[Tokens, Tokens]]) -> None:
        """The spans of a request with continuations. Where the window is too short, contexts lose their left end."""
        limit = self.max_length
        if not pairs:
            one.error = f"a request of kind {one.request.kind!r} has no continuations"
        for text, (_, tokens) in zip(one.request.continuations, pairs, strict=True):
            if not tokens:
                one.error = f"the continuation {text!r:.80} adds no token to its context"
            elif len(tokens) > limit:
                one.error = f"the continuation {text!r:.80} has {len(tokens)} tokens, and the model sees {limit}"
        if one.error is None:
            for context, tokens in pairs:
                self.add(one, context, tokens[:1] if one.request.kind == "choice" else tokens)

    def roll(self, one: Asked) -> None:
        """The spans of a text of its own: windows as wide as the model sees, in which each token is scored once.

        They are lm-evaluation-harness's: in front stands the token that begins a text (where the tokenizer puts one
        there too, that is scored), a full window sees one token of the one before, the last sees all there is room for.
        """
        tokens = self.texts.encode([render(one.request.messages, None, "ppl")])[0]
        limit = self.max_length
        if one.request.sampling.stride:
            self.slide(one, tokens)
            return
        for start in range(0, len(tokens), limit):
            end = min(start + limit, len(tokens))
            self.add(one, tokens[end - limit - 1 : start] if start else [self.texts.start()], tokens[start:end])
        one.input_tokens = len(tokens)

    def slide(self, one: Asked, tokens: Tokens) -> None:
        """Windows that overlap, each a stride further, of which only the tokens are scored that no earlier one holds.

        Those of transformers' guide to perplexity and OpenCompass's SWCE inferencer, but each token is scored: the
        text's first after the token that begins a text, a window's first after the last of the one before.
        """
        sampling, done = one.request.sampling, 0
        window = min(sampling.window or self.max_length, self.max_length)
        for start in range(0, len(tokens), min(sampling.stride, window)):
            end = min(start + window, len(tokens))
            self.add(one, tokens[min(start, done - 1) : done] if start else [self.texts.start()], tokens[done:end])
            one.input_tokens, done = len(tokens), end
            if end == len(tokens):
                return

    def add(self, one: Asked, context: Tokens, tokens: Tokens) -> None:
        """A span: the last token of all is scored but not seen, so one more than the window fits."""
        cut = max(0, len(context) + len(tokens) - self.max_length - 1)
        one.spans.append(Span(one, np.asarray([*context[cut:], *tokens], np.int32), len(tokens)))
        one.open += 1
        one.truncated = max(one.truncated, cut)
        one.input_tokens = max(one.input_tokens, len(context) - cut)


def rows_of(asked: Sequence[Asked]) -> list[Row]:
    """The rows of all spans: spans that see the same tokens are in one row."""
    rows: dict[bytes, Row] = {}
    for span in (span for one in asked for span in one.spans):
        seen = span.tokens[:-1]
        rows.setdefault(blake2b(seen.tobytes(), digest_size=16).digest(), Row(seen)).spans.append(span)
    return list(rows.values())


def settled(rows: Sequence[Row], error: str | None = None) -> list[Completion]:
    """The completions of requests of which these rows were the last: they have their scores, or the error."""
    spans = [span for row in rows for span in row.spans]
    for span in spans:
        span.asked.open -= 1
        span.asked.error = error or span.asked.error
    return [completion_of(one) for one in dict.fromkeys(span.asked for span in spans) if not one.open]


def completion_of(one: Asked) -> Completion:
    """What is told of a request whose spans have their scores."""
    request, spans = one.request, one.spans
    if one.error is not None:
        return Completion(request.key, error=one.error)
    done = Completion(request.key, input_tokens=one.input_tokens, truncated=one.truncated, rendering=one.rendering)
    scores = [span.logprobs for span in spans]
    if request.kind == "rolling":
        scores = [np.concatenate(scores)] if scores else [np.zeros(0)]
    elif request.kind == "choice":
        total = np.logaddexp.reduce([score[0] for score in scores])
        scores = [score - total for score in scores]
    done.sums = [float(score.sum()) for score in scores]
    done.tokens = [len(score) for score in scores]
    if request.kind != "rolling":
        done.greedy = [span.greedy for span in spans]
    if "prompt_sums" in request.needs:
        done.prompt_sums = [span.whole for span in spans] if request.kind != "rolling" else done.sums
        done.prompt_lengths = [len(span.tokens) for span in spans] if request.kind != "rolling" else done.tokens
    if "token_logprobs" in request.needs:
        done.token_logprobs = [score.tolist() for score in scores]
    return done
