"""Scorers of short answers of many kinds in one data set: numbers with their units, lists of numbers, words."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

from assay.numerals import quantities
from assay.score import scorer
from assay.score_spans import squad_normalized
from assay.types import Sample

_NUMBER = re.compile(r"\s*[-+−]?[$€£]?\s?(?:[\d,]*\.?\d+|\d+/\d+)(?:[eE][-+]?\d+)?\s*%?\s*")


@scorer
def answer_match(
    value: Any, sample: Sample, gold: str = "target", relative: float = 0.0, absolute: float = 0.0
) -> bool:
    """Whether it is the right number, list of numbers or text, whichever the sample wants.

    A number may have a unit behind it; two are the same that differ by no more than `absolute`, or the share `relative`
    of the right one. Texts are the same but for case, punctuation and articles.
    """
    right = sample[gold]
    if isinstance(right, list):
        found, wanted = quantities(str(value)), [str(one) for one in right]
    elif _NUMBER.fullmatch(str(right)):
        found, wanted = quantities(str(value))[:1], quantities(str(right))
    else:
        return squad_normalized(str(value)) == squad_normalized(str(right))
    return len(found) == len(wanted) and all(
        _near(Fraction(one), Fraction(other), relative, absolute) for one, other in zip(found, wanted, strict=True)
    )


def _near(found: Fraction, right: Fraction, relative: float, absolute: float) -> bool:
    return abs(found - right) <= max(Fraction(relative) * abs(right), Fraction(absolute))
