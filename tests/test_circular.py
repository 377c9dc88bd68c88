"""Questions asked under every rotation of their choices."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.catalog import load_benchmark
from assay.circular import divide, rotations, unturned
from assay.errors import SpecError
from assay.functions import load_functions
from assay.metrics import measure, replicates_of
from assay.reading import readings, scorings
from assay.samples import loads, samples
from assay.score import scorer
from assay.types import Scores
from tasks.preview import preview

load_functions()


@given(st.lists(st.text(max_size=3), min_size=2, max_size=6), st.data())
def test_the_right_choice_stays_right_and_the_question_is_found_again(choices: list[str], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(choices) - 1))
    for target in (place, "ABCDEF"[place], [place, 0]):
        sample = {"input": "?", "choices": choices, "target": target}
        turned = list(rotations(sample, "b", "key", 7))
        assert [t["circular"]["turn"] for t in turned] == list(range(len(choices)))
        for one in turned:
            gold = one["target"][0] if isinstance(target, list) else one["target"]
            gold = "ABCDEF".index(gold) if isinstance(gold, str) else gold
            assert one["choices"][gold] == choices[place]
            assert unturned(one) == ("key", sample, 7)
        stands = [t["target"] if isinstance(t["target"], int) else 0 for t in turned]
        assert not isinstance(target, int) or sorted(stands) == list(range(len(choices)))


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("hellaswag@circular", "does not list the sample's `choices`"),
        ("gsm8k@circular", "does not list the sample's `choices`"),
        ("commonsenseqa@ppl+circular", "does not list"),
        ("mmlu@nothing+circular", "no variant 'nothing'"),
        ("mmlu@+circular", "no variant '\\+circular'"),
    ],
)
def test_what_has_no_letters_cannot_be_turned(name: str, why: str) -> None:
    with pytest.raises(SpecError, match=why):
        load_benchmark(name)


def test_a_name_is_divided_at_the_last_plus() -> None:
    assert [divide(v) for v in ("circular", "gen+circular", "gen", "", "circular+gen", "+circular")] == [
        "", "gen", None, None, None, None,
    ]  # fmt: skip


def test_any_benchmark_with_letters_is_turned() -> None:
    plain, turned = load_benchmark("mmlu@gen"), load_benchmark("mmlu@gen+circular")
    assert turned.id == "mmlu@gen+circular" and turned.recipe_key != plain.recipe_key
    titles = [one.shown for one in scorings(turned)]
    assert titles == ["acc", "perfect", "more_1", "more_2", "more_3", "vote", *(f"prior_{c}" for c in "ABCD")]
    assert {one.function for one in scorings(turned)} == {scorer["rotated"]}
    assert [r.filter for r in readings(turned)] == [""]
    assert [r.filter for r in readings(load_benchmark("mmlu@ppl+circular"))] == ["prompt_means"]


ROWS = [
    {"question": "one?", "A": "a", "B": "b", "C": "c", "D": "d", "answer": "B", "subject": "x"},
    {"question": "two?", "A": "a", "B": "b", "C": "c", "D": "d", "answer": "D", "subject": "x"},
    {"question": "one?", "A": "a", "B": "b", "C": "c", "D": "d", "answer": "B", "subject": "x"},
]


def test_rows_become_rotations_that_are_a_cluster_and_a_limit_counts_questions() -> None:
    benchmark = load_benchmark("mmlu@circular")
    found = list(samples(benchmark, ROWS, 2))
    assert len(found) == 8 and len({one.sample_key for one in found}) == 8
    assert [len({one.cluster for one in part}) for part in (found[:4], found)] == [1, 2]
    fields = [loads(one.fields) for one in found]
    assert [f["target"] for f in fields] == [1, 0, 3, 2, 3, 2, 1, 0]
    assert fields[1]["choices"] == ["b", "c", "d", "a"] and fields[7]["circular"]["place"] == 1
    assert len({one.sample_key for one in samples(benchmark, ROWS)}) == 12
    plain = [one.sample_key for one in samples(load_benchmark("mmlu"), ROWS, 2)]
    assert {one.cluster for one in found} == set(plain)


OWN = """
# A quiz that shows its own questions.
dimension: knowledge
sources: [{files: {path: quiz.jsonl}}]
sample: {input: q, choices: c, target: a}
prompt:
  template: "{{ input }}: {% for text in choices %}{{ 'ABC'[loop.index0] }}. {{ text }} {% endfor %}"
  answer: "{{ 'ABC'[target] }}"
  fewshot: {from: self, retriever: random, k: 2}
extract: [first_option]
score: [option]
"""


def test_all_rotations_are_shown_the_same_examples_and_never_their_own_question(tmp_path: Path) -> None:
    (tmp_path / "quiz.yaml").write_text(OWN)
    rows = [{"q": f"q{i}", "c": [f"{i}x", f"{i}y", f"{i}z"], "a": i % 3} for i in range(5)]
    (tmp_path / "quiz.jsonl").write_text("\n".join(map(json.dumps, rows)))
    plain = [p.demos for p in preview(load_benchmark("quiz", [tmp_path]), [tmp_path])]
    turned = list(preview(load_benchmark("quiz@circular", [tmp_path]), [tmp_path]))
    assert [p.demos for p in turned] == [demos for demos in plain for _ in range(3)]
    assert all(demo["input"] != p.sample["input"] for p in turned for demo in p.demos)
    assert [p.sample["choices"][p.sample["target"]] for p in turned[:6]] == ["0x"] * 3 + ["1y"] * 3


def scores(picks: list[list[str | None]], golds: list[int]) -> Scores:
    """What `rotated` gives for the letters that were answered under the rotations of some questions."""
    given, questions = [], []
    for i, (letters, gold) in enumerate(zip(picks, golds, strict=True)):
        turned = rotations({"choices": list("wxyz")[: len(letters)], "target": gold}, "b", f"q{i}", i)
        given += [scorer["rotated"](letter, t, of="option") for letter, t in zip(letters, turned, strict=False)]
        questions += [f"q{i}"] * len(letters)
    ones, blank = np.ones(len(given)), np.array([""] * len(given))
    return Scores(np.array([s.value for s in given]), ones, blank, np.array(questions), [s.detail for s in given])


def value(found: Scores, step: Any) -> float | None:
    return measure(found, step).value


# the gold of the first stands at B, A, D, C; the second's answers are always A; the third is read once
PICKED: list[list[str | None]] = [["B", "A", "D", "C"], ["A", "A", "A", "A"], [None, "C", None, None]]


def test_what_is_made_of_rotations_by_hand() -> None:
    found = scores(PICKED, [1, 0, 3])
    assert found.values.tolist() == [1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 0, 0]
    assert value(found, "mean") == pytest.approx(6 / 12)
    assert value(found, "circular_perfect") == pytest.approx(1 / 3)
    assert [value(found, {"circular_more": {"j": j}}) for j in (1, 2, 4)] == [1.0, pytest.approx(1 / 3), 1 / 3]
    assert value(found, "circular_vote") == 1.0  # of A, A, A, A every choice has one vote, and the first is right
    assert [value(found, {"circular_prior": {"place": p}}) for p in range(4)] == [5 / 12, 1 / 12, 2 / 12, 1 / 12]


def test_a_question_of_which_a_rotation_failed_is_in_no_figure_of_questions() -> None:
    found = scores(PICKED[:2], [1, 0])
    part = Scores(*(c[:7] for c in (found.values, found.weights, found.groups, found.clusters)), found.details[:7])
    assert value(part, "circular_perfect") == 1.0


def test_a_resample_repeats_whole_questions() -> None:
    found = scores(PICKED, [1, 0, 3])
    counts = np.repeat(np.array([[1.0, 2.0, 0.0]]), 4, axis=1)
    again = scores([PICKED[0], PICKED[1], PICKED[1]], [1, 0, 0])
    for step in ("circular_perfect", {"circular_more": {"j": 1}}, {"circular_prior": {"place": 0}}):
        assert replicates_of(found, step)(counts)[0] == pytest.approx(value(again, step))  # type: ignore[arg-type]


def test_its_metrics_want_its_scorer() -> None:
    blank = np.array([""])
    plain = Scores(np.ones(1), np.ones(1), blank, blank, [None])
    for step in ("circular_perfect", "circular_vote", {"circular_prior": {"place": 0}}):
        with pytest.raises(SpecError, match="want the scorer rotated"):
            measure(plain, step)


def test_what_no_list_of_choices_is_cannot_be_turned() -> None:
    for sample in ({"choices": "abc", "target": 0}, {"choices": ["a", "b"], "target": 2}, {"target": 0}):
        with pytest.raises(SpecError, match="b: wanted"):
            list(rotations(sample, "b", "k", 0))
