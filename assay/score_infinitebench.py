"""InfiniteBench's scores: each of its tasks has its own (Zhang et al. 2024, arXiv:2402.13718)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from assay.score import scorer
from assay.score_overlap import rouge
from assay.score_spans import f1_zh, squad_f1
from assay.types import Sample


def _word(value: str, sample: Sample) -> bool:
    return not {one.strip() for one in sample["target"]}.isdisjoint(re.sub(r"[\n:\"'.,?!{}]", " ", value).split())


def _first_number(value: str, sample: Sample) -> bool:
    found = re.search(r"\d+\.\d+|\d+", value)
    return found is not None and any(float(found[0]) == float(one) for one in sample["target"])


def _last_number(value: str, sample: Sample) -> bool:
    words = re.sub(r"[\n.`'\":]", " ", value).split()
    return bool(words) and words[-1].lstrip("+") in {one.strip() for one in sample["target"]}


def _letter(value: str, sample: Sample) -> bool:
    """Whether the last letter that stands by itself is that of the right option."""
    found = re.findall(r"\b([A-D])\b", value)
    right = {"ABCD"[sample["options"].index(one)] for one in sample["target"] if one in sample["options"]}
    return bool(found) and found[-1] in right


def _inside(value: str, sample: Sample) -> bool:
    return any(one.strip().upper() in value.upper() for one in sample["target"])


SCORES: dict[str, Callable[..., Any]] = {
    "passkey": _first_number, "number_string": _first_number, "math_find": _first_number, "kv_retrieval": _word,
    "code_run": _last_number, "code_debug": _letter, "longbook_choice_eng": _letter, "longbook_qa_eng": squad_f1,
    "longbook_qa_chn": f1_zh, "longbook_sum_eng": rouge, "longdialogue_qa_eng": _inside,
}  # fmt: skip


@scorer
def infinitebench(value: Any, sample: Sample) -> float:
    """The score of the sample's `task`: a number, a word, a letter, F1 of words or of Chinese characters, ROUGE-L."""
    return float(SCORES[sample["task"]](str(value), sample))
