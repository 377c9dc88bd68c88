"""Choices and likelihoods: science, common sense, truth, texts."""

from __future__ import annotations

import re

from .task import Row, Task, only, plus

LETTERS = "ABCDE"
BEGUN = re.compile(r'[.!?]["\u201d)]* ([a-z][^.!?]*)$')


def lettered(row: Row) -> Row:
    """ARC: a table with four choices and the right one's letter."""
    texts = [row[letter] for letter in "ABCD"]
    return {"question": row["question"], "choices": {"text": texts, "label": list("ABCD")}, "answerKey": row["answer"]}


def hellaswag(row: Row) -> Row:
    """The activity and the context's two parts, from the one text that our file has."""
    label, _, context = str(row["context"]).partition(": ")
    begun = BEGUN.search(context)
    second = begun.group(1) if begun else ""
    first = context[: len(context) - len(second)].removesuffix(" ") if second else context
    endings = [row[letter] for letter in "ABCD"]
    return {
        "activity_label": label,
        "ctx_a": first,
        "ctx_b": second,
        "endings": endings,
        "label": str(row["label"]).strip(),
    }


def winogrande(row: Row) -> Row:
    found = re.search(r"sentence: (.*)\n\nOption1: (.*?) Option2: (.*?) Answer format: ", row["instruction"], re.DOTALL)
    assert found is not None, row
    sentence, first, second = found.groups()
    return {"sentence": sentence, "option1": first, "option2": second, "answer": row["answer"][-1]}


def commonsense(row: Row) -> Row:
    choices = row["question"]["choices"]
    named = {name: [choice[name] for choice in choices] for name in ("text", "label")}
    return {"question": row["question"]["stem"], "choices": named, "answerKey": row["answerKey"]}


def truthful(row: Row) -> Row:
    targets = {n: {"choices": list(row[n]), "labels": list(row[n].values())} for n in ("mc1_targets", "mc2_targets")}
    return {"question": row["question"], **targets}


def right_ones(sample: Row) -> list[int]:
    """TruthfulQA's second form: the indexes of all that is true."""
    return [index for index, label in enumerate(sample["doc"]["mc2_targets"]["labels"]) if label]


CHOICE: dict[str, Task] = {
    "arc_easy": Task("arc_easy@lm_eval", "arc/arc_easy.yaml", "test", lettered),
    "arc_challenge": Task("arc_challenge@lm_eval", "arc/arc_challenge.yaml", "test", lettered),
    "piqa": Task(
        "piqa@lm_eval",
        "piqa/piqa.yaml",
        "validation",
        plus(only("goal", "sol1", "sol2"), label=lambda row: int(row["label"])),
    ),
    "winogrande": Task(
        "winogrande@lm_eval",
        "winogrande/default.yaml",
        "validation",
        winogrande,
        gold_there=lambda sample: int(sample["doc"]["answer"]) - 1,
    ),
    "commonsense_qa": Task(
        "commonsenseqa@lm_eval",
        "commonsense_qa/default.yaml",
        "validation",
        commonsense,
        gold_there=lambda sample: LETTERS.index(sample["target"]),
    ),
    "openbookqa": Task(
        "openbookqa@lm_eval", "openbookqa/openbookqa.yaml", "test", only("question_stem", "choices", "answerKey")
    ),
    "social_iqa": Task(
        "siqa@lm_eval",
        "siqa/siqa.yaml",
        "validation",
        only("context", "question", "answerA", "answerB", "answerC", "label"),
    ),
    "hellaswag": Task("hellaswag@lm_eval_like", "hellaswag/hellaswag.yaml", "validation", hellaswag),
    "logiqa2": Task("logiqa2@lm_eval", "logiqa2/logiqa2.yaml", "test", only("text", "question", "options", "answer")),
    "truthfulqa_mc1": Task("truthfulqa@mc1", "truthfulqa/truthfulqa_mc1.yaml", "validation", truthful),
    "truthfulqa_mc2": Task(
        "truthfulqa@mc2",
        "truthfulqa/truthfulqa_mc2.yaml",
        "validation",
        truthful,
        metrics={"acc": "mc2"},
        gold_there=right_ones,
    ),
    "lambada_openai": Task(
        "lambada@lm_eval",
        "lambada/lambada_openai.yaml",
        "test",
        only("text"),
        gold_there=lambda sample: sample["target"].strip(),
    ),
    "wikitext": Task("wikitext2@lm_eval", "wikitext/wikitext.yaml", "test", only(page="text"), gold_there=None),
}
