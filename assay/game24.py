"""The Game of 24: four numbers from 1 to 13, and +, -, * and / to make 24 of them, each number used once.

There are 1,362 such puzzles with a solution, those that 4nums.com lists and Yao et al. 2023 (arXiv:2305.10601) use; the
paper asks the hundred that people found hard (ranks 901 to 1000 there), and the source here draws from all.
"""

from __future__ import annotations

import ast
import operator
import random
import re
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import combinations, combinations_with_replacement
from typing import Any

from assay.errors import DatasetError, SpecError
from assay.generate_base import generated
from assay.score import scorer
from assay.types import Sample

GOAL = 24
PUZZLES = 1362
LONGEST = 200
"""Characters of an expression that is looked at: Python's parser has limits of its own."""
OPERATIONS: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
}  # fmt: skip


@generated
def game24(rng: random.Random, count: int) -> Iterator[dict[str, Any]]:
    """Puzzles, all different: `numbers`, the smallest first, and `solution`; 1,362 at most, else DatasetError."""
    if count > PUZZLES:
        raise DatasetError(f"generated source game24: wanted {count} puzzles, and there are {PUZZLES}")
    every = list(combinations_with_replacement(range(1, 14), 4))
    rng.shuffle(every)
    made = 0
    for numbers in every:
        if made < count and (solution := solve24(numbers)):
            made += 1
            yield {"numbers": " ".join(map(str, numbers)), "solution": solution}


def solve24(numbers: Sequence[int]) -> str | None:
    """An expression that makes 24 of the numbers; None where there is none."""
    return _search([(number, 1, str(number)) for number in numbers])


def _search(left: list[tuple[int, int, str]]) -> str | None:
    """The same of fractions, written as numerator, denominator and how they came to be."""
    if len(left) == 1:
        top, bottom, written = left[0]
        return written.removeprefix("(").removesuffix(")") if top == GOAL * bottom else None
    for (i, one), (j, other) in combinations(enumerate(left), 2):
        rest = [each for k, each in enumerate(left) if k not in (i, j)]
        for result in _combined(one, other):
            if found := _search([*rest, result]):
                return found
    return None


def _combined(one: tuple[int, int, str], other: tuple[int, int, str]) -> Iterator[tuple[int, int, str]]:
    (a, b, x), (c, d, y) = one, other
    yield a * d + c * b, b * d, f"({x} + {y})"
    yield a * c, b * d, f"({x} * {y})"
    yield a * d - c * b, b * d, f"({x} - {y})"
    yield c * b - a * d, b * d, f"({y} - {x})"
    if c:
        yield a * d, b * c, f"({x} / {y})"
    if a:
        yield c * b, d * a, f"({y} / {x})"


def value_of(expression: str) -> Fraction | None:
    """The exact value of whole numbers under +, -, *, / and brackets; None for anything else, and where it has none."""
    if len(expression) > LONGEST:
        return None
    try:
        return _value(ast.parse(expression.strip(), mode="eval").body)
    except (SyntaxError, ValueError, ZeroDivisionError, RecursionError, MemoryError):
        return None


def _value(node: ast.expr) -> Fraction:
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return Fraction(node.value)
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATIONS:
        return OPERATIONS[type(node.op)](_value(node.left), _value(node.right))
    raise ValueError("no number and no sum, difference, product or quotient of two")


@scorer
def makes_24(value: Any, sample: Sample, of: str = "first", numbers: str = "input") -> bool:
    """Whether an answer makes 24 of exactly the numbers in the field `numbers`; upstream's test, in exact fractions.

    An answer is its last line up to the `=`. Of a list of answers the `first` is looked at, or `any`. Raises SpecError
    for another `of`.
    """
    if of not in ("first", "any"):
        raise SpecError(f"scorer makes_24: wanted of: first or any, got {of!r:.80}")
    answers = value if isinstance(value, list) else [value]
    given = sorted(re.findall(r"\d+", sample[numbers]))
    return any(_is_right(str(answer), given) for answer in (answers[:1] if of == "first" else answers))


def _is_right(answer: str, given: list[str]) -> bool:
    expression = answer.strip().split("\n")[-1].lower().replace("answer: ", "").split("=")[0]
    return sorted(re.findall(r"\d+", expression)) == given and value_of(expression) == GOAL
