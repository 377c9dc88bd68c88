"""The retriever `dpp`: examples that are near to the question and unlike one another.

A determinantal point process over the nearest examples, as in Ye et al. 2023, "Compositional exemplars for in-context
learning", https://arxiv.org/abs/2302.05698, with OpenCompass's kernel (DPPRetriever); the choice is greedy, by the
method of Chen et al. 2018, "Fast greedy MAP inference for determinantal point process",
https://arxiv.org/abs/1709.05135.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.errors import SpecError
from assay.retrieve import Choose, Embed, enough, retriever
from assay.retrieve_topk import Near
from assay.types import Sample

NOTHING = 1e-10
"""A gain that is only rounding: what is left is spanned by what was chosen."""


@retriever
def dpp(
    pool: Sequence[Sample], k: int, seed: int, benchmark: str, *, embed: Embed, own: bool = False,
    candidates: int = 100, scale: float = 0.1,
) -> Choose:  # fmt: skip
    """k of the `candidates` nearest, chosen together, the nearest first, each with its cosine; the smaller `scale`, the
    more nearness counts against variety.

    Raises SpecError where the pool is too small, or fewer candidates than k are asked for.
    """
    enough(pool, k + own, benchmark)
    if candidates < k or scale <= 0:
        raise SpecError(f"{benchmark}: dpp wants candidates >= k ({k}) and scale > 0, got {candidates} and {scale}")
    near = Near(pool, benchmark, embed, own)

    def choose(sample_key: str, sample: Sample, ordinal: int) -> list[tuple[int, float]]:
        found = near.best(sample, candidates)
        cosines = np.array([score for _, score in found])
        chosen = greedy(kernel(near.vectors[[place for place, _ in found]], cosines, scale), k)
        return [found[one] for one in sorted(chosen)]  # which is by nearness

    return choose


def kernel(vectors: NDArray[np.float32], cosines: NDArray[Any], scale: float) -> NDArray[np.float64]:
    """r_i (cos_ij + 1)/2 r_j, with r = exp((cos_i + 1)/2 / (2 scale)) relative to the greatest."""
    nearness = (cosines + 1) / 2
    weight = np.exp((nearness - nearness.max()) / (2 * scale))
    wide = vectors.astype(np.float64)
    return np.asarray(weight[:, None] * ((wide @ wide.T + 1) / 2) * weight[None, :])


def greedy(matrix: NDArray[np.float64], k: int) -> list[int]:
    """k places, each the one that makes the determinant of the chosen ones' submatrix the greatest; where none adds to
    it, the first that are left."""
    gain = matrix.diagonal().copy()
    rows = np.zeros((k, len(matrix)))
    chosen: list[int] = []
    while len(chosen) < min(k, len(matrix)):
        place = int(np.argmax(gain))
        if gain[place] < NOTHING:
            rest = (other for other in range(len(matrix)) if other not in chosen)
            return chosen + [other for other, _ in zip(rest, range(k - len(chosen)), strict=False)]
        done = len(chosen)
        rows[done] = (matrix[place] - rows[:done, place] @ rows[:done]) / np.sqrt(gain[place])
        gain = gain - rows[done] ** 2
        chosen.append(place)
        gain[chosen] = -np.inf
    return chosen
