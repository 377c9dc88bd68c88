"""What the benches of speed have in common: their arguments, the models, the table and the last line."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from .race import ROOT, Race, Result
from .random_model import made
from .wire import SideError
from .workloads import WORKLOADS, write

WANTED = "--lm-eval-python (or $ASSAY_LM_EVAL_PYTHON), the Python of an environment with lm_eval[hf]==0.4.13"


def main(bench: str, about: str | None, names: Sequence[str]) -> int:
    """Run the workloads on each model; the exit status: 1 where the two sides differ."""
    args = arguments(about, names)
    if not args.lm_eval_python:
        print(f"skipped: wants {WANTED}")
        print(json.dumps({"bench": bench, "skipped": WANTED}))
        return 0
    results: dict[str, list[Result]] = {}
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for label, model in models(args, folder):
            settings = {"model": str(model), "dtype": "float32" if args.device == "cpu" else "bfloat16",
                        "device": args.device, "threads": args.threads, "memory": memory(args.device)}  # fmt: skip
            race = Race(settings, args.lm_eval_python, args.repeat, args.probe, args.peak_tflops, folder)
            print(f"{label}\n{heading()}", flush=True)
            results[label] = []
            for name in args.workloads:
                requests = folder / "requests.jsonl"
                asked = write(WORKLOADS[name], args.questions, args.max_tokens, requests)
                try:
                    results[label].append(race.run(WORKLOADS[name], asked, requests))
                except SideError as error:
                    raise SystemExit(f"{label}, {name}: {error}") from None
                print(row(results[label][-1]), flush=True)
    same = all(one.same for each in results.values() for one in each)
    told = {label: [one.record() for one in each] for label, each in results.items()}
    how = {"device": args.device, "threads": args.threads, "repeat": args.repeat}
    print(json.dumps({"bench": bench, "same": same, **how, "models": told}))
    return int(not same)


def arguments(about: str | None, names: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--lm-eval-python", default=os.environ.get("ASSAY_LM_EVAL_PYTHON"), help="$ASSAY_LM_EVAL_PYTHON"
    )
    parser.add_argument("--model", type=Path, nargs="+", help="folders, in place of the random model and stories260K")
    parser.add_argument("--workloads", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--questions", type=int, help="of each workload (160)")
    parser.add_argument("--repeat", type=int, help="times in turn (3)")
    parser.add_argument("--quick", action="store_true", help="40 questions, once")
    parser.add_argument("--probe", type=int, default=16, help="questions that lm-eval's batch size is chosen by")
    parser.add_argument("--max-tokens", type=int, default=256, help="of each text that is written")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--device", default="cpu", help="cpu, or cuda: a model of 1B, in bf16")
    parser.add_argument("--peak-tflops", type=float, help="what the device can do, for the share of it that is used")
    parser.add_argument("--cache", type=Path, help="a folder that keeps the random model")
    args = parser.parse_args()
    args.questions = args.questions or (40 if args.quick else 160)
    args.repeat = args.repeat or (1 if args.quick else 3)
    return args


def models(args: argparse.Namespace, folder: Path) -> Iterator[tuple[str, Path]]:
    """The models' names and folders."""
    if args.model:
        yield from ((path.name, path.resolve()) for path in args.model)
        return
    size = "30M" if args.device == "cpu" else "1B"
    cache = (args.cache or folder).resolve()
    cache.mkdir(parents=True, exist_ok=True)
    yield f"random {size}", made(size, cache)
    stories = Path(os.environ.get("ASSAY_STORIES", ROOT.parent / "shared/models/stories260K"))
    if args.device == "cpu" and stories.exists():
        yield "stories260K", stories


def memory(device: str) -> int | None:
    """Bytes that a side may take on a CPU, where `auto` tries more until it cannot: half of the machine's."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2 if device == "cpu" else None


COLUMNS = (("workload", 20), ("asked", 6), ("tokens", 9), ("unique", 8), ("assay s", 9), ("lm-eval s", 10),
           ("batch", 6), ("ratio", 7), ("from … to", 13), ("wanted", 7), ("of limit", 9), ("shared", 7),
           ("MiB", 6), ("lm-eval", 8), ("largest", 9), ("of allowed", 11), ("other", 6))  # fmt: skip


def heading() -> str:
    """`of limit` and `shared`: assay's seconds over the limit's; `other`: best choices, or texts, that differ."""
    return "".join(f"{name:<{width}}" if name == "workload" else f"{name:>{width}}" for name, width in COLUMNS)


def row(one: Result) -> str:
    """A workload's line of the table."""
    cells = [
        one.workload, str(one.questions), f"{one.tokens:,}", f"{one.unique_tokens:,}", f"{one.assay_seconds:.2f}",
        f"{one.lm_eval_seconds:.2f}", str(one.batch_size), f"{one.ratio:.2f}",
        f"{one.ratio_min:.2f} … {one.ratio_max:.2f}", f"{one.target:g}" if one.target else "-",
        f"{one.of_limit:.2f}" if one.of_limit else "-", f"{one.of_shared:.2f}" if one.of_shared else "-",
        f"{one.assay_mib:.0f}", f"{one.lm_eval_mib:.0f}", f"{one.largest_difference:.1e}",
        "-" if one.of_allowed is None else f"{one.of_allowed:.0%}",
        str(one.best_differ if one.texts_differ is None else one.texts_differ),
    ]  # fmt: skip
    line = "".join(
        f"{cell:<{width}}" if name == "workload" else f"{cell:>{width}}"
        for cell, (name, width) in zip(cells, COLUMNS, strict=True)
    )
    written = one.written_tokens
    speeds = (written / one.assay_seconds, written / one.lm_eval_seconds) if written else None
    more = f"  {speeds[0]:.0f} and {speeds[1]:.0f} tokens/s written" if speeds else ""
    return line + more + (f"  utilisation {one.utilisation:.0%}" if one.utilisation else "")
