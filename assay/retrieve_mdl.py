"""The retriever `mdl`: of several draws of near examples the one that makes a language model surest of an answer.

Wu et al. 2023, "Self-adaptive in-context learning: an information compression perspective for in-context example
selection and ordering", https://arxiv.org/abs/2212.10375, as OpenCompass's MDLRetriever does it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from assay.errors import SpecError
from assay.keys import generator
from assay.retrieve import Choose, Embed, Trial, enough, retriever
from assay.retrieve_topk import Near
from assay.types import Sample


@retriever
def mdl(
    pool: Sequence[Sample], k: int, seed: int, benchmark: str, *, embed: Embed, own: bool = False, candidates: int = 30,
    draws: int = 10, model: str | None = None,
) -> Choose:  # fmt: skip
    """`draws` lists of k, to be tried: the nearest k, and others drawn from the `candidates` nearest. The one with the
    highest `sureness` is shown, which is its score.

    `model` is who is asked, by default the embedder; the steps ask it. Raises SpecError where the pool is too small, or
    fewer candidates than k are asked for.
    """
    enough(pool, k + own, benchmark)
    if candidates < k or draws < 1:
        raise SpecError(f"{benchmark}: mdl wants candidates >= k ({k}) and draws >= 1, got {candidates} and {draws}")
    near = Near(pool, benchmark, embed, own)

    def choose(sample_key: str, sample: Sample, ordinal: int) -> Trial:
        places = [place for place, _ in near.best(sample, candidates)]
        rng = generator(seed, benchmark, sample_key)
        return Trial([places[:k], *(rng.sample(places, min(k, len(places))) for _ in range(draws - 1))])

    return choose


def sureness(sums: Sequence[float], tokens: Sequence[int]) -> float:
    """Minus the entropy, in nats, of the answers, where each is as likely as exp(-its mean loss a token): 0 where the
    model is sure. Taken are log-probabilities of question and answer together, and their tokens."""
    losses = np.array([-total / max(1, count) for total, count in zip(sums, tokens, strict=True)])
    weights = np.exp(losses.min() - losses)
    shares = weights / weights.sum()
    return float(np.sum(shares * np.log(np.where(shares > 0, shares, 1))))
