"""The retriever `shared_labels`: examples of the question's own subject, where questions bear several labels."""

from __future__ import annotations

from collections.abc import Sequence

from assay.retrieve import Choose, enough, retriever, same_as
from assay.types import Sample


@retriever
def shared_labels(
    pool: Sequence[Sample], k: int, seed: int, benchmark: str, *, own: bool = False, field: str = "labels"
) -> Choose:
    """The first k of the pool that bear a label of the question, those of its longest label, the finest, in front.

    After OpenCompass's XiezhiRetriever; unlike there none is shown twice. Fewer where fewer share a label. Raises
    SpecError where the pool is too small.
    """
    enough(pool, k + own, benchmark)
    itself = same_as(pool, benchmark) if own else None
    places: dict[str, list[int]] = {}
    for place, sample in enumerate(pool):
        for label in sample[field]:
            places.setdefault(label, []).append(place)

    def choose(sample_key: str, sample: Sample, ordinal: int) -> list[int]:
        left_out = itself(sample) if itself else ()
        labels = sorted(sample[field], key=len, reverse=True)
        found = dict.fromkeys(place for label in labels for place in places.get(label, ()))
        return [place for place in found if place not in left_out][:k]

    return choose
