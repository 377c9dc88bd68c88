"""Extractors: what was answered, found in a reply. Never guessed: where nothing is found, that is said and counted.

An extractor is a function `(reply, sample, **options)` that gives an Extracted, or the bare value, or None. It reads
the reply's text, or its log-probabilities. In a pipeline the next step reads the former's value as its text.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from assay.errors import SpecError
from assay.registry import Registry, Step, name_of
from assay.types import Extracted, Reply, Sample

Extractor = Callable[..., Any]
"""`(reply, sample, **options)` -> Extracted, the bare value, or None."""

extractor: Registry[Extractor] = Registry("extractor")

LEAST = -sys.float_info.max
"""For a probability of zero: JSON has no infinity."""
EXACT = ("", "top_logprobs")
"""How a reply to a question with choices ends where the probability of each is known."""


def run_chain(chain: Sequence[Step | Sequence[Step]], reply: Reply, sample: Sample) -> Extracted:
    """What the first of some alternatives that finds an answer finds; an inner list is a pipeline.

    The status is `fallback` for what a later alternative found and called sure. Where none found anything it is
    `ambiguous` if one saw several answers, `truncated` if the reply was cut off at its token limit, or its reasoning
    never came to an end.
    Raises SpecError for an unknown extractor or option.
    """
    nothing = Extracted(None, "", "truncated" if reply.finish == "length" else "none")
    for place, alternative in enumerate(chain):
        steps = [alternative] if isinstance(alternative, str | Mapping) else alternative
        found = _pipeline(steps, reply, sample)
        if found.value is not None:
            return found._replace(status="fallback") if place and found.status == "ok" else found
        if found.status in ("ambiguous", "truncated"):
            nothing = found
    return nothing


def _pipeline(steps: Sequence[Step], reply: Reply, sample: Sample) -> Extracted:
    """The last step's value, the last status that is not `ok`, the methods of all."""
    found: Extracted | None = None
    for step in steps:
        last = found
        if last is not None:
            reply = replace(reply, text=last.value if isinstance(last.value, str) else str(last.value))
        found = _run(step, reply, sample)
        if found.value is None:
            return found
        if last is not None:
            unsure = last.status if found.status == "ok" else found.status
            found = Extracted(found.value, f"{last.method} > {found.method}", unsure)
    if found is None:
        raise SpecError("extract: a pipeline has at least one step, got an empty list")
    return found


def _run(step: Step, reply: Reply, sample: Sample) -> Extracted:
    name, options = name_of(step)
    function = extractor[name]
    try:
        found = function(reply, sample, **options)
    except TypeError:
        extractor.fitting(name, reply, sample, **options)  # raises where it was the options that did not fit
        raise
    if isinstance(found, Extracted):
        return found
    return Extracted(found, name) if found is not None else Extracted(None, name, "none")


@extractor
def stripped(reply: Reply, sample: Sample) -> str | None:
    """The text without the blanks around it, None where that is nothing: what is read unless a benchmark says other."""
    return reply.text.strip() or None


@extractor
def choice_sums(reply: Reply, sample: Sample) -> Extracted | None:
    """The choices and the log-probability of each: what every accuracy of a choice is computed from.

    Where a server did not tell the probabilities of all choices, the method is how it chose, as the reply's `finish`.
    """
    found = by_choice(reply.sums, reply.choices)
    if found is None:
        return None
    return Extracted(found, reply.finish or "choice_sums", "ok" if reply.finish in EXACT else "fallback")


@extractor
def prompt_means(reply: Reply, sample: Sample) -> dict[str, Any] | None:
    """The choices and, of each, the mean log-probability a token of the whole text, question and all.

    OpenCompass's perplexity (negated): the sum has no term for the first token, the count includes it.
    """
    means = [total / count for total, count in zip(reply.prompt_sums, reply.prompt_lengths, strict=True)]
    return by_choice(means, reply.choices)


def by_choice(values: Sequence[float], choices: Sequence[str]) -> dict[str, Any] | None:
    """Choices with a number each, as scorers of choices read them; None where there are none, or not of each."""
    if len(values) == 0 or len(values) != len(choices) or any(map(math.isnan, values)):
        return None
    return {"choices": list(choices), "sums": [max(value, LEAST) for value in values]}


@extractor
def first_option(reply: Reply, sample: Sample, options: str = "") -> Extracted:
    """The letter of the choice that the reply gives as its answer, in English or Chinese; the first, if it gives more.

    After OpenCompass's first_option_postprocess: a letter alone on the first line; one that is said to be the answer;
    one that the reply begins with; the only one that stands by itself (`fallback`). Unlike there the capitals of words,
    the article A and letters that are denied are no answer, and several letters without a cue are `ambiguous`.
    The letters are `options`, else as many as the sample has `choices`, else A to D.
    """
    return _option(reply.text, options or _letters(sample), 0)


@extractor
def last_option(reply: Reply, sample: Sample, options: str = "") -> Extracted:
    """As `first_option`, and where the reply gives more than one answer the last: what is concluded after reasoning."""
    return _option(reply.text, options or _letters(sample), -1)


def _letters(sample: Sample) -> str:
    return "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[: len(sample.get("choices") or "ABCD")]


def _option(text: str, letters: str, place: int) -> Extracted:
    alone, stated, leading, single = _patterns(letters)
    lines = [line for line in text.splitlines() if line.strip()]
    if lines and (only := alone.search(lines[place])):
        return Extracted(only[1].upper(), "alone")
    said = [found[found.lastindex or 0] for found in stated.finditer(text)]
    if said:
        return Extracted(said[place], "stated", "ok" if len(set(said)) == 1 else "ambiguous")
    if first := leading.search(text):
        return Extracted(first[1], "leading")
    seen = sorted({found[1] for found in single.finditer(text)})
    if len(seen) > 1:
        return Extracted(None, "several letters", "ambiguous")
    return Extracted(seen[0], "single", "fallback") if seen else Extracted(None, "", "none")


_REASON = "because|since|as|is|and|or|but|which|due|so|for"
"""What may follow the letter A in a sentence; before any other small word it is an article (and I a pronoun)."""
_DENIED = r"\W{0,3}\s?(?:is |are |was )?(?:not|wrong|incorrect|false|错|不|是错|是不)"
_STATED = (
    r"(?i:answer)(?:\s(?i:to)\b[^.\n]{0,80}?)?(?:\s+(?i:is|was|would be|should be|must be)\b|\s*[:：])\W{0,8}"
    r"(?:(?i:option|choice|letter)\W{1,3})?LETTER",
    r"(?i:choose|chose|select|pick|go with)\s(?:(?i:option|choice|answer)\s)?\W{0,3}LETTER",
    r"\\boxed\s*\{\W*(?:text(?:bf|rm)?\s*\{)?\W*LETTER",
    r"(?<![A-Za-z0-9_])LETTER\W{0,3}\sis\s(?:the\s)?(?:(?:most|best|only)\s)?(?:correct|right|best|answer|likely)\b",
    r"答案(?:选项)?(?:应该|应当|应)?(?:是|为|选)?\W{0,8}(?:选项?)?\W{0,3}LETTER",
    r"(?<![不没未])选择?(?:的是|了)?[\s:：]{0,2}\W{0,3}LETTER",
    r"的(?:选项|一项|说法)?是\W{0,3}(?:选项)?\W{0,3}LETTER",
    r"(?<![A-Za-z0-9_])LETTER\s?(?:选?项)?\s?(?:是?正确|是对的)",
    r"只有(?:选?项)?\s?LETTER\s?(?:选?项)?\s?是?\s?(?:对|错|不正确|正确)",
    r"(?:因此|所以|显然|综上|综上所述|故|即)[，,：:]?\s?(?:答|为|是)?\s?(?:选项)?\s?LETTER(?=\W*(?:$|\n))",
)


@lru_cache(maxsize=64)
def _patterns(letters: str) -> tuple[re.Pattern[str], ...]:
    """A line that is a letter; a letter said to be the answer; one at the beginning; one by itself."""
    one = re.escape("".join(letter for letter in letters if letter not in "AI")) or "(?!)"
    words = "".join(letter for letter in letters if letter in "AI")
    letter = f"[{one}]" if one != "(?!)" else one
    if words:
        letter = rf"(?:{letter}|[{words}](?!\s(?!(?:{_REASON})\b)[a-z]))"
    letter = rf"({letter})(?![A-Za-z0-9_'’])"
    return (
        re.compile(rf"^\W*(?:选项|option\s)?\W*([{re.escape(letters)}])\W*(?:选?项)?\W*$", re.IGNORECASE),
        re.compile("|".join(cue.replace("LETTER", letter) for cue in _STATED)),
        re.compile(rf"^\W*(?:选项\s?)?{letter}(?!{_DENIED})(?:\s?选?项|\s|[.):：、，,。；;\]*]|$)"),
        re.compile(rf"(?<![A-Za-z0-9_])(?<!not )(?<!不是)(?<!不选)(?<!非){letter}(?!{_DENIED})"),
    )
