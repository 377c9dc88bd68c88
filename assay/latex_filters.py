"""Template filters that read formulas: what recipes of mathematics make of the solutions that data sets give."""

from __future__ import annotations

from assay import latex
from assay.template import template_filter


@template_filter
def last_boxed(solution: str) -> str:
    """What the last box of a solution holds; all of it where it has none."""
    return latex.last_boxed(solution) or solution
