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
