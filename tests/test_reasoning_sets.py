"""What sets of English questions need beside YAML: readers, short answers of all kinds, examples that recipes share."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from conftest import DATA, needs_data
from row_files import rows, write

from adapters.datasets import open_source
from assay.catalog import load_benchmark
from assay.errors import DatasetError
from assay.extract import run_chain
from assay.functions import load_functions
from assay.generate import generated
from assay.keys import generator
from assay.prompt import Prompter
from assay.samples import loads, samples
from assay.score import scorer
from assay.score_greedy import without_longer
from assay.template import text_template
from assay.types import Reply

load_functions()


@pytest.mark.parametrize(
    ("value", "target", "options", "right"),
    [
        ("18 apples", 18, {}, True),
        ("19 apples", 18, {}, False),
        ("$4,656", "4,656", {}, True),
        ("0.75", "3/4", {}, True),
        ("4.9", "4.8", {}, False),
        ("4.9", "4.8", {"relative": 0.05}, True),
        ("5.1", "4.8", {"relative": 0.05}, False),
        ("-4.8", "4.8", {"relative": 0.05}, False),
        ("3.142", "3.1415", {"absolute": 1e-3}, True),
        ("-2", "−2", {}, True),
        ("1.5e-3", "0.0015", {}, True),
        ("[0, 5]", [0, 5], {}, True),
        ("0 and 5", [0, 5], {}, True),
        ("[5, 0]", [0, 5], {}, False),
        ("[0, 5, 6]", [0, 5], {}, False),
        ("the Rug B.", "Rug B", {}, True),
        ("Rug A", "Rug B", {}, False),
        ("3:4", "3:4", {}, True),
        ("4:3", "3:4", {}, False),
        ("false", "False", {}, True),
        ("nothing", "7", {}, False),
    ],
)
def test_an_answer_is_a_number_a_list_or_a_text(
    value: str, target: Any, options: dict[str, float], right: bool
) -> None:
    assert scorer["answer_match"](value, {"target": target}, **options) is right


def test_one_of_the_names_is_what_greedy_decoding_would_write() -> None:
    assert without_longer(["New York City", "Boston", "New York"]) == ["Boston", "New York"]
    for greedy, right in (([False, True], True), ([False, False], False)):
        found = run_chain(["greedy_choices"], Reply(sums=[-1.0, -2.0], greedy=greedy), {})
        assert scorer["any_greedy"](found.value, {}) is right
    assert run_chain(["greedy_choices"], Reply(sums=[-1.0, -2.0]), {}).status == "none"


def test_a_solution_ends_in_its_last_box() -> None:
    solved = text_template("{{ solution | last_boxed }}", "t")
    assert solved({"solution": r"First \boxed{1}, then \boxed{\frac{1}{2}}."}) == r"\frac{1}{2}"
    assert solved({"solution": "12"}) == "12"


def test_examples_that_recipes_share_are_those_of_their_papers() -> None:
    """They stand in two other recipes too, written out."""
    for name, recipe in (("wei_arithmetic", "gsm8k@cot"), ("minerva_maths", "math500")):
        fewshot = load_benchmark(recipe).prompt.fewshot
        assert fewshot is not None
        shown = list(generated[name](generator("t"), fewshot.k))
        assert shown == [{key: one[key] for key in ("input", "worked")} for one in fewshot.samples]
        assert list(generated[name](generator("t"), 2)) == shown[:2]
    doubled = list(generated["opencompass_maths"](generator("t"), 4))
    assert (
        doubled[1]["input"]
        == r"If $\det \mathbf{{A}} = 2$ and $\det \mathbf{{B}} = 12,$ then find $\det (\mathbf{{A}} \mathbf{{B}}).$"
    )


def test_readers(folder: Path) -> None:
    head = "ID\tQuestion Stem\tChoices\tComplete Question\tAnswer Key\n"
    write(folder, "o.tsv", head + 'x\tWhy "so"?\t(A) a (B) b, (c) (C) c (D) d\tWhy?\tB\n')
    assert rows(folder, "o.tsv", reader="openbook") == [
        {"id": "x", "question_stem": 'Why "so"?', "answerKey": "B",
         "choices": {"text": ["a", "b, (c)", "c", "d"], "label": list("ABCD")}}
    ]  # fmt: skip
    write(folder, "o.tsv", head + "x\tWhy?\t(A) a (B) b\tWhy?\tB\n")
    with pytest.raises(DatasetError, match="wanted four choices"):
        rows(folder, "o.tsv", reader="openbook")
    write(folder, "i.csv", "Problem ID,Problem,Short Answer,Category,Subcategory,Source\n"
          'a,"Find x, please",3,Algebra,Sets,IMO\nb,"Find y\n,4""",Algebra,Sets,IMO\n')  # fmt: skip
    assert rows(folder, "i.csv", reader="imo_answers") == [
        {"id": "a", "problem": "Find x, please", "answer": "3", "category": "Algebra"},
        {"id": "b", "problem": "Find y", "answer": "4", "category": "Algebra"},
    ]
    (folder / "q").write_bytes("#Q “Ü”?\n^ Æ\n".encode() + "A Ü “\nB Æ\n".encode("cp1252"))
    assert rows(folder, "q", reader="trivia") == [{"question": "“Ü”?", "answer": "Æ", "choices": ["Ü “", "Æ"]}]


@needs_data
@pytest.mark.parametrize(
    ("name", "most"), [("blimp", 0.5), ("bigtom", 0.5), ("open_trivia_qa", 0.4), ("comve_a", 0.6), ("codah", 0.4)]
)
def test_the_right_choice_does_not_stand_in_one_place(name: str, most: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_DATA", str(DATA))
    benchmark = load_benchmark(name)
    places = Counter(
        loads(one.fields)["target"] for one in samples(benchmark, open_source(benchmark.sources).rows, limit=40)
    )
    assert max(places.values()) <= most * places.total()


@needs_data
def test_what_is_mended_in_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pronoun's place that is one off, CSV's quotation marks in questions, an answer without its own cell."""
    monkeypatch.setenv("ASSAY_DATA", str(DATA))

    def asked(name: str) -> list[str]:
        benchmark = load_benchmark(name)
        prompter = Prompter(benchmark)
        return [prompter.question(loads(one.fields)) for one in samples(benchmark, open_source(benchmark.sources).rows)]

    assert sum("they might want to use *it*, but really" in text for text in asked("wsc")) == 1
    assert not any('""' in text for text in asked("triviaqa"))
    assert not any(text.rstrip().endswith('$"') for text in asked("imo_answerbench"))
