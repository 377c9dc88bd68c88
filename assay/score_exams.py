"""Scorers of exams: points for the parts of a question, formulas as AGIEval compares them."""

from __future__ import annotations

from collections.abc import Sequence

from assay import latex
from assay.extract_letters import agieval_formula
from assay.score import scorer
from assay.types import Sample, Scored


@scorer
def exam_points(value: Sequence[str], sample: Sample, partial: float = 0.5) -> Scored:
    """The share of a question's points, its weight the number of its parts (GAOKAO-Bench, arXiv:2305.12474).

    `value` and target are the letters of each part. A part with several right letters of which some are given, and none
    that is wrong, is worth `partial`.
    """
    points = [
        1.0 if set(found) == set(right) else partial if found and set(found) < set(right) else 0.0
        for found, right in zip(value, sample["target"], strict=True)
    ]
    return Scored(sum(points) / len(points), float(len(points)), detail=list(value))


@scorer
def agieval_match(value: str, sample: Sample) -> bool:
    """Whether two formulas, both found by AGIEval's parser, are the same text once stripped by Hendrycks's rules.

    A right answer in which the parser finds nothing is compared whole; in lm-evaluation-harness every reply in which it
    finds nothing either is then right.
    """
    target = str(sample["target"])
    return latex.same_hendrycks(value, agieval_formula(target) or target)
