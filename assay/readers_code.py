"""Readers of code benchmarks whose files hold what JSON has no word for: tuples, sets, integers of any size."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from assay.readers import reader

TUPLES = {
    1: {2, 116, 132, 143, 222, 261, 273, 394, 399, 421, 424, 429, 470, 560, 579, 596, 616, 630, 726, 740, 744, 809},
    2: {63, 64, 70, 94, 120, 237, 272, 299, 400, 409, 417, 438, 473, 614, 780},
}
"""Problems of MBPP+ where every argument is a tuple (1), or a list of tuples (2)."""
FIRST_IS_TUPLE = {250, 307, 405, 446, 617, 720, 763, 808}
FIRST_HOLDS_TUPLES = {75, 413, 444, 753}
TUPLES_OF_TUPLES = {259, 401, 445}
ALL_TUPLES = {580, 615, 791}


@reader
def evalplus(path: Path) -> Iterator[dict[str, Any]]:
    """Problems of EvalPlus, the inputs as Python writes them (with `nan` and `inf`): `base`, `plus`."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            kind, number = row["task_id"].split("/")
            for name in ("base", "plus"):
                inputs = row.pop(f"{name}_input")
                inputs = [arguments(int(number), one) for one in inputs] if kind == "Mbpp" else inputs
                row[name] = repr(inputs)
            yield row


def arguments(number: int, given: list[Any]) -> Any:
    """The arguments of a problem of MBPP+ in the types that its contract wants, as EvalPlus restores them."""
    first, rest = given[0], given[1:]
    if number in TUPLES[1]:
        return [tuple(one) for one in given]
    if number in TUPLES[2]:
        return [[tuple(item) for item in one] for one in given]
    if number in FIRST_IS_TUPLE:
        return [tuple(first), *rest]
    if number in FIRST_HOLDS_TUPLES:
        return [[tuple(item) for item in first], *rest]
    if number in TUPLES_OF_TUPLES:
        return [tuple(tuple(item) for item in one) for one in given]
    if number in ALL_TUPLES:
        return _tuples(given)
    match number:
        case 106 | 750:
            return [first, tuple(rest[0])]
        case 115:
            return [[set(item) if isinstance(item, list) and item else {} for item in first]]
        case 124:
            return [float(first), complex(rest[0])]
        case 252:
            return [complex(first)]
        case 278:
            return [tuple(tuple(item) if isinstance(item, list) else item for item in first)]
        case 722:
            return [{name: tuple(value) for name, value in first.items()}, *rest]
    return given


def _tuples(given: Any) -> Any:
    return tuple(map(_tuples, given)) if isinstance(given, list) else given
