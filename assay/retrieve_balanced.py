"""The retriever `balanced`: as many examples of one class as of another."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from assay.keys import canonical, generator
from assay.retrieve import Choose, enough, retriever, same_as
from assay.types import Sample


@retriever
def balanced(pool: Sequence[Sample], k: int, seed: int, benchmark: str, *, own: bool = False) -> Choose:
    """k of the pool, as evenly as can be over the classes, which are the samples' targets, in an order of their own.

    For each question both are drawn anew: which classes get one more where k is not a multiple of their number, and
    which examples stand for a class. A class that has not enough leaves its share to the others. Raises SpecError where
    the pool is too small.
    """
    enough(pool, k + own, benchmark)
    itself = same_as(pool, benchmark) if own else None
    classes: dict[bytes, list[int]] = {}
    for place, sample in enumerate(pool):
        classes.setdefault(canonical(sample.get("target")), []).append(place)
    groups = [classes[name] for name in sorted(classes)]

    def choose(sample_key: str, sample: Sample, ordinal: int) -> list[int]:
        rng = generator(seed, benchmark, sample_key)
        left_out = itself(sample) if itself else ()
        there = [[place for place in group if place not in left_out] for group in groups] if left_out else groups
        shares = _shares([len(group) for group in there], k, rng)
        drawn = [place for group, share in zip(there, shares, strict=True) for place in rng.sample(group, share)]
        rng.shuffle(drawn)
        return drawn

    return choose


def _shares(sizes: Sequence[int], k: int, rng: Random) -> list[int]:
    """How many of each class: one to each in turn, in an order that is drawn, until there are k or no more."""
    shares, left = [0] * len(sizes), min(k, sum(sizes))
    while left:
        open_ = [place for place, size in enumerate(sizes) if shares[place] < size]
        for place in rng.sample(open_, min(left, len(open_))):
            shares[place] += 1
            left -= 1
    return shares
