"""Solvers: how a sample is asked in rounds, by questions and answers alone; whole runs of them, cut off and resumed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from assay.catalog import make_spec
from assay.errors import SpecError
from assay.game24 import PUZZLES, game24, solve24, value_of
from assay.keys import generator
from assay.score import scorer
from assay.solve import Exchange, Question, solver
from assay.solve_game24 import LAST, PROPOSE, VALUE
from assay.types import Message, Reply
from flows import evaluation
from flows.running import run_spec
from storage.ledger import Ledger

USER: list[Message] = [{"role": "user", "content": "first"}]
DIALOGUE = [
    {"role": "user", "content": "one"}, {"role": "assistant", "content": "gold one"},
    {"role": "user", "content": "two"}, {"role": "assistant", "content": "gold two"},
    {"role": "user", "content": "three"},
]  # fmt: skip
Answers = Callable[[Question], Reply | str]


def played(
    name: str, sample: dict[str, Any], answers: Answers, most: int = 9, **options: Any
) -> tuple[Reply, list[Exchange]]:
    """What a solver ends with, and all exchanges, where a function answers. Each round begins from the start."""
    transcript: list[Exchange] = []
    for round_ in range(most):
        result = solver[name](sample, USER, transcript, **options)
        if isinstance(result, Reply):
            return result, transcript
        for turn, question in enumerate(result):
            said = answers(question)
            reply = said if isinstance(said, Reply) else Reply(said, finish="stop")
            transcript.append(Exchange(round_, turn, question, reply))
    raise AssertionError(f"{name} asks on after {most} rounds")


def contents(question: Question) -> list[str]:
    return [turn["content"] for turn in question.messages]


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


def test_every_puzzle_that_has_a_solution_is_solved_and_no_other() -> None:
    rows = list(game24(generator("game24"), 60))
    assert len({row["numbers"] for row in rows}) == 60 and PUZZLES == 1362
    assert all(value_of(row["solution"]) == 24 for row in rows)
    assert all(sorted(re.findall(r"\d+", row["solution"])) == sorted(row["numbers"].split()) for row in rows)
    assert rows == list(game24(generator("game24"), 60))
    assert value_of(solve24((3, 3, 8, 8)) or "") == 24  # 8 / (3 - 8 / 3): not without fractions
    assert solve24((1, 1, 1, 1)) is None and solve24((13, 13, 13, 13)) is None


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("(4 + 8) * (6 - 4) = 24", True),
        ("4 + 8 = 12 (left: 4 6 12)\n6 - 4 = 2 (left: 2 12)\nAnswer: (6 - 4) * (4 + 8) = 24", True),
        ("(4 + 8) * (6 - 4) = 25", True),  # what it says after the = is not looked at, as upstream
        ("4 * 6", False),
        ("4 + 4 + 8 + 6", False),
        ("4 + 8 + 6 + 6", False),
        ("(4 + 8) * (6 - 4) + 0", False),
        ("8 / (4 - 4) + 6", False),
        ("4 ** 4 - 8 * 6", False),
        ("__import__('os').system('true') or 4 + 4 + 6 + 8", False),
        ("(" * 150 + "4+8" + ")" * 150, False),
        ("", False),
    ],
    ids=repr,
)
def test_an_answer_is_checked_in_exact_numbers_and_never_run(answer: str, right: bool) -> None:
    assert scorer["makes_24"](answer, {"input": "4 4 6 8"}) is right
    assert scorer["makes_24"](["?", answer], {"input": "4 4 6 8"}, of="any") is right
    assert scorer["makes_24"](["?", answer], {"input": "4 4 6 8"}) is False


def test_thirds_are_exact() -> None:
    assert scorer["makes_24"]("8 / (3 - 8 / 3)", {"input": "3 3 8 8"}) is True


TREE = {
    PROPOSE.replace(
        "{input}", "4 4 6 8"
    ): "4 + 8 = 12 (left: 4 6 12)\n\n4 * 4 = 16 (left: 6 8 16)\n4 + 8 = 12 (left: 4 6 12)",
    VALUE.replace("{input}", "4 6 12"): "so\nsure",
    VALUE.replace("{input}", "6 8 16"): "likely",
    PROPOSE.replace("{input}", "4 6 12"): "6 - 4 = 2 (left: 2 12)\n4 + 6 = 10 (left: 10 12)",
    PROPOSE.replace("{input}", "6 8 16"): "16 - 8 = 8 (left: 6 8)",
    VALUE.replace("{input}", "2 12"): "sure",
    VALUE.replace("{input}", "10 12"): "impossible",
    VALUE.replace("{input}", "6 8"): "likely",
    PROPOSE.replace("{input}", "2 12"): "2 * 12 = 24 (left: 24)",
    PROPOSE.replace("{input}", "6 8"): "6 * 8 = 48 (left: 48)",
    VALUE.replace("{input}", "24"): "sure",
    VALUE.replace("{input}", "48"): "impossible",
    PROPOSE.replace("{input}", "48"): "nothing (left: 48)",
}


def thinks(question: Question) -> str:
    """A model that knows its way; it is asked for the answer after the three steps, and judges it."""
    text = contents(question)[-1]
    if text.startswith("firstSteps:"):
        return "Answer: (6 - 4) * (4 + 8) = 24"
    return "sure" if text.startswith(LAST[:40]) else TREE[text]


def test_a_tree_of_thoughts() -> None:
    sample = {"input": "4 4 6 8"}
    end, said = played("tree_of_thoughts", sample, thinks, keep=2)
    steps = "4 + 8 = 12 (left: 4 6 12)\n6 - 4 = 2 (left: 2 12)\n2 * 12 = 24 (left: 24)\n"
    assert end.text == steps + "Answer: (6 - 4) * (4 + 8) = 24\n"
    assert len(end.turns) == 2 and scorer["makes_24"]([turn.text for turn in end.turns], sample, of="any") is True
    assert [exchange.round for exchange in said][-1] == 7  # four steps of two rounds: as many as a run has
    texts = [contents(exchange.question)[-1] for exchange in said]
    values = [text for text in texts if text.startswith(VALUE[:20])]
    assert all(values.count(text) == 3 for text in values) and VALUE.replace("{input}", "4 6 12") in values
    assert "firstSteps:" + steps in texts
    last = LAST.replace("{input}", "4 4 6 8").replace("{answer}", "(6 - 4) * (4 + 8) = 24")
    assert texts.count(last) == 3 and not any("nothing" in text for text in texts)  # no answer, no question
    again, _ = played("tree_of_thoughts", sample, thinks, keep=2)
    assert again == end


def test_a_tree_that_samples_and_votes() -> None:
    def says(question: Question) -> str:
        text = contents(question)[-1]
        if "Choice 1:" in text:
            return "I see.\nThe best choice is 2"
        return f"thought {len(text)}\nand more"

    end, said = played("tree_of_thoughts", {"input": "1"}, says, generate="sample", evaluate="vote", samples=2, keep=1)
    assert [len([e for e in said if e.round == round_]) for round_ in range(8)] == [2, 3] * 4
    assert contents(said[0].question) == ["first"] and contents(said[5].question) == ["firstthought 5\n"]
    assert end.text.count("\n") == 4 and len(end.turns) == 1
    for select in ("greedy", "sample"):
        one, _ = played("tree_of_thoughts", {"input": "1"}, says, generate="sample", evaluate="vote", select=select)
        other, _ = played("tree_of_thoughts", {"input": "1"}, says, generate="sample", evaluate="vote", select=select)
        assert one == other
    nothing, _ = played("tree_of_thoughts", {"input": "1"}, lambda q: "\n", generate="sample")
    assert (nothing.text, nothing.turns) == ("", ())
    with pytest.raises(SpecError, match="wanted evaluate: value or vote, got 'guess'"):
        solver["tree_of_thoughts"]({"input": "1"}, USER, [], evaluate="guess")
    with pytest.raises(SpecError, match="no task of thoughts 'game25'; did you mean game24"):
        solver["tree_of_thoughts"]({"input": "1"}, USER, [], on="game25")


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


def rows(ledger: Path, query: str) -> list[tuple[Any, ...]]:
    with Ledger(ledger).read() as con:
        return con.execute(query).fetchall()


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


@pytest.mark.usefixtures("prefect_server")
def test_the_game_of_24_by_a_tree_of_thoughts_from_end_to_end(tmp_path: Path) -> None:
    rules = [{"pattern": f"{re.escape(ask)}$", "answer": reply} for ask, reply in _scripted()]
    model = {"adapter": "echo", "path": "scripted", "options": {"answers": rules, "default": "impossible"}}
    ledger = tmp_path / "l.duckdb"
    spec = make_spec({"models": [model], "benchmarks": ["game24@tot"], "limit": 2})
    assert run_spec(spec, ledger) == 0
    found = dict(rows(ledger, "SELECT metric, value FROM leaderboard WHERE benchmark = 'game24@tot'"))
    assert found == {"any_of_5": 0.5, "best": 0.5}
    assert rows(ledger, "SELECT max(round) FROM asked") == [(7,)]


def _scripted() -> list[tuple[str, str]]:
    """A way to 24 for the first puzzle, 1 4 6 8."""
    return [
        ("\nInput: 1 4 6 8\nPossible next steps:\n", "1 * 4 = 4 (left: 4 6 8)\n8 - 4 = 4 (left: 1 4 6)"),
        ("\n4 6 8\n", "sure"),
        ("\nInput: 4 6 8\nPossible next steps:\n", "8 - 4 = 4 (left: 4 6)"),
        ("\n4 6\n", "sure"),
        ("\nInput: 4 6\nPossible next steps:\n", "4 * 6 = 24 (left: 24)"),
        ("\n24\n", "sure"),
        ("4 * 6 = 24 (left: 24)\n", "Answer: 6 * (8 - 1 * 4) = 24"),
        ("\nAnswer: 6 * (8 - 1 * 4) = 24\nJudge:", "sure"),
    ]
