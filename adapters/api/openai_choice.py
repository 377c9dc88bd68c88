"""Questions with choices to a chat, which does not tell how likely a given text is.

Asked for, until one is had: the likeliest first tokens, among which the choices are looked for; an answer that the
server holds to a schema with the choices and nothing else; a few words, which must begin with one choice. How it went
is the completion's `finish`: `top_logprobs`; `partial_logprobs`, where the least likely of the tokens told stands for
choices that are not among them; `constrained` or `written`, where the chosen one has all of the probability.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from adapters.api.openai_scores import among, first_token
from adapters.api.openai_wire import SEEN, Wire, choice_of, mapping
from adapters.api.patience import Refusal
from assay.types import Completion, Request

Post = Callable[[dict[str, Any]], Awaitable[Any]]


async def choose(wire: Wire, post: Post, request: Request) -> Completion:
    """A completion of kind `choice`. Raises Refusal where no way leads to one.

    Which way it is depends on the server and the request alone, so each request goes through them anew.
    """
    for ask, read in ((first_tokens, probable), (constrained, obeyed)):
        try:
            return read(request, await post(ask(wire, request)))
        except Refusal as refusal:
            if refusal.passing or refusal.for_all:
                raise
    return written(request, await post(few_words(wire, request)))


def first_tokens(wire: Wire, request: Request) -> dict[str, Any]:
    """The body that asks for the likeliest first tokens."""
    fields = {wire.limit: 1, "temperature": 0.0, "logprobs": True, "top_logprobs": SEEN}
    return wire.body(**wire.question(request.messages), **fields)


def probable(request: Request, data: Any) -> Completion:
    """The choices' probabilities by their first tokens. Raises Refusal where none of them is among the likeliest.

    A choice that is not among them has at most the probability of the least of them, and is given that.
    """
    places = mapping(choice_of(data).get("logprobs")).get("content") or [{}]
    tops = {str(top["token"]): float(top["logprob"]) for top in mapping(places[0]).get("top_logprobs") or []}
    if not tops:
        raise Refusal("the server gives no top_logprobs")
    found = [first_token(text.strip(), tops) for text in request.continuations]
    if all(logprob is None for logprob in found):
        raise Refusal(f"no choice begins with one of the {len(tops)} likeliest tokens {list(tops)!r:.200}")
    sums = [min(tops.values()) if logprob is None else logprob for logprob in found]
    best = max(tops.values())
    return Completion(
        request.key,
        sums=among(sums),
        tokens=[1] * len(sums),
        greedy=[logprob == best for logprob in found],
        finish="partial_logprobs" if None in found else "top_logprobs",
        input_tokens=_read(data),
    )


def constrained(wire: Wire, request: Request) -> dict[str, Any]:
    """The body that asks for one of the choices, as JSON of a schema."""
    choices = list(dict.fromkeys(text.strip() for text in request.continuations))
    schema = {
        "type": "object", "properties": {"answer": {"type": "string", "enum": choices}}, "required": ["answer"],
        "additionalProperties": False,
    }  # fmt: skip
    told = {"type": "json_schema", "json_schema": {"name": "choice", "strict": True, "schema": schema}}
    limit = 16 + max(len(choice.encode()) for choice in choices)
    return wire.body(**wire.question(request.messages), **{wire.limit: limit, "temperature": 0.0}, response_format=told)


def obeyed(request: Request, data: Any) -> Completion:
    """The choice in such an answer. Raises Refusal where the server did not hold itself to the schema."""
    text = _text(data)
    try:
        answer = mapping(json.loads(text)).get("answer")
    except ValueError:
        answer = None
    choices = [text.strip() for text in request.continuations]
    if answer not in choices:
        raise Refusal(f"the server does not hold itself to a schema (response_format): {text!r:.80}")
    return _chosen(request, choices.index(answer), "constrained", data)


def few_words(wire: Wire, request: Request) -> dict[str, Any]:
    """The body that asks for an answer as long as the longest choice: one token for letters."""
    longest = max(len(text.strip().encode()) for text in request.continuations)
    return wire.body(**wire.question(request.messages), **{wire.limit: longest, "temperature": 0.0})


def written(request: Request, data: Any) -> Completion:
    """The choice that an answer begins with, of several the longest. Raises Refusal where it begins with none."""
    text, choices = _text(data).strip(), [text.strip() for text in request.continuations]
    begun = [choice for choice in choices if re.match(rf"{re.escape(choice)}(?!\w)", text)]
    if not begun:
        raise Refusal(f"the answer {text!r:.80} begins with none of the choices {choices!r:.200}")
    return _chosen(request, choices.index(max(begun, key=len)), "written", data)


def _chosen(request: Request, place: int, how: str, data: Any) -> Completion:
    every: Sequence[str] = request.continuations
    return Completion(
        request.key,
        sums=[0.0 if i == place else -math.inf for i in range(len(every))],
        tokens=[1] * len(every),
        greedy=[i == place for i in range(len(every))],
        finish=how,
        input_tokens=_read(data),
    )


def _text(data: Any) -> str:
    return str(mapping(choice_of(data).get("message")).get("content") or "")


def _read(data: Any) -> int:
    usage: Mapping[str, Any] = mapping(mapping(data).get("usage"))
    return int(usage.get("prompt_tokens") or 0)
