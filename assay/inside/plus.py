"""How EvalPlus compares a function with its reference, input by input (Liu et al. 2023, arXiv:2305.01210).

The rules are those of its version 0.3: a float is right within 1e-6, or within the tolerance of the problem; of a few
problems of MBPP the order, or the very value, does not matter.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

AS_SETS = {
    "similar_elements", "find_char_long", "common_in_nested_lists", "extract_singly", "larg_nnum",
    "intersection_array", "find_dissimilar", "Diff",
}  # fmt: skip
WHETHER_ANY = {"check_str", "text_match_three", "text_starta_endb"}
"""A value counts as true, and None as false."""
SECONDS, TIMES = 10.0, 10.0
"""A call may take so many, or so many times what the reference takes, by the clock."""
MOST = 2_000_000
"""Items of a right value: an input with more is left out, since they take long to cross (some of Mbpp/255)."""


def check(
    name: str, candidate: Callable[..., Any], reference: Callable[..., Any], inputs: Sequence[Any], atol: float
) -> None:
    """Raise AssertionError where the candidate differs from the reference on an input, TimeoutError where it takes far
    longer."""
    signal.signal(signal.SIGALRM, _late)
    for given in inputs:
        began = time.monotonic()
        right = reference(*deepcopy(given))
        took = time.monotonic() - began
        if isinstance(right, list) and sum(len(x) if isinstance(x, list | tuple) else 1 for x in right) > MOST:
            continue
        if name in WHETHER_ANY and not isinstance(right, bool):
            right = right is not None
        signal.setitimer(signal.ITIMER_REAL, max(SECONDS, TIMES * took))
        found = candidate(*given)
        signal.setitimer(signal.ITIMER_REAL, 0)
        assert same(name, found, right, given, atol), f"of {given!r:.150}: {found!r:.150}, and right is {right!r:.150}"


def _late(number: int, frame: object) -> None:
    raise TimeoutError("a call took too long")


def same(name: str, found: Any, right: Any, given: Any, atol: float) -> bool:
    """Whether a value is as right as the reference's."""
    if name == "find_zero":
        [terms] = given
        return bool(abs(sum(factor * found**power for power, factor in enumerate(terms))) <= atol)
    if name == "are_equivalent" or (name == "sum_div" and found == 0):
        return True
    if name in AS_SETS:
        return set(found) == set(right)
    if name in WHETHER_ANY:
        return bool((found if isinstance(found, bool) else found is not None) == right)
    if found == right:
        return True
    if atol == 0 and floats(right):
        atol = 1e-6
    return atol != 0 and type(found) is type(right) and close(found, right, atol)


def floats(value: Any) -> bool:
    """Whether a value is a float or a list of nothing else."""
    return isinstance(value, float) or (isinstance(value, list | tuple) and all(isinstance(x, float) for x in value))


def close(found: Any, right: Any, atol: float) -> bool:
    """As numpy's allclose with a relative tolerance of 1e-7, of numbers and of lists of them."""
    if isinstance(right, list | tuple):
        lists = isinstance(found, list | tuple) and len(found) == len(right)
        return lists and all(close(a, b, atol) for a, b in zip(found, right, strict=True))
    if not isinstance(found, int | float | complex):
        return False
    return bool(found == right or abs(found - right) <= atol + 1e-7 * abs(right))
