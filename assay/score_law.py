"""Scorers of LawBench's tasks, and of terms and corrections in general (Fei et al. 2023, arXiv:2309.16289)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

from assay.score import scorer
from assay.score_overlap import rouge
from assay.types import Sample

ENTITIES = (
    "犯罪嫌疑人", "受害人", "被盗货币", "物品价值", "盗窃获利", "被盗物品", "作案工具", "时间", "地点", "组织机构",
)  # fmt: skip


@scorer
def terms_f1(value: Any, sample: Sample, gold: str = "target", separators: str = "、，,;；_\n") -> float:
    """F1 of two sets of terms, each a list or a text divided at the separators; case and blanks do not count."""
    found, right = (_terms(one, separators) for one in (value, sample[gold]))
    common = len(found & right)
    return 2 * common / (len(found) + len(right)) if common else 0.0


def _terms(value: Any, separators: str) -> set[str]:
    parts = value if isinstance(value, list) else re.split(f"[{re.escape(separators)}]", str(value))
    return {part for part in (str(one).strip(" 。.").lower() for one in parts) if part}


@scorer
def correction_f05(value: str, sample: Sample, source: str = "input", gold: str = "target") -> float:
    """F0.5 of the edits that make of a sentence what was written, against those that make the right one of it.

    Edits are runs of characters that differ, by difflib; LawBench asks ChERRANT, which divides some otherwise.
    """
    before = str(sample[source])
    found, right = _edits(before, value.strip()), _edits(before, str(sample[gold]))
    common = len(found & right)
    return 1.25 * common / (len(found) + 0.25 * len(right)) if common else float(not found and not right)


def _edits(before: str, after: str) -> set[tuple[int, int, str]]:
    codes = SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
    return {(i, j, after[k:m]) for tag, i, j, k, m in codes if tag != "equal"}


@scorer
def lawbench(value: str, sample: Sample) -> float:
    """LawBench's score of a task, which the sample's `task` names by its number.

    1-1 ROUGE-L; 1-2 whether the right letter is the only one; 2-1 `correction_f05`; 2-6 F1 of entities; 2-10 F1 of
    trigger words in their order. ROUGE is counted by characters, where LawBench divides words by jieba.
    """
    return float(_TASKS[str(sample["task"])](value, sample))


def _article(value: str, sample: Sample) -> Any:
    return rouge(value, sample, language="zh")


def _choice(value: str, sample: Sample) -> float:
    return float(set(re.findall("[A-D]", value.replace("<eoa>", ""))) == {sample["target"]})


def _entities(value: str, sample: Sample) -> float:
    """Each kind's last mention, up to a blank or a semicolon; LawBench's own script knows no semicolon, so that its
    references, written as they are, are not all right."""
    found, right = _listed(value), dict(part.split(":", 1) for part in sample["target"].split(";") if part)
    return _aligned([_characters(right[kind], text) for kind, text in found.items() if kind in right], found, right)


def _listed(text: str) -> Mapping[str, str]:
    mentions = re.findall(rf"({'|'.join(ENTITIES)})[:：]\s*([^\s;；]+)", text)
    return {kind: said for kind, said in mentions if said not in ("无", "未提及")}


def _triggers(value: str, sample: Sample) -> float:
    found, right = re.split("[;；]", value.strip()), sample["target"].split(";")
    return _aligned([_characters(one, other) for one, other in zip(right, found, strict=False)], found, right)


def _aligned(scores: Sequence[float], found: Any, right: Any) -> float:
    """F1 of how far each of the pairs goes together, over how many were found and how many there are."""
    return 2 * sum(scores) / (len(found) + len(right)) if found or right else 1.0


def _characters(right: str, found: str) -> float:
    """F1 of the letters and digits of two texts (CAIL 2021)."""
    a, b = (Counter(sign for sign in text.lower() if sign.isalnum()) for text in (right, found))
    return 2 * (a & b).total() / (a.total() + b.total()) if a and b else float(a == b)


_TASKS: dict[str, Callable[[str, Sample], Any]] = {
    "1-1": _article,
    "1-2": _choice,
    "2-1": correction_f05,
    "2-6": _entities,
    "2-10": _triggers,
}
