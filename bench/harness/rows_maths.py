"""Maths and other answers that are written and read: chains of thought, formulas, instructions."""

from __future__ import annotations

from string import ascii_lowercase
from typing import Any

from assay import latex

from .task import Row, Task, as_it_is, only, plus

NEED_PUNKT = frozenset({"length_constraints:number_sentences", "change_case:capital_word_frequency"})
"""Instructions that the harness checks with nltk's sentence splitter."""


def unfit(row: Row, punkt: bool) -> str | None:
    """IFEval: sentences want punkt; for a sign that is no letter the harness draws a letter at random."""
    if not punkt and not NEED_PUNKT.isdisjoint(row["instruction_id_list"]):
        return "want nltk's punkt, which the harness has not"
    signs = [parameters["letter"] for parameters in row["kwargs"] if parameters.get("letter")]
    if any(sign.lower() not in ascii_lowercase for sign in signs):
        return "count a sign for which the harness draws a letter at random"
    return None


def field_of(row: Row) -> str:
    """MATH's fields as the harness's files name them."""
    return str(row["type"]).lower().replace(" & ", "_and_").replace(" ", "_")


def asdiv(row: Row) -> Row:
    return {"body": row["Body"], "question": row["Question"], "answer": row["Answer"]}


def mgsm(row: Row) -> Row:
    """A question of the test split, which has no worked answer."""
    return {"question": row["question"], "answer": None, "answer_number": int(row["answer"].replace(",", ""))}


def minerva(fields: Row) -> Any:
    return latex.minerva(fields["target"])


MATHS: dict[str, Task] = {
    "gsm8k": Task(
        "gsm8k@lm_eval",
        "gsm8k/gsm8k.yaml",
        "test",
        as_it_is,
        shots=5,
        pool="train",
        writes=True,
        gold_here=lambda fields: fields["worked"],
    ),
    "gsm8k_cot": Task("gsm8k@lm_eval_cot", "gsm8k/gsm8k-cot.yaml", "test", as_it_is, shots=8, writes=True),
    "mgsm_direct": Task("mgsm@lm_eval", "mgsm/direct/*.yaml", "test", mgsm, "language", writes=True),
    "mgsm_native_cot": Task("mgsm@lm_eval_cot", "mgsm/native_cot/*.yaml", "test", mgsm, "language", writes=True),
    "asdiv": Task("asdiv@lm_eval", "asdiv/default.yaml", "validation", asdiv),
    "asdiv_cot_llama": Task(
        "asdiv@lm_eval_cot", "asdiv/asdiv-cot-llama.yaml", "validation", asdiv, shots=8, writes=True
    ),
    "minerva_math": Task(
        "math@lm_eval",
        "minerva_math/minerva_math_*.yaml",
        "test",
        only("problem", "solution"),
        field_of,
        shots=4,
        writes=True,
        gold_here=minerva,
    ),
    "minerva_math500": Task(
        "math500@lm_eval",
        "minerva_math/minerva_math500.yaml",
        "test",
        only("problem", "solution"),
        shots=4,
        writes=True,
        gold_here=minerva,
    ),
    "hendrycks_math": Task(
        "math@lm_eval_zero_shot",
        "hendrycks_math/hendrycks_math_*.yaml",
        "test",
        only("problem", "solution"),
        field_of,
        writes=True,
    ),
    "aime24": Task(
        "aime24@lm_eval",
        "aime/aime24.yaml",
        "train",
        plus(only(Problem="problem"), Answer=lambda row: str(int(row["answer"]))),
        writes=True,
    ),
    "bbh_cot_fewshot": Task(
        "bbh@lm_eval", "bbh/cot_fewshot/*.yaml", "test", only("input", "target"), "task", 3, writes=True
    ),
    "ifeval": Task(
        "ifeval@lm_eval",
        "ifeval/ifeval.yaml",
        "train",
        as_it_is,
        writes=True,
        gold_there=None,
        unfit=unfit,
    ),
}
