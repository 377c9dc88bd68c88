"""Our side: a run of assay, and what its ledger holds."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import duckdb

from assay.catalog import load_benchmark
from assay.chat import render
from assay.messages import join_messages

from .asked import Asked, Score, Side
from .task import Task
from .theirs import execute

CATALOG = "catalog"
ASKED = """
    SELECT s.sample_key, coalesce(s.grp, ''), s.fields, r.kind, h.messages, r.messages, r.continuations, c.sums, c.text
    FROM run_requests q
    JOIN steps p ON p.run_id = q.run_id AND p.benchmark = q.benchmark AND p.step = 'prepare'
    JOIN samples s ON s.prepared = p.step_key AND s.sample_key = q.sample_key
    JOIN requests r USING (request_key)
    LEFT JOIN headers h USING (header_key)
    LEFT JOIN completions c USING (completion_key)
    WHERE q.run_id = ? AND q.benchmark = ?
    ORDER BY q.ordinal, q.choice
"""
SCORES = """
    SELECT s.sample_key, m.metric, s.value, s.weight
    FROM steps p
    JOIN scores s ON s.scored = p.step_key
    JOIN (SELECT DISTINCT run_id, benchmark, metric, scorer, filter FROM metrics) m
      ON m.run_id = p.run_id AND m.benchmark = p.benchmark AND m.scorer = s.scorer AND m.filter = s.filter
    WHERE p.step = 'score' AND p.run_id = ? AND p.benchmark = ?
"""
FIGURES = """
    SELECT coalesce(grp, ''), metric, value, stderr FROM metrics
    WHERE run_id = ? AND benchmark = ? AND aggregation = ?
"""


def benchmark_for(task: Task, left_out: Collection[Any], folder: Path) -> str:
    """The benchmark's id; that of a copy where some rows are left out, where it is divided and their task is not, or
    where it has clusters: our standard errors heed them and the harness's do not."""
    recipe = load_benchmark(task.benchmark)
    if not left_out and not recipe.cluster and (recipe.group is None or task.group is not None):
        return task.benchmark
    copy = recipe.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude={"name", "variant"})
    if left_out:
        keep = f"{task.key} not in {sorted(left_out)}"
        copy["where"] = f"{{% if {keep} %}}{recipe.where or 1}{{% endif %}}"
    copy |= {"cluster": None} | ({} if task.group else {"group": None})
    catalog = folder / CATALOG
    catalog.mkdir(exist_ok=True)
    name = task.benchmark.replace("@", "_")
    (catalog / f"some_{name}.yaml").write_text(json.dumps(copy, ensure_ascii=False))
    return f"some_{name}"


def run_ours(benchmarks: Sequence[str], model: str, limit: int, max_tokens: int, folder: Path) -> str:
    """Run assay on a model by name (`hf:FOLDER`, `echo:oracle`); the run's id."""
    command = [Path(sys.executable).parent / "assay", "run", "-m", model, "--limit", limit, "--json",
               "--ledger", folder / "ledger.duckdb", "--set", f"sampling.max_tokens={max_tokens}"]  # fmt: skip
    if model.startswith("hf:"):
        command += ["--set", "model.dtype=float32", "--set", "model.device=cpu"]
    if (folder / CATALOG).exists():
        command += ["--catalog", folder / CATALOG]
    for benchmark in benchmarks:
        command += ["-b", benchmark]
    return str(json.loads(execute(command, folder / "assay.log", {}).splitlines()[-1])["run"])


def our_side(task: Task, benchmark: str, folder: Path, run: str) -> Side:
    """What the ledger holds of one task."""
    which = [run, benchmark]
    aggregation = "group" if task.group else "micro"
    with duckdb.connect(str(folder / "ledger.duckdb"), read_only=True) as con:
        samples = our_samples(task, con, which)
        rows = con.execute(FIGURES, [*which, aggregation]).fetchall()
    return Side(samples, {(group, metric): (value, error) for group, metric, value, error in rows})


def our_samples(task: Task, con: duckdb.DuckDBPyConnection, which: list[str]) -> dict[str, list[Asked]]:
    """Our samples by group, in order; a sample's choices may be requests of their own."""
    scores: dict[str, dict[str, Score]] = defaultdict(dict)
    for key, metric, value, weight in con.execute(SCORES, which).fetchall():
        scores[key][metric] = (value, weight)
    found: dict[str, Asked] = {}
    groups: dict[str, list[Asked]] = defaultdict(list)
    rows = con.execute(ASKED, which).fetchall()
    for key, group, fields, kind, header, messages, continuations, sums, text in rows:
        if key not in found:
            gold = None if task.gold_there is None else str(task.gold_here(json.loads(fields)))
            written = text if kind == "generate" else None
            found[key] = Asked([], [], written, gold, kind == "rolling", scores[key])
            groups[group].append(found[key])
        context = render(join_messages(header, messages), None, "gen")
        found[key].prompts.extend((context, continuation) for continuation in continuations or [""])
        found[key].sums.extend(sums or [])
    return groups
