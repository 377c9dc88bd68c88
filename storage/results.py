"""What a run came to, as the ledger has it."""

from __future__ import annotations

from typing import Any

from storage.ledger import Ledger

FAILED = ("step failed", "request failed")
"""The problems that make a run a failed one: what is missing, and not merely doubtful."""


def figures(book: Ledger, run_id: str) -> list[dict[str, Any]]:
    """The run's headline figures, a row each, in the order of its benchmarks."""
    with book.read() as con:
        found = con.execute(
            "SELECT l.model, l.benchmark, l.dimension, l.metric, l.value, l.ci_low, l.ci_high, l.n, l.n_errors"
            " FROM leaderboard l WHERE l.run_id = ? ORDER BY l.dimension, l.benchmark, l.metric, l.model", [run_id]
        )  # fmt: skip
        names = [column[0] for column in found.description or []]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
