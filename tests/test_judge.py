"""Judges: what they are asked, how strictly they are read, what their verdicts come to, and a whole run with them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assay.catalog import make_spec
from assay.errors import SpecError
from assay.extract import extractor
from assay.functions import load_functions
from assay.metrics import measure
from assay.score import scorer
from assay.solve import Exchange, Question, solver
from assay.types import Judgement, Reply, Scores
from flows.running import run_spec
from storage.ledger import Ledger
from tasks.check import check

load_functions()
PROMPT = [{"role": "user", "content": "What is 1 + 1?"}]
SAMPLE = {"input": "What is 1 + 1?", "target": "2", "reference": "It is 2.", "turns": ["What is 1 + 1?", "Why?"]}
GRADES = {"A": "correct", "B": "incorrect", "C": "not_attempted"}


def said(*texts: str, judges: int = 1, answer: str = "2") -> Reply:
    """A reply with judgements: each judge's in turn."""
    return Reply(answer, judgements=[Judgement(f"j{i % judges}", i // judges, text) for i, text in enumerate(texts)])


def exchange(round_: int, text: str, role: str = "subject", turn: int = 0, by: str = "") -> Exchange:
    return Exchange(round_, turn, Question(PROMPT, role=role), Reply(text), by)


@pytest.mark.parametrize(
    ("text", "label"),
    [("A", "correct"), (" B.\n", "incorrect"), ("The Answer is B", None), ("Analysis: it is wrong. B", None),
     ("", None), ("D", None), ("a", None)],
)  # fmt: skip
def test_a_verdict_is_a_letter_alone(text: str, label: str | None) -> None:
    """OpenCompass takes the first capital A or B anywhere, and so `The Answer is B` and `Analysis:` for correct."""
    found = extractor["verdict"](said(text), SAMPLE, labels=GRADES)
    assert (found.value and found.value["label"], found.status) == (label, "ok" if label else "none")
    assert found.value is None or scorer["judged_as"](found.value, SAMPLE).value == float(label == "correct")


@pytest.mark.parametrize(
    ("texts", "label", "status"),
    [("AAB", "correct", "ok"), ("AB", None, "ambiguous"), ("A?", None, "ambiguous"), ("AA?", "correct", "fallback"),
     ("ABC", None, "ambiguous"), ("???", None, "none")],
)  # fmt: skip
def test_of_several_judges_more_than_half_count(texts: str, label: str | None, status: str) -> None:
    found = extractor["verdict"](said(*texts, judges=len(texts)), SAMPLE, labels=GRADES)
    assert (found.value and found.value["label"], found.status) == (label, status)
    assert found.value is None or len(found.value["judges"]) == len(texts), "who disagreed is not lost"


def test_ratings_are_in_their_form_and_range_or_none() -> None:
    rate = extractor["rating"]
    assert rate(said("Good. Rating: [[7]]"), SAMPLE).value == {"turns": {"0": 7}, "judges": {"j0": {"0": 7}}}
    for text in ("Rating: 7", "[[11]]", "[[0]]", "[[3]] or [[4]]", "[[seven]]", ""):
        assert rate(said(text), SAMPLE).value is None
    both = rate(said("[[4]]", "[[8]]", "[[2]]", "none", judges=2), SAMPLE)
    assert (both.value["turns"], both.status) == ({"0": 6, "1": 2}, "fallback")
    assert scorer["rated"](both.value, SAMPLE).value == 4 and scorer["rated"](both.value, SAMPLE, turn=1).value == 2
    assert scorer["rated"](None, SAMPLE).value is None, "a rating that nobody gave is no 0"


def test_a_rubric_is_json_of_these_criteria_and_bounds() -> None:
    criteria = {"clear": [1, 5], "true": [1, 5]}

    def points(text: str) -> Any:
        return extractor["rubric"](said(text), SAMPLE, criteria=criteria).value

    assert points('```json\n{"clear": 4, "true": 2, "why": "so"}\n```')["turns"] == {"0": 3}
    for text in ('{"clear": 4}', '{"clear": 4, "true": 6}', '{"clear": 4, "true": 2, "kind": 3}', "[4, 2]", "4 and 2",
                 '{"clear": "4", "true": 2}', 'Here: {"clear": 4, "true": 2}'):  # fmt: skip
        assert points(text) is None


def test_a_preference_speaks_of_the_evaluated_model_in_both_orders() -> None:
    labels = {"A>>B": 2, "A>B": 1, "A=B": 0, "B>A": -1, "B>>A": -2}
    found = extractor["preference"](
        said("so [[A>B]]", "so [[B>>A]]"), SAMPLE, labels=labels, pattern=r"\[\[([AB<>=]+)\]\]", other="reference"
    )
    assert found.value == {"games": [["j0", 0, 1], ["j0", 1, 2]], "lengths": [1, 8]}
    assert scorer["win"](found.value, SAMPLE).value == 1
    swapped = {"games": [["j0", 0, 1], ["j0", 1, -1]], "lengths": None}
    assert scorer["win"](swapped, SAMPLE).value == 0.5, "whoever stands first wins: that is a tie"
    mixed = {"games": [["j0", 0, 2], ["j0", 1, -1]], "lengths": None}
    assert scorer["win"](mixed, SAMPLE, strong=3).value == 0.75
    assert scorer["win"](mixed, SAMPLE, agreed=True).value == 0.5


def test_turns_come_first_and_then_a_judge_is_asked_of_each() -> None:
    ask = solver["judged"]
    told: dict[str, Any] = {"template": "{{ turns[turn] }} {{ answer }}", "turns": "turns", "each": "every"}
    (second,) = ask(SAMPLE, PROMPT, [exchange(0, "<think>hm</think>Two.")], **told)
    assert [m["content"] for m in second.messages] == ["What is 1 + 1?", "Two.", "Why?"], "thoughts are not quoted"
    own = [exchange(0, "Two."), exchange(1, "Because.")]
    questions = ask(SAMPLE, PROMPT, own, **told)
    assert [(q.role, q.messages[-1]["content"]) for q in questions] == [
        ("judge", "What is 1 + 1? Two."), ("judge", "Why? Because."),
    ]  # fmt: skip
    judged = [*own, exchange(2, "[[8]]", "judge", 0, "j"), exchange(2, "[[9]]", "judge", 1, "j")]
    reply = ask(SAMPLE, PROMPT, judged, **told)
    assert (reply.text, [tuple(j[:3]) for j in reply.judgements]) == (
        "Because.",
        [("j", 0, "[[8]]"), ("j", 1, "[[9]]")],
    )


def test_two_answers_are_shown_in_both_orders() -> None:
    template = "A: {{ first }} B: {{ second }}"
    questions = solver["judged"](
        SAMPLE, PROMPT, [exchange(0, "Two.")], template=template, other="reference", orders="both"
    )
    assert [q.messages[0]["content"] for q in questions] == ["A: Two. B: It is 2.", "A: It is 2. B: Two."]
    (base,) = solver["compared"](SAMPLE, PROMPT, [exchange(0, "Two.")], template=template)
    assert base.role == "baseline" and base.messages == PROMPT
    asked = solver["compared"](
        SAMPLE, PROMPT, [exchange(0, "Two."), exchange(1, "2", "baseline", by="b")], template=template
    )
    assert [q.messages[0]["content"] for q in asked] == ["A: Two. B: 2", "A: 2 B: Two."]


def test_a_cascade_asks_no_judge_where_the_rule_is_content() -> None:
    rule = {"extract": ["last_number"], "score": "number_match"}
    passed = solver["judged"](SAMPLE, PROMPT, [exchange(0, "So 2")], template="{{ answer }}", unless=rule)
    assert isinstance(passed, Reply) and not passed.judgements
    found = extractor["verdict"](passed, SAMPLE, labels=GRADES, passed="correct")
    assert found.method == "rule" and scorer["rule_and_judge"](found.value, SAMPLE).detail == {"by": "rule"}
    assert [scorer["rule_and_judge"](found.value, SAMPLE, by=by).value for by in ("rule", "judge")] == [1, 0]
    (question,) = solver["judged"](SAMPLE, PROMPT, [exchange(0, "two")], template="{{ answer }}", unless=rule)
    assert question.role == "judge"
    with pytest.raises(SpecError, match=r"wanted \{extract"):
        solver["judged"](SAMPLE, PROMPT, [exchange(0, "two")], template="", unless={"extract": "last_number"})


def scores(details: list[Any], values: list[float] | None = None) -> Scores:
    n = len(details)
    return Scores(np.array(values or [0.0] * n), np.ones(n), np.array([""] * n), np.array([""] * n), details)


def test_bradley_terry_of_two_is_the_share_won_and_length_can_be_taken_out() -> None:
    won = [[1.0, 3.0], [0.0, 1.0], [0.5, 1.0], [1.0, 1.0]]
    figure = measure(scores([{"games": [game], "lengths": None} for game in won]), "bradley_terry")
    assert figure.value == pytest.approx(4.5 / 6, abs=1e-5) and figure.method == "bootstrap"
    assert measure(scores([{"games": [[1.0, 1.0]], "lengths": None}] * 3), "bradley_terry").value == pytest.approx(
        1, 1e-4
    )
    # longer answers win, whoever wrote them: at the same length neither is better
    longer = [{"games": [[float(d > 0), 1.0]] * 9 + [[float(d < 0), 1.0]], "lengths": [100 + d, 100]}
              for d in (-50, -50, 50, 50, 50, 50)]  # fmt: skip
    assert measure(scores(longer), "length_controlled").value == pytest.approx(0.5, abs=1e-5)
    assert measure(scores(longer), "bradley_terry").value == pytest.approx((4 * 0.9 + 2 * 0.1) / 6, abs=1e-5)
    with pytest.raises(SpecError, match="wants lengths"):
        measure(scores([{"games": [[1.0, 1.0]], "lengths": None}]), "length_controlled")


def test_simpleqas_f1_is_the_harmonic_mean_of_both_shares() -> None:
    values, weights = [1.0, 1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 0.0, 0.0]
    some = Scores(np.array(values), np.array(weights), np.array([""] * 5), np.array([""] * 5))
    correct, given = 2 / 5, 2 / 3
    assert measure(some, "attempted_f1").value == pytest.approx(2 * correct * given / (correct + given))


def test_agreement_is_as_in_the_books() -> None:
    # Cohen's kappa of 20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no: (0.7 - 0.5) / (1 - 0.5)
    table = [("y", "y", 20), ("y", "n", 5), ("n", "y", 10), ("n", "n", 15)]
    pairs = [{"gold": gold, "pred": pred} for gold, pred, count in table for _ in range(count)]
    assert measure(scores(pairs), "kappa").value == pytest.approx(0.4)
    # Krippendorff's own example (2011, "Computing Krippendorff's alpha-reliability", C): 0.743 nominal, 0.849 interval
    coders = [
        "123321412...",
        "123322412 5.3".replace(" ", ""),
        ".33323422 51.".replace(" ", ""),
        "123324412 51.".replace(" ", ""),
    ]
    units = [
        {"judges": {str(i): None if row[u] == "." else int(row[u]) for i, row in enumerate(coders)}} for u in range(12)
    ]
    assert measure(scores(units), "alpha").value == pytest.approx(0.743, abs=5e-4)
    assert measure(scores(units), {"alpha": {"level": "interval"}}).value == pytest.approx(0.849, abs=5e-4)


JUDGED = """
# Sums, judged.
dimension: reasoning
sources: [{files: {path: sums.jsonl}}]
sample: {input: question, target: answer}
prompt: {template: "{{ input }} = "}
solver: {judged: {template: "Is {{ input }} = {{ answer }}? The target is {{ target }}."}}
extract: [{verdict: {labels: {"yes": correct, "no": incorrect}}}]
score: [judged_as, {judged_as: {metric: alpha}}]
variants:
  cascade:
    solver: {judged: {unless: {extract: [last_number], score: number_match}}}
    extract: [{verdict: {labels: {"yes": correct, "no": incorrect}, passed: correct}}]
    score: [rule_and_judge]
  battle:
    solver: {judged: null, compared: {template: "Better: {{ first }} or {{ second }}?"}}
    extract: [{preference: {labels: {first: 1, second: -1}}}]
    score: [win, {win: {metric: bradley_terry}}]
"""


def double(name: str, rules: list[tuple[str, str]], default: str | None = None) -> dict[str, Any]:
    listed = [{"pattern": pattern, "answer": answer} for pattern, answer in rules]
    return {"name": name, "adapter": "echo", "path": "scripted", "options": {"answers": listed, "default": default}}


SUBJECT = double("pupil", [("^0", "1"), ("^1", "2"), ("^2", "three"), ("^3", "5")])
"""Of 0 + 1, 1 + 1, 2 + 1, 3 + 1 it knows three, one in words."""
STRICT = double("strict", [(r"= (\d) *\? The target is \1\.", "yes")], "no")
KIND = double("kind", [("three|= 5", "yes"), (r"= (\d) *\? The target is \1\.", "yes")], "Absolutely not")


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    folder = tmp_path / "catalog"
    folder.mkdir()
    (folder / "judged_sums.yaml").write_text(JUDGED)
    rows = [{"question": f"{i} + 1", "answer": str(i + 1)} for i in range(4)]
    (folder / "sums.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


@pytest.mark.usefixtures("prefect_server")
def test_a_run_with_two_judges_asks_each_once_and_says_who_judged(catalog: Path, tmp_path: Path) -> None:
    ledger = tmp_path / "l.duckdb"
    asked = {"models": [SUBJECT], "judges": [STRICT, KIND], "catalog": [str(catalog)], "benchmarks": ["judged_sums"]}
    assert run_spec(make_spec(asked), ledger) == 0
    with Ledger(ledger).read() as con:
        (found,) = con.execute(
            "SELECT value, n, n_errors, judged_by FROM leaderboard WHERE metric = 'judged_as'"
        ).fetchall()
        by = con.execute(
            "SELECT answered_by, count(*) FROM lineage WHERE role = 'judge' AND scorer = 'judged_as'"
            " GROUP BY 1 ORDER BY 1"
        ).fetchall()
        read = con.execute("SELECT status, value->>'$.label' FROM predictions ORDER BY ordinal").fetchall()
        profile = con.execute("SELECT model FROM profile").fetchall()
    assert found == (0.5, 4, 0, "strict, kind")
    assert by == [("kind", 4), ("strict", 4)] and profile == [("pupil",)]
    assert read == [("ok", "correct"), ("ok", "correct"), ("ambiguous", None), ("ambiguous", None)]
    again = {**asked, "benchmarks": ["judged_sums", "judged_sums@cascade"]}
    assert run_spec(make_spec(again), ledger) == 0
    with Ledger(ledger).read() as con:
        (total,) = con.execute("SELECT count(*) FROM completions").fetchall()
        (cascade,) = con.execute("SELECT value FROM latest WHERE benchmark = 'judged_sums@cascade'").fetchall()
    assert total == (12,), "four answers and eight judgements: the cascade asks nothing new"
    assert cascade == (0.5,)


@pytest.mark.usefixtures("prefect_server")
def test_a_baseline_is_beaten_in_both_orders(catalog: Path, tmp_path: Path) -> None:
    ledger = tmp_path / "l.duckdb"
    judge = double("picky", [(r"Better: (1|2|three|5) or", "first"), (r"or (1|2|three|5)\?", "second")])
    asked = {
        "models": [SUBJECT], "judges": [judge], "baseline": double("base", [], "9"), "catalog": [str(catalog)],
        "benchmarks": ["judged_sums@battle"],
    }  # fmt: skip
    assert run_spec(make_spec(asked), ledger) == 0
    with Ledger(ledger).read() as con:
        found = dict(con.execute("SELECT metric, value FROM leaderboard").fetchall())
        roles = con.execute("SELECT role, count(*) FROM asked GROUP BY 1 ORDER BY 1").fetchall()
    assert found["win"] == 1 and math.isclose(found["bradley_terry"], 1, abs_tol=1e-4)
    assert roles == [("baseline", 4), ("judge", 8), ("subject", 4)]


@pytest.mark.usefixtures("prefect_server")
def test_a_judge_that_fails_leaves_no_score_and_no_point(catalog: Path, tmp_path: Path) -> None:
    ledger = tmp_path / "l.duckdb"
    broken = {
        "name": "broken", "adapter": "echo", "path": "scripted",
        "options": {"answers": [{"pattern": "three", "error": "out of order"}], "default": "yes"},
    }  # fmt: skip
    asked = {"models": [SUBJECT], "judges": [broken], "catalog": [str(catalog)], "benchmarks": ["judged_sums"]}
    assert run_spec(make_spec(asked), ledger) == 1
    with Ledger(ledger).read() as con:
        (found,) = con.execute("SELECT value, n, n_errors FROM leaderboard WHERE metric = 'judged_as'").fetchall()
        causes = con.execute("SELECT cause FROM problems WHERE problem = 'request failed'").fetchall()
    assert found == (1.0, 3, 1) and causes == [("out of order",)]


def test_a_benchmark_that_asks_a_judge_wants_one(catalog: Path) -> None:
    asked = {"models": ["echo:oracle"], "catalog": [str(catalog)], "benchmarks": ["judged_sums"]}
    with pytest.raises(SpecError, match=r"judged_sums asks a judge, and the run has none: name one by --judge MODEL"):
        check(make_spec(asked))
