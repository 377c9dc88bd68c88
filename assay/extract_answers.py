"""Extractors of short answers in prose: labels, yes and no, quantities with their units, the option that is nearest."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from assay.errors import SpecError
from assay.extract import extractor, first_option
from assay.numerals import quantities
from assay.types import Extracted, Reply, Sample

YES_NO = {
    "yes": ("yes", "true", "correct", "是", "是的", "对", "正确", "可以", "能", "有"),
    "no": (
        "no", "false", "incorrect", "not correct", "否", "不是", "不对", "错", "错误", "不正确", "不可以", "不能",
        "没有",
    ),
}  # fmt: skip
_SAID = (
    r"(?:answer|conclusion|label)(?:\s+(?:is|was|should be|would be)\b|\s*[:：])\W{0,8}"
    r"|(?:答案|结论)(?:应该|应当)?(?:是|为)?\W{0,8}"
)
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@extractor
def label(reply: Reply, sample: Sample, labels: Mapping[str, Sequence[str]] | Sequence[str]) -> Extracted:
    """The label that a reply gives, by any of the words for it in any case: `{labels: {entailment: [yes, 蕴含]}}`.

    What is said to be the answer, the last time, or what the reply begins with; else the only label whose words stand
    in it (`fallback`), several being `ambiguous`. A word inside a longer one is not meant: 不是 is no 是.
    """
    words = (
        {name: tuple(of) for name, of in labels.items()} if isinstance(labels, Mapping) else {n: (n,) for n in labels}
    )
    names, one, said = _labels(tuple(words.items()))
    text = reply.text.casefold()
    stated = said.findall(text)
    if stated:
        return Extracted(names[stated[-1]], "stated")
    if first := re.match(rf"\W*{one.pattern}", text):
        return Extracted(names[first[1]], "leading")
    seen = sorted({names[found] for found in one.findall(text)})
    if len(seen) > 1:
        return Extracted(None, "several labels", "ambiguous")
    return Extracted(seen[0], "single", "fallback") if seen else Extracted(None, "", "none")


@lru_cache(maxsize=64)
def _labels(words: tuple[tuple[str, tuple[str, ...]], ...]) -> tuple[dict[str, str], re.Pattern[str], re.Pattern[str]]:
    """The label of each word; one of the words; one that is said to be the answer. Raises SpecError for none, or a word
    of two labels."""
    names: dict[str, str] = {}
    for name, of in words:
        for word in of:
            if names.setdefault(str(word).casefold(), name) != name:
                raise SpecError(f"label: {word!r} stands for {names[str(word).casefold()]!r} and for {name!r}")
    if not names:
        raise SpecError("label: wanted labels, as a list or {LABEL: [WORD, …]}, got none")
    longest = sorted(names, key=len, reverse=True)
    one = "|".join(rf"\b{re.escape(w)}\b" if w.isascii() else re.escape(w) for w in longest)
    return names, re.compile(f"({one})"), re.compile(f"(?:{_SAID})({one})")


@extractor
def yes_no(reply: Reply, sample: Sample, maybe: bool = False) -> Extracted:
    """`yes` or `no`, or with `maybe` that too, said in English or Chinese: as `label` finds it."""
    words = YES_NO | ({"maybe": ("maybe", "也许", "可能", "不确定")} if maybe else {})
    found: Extracted = label(reply, sample, words)
    return found


@extractor
def quantity(reply: Reply, sample: Sample, select: int = -1, percent: bool = False) -> str | None:
    """A number as digits, whatever its form, by default the last: `1,234`, `１２`, `-¥3.5`, `2/3`, `3.2万`, `三百二十`,
    `1.2e5`, `3 × 10^8`; of `50%` the 50, or with `percent` the 0.5."""
    found = quantities(reply.text, percent)
    return found[select] if -len(found) <= select < len(found) else None


@extractor
def nearest_option(reply: Reply, sample: Sample, letters: str = LETTERS, choices: str = "choices") -> Extracted:
    """The letter of the option that a reply means: one that it gives; else the only one whose text stands in it; else
    the one whose text is the least edits away (`fallback`). OpenCompass's OptionSimAccEvaluator."""
    given: Extracted = first_option(reply, sample, letters[: len(sample[choices])])
    if given.value is not None:
        return given
    text, options = reply.text.strip().lower(), [str(one).strip().lower() for one in sample[choices]]
    if not text:
        return Extracted(None, "", "none")
    inside = [place for place, option in enumerate(options) if option and option in text]
    if len(inside) == 1:
        return Extracted(letters[inside[0]], "contained")
    return Extracted(letters[nearest(text, options)], "nearest", "fallback")


def nearest(text: str, options: Sequence[str]) -> int:
    """The place of the option that is the least edits away from a text (Levenshtein), the first of several."""
    from rapidfuzz.distance import Levenshtein

    edits = [Levenshtein.distance(text, option) for option in options]
    return edits.index(min(edits))
