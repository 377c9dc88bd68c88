"""Scorers of formulas: as text once stripped, and as algebra, which `assay.maths` does in a process of its own."""

from __future__ import annotations

from typing import Any

from assay import latex, maths
from assay.score import reads, scorer
from assay.template import template_filter
from assay.types import Sample, Scored


@scorer
def minerva(value: Any, sample: Sample, gold: str = "solution") -> Scored:
    """Whether two formulas, brought to Minerva's form, are the same text, or their difference simplifies to 0.

    The right one is what `gold` has in its last box. Lewkowycz et al. 2022 (arXiv:2206.14858), as in lm-eval 0.4.13.
    """
    found, right = latex.minerva(str(value)), latex.minerva(_solved(sample[gold]))
    return Scored(1.0, detail="text") if found and found == right else _asked("sympy", right, found)


@scorer
def hendrycks(value: Any, sample: Sample, gold: str = "solution") -> bool:
    """Whether two formulas are the same text once stripped (Hendrycks et al. 2021, arXiv:2103.03874)."""
    return latex.same_hendrycks(str(value), _solved(sample[gold]))


@scorer
def math_match(value: Any, sample: Sample, gold: str = "target") -> Scored:
    """Whether two formulas are the same text once stripped, or Math-Verify finds them equal; where it cannot read the
    right one, the text alone tells."""
    found, right = str(value), str(sample[gold])
    if latex.same_hendrycks(found, right):
        return Scored(1.0, detail="text")
    asked = _asked("math_verify", _formula(right), _formula(found))
    return asked if asked.value is not None else Scored(0.0, detail=asked.detail)


@scorer
@reads("text")
def math_verify(value: str, sample: Sample, gold: str = "solution") -> Scored:
    """Whether Math-Verify finds, in the whole reply, an answer that is equal to one in the right solution."""
    return _asked("math_verify", str(sample[gold]), value)


@scorer
@reads("text")
def math_verify_opencompass(value: str, sample: Sample, gold: str = "solution") -> Scored:
    """Math-Verify as OpenCompass asks it: only LaTeX, a box before all else, against the right formula."""
    return _asked("opencompass", f"${_solved(sample[gold])}$", value)


def _asked(method: str, right: str, found: str) -> Scored:
    """The verdict of algebra; not scored where it cannot read what is right, so that no answer is wrong for that."""
    verdict = maths.equal(method, right, found)
    return Scored(None if verdict.detail == maths.UNREADABLE else float(verdict.equal), detail=verdict.detail or method)


def _solved(solution: Any) -> str:
    """What a solution has in its last box; all of it where it has none, as a bare answer has not."""
    return latex.last_boxed(str(solution)) or str(solution)


def _formula(text: str) -> str:
    """A bare formula as LaTeX marks it; one that is marked stays as it is."""
    return text if "$" in text or "\\boxed" in text or "\\(" in text or "\\[" in text else f"${text}$"


@template_filter
def latex_in_full(answer: str) -> str:
    """A formula with the braces of its fractions and roots."""
    return latex.in_full(answer)
