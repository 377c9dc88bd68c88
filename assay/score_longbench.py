"""LongBench's scores: each of its tasks has its own (Bai et al. 2023, arXiv:2308.14508)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from assay.score import scorer
from assay.score_overlap import edit_similarity, rouge
from assay.score_spans import f1_zh, squad_f1
from assay.types import Sample

Score = Callable[..., Any]


def _classes(value: str, sample: Sample) -> float:
    """1 by the number of classes that the answer names, where the right one is among them."""
    right = sample["target"][0]
    named = [name for name in sample["classes"] if name in value and (name == right or name not in right)]
    return 1 / len(named) if right in named else 0.0


def _numbers(value: str, sample: Sample) -> float:
    """The share of the answer's numbers that are the right one."""
    (right, *_) = re.findall(r"\d+", sample["target"][0])
    found = re.findall(r"\d+", value)
    return found.count(right) / len(found) if found else 0.0


def _code(value: str, sample: Sample) -> float:
    """How like the right line the first one is that is neither a comment nor a fence; indentation does not count, as it
    does upstream."""
    lines = (line for line in value.split("\n") if line.strip() and not any(mark in line for mark in ("`", "#", "//")))
    right = [line.strip() for line in sample["target"]]
    same: Any = edit_similarity(next(lines, "").strip(), {"target": right})
    return float(same)


def _chinese(value: str, sample: Sample) -> float:
    overlap: Any = rouge(value, sample, language="zh")
    return float(overlap)


SCORES: dict[Score, Sequence[str]] = {
    squad_f1: ("narrativeqa", "qasper", "multifieldqa_en", "hotpotqa", "2wikimqa", "musique", "triviaqa"),
    f1_zh: ("multifieldqa_zh",),
    _chinese: ("dureader", "vcsum"),
    rouge: ("gov_report", "qmsum", "multi_news", "samsum"),
    _classes: ("trec", "lsht"),
    _numbers: ("passage_count", "passage_retrieval_en", "passage_retrieval_zh"),
    _code: ("lcc", "repobench-p"),
}
FIRST_LINE = ("trec", "triviaqa", "samsum", "lsht")
"""Tasks with worked examples: what follows the answer's line is another question."""
_OF = {task: score for score, tasks in SCORES.items() for task in tasks}


@scorer
def longbench(value: Any, sample: Sample) -> float:
    """The score of the sample's `task`: F1 of words or of Chinese characters, ROUGE-L, classes, numbers, code."""
    text, task = str(value), sample["task"]
    return float(_OF[task](text.lstrip("\n").split("\n")[0] if task in FIRST_LINE else text, sample))
