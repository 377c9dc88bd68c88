"""One sample as either side has it: what was asked, what came back, what it was worth."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

Score = tuple[float, float]
"""(value, weight)."""
Figure = tuple[float | None, float | None]
"""(value, standard error)."""


@dataclass
class Asked:
    """What was asked for one sample, what came back, and its scores by the metric's title."""

    prompts: list[tuple[str, str]] = field(default_factory=list)
    """(context, continuation)."""
    sums: list[float] = field(default_factory=list)
    text: str | None = None
    gold: str | None = None
    rolling: bool = False
    scores: dict[str, Score] = field(default_factory=dict)


class Side(NamedTuple):
    """A task on one side, by subject ('' for a task without subjects)."""

    samples: dict[str, list[Asked]]
    figures: dict[tuple[str, str], Figure]
    """(subject, the metric's title) -> figure."""
