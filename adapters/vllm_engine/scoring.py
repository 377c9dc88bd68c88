"""Log-probabilities of given texts: kinds `loglikelihood`, `choice` and `rolling`.

A row of tokens is one prompt, of which one more token is asked for. The log-probabilities of any tokens in that place
come by their ids, so the letters of a quiz cost one prompt a question, which reads the prefix cache. Those of tokens
within the prompt come as its own log-probabilities. Prompts go in the order of their tokens: the choices of one
context, and contexts that begin alike, follow each other and find what they share in the cache.

vLLM by itself does not read the cache for prompts whose log-probabilities are wanted. It does where it is told to; then
those of tokens in the cache are missing, or arbitrary numbers stand in their place. None of these is used: what is
wanted lies at the prompt's end, and where the cache reached into it, the row is asked again without the cache.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import Any

import numpy as np

from adapters.hf.batches import Failure
from adapters.hf.spans import Row, Spans, completion_of, rows_of, settled
from adapters.vllm_engine.engine import Engine, Prompt
from assay.chunks import chunked
from assay.types import Completion, Request

MOST_IDS = 128
"""Tokens whose log-probabilities vLLM gives in one place."""


class Scoring:
    """The scoring half of a model."""

    def __init__(self, engine: Engine, spans: Spans, cached: bool) -> None:
        self.engine, self.spans, self.cached = engine, spans, cached

    def answer(self, requests: Sequence[Request]) -> Iterator[list[Completion]]:
        """The completions of requests of the scoring kinds, a batch as soon as all of their spans have scores."""
        asked = self.spans.of(requests)
        if done := [completion_of(one) for one in asked if not one.open]:
            yield done
        rows = [Row(row.tokens, part) for row in rows_of(asked) for part in chunked(row.spans, MOST_IDS)]
        rows.sort(key=lambda row: row.tokens.astype(">i4").tobytes())
        again = yield from self.score(rows, self.cached)
        for row in (yield from self.score(again, False)):
            yield settled([row], "vLLM gave no log-probabilities of the prompt's tokens")

    def score(self, rows: Sequence[Row], cached: bool) -> Generator[list[Completion], None, list[Row]]:
        """The completions that rows settle; the rows that could not be read come back at the end."""
        unread: list[Row] = []
        for batch in self.engine.run(prompt_of(row, cached) for row in rows):
            done: list[Completion] = []
            for row, result in batch:
                if isinstance(result, Failure):
                    done += settled([row], str(result))
                elif read(row, result):
                    done += settled([row])
                else:
                    unread.append(row)
            if done:
                yield done
        return unread


def prompt_of(row: Row, cached: bool) -> Prompt[Row]:
    """A row as it is put to the engine."""
    last = list(dict.fromkeys(int(span.tokens[-1]) for span in row.spans))
    wanted: dict[str, Any] = {"temperature": 0.0, "max_tokens": 1, "logprob_token_ids": last, "detokenize": False}
    if _inner(row):
        wanted["prompt_logprobs"] = 0  # of the prompt's own tokens alone
        if cached and row.first:
            wanted["skip_reading_prefix_cache"] = False
    return Prompt(row, row.tokens.tolist(), wanted)


def read(row: Row, output: Any) -> bool:
    """Fill in the spans of a row from its result; False, and nothing is filled in, where the result does not hold it.

    The prompt's log-probabilities are read from its end, where they stand whether or not vLLM leaves out what it took
    from the cache. The first that counts is computed from the token at `row.first`: if that one was in the cache, there
    is none.
    """
    inner = _inner(row)
    tokens = row.tokens[len(row.tokens) - inner :].tolist()
    places = output.prompt_logprobs[-inner:] if inner else []
    if inner and (output.num_cached_tokens or 0) > row.first:
        return False
    if len(places) != inner or any(token not in (place or ()) for token, place in zip(tokens, places, strict=True)):
        return False
    found = [place[token] for token, place in zip(tokens, places, strict=True)]
    values = np.array([one.logprob for one in found])
    greedy = np.array([one.rank == 1 for one in found], bool)
    (written,) = output.outputs
    for span in row.spans:
        last = int(span.tokens[-1])
        span.put(
            0,
            np.append(values[inner - span.reach + 1 :], written.logprobs[0][last].logprob),
            np.append(greedy[inner - span.reach + 1 :], written.token_ids[0] == last),
        )
    return True


def _inner(row: Row) -> int:
    """How many tokens of the prompt itself are scored."""
    return len(row.tokens) - row.first - 1
