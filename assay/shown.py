"""Figures as a person reads them."""

from __future__ import annotations


def number(value: float | None) -> str:
    """Four significant digits at most, never an exponent for what fits a table; nothing for None."""
    if value is None:
        return ""
    return f"{value:.3f}" if abs(value) < 100 else f"{value:.1f}" if abs(value) < 1e6 else f"{value:.3g}"


def interval(value: float | None, low: float | None, high: float | None) -> str:
    """`0.712 [0.655, 0.762]`."""
    if value is None:
        return "none"
    return number(value) + ("" if low is None else f" [{number(low)}, {number(high)}]")


def probability(p: float | None) -> str:
    """A p value: three digits, two significant ones where it is less; nothing for None."""
    return "" if p is None else f"{p:.3f}" if p >= 0.001 else f"{p:.1e}"
