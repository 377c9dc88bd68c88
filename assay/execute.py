"""Scorers that run programs: the jobs that they want run, and what a job's end says.

Such a scorer has two halves, both pure: `@runs(jobs)` names a function `(value, sample, **options)` that gives the jobs
of an answer, and the scorer itself is called with how they ended, `(ran, sample, **options)`. What runs them is the
step `execute`, in the sandbox of the run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from assay.inside import text
from assay.keys import key
from assay.programs import Job, Limits, Program, Ran
from assay.types import Scored

Jobs = Callable[..., Sequence[Job]]
"""`(value, sample, **options)` -> what has to run for the score of an answer."""

S = TypeVar("S", bound=Callable[..., Any])


def runs(jobs: Jobs) -> Callable[[S], S]:
    """Say which jobs a scorer wants run: it gets how they ended (a Ran each, in their order) in place of the answer."""

    def mark(function: S) -> S:
        function.__dict__["jobs"] = jobs
        return function

    return mark


def jobs_of(scorer: Any) -> Jobs | None:
    """The jobs of a scorer that runs programs, None for any other."""
    jobs: Jobs | None = getattr(scorer, "jobs", None)
    return jobs


def job(*programs: Program) -> Job:
    """A job under the key of all that its programs are given."""
    told = [[list(p.command), dict(p.files), p.stdin, p.limits.model_dump()] for p in programs]
    return Job(key("job", told), programs)


def two_boxes(program: str, tests: str, limits: Limits, files: Sequence[str] = ()) -> Job:
    """A Python program and the trusted tests of it, each in a box of its own; `files` of `assay/inside` are beside the
    tests."""
    beside = {name: text(name) for name in ("tester.py", "wire.py", *files)} | {"test.py": tests}
    served = {name: text(name) for name in ("serve.py", "wire.py")} | {"program.py": program}
    return job(
        Program(("python", "tester.py"), beside, limits=limits), Program(("python", "serve.py"), served, limits=limits)
    )


def verdict(ran: Ran) -> Scored:
    """What the tester of a job of `two_boxes` found: 1 or 0, and why; no score where there is no such language."""
    if missing := unrun(ran):
        return missing
    tester, program = ran.outcomes
    try:
        found = json.loads(tester.stderr.strip().splitlines()[-1]) if tester.end == "exit" else {}
    except (ValueError, IndexError):  # it was ended before it had a verdict
        found = {}
    if found.get("passed") is True:
        return Scored(1.0)
    why = {"why": found.get("why", "no verdict"), "line": found.get("line")}
    if not found or why["why"].startswith("Ended"):  # else it is the sandbox that ended it, when all was known
        why["end"] = [tester.end, program.end]
    return Scored(0.0, detail=why)


def unrun(ran: Ran) -> Scored | None:
    """No score, and why, where a program of a job could not be started: its language is not here."""
    for outcome in ran.outcomes:
        if outcome.end == "failed":
            return Scored(None, detail={"skipped": outcome.stderr.strip()[:500]})
    return None
