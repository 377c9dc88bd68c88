"""Scorers of free text: how much of it is in a reference, and the pairs that the metrics of a whole corpus want."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal, Protocol

from assay.errors import SpecError
from assay.registry import other_scale
from assay.score import also_unread, scorer
from assay.score_spans import tokens_zh
from assay.score_text import number
from assay.types import Sample, Scored


class _Characters:
    """The tokens of Chinese text for ROUGE: characters, and Latin words whole."""

    def tokenize(self, text: str) -> tuple[str, ...]:
        return tokens_zh(text)


class _Rouge(Protocol):
    def score(self, target: str, prediction: str) -> dict[str, Any]: ...


@lru_cache(maxsize=16)
def rouge_scorer(which: str, language: str, stem: bool) -> _Rouge:
    """Google's ROUGE for a language. Raises SpecError for one that it does not have."""
    if which not in ("rouge1", "rouge2", "rougeL", "rougeLsum") or language not in ("en", "zh"):
        raise SpecError(
            f"rouge: wanted which: rouge1, rouge2, rougeL or rougeLsum, and language: en or zh; got {which}, {language}"
        )
    from rouge_score.rouge_scorer import RougeScorer  # a second, for NLTK's stemmer

    tokens = _Characters() if language == "zh" else None
    rouge: _Rouge = RougeScorer([which], use_stemmer=stem, tokenizer=tokens)
    return rouge


@scorer
def rouge(
    value: Any,
    sample: Sample,
    gold: str = "target",
    which: str = "rougeL",
    language: str = "en",
    stem: bool = False,
    measure: Literal["fmeasure", "precision", "recall"] = "fmeasure",
) -> float:
    """ROUGE-1, -2, -L or -Lsum of the text and the nearest reference, from 0 to 1 (Lin 2004, by rouge-score).

    Chinese is counted by characters, as the papers on LCSTS do: no segmenter, whose version would change the figure.
    """
    one = rouge_scorer(which, language, stem)
    scores = [one.score(reference, str(value))[which] for reference in references(sample, gold)]
    return float(getattr(max(scores, key=lambda score: score.fmeasure), measure))


@scorer
def edit_similarity(
    value: Any, sample: Sample, gold: str = "target", method: Literal["ratio", "levenshtein"] = "ratio"
) -> float:
    """How alike the text is to the nearest reference, from 0 to 1.

    `ratio` is 2 · longest common subsequence / both lengths, the `fuzz.ratio` of LongBench's code tasks;
    `levenshtein` is 1 - edits / the longer length.
    """
    from rapidfuzz.distance import Indel, Levenshtein

    near = Levenshtein.normalized_similarity if method == "levenshtein" else Indel.normalized_similarity
    return max(float(near(str(value), reference)) for reference in references(sample, gold))


@scorer
def contains_all(value: Any, sample: Sample, gold: str = "target", ignore_case: bool = True) -> float:
    """The share of the references that stand in the text, RULER's string_match_all (Hsieh et al. 2024)."""
    inside = _inside(str(value), references(sample, gold), ignore_case)
    return sum(inside) / len(inside)


@scorer
def contains_any(value: Any, sample: Sample, gold: str = "target", ignore_case: bool = True) -> bool:
    """Whether one of the references stands in the text, RULER's string_match_part (Hsieh et al. 2024)."""
    return any(_inside(str(value), references(sample, gold), ignore_case))


def _inside(text: str, wanted: Sequence[str], ignore_case: bool) -> list[bool]:
    """Of each reference whether it stands in the text; a blank one, which stands in every text, does not."""
    if ignore_case:
        text, wanted = text.lower(), [one.lower() for one in wanted]
    return [bool(one.strip()) and one in text for one in wanted]


@scorer
@also_unread
def corpus_text(value: Any, sample: Sample, gold: str = "target") -> Scored:
    """The text and its references, for the metrics `bleu`, `chrf` and `ter`; its value is whether they are the same."""
    found, right = "" if value is None else str(value), references(sample, gold)
    return Scored(float(found in right), detail={"pred": found, "refs": right})


@scorer
@other_scale
def numbers(value: Any, sample: Sample, gold: str = "target") -> Scored:
    """How far a number is from the right one, with both for the metrics `spearman` and `pearson`; none is not scored.

    Raises SpecError where the right one is no number.
    """
    found, right = number(value), number(sample[gold])
    if right is None:
        raise SpecError(f"numbers: wanted a number as {gold}, got {sample[gold]!r:.80}")
    if found is None:
        return Scored(None)
    return Scored(float(abs(found - right)), detail={"pred": float(found), "gold": float(right)})


def references(sample: Sample, gold: str) -> list[str]:
    """What is right, as a list of texts. Raises SpecError where there is none."""
    right = sample[gold]
    texts = [str(one) for one in right] if isinstance(right, list) else [str(right)]
    if not texts:
        raise SpecError(f"wanted a text or several as {gold}, got an empty list")
    return texts
