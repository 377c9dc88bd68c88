"""Right answers and wrong ones in the place of the model's: how either side reads and scores them.

A small model's answers are all wrong. So each question of a task that writes is answered by its gold answer, as a
demonstration would show it, or, every other one, by its neighbour's: on our side by `echo:scripted`, on the harness's
by its cache of replies.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from .asked import Side
from .compare import Report, compare
from .ours import CATALOG, our_side, run_ours
from .rows import TASKS
from .theirs import run_theirs, their_side

LONGEST = 4096  # tokens: nothing is cut
FILL = """
import hashlib, json, sys
from sqlitedict import SqliteDict
with SqliteDict(sys.argv[2]) as replies:
    for context, how, text in json.load(open(sys.argv[1])):
        asked = json.dumps(["generate_until", context, how]).encode()
        replies[hashlib.sha256(asked).hexdigest()] = text
    replies.commit()
"""


def replay(
    tasks: Mapping[str, str],
    names: Mapping[str, Mapping[str, str]],
    results: Mapping[str, Any],
    lm_eval: str,
    model: str,
    limit: int,
    folder: Path,
) -> list[Report]:
    """How the two read and score the same answers; `tasks` are those that write, with their benchmarks."""
    benchmarks = list(tasks.values())
    run = run_ours(benchmarks, "echo:oracle", limit, LONGEST, folder)
    told: dict[str, str] = {}
    for task, benchmark in tasks.items():
        told |= exchanged(our_side(TASKS[task], benchmark, folder, run))
    (folder / CATALOG).mkdir(exist_ok=True)
    row = {"adapter": "echo", "path": "scripted", "options": {"answers": told}}
    (folder / CATALOG / "models.yaml").write_text(yaml.safe_dump({"replay": row}, allow_unicode=True))
    run = run_ours(benchmarks, "replay", limit, LONGEST, folder)
    ours = {task: our_side(TASKS[task], benchmark, folder, run) for task, benchmark in tasks.items()}
    fill(names, ours, results, lm_eval, folder)
    overrides = [name for task in tasks for name in names[task].values()]
    again = run_theirs(overrides, lm_eval, model, limit, folder, folder / "replies")
    reports = []
    for task, benchmark in tasks.items():
        report = Report(task, benchmark, notes=[f"limit {limit}", "gold answers and their neighbours'"])
        compare(report, their_side(TASKS[task], names[task], again), ours[task])
        reports.append(report)
    return reports


def exchanged(side: Side) -> dict[str, str]:
    """A reply by prompt: the right one, or of every second question that of the next."""
    told = {}
    for samples in side.samples.values():
        for at, asked in enumerate(samples):
            told[asked.prompts[0][0]] = samples[(at + at % 2) % len(samples)].text or ""
    return told


def fill(
    names: Mapping[str, Mapping[str, str]],
    ours: Mapping[str, Side],
    results: Mapping[str, Any],
    lm_eval: str,
    folder: Path,
) -> None:
    """Put our texts into the harness's cache, by the requests that it has logged."""
    replies: list[Sequence[Any]] = []
    for task, side in ours.items():
        texts = {asked.prompts[0][0]: asked.text for samples in side.samples.values() for asked in samples}
        for name in names[task].values():
            for line in results["samples"][name].read_text().splitlines():
                context, how = json.loads(line)["arguments"]["gen_args_0"].values()
                replies.append((context, how, texts[context]))
    file = folder / "replies.json"
    file.write_text(json.dumps(replies))
    python = Path(lm_eval).absolute().parent / "python"
    subprocess.run([python, "-c", FILL, file, folder / "replies_rank0.db"], check=True)
