"""Scorers of spans in many languages, as MLQA's script compares them (Lewis et al. 2020, arXiv:1910.07475).

What is right is one text or a list of which the nearest counts. Both sides lose case, all punctuation of Unicode, the
articles of their language and blanks. Tokens are words, or characters of what is written without blanks (zh, ja, th).
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from functools import lru_cache
from typing import Any

from assay.score import also_unread, scorer
from assay.types import Sample

_ARTICLES = {
    "en": r"\b(a|an|the)\b",
    "es": r"\b(un|una|unos|unas|el|la|los|las)\b",
    "de": r"\b(ein|eine|einen|einem|eines|einer|der|die|das|den|dem|des)\b",
    "vi": r"\b(của|là|cái|chiếc|những)\b",
    "ar": r"(?:^|\s)ال",
}
_UNDIVIDED = frozenset({"zh", "ja", "th"})


@scorer
@also_unread
def span_em(value: Any, sample: Sample, gold: str = "target", language: str = "language") -> bool:
    """Whether the text is a right one but for case, punctuation, articles and blanks of the sample's `language`."""
    spoken = str(sample.get(language, ""))
    return _tokens(_text(value), spoken) in [_tokens(text, spoken) for text in _texts(sample[gold])]


@scorer
@also_unread
def span_f1(value: Any, sample: Sample, gold: str = "target", language: str = "language") -> float:
    """F1 of the tokens of the text and the nearest right one, in the sample's `language` (a code such as `de`)."""
    spoken = str(sample.get(language, ""))
    found = _tokens(_text(value), spoken)
    return max(_f1(found, _tokens(text, spoken)) for text in _texts(sample[gold]))


def _f1(found: tuple[str, ...], right: tuple[str, ...]) -> float:
    common = sum((Counter(found) & Counter(right)).values())
    return 2 * common / (len(found) + len(right)) if common else 0.0


@lru_cache(maxsize=4096)
def _tokens(text: str, language: str) -> tuple[str, ...]:
    kept = "".join(sign for sign in text.lower() if not _mark(sign))
    if articles := _ARTICLES.get(language):
        kept = re.sub(articles, " ", kept)
    return tuple("".join(kept.split())) if language in _UNDIVIDED else tuple(kept.split())


@lru_cache(maxsize=4096)
def _mark(sign: str) -> bool:
    return unicodedata.category(sign).startswith("P") or sign in "$+<=>^`|~"


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _texts(value: Any) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else [str(value)]
