"""What was read in a model's answers, beside the samples: the steps after postprocess read it here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tasks.context import Run

Row = tuple[Any, ...]
"""ordinal, sample key, replica, filter, value (JSON; none where nothing could be read), the sample's fields."""


def predictions(run: Run, predicted: str, prepared: str, size: int) -> Iterator[list[Row]]:
    """The predictions of a benchmark beside its samples, `size` samples at a time."""
    with run.ledger.read() as con:
        [(last,)] = con.execute("SELECT max(ordinal) FROM predictions WHERE predicted = ?", [predicted]).fetchall()
    for start in range(0, 0 if last is None else last + 1, size):
        with run.ledger.read() as con:
            rows = con.execute(
                "SELECT p.ordinal, p.sample_key, p.replica, p.filter, p.value, s.fields FROM predictions p"
                " JOIN samples s ON s.prepared = ? AND s.ordinal = p.ordinal"
                " WHERE p.predicted = ? AND p.ordinal >= ? AND p.ordinal < ? ORDER BY p.ordinal, p.replica",
                [prepared, predicted, start, start + size],
            ).fetchall()
        yield rows
