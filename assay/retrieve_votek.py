"""The retriever `votek`: examples that many others are like, and that are not all like one another.

Su et al. 2023, "Selective annotation makes language models better few-shot learners",
https://arxiv.org/abs/2209.01975; the votes as OpenCompass's VotekRetriever counts them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from assay.errors import SpecError
from assay.keys import generator
from assay.retrieve import Choose, Embed, enough, retriever, same_as
from assay.retrieve_topk import DIGITS, unit
from assay.types import Sample

BLOCK = 512
"""Rows of the table of similarities that are in memory at a time."""


@retriever
def votek(
    pool: Sequence[Sample], k: int, seed: int, benchmark: str, *, embed: Embed, own: bool = False, votes: int = 3,
    overlap: float = 1.0,
) -> Choose:  # fmt: skip
    """The same k for every question, those with most votes first: each example votes for the `votes` others that are
    nearest to it by cosine, and one is passed over of whose voters the share `overlap` has voted for one that ranks
    higher. Where fewer than k are left, the rest is drawn.

    Raises SpecError where the pool is too small or the options are no numbers of their kind.
    """
    enough(pool, k + own, benchmark)
    if votes < 1 or not 0 < overlap <= 1:
        raise SpecError(f"{benchmark}: votek wants votes >= 1 and 0 < overlap <= 1, got {votes} and {overlap}")
    itself = same_as(pool, benchmark) if own else None
    copies = max((len(itself(sample)) for sample in pool), default=0) if itself else 0
    chosen = elected(voters(embed(pool), votes), k + copies, overlap)
    rest = sorted(set(range(len(pool))) - set(chosen))
    chosen += generator(seed, benchmark, "votek").sample(rest, min(len(rest), k + copies - len(chosen)))

    def choose(sample_key: str, sample: Sample, ordinal: int) -> list[int]:
        left_out = itself(sample) if itself else ()
        return [place for place in chosen if place not in left_out][:k]

    return choose


def voters(vectors: NDArray[np.float32], votes: int) -> list[set[int]]:
    """For each vector those that have it among the `votes` nearest to them, itself not counted."""
    placed, by = unit(vectors), [set[int]() for _ in vectors]
    count = min(votes, len(placed) - 1)
    for start in range(0, len(placed) if count else 0, BLOCK):
        similar = np.round(placed[start : start + BLOCK] @ placed.T, DIGITS)
        for row, own in enumerate(range(start, start + len(similar))):
            similar[row, own] = -np.inf
            last = np.partition(similar[row], -count)[-count]
            near = np.flatnonzero(similar[row] >= last)
            for place in near[np.argsort(-similar[row, near], kind="stable")][:count].tolist():
                by[place].add(own)
    return by


def elected(by: Sequence[set[int]], k: int, overlap: float) -> list[int]:
    """At most k places, most votes first, without those of whose voters a share has voted for one that ranks higher."""
    ranked = sorted((place for place, votes in enumerate(by) if votes), key=lambda place: (-len(by[place]), place))
    chosen: list[int] = []
    for rank, place in enumerate(ranked):
        if len(chosen) == k:
            break
        mine = by[place]
        if all(len(mine & by[higher]) < overlap * len(mine) for higher in ranked[:rank]):
            chosen.append(place)
    return chosen
