"""Programs that are given an input and write an output, as in programming contests."""

from __future__ import annotations

import base64
import json
import pickletools
import zlib
from collections.abc import Sequence
from typing import Any

from assay.execute import job, runs, two_boxes, unrun, verdict
from assay.execute_code import limited
from assay.programs import Job, Program, Ran
from assay.score import scorer
from assay.template import template_filter
from assay.types import Sample, Scored

PRELUDE = """\
from typing import *
import bisect, collections, copy, functools, heapq, itertools, math, operator, random, re, string, sys
from bisect import *
from collections import *
from functools import *
from heapq import *
from itertools import *
from math import *
"""
"""What solutions of contests count on, as LiveCodeBench and APPS give it to them."""


def _jobs(value: str, sample: Sample, seconds: float = 6.0, memory: int = 1024) -> list[Job]:
    limits, program = limited(seconds, memory), PRELUDE + value
    if name := sample.get("function"):
        return [two_boxes(program, _calls(str(name), sample["tests"]), limited(seconds * len(sample["tests"]), memory))]
    return [
        job(Program(("python", "program.py"), {"program.py": program}, stdin=str(test["input"]), limits=limits))
        for test in sample["tests"]
    ]


def _calls(name: str, tests: Sequence[Any]) -> str:
    """Tests that call a function, or a method of the class Solution, with the lines of an input, each JSON."""
    cases = [([json.loads(line) for line in test["input"].splitlines()], json.loads(test["output"])) for test in tests]
    return f"""
try:
    function = program.Solution().{name}
except AttributeError:
    function = program.{name}
for given, right in {cases!r}:
    found = function(*given)
    found = list(found) if isinstance(found, tuple) else found
    assert found == right, f"of {{given!r:.150}}: {{found!r:.150}}, and right is {{right!r:.150}}"
"""


@template_filter
def contest_tests(public: str, private: str) -> list[dict[str, str]]:
    """The tests of a problem of LiveCodeBench, which it keeps as JSON, or packed: base64 of zlib of a pickled JSON.

    The pickle is not loaded: the one text in it is taken out.
    """
    try:
        more = json.loads(private)
    except ValueError:
        packed = zlib.decompress(base64.b64decode(private))
        texts = [held for _, held, _ in pickletools.genops(packed) if isinstance(held, str)]
        more = json.loads(texts[0])
    return [{"input": test["input"], "output": test["output"]} for test in (*json.loads(public), *more)]


@template_filter
def apps_tests(input_output: str) -> list[dict[str, str]]:
    """The tests of a problem of APPS, JSON with `inputs` and `outputs`: texts, lists of lines, or where there is a
    `fn_name` the arguments and, in a list of one, the result."""
    told = json.loads(input_output)
    pairs = zip(told["inputs"], told["outputs"], strict=True)
    if "fn_name" in told:
        return [
            {"input": "\n".join(map(json.dumps, given)), "output": json.dumps(_only(right))} for given, right in pairs
        ]
    return [{"input": _lines(given), "output": _lines(right)} for given, right in pairs]


def _only(right: Any) -> Any:
    return right[0] if isinstance(right, list) and right else right


def _lines(text: Any) -> str:
    return "\n".join(map(str, text)) if isinstance(text, list) else str(text)


@scorer
@runs(_jobs)
def contest(ran: Sequence[Ran], sample: Sample, seconds: float = 6.0, memory: int = 1024) -> Scored:
    """Whether a program gives the right output for every one of the sample's `tests`, {input, output} each.

    Where the sample has a `function`, it is called with the input's lines, each JSON, and the tests have a box of
    their own; else the program reads the input and what it writes is compared outside of any box: line by line, without
    the blanks at the ends, numbers by their values.
    """
    if sample.get("function"):
        return verdict(ran[0])
    for place, (one, test) in enumerate(zip(ran, sample["tests"], strict=True)):
        if missing := unrun(one):
            return missing
        [outcome] = one.outcomes
        if outcome.end != "exit" or not same_output(outcome.stdout, str(test["output"])):
            why = outcome.stderr.strip()[-300:] or f"wrote {outcome.stdout[:150]!r}"
            return Scored(0.0, detail={"test": place, "end": outcome.end, "why": why})
    return Scored(1.0)


def same_output(found: str, right: str) -> bool:
    """Whether two outputs are the same as LiveCodeBench has it: lines stripped, else numbers by their values."""
    mine, theirs = ([line.strip() for line in text.strip().splitlines()] for text in (found, right))
    if len(mine) != len(theirs):
        return False
    return all(a == b or [] != _numbers(a) == _numbers(b) for a, b in zip(mine, theirs, strict=True))


def _numbers(line: str) -> list[float]:
    try:
        return [float(word) for word in line.split()]
    except ValueError:
        return []
