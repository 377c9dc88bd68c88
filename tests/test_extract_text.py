"""What is found in a text, and what is not."""

from __future__ import annotations

import math
from typing import Any

import pytest

from assay.errors import SpecError
from assay.extract import extractor, run_chain
from assay.functions import load_functions
from assay.types import Extracted, Reply

load_functions()


def found(step: Any, text: str, sample: dict[str, Any] | None = None) -> Any:
    """What a pipeline of one step finds."""
    return run_chain([step], Reply(text=text, finish="stop"), sample or {}).value


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("so 5 - 3 = 2.", "2"),
        ("it costs $1,234.50.", "1234.50"),
        ("x = -7", "-7"),
        ("5-3", "3"),
        ("from 1990-2000", "2000"),
        ("between 3 and (-4)", "-4"),
        ("#### 12,345,678", "12345678"),
        ("10% of it", "10"),
        ("a loss of -$5", "-5"),
        ("a loss of $-5", "-5"),
        ("at $.50 each", ".50"),
        ("1,2,3", "3"),
        ("1,2345", "2345"),
        ("**18**", "18"),
        ("18\n", "18"),
        ("none at all", None),
        ("", None),
    ],
)
def test_the_last_number(text: str, number: str | None) -> None:
    assert found("last_number", text) == number


def test_the_first_number_is_not_the_last() -> None:
    assert found("first_number", "1,000 of 2 or 3") == "1000"
    assert found("last_number", "1,000 of 2 or 3") == "3"


@pytest.mark.parametrize(
    ("options", "text", "value"),
    [
        ({"pattern": r"#### (\-?[0-9\.\,]+)"}, "so\n#### 1,200.\n#### 5", "1,200."),
        ({"pattern": r"#### (\-?[0-9\.\,]+)"}, "####18", None),
        ({"pattern": r"(-?[$0-9.,]{2,})|(-?[0-9]+)", "select": -1}, "is $18.00, or 7", "7"),
        ({"pattern": r"(-?[$0-9.,]{2,})|(-?[0-9]+)", "select": -1}, "7 or $18.00.", "$18.00."),
        ({"pattern": r"(?<=the answer is )(.*)(?=.)"}, "So the answer is (B).", "(B)"),
        ({"pattern": r"(?<=the answer is )(.*)(?=.)"}, "So The answer is (B).", None),
        ({"pattern": r"answer is (\w+)", "ignore_case": True, "select": 1}, "answer is a. The ANSWER IS b", "b"),
        ({"pattern": r"x", "select": 1}, "x", None),
        ({"pattern": r"x", "select": -2}, "x", None),
        ({"pattern": r"^b", "multiline": True}, "a\nb", "b"),
        ({"pattern": r"( *)"}, "  ", None),
    ],
)
def test_a_pattern_finds_what_lm_evals_filter_finds(options: dict[str, Any], text: str, value: str | None) -> None:
    assert found({"regex": options}, text) == value


def test_a_malformed_pattern_is_told() -> None:
    with pytest.raises(SpecError, match=r"regex: the pattern '\(' is malformed"):
        found({"regex": {"pattern": "("}}, "x")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r"\boxed{1} then \boxed{\frac{1}{2}}.", r"\frac{1}{2}"),
        (r"\boxed{ 3 }", "3"),
        (r"\fbox{a}", "a"),
        (r"$\boxed 5$", "5"),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
        (r"\boxed{1} and \boxed{2", "1"),
        (r"\boxed{}", None),
        (r"\boxed{\boxed{7}}", "7"),
        ("no box", None),
    ],
)
def test_the_last_box(text: str, value: str | None) -> None:
    assert found("boxed", text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Final Answer: The final answer is $24$. I hope it is correct.", "$24$"),
        ("Final Answer: The final answer is $24$. ", "$24$"),
        ("Final Answer: The final answer is $0.5$. I hope it is correct.\n\nProblem", "$0.5$"),
        ("The final answer is $24$.", None),
        ("Final Answer: The final answer is", None),
    ],
)
def test_minervas_last_sentence(text: str, value: str | None) -> None:
    assert found("minerva_answer", text) == value


def test_lines_words_and_what_stands_before_or_after_a_mark() -> None:
    assert found("first_line", "\n\n  yes \nno") == "yes"
    assert found("last_line", "yes\n no \n\n") == "no"
    assert found("first_line", " \n ") is None
    assert found("first_word", ' signs, he said"') == "signs"
    assert found("first_word", '"signs') is None
    assert found({"until": {"stops": ["Question:", "\n\n"]}}, "18\n\nQuestion: 19") == "18"
    assert found({"until": {"stops": ["Question:"]}}, "Question: 19") is None
    assert found({"after": {"marker": "answer is"}}, "The answer is 3. No, the Answer is 4.") == "4."
    assert found({"after": {"marker": "answer is", "last": False}}, "answer is 3. answer is 4") == "3. answer is 4"
    assert found({"after": {"marker": "answer is", "ignore_case": False}}, "Answer Is 4") is None
    assert found({"after": {"marker": "answer is", "required": False}}, " 4 ") == "4"
    assert found("plain", ' **"(B)."** ') == "(B)"
    assert found("plain", "**.**") is None
    assert found("text", " as it is\n") == " as it is\n"


def test_a_thought_is_not_an_answer() -> None:
    assert found("after_thinking", "<think>it is 3</think> 4") == "4"
    assert found("after_thinking", "it is 3</think>4") == "4"
    assert found("after_thinking", " 4 ") == "4"
    assert run_chain(["after_thinking"], Reply(text="<think>it is 3", finish="length"), {}).status == "truncated"


@pytest.mark.parametrize(
    ("text", "question", "value", "method"),
    [
        ("So the answer is (B).", "Options:\n(A) x\n(B) y", "B", "letter"),
        ("I say B", "(A) x", "I", "letter"),
        ("so the answer is b.", "(A) x", "b.", "letter"),
        ("the answer is (C). No, the answer is (D).", "(A) x", "C", "letter"),
        ("So the answer is True.\n\nQ: more", "not True is", "True", "line"),
        ("So the answer is **No**.", "- Yes\n- No", "No", "line"),
        ("42.", "1 + 41 =", "42", "line"),
        ("", "1 + 41 =", None, "line"),
    ],
)
def test_opencompass_reads_big_bench(text: str, question: str, value: str | None, method: str) -> None:
    assert extractor["opencompass_bbh"](Reply(text=text), {"input": question}) == Extracted(value, method)


def test_the_second_alternative_is_a_fallback() -> None:
    chain = [{"regex": {"pattern": r"#### (\d+)"}}, "last_number"]
    assert run_chain(chain, Reply(text="#### 3 and 4"), {}) == Extracted("3", "regex")
    assert run_chain(chain, Reply(text="3 and 4"), {}) == Extracted("4", "last_number", "fallback")


def test_the_likelihood_of_a_continuation() -> None:
    read = extractor["likelihood"]
    assert read(Reply(sums=[-1.5], greedy=[True]), {}) == {"sum": -1.5, "greedy": True}
    assert read(Reply(sums=[-1.5]), {}) == {"sum": -1.5, "greedy": None}
    assert read(Reply(sums=[math.nan], greedy=[False]), {}) == {"sum": None, "greedy": False}
    assert read(Reply(), {}) == {"sum": None, "greedy": None}
    assert math.isfinite(read(Reply(sums=[-math.inf], greedy=[False]), {})["sum"])
