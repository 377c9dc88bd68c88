"""Readers of long documents that several questions are asked about."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from assay.readers import reader

_TRUE = re.compile(r"^\s*(True|False)(?: \[fact: (True|False)\])?")


@reader
def leval(path: Path) -> Iterator[dict[str, Any]]:
    """L-Eval's documents, a row a question: `document`, `instruction`, `output`, and as `form` what kind of answer
    it is (letters, loyalty, text); of sci_fi's the `fact`, which holds in the real world, apart."""
    for line in path.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        for instruction, output in zip(record["instructions"], record["outputs"], strict=True):
            told = _TRUE.match(output) if path.stem == "sci_fi" else None
            form = "loyalty" if told else "letters" if record["evaluation"] == "exam" else "text"
            answer = told[1] if told else output.strip()
            if form == "letters":
                letters = re.match(r"\(?([A-Z]+)\b", answer)
                answer = letters[1] if letters else answer
            yield {
                "document": record["input"],
                "instruction": instruction,
                "output": answer,
                "fact": (told[2] or "") if told else "",
                "form": form,
            }


@reader
def quality(path: Path) -> Iterator[dict[str, Any]]:
    """QuALITY's articles, a row a question: `article`, `question`, `options`, the right one (`gold`), `hard`."""
    for line in path.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        for one in record["questions"]:
            shown = {"question": one["question"], "options": one["options"], "gold": one["gold_label"] - 1}
            yield {"article": record["article"], **shown, "hard": bool(one.get("difficult"))}


@reader
def qasper(path: Path) -> Iterator[dict[str, Any]]:
    """QASPER's papers, a row a question: `title`, `abstract`, the whole `paper`, `question`, and the `answers` of
    all who answered: spans joined by a comma, free text, yes or no, or `unanswerable`; also their `spans` one by one,
    and where in the paper the first of their `evidence` stands."""
    for record in json.loads(path.read_text(encoding="utf-8")).values():
        parts = [f"{part['section_name'] or ''}\n" + "\n".join(part["paragraphs"]) for part in record["full_text"]]
        told = {"title": record["title"], "abstract": record["abstract"], "paper": "\n\n".join(parts)}
        for one in record["qas"]:
            given = [each["answer"] for each in one["answers"]]
            answers = list(dict.fromkeys(map(_answer, given)))
            spans = [span for each in given for span in each["extractive_spans"]]
            places = [told["paper"].find(clue) for each in given for clue in each["evidence"]]
            evidence = max(min(places, default=0), 0)
            yield {**told, "question": one["question"], "answers": answers, "spans": spans, "evidence": evidence}


def _answer(given: dict[str, Any]) -> str:
    if given["unanswerable"]:
        return "unanswerable"
    if given["yes_no"] is not None:
        return "yes" if given["yes_no"] else "no"
    return ", ".join(given["extractive_spans"]) or str(given["free_form_answer"])
