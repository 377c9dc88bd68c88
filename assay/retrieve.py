"""Which worked examples stand in front of a question.

A retriever is made once for each pool of examples (a group's, where the benchmark has groups) and then chooses for one
question after the other: `name(pool, k, seed, benchmark, own=False, **options)` gives a function from (sample key,
sample, ordinal) to places in the pool, in the order in which they are shown. Where the pool is the benchmark's own rows
(`own`), no question is its own example, nor is another row of which the benchmark maps the same.
"""

from __future__ import annotations

import random as randomness
from collections.abc import Callable, Sequence

from assay.errors import SpecError
from assay.keys import canonical, generator
from assay.registry import Registry
from assay.types import Sample

Choose = Callable[[str, Sample, int], list[int]]
"""(sample key, sample, ordinal) -> places in the pool."""

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
        _enough(pool, k + own, benchmark)
    shown = list(range(len(pool)) if ids is None else ids)
    if not own:
        first = shown[:k] if ids is None else shown
        return lambda sample_key, sample, ordinal: list(first)
    itself = _same(pool, benchmark)

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
    _enough(pool, k + own, benchmark)
    itself = _same(pool, benchmark) if own else None

    def choose(sample_key: str, sample: Sample, ordinal: int) -> list[int]:
        left_out = itself(sample) if itself else ()
        drawn = generator(seed, benchmark, sample_key).sample(range(len(pool)), min(len(pool), k + len(left_out)))
        return [place for place in drawn if place not in left_out][:k]

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
    _enough(pool, k + own, benchmark)
    itself = _same(pool, benchmark) if own else None
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


def _enough(pool: Sequence[Sample], wanted: int, benchmark: str) -> None:
    if wanted > len(pool):
        raise SpecError(f"{benchmark}: wanted {wanted} examples to choose from, and there are {len(pool)}")


def _same(pool: Sequence[Sample], benchmark: str) -> Callable[[Sample], Sequence[int]]:
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
