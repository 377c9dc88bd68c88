"""Scorers of DROP (Dua et al. 2019, arXiv:1903.00161): answers of one or more spans, numbers or dates."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from assay.score import scorer
from assay.score_spans import ARTICLES, PUNCTUATION, texts_of
from assay.types import Sample


@scorer
def drop_em(value: Any, sample: Sample, gold: str = "target") -> bool:
    """Whether the spans are those of a right answer (Dua et al. 2019, arXiv:1903.00161).

    The target is a list of answers, each a text or a list of spans; the text that was found is one span, unless a
    pipeline made a list of it.
    """
    found = [_drop_normalized(text) for text in texts_of(value)]
    return any(
        set(found) == set(map(_drop_normalized, spans)) and len(found) == len(spans) for spans in _answers(sample[gold])
    )


@scorer
def drop_f1(value: Any, sample: Sample, gold: str = "target") -> float:
    """F1 of the words of the spans, each aligned with one of the nearest right answer's; DROP's own, rounded to 0.01.

    A span that has a number counts only where a number agrees (Dua et al. 2019).
    """
    found = [set(_drop_normalized(text).split()) for text in texts_of(value)]
    return max((_aligned(found, _bags(spans)) for spans in _answers(sample[gold])), default=0.0)


def _answers(gold: Any) -> Iterable[list[str]]:
    """The right answers as lists of spans; one that begins with a blank is none."""
    for answer in gold if isinstance(gold, list) else [gold]:
        spans = texts_of(answer)
        if spans and spans[0].strip():
            yield spans


def _bags(spans: Iterable[str]) -> list[set[str]]:
    return [set(_drop_normalized(text).split()) for text in spans]


def _aligned(found: Sequence[set[str]], right: Sequence[set[str]]) -> float:
    import numpy as np

    scores = np.array([[_drop_overlap(one, other) for one in found] for other in right])
    if scores.size > 1:
        from scipy.optimize import linear_sum_assignment

        total = float(scores[linear_sum_assignment(-scores)].sum())
    else:
        total = float(scores.sum())
    return round(total / max(len(found), len(right)), 2)


def _drop_overlap(found: set[str], right: set[str]) -> float:
    numbers = {word for word in right if _is_number(word)}
    if numbers and not numbers & found:
        return 0.0
    common = len(found & right)
    precision, recall = common / len(found) if found else 1.0, common / len(right) if right else 1.0
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


@lru_cache(maxsize=4096)
def _drop_normalized(text: str) -> str:
    """Words divided at blanks and hyphens, without marks and articles; numbers as Python writes them."""
    words = []
    for word in re.split(" |-", text.lower()):
        kept = word if _is_number(word) else word.translate(PUNCTUATION)
        kept = str(float(kept)) if _is_number(kept) else kept
        words.append(" ".join(ARTICLES.sub(" ", kept).split()))
    return " ".join(filter(None, words))


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
