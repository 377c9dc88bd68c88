"""Scorers of what was written: texts, numbers, and the likelihood of a text or of its last word."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from assay.extract_text import bbh_letter, lettered
from assay.ifeval import Levels, followed
from assay.registry import other_scale
from assay.score import reads, scorer
from assay.template import template_filter
from assay.types import Sample, Scored

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_DIGITS = str.maketrans("", "", string.digits)


@scorer
def exact_match(
    value: Any,
    sample: Sample,
    gold: str = "target",
    ignore: Sequence[str] = (),
    ignore_case: bool = False,
    ignore_punctuation: bool = False,
    ignore_numbers: bool = False,
) -> bool:
    """Whether the text is what is right, or one of several right ones; lm-evaluation-harness's `exact_match`.

    On both sides, in this order: the patterns of `ignore` are removed, then case, ASCII punctuation, digits.
    """

    def plain(one: Any) -> str:
        kept = str(one)
        for pattern in ignore:
            kept = re.sub(pattern, "", kept)
        kept = kept.lower() if ignore_case else kept
        kept = kept.translate(_PUNCTUATION) if ignore_punctuation else kept
        return kept.translate(_DIGITS) if ignore_numbers else kept

    right = sample[gold]
    return plain(value) in map(plain, right if isinstance(right, list) else [right])


@scorer
def opencompass_match(value: Any, sample: Sample, gold: str = "target") -> bool:
    """Whether both texts are the same up to their first line break, full stop or comma, without marks and articles
    (OpenCompass's `general_postprocess`)."""

    def general(one: Any) -> str:
        kept = re.sub(r"[^\w\s]", "", re.split(r"[\n.,]", str(one), maxsplit=1)[0])
        return " ".join(re.sub(r"\b(a|an|the)\b", "", kept, flags=re.IGNORECASE).split())

    return general(value) == general(sample[gold])


@scorer
def opencompass_bbh_match(value: Any, sample: Sample) -> bool:
    """Whether what `opencompass_bbh` found is the target, read in the same way where there are lettered options."""
    target = str(sample["target"])
    return bool(value == (bbh_letter(target) if lettered(sample) else target))


@scorer
def number_match(value: Any, sample: Sample, gold: str = "target", tolerance: float = 0.0) -> bool:
    """Whether it is the same number, or one nearer than the tolerance; what is no number is wrong."""
    found, right = number(value), number(sample[gold])
    if found is None or right is None:
        return False
    return found == right or abs(found - right) < Decimal(str(tolerance))


def number(value: Any) -> Decimal | None:
    """A number, its commas of thousands, dollars, percent sign and full stop left out; None where it is none."""
    try:
        found = Decimal(re.sub(r"[\s$,]", "", str(value)).rstrip(".%"))
    except InvalidOperation:
        return None
    return found if found.is_finite() and abs(found.adjusted()) < 1000 else None  # 1e999999999 would be written out


@scorer
@reads("likelihood")
def greedy(value: Mapping[str, Any], sample: Sample) -> bool | None:
    """Whether greedy decoding would write the continuation: the accuracy of LAMBADA."""
    greedy: bool | None = value["greedy"]
    return greedy


@scorer
@other_scale
@reads("likelihood")
def log_likelihood(value: Mapping[str, Any], sample: Sample) -> float | None:
    """The log-probability of the continuation, or of the whole text: for the metric `perplexity`."""
    total: float | None = value["sum"]
    return total


@scorer
@reads("likelihood")
def rolling_words(value: Mapping[str, Any], sample: Sample, of: str = "page") -> Scored:
    """A text's log-probability, its weight the words of the text as it was before detokenization (lm-eval's count:
    the pieces between blanks, of which the first or last may be empty)."""
    return Scored(value["sum"], float(len(re.split(r"\s+", sample[of]))))


@scorer
@reads("likelihood")
def rolling_bytes(value: Mapping[str, Any], sample: Sample, of: str = "page") -> Scored:
    """A text's log-probability, its weight the UTF-8 bytes of the text as it was before detokenization."""
    return Scored(value["sum"], float(len(sample[of].encode())))


@scorer
@reads("text")
def ifeval_prompt(value: str, sample: Sample, loose: bool = False) -> Scored:
    """Whether a reply follows all instructions of its prompt (Zhou et al. 2023, arXiv:2311.07911)."""
    levels = _levels(value, sample, loose)
    return Scored(float(all(levels.followed)), detail=levels.detail)


@scorer
@reads("text")
def ifeval_instruction(value: str, sample: Sample, loose: bool = False) -> Scored:
    """The share of a prompt's instructions that a reply follows, its weight how many there are: for `weighted_mean`."""
    levels = _levels(value, sample, loose)
    return Scored(sum(levels.followed) / len(levels.followed), float(len(levels.followed)), levels.detail)


def _levels(value: str, sample: Sample, loose: bool) -> Levels:
    return followed(value, sample["instructions"], sample["kwargs"], loose)


_DETOKENIZED = (
    (r"s '", "s'"), (r"/' [0-9]/", "/'[0-9]/"), (r" @-@ ", "-"), (r" @,@ ", ","), (r" @\.@ ", "."),
    (r" : ", ": "), (r" ; ", "; "), (r" \. ", ". "), (r" ! ", "! "), (r" \? ", "? "), (r" , ", ", "),
    (r"\(\s*([^\)]*?)\s*\)", r"(\1)"), (r"\[\s*([^\]]*?)\s*\]", r"[\1]"), (r"{\s*([^}]*?)\s*}", r"{\1}"),
    (r"\"\s*([^\"]*?)\s*\"", r'"\1"'), (r"'\s*([^']*?)\s*'", r"'\1'"),
    (r"= = = =", "===="), (r"= = =", "==="), (r"= =", "=="), (r" ° ", "°"), (r" \n", "\n"), (r"\n ", "\n"),
    (r" N ", " 1 "), (r" 's", "'s"),
)  # fmt: skip


@template_filter
def wikitext_detokenized(page: str) -> str:
    """A WikiText page with the blanks of its tokens taken out: the rules of lm-evaluation-harness, in their order.

    The second rule looks for a pattern's text between slashes and so does nothing: it stands so there.
    """
    for pattern, replacement in _DETOKENIZED:
        page = re.sub(pattern, replacement, page)
    return page
