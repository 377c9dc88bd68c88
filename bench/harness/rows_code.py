"""Programs: what is asked and what comes back; the harness runs them by a script that it fetches from the hub."""

from __future__ import annotations

from .task import Task, only

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
        only("prompt", "entry_point"),
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
