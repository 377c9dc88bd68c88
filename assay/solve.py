"""Solvers: how a sample is asked, in rounds, where one question is not all.

A solver is a pure function: from a sample, the prompt that its template made, and the transcript so far to the next
questions, or to the reply that is read and scored. It is called again from the start in every round and after an
interruption, so it keeps nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from assay.registry import Registry
from assay.types import Kind, Message, Reply, Sample


@dataclass(frozen=True, slots=True)
class Question:
    """Something to ask next."""

    messages: Sequence[Message]
    kind: Kind = "generate"
    continuations: Sequence[str] = ()
    role: str = "subject"
    """Which model of the run is asked."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question that was asked, and the reply."""

    round: int
    turn: int
    question: Question
    reply: Reply


Solver = Callable[..., Sequence[Question] | Reply]
"""`(sample, prompt, transcript, **options)` -> the questions of the next round, or the reply to be read."""

solver: Registry[Solver] = Registry("solver")


@solver
def direct(sample: Sample, prompt: Sequence[Message], transcript: Sequence[Exchange]) -> Sequence[Question] | Reply:
    """The prompt is asked once and its reply is read: what most benchmarks do, and steps do for whole columns."""
    return transcript[-1].reply if transcript else [Question(prompt)]


@solver
def reconsider(
    sample: Sample,
    prompt: Sequence[Message],
    transcript: Sequence[Exchange],
    question: str = "Are you sure? Answer again.",
) -> Sequence[Question] | Reply:
    """The first answer is quoted back with a question about it; the second answer is read."""
    if not transcript:
        return [Question(prompt)]
    if len(transcript) > 1:
        return transcript[-1].reply
    said: list[dict[str, Any]] = [
        {"role": "assistant", "content": transcript[0].reply.text},
        {"role": "user", "content": question},
    ]
    return [Question([*prompt, *said])]
