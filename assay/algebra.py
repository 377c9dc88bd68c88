"""Algebra on what a model wrote: the process that `assay.maths` asks, a line a question, and kills where it is late."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from assay.maths import UNREADABLE, Verdict

MEMORY = 4 << 30
LONGEST = 120
"""Seconds of processor time after which the process ends by itself, whoever asked."""


def _by_sympy(gold: str, answer: str) -> bool:
    import sympy
    from sympy.parsing.latex import parse_latex

    return bool(sympy.simplify(parse_latex(gold) - parse_latex(answer)) == 0)


def _by_math_verify(gold: str, answer: str) -> bool:
    from math_verify import parse, verify

    right, found = (parse(text, parsing_timeout=None) for text in (gold, answer))
    return bool(verify(_readable(right), found, timeout_seconds=None))


def _by_opencompass(gold: str, answer: str) -> bool:
    from latex2sympy2_extended import NormalizationConfig
    from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse, verify

    right = parse(
        gold,
        extraction_mode="first_match",
        extraction_config=[LatexExtractionConfig(), ExprExtractionConfig()],
        parsing_timeout=None,
    )
    rules = NormalizationConfig(
        nits=False, malformed_operators=False, basic_latex=True, equations=True, boxed="all", units=True
    )
    found = parse(
        answer,
        extraction_mode="first_match",
        extraction_config=[
            LatexExtractionConfig(normalization_config=rules, boxed_match_priority=0, try_extract_without_anchor=False)
        ],
        parsing_timeout=None,
    )
    return bool(verify(found, _readable(right), timeout_seconds=None))


class _Unreadable(Exception):
    """What is right is no answer to the method."""


def _readable(right: list[Any]) -> list[Any]:
    """What was found in the right answer. Raises _Unreadable where that is nothing."""
    if not right:
        raise _Unreadable
    return right


METHODS: dict[str, Callable[[str, str], bool]] = {
    "sympy": _by_sympy,
    "math_verify": _by_math_verify,
    "opencompass": _by_opencompass,
}


def _any_runtime() -> None:
    """Let sympy read LaTeX with whatever ANTLR runtime Math-Verify came with.

    sympy asks for 4.11 by name; the form in which its grammar is compiled is the same from 4.10 on, so newer ones read
    it and say on every use that the numbers differ.
    """
    from sympy.parsing.latex import _parse_latex_antlr as grammar

    grammar.version = lambda package: "4.11"


def _serve() -> None:
    """Read questions until there is no more to read."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    out = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what a library prints is no verdict
    try:
        _any_runtime()
        METHODS["sympy"]("\\frac{1}{2}", "0.5")
        METHODS["math_verify"]("$1$", "$1$")
    except Exception as error:  # noqa: BLE001  whatever is missing is told to the one who started this process
        out.write(f"{type(error).__name__}: {error}\n".encode())
        return
    out.write(b"ready\n")
    for line in sys.stdin.buffer:
        seconds = int(time.process_time() + LONGEST) + 1  # nobody is left to kill it where its parent was killed
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))
        out.write(json.dumps(_verdict(*json.loads(line))).encode() + b"\n")


def _verdict(method: str, gold: str, answer: str) -> Verdict:
    try:
        return Verdict(METHODS[method](gold, answer))
    except MemoryError:
        return Verdict(False, "memory")
    except _Unreadable:
        return Verdict(False, UNREADABLE)
    except Exception as error:  # noqa: BLE001  algebra on free text raises anything: then they are not equal
        return Verdict(False, type(error).__name__)


if __name__ == "__main__":
    _serve()
