"""Readers of benchmarks that judges decide."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from assay.readers import reader


@reader
def reference_turns(path: Path, first: int, count: int) -> Iterator[dict[str, Any]]:
    """FastChat's reference answers, `references` (a list of turns), to the questions from one number on: a row each,
    with an empty list where there is none, so that they stand beside the questions."""
    rows = map(orjson.loads, path.read_bytes().splitlines())
    found = {row["question_id"]: row["choices"][0]["turns"] for row in rows}
    for number in range(first, first + count):
        yield {"references": found.get(number, [])}
