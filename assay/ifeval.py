"""IFEval: whether a reply follows the instructions of its prompt, strictly or loosely (arXiv:2311.07911).

Strictly: the reply as it is. Loosely: the reply, or what is left of it without its first line, its last line, or both,
each with and without asterisks; one of the eight is enough, and it may be another one for each instruction.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from assay.errors import SpecError, unknown
from assay.ifeval_checks import CHECKS
from assay.ifeval_words import splitter
from assay.template import template_filter


class Levels(NamedTuple):
    """How a reply stands to each instruction of its prompt."""

    followed: list[bool]
    detail: dict[str, Any]
    """`instructions`, `followed`; and `sentences`: what split them, `punkt` or `rules`, where they were counted."""


def followed(reply: str, instructions: Sequence[str], parameters: Sequence[Mapping[str, Any]], loose: bool) -> Levels:
    """Which instructions a reply follows; an empty reply follows none.

    Raises SpecError for an unknown instruction or where a parameter is missing or too much.
    """
    readings = list(filter(str.strip, variants(reply))) if loose else [reply] * bool(reply.strip())
    found = [_follows(readings, *one) for one in zip(instructions, parameters, strict=True)]
    detail: dict[str, Any] = {"instructions": list(instructions), "followed": found}
    if "length_constraints:number_sentences" in instructions:
        detail["sentences"] = splitter()[0]
    return Levels(found, detail)


@template_filter
def given(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of an instruction that hold something: the hub's rows name all there are, most of them null."""
    return {name: value for name, value in parameters.items() if value}


def variants(reply: str) -> Iterator[str]:
    """The reply in eight readings, each once: what the loose criterion tries."""
    lines = reply.split("\n")
    cut = [reply, *("\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1]))]
    yield from dict.fromkeys([*cut, *(one.replace("*", "") for one in cut)])


def _follows(readings: Sequence[str], name: str, parameters: Mapping[str, Any]) -> bool:
    if name not in CHECKS:
        raise SpecError(unknown("IFEval instruction", name, CHECKS))
    check = CHECKS[name]
    try:
        inspect.signature(check).bind("", **parameters)
    except TypeError as error:
        raise SpecError(f"IFEval instruction {name}: {error}; the data give {sorted(parameters)}") from None
    return any(check(reading, **parameters) for reading in readings)
