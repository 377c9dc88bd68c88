"""IFEval's instructions, each by replies that follow it and replies that do not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from conftest import DATA, needs_data

from assay.errors import SpecError
from assay.functions import load_functions
from assay.ifeval import followed, given, variants
from assay.ifeval_checks import CHECKS
from assay.ifeval_words import sentences, splitter, treebank, word_count
from assay.score import scorer
from assay.types import Scored

load_functions()

ENGLISH = "the quick brown fox jumps over the lazy dog and then it goes home to sleep in the sun"
FRENCH = "le renard brun saute par dessus le chien paresseux et puis il rentre à la maison pour dormir"

CASES: list[tuple[str, dict[str, Any], list[str], list[str]]] = [
    ("keywords:existence", {"keywords": ["fox", "dog"]}, ["A Fox and hotdogs.", "dog\nFOX"], ["a fox", "do g fox"]),
    (
        "keywords:frequency",
        {"keyword": "fox", "frequency": 2, "relation": "at least"},
        ["fox Foxes", "fox, fox, fox"],
        ["fox", "none"],
    ),
    ("keywords:frequency", {"keyword": "fox", "frequency": 2, "relation": "less than"}, ["fox", "no"], ["fox Foxes"]),
    ("keywords:forbidden_words", {"forbidden_words": ["rock", "ice"]}, ["rocks and mice"], ["Rock!", "on ice"]),
    (
        "keywords:letter_frequency",
        {"letter": "Q", "let_frequency": 2, "let_relation": "at least"},
        ["Quiet, quite", "qqq"],
        ["quiet", "none"],
    ),
    ("keywords:letter_frequency", {"letter": "!", "let_frequency": 1, "let_relation": "less than"}, ["no"], ["no!"]),
    ("language:response_language", {"language": "fr"}, [FRENCH, "123 456"], [ENGLISH]),
    (
        "length_constraints:number_sentences",
        {"num_sentences": 2, "relation": "at least"},
        ["One. Two.", "Is it? It is!"],
        ["One, with Dr. No.", "none"],
    ),
    ("length_constraints:number_sentences", {"num_sentences": 2, "relation": "less than"}, ["One."], ["One. Two."]),
    (
        "length_constraints:number_paragraphs",
        {"num_paragraphs": 2},
        ["a\n***\nb", "***\na\n***\nb\n***", "a***b"],
        ["a", "a\n***\n\n***\nb", "a *** b *** c"],
    ),
    ("length_constraints:number_words", {"num_words": 3, "relation": "at least"}, ["it is so", "a-b-c"], ["it is"]),
    ("length_constraints:number_words", {"num_words": 3, "relation": "less than"}, ["it is"], ["it's so"]),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "Weekend"},
        ["a\n\nweekend it is", "a\n\n'Weekend!' he said", 'a\n\n"weekend"'],
        ["weekend\n\na", "a\n\nb\n\nweekend", "a\n\nweekends", "a\nweekend", "a\n\n\n\nweekend"],
    ),
    (
        "detectable_content:number_placeholders",
        {"num_placeholders": 2},
        ["[name] of [street]", "[] [a]"],
        ["[name]", "[na\nme] [x]"],
    ),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, ["Bye.\nP. S. so", "x p.s."], ["PS so", "P.P.S"]),
    ("detectable_content:postscript", {"postscript_marker": "P.P.S"}, ["Bye. P.P.S so", "p. p. s"], ["P.S. so"]),
    (
        "detectable_format:number_bullet_lists",
        {"num_bullets": 2},
        ["* a\n* b", "- a\n  - b", "* a\n- b\ntext"],
        ["* a", "* a\n* b\n- c", "**a**\n* b"],
    ),
    ("detectable_format:constrained_response", {}, ["So: My answer is yes."], ["My answer is yes"]),
    (
        "detectable_format:number_highlighted_sections",
        {"num_highlights": 2},
        ["*a* and *b*", "**bold**\n*a*", "**a** and **b**"],
        ["*a*", "* *a", "*a\nb* *c"],
    ),
    (
        "detectable_format:multiple_sections",
        {"section_spliter": "SECTION", "num_sections": 2},
        ["SECTION 1\na\nSECTION 2\nb", "SECTION1 SECTION 2"],
        ["Section 1 Section 2", "SECTION 1", "SECTION A SECTION B"],
    ),
    (
        "detectable_format:json_format",
        {},
        ['{"a": 1}', '```json\n{"a": [1]}\n```', "```\n[]\n```", "3"],
        ["{a: 1}", "Here: {}", "[" * 100_000],
    ),
    ("detectable_format:title", {}, ["<<poem of joy>>\nso", "a <<b>>"], ["<poem>", "<< >>", "<<a\nb>>"]),
    (
        "combination:two_responses",
        {},
        ["a\n******\nb", "******a******b******"],
        ["a", "a******a", "a******b******c", "a************b"],
    ),
    (
        "combination:repeat_prompt",
        {"prompt_to_repeat": "Write a haiku. "},
        ["Write a haiku.\n\nAn old pond", " WRITE A HAIKU."],
        ["An old pond", "First: Write a haiku."],
    ),
    ("startend:end_checker", {"end_phrase": "Peace! "}, ["so\npeace!", '"so Peace!" '], ["Peace! so", "Peace"]),
    ("startend:quotation", {}, ['"so"', ' "so"\n'], ['"so', "'so'", '"', "“so”"]),
    (
        "change_case:capital_word_frequency",
        {"capital_frequency": 2, "capital_relation": "at least"},
        ["NASA and ESA", "AT&T", "I AM", "HELLO:WORLD"],
        ["NASA and Esa", "WELL-KNOWN one", "none"],
    ),
    (
        "change_case:capital_word_frequency",
        {"capital_frequency": 2, "capital_relation": "less than"},
        ["NASA and Esa"],
        ["NASA and ESA"],
    ),
    ("change_case:english_capital", {}, [ENGLISH.upper(), ENGLISH.upper() + " 1!"], [ENGLISH, FRENCH.upper(), "123"]),
    ("change_case:english_lowercase", {}, [ENGLISH], [ENGLISH.capitalize(), FRENCH, "123"]),
    ("punctuation:no_comma", {}, ["so; it is"], ["so, it is"]),
]


@pytest.mark.parametrize(("name", "parameters", "reply"), [(n, p, r) for n, p, good, _ in CASES for r in good])
def test_a_reply_that_follows(name: str, parameters: dict[str, Any], reply: str) -> None:
    assert followed(reply, [name], [parameters], loose=False).followed == [True]


@pytest.mark.parametrize(("name", "parameters", "reply"), [(n, p, r) for n, p, _, bad in CASES for r in bad])
def test_a_reply_that_does_not(name: str, parameters: dict[str, Any], reply: str) -> None:
    assert followed(reply, [name], [parameters], loose=False).followed == [False]


def test_all_25_instructions_are_tried() -> None:
    assert {name for name, *_ in CASES} == set(CHECKS)
    assert len(CHECKS) == 25


def test_an_empty_reply_follows_nothing() -> None:
    for loose in (False, True):
        assert followed(" \n", ["punctuation:no_comma"], [{}], loose).followed == [False]
    assert followed("**", ["punctuation:no_comma"], [{}], loose=True).followed == [True]


@pytest.mark.parametrize(
    ("name", "parameters", "reply"),
    [
        ("punctuation:no_comma", {}, "Sure, here it is:\nno comma"),
        ("punctuation:no_comma", {}, "no comma\nThat is it, folks"),
        ("punctuation:no_comma", {}, "Sure, so:\nno comma\nIs that well, sir?"),
        ("detectable_format:json_format", {}, "**{}**"),
        ("startend:quotation", {}, 'Here:\n*"so"*'),
    ],
)
def test_the_loose_reading_forgives_a_first_line_a_last_line_and_asterisks(
    name: str, parameters: dict[str, Any], reply: str
) -> None:
    assert followed(reply, [name], [parameters], loose=False).followed == [False]
    assert followed(reply, [name], [parameters], loose=True).followed == [True]


def test_the_loose_reading_does_not_forgive_the_middle() -> None:
    assert followed("a\nb, c\nd", ["punctuation:no_comma"], [{}], loose=True).followed == [False]


def test_the_eight_readings_of_a_reply() -> None:
    assert list(variants("*a*\n b \nc")) == ["*a*\n b \nc", "b \nc", "*a*\n b", "b", "a\n b \nc", "a\n b"]
    assert list(variants("a")) == ["a", ""]


def test_prompt_level_wants_all_and_instruction_level_counts_each() -> None:
    sample = {
        "instructions": ["punctuation:no_comma", "detectable_format:title", "punctuation:no_comma"],
        "kwargs": [{}, {}, {}],
    }
    reply = "Sure, so:\nno comma"
    detail = {"instructions": sample["instructions"], "followed": [False, False, False]}
    assert scorer["ifeval_prompt"](reply, sample) == Scored(0.0, 1.0, detail)
    assert scorer["ifeval_instruction"](reply, sample) == Scored(0.0, 3.0, detail)
    loose = scorer["ifeval_instruction"](reply, sample, loose=True)
    assert loose.value == pytest.approx(2 / 3) and loose.weight == 3.0
    assert scorer["ifeval_prompt"](reply, sample, loose=True).value == 0.0
    assert scorer["ifeval_prompt"]("<<no comma>>", sample).value == 1.0


def test_a_detail_says_what_split_the_sentences() -> None:
    wanted = {"num_sentences": 1, "relation": "at least"}
    counted = followed("One.", ["length_constraints:number_sentences"], [wanted], loose=False)
    assert counted.detail["sentences"] == splitter()[0]
    assert splitter()[0] in ("punkt", "rules")
    assert "sentences" not in followed("One.", ["punctuation:no_comma"], [{}], loose=False).detail


def test_what_the_data_must_say() -> None:
    with pytest.raises(SpecError, match="'punctuation:no_commas'; did you mean punctuation:no_comma"):
        followed("x", ["punctuation:no_commas"], [{}], loose=False)
    with pytest.raises(SpecError, match=r"keywords:existence: missing .*: 'keywords'; the data give \[\]"):
        followed("x", ["keywords:existence"], [{}], loose=False)
    with pytest.raises(SpecError, match="wanted the relation 'at least' or 'less than', got 'at most'"):
        followed("x", ["length_constraints:number_words"], [{"num_words": 1, "relation": "at most"}], loose=False)


def test_parameters_that_are_null_are_left_out() -> None:
    assert given({"keyword": "fox", "letter": None, "relation": "", "frequency": 0}) == {"keyword": "fox"}


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("no end", 1),
        ("One. Two? Three!", 3),
        ("Dr. Who met Mrs. Smith. They left.", 2),
        ("It costs 3.50 in all. Really?!", 2),
        ('He said "No." Then he left.', 2),
        ("J. K. Rowling wrote it.", 1),
        ("e.g. this one. And that.", 2),
        ("Wait... what? so it is", 2),
        ("It was in the U.S. and it was good.", 1),
        ("Line one.\n\nLine two.", 2),
        ("a.b.c", 1),
    ],
)
def test_sentences_by_rules(text: str, count: int) -> None:
    assert len(sentences(text)) == count


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("I CAN'T, can't I?", ["I", "CA", "N'T", ",", "ca", "n't", "I", "?"]),
        ("AT&T's WELL-KNOWN.", ["AT", "&", "T", "'s", "WELL-KNOWN", "."]),
        ('"Go (now)--GO!"', ["``", "Go", "(", "now", ")", "--", "GO", "!", "''"]),
        ("at 3:30, NOTE:this", ["at", "3:30", ",", "NOTE", ":", "this"]),
        ("U.S. GONNA WAIT...", ["U.S.", "GON", "NA", "WAIT", "..."]),
        ("'TIS “SO”", ["'", "TIS", "“", "SO", "”"]),
    ],
)
def test_words_by_the_treebanks_rules(text: str, tokens: list[str]) -> None:
    assert treebank(text) == tokens


def test_words_are_runs_of_letters_and_digits() -> None:
    assert word_count("It's 3.5 well-known_words — so") == 7


@needs_data
def test_every_instruction_of_the_data_has_its_parameters() -> None:
    assert DATA is not None
    rows = [json.loads(line) for line in (DATA / "ifeval" / "input_data.jsonl").read_text().splitlines()]
    assert len(rows) == 541 and sum(len(row["instruction_id_list"]) for row in rows) == 834
    for row in rows:
        levels = followed(row["prompt"], row["instruction_id_list"], [given(k) for k in row["kwargs"]], loose=False)
        assert len(levels.followed) == len(row["instruction_id_list"])
