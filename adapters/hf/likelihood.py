"""Log-probabilities of given texts: kinds `loglikelihood`, `choice` and `rolling`.

Each request becomes spans: tokens to be scored after tokens that are only seen. Spans that see the same tokens share a
row of the forward pass, so the letters of a quiz, one token each, cost one row a question.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from adapters.hf.batches import Batches, Failure
from adapters.hf.engine import Engine
from adapters.hf.texts import Prompt, Texts, Tokens
from assay.chat import render
from assay.errors import AssayError
from assay.types import Completion, Request

LOGITS_A_TOKEN = 16_384
"""So many logits take about the memory of one token's activations."""

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
    logprobs: Array = None
    greedy: bool = False
    whole: float = 0.0
    """Log-probability of all tokens after the first, where that is asked for."""

    @property
    def reach(self) -> int:
        """How many log-probabilities are computed: of those that are scored, or of all."""
        return len(self.tokens) - 1 if "prompt_sums" in self.asked.request.needs else self.count


@dataclass(slots=True, eq=False)
class Row:
    """Tokens as the network sees them, all but the last of each span."""

    tokens: Array
    spans: list[Span] = field(default_factory=list)

    @property
    def first(self) -> int:
        """The first position whose logits are wanted."""
        return len(self.tokens) - max(span.reach for span in self.spans)


class Likelihood:
    """The scoring half of a model."""

    def __init__(self, engine: Engine, texts: Texts) -> None:
        self.engine, self.texts = engine, texts

    def answer(self, requests: Sequence[Request]) -> Iterator[list[Completion]]:
        """The completions of requests of the scoring kinds, each as soon as all of its spans have their scores."""
        asked = self.asked(requests)
        if done := [completion_of(one) for one in asked if not one.open]:
            yield done
        batches = Batches(rows_of(asked), self.cost, self.engine.tokens, self.engine.rows)
        for batch, result in batches.run(self.score):
            scored = [span for row in batch for span in row.spans]
            for span in scored:
                span.asked.open -= 1
                if isinstance(result, Failure):
                    span.asked.error = str(result)
            touched = dict.fromkeys(span.asked for span in scored)
            if done := [completion_of(one) for one in touched if not one.open]:
                yield done

    def cost(self, row: Row) -> int:
        """What a row takes of a batch's budget: its tokens, and more where much of a large vocabulary is wanted."""
        return len(row.tokens) + (len(row.tokens) - row.first) * self.engine.vocabulary // LOGITS_A_TOKEN

    def asked(self, requests: Sequence[Request]) -> list[Asked]:
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
        texts = [(prompt.text, _after(prompt, text)) for one, prompt in prompts for text in one.request.continuations]
        pairs = iter(self.texts.pairs(texts))
        for one, prompt in prompts:
            one.rendering = prompt.rendering
            self.place(one, [next(pairs) for _ in one.request.continuations])
        return asked

    def place(self, one: Asked, pairs: Sequence[tuple[Tokens, Tokens]]) -> None:
        """The spans of a request with continuations. Where the window is too short, contexts lose their left end."""
        limit = self.engine.max_length
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
        limit = self.engine.max_length
        for start in range(0, len(tokens), limit):
            end = min(start + limit, len(tokens))
            self.add(one, tokens[end - limit - 1 : start] if start else [self.texts.start()], tokens[start:end])
        one.input_tokens = len(tokens)

    def add(self, one: Asked, context: Tokens, tokens: Tokens) -> None:
        """A span: the last token of all is scored but not seen, so one more than the window fits."""
        cut = max(0, len(context) + len(tokens) - self.engine.max_length - 1)
        one.spans.append(Span(one, np.asarray([*context[cut:], *tokens], np.int32), len(tokens)))
        one.open += 1
        one.truncated = max(one.truncated, cut)
        one.input_tokens = max(one.input_tokens, len(context) - cut)

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


def rows_of(asked: Sequence[Asked]) -> list[Row]:
    """The rows of all spans: spans that see the same tokens are in one row."""
    rows: dict[bytes, Row] = {}
    for span in (span for one in asked for span in one.spans):
        seen = span.tokens[:-1]
        rows.setdefault(seen.tobytes(), Row(seen)).spans.append(span)
    return list(rows.values())


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


def _after(prompt: Prompt, continuation: str) -> str:
    """The continuation as it stands after the prompt: where a template has just opened the turn, without the blank."""
    return (continuation.lstrip() or continuation) if prompt.opened else continuation
