"""Long texts of an asked length in tokens: what fits, haystacks, needles in them.

The sources get `count_tokens`, which says how long a text is to the model that will read it, and texts from other
sources (adapters/datasets/generated.py). Whatever the length, a text is counted a few times and no more.
"""

from __future__ import annotations

import random
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import accumulate
from typing import Any, NamedTuple

from assay.errors import DatasetError, SpecError
from assay.generate_base import generated

Count = Callable[[str], int]
SIZES = {"k": 1024, "m": 1024 * 1024}
TRIES = 24
TEMPLATE = (
    "This is a test of long-text capability. You need to first read the long document below, and then answer the final "
    "question based on the information in the document.\nThe content of the long document is as follows\n\n{context}"
    "\n\nBased on the information in the document, now please answer: {question}"
)
"""NeedleBench's, in English."""
_ENDS, _QUOTES = (".", "!", "?", "。", "！", "？"), "\"'”’)"
LEAP = 100
"""How much longer than the last the next text may be at most: the first ones say little of those that are long."""
CLOSE = 2000
"""A text is long enough where it lacks less than a unit, or than one part in so many."""


def tokens_of(length: int | str) -> int:
    """A length in tokens: 4096, `4k`, `1m`. Raises SpecError for another text."""
    found = re.fullmatch(r"(\d+)([km]?)", str(length).lower())
    if not found or not int(found[1]):
        raise SpecError(f"wanted a length in tokens, such as 4096, 128k or 1m, got {length!r}")
    return int(found[1]) * SIZES.get(found[2], 1)


class Fitted(NamedTuple):
    """A text that has nearly the wanted length."""

    units: int
    tokens: int


class Fitter:
    """Finds how many units of something make a text of a wanted length; the next time it begins where that was."""

    def __init__(self, count_tokens: Count) -> None:
        self.count = count_tokens
        self.known: dict[Any, int] = {}

    def fit(self, kind: Any, build: Callable[[int], str], tokens: int, least: int = 1) -> Fitted:
        """The number of units with which `build` gives a text that lacks less than a unit, or one part in 2,000, of so
        many tokens, and is not longer.

        Raises DatasetError where even `least` units are too long.
        """
        low = Fitted(least, self.count(build(least)))
        if low.tokens > tokens:
            raise DatasetError(f"{kind}: wanted {tokens} tokens, and the shortest text has {low.tokens}")
        guess, bound = max(self.known.get(kind, 0), least + 50), None
        for _ in range(TRIES):
            if guess <= low.units:
                break
            size = self.count(build(guess))
            slope = max((size - low.tokens) / (guess - low.units), 1e-9)
            if size > tokens:
                bound = guess - 1
            else:
                low = Fitted(guess, size)
                if tokens - size < max(slope, tokens / CLOSE) or guess == bound:
                    break
            guess = low.units + max(min(int((tokens - low.tokens) / slope), LEAP * guess), 1)
            guess = guess if bound is None else min(guess, bound)
        self.known[kind] = low.units - int(tokens / slope / CLOSE / 3)  # a little less: few want a second try then
        return low


class Haystack:
    """Words of texts, over and over, with the places at which a sentence ends."""

    def __init__(self, texts: Iterable[str], blank: str = " ") -> None:
        self.blank = blank
        whole = " ".join(texts)
        self.words = whole.split() if blank else list("".join(whole.split()))
        if not self.words:
            raise SpecError("a haystack: wanted texts, got none")
        self.ends = [place for place, word in enumerate(self.words, 1) if word.rstrip(_QUOTES).endswith(_ENDS)]

    @cached_property
    def vocabulary(self) -> list[str]:
        """Its words of four to nine small letters, each once, sorted."""
        return sorted({word for word in set(self.words) if re.fullmatch(r"[a-z]{4,9}", word)})

    def take(self, count: int) -> list[str]:
        """The first so many words."""
        rounds, rest = divmod(count, len(self.words))
        return self.words * rounds + self.words[:rest]

    def sentence_end(self, place: int) -> int:
        """The last place up to this one at which a sentence ends; 0 where none does."""
        rounds, rest = divmod(place, len(self.words))
        before = bisect_right(self.ends, rest)
        return rounds * len(self.words) + (self.ends[before - 1] if before else 0)

    def with_needles(self, count: int, needles: Mapping[float, str] | Sequence[tuple[float, str]]) -> str:
        """So many words with needles (depth from 0 to 1, text) put in where sentences end."""
        placed = sorted(needles.items() if isinstance(needles, Mapping) else needles)
        at = [self.sentence_end(int(count * depth)) if depth < 1 else count for depth, _ in placed]
        words, parts = self.take(count), []
        for start, end, needle in zip([0, *at], [*at, count], [*(text for _, text in placed), None], strict=True):
            parts += [self.blank.join(words[start:end])] if end > start else []
            parts += [needle] if needle else []
        return self.blank.join(parts)


@generated
def needles(
    rng: random.Random,
    count: int,
    *,
    count_tokens: Count,
    texts: Iterable[Mapping[str, Any]],
    lengths: Sequence[int | str] = ("4k", "8k", "16k", "32k"),
    depths: Sequence[int] = (0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100),
    template: str = TEMPLATE,
    needle: str = "The secret number of {key} is {value}.",
    question: str = "What is the secret number of {key}?",
    keys: Sequence[str] = ("Berlin", "Lima", "Oslo", "Cairo", "Quito", "Hanoi", "Dakar", "Perth"),
    several: int = 1,
    values: Sequence[str] | None = None,
    joint: str = ", ",
    blank: str = " ",
    field: str = "text",
) -> Iterator[dict[str, Any]]:
    """A needle, or several, at each depth of a text of each length: after Kamradt's Needle In A Haystack (2023) and
    OpenCompass's NeedleBench (Li et al. 2024, arXiv:2407.11963).

    The cells come in turn. Of several needles the first is at the depth, the others between it and the end. The prompt,
    `template` with context and question, has the asked length as `count_tokens` counts.
    """
    stack, fitter = Haystack(dict.fromkeys(str(row[field]) for row in texts), blank), Fitter(count_tokens)
    cells = [(tokens_of(length), depth) for length in lengths for depth in depths]
    for place in range(count):
        tokens, depth = cells[place % len(cells)]
        chosen = rng.sample(list(keys), several)
        right = list(values) if values else [str(rng.randrange(1_000_000, 10_000_000)) for _ in chosen]
        told = [needle.format(key=key, value=value) for key, value in zip(chosen, right, strict=False)]
        spread = list(accumulate([depth / 100] + [(1 - depth / 100) / several] * (several - 1)))
        asked = question.format(key=joint.join(chosen))

        def build(words: int, at: Sequence[float] = spread, needles: Sequence[str] = told, asked: str = asked) -> str:
            context = stack.with_needles(words, list(zip(at, needles, strict=True)))
            return template.format(context=context, question=asked)

        fitted = fitter.fit((tokens, several), build, tokens)
        shown = {"prompt": build(fitted.units), "answers": right, "length": fitted.tokens}
        yield {**shown, "tokens": tokens, "depth": depth}
