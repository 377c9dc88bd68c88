"""The side of lm-evaluation-harness: its run, and what it has logged."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .asked import Asked, Figure, Score, Side
from .task import Task


def run_theirs(
    names: Sequence[str], lm_eval: str, model: str, limit: int, folder: Path, cache: Path | None = None
) -> dict[str, Any]:
    """Run the harness on the overrides in `folder`; its results, and under `samples` the file of each task.

    With a `cache`, what was put there is the model's answer.
    """
    out = folder / ("lm_eval_again" if cache else "lm_eval")
    command = [lm_eval, "run", "--model", "hf", "--model_args", f"pretrained={model},dtype=float32",
               "--tasks", ",".join(names), "--include_path", folder / "tasks", "--device", "cpu", "--batch_size", "16",
               "--limit", limit, "--log_samples", "--output_path", out]  # fmt: skip
    command += ["--use_cache", cache] if cache else []
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(folder / "cache"), "TOKENIZERS_PARALLELISM": "false"}
    execute(command, folder / "lm_eval.log", offline)
    results: dict[str, Any] = json.loads(max(out.rglob("results_*.json")).read_text())
    return results | {"samples": {name: max(out.rglob(f"samples_{name}_2*.jsonl")) for name in names}}


def execute(command: Sequence[Any], log: Path, extra: Mapping[str, str]) -> str:
    """What the command prints, its messages in `log`; SystemExit where it fails."""
    with log.open("w") as errors:
        done = subprocess.run(
            [str(word) for word in command],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=os.environ | extra,
            check=False,
        )
    if done.returncode:
        raise SystemExit(f"{command[0]} ended with {done.returncode}:\n{log.read_text()[-3000:]}{done.stdout[-2000:]}")
    return done.stdout


def their_side(task: Task, names: Mapping[str, str], results: Mapping[str, Any]) -> Side:
    """What the harness has logged of one task."""
    samples, figures = {}, {}
    for subject, override in names.items():
        samples[subject] = their_samples(task, results["samples"][override])
        for title, figure in their_figures(task, results["results"][override]).items():
            figures[subject, title] = figure
    return Side(samples, figures)


def their_figures(task: Task, results: Mapping[str, Any]) -> dict[str, Figure]:
    figures = {}
    for metric, value in results.items():
        name, _, chosen = metric.partition(",")
        if isinstance(value, int | float) and chosen and not name.endswith("_stderr") and wanted(task, name):
            error = results.get(f"{name}_stderr,{chosen}")
            whole = 100 if name in task.percent else 1
            error = error / whole if isinstance(error, int | float) else None
            figures[title(task, name, chosen)] = (value / whole, error)
    return figures


def wanted(task: Task, metric: str) -> bool:
    """Whether we have this metric of theirs too."""
    return not task.asked and (task.only is None or metric in task.only)


def title(task: Task, name: str, chosen: str) -> str:
    """Our title of their metric, `chosen` their filter."""
    if (ours := task.metrics.get(f"{name},{chosen}")) is not None:
        return ours
    return task.metrics.get(name, name) + ("" if chosen == "none" else f",{chosen}")


def their_samples(task: Task, path: Path) -> list[Asked]:
    """The samples in order; each filter has written every sample, with its own scores."""
    found: dict[int, Asked] = {}
    for line in path.read_text().splitlines():
        sample = json.loads(line)
        asked = found.get(sample["doc_id"]) or found.setdefault(sample["doc_id"], their_sample(task, sample))
        for metric in sample["metrics"]:
            if metric in task.together or not wanted(task, metric):
                continue
            asked.scores[title(task, metric, sample["filter"])] = their_score(sample[metric])
    return [found[at] for at in sorted(found)]


def their_sample(task: Task, sample: Mapping[str, Any]) -> Asked:
    answers = [answer[0] for answer in sample["resps"]]
    arguments = list(sample["arguments"].values())
    gold = None if task.gold_there is None else str(task.gold_there(sample))
    if isinstance(arguments[0].get("arg_1"), dict):
        return Asked([(arguments[0]["arg_0"], "")], [], answers[0], gold)
    rolling = "arg_1" not in arguments[0]
    sums = [float(answer if rolling else answer[0]) for answer in answers]
    return Asked([(a["arg_0"], a.get("arg_1", "")) for a in arguments], sums, None, gold, rolling)


def their_score(value: Any) -> Score:
    """A number; of a list of verdicts the share that is right; of [sum, count] both."""
    if not isinstance(value, list):
        return float(value), 1.0
    if all(isinstance(verdict, bool) for verdict in value):
        return sum(value) / len(value), float(len(value))
    return float(value[0]), float(value[1])
