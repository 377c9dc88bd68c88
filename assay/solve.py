"""Solvers: how a sample is asked, in rounds, where one question is not all.

A solver is a pure function: from a sample, the prompt that its template made, and the transcript so far to the next
questions, or to the reply that is read and scored. It is called again from the start in every round and after an
interruption, so it keeps nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from assay.errors import SpecError
from assay.registry import Registry, name_of
from assay.spec import Benchmark
from assay.types import Kind, Message, Reply, Sample, Sampling


@dataclass(frozen=True, slots=True)
class Question:
    """Something to ask next."""

    messages: Sequence[Message]
    kind: Kind = "generate"
    continuations: Sequence[str] = ()
    role: str = "subject"
    """Who of the run is asked: the model that is evaluated, every `judge`, or the `baseline`."""
    sampling: Sampling | None = None
    """How the answer is drawn, where not as the benchmark says."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question that was asked, and the reply."""

    round: int
    turn: int
    question: Question
    reply: Reply
    by: str = ""
    """The label of the judge or baseline that replied; '' for the model that is evaluated."""


Solver = Callable[..., Sequence[Question] | Reply]
"""`(sample, prompt, transcript, **options)` -> the questions of the next round, or the reply to be read."""

S = TypeVar("S", bound=Solver)

solver: Registry[Solver] = Registry("solver")


def asks(*roles: str) -> Callable[[S], S]:
    """Say whom a solver asks beside the model that is evaluated: `judge`, `baseline`."""

    def mark(function: S) -> S:
        function.__dict__["roles"] = roles
        return function

    return mark


def roles_of(benchmark: Benchmark) -> tuple[str, ...]:
    """Whom a benchmark asks beside the model that is evaluated. Raises SpecError for an unknown solver."""
    return getattr(solver[name_of(benchmark.solver)[0]], "roles", ())


def solve(
    benchmark: Benchmark, sample: Sample, prompt: Sequence[Message], transcript: Sequence[Exchange]
) -> list[Question] | Reply:
    """What the benchmark's solver asks next, or the reply that it ends with. Raises SpecError where it does neither."""
    name, options = name_of(benchmark.solver)
    result = solver[name](sample, prompt, transcript, **options)
    if isinstance(result, Reply):
        return result
    if not result:
        raise SpecError(f"{benchmark.id}: the solver {name!r} gave neither a question nor a reply")
    return list(result)


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
