"""Exams, law and many languages: letters, points, formulas, terms, corrections, spans; lists in files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from assay.extract import extractor
from assay.functions import load_functions
from assay.readers import reader
from assay.retrieve import retriever
from assay.score import scorer
from assay.types import Extracted, Reply

load_functions()


def found(name: str, text: str, target: list[str], **options: Any) -> Extracted:
    given = extractor[name](Reply(text), {"target": target}, **options)
    assert isinstance(given, Extracted)
    return given


@pytest.mark.parametrize(
    ("text", "parts", "value"),
    [
        ("【解析】 ... <eoe>\n【答案】 A <eoa>", 1, ["A"]),
        ("【答案】: CA <eoa>", 1, ["AC"]),
        ("（1）【答案】 A <eoa>\n（2）【答案】 B <eoa>", 2, ["A", "B"]),
        ("【答案】 A B C D E <eoa>", 5, ["A", "B", "C", "D", "E"]),
        ("[正确答案]B<eoa>", 1, ["B"]),
        ("A项错误，B项正确，因此答案是B、D。", 1, ["BD"]),
        ("The answers are A, C and D.", 1, ["ACD"]),
        ("故选BCD", 1, ["BCD"]),
        ("A、C\nB 是错的", 1, ["AC"]),
        ("ABD", 1, ["ABD"]),
        ("BDAC", 4, ["B", "D", "A", "C"]),
    ],
)
def test_the_letters_of_an_exam(text: str, parts: int, value: list[str]) -> None:
    assert found("exam_letters", text, ["?"] * parts, options="ABCDE").value == value


@pytest.mark.parametrize(
    ("text", "parts", "status"),
    [
        ("A选项讲的是历史，B选项讲的是地理。", 1, "none"),
        ("", 1, "none"),
        ("A good answer needs more words.", 1, "none"),
        ("【答案】 A <eoa>", 3, "ambiguous"),
    ],
)
def test_letters_that_are_no_answer(text: str, parts: int, status: str) -> None:
    given = found("exam_letters", text, ["?"] * parts)
    assert (given.value, given.status) == (None, status)


def test_what_is_marked_as_the_answer() -> None:
    text = "(1)【解析】 因为<eoe>\n【答案】$1$<eoa>\n(2)【答案】 两点\n三点 <eoa>"
    assert extractor["marked_answers"](Reply(text), {}) == "$1$\n两点\n三点"
    assert extractor["marked_answers"](Reply("没有"), {}) is None


@pytest.mark.parametrize(
    ("value", "target", "partial", "share", "parts"),
    [
        (["AC"], ["AC"], 0.5, 1, 1),
        (["A"], ["AC"], 0.5, 0.5, 1),
        (["AB"], ["AC"], 0.5, 0, 1),
        (["A"], ["AC"], 0, 0, 1),
        (["A", "B", "C", "C"], ["A", "B", "C", "D"], 0.5, 0.75, 4),
    ],
)
def test_points(value: list[str], target: list[str], partial: float, share: float, parts: int) -> None:
    given = scorer["exam_points"](value, {"target": target}, partial=partial)
    assert (given.value, given.weight) == (share, parts)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("text", "formula"),
    [
        ("so \\boxed{x = \\frac12}", "\\frac12"),
        ("we get $y$ and then $x=3$ as asked", "3"),
        ("x = 1, y = 2.", "2"),
        ("the sum of 3 and 4 is 7", "7"),
        ("no idea", None),
    ],
)
def test_the_formula_that_agieval_finds(text: str, formula: str | None) -> None:
    assert extractor["agieval_math"](Reply(text), {}) == formula


def test_both_sides_are_read_by_agieval() -> None:
    assert scorer["agieval_match"]("4", {"target": "(3,4]"})
    assert scorer["agieval_match"]("\\frac{1}{2}", {"target": "$\\frac12$"})
    assert not scorer["agieval_match"]("5", {"target": "\\text{even}"})


@pytest.mark.parametrize(
    ("language", "value", "right", "em", "f1"),
    [
        ("en", "The Panthers!", ["a panthers"], True, 1.0),
        ("de", "der Hund", ["Hund"], True, 1.0),
        ("fi", "the koira", ["koira"], False, 2 / 3),
        ("zh", "第一次世界大战", ["世界大战。"], False, 8 / 11),
        ("ja", "「小笠原 諸島」", ["小笠原諸島"], True, 1.0),
        ("ko", None, ["답"], False, 0.0),
    ],
)
def test_spans_of_a_language(language: str, value: str | None, right: list[str], em: bool, f1: float) -> None:
    sample = {"target": right, "language": language}
    assert scorer["span_em"](value, sample) is em
    assert scorer["span_f1"](value, sample) == pytest.approx(f1)


@pytest.mark.parametrize(
    ("task", "value", "target", "score"),
    [
        ("1-1", "为了规范组织，制定本法。", "为了规范组织，制定本法。", 1.0),
        ("1-2", "[正确答案]B<eoa>", "B", 1.0),
        ("1-2", "A或者B", "B", 0.0),
        ("2-1", "证据足以认定指控事实。", "证据足以认定指控事实。", 1.0),
        ("2-1", "证据足以认定指控实施。", "证据足以认定指控事实。", 0.0),
        ("2-1", "证据足以认定起诉事实。", "证据足以认定指控事实。", 1.25 * 1 / (2 + 0.25 * 2)),
        ("2-6", "受害人：戚某某\n地点:无", "受害人:戚某某", 1.0),
        ("2-6", "受害人:戚某某;时间:昨天", "受害人:戚某某", 2 / 3),
        ("2-10", "查扣;退给", "查扣;退给", 1.0),
        ("2-10", "查扣", "查扣;退给", 2 / 3),
    ],
)
def test_lawbench(task: str, value: str, target: str, score: float) -> None:
    sample = {"task": task, "target": target, "input": "证据足以认定指控实施。"}
    assert scorer["lawbench"](value, sample) == pytest.approx(score)


def test_terms_are_sets() -> None:
    sample = {"target": ["染色", "活性染料", "CO2"]}
    assert scorer["terms_f1"]("活性染料、 co2；染色。", sample) == 1.0
    assert scorer["terms_f1"]("染色、染色", sample) == 0.5
    assert scorer["terms_f1"]("", sample) == 0.0


def test_examples_that_share_a_label() -> None:
    pool = [{"labels": ["文学"]}, {"labels": ["新闻学", "新闻传播学"]}, {"labels": ["新闻学"]}, {"labels": ["法学"]}]
    choose = retriever["shared_labels"](pool, 2, 0, "xiezhi")
    assert choose("a", {"labels": ["文学", "新闻学", "新闻传播学"]}, 0) == [1, 2]
    assert choose("b", {"labels": ["数学", "文学"]}, 1) == [0]
    own = retriever["shared_labels"](pool, 2, 0, "xiezhi", own=True)
    assert own("c", pool[2], 2) == [1]


def test_lists_in_files(tmp_path: Path) -> None:
    table, records, columns = tmp_path / "a.csv", tmp_path / "b.json", tmp_path / "c.json"
    table.write_text("q,Right Answers\n何,\"['甲', '乙']\"\n", encoding="utf-8-sig")
    assert next(iter(reader["written_lists"](table, columns=["Right Answers:right"])))["right"] == ["甲", "乙"]
    records.write_text(json.dumps({"data": [{"id": "x", "qs": ["一", "二"], "as": ["A", "B"]}]}))
    rows = list(reader["side_by_side"](records, records="data", columns=["qs:question", "as:answer"]))
    assert rows == [{"id": "x", "question": "一", "answer": "A"}, {"id": "x", "question": "二", "answer": "B"}]
    columns.write_text(json.dumps([{"Q": "何", "Best 1": "甲", "Best 2": "乙", "Wrong 1": "丙"}]))
    [row] = reader["gathered"](columns, right="Best", wrong="Wrong")
    assert (row["right"], row["wrong"]) == (["甲", "乙"], ["丙"])
    records.write_text(json.dumps({"data": [{"qs": ["一"], "as": []}]}))
    with pytest.raises(ValueError, match="shorter"):
        list(reader["side_by_side"](records, records="data", columns=["qs:question", "as:answer"]))
