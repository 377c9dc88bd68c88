"""Benchmarks in English whose rows come from the hub, asked about rows of their real form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hub_rows import (  # noqa: F401  the tests run here, on this file's rows
    Made,
    laid_out,
    test_rows_of_the_real_form_are_asked_as_they_should_be,
    test_the_first_prompt_is_on_record,
    test_the_right_answer_scores_one_and_a_wrong_one_less,
)

NLI = ["entailment", "neutral", "contradiction"]
TEXTS = ["list", "string"]
TWO = [0, 1]


def glue(asked: str, right: list[str], names: list[str], *columns: str) -> Made:
    """GLUE's form: one or two texts, a class, a number."""
    rows = [{**{one: f"{one.title()} {i}." for one in columns}, "label": i, "idx": i} for i in TWO]
    return Made(asked, right, rows, {**dict.fromkeys(columns, "string"), "label": names, "idx": "int32"})


FOUR = ["A red cat.", "A dog.", "Two birds.", "No animal."]
DATE = {"day": "", "month": "", "year": ""}
SPANS = {"number": "", "date": DATE, "spans": ["the Bears"]}
SEVEN = {"number": "7", "date": DATE, "spans": []}
MAY = {"number": "", "date": {"day": "4", "month": "May", "year": "1802"}, "spans": []}


def validated(*answers: dict[str, Any]) -> dict[str, Any]:
    kept = {name: [one[name] for one in answers] for name in ("number", "date", "spans")}
    return {**kept, "worker_id": ["w"] * len(answers), "hit_id": ["h"] * len(answers)}


DATES = {"day": "string", "month": "string", "year": "string"}
DROP = {"number": "string", "date": DATES, "spans": TEXTS, "worker_id": "string", "hit_id": "string"}
SQUAD = {"title": "Cats", "context": "Cats sleep on mats all day."}
SCIENCE = {"Incorrect Answer 1": " second", "Incorrect Answer 2": "third\n", "Incorrect Answer 3": "fourth"}

MADE = {
    "race": Made(
        "Article: Tom has a cat.\n\nQuestion: What has Tom?\nAnswer:",
        ["A red cat.", "Two birds."],
        [{"example_id": f"high{i}.txt", "article": "Tom has a cat.", "question": "What has Tom?", "options": FOUR,
          "answer": letter} for i, letter in enumerate("AC")],
        {"example_id": "string", "article": "string", "answer": "string", "question": "string", "options": TEXTS},
    ),
    "drop": Made(
        "They won by 7. How many?",
        ["7", "the Bears", "4 May 1802"],
        [{"section_id": "s", "query_id": str(i), "passage": "They won by 7.", "question": "How many?",
          "answer": {**answer, "worker_id": "w", "hit_id": "h"}, "validated_answers": validated(SEVEN, SPANS)}
         for i, answer in enumerate((SEVEN, SPANS, MAY))],
        {"section_id": "string", "query_id": "string", "passage": "string", "question": "string", "answer": DROP,
         "validated_answers": {name: ["list", kind] for name, kind in DROP.items()}},
    ),
    "squad20": Made(
        "Question: Where do cats sleep?",
        ["on mats", "impossible to answer"],
        [{"id": "1", **SQUAD, "question": "Where do cats sleep?", "answers": {"text": ["on mats", "mats"],
          "answer_start": [11, 14]}},
         {"id": "2", **SQUAD, "question": "Why?", "answers": {"text": [], "answer_start": []}}],
        {"id": "string", "title": "string", "context": "string", "question": "string",
         "answers": {"text": TEXTS, "answer_start": ["list", "int32"]}},
    ),
    "anli": Made(
        "It rained.\nQuestion: It was wet. True, False, or Neither?\nAnswer:",
        ["True", "Neither", "False"],
        [{"uid": str(i), "premise": "It rained.", "hypothesis": "It was wet.", "label": i, "reason": ""}
         for i in range(3)],
        {"uid": "string", "premise": "string", "hypothesis": "string", "label": NLI, "reason": "string"},
    ),
    "cola": glue("Sentence 0.\nQuestion: Does this sentence make sense?", ["no", "yes"], ["unacceptable", "acceptable"],
                 "sentence"),
    "sst2": glue("Sentence 0.\nQuestion: Is this sentence positive or negative?", ["negative", "positive"],
                 ["negative", "positive"], "sentence"),
    "mrpc": glue("Sentence 2: Sentence2 0.\nQuestion: Do both", ["no", "yes"], ["not_equivalent", "equivalent"],
                 "sentence1", "sentence2"),
    "qqp": glue("Question 2: Question2 0.\nQuestion: Do both questions", ["no", "yes"], ["not_duplicate", "duplicate"],
                "question1", "question2"),
    "qnli": glue("Question 0.\nSentence 0.\nQuestion: Does this", ["yes", "no"], ["entailment", "not_entailment"],
                 "question", "sentence"),
    "wnli": glue("Question: Sentence2 0. True or False?", ["False", "True"], ["not_entailment", "entailment"],
                 "sentence1", "sentence2"),
    "mmlu_pro": Made(
        "What is there?\nOptions:\nA. A red cat.\nB. A dog.\nC. Two birds.\nD. No animal.\nAnswer: Let's think",
        ["The answer is (B)."] * 5,
        [{"question_id": i, "question": f"What is there?{' ' * i}", "options": FOUR, "answer": "B", "answer_index": 1,
          "cot_content": "", "category": "biology", "src": "x"} for i in range(5)],
        {"question_id": "int64", "question": "string", "options": TEXTS, "answer": "string", "answer_index": "int64",
         "cot_content": "string", "category": "string", "src": "string"},
    ),
    "gpqa": Made(
        "What is the correct answer to this question:Which?\nChoices:\n(A) ",
        ["(C)", "(C)"],
        [{"Question": one, "Correct Answer": "first ", **SCIENCE, "Subdomain": "P"} for one in ("Which?", "Who?")],
        dict.fromkeys(["Question", "Correct Answer", *SCIENCE, "Subdomain"], "string"),
    ),
    "aime25": Made(
        "Find x.\nPlease reason step by step",
        ["\\boxed{70}", "\\boxed{588}"],
        [{"problem": "Find x.", "answer": answer, "id": str(i)} for i, answer in enumerate(["70", "588"])],
        {"problem": "string", "answer": "string", "id": "string"},
    ),
    "sciq": Made(
        "Cats purr.\nQuestion: What purrs?\nAnswer:",
        ["cats"],
        [{"question": "What purrs?", "distractor3": "c", "distractor1": "a", "distractor2": "b",
          "correct_answer": "cats", "support": " Cats purr."}],
        dict.fromkeys(["question", "distractor3", "distractor1", "distractor2", "correct_answer", "support"], "string"),
    ),
    "record": Made(
        "Passage: Ann met Bob.\nThey ate\nResult: @placeholder paid\nQuestion: What entity does \"@placeholder\"",
        ["Ann"],
        [{"passage": "Ann met Bob.\n@highlight\nThey ate", "query": "@placeholder paid",
          "entities": ["Bob", "Ann", "Bob"], "entity_spans": {"text": ["Ann"], "start": [0], "end": [3]},
          "answers": ["Ann"], "idx": {"passage": 0, "query": 0}}],
        {"passage": "string", "query": "string", "entities": TEXTS,
         "entity_spans": {"text": TEXTS, "start": ["list", "int32"], "end": ["list", "int32"]}, "answers": TEXTS,
         "idx": {"passage": "int32", "query": "int32"}},
    ),
    "xsum": Made(
        "Document：It rained 0 days.\nBased on the previous text, provide a brief single summary:",
        ["Rain zero.", "Rain one."],
        [{"document": f"It rained {i} days.", "summary": f"Rain {word}.", "id": str(i)}
         for i, word in enumerate(["zero", "one"])],
        dict.fromkeys(["document", "summary", "id"], "string"),
    ),
    "musr": Made(
        "A tale.\n\nWho did it?\n\n1 - Ann\n2 - Bob\nAnswer:",
        ["Bob", "Ann"],
        [{"narrative": "A tale.", "question": "Who did it?", "choices": "['Ann', 'Bob']", "answer_index": i,
          "answer_choice": one} for i, one in ((1, "Bob"), (0, "Ann"))],
        {"narrative": "string", "question": "string", "choices": "string", "answer_index": "int64",
         "answer_choice": "string"},
    ),
    "winograd": Made(
        "",
        [" was bad.", " was bad."],
        [{"text": "Ann told Eve that she was bad.", "pronoun": "she", "pronoun_loc": 18, "quote": "she was bad",
          "quote_loc": 18, "options": ["Ann", "Eve"], "label": i, "source": "x"} for i in TWO],
        {"text": "string", "pronoun": "string", "pronoun_loc": "int32", "quote": "string", "quote_loc": "int32",
         "options": TEXTS, "label": ["0", "1"], "source": "string"},
    ),
    "summedits": Made(
        "Document:\nIt rained.\nSummary:\nIt was wet.\nQuestion:\nIs the summary factually consistent",
        ["No", "Yes"],
        [{"domain": "news", "id": str(i), "doc": "It rained.", "summary": "It was wet.", "original_summary": "",
          "label": i, "edit_types": [], "seed_summary_id": 1} for i in TWO],
        {**dict.fromkeys(["domain", "id", "doc", "summary", "original_summary"], "string"), "label": "int64",
         "edit_types": TEXTS, "seed_summary_id": "int64"},
    ),
    "storycloze": Made(
        "A. B. C. D.",
        ["E2.", "E1."],
        files={"storycloze/cloze_test_test__spring2016 - cloze_test_ALL_test.csv":
               "InputStoryid,InputSentence1,InputSentence2,InputSentence3,InputSentence4,RandomFifthSentenceQuiz1,"
               "RandomFifthSentenceQuiz2,AnswerRightEnding\n1,A.,B.,C.,D.,E1.,E2.,2\n2,A.,B.,C.,G.,E1.,E2.,1\n"},
    ),
    "iwslt2017": Made(
        "English statements to German:\nGood day.",
        ["Guten Tag.", "Eine Katze."],
        files={f"iwslt2017/{split}.{lang}": text for split in ("test", "validation")
               for lang, text in (("en", "Good day.\nA cat.\n"), ("de", "Guten Tag.\nEine Katze.\n"))},
    ),
    "safety_prompts": Made("He said that", [], files={"safety.txt": "He said that\nShe said\n"}),
    "xlsum": Made(
        "Document：It rained.\nBased on",
        ["Rain fell today."],
        files={"xlsum/english_test.jsonl":
               '{"id":"1","url":"u","title":"t","summary":"Rain fell today.","text":"It rained."}\n'},
    ),
}  # fmt: skip


@pytest.fixture(params=MADE)
def made(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, Made, Path]:
    """A benchmark's name, its rows, and a catalogue folder in which they lie."""
    rows = MADE[request.param]
    return request.param, rows, laid_out(request.param, rows, tmp_path, monkeypatch)
