"""The Game of 24, by a tree of thoughts and without one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from rounds import USER, contents, played, rows

from assay.catalog import make_spec
from assay.errors import SpecError
from assay.game24 import PUZZLES, game24, solve24, value_of
from assay.keys import generator
from assay.score import scorer
from assay.solve import Question, solver
from assay.solve_game24 import LAST, PROPOSE, VALUE
from flows.running import run_spec


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
