"""What was thought is not read, and a thought that was cut off is not an answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.extract import run_chain
from assay.functions import load_functions
from assay.reasoning import MARKS, apart, opened
from assay.types import Extracted, Reply

load_functions()


@pytest.mark.parametrize(
    ("text", "answer", "thought"),
    [
        ("<think>it is 3</think>\n\n4", "4", "it is 3"),
        ("it is 3\n</think>\n4", "4", "it is 3"),
        ("<think>a</think>b<think>c</think>d", "bd", "a\nc"),
        ("<think>a</think> b </think>c", "c", "<think>a</think> b"),
        ("<thinking>3</thinking>4", "4", "3"),
        ("<reasoning>\n3\n</reasoning>    return 4", "    return 4", "3"),
        ("<think></think>", "", ""),
        ("no marks < think >", "no marks < think >", ""),
    ],
)
def test_reasoning_stands_apart(text: str, answer: str, thought: str) -> None:
    reply = apart(Reply(text, finish="stop"))
    assert (reply.text, reply.reasoning, reply.finish) == (answer, thought, "stop")


@pytest.mark.parametrize("finish", ["stop", "length", ""])
def test_a_thought_without_an_end_is_truncated(finish: str) -> None:
    reply = apart(Reply("<think>The answer is B, or not? The answer is C", finish=finish))
    assert reply.text == "" and reply.reasoning.startswith("The answer is B")
    for chain in ("first_option", "last_number", "stripped", "boxed"):
        assert run_chain([chain], reply, {}) == Extracted(None, "", "truncated")


def test_what_was_said_before_a_thought_without_an_end_is_kept() -> None:
    reply = apart(Reply("The answer is B.\n<think>but", finish="stop"))
    assert run_chain(["first_option"], reply, {}).value == "B"


def test_marks_of_a_recipes_own() -> None:
    chain = [[{"after_thinking": {"start": "[T]", "end": "[/T]"}}, "last_number"]]
    assert run_chain(chain, Reply("[T]3[/T] 4"), {}).value == "4"
    assert run_chain(chain, Reply("[T]3", finish="stop"), {}) == Extracted(None, "unended", "truncated")
    assert run_chain(chain, Reply("3[/T]"), {}).status == "none"


def test_a_prompt_may_have_begun_the_reasoning() -> None:
    assert opened("<|assistant|><think>\n") == "<think>\n"
    assert opened("<|assistant|><think>\n\n</think>\n\n") == opened("") == opened("<think> about it") == ""


pieces = st.lists(st.sampled_from([f"<{s}{m}>" for m in MARKS for s in ("", "/")] + ["a", "b ", "\n", "<", "4"]))


@given(pieces)
def test_nothing_marked_is_left_to_be_read(text: list[str]) -> None:
    reply = apart(Reply("".join(text), finish="stop"))
    assert not any(f"<{mark}>" in reply.text or f"</{mark}>" in reply.text for mark in MARKS)
    assert apart(reply) == reply
