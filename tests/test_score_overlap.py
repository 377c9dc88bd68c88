"""Free text against references, and what is computed of a whole corpus: as the libraries compute it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.errors import SpecError
from assay.functions import load_functions
from assay.metrics import measure, metric, replicates_of
from assay.score import scorer
from assay.types import Scored, Scores

load_functions()

HEARD = ["The dog bit the man.", "It wasn't surprising.", "The man had just bitten him."]
SAID = [
    ["The dog bit the man.", "The dog had bit the man."],
    ["It was not unexpected.", "No one was surprised."],
    ["The man bit him first.", "The man had bitten the dog."],
]
"""The corpus in sacrebleu's own documentation."""


def scores(details: list[Any], values: list[float] | None = None) -> Scores:
    blank = np.array([""] * len(details))
    return Scores(np.array(values or [0.0] * len(details)), np.ones(len(details)), blank, blank, details)


def corpus(heard: list[str], said: list[Any]) -> Scores:
    details = [scorer["corpus_text"](h, {"target": r}).detail for h, r in zip(heard, said, strict=True)]
    return scores(details)


@pytest.mark.parametrize(
    ("which", "stem", "value"),
    [("rouge1", True, 0.705882), ("rouge2", True, 0.266667), ("rougeL", True, 0.588235), ("rougeL", False, 0.588235)],
)
def test_rouge_is_googles(which: str, stem: bool, value: float) -> None:
    sample = {"target": ["nothing at all", "The quick brown fox jumps over the lazy dog"]}
    found = scorer["rouge"]("The quick brown dog jumps on the log.", sample, which=which, stem=stem)
    assert found == pytest.approx(value, abs=1e-6)


def test_rouge_of_chinese_counts_characters() -> None:
    assert scorer["rouge"]("今天下雨", {"target": "今天有雨"}, which="rouge1", language="zh") == pytest.approx(0.75)
    assert scorer["rouge"]("今天下雨", {"target": "今天有雨"}, which="rouge2", language="zh") == pytest.approx(1 / 3)
    assert scorer["rouge"]("雨今天", {"target": "今天雨GDP"}, language="zh", measure="recall") == pytest.approx(0.5)
    assert scorer["rouge"]("今天下雨", {"target": "今天有雨"}) == 0  # the English tokens of it are none
    with pytest.raises(SpecError, match="wanted which: rouge1"):
        scorer["rouge"]("a", {"target": "a"}, which="rouge3")


def test_how_alike_two_texts_are() -> None:
    assert scorer["edit_similarity"]("return a", {"target": ["x", "return b"]}) == pytest.approx(14 / 16)
    assert scorer["edit_similarity"]("abc", {"target": "abd"}, method="levenshtein") == pytest.approx(2 / 3)
    assert scorer["edit_similarity"]("", {"target": ""}) == 1


def test_references_that_stand_in_a_text() -> None:
    assert scorer["contains_all"]("Alpha and BETA", {"target": ["alpha", "beta", "gamma"]}) == pytest.approx(2 / 3)
    assert scorer["contains_any"]("Alpha and BETA", {"target": ["gamma", "beta"]})
    assert not scorer["contains_any"]("Alpha", {"target": ["alpha"]}, ignore_case=False)
    assert not scorer["contains_any"]("Alpha", {"target": ["", " "]})
    with pytest.raises(SpecError, match="empty list"):
        scorer["contains_all"]("Alpha", {"target": []})


@pytest.mark.parametrize(
    ("step", "value"),
    [
        ("bleu", 48.530827009929865), ("chrf", 59.72751782684763), ({"chrf": {"words": 2}}, 59.15310444399262),
        ("ter", 40.0),
    ],
)  # fmt: skip
def test_a_corpus_is_measured_as_sacrebleu_measures_it(step: Any, value: float) -> None:
    figure = measure(corpus(HEARD, SAID), step)
    assert figure.value == pytest.approx(value / 100)
    assert figure.method == "bootstrap" and figure.ci_low is not None and figure.ci_low <= value / 100


def test_references_may_differ_in_number_and_answers_be_missing() -> None:
    assert measure(corpus(HEARD, [SAID[0], SAID[1][0], SAID[2][:1]]), "bleu").value == pytest.approx(0.4506750632)
    assert scorer["corpus_text"](None, {"target": "a"}) == Scored(0.0, detail={"pred": "", "refs": ["a"]})
    zh = corpus(["我们今天去北京。"], ["我们明天去北京。"])
    assert metric["bleu"](zh, tokenize="zh") == pytest.approx(0.594603557501361)
    assert metric["ter"](zh, asian=True) == pytest.approx(0.125)


def test_what_a_corpus_metric_cannot_do_is_told() -> None:
    with pytest.raises(SpecError, match=r"bleu wants a scorer whose detail is \{pred, refs\}"):
        metric["bleu"](scores([None]))
    with pytest.raises(SpecError, match="wanted tokenize as one of 13a"):
        metric["bleu"](corpus(["a"], ["a"]), tokenize="flores200")


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=3, max_size=3).filter(sum))
def test_a_resample_is_the_corpus_with_its_sentences_repeated(counts: list[int]) -> None:
    whole = corpus(HEARD, SAID)
    again = corpus(
        [h for h, n in zip(HEARD, counts, strict=True) for _ in range(n)],
        [s for s, n in zip(SAID, counts, strict=True) for _ in range(n)],
    )
    for name in ("bleu", "chrf", "ter"):
        drawn = replicates_of(whole, name)(np.array([counts], float))[0]
        assert drawn == pytest.approx(metric[name](again))


def test_how_far_numbers_are_apart() -> None:
    assert scorer["numbers"]("3.5", {"target": 5}) == Scored(1.5, detail={"pred": 3.5, "gold": 5.0})
    assert scorer["numbers"]("high", {"target": 5}).value is None
    with pytest.raises(SpecError, match="wanted a number as target, got 'five'"):
        scorer["numbers"]("3", {"target": "five"})
