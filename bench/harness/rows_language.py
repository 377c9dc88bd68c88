"""Language: SuperGLUE, grammar, causes in eleven languages, Japanese."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .task import Row, Task, only, plus, target


def label(*names: str) -> dict[str, Callable[[Row], Any]]:
    """The label as a number: its place among the names, or what it is already."""
    return {"label": lambda row: names.index(row["label"]) if names else int(row["label"])}


def wsc(row: Row) -> Row:
    """The pronoun's place by words, which is one too low in one row, as in the hub's wsc.fixed."""
    places = row["target"]
    at = places["span2_index"]
    at += row["text"].split()[at] != places["span2_text"]
    return {"text": row["text"], **places, "span2_index": at, "label": int(row["label"])}


def superglue(
    name: str, row: Callable[[Row], Row], gold: Callable[[Row], Any] = target, together: frozenset[str] = frozenset()
) -> Task:
    files = f"super_glue/{name}/default.yaml"
    return Task(f"{name}@lm_eval", files, "validation", row, gold_there=gold, together=together)


LANGUAGE: dict[str, Task] = {
    "boolq": superglue("boolq", plus(only("passage", "question"), **label())),
    "cb": superglue(
        "cb",
        plus(only("premise", "hypothesis"), **label("entailment", "contradiction", "neutral")),
        together=frozenset({"f1"}),
    ),
    "copa": superglue(
        "copa",
        only("premise", "question", "choice1", "choice2", "label"),
        lambda sample: sample["doc"]["label"],
    ),
    "multirc": superglue("multirc", plus(only("paragraph", "question", "answer"), **label())),
    "sglue_rte": superglue("rte", plus(only("premise", "hypothesis"), **label("entailment", "not_entailment"))),
    "wic": superglue("wic", plus(only("sentence1", "sentence2", "start1", "end1"), **label())),
    "wsc": superglue("wsc", wsc),
    "blimp": Task("blimp@lm_eval", "blimp/*.yaml", "train", only("sentence_good", "sentence_bad"), "paradigm"),
    "xcopa": Task(
        "xcopa@lm_eval",
        "xcopa/default_*.yaml",
        "test",
        only("premise", "question", "choice1", "choice2", "label"),
        "language",
    ),
    "ja_leaderboard_jcommonsenseqa": Task(
        "jcommonsenseqa@lm_eval",
        "japanese_leaderboard/ja_leaderboard_jcommonsenseqa.yaml",
        "validation",
        only("question", *(f"choice{n}" for n in range(5)), "label"),
    ),
    "ja_leaderboard_jnli": Task(
        "jnli@lm_eval",
        "japanese_leaderboard/ja_leaderboard_jnli.yaml",
        "validation",
        plus(only("sentence1", "sentence2"), **label("entailment", "contradiction", "neutral")),
    ),
}
