"""The words of an evaluation, in the order in which they come to be: read this file first.

Row -> Sample -> Request -> Completion -> Reply -> Prediction -> Score -> Figure. Between steps these live as columns
in the ledger; here is what one row of each is, as an adapter, extractor, scorer or metric sees it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from pydantic import BaseModel, ConfigDict

Row = Mapping[str, Any]
"""One record of a data source, as it was read."""

Sample = Mapping[str, Any]
"""A question and what is right: `input`, `target`, `choices`, and whatever else the benchmark's `sample:` maps."""

Kind = Literal["generate", "loglikelihood", "rolling", "choice", "embed"]
"""What a model is asked for: text; log-probabilities of continuations; of a whole text; of first tokens; vectors."""

Message = dict[str, Any]
"""A turn: `{"role": "system" | "user" | "assistant", "content": text or parts}`; a part is
`{"type": "text", "text": …}` or `{"type": "image", "sha256": …}`. A last message of role `assistant` is the beginning
of the answer (a response prefix), to be continued."""


class Record(BaseModel):
    """A frozen record in which a misspelt field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Sampling(Record):
    """How an answer is drawn; at temperature 0 the seed and the other knobs do not matter and are in no key."""

    max_tokens: int = 256
    stop: tuple[str, ...] = ()
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_tokens: int = 0
    replicas: int = 1
    """How many answers to each question."""
    stride: int = 0
    """`rolling`: so many tokens on begins the next window, and only what is new in it is scored; 0: windows side by
    side, each token seen after as many as fit in its own window."""
    window: int = 0
    """`rolling` with a stride: tokens of a window; 0, or more than the model sees: as many as it sees."""

    def identity(self, kind: Kind, seed: int) -> dict[str, Any]:
        """What of it changes an answer of this kind: for scoring the windows alone; no seed where greedy."""
        if kind == "rolling" and self.stride:
            return {"stride": self.stride, "window": self.window}
        if kind != "generate":
            return {}
        same = {"max_tokens": self.max_tokens, "stop": list(self.stop), "min_tokens": self.min_tokens}
        if self.temperature == 0:
            return same
        return same | {"temperature": self.temperature, "top_p": self.top_p, "top_k": self.top_k, "seed": seed}


@dataclass(frozen=True, slots=True)
class Request:
    """One thing asked of a model, as a model adapter gets it."""

    key: str
    """The completion's key: the answer is recorded under it."""
    kind: Kind
    messages: Sequence[Message]
    """Before the meta or chat template."""
    continuations: Sequence[str] = ()
    """`loglikelihood`: the texts whose log-probabilities after the messages are wanted. `choice`: the texts whose first
    tokens are compared."""
    sampling: Sampling = Sampling()
    needs: frozenset[str] = frozenset()
    """Extras: `prompt_sums` (sum over the whole of context + continuation), `token_logprobs`."""
    seed: int = 0
    """For sampling: of this request and replica alone."""
    gold: str | int | list[Any] | None = None
    """The right answer, for a test double only; None for every other model."""


@dataclass(slots=True)
class Completion:
    """What a model answered to one request, or why it could not."""

    key: str
    text: str | None = None
    """`generate`: what was written, without the prompt, cut before the first stop string."""
    sums: Sequence[float] = ()
    """Natural log-probability of each continuation (of the text, for `rolling`; among the choices, for `choice`)."""
    tokens: Sequence[int] = ()
    """Tokens of each continuation (scored tokens of the text, for `rolling`)."""
    greedy: Sequence[bool] = ()
    """Whether each continuation is what greedy decoding would write."""
    prompt_sums: Sequence[float] = ()
    """With `prompt_sums`: log-probability of all of context + continuation after its first token."""
    prompt_lengths: Sequence[int] = ()
    """With `prompt_sums`: tokens of all of context + continuation, its first token counted."""
    token_logprobs: Sequence[Sequence[float]] = ()
    """With `token_logprobs`: one list a continuation."""
    finish: str = ""
    """`stop`, `length`, or what the server said."""
    input_tokens: int = 0
    output_tokens: int = 0
    truncated: int = 0
    """Tokens cut off the left of the prompt so that it fits."""
    rendering: str | None = None
    """The very text that the model saw, where a template made it; None where it is the messages joined by newlines."""
    error: str | None = None
    """The cause, where there is no answer: this is then a failure, not a completion."""
    vector: Sequence[float] = ()
    """`embed`: the text's. It is kept by its text, and no request's answer."""


class Model(Protocol):
    """A loaded model: the one thing that an adapter's `load(spec)` returns.

    It may have a `how`, a text that says how it computes its answers: that is kept with each shard of a run.
    """

    def answer(self, requests: Sequence[Request]) -> Iterator[Sequence[Completion]]:
        """The completions of all requests, each once, in any order, a batch as soon as it is done.

        What fails is a `Completion` with an `error`; nothing is left out and nothing is raised for a single request.
        """
        ...


@dataclass(frozen=True)
class ModelInfo:
    """What is known of a model before it is loaded, from its adapter's `describe(spec)`."""

    identity: Mapping[str, Any]
    """What changes its answers, as JSON: weights digest or revision, templates, dtype, options that matter."""
    kinds: frozenset[str]
    """The kinds of request it can answer."""
    needs: frozenset[str] = frozenset()
    """The extras it can give: those of requests, and `windows`, that a rolling text may have a stride."""
    chat: bool = False
    """Whether messages go through a chat template."""
    max_length: int | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Columns, not identity: parameters, library versions, device."""


@dataclass(slots=True)
class Reply:
    """A completion as an extractor reads it."""

    text: str = ""
    sums: Sequence[float] = ()
    tokens: Sequence[int] = ()
    greedy: Sequence[bool] = ()
    prompt_sums: Sequence[float] = ()
    prompt_lengths: Sequence[int] = ()
    token_logprobs: Sequence[Sequence[float]] = ()
    choices: Sequence[str] = ()
    """The continuations without the delimiter in front."""
    finish: str = ""
    reasoning: str = ""
    """What stood between `<think>` and `</think>` in front of the answer: extractors do not read it."""
    judgements: Sequence[Judgement] = ()
    """What judges wrote about it, in the order in which they were asked."""
    turns: Sequence[Reply] = ()
    """Where a solver asked more than once, or ends with several answers: each of them, the first first."""


class Judgement(NamedTuple):
    """What a judge wrote about an answer."""

    judge: str
    """Its label."""
    turn: int
    """Which of the solver's questions to it: with two orders 0 and 1, else the dialogue's turn."""
    text: str
    finish: str = ""


class Extracted(NamedTuple):
    """What an extractor found."""

    value: Any
    """The answer as JSON; None where there is none."""
    method: str
    """How it was found, in a word."""
    status: Literal["ok", "fallback", "ambiguous", "none", "truncated"] = "ok"


class Scored(NamedTuple):
    """One sample's value under a scorer."""

    value: float | None
    """None: not scored (the sample stays in the count of errors)."""
    weight: float = 1.0
    detail: Any = None
    """What a corpus metric needs beside the value, as JSON."""


@dataclass(frozen=True)
class Scores:
    """All the scores of one scorer on one benchmark, as columns of equal length."""

    values: np.ndarray
    weights: np.ndarray
    groups: np.ndarray
    """The group of each (a subject …), '' where there is none."""
    clusters: np.ndarray
    """Samples of one cluster share a passage: their errors are not independent. '' : a cluster of its own."""
    details: Sequence[Any] = ()
    samples: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    """The sample that each is of: answers to one sample (`sampling.replicas`) share it."""


class Figure(NamedTuple):
    """A metric's value with its standard error and 95 % interval; None where the data cannot tell."""

    value: float | None
    stderr: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    method: str = ""
    """How the interval was made: `mean`, `clustered`, `wilson`, `bootstrap`, `delta` …"""
