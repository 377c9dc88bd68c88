"""Log-probabilities of given texts, out of a prompt that a server echoed token by token."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from adapters.api.patience import Refusal


class Echoed(NamedTuple):
    """A text's tokens as the server read them, with what it thinks of them."""

    tokens: list[str]
    logprobs: list[float | None]
    tops: list[Mapping[str, float] | None]
    """The likeliest token in each place."""
    length: int | None
    """How many of the tokens are the prompt's, where the server says so; what follows was generated."""


class Scores(NamedTuple):
    """What a continuation is worth to the model."""

    logprobs: list[float]
    greedy: bool
    """Whether each of its tokens is the likeliest."""
    total: float
    """Of all the prompt's tokens after the first."""
    length: int
    """The prompt's tokens."""


def among(logprobs: Sequence[float]) -> list[float]:
    """Log-probabilities that add up to one: of each among these alone."""
    top = max(logprobs)
    total = top + math.log(sum(math.exp(x - top) for x in logprobs))
    return [x - total for x in logprobs]


def first_token(text: str, tops: Mapping[str, float]) -> float | None:
    """The log-probability of the longest token that a text begins with, whatever blanks are in front of it."""
    bare = [(token.strip(), logprob) for token, logprob in tops.items()]
    return max(((len(t), logprob) for t, logprob in bare if t and text.startswith(t)), default=(0, None))[1]


def span(echo: Echoed, context: str, text: str) -> tuple[int, int] | None:
    """The places of the tokens that hold the end of a prompt, from its context's last blanks on; None where their texts
    are not the prompt's."""
    prompt, wanted = context + text, len(text) + len(context) - len(context.rstrip())
    count = len(echo.tokens)
    for end in dict.fromkeys((echo.length or count - 1, count - 1, count)):
        held = ""
        for start in range(min(end, count) - 1, -1, -1):
            held = echo.tokens[start] + held
            if len(held) >= wanted or not prompt.endswith(held):
                break
        if wanted and len(held) >= wanted and prompt.endswith(held):
            return start, end
    return None


def scores(echo: Echoed, start: int, end: int) -> Scores:
    """What the tokens from start to end are worth. Raises Refusal where the server does not say it of each."""
    logprobs, tops = echo.logprobs[start:end], echo.tops[start:end]
    if any(logprob is None for logprob in logprobs) or not logprobs:
        raise Refusal("the server gives no log-probability of the continuation's first token: the context is empty")
    if not all(tops):
        raise Refusal("the server does not say which token is the likeliest (top_logprobs)")
    greedy = all(p is not None and top and p >= max(top.values()) for p, top in zip(logprobs, tops, strict=True))
    total = sum(logprob for logprob in echo.logprobs[1:end] if logprob is not None)
    return Scores([p for p in logprobs if p is not None], greedy, total, end)
