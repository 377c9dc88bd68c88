"""What went wrong in OpenCompass when answers were read and scored and prompts were made, and does not here.

The numbers are those of the study that found them: each was seen in its code, or run. Number 16, right answers that
Math-Verify cannot read and that were then counted as wrong, is in test_maths.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from assay.chat import render
from assay.errors import AssayError
from assay.extract import _STATED, extractor, run_chain
from assay.functions import load_functions
from assay.messages import join_messages
from assay.metrics import measure
from assay.prompt import Prompter
from assay.reasoning import apart
from assay.retrieve import retriever
from assay.score import scorer
from assay.spec import Benchmark, MetaTemplate
from assay.types import Extracted, Message, Reply, Sample, Scores

load_functions()


def read(step: Any, text: str, **sample: Any) -> Extracted:
    return run_chain([step], Reply(text=text, finish="stop"), sample)


def bench(**prompt: Any) -> Benchmark:
    return Benchmark.model_validate(
        {
            "name": "b", "dimension": "reasoning", "sources": [{"files": {"path": "x"}}],
            "sample": {"input": "q", "target": "a"}, "prompt": prompt, "score": ["exact_match"],
        }
    )  # fmt: skip


def asked(benchmark: Benchmark, sample: Sample, demos: Sequence[Sample] = ()) -> list[Message]:
    (ask,) = Prompter(benchmark).asks(sample, demos)
    return join_messages(ask.header, ask.messages)


def test_2_the_first_capital_of_a_sentence_is_no_answer() -> None:
    """`first-capital` read "The answer is B" as T."""
    assert read("first_option", "The answer is B").value == "B"
    assert read("first_option", "Analysis: Clearly Death is bad").value is None


def test_3_a_number_keeps_its_thousands() -> None:
    """The reader of GSM8K had no commas: "1,234" was 234."""
    for name in ("last_number", "quantity"):
        assert read(name, "so she has 1,234").value == "1234"


def test_4_braces_of_formulas_are_single() -> None:
    """The examples of MATH had been written for Python's format, and were shown with double braces."""
    example = {"input": r"\frac{1}{2}", "target": r"\boxed{\sqrt{2}}"}
    (turn,) = asked(bench(template="Q: {{ input }}\nA:"), {"input": "?", "target": ""}, [example])
    assert turn["content"] == "Q: \\frac{1}{2}\nA: \\boxed{\\sqrt{2}}\n\nQ: ?\nA:"
    ours = (path for path in (Path(__file__).parent / "prompts").glob("*math*.txt") if "@opencompass" not in path.name)
    for path in ours:  # those of that name are its prompts to the letter, braces and all
        assert not re.search(r"\\(?:frac|boxed|sqrt|text)\{\{", path.read_text(encoding="utf-8")), path


def test_5_what_all_choices_share_is_in_no_normalization() -> None:
    """The perplexity of a choice was that of the whole text over its length, or its length less one, by the back end.

    So long as a choice's own tokens are scored the question's weigh nothing; the old rule has a name of its own.
    """
    reply = Reply(choices=["no", "certainly"], sums=[-4.0, -4.5], tokens=[1, 3], greedy=[False, False])
    for context in (-10.0, -10_000.0):
        reply.prompt_sums, reply.prompt_lengths = [context - 4.0, context - 4.5], [101, 103]
        sums, means = (run_chain([name], reply, {}).value for name in ("choice_sums", "token_means"))
        assert scorer["acc"](sums, {"target": 0}) and scorer["acc_tokens"](means, {"target": 1})


def test_6_chinese_is_normalized() -> None:
    """`general_cn` normalized a text, threw that away, and gave back the raw one."""
    assert scorer["em_zh"]("《北京》。", {"target": "北京"})
    assert scorer["f1_zh"]("北京，市", {"target": "北京市"}) == 1


def test_7_a_name_is_no_part_of_a_word_and_a_blank_name_no_name() -> None:
    """TriviaQA and NQ looked for substrings, and an alias without letters was in every answer."""
    assert not scorer["alias_match"]("a thematic reply", {"target": ["the", "!", "", "Hem"]})
    assert scorer["alias_match"]("it was Hem.", {"target": ["Hem"]})
    assert not scorer["contains_any"]("whatever", {"target": ["", "\n"]})


def test_8_what_a_question_is_shown_does_not_hang_on_what_else_is_asked() -> None:
    """The random retriever drew from the process's generator, so a partition changed the prompts."""
    pool = [{"input": str(i), "target": ""} for i in range(50)]

    def shown(keys: list[str]) -> dict[str, Any]:
        choose = retriever["random"](pool, 5, 1, "b")
        return {key: choose(key, {"input": key}, 0) for key in keys}

    keys = [f"k{i}" for i in range(10)]
    whole, backwards, alone = shown(keys), shown(keys[::-1]), shown(keys[3:4])
    assert whole == backwards and whole["k3"] == alone["k3"] and len(set(map(str, whole.values()))) > 5


def test_12_another_prompt_is_another_request() -> None:
    """Results were found again by the benchmark's name, whatever its prompt had become."""
    sample = {"input": "1 + 1", "target": "2"}
    keys = [Prompter(bench(template=text)).asks(sample)[0].request_key for text in ("{{ input }}", "{{ input }} =")]
    assert len(set(keys)) == 2
    assert bench(template="a").recipe_key != bench(template="b").recipe_key


def test_15_a_thought_that_was_cut_off_is_no_answer() -> None:
    """An unclosed `<think>` was left in the text and parsed."""
    reply = apart(Reply("<think>Maybe the answer is B, or \\boxed{7}", finish="stop"))
    for name in ("first_option", "last_option", "boxed", "last_number", "stripped"):
        assert run_chain([name], reply, {}) == Extracted(None, "", "truncated")


def test_17_what_a_model_writes_is_never_run(tmp_path: Path) -> None:
    """`general_eval_wrapper` gave the prediction to Python's `eval`."""
    victim = tmp_path / "victim"
    text = f'[__import__("pathlib").Path({str(victim)!r}).touch(), 1]'
    sample = {"input": "?", "target": ["A"], "choices": ["a", "b"]}
    for name in extractor:
        with suppress(AssayError, KeyError):  # some want options or fields that this question has not
            read(name, text, **sample)
    assert not victim.exists()


def test_18_a_value_is_not_a_template() -> None:
    """A value with `{col}` in it was filled in once more."""
    sample = {"input": "print {target} or {{ target }} or {% if 1 %}", "target": "SECRET"}
    (turn,) = asked(bench(template="{{ input }}!"), sample)
    assert turn["content"] == sample["input"] + "!"


def test_19_the_beginning_of_an_answer_is_shown_to_every_model() -> None:
    """The prefix of the model's turn was dropped for chat models: they had another task than base models."""
    turns = asked(bench(template="{{ input }}", prefix="A:"), {"input": "?", "target": "x"})
    assert turns[-1] == {"role": "assistant", "content": "A:"}
    meta = MetaTemplate.model_validate(
        {"round": [{"role": "user", "begin": "<u>"}, {"role": "assistant", "begin": "<a>", "generate": True}]}
    )
    assert render(turns, None, "gen").endswith("A:") and render(turns, meta, "gen").endswith("<a>A:")


@pytest.mark.parametrize(
    ("name", "step", "options"),
    [
        ("exact_match", "mean", {}),
        ("classified", "f1", {}),
        ("squad_f1", "mean", {}),
        ("drop_f1", "mean", {}),
        ("rouge", "mean", {}),
        ("edit_similarity", "mean", {}),
        ("corpus_text", "bleu", {}),
        ("corpus_text", "chrf", {}),
        ("contains_all", "mean", {}),
        ("truthful", "mean", {"measure": "bleu", "part": "max"}),
    ],
)
def test_21_all_is_well_is_one(name: str, step: str, options: dict[str, Any]) -> None:
    """One evaluator's `f1` was a share, and its other figures were of a hundred."""
    import numpy as np

    text = "the quick brown fox jumps"
    sample = {"target": text, "correct_answers": [text], "incorrect_answers": ["no"]}
    given = scorer[name](text, sample, **options)
    value, detail = getattr(given, "value", given), getattr(given, "detail", None)
    blank = np.array([""])
    assert measure(Scores(np.array([float(value)]), np.ones(1), blank, blank, [detail]), step).value == pytest.approx(1)


SAID = [
    "The answer to that question is B, as we saw",
    "so I would choose option B here",
    r"hence \boxed{\text{B}} follows",
    "of these B is the most likely by far",
    "综合来看答案应该是B才对吧",
    "这里应该选B吧",
    "错误的选项是B",
    "经过比较B是正确",
    "只有B对",
    "因此，B",
]


def test_22_each_pattern_stands_for_itself() -> None:
    """A missing comma had made one pattern of two of `first_option`, which neither sentence matched."""
    assert len(SAID) == len(_STATED)
    for pattern, text in zip(_STATED, SAID, strict=True):
        assert re.search(pattern.replace("LETTER", "(B)(?![A-Za-z])"), text), pattern
        assert read("first_option", text) == Extracted("B", "stated")
