"""Answers that are spans: against what the official scripts of SQuAD and DROP give, and small cases by hand."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.functions import load_functions
from assay.reading import Scoring
from assay.score import scorer
from assay.types import Scored
from tasks.score import score_of

load_functions()


@pytest.mark.parametrize(
    ("found", "right", "f1"),
    [  # passages of XQuAD around their answers; the F1 of SQuAD's script
        ("ave up just 308 points, ", "308", 0.333333),
        ("l away from Newton, and aft", "Newton", 0.285714),
        ('edits on a "Welfare Cash Card", in the', "Welfare Cash Card", 0.666667),
        ("that ignore market and technology realities. Instead", "market and technology realities", 0.727273),
        ("the Welfare cash-card", "Welfare Cash Card", 0.4),
        ("nothing", "something", 0.0),
    ],
)
def test_the_words_that_two_spans_share(found: str, right: str, f1: float) -> None:
    assert scorer["squad_f1"](found, {"target": [right]}) == pytest.approx(f1, abs=1e-6)
    assert scorer["squad_f1"](found, {"target": ["zzz", right]}) == pytest.approx(f1, abs=1e-6)
    assert not scorer["squad_em"](found, {"target": right})


def test_the_same_span_but_for_case_marks_and_articles() -> None:
    assert scorer["squad_em"](" The  Denver Broncos. ", {"target": ["Carolina Panthers", "denver broncos"]})
    assert scorer["squad_em"]("19th", {"answers": ["19th."]}, gold="answers")


@pytest.mark.parametrize("name", ["squad_em", "squad_f1"])
def test_where_nothing_is_right_only_silence_is(name: str) -> None:
    score, word = scorer[name], {"no_answer": "unanswerable"}
    assert score(None, {"target": []}) == 1 and score("the.", {"target": []}) == 1
    assert score("Paris", {"target": []}) == 0 and score(None, {"target": ["Paris"]}) == 0
    assert score("Unanswerable.", {"target": []}, **word) == 1 and score("Unanswerable.", {"target": []}) == 0
    assert score("unanswerable", {"target": ["unanswerable"]}, **word) == 1
    assert score("unanswerable", {"target": ["Paris"]}, **word) == 0


def test_an_answer_that_could_not_be_read_is_shown_to_those_that_ask_for_it() -> None:
    def scored(name: str) -> Scored:
        return score_of("x", Scoring(name, "", name, scorer[name], {}, "mean", {}), None, {"target": []})

    assert scored("squad_em") == Scored(1.0)
    assert scored("exact_match") == Scored(0.0)


@pytest.mark.parametrize(
    ("found", "right", "em", "f1"),
    [  # as DROP's script gives them
        ("12 yard", [["12-yard"]], 1, 1.0),
        ("4", [["4"], ["4.0"]], 1, 1.0),
        ("Moss, Brady", [["Tom Brady", "Moss"]], 0, 0.33),
        (["4", "3"], [["3", "4"]], 1, 1.0),
        ("10 yards", [["10"]], 0, 0.67),
        ("ten yards", [["10 yards"]], 0, 0.0),
        ("7", [[""], ["7"]], 1, 1.0),
        ("", [[""]], 0, 0.0),
        ("Denver Broncos", [["the Broncos"]], 0, 0.67),
        ("1000", ["1,000"], 1, 1.0),
        (["31"], [["26", "31"]], 0, 0.5),
        ("July 1942", "5 July 1942", 0, 0.8),
    ],
)
def test_drop_aligns_spans(found: Any, right: Any, em: int, f1: float) -> None:
    assert scorer["drop_em"](found, {"target": right}) == em
    assert scorer["drop_f1"](found, {"target": right}) == pytest.approx(f1)


@given(st.lists(st.text("abc 1.-", min_size=1), min_size=1, max_size=4), st.randoms())
def test_the_order_of_spans_does_not_matter(spans: list[str], random: Any) -> None:
    if not spans[0].strip():
        return
    shuffled = random.sample(spans, len(spans))
    assert scorer["drop_em"](shuffled, {"target": [spans]})
    assert scorer["drop_f1"](shuffled, {"target": [spans]}) == 1


@pytest.mark.parametrize(
    ("found", "right", "em", "run", "bag"),
    [
        ("《战国无双3》", "战国无双3", 1, 1.0, 1.0),
        ("光荣和ω-force", "光荣和ω-force开发", 0, 2 * 4 / 10, 2 * 4 / 10),
        ("北京市在北", "在北京市", 0, 2 * 3 / 9, 2 * 4 / 9),
        ("上海", ["北京", "上海。"], 1, 1.0, 1.0),
        ("Apple 公司", "apple公司", 0, 1.0, 1.0),
        ("无", "有", 0, 0.0, 0.0),
        ("3.5%", "3.5 %", 0, 1.0, 1.0),
    ],
)
def test_chinese_spans(found: str, right: Any, em: int, run: float, bag: float) -> None:
    assert scorer["em_zh"](found, {"target": right}) == em
    assert scorer["f1_zh"](found, {"target": right}) == pytest.approx(run)
    assert scorer["f1_zh"](found, {"target": right}, bag=True) == pytest.approx(bag)


def test_an_alias_is_whole_words() -> None:
    match = scorer["alias_match"]
    assert match("I think it was the Beatles, in 1964.", {"target": ["Fab Four", "Beatles"]})
    assert match("U.S.A", {"target": "U.S.A."}) and match("in 北京市", {"target": ["北京"]})
    assert not match("a catalogue", {"target": ["cat"]})
    assert match("The Beatles", {"target": ["beatles"]}, inside=False)
    assert not match("the Beatles of Liverpool", {"target": ["beatles"]}, inside=False)
