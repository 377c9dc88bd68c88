"""Generated questions in numbers and letters: sums, sizes, bits, a rule to be found from examples, an exam."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from assay.generate_base import questions
from assay.generate_language import KINDS, fact

LETTERS = "abcdefghijklmnopqrstuvwxyz"
RULES: dict[str, Callable[[list[str]], list[str]]] = {
    "first": lambda letters: letters[:1],
    "last": lambda letters: letters[-1:],
    "same": lambda letters: letters,
    "reversed": lambda letters: letters[::-1],
}
SUBJECTS = ("words", "alphabet", "sums", "land")


@questions
def add(rng: random.Random, digits: int = 2) -> dict[str, Any]:
    """The sum of two numbers, each of one digit up to so many."""
    a, b = (rng.randrange(10**length // 10, 10**length) for length in rng.choices(range(1, digits + 1), k=2))
    return {"question": f"{a} + {b} =", "answer": str(a + b)}


@questions
def reverse(rng: random.Random, longest: int = 6) -> dict[str, Any]:
    """Letters in the opposite order."""
    letters = rng.sample(LETTERS, rng.randint(3, longest))
    return {"question": f"Reverse: {' '.join(letters)}", "answer": " ".join(letters[::-1]), "letters": len(letters)}


@questions
def compare(rng: random.Random) -> dict[str, Any]:
    """The larger of two different numbers of equally many digits, so that a choice's length tells nothing."""
    low = rng.choice([10, 100])
    choices = [str(number) for number in rng.sample(range(low, 10 * low), 2)]
    return {"question": f"Larger: {choices[0]} or {choices[1]}?", "answer": max(choices), "choices": choices}


@questions
def even(rng: random.Random) -> dict[str, Any]:
    """Is a number of one to four digits even or odd?"""
    number = rng.randrange(10 ** rng.randint(1, 4))
    return {
        "question": f"Is {number} even or odd?",
        "answer": "odd" if number % 2 else "even",
        "choices": ["even", "odd"],
    }


@questions
def parity(rng: random.Random, shortest: int = 8, longest: int = 14) -> dict[str, Any]:
    """Is the number of ones in a row of bits even or odd? A small transformer stays at chance: every bit counts."""
    bits = [rng.choice("01") for _ in range(rng.randint(shortest, longest))]
    answer = "odd" if bits.count("1") % 2 else "even"
    return {"question": f"Ones in {' '.join(bits)}: even or odd?", "answer": answer, "choices": ["even", "odd"]}


@questions
def rule(rng: random.Random, only: str | None = None) -> dict[str, Any]:
    """Letters to letters by one of four rules that only examples of the same rule tell: without them, a guess."""
    name = only or rng.choice(list(RULES))
    letters = rng.sample(LETTERS, 4)
    return {"question": f"Rule: {' '.join(letters)}", "answer": " ".join(RULES[name](letters)), "rule": name}


@questions
def exam(rng: random.Random, subjects: tuple[str, ...] = SUBJECTS) -> dict[str, Any]:
    """A question of some subject with four lettered choices, as in MMLU, https://arxiv.org/abs/2009.03300."""
    subject = rng.choice(list(subjects))
    if subject == "land":
        asked, right, choices = fact(rng, ("What is the {trait} of {town}?", "Name the {trait} of {town}."))
    else:
        asked, right, others = _asked(rng, subject)
        choices = rng.sample([right, *rng.sample([other for other in others if other != right], 3)], 4)
    lines = [f"{letter}. {choice}" for letter, choice in zip("ABCD", choices, strict=True)]
    answer = "ABCD"[choices.index(right)]
    return {"question": "\n".join([asked, *lines]), "answer": answer, "choices": list("ABCD"), "subject": subject}


def _asked(rng: random.Random, subject: str) -> tuple[str, str, list[str]]:
    """A question, its answer, and what its wrong choices may be."""
    if subject == "alphabet":
        at = rng.randrange(25)
        return f"Which letter comes after {LETTERS[at]}?", LETTERS[at + 1], list(LETTERS)
    if subject == "words":
        kind, *others = rng.sample(list(KINDS), 4)
        return f"Which is of the kind {kind}?", rng.choice(KINDS[kind]), [rng.choice(KINDS[other]) for other in others]
    a, b = rng.randint(1, 9), rng.randint(1, 9)
    return f"What is {a} + {b}?", str(a + b), [str(n) for n in range(max(2, a + b - 4), a + b + 5)]
