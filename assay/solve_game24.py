"""What a tree of thoughts asks in the Game of 24: the prompts of princeton-nlp/tree-of-thought-llm, byte for byte.

Yao et al. 2023 (arXiv:2305.10601). The prompt of the benchmark is the one for a whole solution in steps, with which the
last thought, the answer, is asked for once 24 is all that is left.
"""

from __future__ import annotations

from collections.abc import Sequence

from assay.solve_tree import Task, task
from assay.types import Sample

PROPOSE = """Input: 2 8 8 14
Possible next steps:
2 + 8 = 10 (left: 8 10 14)
8 / 2 = 4 (left: 4 8 14)
14 + 2 = 16 (left: 8 8 16)
2 * 8 = 16 (left: 8 14 16)
8 - 2 = 6 (left: 6 8 14)
14 - 8 = 6 (left: 2 6 8)
14 /  2 = 7 (left: 7 8 8)
14 - 2 = 12 (left: 8 8 12)
Input: {input}
Possible next steps:
"""
VALUE = """Evaluate if given numbers can reach 24 (sure/likely/impossible)
10 14
10 + 14 = 24
sure
11 12
11 + 12 = 23
12 - 11 = 1
11 * 12 = 132
11 / 12 = 0.91
impossible
4 4 10
4 + 4 + 10 = 8 + 10 = 18
4 * 10 - 4 = 40 - 4 = 36
(10 - 4) * 4 = 6 * 4 = 24
sure
4 9 11
9 + 11 + 4 = 20 + 4 = 24
sure
5 7 8
5 + 7 + 8 = 12 + 8 = 20
(8 - 5) * 7 = 3 * 7 = 21
I cannot obtain 24 now, but numbers are within a reasonable range
likely
5 6 6
5 + 6 + 6 = 17
(6 - 5) * 6 = 1 * 6 = 6
I cannot obtain 24 now, but numbers are within a reasonable range
likely
10 10 11
10 + 10 + 11 = 31
(11 - 10) * 10 = 10
10 10 10 are all too big
impossible
1 3 3
1 * 3 * 3 = 9
(1 + 3) * 3 = 12
1 3 3 are all too small
impossible
{input}
"""
LAST = """Use numbers and basic arithmetic operations (+ - * /) to obtain 24. Given an input and an answer, give a \
judgement (sure/impossible) if the answer is correct, i.e. it uses each input exactly once \
and no other numbers, and reach 24.
Input: 4 4 6 8
Answer: (4 + 8) * (6 - 4) = 24
Judge:\x20
sure
Input: 2 9 10 12
Answer: 2 * 12 * (10 - 9) = 24
Judge:\x20
sure
Input: 4 9 10 13
Answer: (13 - 9) * (10 - 4) = 24
Judge:\x20
sure
Input: 4 4 6 8
Answer: (4 + 8) * (6 - 4) + 1 = 25
Judge:\x20
impossible
Input: 2 9 10 12
Answer: 2 * (12 - 10) = 24
Judge:\x20
impossible
Input: 4 9 10 13
Answer: (13 - 4) * (10 - 9) = 24
Judge:\x20
impossible
Input: {input}
Answer: {answer}
Judge:"""
WORTH = {"impossible": 0.001, "likely": 1.0, "sure": 20.0}


@task
def game24() -> Task:
    """Three steps of two numbers each, and the answer."""
    return Task(4, _propose, _judge, _worth)


def _left(thoughts: str) -> str:
    """The numbers that are left after the last thought; the input itself before the first."""
    return thoughts.strip().split("\n")[-1].split("left: ")[-1].split(")")[0]


def _propose(sample: Sample, text: str, thoughts: str) -> str:
    left = _left(thoughts or str(sample["input"]))
    return f"{text}Steps:{thoughts}" if left == "24" else PROPOSE.replace("{input}", left)


def _judge(sample: Sample, thoughts: str) -> str | None:
    lines = thoughts.strip().split("\n")
    if len(lines) == 4 and "answer" not in thoughts.lower():
        return None
    if "left: " in lines[-1]:
        return VALUE.replace("{input}", _left(thoughts))
    answer = lines[-1].lower().replace("answer: ", "")
    return LAST.replace("{input}", str(sample["input"])).replace("{answer}", answer)


def _worth(replies: Sequence[str]) -> float:
    """Of the judgements in the replies' last lines; anything else says nothing."""
    return sum(WORTH.get(reply.split("\n")[-1], 0.0) for reply in replies)
