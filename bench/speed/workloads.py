"""What both sides are asked: assay's own recipes, with examples that are the same for all questions of a group."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assay.catalog import load_benchmark
from assay.chat import render
from assay.documents import merge_patch
from assay.functions import load_functions
from assay.messages import join_messages
from assay.prompt import Ask
from assay.spec import Benchmark
from tasks.preview import preview

TEN = ("anatomy", "astronomy", "college_biology", "college_physics", "econometrics", "global_facts", "marketing",
       "philosophy", "virology", "world_religions")  # fmt: skip

LOGIQA = {
    "sources": [{"files": {"path": "agieval/v1/logiqa-en.jsonl"}}],
    "sample": {"chinese": False},
    "where": None,
    "group": None,
}


@dataclass(frozen=True)
class Workload:
    """A benchmark, its examples, and how many times lm-evaluation-harness's speed assay is to have."""

    name: str
    benchmark: str
    target: float | None = None
    limit: float | None = None
    """How many times the limit's seconds it may take."""
    shots: int = 0
    """Examples that are the benchmark's own first rows; 0: as the recipe says."""
    retriever: str = "first_n"
    changes: Mapping[str, Any] = field(default_factory=dict)
    """Of the recipe, besides."""
    groups: int = 1
    """The questions are dealt out among so many."""


WORKLOADS = {
    one.name: one
    for one in (
        Workload("logiqa_texts", "agieval", 20, 1.2, shots=5, changes=LOGIQA),
        Workload("logiqa_letters", "agieval@letters", 4, shots=5, changes=LOGIQA),
        Workload("hellaswag", "hellaswag@lm_eval_like", 15, shots=10),
        Workload("mmlu_one_subject", "mmlu", 4, changes={"where": "{{ subject == 'high_school_psychology' }}"}),
        Workload("mmlu_ten_subjects", "mmlu", 4, changes={"where": f"{{{{ subject in {TEN} }}}}"}, groups=len(TEN)),
        Workload("piqa", "piqa", 1.8),
        Workload("winogrande", "winogrande", 1.8),
        Workload("logiqa_random_shots", "agieval", shots=5, retriever="random", changes=LOGIQA),
        Workload("wikitext", "wikitext2"),
        Workload("gsm8k", "gsm8k", 3),
    )
}
GENERATION = ("gsm8k",)
SCORING = tuple(name for name in WORKLOADS if name not in GENERATION)


def write(workload: Workload, questions: int, max_tokens: int, path: Path) -> int:
    """Write the requests of so many questions, one a line; how many questions there are."""
    load_functions()
    benchmark = recipe(workload)
    each = -(-questions // workload.groups)
    seen: dict[str, int] = {}
    lines: list[dict[str, Any]] = []
    asked = 0
    for one in preview(benchmark, limit=each + workload.shots):
        seen[one.grp] = seen.get(one.grp, 0) + 1
        if seen[one.grp] <= workload.shots:  # an example is no question
            continue
        lines += [{"question": asked, "group": one.grp, **line} for line in lines_of(benchmark, one.asks, max_tokens)]
        asked += 1
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    return asked


def recipe(workload: Workload) -> Benchmark:
    """The benchmark with the workload's examples and rows."""
    benchmark = load_benchmark(workload.benchmark)
    changed = benchmark.model_dump(mode="json", by_alias=True, exclude_unset=True)
    changed = merge_patch(changed, workload.changes)
    if workload.shots:
        shown = {"from": "self", "retriever": workload.retriever, "k": workload.shots}
        changed["prompt"] = changed.get("prompt", {}) | {"fewshot": shown}
    return Benchmark.model_validate(changed)


def lines_of(benchmark: Benchmark, asks: list[Ask], max_tokens: int) -> Iterator[dict[str, Any]]:
    """A question's requests as both sides read them."""
    for ask in asks:
        context = render(join_messages(ask.header, ask.messages), None, "gen")
        if ask.kind == "rolling":
            yield {"text": context}
        elif ask.kind == "generate":
            yield {"context": context, "stop": list(benchmark.sampling.stop), "max_tokens": max_tokens}
        else:
            yield {"context": context, "continuations": ask.continuations}
