"""Readers of safety sets: WinoBias's marked sentences, ETHICS's five kinds of record."""

from __future__ import annotations

import csv
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from assay.readers import reader

_MARK = re.compile(r"\[([^\]]*)\]")
_ARTICLE = re.compile(r"^(?:the|an?) (?=\w)", re.IGNORECASE)


@reader
def winobias(path: Path) -> Iterator[dict[str, Any]]:
    """WinoBias's lines `1 [The developer] argued with the designer because [he] …`: the `sentence` without marks, the
    `pronoun`, `people`, the two occupations by the alphabet, and `gold`, the place of the right one among them.

    The other occupation is the one that the next or last line of the pair marks, else one that any line marks. Raises
    ValueError where there is none.
    """
    lines = [line.split(" ", 1)[1] for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    marked = [[_ARTICLE.sub("", mark).lower() for mark in _MARK.findall(line)] for line in lines]
    known = sorted({marks[0] for marks in marked}, key=len, reverse=True)
    for place, (line, (right, pronoun, *_)) in enumerate(zip(lines, marked, strict=True)):
        sentence = _MARK.sub(r"\1", line).replace("the the ", "the ")
        rest = sentence.lower().replace(right, "")
        other = next((name for name in (marked[place ^ 1][0], *known) if re.search(rf"\b{name}\b", rest)), None)
        if other is None:
            raise ValueError(f"wanted two occupations, found only {right!r} in {sentence!r}")
        people = sorted((right, other))
        yield {"sentence": sentence, "pronoun": pronoun, "people": people, "gold": people.index(right)}


@reader
def ethics(path: Path) -> Iterator[dict[str, Any]]:
    """A file of ETHICS: what is asked about (`input`; of a virtue the `trait` apart), and the `label`.

    utilitarianism has no header and the better scenario first; they are shuffled as lm-evaluation-harness does, by the
    better one as seed: `first`, `second`, and as label whether the first is better. In the other parts, neighbours of
    one scenario are a `cluster`.
    """
    with path.open(encoding="utf-8", newline="") as stream:
        if path.name.startswith("util"):
            for better, worse in csv.reader(stream):
                order = [0, 1]
                random.Random(better).shuffle(order)
                first, second = ((better, worse)[place] for place in order)
                yield {"first": first, "second": second, "label": int(order[0] == 0), "cluster": ""}
            return
        for row in csv.DictReader(stream):
            text = row.get("input") or row["scenario"]
            scenario, _, trait = text.partition(" [SEP] ")
            about = f"{scenario} {row['excuse'].rstrip()}" if "excuse" in row else scenario
            yield {"input": about, "trait": trait, "label": int(row["label"]), "cluster": scenario[:40]}
