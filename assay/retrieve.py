"""Which worked examples stand in front of a question.

A retriever is made once for each pool of examples (a group's, where the benchmark has groups) and then chooses for one
question after the other: `name(pool, k, seed, benchmark, own=False, **options)` gives a function from (sample key,
sample, ordinal) to places in the pool, the best first, bare or each with its score. Where the pool is the benchmark's
own rows (`own`), no question is its own example, nor is another row of which the benchmark maps the same.

What a retriever has a parameter for, it is given: `text`, a function from a sample to the text of it that is compared
(`fewshot.text`), and `embed`, one from samples to a matrix with a vector for each, as the run's embedder makes them.
What is drawn is drawn by a generator of the question's own, so that nothing depends on what else is asked.
"""

from __future__ import annotations

import random as randomness
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from assay.errors import SpecError
from assay.keys import canonical, generator
from assay.registry import Registry
from assay.types import Sample

Floats = NDArray[np.floating[Any]]
Text = Callable[[Sample], str]
Embed = Callable[[Sequence[Sample]], NDArray[np.float32]]


class Trial(NamedTuple):
    """Several lists of examples for a question, of which a model has to say how sure they make it of an answer."""

    lists: list[list[int]]


Chosen = Sequence[int] | Sequence[tuple[int, float]] | Trial
"""Places in the pool, the best first; or each with its score; or lists of places that are to be tried."""

Choose = Callable[[str, Sample, int], Chosen]
"""(sample key, sample, ordinal) -> what is shown."""

Retriever = Callable[..., Choose]

retriever: Registry[Retriever] = Registry("retriever")

LM_EVAL_SEED = 1234
"""What lm-evaluation-harness seeds its choice of examples with, unless told otherwise."""


@retriever
def zero(pool: Sequence[Sample], k: int, seed: int, benchmark: str, *, own: bool = False) -> Choose:
    """No examples."""
    return lambda sample_key, sample, ordinal: []


@retriever
def fixed(
    pool: Sequence[Sample], k: int, seed: int, benchmark: str, *, own: bool = False, ids: Sequence[int] | None = None
) -> Choose:
    """The first k of the pool, or all those at the places `ids`, in that order: the same for every question.

    Raises SpecError where the pool has not so many.
    """
    if ids is not None and not all(0 <= place < len(pool) for place in ids):
        raise SpecError(f"{benchmark}: wanted the examples {list(ids)}, and there are {len(pool)}, counted from 0")
    if ids is None:
        enough(pool, k + own, benchmark)
    shown = list(range(len(pool)) if ids is None else ids)
    if not own:
        first = shown[:k] if ids is None else shown
        return lambda sample_key, sample, ordinal: list(first)
    itself = same_as(pool, benchmark)

    def choose(sample_key: str, sample: Sample, ordinal: int) -> list[int]:
        left_out = itself(sample)
        if ids is not None:
            return [place for place in shown if place not in left_out]
        return [place for place in shown[: k + len(left_out)] if place not in left_out][:k]

    return choose


@retriever
def first_n(pool: Sequence[Sample], k: int, seed: int, benchmark: str, *, own: bool = False) -> Choose:
    """`fixed` under the name that lm-evaluation-harness has for it. Raises SpecError where the pool is too small."""
    return fixed(pool, k, seed, benchmark, own=own)


@retriever
def random(pool: Sequence[Sample], k: int, seed: int, benchmark: str, *, own: bool = False) -> Choose:
    """k of the pool, drawn for each question by a generator of its own: whatever else is asked, and in what order.

    Raises SpecError where the pool is too small.
    """
    enough(pool, k + own, benchmark)
    itself = same_as(pool, benchmark) if own else None

    def choose(sample_key: str, sample: Sample, ordinal: int) -> list[int]:
        left_out = itself(sample) if itself else ()
        drawn = generator(seed, benchmark, sample_key).sample(range(len(pool)), min(len(pool), k + len(left_out)))
        return [place for place in drawn if place not in left_out][:k]

    return choose


@retriever
def sliding(pool: Sequence[Sample], k: int, seed: int, benchmark: str, *, own: bool = False) -> Choose:
    """The k before the question, in their order; the first questions take what they lack from the end, as in
    OpenCompass's SlidingWindowRetriever.

    Where the pool is not the benchmark's own rows, question and example of one number count as neighbours, and that
    number is the question's ordinal: with groups, a limit changes it. Raises SpecError where the pool is too small.
    """
    enough(pool, k + own, benchmark)
    itself = same_as(pool, benchmark) if own else None

    def choose(sample_key: str, sample: Sample, ordinal: int) -> list[int]:
        left_out = itself(sample) if itself else ()
        place = left_out[0] if left_out else ordinal
        before = [(place - back) % len(pool) for back in range(1, min(len(pool), k + len(left_out)) + 1)]
        return [one for one in before if one not in left_out][:k][::-1]

    return choose


@retriever
def lm_eval(
    pool: Sequence[Sample], k: int, seed: int, benchmark: str, *, own: bool = False, fewshot_seed: int = LM_EVAL_SEED
) -> Choose:
    """As lm-evaluation-harness 0.4.13 draws: one generator a task, moved on by every question in data-set order.

    Where the pool is the task's own rows, k + 1 are drawn and the question is dropped, or the last. The function that
    comes back wants all questions from the first, in ascending order (a limit that cuts off the end is no matter), and
    raises SpecError else. Raises SpecError where the pool is too small.
    """
    enough(pool, k + own, benchmark)
    itself = same_as(pool, benchmark) if own else None
    shared = randomness.Random(fewshot_seed)
    last = -1

    def choose(sample_key: str, sample: Sample, ordinal: int) -> list[int]:
        nonlocal last
        if ordinal <= last:
            raise SpecError(f"{benchmark}: lm_eval draws in data-set order, and question {ordinal} came after {last}")
        last = ordinal
        drawn = shared.sample(range(len(pool)), k + own)
        left_out = itself(sample) if itself else ()
        return [place for place in drawn if place not in left_out][:k]

    return choose


def enough(pool: Sequence[Sample], wanted: int, benchmark: str) -> None:
    """Raise SpecError where a pool has fewer examples than are wanted."""
    if wanted > len(pool):
        raise SpecError(f"{benchmark}: wanted {wanted} examples to choose from, and there are {len(pool)}")


def same_as(pool: Sequence[Sample], benchmark: str) -> Callable[[Sample], Sequence[int]]:
    """A function from a sample to the places where it stands in the pool, by content: a pool's places are not ordinals
    where the benchmark has groups, a `where` or a limit. It raises SpecError where the sample is not there."""
    places: dict[bytes, list[int]] = {}
    for place, sample in enumerate(pool):
        places.setdefault(canonical(sample), []).append(place)

    def same(sample: Sample) -> Sequence[int]:
        found = places.get(canonical(sample))
        if found is None:
            raise SpecError(
                f"{benchmark}: wanted a question among its own rows (`from: self`), and it is not there, as"
                f" `fewshot.sample` maps those otherwise; its fields are {sorted(sample)}, theirs {sorted(pool[0])}"
            )
        return found

    return same


def best(scores: Floats, k: int, left_out: Sequence[int] = ()) -> list[tuple[int, float]]:
    """The k places with the highest scores, each with its score; of equal ones the earlier place comes first."""
    count = min(len(scores), k + len(left_out))
    if count <= 0:
        return []
    last = np.partition(scores, len(scores) - count)[len(scores) - count]
    places = np.flatnonzero(scores >= last)
    ordered = places[np.argsort(-scores[places], kind="stable")].tolist()
    return [(place, float(scores[place])) for place in ordered if place not in left_out][:k]
