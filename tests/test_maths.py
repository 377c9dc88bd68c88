"""Whether two formulas mean the same: as text, and as algebra in a process that can be killed."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from assay import latex, maths
from assay.errors import AssayError
from assay.functions import load_functions
from assay.maths import Verdict
from assay.score import scorer
from assay.types import Scored

load_functions()


@pytest.fixture(scope="module", autouse=True)
def _no_process_is_left() -> Iterator[None]:
    yield
    maths.close()


@pytest.mark.parametrize(
    ("answer", "form"),
    [
        (r"x = \frac12", r"\frac{1}{2}"),
        (r"\$18", "18"),
        ("$[2,5)$", "[2,5)"),
        ("1,234,567", "1234567"),
        ("0,1", "0,1"),
        (r"2\pi \text{ cm}", r"2\pi"),
        (r"\left(3, \frac{\pi}{2}\right)", r"\left(3,\frac{\pi}{2}\right)"),
        (r"\sqrt2", r"\sqrt{2}"),
        (r"\sqrt[3]8", r"\sqrt[3]{8}"),
        (r"90^\circ", "90"),
        (r"\boxed{7}", "7"),
        (r"\text{Evelyn}", "Evelyn"),
        ("12 inches", "12"),
        ("the answer is $5$ dollars", "5"),
    ],
)
def test_minervas_form(answer: str, form: str) -> None:
    assert latex.minerva(answer) == form


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("Final Answer: The final answer is $24$. I hope it is correct.", "24"),
        (r"We see 3. The final answer is $\frac12$. I hope so.", r"\frac{1}{2}"),
        (r"so \boxed{7} it is. Then more.", "so7itis"),  # a box is opened before it is looked for
        ("The final answer is $1,000$. I hope", "1000"),
        ("The final answer is $0.5$. I hope", "0"),  # a full stop ends its sentence
        (r"The final answer is $\left(1,2\right)$. I hope", r"<(1,2\right)"),  # \le is made < wherever it stands
    ],
)
def test_the_form_that_opencompass_gave_in_2023(text: str, form: str) -> None:
    assert latex.opencompass(text) == form


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (r"\frac12", r"\frac{1}{2}", True),
        ("1/2", r"\dfrac{1}{2}", True),
        ("0.5", r"\tfrac{1}{2}", True),
        ("x = 5", "5", True),
        ("5 \\text{ cm}", "5", True),
        (r"50\%", "50", True),
        (r"\left(1,2\right)", "(1, 2)", True),
        (r"\sqrt3", r"\sqrt{3}", True),
        (".5", r"\frac{1}{2}", True),
        ("2", "3", False),
        ("a/b", r"\frac{a}{b}", False),
        (r"1 \text{ a} \text{ b}", r"1 \text{ a} \text{ b}", True),
        ("", "0", False),
    ],
)
def test_the_same_text_once_stripped(one: str, other: str, same: bool) -> None:
    assert latex.same_hendrycks(one, other) is same


@pytest.mark.parametrize(
    ("answer", "full"),
    [
        (r"\frac43", r"\frac{4}{3}"),
        (r"\frac 59", r"\frac{5}{9}"),
        (r"\frac{270}7", r"\frac{270}{7}"),
        (r"11\sqrt2", r"11\sqrt{2}"),
        (r"\frac{\sqrt{3}}{2}", r"\frac{\sqrt{3}}{2}"),
        (r"\sqrt[3]{2}", r"\sqrt[3]{2}"),
    ],
)
def test_braces_around_fractions_and_roots(answer: str, full: str) -> None:
    assert latex.in_full(answer) == full


@pytest.mark.parametrize(
    ("method", "gold", "answer", "equal"),
    [
        ("sympy", r"\frac{1}{2}", "0.5", True),
        ("sympy", "x+1", "1+x", True),
        ("sympy", r"\sqrt{8}", r"2\sqrt{2}", True),
        ("sympy", "(x+1)^2", "x^2+2x+1", True),
        ("sympy", "2", "3", False),
        ("sympy", "x", "y", False),
        ("math_verify", "$1/2$", r"so it is \boxed{0.5}", True),
        ("math_verify", r"$\{1, 2\}$", r"$\{2, 1\}$", True),
        ("math_verify", "$(1, 2)$", "$(2, 1)$", False),
        ("math_verify", "$3$", "I do not know.", False),
        ("opencompass", "$24$", "Final Answer: The final answer is $24$. I hope it is correct.", True),
        ("opencompass", r"$\frac{1}{2}$", r"first $3$, then \boxed{\frac{1}{2}}", True),
        ("opencompass", "$24$", "24", False),  # only LaTeX is read
    ],
)
def test_algebra(method: str, gold: str, answer: str, equal: bool) -> None:
    assert maths.equal(method, gold, answer).equal is equal


@pytest.mark.parametrize(
    ("method", "answer", "detail"),
    [
        ("sympy", "9^{9^{9^9}}", "timeout"),
        ("math_verify", "$9^{9^{9^9}}$", "timeout"),
        ("sympy", "(" * 20_000 + "1" + ")" * 20_000, "RecursionError"),
    ],
)
def test_a_hostile_answer_ends_within_its_limit_and_the_next_is_judged(method: str, answer: str, detail: str) -> None:
    start = time.monotonic()
    verdict = maths.equal(method, "1", answer, limit=2.0)
    assert verdict == Verdict(False, detail)
    assert time.monotonic() - start < 60  # the limit, and the start of a process on a busy machine
    assert maths.equal("math_verify", "$2$", "$2$").equal


def test_what_is_no_formula_is_not_equal_and_says_why() -> None:
    assert maths.equal("sympy", "1", r"\frac{") == Verdict(False, "LaTeXParsingError")
    assert maths.equal("sympy", "1", "") == Verdict(False, "LaTeXParsingError")


def test_an_answer_is_never_run() -> None:
    for text in ("__import__('os').system('exit 7')", "$exec('1/0')$", "lambda: 1", '1\n["sympy", "1", "1"]'):
        assert not maths.equal("sympy", "2", text).equal
        assert not maths.equal("math_verify", "$2$", text).equal
    assert maths.equal("sympy", "2", "2").equal


def test_a_process_that_cannot_start_is_an_error_and_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    maths.close()
    monkeypatch.setattr(maths.sys, "executable", "/bin/false")
    with pytest.raises(AssayError, match="the algebra process does not start"):
        maths.equal("sympy", "1", "1")


def test_processes_are_kept_and_closed() -> None:
    maths.close()
    assert maths.equal("sympy", "1", "1").equal
    (first,) = maths._idle
    assert maths.equal("sympy", "2", "2").equal
    assert maths._idle == [first]
    process = first.process
    maths.close()
    assert process is not None and process.returncode is not None and maths._idle == []


def test_scorers_say_by_which_way_they_found_it() -> None:
    sample = {"target": r"\frac{1}{2}", "solution": r"It is $\boxed{\frac{1}{2}}$."}
    assert scorer["math_match"](r"\frac12", sample) == Scored(1.0, detail="text")
    assert scorer["math_match"]("0.50", sample) == Scored(1.0, detail="math_verify")
    assert scorer["math_match"](r"\frac{2}{3}", sample) == Scored(0.0, detail="math_verify")
    assert scorer["minerva"](r"$\frac12$", sample) == Scored(1.0, detail="text")
    assert scorer["minerva"]("$0.5$", sample) == Scored(1.0, detail="sympy")
    assert scorer["minerva"]("$0.6$", sample) == Scored(0.0, detail="sympy")
    assert scorer["minerva"]("", sample).value == 0.0
    assert scorer["hendrycks"]("0.5", sample) and not scorer["hendrycks"]("0.50", sample)
    assert scorer["math_verify"](r"So \boxed{0.5}.", sample) == Scored(1.0, detail="math_verify")
    assert scorer["math_verify_opencompass"](r"So \boxed{0.5}.", sample) == Scored(1.0, detail="opencompass")


def test_a_timeout_is_not_equal_and_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maths, "equal", lambda *asked: Verdict(False, "timeout"))
    assert scorer["math_match"]("2", {"target": "3"}) == Scored(0.0, detail="timeout")


def test_what_is_right_must_be_readable() -> None:
    assert maths.equal("math_verify", "obviously, nothing", "$4$") == Verdict(False, maths.UNREADABLE)
    for name, solution in (("math_verify", "obviously, nothing"), ("math_verify_opencompass", "\\boxed{}")):
        given = scorer[name]("so $\\boxed{4}$", {"solution": solution})
        assert given == Scored(None, detail=maths.UNREADABLE)
    assert scorer["math_match"]("4", {"target": "$$"}) == Scored(0.0, detail=maths.UNREADABLE)
    assert scorer["math_verify"]("nothing", {"solution": "$4$"}) == Scored(0.0, detail="math_verify")
