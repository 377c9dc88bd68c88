"""Exams: subjects of school and university, medicine, AGIEval."""

from __future__ import annotations

import re
from collections.abc import Callable

from assay.extract_letters import agieval_formula

from .task import Row, Task, only, plus

LAW_OR_PHYSICS = ("gaokao-physics", "jec-qa-kd", "jec-qa-ca")
CLOZE = ("gaokao-mathcloze", "math")
ENGLISH = ("aqua-rat", "gaokao-english", "logiqa-en", "lsat-ar", "lsat-lr", "lsat-rc", "math", "sat-en",
           "sat-en-without-passage", "sat-math")  # fmt: skip


def mmlu(row: Row) -> Row:
    choices = [row[letter] for letter in "ABCD"]
    return {"question": row["question"], "choices": choices, "answer": "ABCD".index(row["answer"])}


def medqa(row: Row) -> Row:
    endings = {f"ending{n}": text for n, text in enumerate(row["options"].values())}
    return {"sent1": row["question"], **endings, "label": list(row["options"]).index(row["answer_idx"])}


def agieval(row: Row) -> Row:
    """The question as the harness's rows hold it ready, by AGIEval's zero-shot prompts; its choices and right ones."""
    last, choices = "ABCDE"[len(row["options"]) - 1], " ".join(row["options"])
    if row["task"] in ENGLISH:
        query = f"Q: {row['question']} Answer Choices: {choices}\nA: Among A through {last}, the answer is"
    else:
        query = f"问题：{row['question']} 选项：{choices}\n答案：从A到{last}, 我们应选择"
    gold = [index for index, letter in enumerate("ABCDE") if letter in row["label"]]
    return {"query": (row["passage"] or "") + query, "choices": row["options"], "gold": gold}


def cloze(row: Row) -> Row:
    english = row["task"] in ENGLISH
    query = f"Q: {row['question']}\nA: The answer is" if english else f"问题：{row['question']}\n答案："
    return {"query": query, "answer": row["answer"]}


def agieval_task(*tasks: str, but: tuple[str, ...] = ()) -> Callable[[Row], str | None]:
    """The exam of one of the harness's files, if it is one of these, or of none but these."""

    def subject(recipe: Row) -> str | None:
        name = recipe["dataset_path"].removeprefix("hails/agieval-")
        return name if (name in tasks if tasks else name not in but) else None

    return subject


def no_formula(row: Row, _: bool) -> str | None:
    lost = row["task"] in CLOZE and agieval_formula(row["answer"]) is None
    return "have an answer without a formula, where no formula in a reply is right" if lost else None


def all_right(row: Row, _: bool) -> str | None:
    right = row["task"] in LAW_OR_PHYSICS and all(letter in row["label"] for letter in "ABCD")
    return "have no wrong choice" if right else None


EXAMS: dict[str, Task] = {
    "mmlu": Task("mmlu@lm_eval", "mmlu/default/mmlu_*.yaml", "test", mmlu, "subject", 5, "dev"),
    "cmmlu": Task(
        "cmmlu@lm_eval", "cmmlu/cmmlu_*.yaml", "test", only("Question", *"ABCD", "Answer"), "subject", 5, "dev"
    ),
    "ceval-valid": Task(
        "ceval@lm_eval", "ceval/ceval-valid_*.yaml", "val", only("question", *"ABCD", "answer"), "subject"
    ),
    "aclue": Task(
        "aclue@lm_eval",
        "aclue/aclue_*.yaml",
        "test",
        only("Question", *"ABCD", "Answer"),
        "task",
        5,
        "dev",
        subject=lambda recipe: re.findall("关于(.*)的单项", recipe["description"])[0],
    ),
    "medmcqa": Task(
        "medmcqa@lm_eval",
        "medmcqa/medmcqa.yaml",
        "validation",
        plus(only("question", "opa", "opb", "opc", "opd"), cop=lambda row: row["cop"] - 1),
    ),
    "medqa_4options": Task("medqa_usmle@lm_eval", "medqa/medqa.yaml", "test", medqa),
    "pubmedqa": Task(
        "pubmedqa@lm_eval",
        "pubmedqa/pubmedqa.yaml",
        "test",
        only("QUESTION", "CONTEXTS", "final_decision"),
        gold_there=lambda sample: ["yes", "no", "maybe"].index(sample["target"]),
    ),
    "agieval": Task(
        "agieval@lm_eval",
        "agieval/*.yaml",
        "test",
        agieval,
        "task",
        subject=agieval_task(but=LAW_OR_PHYSICS + CLOZE),
    ),
    "agieval_multi": Task(
        "agieval_multi@lm_eval",
        "agieval/gaokao-physics.yaml agieval/jec-qa-*.yaml",
        "test",
        agieval,
        "task",
        subject=agieval_task(*LAW_OR_PHYSICS),
        unfit=all_right,
        key="question",
    ),
    "agieval_cloze": Task(
        "agieval_cloze@lm_eval",
        "agieval/math.yaml agieval/gaokao-mathcloze.yaml",
        "test",
        cloze,
        "task",
        writes=True,
        subject=agieval_task(*CLOZE),
        unfit=no_formula,
        key="question",
    ),
}
