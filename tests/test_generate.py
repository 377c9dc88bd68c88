"""Generated sources: the same for the same seed, right by their own rules, and divided for good."""

from __future__ import annotations

import inspect
import random
from itertools import islice
from typing import Any

import pytest

from adapters.datasets.generated import rows
from assay.errors import DatasetError, SpecError
from assay.generate import generated, split_of
from assay.generate_language import BAD, GOOD, KINDS, LEXICON, land
from assay.generate_reasoning import RULES
from assay.spec import GeneratedSource

OURS = [name for name, make in generated.items.items() if "split" in inspect.signature(make).parameters]
"""The sources of the `mini` suite."""
CHOICE = ("facts", "odd", "agreement", "sentiment", "compare", "even", "parity", "exam")


def made(name: str, count: int = 80, seed: int = 1, **options: Any) -> list[dict[str, Any]]:
    return list(rows(GeneratedSource(name=name, count=count, seed=seed, options=options)))


@pytest.mark.parametrize("name", OURS)
def test_rows_depend_on_the_seed_alone(name: str) -> None:
    once = made(name)
    random.seed(99)

    assert made(name) == once
    assert made(name, seed=2) != once
    assert made(name, count=30) == once[:30]


@pytest.mark.parametrize("name", OURS)
def test_the_splits_never_meet(name: str) -> None:
    tested = [row["question"] for row in made(name)]
    trained = {row["question"] for row in made(name, count=800, split="train")}

    assert len(set(tested)) == len(tested) == 80
    assert {split_of(question) for question in tested} == {"test"}
    assert {split_of(question) for question in trained} == {"train"}


@pytest.mark.parametrize("name", CHOICE)
def test_the_answer_is_one_choice_and_no_place_is_favoured(name: str) -> None:
    drawn = made(name, count=100)
    places = [row["choices"].index(row["answer"]) for row in drawn]

    assert all(len(set(row["choices"])) == len(row["choices"]) for row in drawn)
    most = max(places.count(place) for place in set(places)) / len(places)
    assert most < (0.45 if len(drawn[0]["choices"]) == 4 else 0.65)


def test_sums_are_right() -> None:
    for row in made("add"):
        a, _, b, _ = row["question"].split()
        assert int(row["answer"]) == int(a) + int(b)


def test_bits_are_counted() -> None:
    for row in made("parity"):
        ones = row["question"].partition(":")[0].count("1")
        assert row["answer"] == ("even", "odd")[ones % 2]


def test_the_larger_number_is_larger_and_no_longer() -> None:
    for row in made("compare"):
        assert int(row["answer"]) == max(map(int, row["choices"]))
        assert len({*map(len, row["choices"])}) == 1


def test_odd_one_out_is_the_only_one_of_its_kind() -> None:
    kind_of = {word: kind for kind, words in KINDS.items() for word in words}
    for row in made("odd"):
        kinds = [kind_of[word] for word in row["choices"]]
        assert kinds.count(kind_of[row["answer"]]) == 1
        assert len(set(kinds)) == 2


def test_a_review_is_judged_by_its_last_clause() -> None:
    for row in made("sentiment"):
        *_, last = row["question"].split(" but ")
        good = last.split()[-1] in GOOD
        assert good or last.split()[-1] in BAD
        assert row["answer"] == ("good" if good != (" not " in last) else "bad")


def test_facts_are_those_of_the_one_land() -> None:
    for row in made("facts"):
        asked = row["question"]
        assert [row["answer"]] == [what for (town, trait), what in land().items() if town in asked and trait in asked]


def test_translation_can_be_read_back() -> None:
    back = {foreign: word for word, foreign in LEXICON.items()}
    assert len(back) == len(LEXICON)
    for row in made("translate"):
        n, a, m, b, verb = (back[word] for word in row["answer"].split())
        assert row["question"] == f"Translate: the {a} {n} {verb} the {b} {m}"


def test_a_rule_is_told_by_its_examples() -> None:
    for name, function in RULES.items():
        for row in made("rule", only=name, count=20):
            assert row["answer"] == " ".join(function(row["question"].removeprefix("Rule: ").split()))


def test_the_thing_is_where_it_was_last_put() -> None:
    for row in made("where"):
        *told, asked = row["question"].split(". ")
        thing = asked.removeprefix("Where is the ").removesuffix("?")
        last = [sentence for sentence in told if f" the {thing} " in sentence][-1]
        assert last.endswith(f"in the {row['answer']}")


def test_the_word_is_in_the_text_once_at_any_depth() -> None:
    depths = set()
    for row in made("needle", sentences=[10]):
        *told, asked = row["question"].split(". ")
        person = asked.removeprefix("What is the word of ").removesuffix("?")
        (place,) = (i for i, sentence in enumerate(told) if sentence == f"The word of {person} is {row['answer']}")
        depths.add(place)
        assert len(told) == row["sentences"] == 10
    assert len(depths) >= 8


def test_the_exams_letter_stands_before_the_right_choice() -> None:
    for row in made("exam", count=120):
        asked, *lines = row["question"].split("\n")
        *_, last = asked.removesuffix("?").removesuffix(".").split()
        chosen = dict(line.split(". ") for line in lines)[row["answer"]]
        if row["subject"] == "sums":
            a, _, b = asked.removeprefix("What is ").removesuffix("?").split()
            assert int(chosen) == int(a) + int(b)
        elif row["subject"] == "words":
            assert chosen in KINDS[last]
        elif row["subject"] == "alphabet":
            assert ord(chosen) == ord(last) + 1
        else:
            assert chosen in {what for (town, trait), what in land().items() if town == last and trait in asked}


def test_more_than_there_is_is_an_error() -> None:
    with pytest.raises(DatasetError, match="facts: wanted 500 questions, found 1"):
        made("facts", count=500)


def test_a_wrong_name_or_option_says_so() -> None:
    with pytest.raises(SpecError, match="did you mean"):
        made("sentimant")
    with pytest.raises(SpecError, match="lagest"):
        made("add", lagest=9)
    with pytest.raises(SpecError, match="train or test, got 'dev'"):
        made("add", split="dev")


def test_rows_are_lazy() -> None:
    assert len(list(islice(rows(GeneratedSource(name="add", count=10**9)), 3))) == 3
