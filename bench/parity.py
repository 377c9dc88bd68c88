"""lm-evaluation-harness and assay on the same model, rows and limit: prompts, sums, gold answers, scores, figures.

    python bench/parity.py --lm-eval VENV/bin/lm_eval [--model FOLDER] [--tasks arc_easy mmlu …] [--limit 100]

The harness runs its own recipes, read from its own YAML files; only where the rows come from is overridden, and how
long a written text may be (--max-tokens, on both sides: with the recipes' own lengths a window of 512 tokens has no
room for a prompt). Compared are every context and continuation to the byte, every gold answer, every sum (equal within
1e-4 and two steps of a float32, in which the harness adds up; of a whole document within 1e-6 |sum|), every written
text, every sample's score, every figure and its standard error. With --replay both then read right answers and wrong
ones. A table, then one JSON line; exit status 1 where the two differ.

    python -m venv VENV && VENV/bin/pip install "lm_eval[hf,math,ifeval]==0.4.13"
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from harness.compare import Report, compare
from harness.ours import benchmark_for, our_side, run_ours
from harness.recipes import write_task
from harness.replay import replay
from harness.rows import TASKS
from harness.theirs import run_theirs, their_side

ROOT = Path(__file__).parent.parent
WANTED = "--lm-eval (or $ASSAY_LM_EVAL), the executable of lm_eval 0.4.13: see the first lines of bench/parity.py"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lm-eval", default=os.environ.get("ASSAY_LM_EVAL"), help="its executable ($ASSAY_LM_EVAL)")
    parser.add_argument("--model", default=os.environ.get("ASSAY_STORIES", ROOT.parent / "shared/models/stories260K"))
    parser.add_argument("--tasks", nargs="+", choices=sorted(TASKS), default=list(TASKS), metavar="TASK")
    parser.add_argument("--limit", type=int, default=100, help="questions of a task")
    parser.add_argument("--group-limit", type=int, help="questions of each subject, where a task has some (--limit)")
    parser.add_argument("--max-tokens", type=int, default=64, help="of each text that is written, on both sides")
    parser.add_argument("--replay", action="store_true", help="then let both read right answers and wrong ones")
    parser.add_argument("--keep", type=Path, help="a folder for what both have written")
    args = parser.parse_args()
    if not args.lm_eval:
        print(f"skipped: wants {WANTED}")
        print(json.dumps({"bench": "parity", "skipped": WANTED}))
        return 0
    with TemporaryDirectory() as temporary:
        folder = (args.keep or Path(temporary)).resolve()
        one = [task for task in args.tasks if not TASKS[task].group]
        many = [task for task in args.tasks if TASKS[task].group]
        reports = run(one, args.limit, args, folder / "tasks")
        reports += run(many, args.group_limit or args.limit, args, folder / "subjects")
    show(reports)
    same = all(report.same for report in reports)
    print(json.dumps({"bench": "parity", "same": same, "tasks": [r.record() for r in reports]}, ensure_ascii=False))
    return int(not same)


def run(tasks: list[str], limit: int, args: argparse.Namespace, folder: Path) -> list[Report]:
    """Both sides on these tasks, and how they differ."""
    if not tasks:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    written = {task: write_task(task, args.lm_eval, folder, limit, args.max_tokens) for task in tasks}
    names = [name for task in tasks for name in written[task].names.values()]
    benchmarks = {task: benchmark_for(TASKS[task], written[task].left_out, folder) for task in tasks}
    results = run_theirs(names, args.lm_eval, args.model, limit, folder)
    run_id = run_ours(list(benchmarks.values()), f"hf:{args.model}", limit, args.max_tokens, folder)
    reports = []
    for name in tasks:
        task = TASKS[name]
        report = Report(name, task.benchmark, notes=[f"limit {limit}{' a subject' if task.group else ''}"])
        if task.writes:
            report.notes.append(f"texts of at most {args.max_tokens} tokens on both sides")
        for why, count in Counter(written[name].left_out.values()).items():
            report.notes.append(f"not compared: {count} rows that {why}")
        theirs = their_side(task, written[name].names, results)
        compare(report, theirs, our_side(task, benchmarks[name], folder, run_id))
        reports.append(report)
    if args.replay:
        writing = {name: benchmarks[name] for name in tasks if TASKS[name].scored and TASKS[name].writes}
        overrides = {name: written[name].names for name in writing}
        reports += replay(writing, overrides, results, args.lm_eval, args.model, limit, folder) if writing else []
    return reports


def show(reports: list[Report]) -> None:
    """The table: how many of each were compared, and after `!` how many differ."""
    columns = ("samples", "prompts", "golds", "sums", "texts", "scores", "figures", "errors")
    print(f"{'task':<30}" + "".join(f"{name:>10}" for name in columns) + f"{'largest':>10}{'of allowed':>11}  notes")
    for report in reports:
        counts = []
        for name in columns:
            texts = report.samples if TASKS[report.task].writes else 0
            count = texts if name == "texts" else getattr(report, name)
            counts.append(f"{count}!{report.differ[name]}" if name in report.differ else str(count))
        ties = [f"{report.ties} ties"] if report.ties else []
        print(
            f"{report.task:<30}" + "".join(f"{count:>10}" for count in counts)
            + f"{report.largest:>10.1e}{report.share:>10.0%}   {'; '.join(report.notes + ties)}"
        )  # fmt: skip
    for report in reports:
        for what, example in report.examples.items():
            print(f"\n{report.task}: {what}\n  theirs {example['theirs']!r}\n  ours   {example['ours']!r}")


if __name__ == "__main__":
    sys.exit(main())
