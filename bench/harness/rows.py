"""Our rows as the tasks of lm-evaluation-harness want them: which task is which benchmark, and how a row is written."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from string import ascii_lowercase
from typing import Any

from assay import latex

Row = Mapping[str, Any]
LETTERS = "ABCDE"
NEED_PUNKT = frozenset({"length_constraints:number_sentences", "change_case:capital_word_frequency"})
"""Instructions that the harness checks with nltk's sentence splitter."""
BEGUN = re.compile(r'[.!?]["\u201d)]* ([a-z][^.!?]*)$')


def target(record: Row) -> Any:
    """The gold answer, of a sample of theirs or of the fields of ours."""
    return record["target"]


@dataclass(frozen=True)
class Task:
    """A task of the harness, or a group of tasks, one a subject."""

    benchmark: str
    files: str
    """Its YAML files under lm_eval/tasks; a group's files name their subject as dataset_name."""
    split: str
    row: Callable[[Row], Row]
    group: str | None = None
    """Our column with the subject."""
    shots: int = 0
    pool: str | None = None
    """The split that worked examples are drawn from, where they are rows of data."""
    metrics: Mapping[str, str] = field(default_factory=dict)
    """Their metric -> ours, where the names differ."""
    writes: bool = False
    gold_there: Callable[[Row], Any] | None = target
    """What their sample's gold answer is; None where a task has no other than the text itself."""
    gold_here: Callable[[Row], Any] = target
    """What it is by the fields of our sample."""
    unfit: Callable[[Row, bool], str | None] | None = None
    """Why the harness cannot judge a row, or not twice the same; given whether it has nltk's punkt."""
    key: str = "key"
    """The column that names a row, where some are left out."""


def as_it_is(row: Row) -> Row:
    return dict(row)


def lettered(row: Row) -> Row:
    """ARC: a table with four choices and the right one's letter."""
    texts = [row[letter] for letter in "ABCD"]
    return {"question": row["question"], "choices": {"text": texts, "label": list("ABCD")}, "answerKey": row["answer"]}


def mmlu(row: Row) -> Row:
    choices = [row[letter] for letter in "ABCD"]
    return {"question": row["question"], "choices": choices, "answer": "ABCD".index(row["answer"])}


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


def piqa(row: Row) -> Row:
    return {"goal": row["goal"], "sol1": row["sol1"], "sol2": row["sol2"], "label": int(row["label"])}


def winogrande(row: Row) -> Row:
    found = re.search(r"sentence: (.*)\n\nOption1: (.*?) Option2: (.*?) Answer format: ", row["instruction"], re.DOTALL)
    assert found is not None, row
    sentence, first, second = found.groups()
    return {"sentence": sentence, "option1": first, "option2": second, "answer": row["answer"][-1]}


def boolq(row: Row) -> Row:
    return {"passage": row["passage"], "question": row["question"], "label": int(row["label"])}


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


def unfit(row: Row, punkt: bool) -> str | None:
    """IFEval: sentences want punkt; for a sign that is no letter the harness draws a letter at random."""
    if not punkt and not NEED_PUNKT.isdisjoint(row["instruction_id_list"]):
        return "want nltk's punkt, which the harness has not"
    signs = [parameters["letter"] for parameters in row["kwargs"] if parameters.get("letter")]
    if any(sign.lower() not in ascii_lowercase for sign in signs):
        return "count a sign for which the harness draws a letter at random"
    return None


def only(*names: str) -> Callable[[Row], Row]:
    return lambda row: {name: row[name] for name in names}


TASKS: dict[str, Task] = {
    "arc_easy": Task("arc_easy@lm_eval", "arc/arc_easy.yaml", "test", lettered),
    "arc_challenge": Task("arc_challenge@lm_eval", "arc/arc_challenge.yaml", "test", lettered),
    "piqa": Task("piqa@lm_eval", "piqa/piqa.yaml", "validation", piqa),
    "winogrande": Task(
        "winogrande@lm_eval",
        "winogrande/default.yaml",
        "validation",
        winogrande,
        gold_there=lambda sample: int(sample["doc"]["answer"]) - 1,
    ),
    "boolq": Task("boolq@lm_eval", "super_glue/boolq/default.yaml", "validation", boolq),
    "commonsense_qa": Task(
        "commonsenseqa@lm_eval",
        "commonsense_qa/default.yaml",
        "validation",
        commonsense,
        gold_there=lambda sample: LETTERS.index(sample["target"]),
    ),
    "hellaswag": Task("hellaswag@lm_eval_like", "hellaswag/hellaswag.yaml", "validation", hellaswag),
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
    "wikitext": Task(
        "wikitext2@lm_eval",
        "wikitext/wikitext.yaml",
        "test",
        lambda row: {"page": row["text"]},
        gold_there=None,
    ),
    "mmlu": Task("mmlu@lm_eval", "mmlu/default/mmlu_*.yaml", "test", mmlu, "subject", 5, "dev"),
    "cmmlu": Task(
        "cmmlu@lm_eval", "cmmlu/cmmlu_*.yaml", "test", only("Question", *"ABCD", "Answer"), "subject", 5, "dev"
    ),
    "ceval-valid": Task(
        "ceval@lm_eval", "ceval/ceval-valid_*.yaml", "val", only("question", *"ABCD", "answer"), "subject"
    ),
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
    "minerva_math500": Task(
        "math500@lm_eval",
        "minerva_math/minerva_math500.yaml",
        "test",
        only("problem", "solution"),
        shots=4,
        writes=True,
        gold_here=lambda fields: latex.minerva(fields["target"]),
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
