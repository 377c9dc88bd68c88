"""Curves as SVG: a value with its 95 % interval by training step."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from assay.shown import number

WIDTH, HEIGHT, COLUMNS = 320, 200, 2
LEFT, RIGHT, TOP, BOTTOM = 48, 12, 30, 26
INK, LINE, BAND = "#222", "#1d4ed8", "#bfd3fb"


class Point(NamedTuple):
    """A value at a step."""

    step: int
    value: float
    low: float | None = None
    high: float | None = None


class Curve(NamedTuple):
    """A panel of the picture."""

    title: str
    points: Sequence[Point]
    """By step."""


def picture(curves: Sequence[Curve]) -> str:
    """The curves beside each other, a panel each, as an SVG file: on white, so that it can be read on a dark page."""
    rows = -(-len(curves) // COLUMNS)
    width, height = WIDTH * min(COLUMNS, len(curves)), HEIGHT * rows
    panels = [
        f'<g transform="translate({place % COLUMNS * WIDTH} {place // COLUMNS * HEIGHT})">{_panel(curve)}</g>'
        for place, curve in enumerate(curves)
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
        f' font-family="sans-serif" font-size="12" fill="{INK}">'
        f'<rect width="{width}" height="{height}" fill="#fff"/>{"".join(panels)}</svg>'
    )


def _panel(curve: Curve) -> str:
    low, high = _range(curve.points)
    first, last = curve.points[0].step, curve.points[-1].step

    def x(step: int) -> float:
        share = (step - first) / (last - first) if last > first else 0.5
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def y(value: float) -> float:
        return round(TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM), 1)

    grid = "".join(
        f'<path d="M{LEFT} {y(v)}H{WIDTH - RIGHT}" stroke="#ddd"/>'
        f'<text x="{LEFT - 6}" y="{y(v) + 4}" text-anchor="end">{number(v)}</text>'
        for v in (low, (low + high) / 2, high)
    )
    steps = "".join(
        f'<text x="{x(step)}" y="{HEIGHT - 8}" text-anchor="{anchor}">{step}</text>'
        for step, anchor in ([(first, "start"), (last, "end")] if last > first else [(first, "middle")])
    )
    above = [(x(p.step), y(p.high)) for p in curve.points if p.high is not None]
    below = [(x(p.step), y(p.low)) for p in curve.points if p.low is not None]
    values = [(x(p.step), y(p.value)) for p in curve.points]
    dots = "".join(f'<circle cx="{cx}" cy="{cy}" r="3" fill="{LINE}"/>' for cx, cy in values)
    bars = "".join(
        f'<path d="M{top[0]} {top[1]}V{bottom[1]}" stroke="{BAND}" stroke-width="3"/>'
        for top, bottom in zip(above, below, strict=True)
    )
    return (
        f'<text x="{LEFT}" y="18" font-weight="bold">{escape(curve.title)}</text>{grid}{steps}'
        f'<polygon points="{_path(above + below[::-1])}" fill="{BAND}" opacity="0.6"/>{bars}'
        f'<polyline points="{_path(values)}" fill="none" stroke="{LINE}" stroke-width="1.5"/>{dots}'
    )


def _path(places: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x},{y}" for x, y in places)


def _range(points: Sequence[Point]) -> tuple[float, float]:
    """What the panel shows: 0 to 1 for shares, else what there is."""
    all_ = [v for p in points for v in (p.value, p.low, p.high) if v is not None]
    low, high = min(all_), max(all_)
    if low >= 0 and high <= 1:
        return 0.0, 1.0
    return (low, high) if high > low else (low - 0.5, high + 0.5)
