"""Self-consistency: of several answers to a question, what most of them say (Wang et al. 2022, arXiv:2203.11171)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from assay import latex
from assay.design import Floats, Ints, design
from assay.errors import SpecError
from assay.keys import canonical
from assay.metrics import metric, of_answers, resampled, take
from assay.score_text import number
from assay.statistics import average
from assay.types import Figure, Scores


def same(answer: Any) -> str:
    """What answers have in common that count as one: the number, else the text without LaTeX's sizes and spaces."""
    if isinstance(answer, str | int | float) and (value := number(answer)) is not None:
        return format(value.normalize(), "f")
    if not isinstance(answer, str):
        return canonical(answer).decode()
    try:
        return latex.hendrycks(answer.strip()) or answer.strip()
    except ValueError:  # a formula that those rules do not foresee stands for itself
        return answer.strip()


def votes(scores: Scores) -> tuple[Ints, Floats]:
    """Of each sample the place of its first answer, and the score of the answer that most agree on: of several equally
    frequent ones, of the one that came first. An answer that could not be read has no vote; where none could, 0.

    Raises SpecError where a score does not tell its answer.
    """
    ballots: dict[int, dict[str, list[int]]] = {}
    samples = scores.samples.tolist() if len(scores.samples) else range(len(scores.values))
    for place, (sample, detail) in enumerate(zip(samples, scores.details, strict=True)):
        if not isinstance(detail, dict) or "answer" not in detail:
            raise SpecError(f"metric majority: wanted the answer of each score, got {detail!r:.80}")
        ballots.setdefault(sample, {"": [place]})
        if detail["answer"] is not None:
            ballots[sample].setdefault("=" + same(detail["answer"]), []).append(place)
    first = np.array([places[""][0] for places in ballots.values()], np.int64)
    chosen = [max((v for k, v in places.items() if k), key=len, default=[]) for places in ballots.values()]
    return first, np.array([float(scores.values[places[0]]) if places else 0.0 for places in chosen])


def _resampled(scores: Scores) -> Callable[[Floats], Floats]:
    first, values = votes(scores)

    def shares(block: Floats) -> Floats:
        counts = block[:, first]
        return np.asarray(counts @ values / counts.sum(axis=1))

    return shares


@metric
@of_answers
@resampled(_resampled)
def majority(scores: Scores) -> Figure:
    """The mean over samples of the score of the answer that most of a sample's answers agree on (maj@n)."""
    first, values = votes(scores)
    return average(values, np.ones(len(values)), design(take(scores, first)))
