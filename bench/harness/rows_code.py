"""Programs: what is asked and what comes back; the harness runs them by a script that it fetches from the hub."""

from __future__ import annotations

from .task import Task, only, plus

PARTS = ("prompt", "entry_point", "test")

CODE: dict[str, Task] = {
    "humaneval": Task(
        "humaneval@lm_eval",
        "humaneval/humaneval.yaml",
        "test",
        only(*PARTS),
        writes=True,
        gold_there=None,
        asked=True,
    ),
    "humaneval_plus": Task(
        "humaneval_plus@lm_eval",
        "humaneval/humaneval_plus.yaml",
        "test",
        plus(only("prompt", "entry_point"), test=lambda row: ""),  # its tests are no text in our rows
        writes=True,
        gold_there=None,
        asked=True,
    ),
    "humaneval_infilling": Task(
        "humaneval_infilling@lm_eval",
        "humaneval_infilling/multi_line_infilling.yaml humaneval_infilling/random_span_*.yaml",
        "test",
        only(*PARTS, "suffix"),
        "kind",
        writes=True,
        gold_there=None,
        subject=lambda recipe: recipe["dataset_name"].removeprefix("HumanEval-"),
        asked=True,
    ),
    "mbpp": Task(
        "mbpp@lm_eval",
        "mbpp/mbpp.yaml",
        "test",
        only("text", "code", "test_list"),
        shots=3,
        writes=True,
        gold_there=None,
        asked=True,
    ),
}
