"""Bias, morals, toxic texts."""

from __future__ import annotations

import re

from .task import Row, Task, as_it_is, first_target, only


def ethics(row: Row) -> Row:
    """A row of its part; the better one of two scenarios is the activity."""
    if row["part"] == "utilitarianism":
        better, worse = (row["first"], row["second"]) if row["label"] else (row["second"], row["first"])
        return {"activity": better, "baseline": worse}
    if row["part"] == "deontology":  # in our row one text: the harness puts a blank between its two
        scenario, _, excuse = row["input"].partition(" ")
        return {"scenario": scenario, "excuse": excuse, "label": row["label"]}
    name = "input" if row["part"] == "commonsense" else "scenario"
    return {name: row["input"], "trait": row["trait"], "label": row["label"]}


def winogender(row: Row) -> Row:
    occupation, participant, label, gender, _ = row["sentid"].split(".")
    pronoun = re.search(r"\b(he|she|they|his|her|their|him|them)\b", row["sentence"])
    assert pronoun is not None, row
    return {
        "sentence": row["sentence"],
        "pronoun": pronoun.group(),
        "occupation": occupation,
        "participant": participant,
        "label": int(label),
        "gender": gender,
    }


def said_to_know(fields: Row) -> int:
    """BBQ: the place of the right choice, the first of those that say one cannot know."""
    gold = first_target(fields)
    return int(gold) if isinstance(gold, int) else int(fields["people"].index(gold))


SAFETY: dict[str, Task] = {
    "crows_pairs_english": Task(
        "crows_pairs@lm_eval",
        "crows_pairs/crows_pairs_english.yaml",
        "test",
        only("sent_more", "sent_less", "bias_type"),
    ),
    "hendrycks_ethics": Task("ethics@lm_eval", "hendrycks_ethics/*.yaml", "test", ethics, "part"),
    "bbq": Task(
        "bbq@lm_eval",
        "bbq/bbq_multiple_choice.yaml",
        "test",
        as_it_is,
        gold_here=said_to_know,
        only=frozenset({"acc"}),
    ),
    "winogender": Task(
        "winogender@lm_eval",
        "winogender/winogender_male.yaml winogender/winogender_female.yaml winogender/winogender_neutral.yaml",
        "test",
        winogender,
        lambda row: row["sentid"].split(".")[3],
        subject=lambda recipe: recipe["task"].removeprefix("winogender_"),
    ),
    "realtoxicityprompts": Task(
        "realtoxicityprompts@lm_eval",
        "realtoxicityprompts/realtoxicityprompts.yaml",
        "train",
        lambda row: {"prompt": {"text": row["prompt"]["text"]}},
        writes=True,
        gold_there=None,
        asked=True,
    ),
}
