"""Words and sentences as IFEval counts them.

Its words are those of the Penn Treebank's tokenizer as NLTK has it; that is rules, and they are here. Its sentences are
those of NLTK's punkt, which is a trained model: it is used where NLTK and its data are installed. Elsewhere the rules
below split; a score's detail says which of the two it was.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

_ABBREVIATIONS = frozenset(
    ("mr", "mrs", "ms", "dr", "prof", "st", "rev", "hon", "gen", "col", "capt", "lt", "sgt", "sen", "rep", "gov",
     "pres", "fig", "vs", "cf", "vol", "pp", "e.g", "i.e", "approx", "dept", "est")
)  # fmt: skip
_END = re.compile(r"""[.!?]+["'”’)\]]*(?=\s)""")
_INITIAL = re.compile(r"(?:^|[\s(\"'“])[A-Za-z]$")

_Rule = tuple[str, str]
_OPENING: tuple[_Rule, ...] = (
    (r"([«“‘„]|`+)", r" \1 "), (r'^"', "``"), (r"(``)", r" \1 "), (r"([ ([{<])(\"|'{2})", r"\1 `` "),
    (r"(?i)(?<!\w)(')(?!(?:re|ve|ll|m|t|s|d|n)\b)(?=\w)", r"\1 "),
)  # fmt: skip
_MARKS: tuple[_Rule, ...] = (
    (r"([^.])(\.)([\])}>\"'»”’ ]*+)\s*$", r"\1 \2 \3 "), (r"([:,])(\D)", r" \1 \2"), (r"([:,])$", r" \1 "),
    (r"(\.{2,})", r" \1 "), (r"([;@#$%&])", r" \1 "), ("([\u2012-\u2015])", r" \1 "), (r"([?!])", r" \1 "),
    (r"([^'])' ", r"\1 ' "), (r"([*\][(){}<>])", r" \1 "), (r"--", " -- "),
)  # fmt: skip
_CLOSING: tuple[_Rule, ...] = (
    (r"([»”’])", r" \1 "), (r"''|\"", " '' "), (r"\s+", " "), (r"([^' ])('[sS]|'[mM]|'[dD]|') ", r"\1 \2 "),
    (r"([^' ])('ll|'LL|'re|'RE|'ve|'VE|n't|N'T) ", r"\1 \2 "),
    (r"(?i)\b(can)(not)\b", r" \1 \2 "), (r"(?i)\b(d)('ye)\b", r" \1 \2 "), (r"(?i)\b(gim)(me)\b", r" \1 \2 "),
    (r"(?i)\b(gon)(na)\b", r" \1 \2 "), (r"(?i)\b(got)(ta)\b", r" \1 \2 "), (r"(?i)\b(lem)(me)\b", r" \1 \2 "),
    (r"(?i)\b(more)('n)\b", r" \1 \2 "), (r"(?i)\b(wan)(na)(?=\s)", r" \1 \2 "), (r"(?i) ('t)(is|was)\b", r" \1 \2 "),
)  # fmt: skip


def treebank(text: str) -> list[str]:
    """The tokens of a text by the rules of the Penn Treebank (R. MacIntyre's, as NLTK has them)."""
    for pattern, replacement in (*_OPENING, *_MARKS):
        text = re.sub(pattern, replacement, text)
    text = f" {text} "
    for pattern, replacement in _CLOSING:
        text = re.sub(pattern, replacement, text)
    return text.split()


def word_count(text: str) -> int:
    """How many runs of letters, digits and underscores there are."""
    return len(re.findall(r"\w+", text))


def sentence_count(text: str) -> int:
    """How many sentences there are, by punkt where it is installed, else by rules."""
    return len(splitter()[1](text))


@lru_cache(maxsize=1)
def splitter() -> tuple[str, Callable[[str], list[str]]]:
    """What splits sentences here: `punkt` or `rules`, and the function."""
    try:
        from nltk.tokenize import PunktTokenizer

        return "punkt", PunktTokenizer("english").tokenize
    except (ImportError, LookupError):  # NLTK, or its data, is not installed
        return "rules", sentences


def sentences(text: str) -> list[str]:
    """The sentences of a text, by rules: one ends at `.`, `!` or `?` before a blank.

    No sentence ends after an abbreviation or an initial, nor where a small letter follows a full stop.
    """
    found, start = [], 0
    for mark in _END.finditer(text):
        if not _ends(text, mark):
            continue
        found.append(text[start : mark.end()])
        start = mark.end()
    return [kept for part in [*found, text[start:]] if (kept := part.strip())]


def _ends(text: str, mark: re.Match[str]) -> bool:
    if "!" in mark.group() or "?" in mark.group():
        return True
    follows = text[mark.end() : mark.end() + 64].lstrip(" \t\r\n\"'“‘([*_#-")[:1]
    if follows.islower():
        return False
    before = text[max(0, mark.start() - 64) : mark.start()]
    last = re.split(r"[\s(\[\"'“]", before)[-1].lower()
    return last not in _ABBREVIATIONS and not _INITIAL.search(before)
