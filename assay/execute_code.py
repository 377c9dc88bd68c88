"""Scorers of code: whether a program that was found in an answer does what is asked of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from assay.execute import job, runs, two_boxes, unrun, verdict
from assay.inside import text
from assay.keys import key
from assay.programs import Job, Limits, Program, Ran
from assay.score import scorer
from assay.types import Sample, Scored


def limited(seconds: float, memory: int, **more: Any) -> Limits:
    """Limits of so many seconds of the processor, three times as many by the clock, and so many MiB."""
    return Limits(wall=3 * seconds, cpu=seconds, memory=memory, **more)


def _tests(
    value: str, sample: Sample, tests: str = "tests", before: str = "", seconds: float = 10.0, memory: int = 1024
) -> list[Job]:
    limits, checks = limited(seconds, memory), str(sample[tests])
    beside = ["plus.py"] if "import plus" in checks else []
    return [two_boxes((str(sample[before]) if before else "") + value, checks, limits, beside)]


@scorer
@runs(_tests)
def unit_tests(
    ran: Sequence[Ran],
    sample: Sample,
    tests: str = "tests",
    before: str = "",
    seconds: float = 10.0,
    memory: int = 1024,
) -> Scored:
    """Whether a Python program passes the sample's `tests`, which run in a box of their own and call it from there.

    What the sample has as `before` stands in front of the program. The tests are Python and say `program.NAME`.
    Arguments are copied on their way, so what a function does to them in place is not seen by the tests.
    """
    return verdict(ran[0])


def _shared(
    value: str, sample: Sample, tests: str = "tests", reference: str = "reference", seconds: float = 30.0,
    memory: int = 4096,
) -> list[Job]:  # fmt: skip
    limits, checks = limited(seconds, memory, processes=64), str(sample[tests])
    return [
        job(
            Program(
                ("python", "together.py"),
                {"together.py": text("together.py"), "test.py": f"solution = {program!r}\n{checks}"},
                stdin=_word(checks) + "\n",
                limits=limits,
            )
        )
        for program in (value, str(sample[reference]))
    ]


def _word(tests: str) -> str:
    """What only a run to the end says: nothing that a model could know when it wrote."""
    return key("word", tests)


@scorer
@runs(_shared)
def shared_tests(
    ran: Sequence[Ran], sample: Sample, tests: str = "tests", reference: str = "reference", seconds: float = 30.0,
    memory: int = 4096,
) -> Scored:  # fmt: skip
    """Whether a Python program passes tests that share a process with it: arrays, tables, files, figures.

    The tests find the program's text as `solution`. No score where the sample's own reference does not pass here, as
    where a library is missing or newer. Weaker than `unit_tests`: a program that looks for the verdict can forge it.
    """
    mine, right = (_shared_verdict(one, _word(str(sample[tests]))) for one in ran)
    if right.value != 1.0:
        return Scored(None, detail={"skipped": "its reference does not pass here", "why": right.detail})
    return mine


def _shared_verdict(ran: Ran, word: str) -> Scored:
    if missing := unrun(ran):
        return missing
    [outcome] = ran.outcomes
    found = last_line(outcome.stderr) if outcome.end == "exit" else {}
    if found.pop("word", None) == word:
        return Scored(1.0)
    return Scored(0.0, detail=found or {"why": "no verdict", "end": outcome.end, "code": outcome.code})


def last_line(text: str) -> dict[str, Any]:
    """The record on the last line of a text; empty where there is none."""
    try:
        found = json.loads(text.strip().splitlines()[-1])
    except (ValueError, IndexError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
