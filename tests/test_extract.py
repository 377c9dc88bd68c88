"""What is found in a reply, what is not, and what choices are worth."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.errors import SpecError
from assay.extract import LEAST, extractor, run_chain
from assay.score import scorer
from assay.types import Extracted, Reply, Scored

ENGLISH = {
    "B": "B", " (C)": "C", "**D**": "D", "b": "B", "B.": "B", "Option C": "C", "D) because": "D",
    "The answer is B": "B", "The Answer is B": "B", "The answer is: (B).": "B", "The answer is:\n\n**C**": "C",
    "ANSWER: C": "C", "answer: **D**": "D", "Answer:\n\nD": "D", "The correct answer is option B": "B",
    "The answer to the question is A.": "A", "So the answer must be C, not D.": "C", "A is correct.": "A",
    "Answer: A because it is": "A", "I would choose C": "C", r"$\boxed{\text{D}}$": "D", r"\boxed{B}": "B",
    "A. Paris": "A", "B because of that": "B", "The best one here: D": "D", "I think it's D": "D",
    "B\n\nQuestion: and another?\nAnswer: C": "B",
    "First, A is wrong. The answer is B. Hmm, the answer is C": "B",
}  # fmt: skip
CHINESE = {
    "答案是B": "B", "答案：C": "C", "答案: **A**": "A", "答案是: D": "D", "故选D。": "D", "正确答案为 C。": "C",
    "因此，选B": "B",
    "选项A错误，选项B正确。": "B", "错误的是D": "D", "本题选择C选项": "C", "选项B": "B", "B选项": "B", "只有D对": "D",
    "所以B": "B", "综上所述，B": "B", "显然C。": "C", "D、": "D", "C）": "C", "B是正确的，A不对": "B",
    "因为这样，答案应该选A。": "A",
}  # fmt: skip
NOTHING = [
    "", "  ", "E", "Analysis first.", "As an AI, I cannot say", "A dog runs", "Answer: A man is riding", "A is wrong",
    "The answer is not A", "不选A", "答案是AB", "Both A and B", "A和B都可以", "DNA and BBC", "42",
]  # fmt: skip


@pytest.mark.parametrize(("text", "letter"), [*ENGLISH.items(), *CHINESE.items()])
def test_the_letter_that_a_reply_gives(text: str, letter: str) -> None:
    assert run_chain(["first_option"], Reply(text), {}).value == letter


@pytest.mark.parametrize("text", NOTHING)
def test_no_letter_is_guessed(text: str) -> None:
    for name in ("first_option", "last_option"):
        assert run_chain([name], Reply(text), {}).value is None


@given(st.text(alphabet="abcdefghij EFGHIJKLMNOP.,:()\n答案是选项的", max_size=60))
def test_a_text_without_the_letters_has_none(text: str) -> None:
    found = run_chain([{"first_option": {"options": "QRST"}}], Reply(text), {})
    assert found.value is None


@given(st.text(max_size=80), st.sampled_from(["AB", "ABCD", "ABCDEFGHIJ"]))
def test_what_is_found_is_one_of_the_options_and_in_the_text(text: str, options: str) -> None:
    for name in ("first_option", "last_option"):
        found = run_chain([{name: {"options": options}}], Reply(text), {})
        assert found.value is None or (found.value in options and found.value in text.upper())


@given(
    st.sampled_from("ABCD"),
    st.sampled_from(["{}", "({})", "**{}**", '"{}"', "{}.", "{}\n", " {}", "[{}]", r"\boxed{{{}}}", "`{}`"]),
    st.sampled_from(["{}", "The answer is {}", "Well.\nAnswer: {}", "答案是{}", "所以正确答案为：{}", "应该选{}"]),
)
def test_wrapping_hides_no_letter(letter: str, wrapping: str, sentence: str) -> None:
    found = run_chain(["first_option"], Reply(sentence.format(wrapping.format(letter))), {})
    assert (found.value, found.status) == (letter, "ok")


def test_the_first_answer_or_the_last() -> None:
    reply = Reply("So is it A?\nThe answer is B.\nNo: the answer is C")
    assert run_chain(["first_option"], reply, {}) == Extracted("B", "stated", "ambiguous")
    assert run_chain(["last_option"], reply, {}) == Extracted("C", "stated", "ambiguous")
    assert run_chain(["last_option"], Reply("A: too big. B: fits.\nB"), {}).value == "B"


def test_letters_are_as_many_as_the_choices() -> None:
    assert run_chain(["first_option"], Reply("E"), {"choices": list("vwxyz")}).value == "E"
    assert run_chain(["first_option"], Reply("C"), {"choices": ["one", "two"]}).value is None
    assert run_chain([{"first_option": {"options": "XY"}}], Reply("The answer is Y"), {}).value == "Y"


def test_several_letters_without_a_cue_are_told_as_ambiguous() -> None:
    assert run_chain(["first_option"], Reply("Both A and B"), {}) == Extracted(None, "several letters", "ambiguous")
    assert run_chain(["first_option"], Reply("I think it's D"), {}).status == "fallback"


def test_alternatives_and_pipelines() -> None:
    assert run_chain(["stripped"], Reply(" x "), {}) == Extracted("x", "stripped", "ok")
    assert run_chain(["first_option", "stripped"], Reply("none"), {}) == Extracted("none", "stripped", "fallback")
    assert run_chain(["first_option", "stripped"], Reply("B"), {}).status == "ok"
    assert run_chain([("stripped", "first_option")], Reply(" B"), {}) == Extracted("B", "stripped > alone", "ok")
    assert run_chain([["first_option", "stripped"]], Reply("maybe D"), {}).status == "fallback"
    assert run_chain([["first_option", "stripped"], "stripped"], Reply("maybe"), {}).value == "maybe"


@pytest.mark.parametrize(("finish", "status"), [("length", "truncated"), ("stop", "none"), ("", "none")])
def test_nothing_found_says_why(finish: str, status: str) -> None:
    assert run_chain(["first_option"], Reply("so then", finish=finish), {}).status == status
    assert run_chain(["first_option"], Reply("The answer is B", finish=finish), {}).status == "ok"


def test_what_is_not_there_is_told() -> None:
    with pytest.raises(SpecError, match="did you mean first_option"):
        run_chain(["first_opton"], Reply("B"), {})
    with pytest.raises(SpecError, match=r"first_option: .*'option'; its options: .*options"):
        run_chain([{"first_option": {"option": "AB"}}], Reply("B"), {})
    with pytest.raises(SpecError, match="at least one step"):
        run_chain([[]], Reply("B"), {})


def test_a_fault_inside_an_extractor_is_its_own() -> None:
    def broken(reply: Reply, sample: Any) -> str:
        return reply.text + None  # type: ignore[operator]

    extractor.items["broken"] = broken
    try:
        with pytest.raises(TypeError, match="str"):
            run_chain(["broken"], Reply("B"), {})
    finally:
        del extractor.items["broken"]


def choices(sums: list[float], texts: list[str]) -> Any:
    return run_chain(["choice_sums"], Reply(sums=sums, choices=texts), {}).value


def test_log_probabilities_that_are_none_are_not_found() -> None:
    assert choices([-1.0, math.nan], ["a", "b"]) is None
    assert choices([], []) is None
    assert choices([-1.0], ["a", "b"]) is None
    assert choices([-1.0, -math.inf], ["a", "b"])["sums"] == [-1.0, LEAST]


def test_opencompass_divides_the_whole_text_by_its_length() -> None:
    reply = Reply(choices=["x", "y"], prompt_sums=[-30.0, -33.0], prompt_lengths=[10, 12], sums=[-1.0, -9.0])
    found = run_chain(["prompt_means"], reply, {}).value
    assert found["sums"] == [-3.0, -2.75]
    assert scorer["acc_ppl"](found, {"target": 1}) and scorer["acc"](choices([-1.0, -9.0], ["x", "y"]), {"target": 0})


sums_and_texts = st.integers(2, 6).flatmap(
    lambda n: st.tuples(
        st.lists(st.floats(-500, -1e-3), min_size=n, max_size=n),
        st.lists(st.text(min_size=1, max_size=12), min_size=n, max_size=n),
        st.integers(0, n - 1),
    )
)


@given(sums_and_texts)
def test_accuracies_are_lm_evals(drawn: tuple[list[float], list[str], int]) -> None:
    sums, texts, gold = drawn
    found, values = choices(sums, texts), np.array(sums)
    sample = {"target": gold}
    assert scorer["acc"](found, sample) == (np.argmax(values) == gold)
    assert scorer["acc_norm"](found, sample) == (np.argmax(values / np.array([len(t) for t in texts])) == gold)
    lengths = np.array([len(t.encode()) for t in texts])
    assert scorer["acc_bytes"](found, sample) == (np.argmax(values / lengths) == gold)
    shares = np.exp(values - values.max())
    shares /= shares.sum()
    chosen = scorer["chosen"](found, sample)
    assert isinstance(chosen, Scored) and chosen.detail.pop("shares") == pytest.approx(shares.tolist())
    assert chosen.detail == {"pred": int(np.argmax(values)), "gold": gold}
    assert scorer["chosen"](None, sample) == Scored(None)
    assert scorer["mass"](found, sample) == pytest.approx(shares[gold])
    assert scorer["brier"](found, sample) == pytest.approx(((shares - (np.arange(len(sums)) == gold)) ** 2).sum())


def test_several_right_choices_and_targets_that_are_texts() -> None:
    found = choices([-1.0, -2.0, -3.0], ["a", "b", "c"])
    assert scorer["acc"](found, {"target": "a"}) and not scorer["acc"](found, {"target": "b"})
    assert scorer["acc"](found, {"target": [0, 2]}) and not scorer["acc"](found, {"target": [1, 2]})
    assert scorer["mass"](found, {"target": [0, 1, 2]}) == pytest.approx(1)
    assert scorer["mass"](choices([-2000.0, -2000.0], ["a", "b"]), {"target": 1}) == pytest.approx(0.5)
    for target in (3, "d", None, True):
        with pytest.raises(SpecError):
            scorer["acc"](found, {"target": target})


def test_the_first_of_equals_is_chosen() -> None:
    assert scorer["acc"](choices([-1.0, -1.0], ["a", "b"]), {"target": 0})


def test_a_letter_is_right() -> None:
    option = scorer["option"]
    assert option("C", {"target": 2}) and option("C", {"target": "C"}) and option("C", {"target": [0, 2]})
    assert not option("C", {"target": 1}) and not option("A", {"target": "C"})
    assert option("B", {"target": 0}, letters="BA") and option("A", {"target": 1}, letters="BA")
    for target in (26, -1, "the third", None, ""):
        with pytest.raises(SpecError, match="wanted one of the letters"):
            option("C", {"target": target})


def test_scorers_say_what_they_read() -> None:
    assert {name: getattr(scorer[name], "reads", None) for name in ("acc", "acc_norm", "acc_ppl", "option")} == {
        "acc": "choice_sums", "acc_norm": "choice_sums", "acc_ppl": "prompt_means", "option": None,
    }  # fmt: skip
