"""The recipes of lm-evaluation-harness, with our rows in them."""

from __future__ import annotations

import ast
import json
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

import assay.functions  # noqa: F401  (the readers of our files)
from adapters.datasets import open_source
from assay.catalog import load_benchmark
from assay.samples import truthy
from assay.template import value_template

from .rows import TASKS
from .task import Task

PREFIX = "assay_"
JUDGING = ("include", "metric_list", "filter_list", "process_results", "unsafe_code", "tag")
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


def write_task(name: str, lm_eval: str, folder: Path, limit: int, max_tokens: int) -> Written:
    """Write the task's files under `folder`, with so many of our rows; SystemExit where we have none of a subject."""
    task = TASKS[name]
    parts, left_out = rows_of(task, lm_eval)
    home = Path(lm_eval).absolute().parent.parent
    tasks = next(home.glob("lib/python3*/site-packages/lm_eval/tasks"))
    names = {}
    files = {file for pattern in task.files.split() for file in tasks.glob(pattern) if not file.name.startswith("_")}
    for file in sorted(files):
        recipe = whole(file)
        subject = "" if task.group is None else None if "group" in recipe else task.subject(recipe)
        if subject is None:
            continue
        if subject not in parts[task.split]:
            raise SystemExit(f"{name}: we have no rows of {subject!r}")
        names[subject] = PREFIX + recipe["task"]
        place = folder / "rows" / names[subject]
        chosen = {split: rows[subject][: limit if split == task.split else None] for split, rows in parts.items()}
        data = {split: write_rows(place / f"{split}.jsonl", rows) for split, rows in chosen.items()}
        base = asked_only(file, recipe) if task.asked else {"include": str(file)}
        override = base | overrides(recipe, task, data, max_tokens) | {"task": names[subject]}
        write_yaml(folder / "tasks" / f"{names[subject]}.yaml", override)
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
    if benchmark.where:
        where = value_template(benchmark.where, f"{task.benchmark}: where")
        rows = [row for row in rows if truthy(where(row))]
    parts = {task.split: by_group(task, rows)}
    if task.pool:
        fewshot = benchmark.prompt.fewshot
        assert fewshot is not None, f"{task.benchmark} has no examples"
        parts[task.pool] = by_group(task, open_source(fewshot.sources).rows)
    return parts, left_out


def by_group(task: Task, rows: Iterable[Mapping[str, Any]]) -> dict[str, list[Any]]:
    groups: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        groups[subject_of(task, row)].append(task.row(row))
    return groups


def subject_of(task: Task, row: Mapping[str, Any]) -> str:
    if task.group is None:
        return ""
    return str(row[task.group] if isinstance(task.group, str) else task.group(row))


def write_rows(path: Path, rows: Sequence[Any]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return str(path)


def overrides(recipe: Mapping[str, Any], task: Task, data: Mapping[str, str], max_tokens: int) -> dict[str, Any]:
    """Another source of rows, and a length that a small model's window has room for."""
    override = {
        "tag": None,
        "dataset_path": "json",
        "dataset_name": None,
        "dataset_kwargs": {"data_files": dict(data)},
        "num_fewshot": task.shots,
    }
    override |= {split: None for split in SPLITS if recipe.get(split) and recipe[split] not in data}
    if task.writes:
        override["generation_kwargs"] = recipe.get("generation_kwargs", {}) | {"max_gen_toks": max_tokens}
    return override


def asked_only(file: Path, recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe without what reads and scores: its module fetches a script from the hub as soon as it is loaded."""
    recipe = {key: value for key, value in recipe.items() if key not in JUDGING}
    if "fewshot_config" in recipe:
        module, _, function = recipe["fewshot_config"]["samples"].partition(".")
        tree = ast.parse((file.parent / f"{module}.py").read_text())
        found = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == function)
        [told] = found.body
        assert isinstance(told, ast.Return) and told.value is not None
        recipe["fewshot_config"] = recipe["fewshot_config"] | {"samples": ast.literal_eval(told.value)}
    return recipe | {"metric_list": [{"metric": "bypass"}]}


def write_yaml(place: Path, override: Mapping[str, Any]) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(yaml.safe_dump(dict(override), allow_unicode=True))
