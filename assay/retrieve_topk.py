"""The retriever `topk`: the examples whose vectors are nearest to the question's.

Liu et al. 2022, "What makes good in-context examples for GPT-3?", https://arxiv.org/abs/2101.06804
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from assay.errors import SpecError
from assay.retrieve import Choose, Embed, best, enough, retriever, same_as
from assay.types import Sample

Metric = Literal["cos", "ip"]
DIGITS = 5
"""Of a similarity that count: beyond them a vector depends on what the network computed it beside."""


@retriever
def topk(
    pool: Sequence[Sample], k: int, seed: int, benchmark: str, *, embed: Embed, own: bool = False,
    metric: Metric = "cos",
) -> Choose:  # fmt: skip
    """The k nearest, the nearest first, each with its similarity: `cos`, the cosine of the angle, or `ip`, the inner
    product of the vectors as they are, which is OpenCompass's.

    Compared is `fewshot.text`. Raises SpecError where the pool is too small or the metric is none.
    """
    enough(pool, k + own, benchmark)
    near = Near(pool, benchmark, embed, own, metric)
    return lambda sample_key, sample, ordinal: near.best(sample, k)


class Near:
    """The vectors of a pool, and which of them are near to a question's. Each question is compared by itself: computed
    together, the last digits would depend on which ones."""

    def __init__(self, pool: Sequence[Sample], benchmark: str, embed: Embed, own: bool, metric: Metric = "cos") -> None:
        if metric not in ("cos", "ip"):
            raise SpecError(f"{benchmark}: the metric of a retriever is cos or ip, got {metric!r}")
        self.embed, self.metric = embed, metric
        self.itself = same_as(pool, benchmark) if own else None
        self.vectors = self._placed(embed(pool))

    def best(self, sample: Sample, k: int) -> list[tuple[int, float]]:
        """The k nearest to a question without itself, the nearest first, each with its similarity."""
        similar = self.vectors @ self._placed(self.embed([sample]))[0]
        scores = np.round(similar.astype(np.float64), DIGITS)
        return best(scores, k, self.itself(sample) if self.itself else ())

    def _placed(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        return unit(vectors) if self.metric == "cos" else vectors


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The vectors at length 1; one of nothing stays so."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1), dtype=np.float32)
