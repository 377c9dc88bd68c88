"""Scorers: what was found, held against what is right, for questions with choices. (Of texts: `score_text`.)

A scorer is a function `(value, sample, **options)` that gives a number, a boolean, None (not scored) or a Scored. What
it reads, where that is not the benchmark's own filter, it says by `@reads(extractor)`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from assay.errors import SpecError
from assay.prompt import gold_index
from assay.registry import Registry, name_of, other_scale
from assay.types import Sample, Scored

Scorer = Callable[..., "float | bool | Scored | None"]
"""`(value, sample, **options)` -> a number, a boolean, None, or a Scored."""

S = TypeVar("S", bound=Scorer)

scorer: Registry[Scorer] = Registry("scorer")

Choices = Mapping[str, Any]
"""`choices`, their texts, and `sums`, their log-probabilities: what `choice_sums` finds."""


def reads(name: str) -> Callable[[S], S]:
    """Say which extractor a scorer reads, whatever the benchmark's `extract:`."""

    def mark(function: S) -> S:
        function.__dict__["reads"] = name
        return function

    return mark


def also_unread(function: S) -> S:
    """Mark a scorer that is asked, with None, about an answer that could not be read too; for all others that is 0."""
    function.__dict__["also_unread"] = True
    return function


@scorer
@reads("choice_sums")
def acc(value: Choices, sample: Sample) -> bool:
    """Whether the likeliest choice is right (lm-eval's acc)."""
    return is_right(value["sums"], value, sample)


@scorer
@reads("choice_sums")
def acc_norm(value: Choices, sample: Sample) -> bool:
    """Whether the likeliest choice a character is right (lm-eval's acc_norm); the delimiter is not counted."""
    return is_right(_each(value, len), value, sample)


@scorer
@reads("choice_sums")
def acc_bytes(value: Choices, sample: Sample) -> bool:
    """Whether the likeliest choice a UTF-8 byte is right (lm-eval's acc_bytes)."""
    return is_right(_each(value, lambda text: len(text.encode())), value, sample)


@scorer
@reads("prompt_means")
def acc_ppl(value: Choices, sample: Sample) -> bool:
    """Whether the choice of the least perplexity of the whole text is right (OpenCompass's ppl)."""
    return is_right(value["sums"], value, sample)


@scorer
@also_unread
@reads("choice_sums")
def chosen(value: Choices | None, sample: Sample) -> Scored:
    """As `acc`, with {pred, gold, shares} for the metrics f1, mcc, auc and ece: the choices by their places, and the
    share of the probability that each has. Where no numbers came there is no class either: it is not scored."""
    if value is None:
        return Scored(None)
    gold, best = _gold(value, sample), _best(value["sums"])
    return Scored(float(best in gold), detail={"pred": best, "gold": gold[0], "shares": _shares(value["sums"])})


@scorer
@reads("choice_sums")
def mass(value: Choices, sample: Sample) -> float:
    """The probability of the right choices, of all that the choices have together (TruthfulQA's MC2)."""
    shares = _shares(value["sums"])
    return sum(shares[i] for i in set(_gold(value, sample)))


@scorer
@other_scale
@reads("choice_sums")
def brier(value: Choices, sample: Sample) -> float:
    """Σ (share of the probability − 1 where it is right)² over the choices: 0 is best, 2 worst."""
    gold = _gold(value, sample)
    return sum((share - (i in gold)) ** 2 for i, share in enumerate(_shares(value["sums"])))


@scorer
def option(value: Any, sample: Sample, letters: str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ") -> bool:
    """Whether the letter that was found is the right one.

    The target is a letter, or the index of one among `letters`, or a list of these, of which one is enough.
    Raises SpecError where it is something else.
    """
    target = sample.get("target")
    return value in [_letter(one, letters) for one in (target if isinstance(target, list) else [target])]


def _letter(target: Any, letters: str) -> str:
    if isinstance(target, int) and not isinstance(target, bool) and 0 <= target < len(letters):
        return letters[target]
    if isinstance(target, str) and target in letters and len(target) == 1:
        return target
    raise SpecError(f"wanted one of the letters {letters} or the index of one as target, got {target!r:.80}")


@scorer
@also_unread
def rotated(value: Any, sample: Sample, of: Any) -> Scored:
    """What another scorer of choices gives, for the metrics of `NAME@circular`: with the place that was picked.

    That is the place for which, were it the target, the other scorer would find the answer right.
    """
    name, options = name_of(of)
    told, count = sample["circular"], len(sample["choices"])
    picked = None
    if value is not None:
        wouldbe = (p for p in range(count) if scorer[name](value, {**sample, "target": p}, **options))
        picked = next(wouldbe, None)
    right = picked is not None and bool(scorer[name](value, sample, **options))
    return Scored(float(right), detail={"question": told["key"], "turn": told["turn"], "of": count, "picked": picked})


def is_right(values: Sequence[float], found: Choices, sample: Sample) -> bool:
    """Whether the choice with the greatest value, of several the first, is a right one."""
    return _best(values) in _gold(found, sample)


def _gold(found: Choices, sample: Sample) -> list[int]:
    gold = gold_index(sample, found["choices"])
    return gold if isinstance(gold, list) else [gold]


def _best(values: Sequence[float]) -> int:
    """The place of the greatest; of the first, where several are."""
    return max(range(len(values)), key=values.__getitem__)


def _each(found: Choices, length: Callable[[str], int]) -> list[float]:
    return [total / (length(text) or 1) for total, text in zip(found["sums"], found["choices"], strict=True)]


def _shares(sums: Sequence[float]) -> list[float]:
    top = max(sums)
    weights = [math.exp(total - top) for total in sums]
    whole = sum(weights)
    return [weight / whole for weight in weights]
