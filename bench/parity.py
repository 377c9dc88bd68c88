"""lm-evaluation-harness and assay on the same model, rows and limit: prompts, log-probabilities, scores, figures.

    python bench/parity.py --lm-eval VENV/bin/lm_eval [--model FOLDER] [--tasks arc_easy mmlu …] [--limit 100]

The harness runs its own recipes, read from its own YAML files; only where the rows come from is overridden. One JSON
line a task: how many prompts are the same to the byte, the largest difference of a log-probability, in how many texts
and scores the two differ, and each figure with its standard error beside ours. Exit status 1 where they differ.

    python -m venv VENV && VENV/bin/pip install "lm_eval[hf,math,ifeval]==0.4.13"
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import duckdb
import yaml
from harness.rows import TASKS, Task

from adapters.datasets import open_source
from assay.catalog import load_benchmark
from assay.chat import render
from assay.messages import join_messages

ROOT = Path(__file__).parent.parent
PREFIX = "assay_"
SPLITS = ("training_split", "validation_split", "test_split", "fewshot_split")
TOLERANCE, RELATIVE = 1e-4, 1e-6


class Asked(NamedTuple):
    """What was asked for one sample, and what came back."""

    prompts: list[tuple[str, str]]
    """(context, continuation)."""
    sums: list[float]
    text: str | None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lm-eval", default=os.environ.get("LM_EVAL"), help="its executable ($LM_EVAL)")
    parser.add_argument("--model", default=os.environ.get("ASSAY_STORIES", ROOT.parent / "shared/models/stories260K"))
    parser.add_argument("--tasks", nargs="+", choices=sorted(TASKS), default=list(TASKS), metavar="TASK")
    parser.add_argument("--limit", type=int, default=100)
    parser.add_argument("--max-tokens", type=int, default=64, help="of each text that is written")
    parser.add_argument("--keep", type=Path, help="a folder for what both have written")
    args = parser.parse_args()
    if not args.lm_eval:
        print(json.dumps({"parity": "skipped", "wanted": "--lm-eval or $LM_EVAL, the executable of lm_eval 0.4.13"}))
        return 0
    with TemporaryDirectory() as temporary:
        folder = (args.keep or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        names = {task: write_task(task, args, folder) for task in args.tasks}
        theirs = run_theirs([n for subjects in names.values() for n in subjects.values()], args, folder)
        run = run_ours(args, folder)
        reports = [compare(task, names[task], theirs, folder, run) for task in args.tasks]
    for report in reports:
        print(json.dumps(report, ensure_ascii=False))
    return int(not all(report["same"] for report in reports))


def write_task(name: str, args: argparse.Namespace, folder: Path) -> dict[str, str]:
    """The task's files with our rows in them: subject ('' for a task without subjects) -> the name of its override."""
    task = TASKS[name]
    home = Path(args.lm_eval).resolve().parent.parent
    files = sorted(f for f in next(home.glob("lib/python3*/site-packages/lm_eval/tasks")).glob(task.files))
    benchmark = load_benchmark(task.benchmark)
    parts = {task.split: by_group(task, open_source(benchmark.sources).rows)}
    if task.pool:
        assert benchmark.prompt.fewshot is not None
        parts[task.pool] = by_group(task, open_source(benchmark.prompt.fewshot.sources).rows)
    names = {}
    for file in files:
        if file.name.startswith("_"):
            continue
        recipe = yaml.load(file.read_text(), Recipe)
        subject = recipe["dataset_name"] if task.group else ""
        if subject not in parts[task.split]:
            raise SystemExit(f"{name}: we have no rows of {subject!r}")
        names[subject] = PREFIX + recipe["task"]
        data = {split: write_rows(folder / "rows" / names[subject] / f"{split}.jsonl", rows[subject])
                for split, rows in parts.items()}  # fmt: skip
        override = {"include": str(file), "task": names[subject], "tag": None, "dataset_path": "json",
                    "dataset_name": None, "dataset_kwargs": {"data_files": data},
                    "num_fewshot": task.shots}  # fmt: skip
        merged = whole(file)
        override |= {split: None for split in SPLITS if merged.get(split) and merged[split] not in data}
        if task.writes:
            override["generation_kwargs"] = merged["generation_kwargs"] | {"max_gen_toks": args.max_tokens}
        place = folder / "tasks" / f"{names[subject]}.yaml"
        place.parent.mkdir(exist_ok=True)
        place.write_text(yaml.safe_dump(override, allow_unicode=True))
    return names


class Recipe(yaml.SafeLoader):
    """Reads the harness's files; its functions are only names here."""


Recipe.add_constructor("!function", lambda loader, node: loader.construct_scalar(node))


def whole(file: Path) -> dict[str, Any]:
    """A recipe with what it includes."""
    recipe: dict[str, Any] = yaml.load(file.read_text(), Recipe)
    return (whole(file.parent / recipe["include"]) if "include" in recipe else {}) | recipe


def by_group(task: Task, rows: Any) -> dict[str, list[Any]]:
    groups: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        groups[str(row[task.group]) if task.group else ""].append(task.row(row))
    return groups


def write_rows(path: Path, rows: Sequence[Any]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return str(path)


def run_theirs(names: Sequence[str], args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Run the harness; its results."""
    out = folder / "lm_eval"
    command = [args.lm_eval, "run", "--model", "hf", "--model_args", f"pretrained={args.model},dtype=float32",
               "--tasks", ",".join(names), "--include_path", folder / "tasks", "--device", "cpu", "--batch_size", "16",
               "--limit", args.limit, "--log_samples", "--output_path", out]  # fmt: skip
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(folder / "cache"), "TOKENIZERS_PARALLELISM": "false"}
    execute(command, folder / "lm_eval.log", offline)
    results: dict[str, Any] = json.loads(max(out.rglob("results_*.json")).read_text())
    return results | {"samples": {name: max(out.rglob(f"samples_{name}_2*.jsonl")) for name in names}}


def run_ours(args: argparse.Namespace, folder: Path) -> str:
    """Run assay; the run's id."""
    command = [Path(sys.executable).parent / "assay", "run", "-m", f"hf:{args.model}", "--limit", args.limit, "--json",
               "--ledger", folder / "ledger.duckdb", "--set", f"sampling.max_tokens={args.max_tokens}",
               "--set", "model.dtype=float32", "--set", "model.device=cpu"]  # fmt: skip
    for task in args.tasks:
        command += ["-b", TASKS[task].benchmark]
    said = execute(command, folder / "assay.log", {})
    return str(json.loads(said.splitlines()[-1])["run"])


def execute(command: Sequence[Any], log: Path, extra: dict[str, str]) -> str:
    with log.open("w") as errors:
        done = subprocess.run(
            list(map(str, command)),
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=os.environ | extra,
            check=False,
        )
    if done.returncode:
        raise SystemExit(f"{command[0]} ended with {done.returncode}:\n{log.read_text()[-3000:]}{done.stdout[-2000:]}")
    return done.stdout


def compare(name: str, names: dict[str, str], theirs: dict[str, Any], folder: Path, run: str) -> dict[str, Any]:
    """How the two differ on one task."""
    task = TASKS[name]
    report: dict[str, Any] = {"task": name, "benchmark": task.benchmark, "samples": 0, "other_prompts": 0}
    report |= {"max_difference": 0.0, "beyond_tolerance": 0, "other_texts": 0, "example": None}
    with duckdb.connect(str(folder / "ledger.duckdb"), read_only=True) as con:
        mine = ours(con, run, task.benchmark)
        figures = figures_of(con, run, task.benchmark)
    for subject, override in names.items():
        samples = list(their_samples(theirs["samples"][override]))
        own = mine.get(subject, [])
        report["samples"] += len(samples)
        if len(own) != len(samples):
            report["other_prompts"] += abs(len(own) - len(samples))
            report["example"] = report["example"] or f"{subject}: {len(samples)} samples there, {len(own)} here"
        for there, here in zip(samples, own, strict=False):
            hold(report, there, here)
    report["figures"] = {}
    for subject, override in names.items():
        for metric, value in theirs["results"][override].items():
            title, _, chosen = metric.partition(",")
            if not isinstance(value, int | float) or title.endswith("_stderr") or not chosen:
                continue
            error = theirs["results"][override].get(f"{title}_stderr,{chosen}")
            shown = task.metrics.get(title, title) + ("" if chosen == "none" else f",{chosen}")
            found = figures.get((subject, shown), (None, None))
            compared = isinstance(error, int | float) and title != "perplexity"  # theirs is drawn, ours computed
            if not near(found[0], value) or (compared and not near(found[1], error)):
                report["figures"][f"{subject} {shown}".strip()] = {"theirs": [value, error], "ours": found}
    report["same"] = not (
        report["other_prompts"] or report["beyond_tolerance"] or report["other_texts"] or report["figures"]
    )
    return report


def near(ours: float | None, theirs: float) -> bool:
    return ours is not None and abs(ours - theirs) <= 1e-6 + 1e-5 * abs(theirs)


def hold(report: dict[str, Any], there: Asked, here: Asked) -> None:
    """Hold one sample's answers against each other."""
    if there.prompts != here.prompts:
        report["other_prompts"] += 1
        report["example"] = report["example"] or {"theirs": there.prompts[:2], "ours": here.prompts[:2]}
        return
    for a, b in zip(there.sums, here.sums, strict=True):
        report["max_difference"] = max(report["max_difference"], abs(a - b))
        report["beyond_tolerance"] += abs(a - b) > TOLERANCE + RELATIVE * abs(a)
    if there.text != here.text:
        report["other_texts"] += 1
        report["example"] = report["example"] or {"theirs": there.text, "ours": here.text}


def their_samples(path: Path) -> Iterator[Asked]:
    """The harness's samples in order, each once, though every filter writes it."""
    seen = set()
    for line in path.read_text().splitlines():
        sample = json.loads(line)
        if sample["doc_id"] in seen:
            continue
        seen.add(sample["doc_id"])
        answers = [resp[0] for resp in sample["resps"]]
        arguments = list(sample["arguments"].values())
        if isinstance(arguments[0].get("arg_1"), dict):
            yield Asked([(arguments[0]["arg_0"], "")], [], answers[0])
        else:
            sums = [float(answer[0] if isinstance(answer, list) else answer) for answer in answers]
            yield Asked([(a["arg_0"], a.get("arg_1", "")) for a in arguments], sums, None)


def ours(con: duckdb.DuckDBPyConnection, run: str, benchmark: str) -> dict[str, list[Asked]]:
    """Our samples by group, in order."""
    rows = con.execute(
        "SELECT q.ordinal, coalesce(s.grp, ''), r.kind, h.messages, r.messages, r.continuations, c.sums, c.text"
        " FROM run_requests q JOIN steps p ON p.run_id = q.run_id AND p.benchmark = q.benchmark AND p.step = 'prepare'"
        " JOIN samples s ON s.prepared = p.step_key AND s.sample_key = q.sample_key"
        " JOIN requests r USING (request_key) LEFT JOIN headers h USING (header_key)"
        " LEFT JOIN completions c USING (completion_key)"
        " WHERE q.run_id = ? AND q.benchmark = ? ORDER BY q.ordinal, q.choice",
        [run, benchmark],
    ).fetchall()
    samples: dict[tuple[str, int], Asked] = {}
    for ordinal, group, kind, header, messages, continuations, sums, text in rows:
        context = render(join_messages(header, messages), None, "gen")
        prompts = [(context, c) for c in continuations or [""]]
        old = samples.setdefault((group, ordinal), Asked([], [], text if kind == "generate" else None))
        old.prompts.extend(prompts)
        old.sums.extend(sums or [])
    grouped: dict[str, list[Asked]] = defaultdict(list)
    for (group, _), asked in samples.items():
        grouped[group].append(asked)
    return grouped


def figures_of(con: duckdb.DuckDBPyConnection, run: str, benchmark: str) -> dict[Any, tuple[float, float]]:
    """(group, title) -> value and standard error."""
    rows = con.execute(
        "SELECT coalesce(grp, ''), metric, value, stderr FROM metrics WHERE run_id = ? AND benchmark = ?",
        [run, benchmark],
    ).fetchall()
    return {(group, metric): (value, stderr) for group, metric, value, stderr in rows}


if __name__ == "__main__":
    sys.exit(main())
