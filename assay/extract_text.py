"""Extractors that read text: numbers, boxes, lines, what stands before or after a mark, what a pattern finds.

Patterns come from recipes, never from a model. Each gives the bare value, or None where there is nothing to find.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from assay import latex
from assay.errors import SpecError
from assay.extract import LEAST, extractor
from assay.reasoning import divide
from assay.types import Extracted, Reply, Sample

_NUMBER = re.compile(r"(?<![\w.])-?\$?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|(?<![\w.])-?\$?\.\d+|\d+(?:\.\d+)?")
_FINAL = re.compile(r"Final Answer: The final answer is(.*?). I hope it is correct.")


@extractor
def text(reply: Reply, sample: Sample) -> str:
    """The text as it was written, blanks and all."""
    return reply.text


@extractor
def after_thinking(
    reply: Reply, sample: Sample, start: str = "<think>", end: str = "</think>"
) -> Extracted | str | None:
    """The text without what stands between two marks, or in front of the second: for reasoning that is marked in a way
    of its own, since `<think>` and its like are never read. One that never ended is `truncated`."""
    _, answer, closed = divide(
        reply.text, _compiled(re.escape(start), False, False), _compiled(re.escape(end), False, False)
    )
    return answer.strip() or None if closed else Extracted(None, "unended", "truncated")


@extractor
def last_number(reply: Reply, sample: Sample) -> str | None:
    """The last number, without dollars and the commas of thousands: `1234.5`, `-7`."""
    return _number(reply.text, -1)


@extractor
def first_number(reply: Reply, sample: Sample) -> str | None:
    """The first number, without dollars and the commas of thousands."""
    return _number(reply.text, 0)


def _number(text: str, place: int) -> str | None:
    found = _NUMBER.findall(text)
    return re.sub(r"[$,]", "", found[place]) if found else None


@extractor
def regex(
    reply: Reply, sample: Sample, pattern: str, select: int = 0, ignore_case: bool = False, multiline: bool = False
) -> str | None:
    """What a pattern finds, or its group where it has one, stripped: the first time, or by `select` (-1: the last).

    Of several groups the first that holds something, as lm-evaluation-harness's `regex` filter with its `group_select`.
    Raises SpecError for a malformed pattern.
    """
    found = _compiled(pattern, ignore_case, multiline).findall(reply.text)
    if not -len(found) <= select < len(found):
        return None
    one = found[select]
    if isinstance(one, tuple):
        one = next(filter(None, one), "")
    return one.strip() or None


@lru_cache(maxsize=256)
def _compiled(pattern: str, ignore_case: bool, multiline: bool) -> re.Pattern[str]:
    try:
        return re.compile(pattern, (re.IGNORECASE if ignore_case else 0) | (re.MULTILINE if multiline else 0))
    except re.error as error:
        raise SpecError(f"extractor regex: the pattern {pattern!r} is malformed: {error}") from None


@extractor
def boxed(reply: Reply, sample: Sample) -> str | None:
    """What the last `\\boxed{…}` holds."""
    return latex.last_boxed(reply.text) or None


@extractor
def minerva_answer(reply: Reply, sample: Sample) -> str | None:
    """The formula in `Final Answer: The final answer is … . I hope it is correct.`, the first time that it is said.

    The last sentence may be missing: a stop string may have cut it off (Lewkowycz et al. 2022, arXiv:2206.14858).
    """
    found = _FINAL.search(reply.text + "I hope it is correct.")
    return (found.group(1).strip() or None) if found else None


@extractor
def opencompass_math(reply: Reply, sample: Sample) -> str | None:
    """The sentence with `final answer`, else the first, in one form (OpenCompass's `math_postprocess` of 2023)."""
    return latex.opencompass(reply.text) or None


@extractor
def first_line(reply: Reply, sample: Sample) -> str | None:
    """The first line that is not blank, stripped."""
    return next(filter(None, map(str.strip, reply.text.splitlines())), None)


@extractor
def last_line(reply: Reply, sample: Sample) -> str | None:
    """The last line that is not blank, stripped."""
    return next(filter(None, map(str.strip, reversed(reply.text.splitlines()))), None)


@extractor
def first_word(reply: Reply, sample: Sample) -> str | None:
    """The first word up to a blank or a mark of ASCII punctuation (OpenCompass's LAMBADA)."""
    words = reply.text.strip().split(" ", 1)[0]
    return re.split(r"[!-/:-@\[-`{-~]", words, maxsplit=1)[0] or None


@extractor
def until(reply: Reply, sample: Sample, stops: Sequence[str]) -> str | None:
    """The text before the first of some stop strings."""
    kept = reply.text
    for stop in stops:
        kept = kept.split(stop, 1)[0]
    return kept.strip() or None


@extractor
def after(
    reply: Reply, sample: Sample, marker: str, last: bool = True, ignore_case: bool = True, required: bool = True
) -> str | None:
    """What follows a mark, by default the last one; without the mark nothing, or all where it is not `required`."""
    places = [found.end() for found in _compiled(re.escape(marker), ignore_case, False).finditer(reply.text)]
    if not places:
        return None if required else reply.text.strip() or None
    return reply.text[places[-1 if last else 0] :].strip() or None


@extractor
def plain(reply: Reply, sample: Sample) -> str | None:
    """The text without the marks around it: emphasis, quotes, dollars, a full stop at the end."""
    kept = reply.text.strip()
    while (shorter := kept.strip("*_`\"'$“”").removesuffix(".").strip()) != kept:
        kept = shorter
    return kept or None


@extractor
def opencompass_bbh(reply: Reply, sample: Sample) -> Extracted:
    """OpenCompass's answer of a BIG-Bench-Hard question, from what follows the first `answer is `.

    Where there are lettered options: the first `(X)`, else the first capital. Else the first line without its full
    stop, or what is bold in it.
    """
    pieces = reply.text.split("answer is ")
    said = (pieces[1] if len(pieces) > 1 else pieces[0]).strip()
    if lettered(sample):
        return Extracted(bbh_letter(said) or None, "letter")
    line = said.split("\n")[0].strip().removesuffix(".").strip()
    bold = re.search(r"\*\*(.*?)\*\*", line)
    return Extracted((bold.group(1) if bold else line) or None, "line")


def lettered(sample: Sample) -> bool:
    """Whether a question has lettered options."""
    return "(A)" in str(sample["input"])


def bbh_letter(text: str) -> str:
    """The first `(X)` of a text, else its first capital, else the text itself."""
    letter = re.search(r"\(([A-Z])\)*", text) or re.search(r"([A-Z])", text)
    return letter.group(1) if letter else text


@extractor
def likelihood(reply: Reply, sample: Sample) -> dict[str, Any]:
    """The log-probability of the continuation, or of a rolling text, and whether greedy decoding would write it.

    Its `sum` is None where a model gave no number: such a sample is not scored, rather than scored 0.
    """
    total = reply.sums[0] if len(reply.sums) else math.nan
    finite = None if math.isnan(total) else max(float(total), LEAST)
    return {"sum": finite, "greedy": bool(reply.greedy[0]) if len(reply.greedy) else None}
