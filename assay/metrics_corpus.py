"""Metrics of a whole translated corpus: BLEU, chrF and TER by sacrebleu, as shares (its 100 is 1).

They are no means over sentences: what sacrebleu counts in each sentence is added up first. The bootstrap adds up the
same counts over its resamples, so that no sentence is read twice.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from assay.design import Floats
from assay.errors import SpecError
from assay.metrics import metric, once, resampled
from assay.registry import other_scale
from assay.types import Scores


@lru_cache(maxsize=16)
def _measure(name: str, **options: Any) -> Any:
    from sacrebleu import metrics

    return getattr(metrics, name)(**options)


@lru_cache(maxsize=100_000)
def _counted(measure: Any, found: str, right: tuple[str, ...]) -> tuple[float, ...]:
    """What sacrebleu counts in a sentence, which the whole corpus wants, a group, and the bootstrap of each."""
    (counts,) = measure._extract_corpus_statistics([found], [[one] for one in right])
    return tuple(counts)


def _replicates(measure: Any, name: str, scores: Scores) -> Callable[[Floats], Floats]:
    """A sacrebleu metric of each replicate. Raises SpecError where the scorer gave no texts."""
    details = scores.details
    if len(details) != len(scores.values) or not all(isinstance(d, dict) and "refs" in d for d in details):
        raise SpecError(f"{name} wants a scorer whose detail is {{pred, refs}}, such as corpus_text")
    counted = np.array([_counted(measure, d["pred"], tuple(d["refs"])) for d in details], float)

    def each(block: Floats) -> Floats:
        return np.array([measure._compute_score_from_stats(row.tolist()).score / 100 for row in block @ counted])

    return each


def _bleus(scores: Scores, tokenize: str = "13a", lowercase: bool = False) -> Callable[[Floats], Floats]:
    known = ("13a", "zh", "char", "intl", "none")
    if tokenize not in known:
        raise SpecError(f"bleu: wanted tokenize as one of {', '.join(known)}, got {tokenize!r}")
    return _replicates(_measure("BLEU", tokenize=tokenize, lowercase=lowercase), "bleu", scores)


def _chrfs(scores: Scores, words: int = 0) -> Callable[[Floats], Floats]:
    return _replicates(_measure("CHRF", word_order=words), "chrf", scores)


def _ters(scores: Scores, asian: bool = False, normalized: bool = False) -> Callable[[Floats], Floats]:
    return _replicates(_measure("TER", asian_support=asian, normalized=normalized or asian), "ter", scores)


@metric
@resampled(_bleus)
def bleu(scores: Scores, tokenize: str = "13a", lowercase: bool = False) -> float:
    """BLEU of the corpus (Papineni et al. 2002, Post 2018).

    `tokenize` is sacrebleu's: 13a, intl, zh (by characters) for Chinese, char for Japanese, Thai and others without
    blanks, none. Its models of sub-words (flores200) and its Japanese and Korean dictionaries want a download.
    """
    return once(_bleus(scores, tokenize, lowercase), scores)


@metric
@resampled(_chrfs)
def chrf(scores: Scores, words: int = 0) -> float:
    """chrF of the corpus: F2 of character 1- to 6-grams (Popović 2015); with `words: 2` it is chrF++."""
    return once(_chrfs(scores, words), scores)


@metric
@other_scale
@resampled(_ters)
def ter(scores: Scores, asian: bool = False, normalized: bool = False) -> float:
    """Edits and shifts over reference words (Snover et al. 2006): less is better. `asian` divides characters."""
    return once(_ters(scores, asian, normalized), scores)
