"""Readers of questions that no format describes: OpenBookQA, MultiRC, BigTOM, IMO-AnswerBench."""

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


@reader
def bigtom(path: Path) -> Iterator[dict[str, Any]]:
    """BigTOM's scenes, each asked four ways: what somebody believes (`belief`) and will do (`action`) who saw what
    changed (`aware`), or did not (`unaware`): `story`, `percept`, `question`, `right`, `wrong`, `condition`.

    `place` counts a scene's questions on, so that a recipe can have the right answer first in every other one.
    """
    with path.open(encoding="utf-8", newline="") as file:
        for number, cells in enumerate(csv.reader(file, delimiter=";")):
            story, aware, unaware = cells[:3]
            belief, _, action, *answers = cells[5:14]
            for place, (kind, asked, at) in enumerate((("belief", belief, 0), ("action", action, 2))):
                knows, not_knows = answers[at], answers[at + 3]
                for seen, percept in (("aware", aware), ("unaware", unaware)):
                    right, wrong = (knows, not_knows) if seen == "aware" else (not_knows, knows)
                    texts = {"story": story, "percept": percept, "question": asked, "right": right, "wrong": wrong}
                    order = number + place + (seen == "unaware")
                    yield {**texts, "condition": f"{kind}_{seen}", "place": order}


@reader
def imo_answers(path: Path) -> Iterator[dict[str, Any]]:
    """IMO-AnswerBench's problems: `id`, `problem`, `answer`, `category`.

    In one row a quotation mark is missing, so that the answer stands at the problem's end: it is taken off there.
    """
    with path.open(encoding="utf-8", newline="") as file:
        for cells in list(csv.reader(file))[1:]:
            if len(cells) == 5:
                problem, _, answer = cells[1].rpartition("\n,")
                cells = [cells[0], problem, answer.rstrip('"'), *cells[2:]]
            yield dict(zip(("id", "problem", "answer", "category"), cells, strict=False))
