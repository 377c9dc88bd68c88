"""Solvers: how a sample is asked in rounds, by questions and answers alone; whole runs of them, cut off and resumed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from rounds import USER, contents, played, rows

from assay.catalog import make_spec
from assay.errors import SpecError
from assay.solve import Exchange, Question, solver
from assay.types import Reply
from flows import evaluation
from flows.running import run_spec

DIALOGUE = [
    {"role": "user", "content": "one"}, {"role": "assistant", "content": "gold one"},
    {"role": "user", "content": "two"}, {"role": "assistant", "content": "gold two"},
    {"role": "user", "content": "three"},
]  # fmt: skip


@pytest.mark.parametrize(
    ("mode", "asked", "rounds"),
    [
        ("last", [["first", "gold one", "two", "gold two", "three"]], [0]),
        (
            "every",
            [["first"], ["first", "re first", "two"], ["first", "re first", "two", "re two", "three"]],
            [0, 1, 2],
        ),
        (
            "every_with_gold",
            [["first"], ["first", "gold one", "two"], ["first", "gold one", "two", "gold two", "three"]],
            [0, 0, 0],
        ),
    ],
)
def test_a_dialogue(mode: str, asked: list[list[str]], rounds: list[int]) -> None:
    end, said = played("dialogue", {"dialogue": DIALOGUE}, lambda q: f"re {contents(q)[-1]}", mode=mode)
    assert [contents(exchange.question) for exchange in said] == asked
    assert [exchange.round for exchange in said] == rounds
    assert [turn.text for turn in end.turns] == [f"re {turns[-1]}" for turns in asked] and end.text == "re three"
    roles = [turn["role"] for turn in said[-1].question.messages]
    assert roles == ["user", "assistant", "user", "assistant", "user"]


def test_a_dialogue_of_the_users_texts_alone() -> None:
    end, said = played("dialogue", {"turns": ["one", "two"]}, lambda q: "yes", field="turns")
    assert [contents(exchange.question) for exchange in said] == [["first"], ["first", "yes", "two"]]
    assert [turn.text for turn in end.turns] == ["yes", "yes"]


@pytest.mark.parametrize(
    "found", [None, [], "one", [{"role": "user"}], [{"role": "assistant", "content": "x"}]], ids=str
)
def test_what_is_no_dialogue(found: Any) -> None:
    with pytest.raises(SpecError, match="wanted a list of turns"):
        solver["dialogue"]({"dialogue": found}, USER, [])
    with pytest.raises(SpecError, match="wanted the mode last, every or every_with_gold, got 'all'"):
        solver["dialogue"]({"dialogue": DIALOGUE}, USER, [], mode="all")


def scored(sums: Sequence[float]) -> Reply:
    return Reply(sums=sums, tokens=[1, 2], choices=["a", "bc"])


def test_choices_are_asked_for_after_a_neutral_context_too() -> None:
    asked = Question(USER, "loglikelihood", [" a", " bc"])
    first = Exchange(0, 0, asked, scored([-2.0, -3.0]))
    [again] = solver["neutral"]({}, USER, [first], context="Answer:")
    assert isinstance(again, Question)
    assert (contents(again), again.kind, list(again.continuations)) == (["Answer:"], "loglikelihood", [" a", " bc"])
    end = solver["neutral"]({}, USER, [first, Exchange(1, 0, again, scored([-1.0, -9.0]))])
    assert isinstance(end, Reply) and (end.sums, [turn.sums for turn in end.turns]) == (
        [-2.0, -3.0], [[-2.0, -3.0], [-1.0, -9.0]],
    )  # fmt: skip
    with pytest.raises(SpecError, match="wanted choices that share the question"):
        solver["neutral"]({}, USER, [])


TALK: dict[str, Any] = {
    "dimension": "reasoning",
    "sources": [{"files": {"path": "talk.jsonl"}}],
    "sample": {"dialogue": "turns", "target": "answer"},
    "prompt": {"template": "{{ dialogue[0].content }}"},
    "solver": {"dialogue": {"mode": "every"}},
    "extract": ["turn_texts"],
    "score": [{"exact_match": {"gold": "target"}}],
    "variants": {
        "last": {"solver": {"dialogue": {"mode": "last"}}, "extract": ["stripped"]},
    },
}


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    """A catalogue with two dialogues of three turns."""
    folder = tmp_path / "talk"
    folder.mkdir()
    (folder / "talk.yaml").write_text(yaml.safe_dump(TALK, sort_keys=False))
    rows = [{"turns": [{**t, "content": f"{t['content']} {i}"} for t in DIALOGUE], "answer": "x"} for i in range(2)]
    (folder / "talk.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


def run(ledger: Path, catalog: Path, *names: str, **more: Any) -> int:
    spec = {"models": ["echo:echo"], "benchmarks": list(names), "catalog": [str(catalog)], **more}
    return run_spec(make_spec(spec), ledger)


@pytest.mark.usefixtures("prefect_server")
def test_a_run_of_dialogues_that_is_cut_off_between_rounds_asks_nothing_twice(
    tmp_path: Path, talk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenCompass's ChatInferencer begins every dialogue anew (defect 13)."""
    ledger, rounds = tmp_path / "l.duckdb", evaluation.rounds_task
    for round_ in (2, 3):  # in the midst of it, and when all is asked

        def cut(*told: Any, round_: int = round_) -> int:
            if told[-1] == round_:
                raise KeyboardInterrupt
            return rounds(*told)

        with monkeypatch.context() as patch:
            patch.setattr(evaluation, "rounds_task", cut)
            assert run(ledger, talk, "talk", "talk@last") == 130
        before = set(rows(ledger, "SELECT completion_key, created FROM completions"))
        assert len(before) == 2 * round_ + 2  # so many rounds of every, one of last
    assert run(ledger, talk, "talk", "talk@last") == 0
    after = set(rows(ledger, "SELECT completion_key, created FROM completions"))
    assert before == after and rows(ledger, "SELECT count(*) FROM runs") == [(1,)]
    said = [json.loads(value) for (value,) in rows(ledger, "SELECT value FROM predictions ORDER BY value")]
    assert said == ["three 0", "three 1", *([f"{turn} {i}" for turn in ("one", "two", "three")] for i in (0, 1))]


@pytest.mark.usefixtures("prefect_server")
def test_a_run_with_too_few_rounds_says_so(tmp_path: Path, talk: Path) -> None:
    ledger = tmp_path / "l.duckdb"
    assert run(ledger, talk, "talk", max_rounds=2) == 1
    [(cause,)] = rows(ledger, "SELECT cause FROM problems")
    assert cause == "prompt: talk: the solver asks on after 2 rounds: more are had by max_rounds"
    assert rows(ledger, "SELECT count(*) FROM completions") == [(4,)]


SOLVERS = """
from assay import solver
from assay.solve import Question
from assay.types import Reply


@solver
def twice(sample, prompt, transcript):
    return transcript[-1].reply if len(transcript) > 1 else [Question(prompt)]


@solver
def plan(sample, prompt, transcript):
    if transcript:
        return Reply(prompt[-1]["content"])
    return [Question([*prompt, {"role": "user", "content": f"plan {i}"}]) for i in range(2)]
"""


@pytest.mark.usefixtures("prefect_server")
def test_a_solver_has_the_first_questions_and_the_same_one_later_is_another_draw(tmp_path: Path, talk: Path) -> None:
    (talk / "solvers.py").write_text(SOLVERS)
    shots = {"samples": [{"dialogue": [{"content": "example"}], "target": "done"}], "k": 1}
    planned = {"solver": "plan", "extract": ["stripped"], "prompt": {"fewshot": shots}}
    drawn = {"solver": "twice", "sampling": {"temperature": 1.0, "replicas": 2}}
    recipe = TALK | {"variants": {"planned": planned, "drawn": drawn}}
    (talk / "talk.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))
    ledger = tmp_path / "l.duckdb"
    assert run(ledger, talk, "talk@drawn", "talk@planned") == 0
    drawn_twice = "SELECT round, count(*), count(DISTINCT seed) FROM asked WHERE seed > 0 GROUP BY round ORDER BY round"
    assert rows(ledger, drawn_twice) == [(0, 4, 4), (1, 4, 4)]
    assert rows(ledger, "SELECT count(DISTINCT seed), count(DISTINCT request_key) FROM asked WHERE seed > 0") == [
        (8, 2)
    ]
    asked = rows(
        ledger,
        "SELECT turn, messages FROM asked JOIN requests USING (request_key) WHERE seed = 0 ORDER BY ordinal, turn",
    )
    assert [(turn, json.loads(text)[-1]["content"]) for turn, text in asked] == [(0, "plan 0"), (1, "plan 1")] * 2
    read = rows(ledger, "SELECT value FROM predictions WHERE value LIKE '%example%' ORDER BY ordinal")
    assert [json.loads(value) for (value,) in read] == [f"example done\n\none {i}" for i in (0, 1)]  # the prompt, later
