"""curves: a family's figures by training step, as pictures and tables in the Prefect UI, a page a dimension."""

from __future__ import annotations

import base64
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import groupby

from prefect.artifacts import create_markdown_artifact

from assay.compare import LESS_IS_BETTER
from assay.curves import Curve, Point, picture
from assay.reading import scorings
from assay.shown import interval
from assay.spec import Benchmark
from assay.statistics import macro
from assay.types import Figure
from storage.paired import Measured

SHOWN = 10
"""Steps of each curve in the table, the newest first; the ledger has them all."""
Line = tuple[str, str]
"""A benchmark and its metric."""


def show_curves(family: str, figures: Sequence[Measured], benchmarks: Mapping[str, Benchmark]) -> None:
    """An artifact for each dimension: the curve of its mean, of each of its benchmarks, and the table behind them."""
    less = less_is_better(benchmarks.values())
    for dimension, rows in groupby(figures, key=lambda row: row.dimension):
        curves = curves_of(dimension, list(rows), less)
        if curves:
            create_markdown_artifact(
                page(f"{family}: {dimension}", curves),
                key=slug("curve", family, dimension),
                description=f"Checkpoints of {family} on {dimension}, value and 95 % interval by training step",
            )


def less_is_better(benchmarks: Iterable[Benchmark]) -> set[Line]:
    """The figures that are the better the lower they are."""
    return {(b.id, one.shown) for b in benchmarks for one in scorings(b) if one.metric in LESS_IS_BETTER}


def curves_of(dimension: str, figures: Sequence[Measured], less: Collection[Line]) -> list[Curve]:
    """The curve of a dimension's mean, and of each figure in it.

    The mean is over the figures for which more is better, at the steps that have them all; its interval takes their
    errors as independent.
    """
    lines: dict[Line, list[Measured]] = {}
    for row in figures:
        if row.value is not None:
            lines.setdefault((row.benchmark, row.metric), []).append(row)
    shared = [rows for line, rows in lines.items() if line not in less]
    by_step: dict[int, list[Figure]] = {}
    for row in (row for rows in shared for row in rows):
        by_step.setdefault(row.step, []).append(Figure(row.value, row.stderr, row.ci_low, row.ci_high))
    means = [(step, macro(found)) for step, found in sorted(by_step.items()) if len(found) == len(shared)]
    points = [Point(step, mean.value, mean.ci_low, mean.ci_high) for step, mean in means if mean.value is not None]
    curves = [Curve(f"{dimension}: mean of {len(shared)}", points)] if points else []
    return curves + [
        Curve(
            f"{benchmark} ({metric})",
            [Point(r.step, r.value, r.ci_low, r.ci_high) for r in rows if r.value is not None],
        )
        for (benchmark, metric), rows in lines.items()
    ]


def page(title: str, curves: Sequence[Curve]) -> str:
    """A picture of curves and the table of their newest figures, as markdown."""
    image = base64.b64encode(picture(curves).encode()).decode()
    rows = [
        f"| {curve.title.replace('|', chr(92) + '|')} | {p.step} | {interval(p.value, p.low, p.high)} |"
        for curve in curves
        for p in curve.points[: -SHOWN - 1 : -1]
    ]
    head = [f"# {title}", "", f"![{title}](data:image/svg+xml;base64,{image})", ""]
    return "\n".join([*head, "| curve | step | value |", "|---|---|---|", *rows])


def slug(*parts: str) -> str:
    """The key of an artifact: Prefect takes small letters, digits and dashes."""
    return re.sub("[^a-z0-9]+", "-", "-".join(parts).lower()).strip("-")
