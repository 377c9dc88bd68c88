"""What the pipeline itself costs: real questions, each repetition with its number in it, on a model of no cost.

    python bench/pipeline.py [--samples 400000] [--smaller 100000]

Four benchmarks share the samples out: GSM8K (answers are written) and MMLU (four choices, one sample a question), each
zero-shot and five-shot. Every evaluation is a process of its own, `assay run`, with an embedded server. What the same
command takes for one question a benchmark is Prefect's start, and is taken off. One JSON line.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path

DATA = Path(os.environ.get("ASSAY_DATA") or Path(__file__).parents[2] / "shared" / "data")
WRITTEN = """
# GSM8K, again and again.
dimension: reasoning
sources: [{files: {path: written.jsonl}}]
sample: {input: question, target: target}
prompt: {template: "Question: {{ input }}\\nAnswer:", fewshot: {from: shots.jsonl, k: 5}}
extract: [last_number]
score: [number_match]
variants: {zero_shot: {prompt: {fewshot: null}}}
"""
CHOSEN = """
# MMLU, again and again.
dimension: knowledge
sources: [{files: {path: chosen.jsonl}}]
sample: {input: question, choices: choices, target: target}
prompt:
  template: "{{ input }}\\nA. {{ choices[0] }}\\nB. {{ choices[1] }}\\n\\
    C. {{ choices[2] }}\\nD. {{ choices[3] }}\\nAnswer:"
  fewshot: {from: chosen_shots.jsonl, k: 5}
kind: loglikelihood
choices: [A, B, C, D]
score: [acc, acc_norm]
variants: {zero_shot: {prompt: {fewshot: null}}}
"""
NAMES = ("written", "written@zero_shot", "chosen", "chosen@zero_shot")


def written() -> Iterator[dict[str, object]]:
    """GSM8K's test questions."""
    for line in (DATA / "gsm8k" / "test.jsonl").read_text().splitlines():
        row = json.loads(line)
        yield {"question": row["question"], "target": row["answer"].split("#### ")[1].replace(",", "")}


def chosen() -> Iterator[dict[str, object]]:
    """MMLU's test questions, of all subjects."""
    for path in sorted((DATA / "mmlu").rglob("*_test.csv")):
        with path.open(newline="") as file:
            for question, *choices, answer in csv.reader(file):
                yield {"question": question, "choices": choices, "target": "ABCD".index(answer)}


def catalog(folder: Path, samples: int) -> None:
    """A catalogue whose benchmarks have so many distinct samples each."""
    for name, recipe, source in (("written", WRITTEN, written), ("chosen", CHOSEN, chosen)):
        (folder / f"{name}.yaml").write_text(recipe)
        real = list(source())
        shots = "shots" if name == "written" else "chosen_shots"
        (folder / f"{shots}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in real[:5]))
        with (folder / f"{name}.jsonl").open("w") as file:
            repeated = ({**row, "question": f"({turn}) {row['question']}"} for turn in count(1) for row in real)
            file.writelines(json.dumps(row) + "\n" for row in islice(repeated, samples))


def evaluate(folder: Path, ledger: Path, limit: int | None = None) -> tuple[float, int]:
    """Seconds of an evaluation of all four, from the command to its end, and the samples that were scored."""
    command = [sys.executable, "-m", "flows.cli", "run", "-m", "echo:oracle", "--catalog", str(folder), "--json"]
    command += ["--ledger", str(ledger), *(part for name in NAMES for part in ("-b", name))]
    command += ["--limit", str(limit)] if limit else []
    start = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    scores = json.loads(done.stdout.splitlines()[-1])["scores"]
    assert all(row["value"] == 1 and row["n_errors"] == 0 for row in scores), scores
    return seconds, sum({row["benchmark"]: row["n"] for row in scores}.values())


def measure(samples: int) -> dict[str, float]:
    """Milliseconds a sample, and the seconds of the same run again."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        catalog(folder, samples // len(NAMES))
        evaluate(folder, folder / "first.duckdb", limit=1)  # the first start of Prefect makes its own database
        start, _ = evaluate(folder, folder / "small.duckdb", limit=1)
        seconds, scored = evaluate(folder, folder / "l.duckdb")
        assert scored == samples // len(NAMES) * len(NAMES)
        again, _ = evaluate(folder, folder / "l.duckdb")
        size = (folder / "l.duckdb").stat().st_size
    return {
        "samples": scored, "start_s": round(start, 1), "seconds": round(seconds, 1),
        "ms_per_sample": round(1000 * (seconds - start) / scored, 4), "again_s": round(again, 1),
        "ledger_mib": size >> 20,
    }  # fmt: skip


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--samples", type=int, default=400_000)
    options.add_argument("--smaller", type=int, default=100_000, help="to see whether it is linear")
    given = options.parse_args()
    if not DATA.exists():
        print(json.dumps({"bench": "pipeline", "skipped": "the real questions are not here: set ASSAY_DATA"}))
        return
    with tempfile.TemporaryDirectory() as prefect:
        os.environ["PREFECT_HOME"] = prefect
        small, large = [measure(n) for n in (given.smaller, given.samples)]
        time.sleep(5)  # the embedded server writes its last and ends
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    print(json.dumps({
        "bench": "pipeline", **large, "ms_per_sample_of_fewer": small["ms_per_sample"],
        "linear": round(large["ms_per_sample"] / small["ms_per_sample"], 3), "peak_gib": round(peak, 2),
    }))  # fmt: skip


if __name__ == "__main__":
    main()
