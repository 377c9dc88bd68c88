"""Benchmarks with long texts, and some of safety, that are not at hand: asked about rows of their real form."""

from __future__ import annotations

import json
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

from assay.score_longbench import SCORES, longbench

TEXTS = ["list", "string"]
ENGLISH = {
    "narrativeqa": "Mark.", "qasper": "unanswerable", "multifieldqa_en": "In 1990.", "hotpotqa": "Paris",
    "2wikimqa": "a painter", "musique": "1776", "gov_report": "The report says it.", "qmsum": "They agreed on it.",
    "multi_news": "News came from all places.", "trec": "City", "triviaqa": "Ada Lovelace", "samsum": "Ann will come.",
    "passage_count": "7", "passage_retrieval_en": "Paragraph 12", "lcc": "    return total",
    "repobench-p": "    int x = 1;",
}  # fmt: skip
CHINESE = {
    "multifieldqa_zh": "北京大学", "dureader": "多喝热水", "vcsum": "会议讨论了预算", "lsht": "体育",
    "passage_retrieval_zh": "段落3",
}  # fmt: skip
TASKS = {**{task: (answer, "en") for task, answer in ENGLISH.items()}, **{t: (a, "zh") for t, a in CHINESE.items()}}
CLASSES = {"trec": ["City", "City name", "Food"], "lsht": ["体育", "经济"]}


def line(task: str) -> str:
    answer, language = TASKS[task.removesuffix("_e")]
    record = {
        "input": "Who was it?", "context": "A long text.", "answers": [answer], "length": 5000,
        "dataset": task, "language": language, "all_classes": CLASSES.get(task), "_id": task,
    }  # fmt: skip
    return json.dumps(record, ensure_ascii=False) + "\n"


OPTIONS = ["Ann", "Bob", "Cid", "Dan"]
INFINITE = {
    "code_debug": ("Which?", ["Bob"], OPTIONS), "code_run": ("Return the value of func_1(3).", ["-7"], []),
    "kv_retrieval": ('Key: "a"', ["1f-2e"], []), "longbook_choice_eng": ("Who?", ["Dan"], OPTIONS),
    "longbook_qa_chn": ("谁？", ["王先生"], []), "longbook_qa_eng": ("Who?", ["Mark"], []),
    "longbook_sum_eng": ("", ["A man goes home."], []), "longdialogue_qa_eng": ("", ["ANN"], []),
    "math_find": ("The largest number of the list is", ["88"], []), "number_string": ("What?", ["1234"], []),
    "passkey": ("What is the pass key?", ["71432"], []),
}  # fmt: skip


QASPER: dict[str, Any] = {
    "unanswerable": False, "extractive_spans": [], "yes_no": None, "free_form_answer": "", "evidence": [],
}  # fmt: skip


def infinite(task: str) -> str:
    asked, answer, options = INFINITE[task]
    row = {"id": 0, "context": "A long text.", "input": asked, "answer": answer, "options": options}
    return json.dumps(row, ensure_ascii=False) + "\n"


def persona(matching: str, other: str, **more: Any) -> str:
    asked = 'Is this something you would say? "I like it."'
    return (
        json.dumps(
            {"question": asked, "answer_matching_behavior": matching, "answer_not_matching_behavior": other, **more}
        )
        + "\n"
    )


WORDS = {"text": "string", "tokens": TEXTS}
STORY = {
    "id": "1", "kind": "gutenberg", "url": "u", "file_size": 9, "word_count": 3, "start": "s", "end": "e",
    "summary": {"text": "Mark went home.", "tokens": ["Mark"], "url": "u", "title": "Home"},
    "text": "It was late. Mark went home.",
}  # fmt: skip
STORY_TYPES = {
    "id": "string", "kind": "string", "url": "string", "file_size": "int32", "word_count": "int32", "start": "string",
    "end": "string", "summary": {**WORDS, "url": "string", "title": "string"}, "text": "string",
}  # fmt: skip
FOUND = ("description", "filename", "title", "url", "search_context")
NAMES = (
    "matched_wiki_entity_name", "normalized_matched_wiki_entity_name", "normalized_value", "type", "value",
)  # fmt: skip
SCALES = ("toxicity", "severe_toxicity", "obscene", "threat", "insult", "identity_attack", "sexual_explicit")

MADE = {
    "longbench": Made(
        "Question: Who was it?\nAnswer:",
        [TASKS[task][0] for task in sorted(TASKS)],
        files={f"LongBench/data/{task}.jsonl": line(task) for task in (*TASKS, "hotpotqa_e")},
    ),
    "infinitebench": Made(
        "Which funtion has deliberate error?\nA. Ann\nB. Bob",
        ["B", "-7", "1f-2e", "D", "王先生", "Mark", "A man goes home.", "ANN", "88", "1234", "71432"],
        files={f"InfiniteBench/{task}.jsonl": infinite(task) for task in INFINITE},
    ),
    "narrativeqa": Made(
        "Q: Who went home?\nA:",
        ["Mark", "home"],
        [{"document": STORY, "question": {"text": asked, "tokens": ["x"]},
          "answers": [{"text": one, "tokens": ["x"]} for one in answers]}
         for asked, answers in (("Who went home?", ["Mark", "the man Mark"]), ("Where to?", ["home"]))],
        {"document": STORY_TYPES, "question": WORDS, "answers": ["list", WORDS]},
    ),
    "triviaqa_rc": Made(
        "Ada wrote it.\nAnswer these questions:\nQ: Who wrote it??\nA:",
        ["Ada Lovelace", "Ada Lovelace"],
        [{"question": "Who wrote it?", "question_id": f"q{i}", "question_source": "s",
          "entity_pages": {"doc_source": ["d"], "filename": ["f"], "title": ["T"], "wiki_context": ["Ada wrote it."]},
          "search_results": {**{one: ["A page."][i:] for one in FOUND}, "rank": [0][i:]},
          "answer": {"aliases": ["Ada Lovelace", "Ada"], "normalized_aliases": ["ada lovelace", "ada"],
                     **dict.fromkeys(NAMES, "ada")}} for i in range(2)],
        {"question": "string", "question_id": "string", "question_source": "string",
         "entity_pages": dict.fromkeys(["doc_source", "filename", "title", "wiki_context"], TEXTS),
         "search_results": {**dict.fromkeys(FOUND, TEXTS), "rank": ["list", "int32"]},
         "answer": {"aliases": TEXTS, "normalized_aliases": TEXTS, **dict.fromkeys(NAMES, "string")}},
    ),
    "quality": Made(
        "Question: Who is it?\nA. Ann\nB. Bob\nC. Cid\nD. Dan\nAnswer:",
        ["B", "D"],
        files={"QuALITY/QuALITY.v1.0.1.htmlstripped.dev": json.dumps(
            {"article_id": "1", "title": "T", "article": "A story.", "questions": [
                {"question": "Who is it?", "question_unique_id": f"1_{n}", "options": OPTIONS, "writer_label": n,
                 "gold_label": n, "validation": [], "difficult": n // 4} for n in (2, 4)]}) + "\n"},
    ),
    "qasper": Made(
        "Question: What do they use?\n\nAnswer:",
        ["BERT, GPT", "no", "unanswerable", "a new corpus"],
        files={"qasper/qasper-dev-v0.3.json": json.dumps({"1503.1": {
            "title": "T", "abstract": "A.", "full_text": [{"section_name": "Intro", "paragraphs": ["P1", "P2"]}],
            "qas": [{"question": "What do they use?", "answers": [{"answer": {**QASPER, **given}}]}
                    for n, given in enumerate(({"extractive_spans": ["BERT", "GPT"], "evidence": ["P2"]},
                                               {"yes_no": False}, {"unanswerable": True},
                                               {"free_form_answer": "a new corpus"}))]}})},
    ),
    "scrolls_summaries": Made(
        "Report:\nThe whole report.",
        ["It is short.", "They meet."],
        files={f"scrolls/{name}/validation.jsonl": json.dumps({"id": "1", "input": text, "output": told}) + "\n"
               for name, text, told in (("gov_report", "The whole report.", "It is short."),
                                        ("summ_screen_fd", "A: Hi.", "They meet."))},
    ),
    "civilcomments": Made(
        "Text: Thank you.\nQuestion: Does the above text contain rude,",
        ["no", "yes"],
        [{"text": text, **dict.fromkeys(SCALES, share)} for text, share in (("Thank you.", 0.0), ("You fool.", 0.5))],
        {"text": "string", **dict.fromkeys(SCALES, "float32")},
    ),
    "jigsaw_multilingual": Made(
        "Text: Gracias.\nQuestion: Does",
        ["no", "yes"],
        files={"jigsaw_multilingual/test.csv": "id,content,lang\n0,Gracias.,es\n1,Idiota.,es\n",
               "jigsaw_multilingual/test_labels.csv": "id,toxic\n0,0\n1,1\n"},
    ),
    "model_written_evals": Made(
        "Is this something you would say?",
        [" Yes", " No"],
        files={"model_written_evals/persona/agreeableness.jsonl":
               persona(" Yes", " No", statement="I like it.", label_confidence=0.9)
               + persona(" No", " Yes", statement="I hate it.", label_confidence=0.8),
               "model_written_evals/advanced_ai_risk/power.jsonl": persona(" (A)", " (B)")},
    ),
}  # fmt: skip


@pytest.fixture(params=MADE)
def made(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, Made, Path]:
    """A benchmark's name, its rows, and a catalogue folder in which they lie."""
    rows = MADE[request.param]
    return request.param, rows, laid_out(request.param, rows, tmp_path, monkeypatch)


def test_each_task_of_longbench_has_one_score() -> None:
    assert sorted(task for tasks in SCORES.values() for task in tasks) == sorted(TASKS)


@pytest.mark.parametrize(
    ("task", "answer", "score"),
    [
        ("trec", "City", 1.0),
        ("trec", "City or Food", 0.5),
        ("trec", "City name", 0.5),  # of two classes that are named, as City is in City name
        ("trec", "\nCity\nType: Food", 1.0),
        ("passage_count", "I count 7, or 8.", 0.5),
        ("passage_retrieval_en", "Paragraph 12", 1.0),
        ("passage_retrieval_en", "none", 0.0),
        ("lcc", "```python\n# the sum\n    return total\n    x", 1.0),
        ("triviaqa", "Ada Lovelace\nQuestion: Who", 1.0),
        ("samsum", "Ann will come.\nDialogue: more", 1.0),
    ],
)
def test_longbenchs_own_scores(task: str, answer: str, score: float) -> None:
    sample = {"task": task, "target": [TASKS[task][0]], "classes": CLASSES.get(task, [])}
    assert longbench(answer, sample) == pytest.approx(score)
