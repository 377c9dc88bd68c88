"""Extractors of exams: the letters of several questions, or of one with several right answers; formulas.

What is not said to be the answer is none: letters that merely stand in a reply are not gathered.
"""

from __future__ import annotations

import re
from functools import lru_cache

from assay import latex
from assay.extract import extractor
from assay.types import Extracted, Reply, Sample

_MARKED = re.compile(r"[【\[](?:正确)?答案[】\]]\s*[:：]*([^【\[<]*)")


@extractor
def exam_letters(reply: Reply, sample: Sample, options: str = "ABCD") -> Extracted:
    """The letters of each part of a question, as texts such as `AC`; the target says how many parts there are.

    They are what follows each 【答案】 (GAOKAO-Bench, arXiv:2305.12474), else what is last said to be the answer, else
    a first line of nothing but letters. Letters for more or fewer parts than there are are `ambiguous`.
    """
    parts = len(sample["target"])
    one, said, alone = _letters(options)
    marked = [letters for part in _MARKED.findall(reply.text) if (letters := "".join(one.findall(part)))]
    if len(marked) == parts:
        return Extracted(["".join(sorted(set(letters))) for letters in marked], "marked")
    runs = [marked[-1] if parts == 1 else "".join(marked)] if marked else said.findall(reply.text)[-1:]
    runs = runs or alone.findall(reply.text)[:1]
    if not runs:
        return Extracted(None, "", "none")
    found = one.findall(runs[0])
    if parts == 1:
        return Extracted(["".join(sorted(set(found)))], "marked" if marked else "stated")
    if len(found) == parts:
        return Extracted(found, "marked" if marked else "stated")
    return Extracted(None, f"{len(found)} letters for {parts} parts", "ambiguous")


@extractor
def marked_answers(reply: Reply, sample: Sample) -> str | None:
    """What stands between each 【答案】 and `<eoa>`, the next mark or the end, a line each (GAOKAO-Bench)."""
    found = re.findall(r"[【\[](?:正确)?答案[】\]]\s*[:：]*(.*?)(?=<eoa>|【|\Z)", reply.text, re.DOTALL)
    return "\n".join(filter(None, map(str.strip, found))) or None


@lru_cache(maxsize=16)
def _letters(options: str) -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    """A letter; a run of letters that is said to be the answer; a first line that is one."""
    word = rf"(?<![A-Za-z])[{options}]+(?![A-Za-z])"
    run = rf"{word}(?:[\s、,，;；.．]*(?:和|与|及|and\b|&)?\s*{word})*"
    return (
        re.compile(f"[{options}]"),
        re.compile(rf"(?:答案(?:应该|应当|应)?(?:是|为|选)?|[应故]选|(?i:answers?)(?:\s(?i:is|are))?)\W{{0,6}}({run})"),
        re.compile(rf"\A\W*({run})\W*(?:\n|\Z)"),
    )


@extractor
def agieval_math(reply: Reply, sample: Sample) -> str | None:
    """The formula that AGIEval's parser finds: in the last box, else between the last dollars, else what follows the
    last equals sign, else the last number (Zhong et al. 2023, arXiv:2304.06364, as in lm-eval 0.4.13)."""
    return agieval_formula(reply.text)


def agieval_formula(text: str) -> str | None:
    """What AGIEval takes for the answer in a text; None where there is nothing."""
    if "\\boxed" in text:
        return (latex.last_boxed(text) or "").split("=")[-1].lstrip(" ") or None
    if (dollars := re.findall(r"\$(.*)\$", text)) and (inside := dollars[-1].split("=")[-1].lstrip(" ")):
        return str(inside)
    if "=" in text:
        return text.split("=")[-1].lstrip(" ").rstrip(".").split("\\n")[0] or None
    numbers = re.findall(r"\$?\d+(?:\.\d+)?(?![\w\d])", text)
    return numbers[-1] if numbers else None
