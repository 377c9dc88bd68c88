"""Readers of English questions that no format describes: OpenBookQA's table, MultiRC's passages, BigTOM's scenes."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from assay.readers import reader


@reader
def openbook(path: Path) -> Iterator[dict[str, Any]]:
    """OpenBookQA's rows, as the hub names the columns: `id`, `question_stem`, `choices`, `answerKey`.

    Raises ValueError where there are not four choices in a row.
    """
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            found = re.fullmatch(r"\(A\) (.*) \(B\) (.*) \(C\) (.*) \(D\) (.*)", row["Choices"])
            if not found:
                raise ValueError(f"wanted four choices (A) to (D), got {row['Choices']!r:.80}")
            choices = {"text": list(found.groups()), "label": list("ABCD")}
            stem, answer = row["Question Stem"], row["Answer Key"]
            yield {"id": row["ID"], "question_stem": stem, "choices": choices, "answerKey": answer}


@reader
def multirc(path: Path) -> Iterator[dict[str, Any]]:
    """MultiRC's answers, one a row, as the hub names the columns: `paragraph`, `question`, `answer`, `idx`, `label`."""
    for line in path.read_text(encoding="utf-8").splitlines():
        record = orjson.loads(line)
        for asked in record["passage"]["questions"]:
            for one in asked["answers"]:
                places = {"paragraph": record["idx"], "question": asked["idx"], "answer": one["idx"]}
                texts = {"paragraph": record["passage"]["text"], "question": asked["question"], "answer": one["text"]}
                yield {**texts, "idx": places, "label": one["label"]}
