"""The side of lm-evaluation-harness: its recipes with our rows, its run, what it has logged."""

from __future__ import annotations

import json
import os
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from adapters.datasets import open_source
from assay.catalog import load_benchmark

from .asked import Asked, Figure, Score, Side
from .rows import TASKS, Task

PREFIX = "assay_"
SPLITS = ("training_split", "validation_split", "test_split", "fewshot_split")


class Written(NamedTuple):
    """A task's overrides."""

    names: dict[str, str]
    """Subject ('' for a task without subjects) -> name of its override."""
    left_out: dict[Any, str]
    """Rows that the harness is not given: key -> why."""


class Recipe(yaml.SafeLoader):
    """Reads the harness's files; its functions are only names here."""


Recipe.add_constructor("!function", lambda loader, node: loader.construct_scalar(node))


def whole(file: Path) -> dict[str, Any]:
    """A recipe with what it includes."""
    recipe: dict[str, Any] = yaml.load(file.read_text(), Recipe)
    return (whole(file.parent / recipe["include"]) if "include" in recipe else {}) | recipe


@cache
def has_punkt(lm_eval: str) -> bool:
    """Whether the harness's nltk finds the sentence splitter that some of IFEval's checks want."""
    python = Path(lm_eval).absolute().parent / "python"
    look = "import nltk; nltk.data.find('tokenizers/punkt_tab')"
    return subprocess.run([python, "-c", look], capture_output=True, check=False).returncode == 0


def write_task(name: str, lm_eval: str, folder: Path, max_tokens: int) -> Written:
    """Write the task's files with our rows in them under `folder`; SystemExit where we have no rows of a subject."""
    task = TASKS[name]
    parts, left_out = rows_of(task, lm_eval)
    home = Path(lm_eval).absolute().parent.parent
    tasks = next(home.glob("lib/python3*/site-packages/lm_eval/tasks"))
    names = {}
    for file in sorted(file for file in tasks.glob(task.files) if not file.name.startswith("_")):
        recipe = whole(file)
        subject = recipe["dataset_name"] if task.group else ""
        if subject not in parts[task.split]:
            raise SystemExit(f"{name}: we have no rows of {subject!r}")
        names[subject] = PREFIX + recipe["task"]
        place = folder / "rows" / names[subject]
        data = {split: write_rows(place / f"{split}.jsonl", rows[subject]) for split, rows in parts.items()}
        write_override(folder / "tasks" / f"{names[subject]}.yaml", file, recipe, task, data, max_tokens)
    return Written(names, left_out)


def rows_of(task: Task, lm_eval: str) -> tuple[dict[str, dict[str, list[Any]]], dict[Any, str]]:
    """Our rows by split and subject; the keys of those that the harness cannot judge, and why."""
    benchmark = load_benchmark(task.benchmark)
    rows = list(open_source(benchmark.sources).rows)
    left_out = {}
    if task.unfit is not None:
        punkt = has_punkt(lm_eval)
        left_out = {row[task.key]: why for row in rows if (why := task.unfit(row, punkt))}
        rows = [row for row in rows if row[task.key] not in left_out]
    parts = {task.split: by_group(task, rows)}
    if task.pool:
        fewshot = benchmark.prompt.fewshot
        assert fewshot is not None, f"{task.benchmark} has no examples"
        parts[task.pool] = by_group(task, open_source(fewshot.sources).rows)
    return parts, left_out


def by_group(task: Task, rows: Iterable[Mapping[str, Any]]) -> dict[str, list[Any]]:
    groups: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        groups[str(row[task.group]) if task.group else ""].append(task.row(row))
    return groups


def write_rows(path: Path, rows: Sequence[Any]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return str(path)


def write_override(
    place: Path, file: Path, recipe: Mapping[str, Any], task: Task, data: Mapping[str, str], max_tokens: int
) -> None:
    """The harness's recipe with another source of rows, and a length that a small model's window has room for."""
    override = {
        "include": str(file),
        "task": PREFIX + recipe["task"],
        "tag": None,
        "dataset_path": "json",
        "dataset_name": None,
        "dataset_kwargs": {"data_files": dict(data)},
        "num_fewshot": task.shots,
    }
    override |= {split: None for split in SPLITS if recipe.get(split) and recipe[split] not in data}
    if task.writes:
        override["generation_kwargs"] = recipe["generation_kwargs"] | {"max_gen_toks": max_tokens}
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(yaml.safe_dump(override, allow_unicode=True))


def run_theirs(names: Sequence[str], lm_eval: str, model: str, limit: int, folder: Path) -> dict[str, Any]:
    """Run the harness on the overrides in `folder`; its results, and under `samples` the file of each task."""
    out = folder / "lm_eval"
    command = [lm_eval, "run", "--model", "hf", "--model_args", f"pretrained={model},dtype=float32",
               "--tasks", ",".join(names), "--include_path", folder / "tasks", "--device", "cpu", "--batch_size", "16",
               "--limit", limit, "--log_samples", "--output_path", out]  # fmt: skip
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
        if isinstance(value, int | float) and chosen and not name.endswith("_stderr"):
            error = results.get(f"{name}_stderr,{chosen}")
            figures[title(task, name, chosen)] = (value, error if isinstance(error, int | float) else None)
    return figures


def title(task: Task, name: str, chosen: str) -> str:
    """Our title of their metric, `chosen` their filter."""
    return task.metrics.get(name, name) + ("" if chosen == "none" else f",{chosen}")


def their_samples(task: Task, path: Path) -> list[Asked]:
    """The samples in order; each filter has written every sample, with its own scores."""
    found: dict[int, Asked] = {}
    for line in path.read_text().splitlines():
        sample = json.loads(line)
        asked = found.get(sample["doc_id"]) or found.setdefault(sample["doc_id"], their_sample(task, sample))
        for metric in sample["metrics"]:
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
