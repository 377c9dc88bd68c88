"""Stop strings: what a model wrote, cut where it should have stopped."""

from __future__ import annotations

from collections.abc import Sequence


def cut(text: str, stops: Sequence[str]) -> str:
    """The text before the first of the stop strings; empty ones stop nothing."""
    return text[: min((at for stop in stops if stop and (at := text.find(stop)) >= 0), default=len(text))]
