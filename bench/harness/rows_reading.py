"""Answers from memory or from a passage, and translation."""

from __future__ import annotations

from typing import Any

from .task import Row, Task, first_target, only, plus

TYDIQA = {"bn": "bengali", "en": "english", "fi": "finnish", "id": "indonesian", "ko": "korean", "sw": "swahili"}
XQUAD = ("ar", "de", "en", "es", "vi", "zh")
IBERIAN = {"es": "spa_Latn", "pt": "por_Latn"}
FLORES = frozenset({"bleu", "ter", "chrf"})


def trivia(row: Row) -> Row:
    """Without the marks of a CSV, and the answers where the harness looks for them."""
    asked = row["question"]
    if len(asked) > 1 and asked[0] == asked[-1] == '"' and '""' in asked:
        asked = asked[1:-1].replace('""', '"')
    return {"question": asked, "answer": {"aliases": row["golden_answers"]}}


def spans(row: Row) -> dict[str, Any]:
    return {name: [answer[name] for answer in row["answers"]] for name in ("text", "answer_start")}


def tydiqa(row: Row) -> Row:
    return {"id": f"{row['name']}-0", **only("title", "context", "question")(row), "answers": spans(row)}


def flores(row: Row) -> Row:
    return {"sentence_eng_Latn": row["english"].strip(), f"sentence_{row['language']}": row["sentence"].strip()}


READING: dict[str, Task] = {
    "nq_open": Task(
        "nq_open@lm_eval",
        "nq_open/nq_open.yaml",
        "validation",
        only("question", "answer"),
        writes=True,
    ),
    "triviaqa": Task("triviaqa@lm_eval", "triviaqa/default.yaml", "validation", trivia, writes=True),
    "webqs": Task("webquestions@lm_eval", "webqs/webqs.yaml", "test", only("answers", question="qText")),
    "xquad": Task(
        "xquad@lm_eval",
        "xquad/xquad_*.yaml",
        "validation",
        plus(only("context", "question"), answers=spans),
        "language",
        writes=True,
        gold_here=first_target,
        subject=lambda recipe: name if (name := recipe["dataset_name"][6:]) in XQUAD else None,
        asked=True,
    ),
    "tydiqa_goldp": Task(
        "tydiqa_goldp@lm_eval",
        "tydiqa/tydiqa_goldp_*.yaml",
        "validation",
        tydiqa,
        "name",
        writes=True,
        gold_here=first_target,
        subject=lambda recipe: TYDIQA.get(recipe["task"][-2:]),
    ),
    "ja_leaderboard_jsquad": Task(
        "jsquad@lm_eval",
        "japanese_leaderboard/ja_leaderboard_jsquad.yaml",
        "validation",
        plus(only("context", "question"), answers=spans),
        metrics={"exact_match,whitespaces": "exact_match"},
        writes=True,
        gold_here=lambda fields: fields["first"],
    ),
    "flores_from_english": Task(
        "flores200@lm_eval",
        "spanish_bench/flores_es/flores_en-es.yaml portuguese_bench/flores_pt/flores_en-pt.yaml",
        "devtest",
        flores,
        "language",
        writes=True,
        subject=lambda recipe: IBERIAN[recipe["task"][-2:]],
        together=FLORES,
        percent=FLORES,
    ),
    "flores_to_english": Task(
        "flores200@lm_eval_to_english",
        "spanish_bench/flores_es/flores_es-en.yaml portuguese_bench/flores_pt/flores_pt-en.yaml",
        "devtest",
        flores,
        "language",
        writes=True,
        subject=lambda recipe: IBERIAN[recipe["task"][-5:-3]],
        together=FLORES,
        percent=FLORES,
    ),
}
