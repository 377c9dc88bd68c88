"""Scorers of answers that are spans of a passage: SQuAD, CMRC, and the aliases of TriviaQA and Natural Questions.

What is right is one text or a list of texts of which the nearest counts. A blank answer says that there is none.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from assay.score import also_unread, scorer
from assay.types import Sample

ARTICLES = re.compile(r"\b(a|an|the)\b")
PUNCTUATION = str.maketrans("", "", string.punctuation)
_CHINESE = "一-鿿"
_TOKENS = re.compile(rf"[{_CHINESE}]|LATIN+(?:[.,']LATIN+)*|[^\w\s]".replace("LATIN", rf"(?:(?![{_CHINESE}])\w)"))
_MARKS = str.maketrans("", "", "-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』")
"""What the script of CMRC 2018 leaves out; other marks are tokens."""


@scorer
@also_unread
def squad_em(value: Any, sample: Sample, gold: str = "target", no_answer: str | None = None) -> bool:
    """Whether the text is a right one but for case, punctuation, articles and blanks (Rajpurkar et al. 2016, 2018).

    Where nothing is right (SQuAD 2.0), only a blank or the word `no_answer` is.
    """
    found, right = _squad(value, sample[gold], no_answer)
    return found in right


@scorer
@also_unread
def squad_f1(value: Any, sample: Sample, gold: str = "target", no_answer: str | None = None) -> float:
    """F1 of the words of the text and the nearest right one, normalized as `squad_em` does."""
    found, right = _squad(value, sample[gold], no_answer)
    return max(_overlap(found.split(), one.split()) for one in right)


def _squad(value: Any, gold: Any, no_answer: str | None) -> tuple[str, list[str]]:
    """The found text and the right ones, normalized; of the right ones those that say something, else the blank."""
    silent = squad_normalized(no_answer) if no_answer is not None else ""
    found, *right = ("" if text == silent else text for text in map(squad_normalized, [_text(value), *texts_of(gold)]))
    return found, [text for text in right if text] or [""]


@lru_cache(maxsize=4096)
def squad_normalized(text: str) -> str:
    """A text in lower case without ASCII punctuation and articles, one blank between words."""
    return " ".join(ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split())


def _overlap(found: Sequence[str], right: Sequence[str]) -> float:
    """F1 of two bags; where one is empty, whether both are."""
    if not found or not right:
        return float(not found and not right)
    common = sum((Counter(found) & Counter(right)).values())
    return 2 * common / (len(found) + len(right))


@scorer
def alias_match(value: Any, sample: Sample, gold: str = "target", inside: bool = True) -> bool:
    """Whether one of the right names stands in the text as whole words (or is all of it, with `inside: false`).

    Both sides are normalized as TriviaQA does (Joshi et al. 2017, arXiv:1705.03551), marks being blanks. Unlike
    OpenCompass's NQ and TriviaQA, a name that is a part of a word does not count, and one without letters matches
    nothing. Names written without blanks between words, as in Chinese, are looked for as they are.
    """
    found = f" {_named(_text(value))} "
    names = list(filter(None, map(_named, texts_of(sample[gold]))))
    if not inside:
        return found.strip() in names
    return any((name if re.search(f"[{_CHINESE}]", name) else f" {name} ") in found for name in names)


def _named(text: str) -> str:
    return " ".join(ARTICLES.sub(" ", re.sub(r"[^\w\s]|_", " ", text.lower())).split())


@scorer
def em_zh(value: Any, sample: Sample, gold: str = "target") -> bool:
    """Whether the text is a right one but for case and marks, Chinese ones too (Cui et al. 2019, CMRC 2018)."""
    return _plain_zh(_text(value)) in [_plain_zh(text) for text in texts_of(sample[gold])]


@scorer
def f1_zh(value: Any, sample: Sample, gold: str = "target", bag: bool = False) -> float:
    """F1 of the tokens of the text and the nearest right one: a Chinese character is a token, and so is a Latin word.

    What two texts have in common is their longest common run, as in the script of CMRC 2018 (Cui et al. 2019,
    arXiv:1810.07366); with `bag` their tokens in any order, as MLQA counts Chinese (Lewis et al. 2020). Latin text is
    divided at blanks and marks, where that script asks NLTK.
    """
    common: Callable[[Sequence[str], Sequence[str]], float] = _overlap if bag else _run
    found = tokens_zh(_text(value))
    return max((common(found, tokens_zh(text)) for text in texts_of(sample[gold])), default=0.0)


def _run(found: Sequence[str], right: Sequence[str]) -> float:
    """F1 where only the longest run that both have is common."""
    best, before = 0, [0] * (len(right) + 1)
    for token in found:
        now = [0] * (len(right) + 1)
        for place, other in enumerate(right):
            if token == other:
                now[place + 1] = before[place] + 1
                best = max(best, now[place + 1])
        before = now
    return 2 * best / (len(found) + len(right)) if best else 0.0


@lru_cache(maxsize=4096)
def tokens_zh(text: str) -> tuple[str, ...]:
    """The tokens of a text of Chinese and Latin words, in lower case."""
    return tuple(_TOKENS.findall(_plain_zh(text)))


def _plain_zh(text: str) -> str:
    return text.lower().strip().translate(_MARKS)


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def texts_of(value: Any) -> list[str]:
    """A text or a list of them, as a list; None is a blank."""
    return [str(one) for one in value] if isinstance(value, list | tuple) else [_text(value)]
