"""Scorers of what was computed: choices under other normalisations, and texts by the character."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from assay.errors import SpecError
from assay.score import Choices, is_right, reads, scorer
from assay.types import Sample, Scored


@scorer
@reads("token_means")
def acc_tokens(value: Choices, sample: Sample) -> bool:
    """Whether the likeliest choice a token is right: the mean over the choice's own tokens, the question left out."""
    return is_right(value["sums"], value, sample)


@scorer
@reads("mutual_information")
def acc_mutual_info(value: Mapping[str, Any], sample: Sample, per: Literal["choice", "token"] = "choice") -> bool:
    """Whether the choice is right that gains most likelihood by the question: PMI, wants the solver `neutral`.

    `per: choice` is lm-evaluation-harness's `acc_mutual_info`, `per: token` OpenCompass's `normalizing_str`, a
    difference of means over the choice's tokens. Raises SpecError for another.
    """
    if per not in ("choice", "token"):
        raise SpecError(f"scorer acc_mutual_info: wanted per: choice or token, got {per!r:.80}")
    gains = value["sums"]
    if per == "token":
        gains = [gain / (count or 1) for gain, count in zip(gains, value["tokens"], strict=True)]
    return is_right(gains, value, sample)


@scorer
@reads("likelihood")
def rolling_characters(value: Mapping[str, Any], sample: Sample, of: str = "page") -> Scored:
    """A text's log-probability, its weight the characters of the text: for bits a character (OpenCompass's BPC)."""
    return Scored(value["sum"], float(len(sample[of])))


@scorer
def found(value: Any, sample: Sample) -> float:
    """The number that was found, as it is. Raises SpecError where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SpecError(f"scorer found: wanted a number, got {value!r:.80}")
    return float(value)
