"""How well each partitioner shares out 100 benchmarks, and how long they take a model of 100 billion parameters.

    python bench/planner.py [--seeds 20]

Requests are real where the catalogue has a benchmark and its files are here: every question, as it is asked. The other
data sets of $ASSAY_DATA count with the items and the bytes that its README.md tells, the largest first, to make 100.
Workers have speeds of their own, log-normal with σ = 0.2. A static strategy's task is a process that loads the model
again, and a runner with a slot a worker takes tasks in order, the costliest first; `balanced` loads the model once a
worker, which then claims shards. The bound is max(total work ÷ total speed + one load, longest shard of `balanced`).
"""

from __future__ import annotations

import argparse
import heapq
import os
import re
from itertools import count
from pathlib import Path

import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from assay.catalog import benchmark_ids, load_benchmark
from assay.errors import DatasetError
from assay.functions import load_functions
from assay.keys import canonical, key
from assay.partition import partitioner, replicas_worth
from assay.spec import Benchmark
from assay.workload import COLUMNS, Rates, workload
from tasks.estimate import claimed
from tasks.preview import preview

DATA = Path(os.environ.get("ASSAY_DATA") or Path(__file__).parents[2] / "shared" / "data")
WORKERS = (8, 64, 512)
BENCHMARKS = 100
PARAMETERS, GPUS, FLOPS = 100e9, 8, 989e12
"""Of the model; of a replica; and what a GPU of that replica (an H100) can do a second, in bfloat16."""
PREFILL_SHARE, DECODE_SHARE, BYTES_A_SECOND = 0.40, 0.10, 2e9
"""How much of that is reached on prompts and on answers; how fast weights of two bytes are read."""
CHOSEN = re.compile(r"MCQ|-way|NLI|pairs|yes/no|true/false|WSC|coreference|GLUE|detection|intents|COPA|ETHICS|puzzle")
LONG = ("reasoning", "code", "examination")
ANSWER, LONG_ANSWER, THINKING = 256, 1024, 8192
Row = dict[str, object]


def rates() -> Rates:
    """What a replica does, from its FLOPs: two for each parameter and token."""
    tokens = GPUS * FLOPS / (2 * PARAMETERS)
    load = 2 * PARAMETERS / BYTES_A_SECOND
    return Rates(prefill=PREFILL_SHARE * tokens, decode=DECODE_SHARE * tokens, load=load)


def asked(benchmark: Benchmark) -> list[Row]:
    """A benchmark's requests as columns, from its real questions. Raises DatasetError where they are not here."""
    return [
        {
            "completion_key": f"{benchmark.id}/{shown.sample_key}/{place}", "prompted": benchmark.id,
            "kind": benchmark.kind, "header_key": key(ask.header) if ask.header else None,
            "header_bytes": len(canonical(ask.header)) if ask.header else 0,
            "bytes": len(canonical(ask.messages)) + sum(len(text.encode()) for text in ask.continuations),
            "continuations": len(ask.continuations), "max_tokens": benchmark.sampling.max_tokens,
        }
        for shown in preview(benchmark)
        for place, ask in enumerate(shown.asks)
    ]  # fmt: skip


def counted(wanted: int, known: set[str]) -> list[list[Row]]:
    """The requests of the largest other data sets, by their counts: those with choices are scored, the rest written."""
    items: dict[str, list[float]] = {}
    told: dict[str, tuple[str, str]] = {}
    for line in (DATA / "README.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip().replace(",", "") for cell in line.strip("|").split("|")]
        if len(cells) > 6 and cells[4].isdigit() and cells[0] not in known:
            had = items.setdefault(cells[0], [0, 0, 0])
            items[cells[0]] = [a + float(b) for a, b in zip(had, cells[4:7], strict=True)]
            told[cells[0]] = cells[1], cells[2]
    largest = sorted(items, key=lambda name: (-items[name][0], name))[:wanted]
    return [_alike(name, *told[name], *items[name]) for name in largest]


def _alike(name: str, task: str, ability: str, count: float, shots: float, size: float) -> list[Row]:
    chosen = bool(CHOSEN.search(task))
    row: Row = {
        "prompted": name, "kind": "loglikelihood" if chosen else "generate", "header_key": None, "header_bytes": 0,
        "bytes": int(size / (count + shots)), "continuations": 4 if chosen else 0,
        "max_tokens": LONG_ANSWER if ability in LONG else ANSWER,
    }  # fmt: skip
    return [row | {"completion_key": f"{name}/{place}"} for place in range(int(count))]


def suite() -> tuple[pa.Table, int]:
    """The requests of all benchmarks, and how many of these are the catalogue's."""
    load_functions()
    found: list[list[Row]] = []
    known: set[str] = set()
    names = [name for name in benchmark_ids() if "@" not in name and not name.startswith("mini_")]
    for benchmark in map(load_benchmark, names):
        try:
            found.append(asked(benchmark))
        except DatasetError:
            continue
        known |= {source.files.path.split("/")[0] for source in benchmark.sources if source.files}
    ours = len(found)
    found += counted(BENCHMARKS - ours, known)
    return pa.Table.from_pylist([row for rows in found for row in rows], schema=COLUMNS), ours


def static(costs: list[float], speed: np.ndarray, load: float) -> float:
    """The makespan where each task loads the model, and a slot that is free takes the next."""
    free = [(0.0, worker) for worker in range(len(speed))]
    for cost in costs:
        at, worker = heapq.heappop(free)
        heapq.heappush(free, (at + load + cost / speed[worker], worker))
    return max(at for at, _ in free)


def compare(columns: pa.Table, workers: int, seeds: int) -> dict[str, tuple[list[float], list[float]]]:
    """Each strategy's shards for so many workers, and makespan ÷ bound of each seed; and those of `balanced` where
    shards take more or less than told: log-normal, σ = 0.3."""
    have, load = rates(), rates().load
    options = {"naive": {}, "size": {}, "num_worker": {"workers": workers}, "balanced": {"workers": workers}}
    divided = {name: list(partitioner[name](columns, rates=have, **more).costs.values())
               for name, more in options.items()}  # fmt: skip
    total, longest = workload(columns, have).total, divided["balanced"][0]
    over: dict[str, list[float]] = {name: [] for name in (*divided, "balanced, misjudged")}
    for seed in range(seeds):
        rng = np.random.default_rng([workers, seed])
        speed = rng.lognormal(0, 0.2, workers)
        bound = max(total / speed.sum() + load, longest)
        for name, costs in divided.items():
            way = claimed if name == "balanced" else static
            over[name].append(way(costs, speed, load) / bound)
        real = np.array(divided["balanced"]) * rng.lognormal(0, 0.3, len(divided["balanced"]))
        bound = max(real.sum() / speed.sum() + load, real.max())
        over["balanced, misjudged"].append(claimed(real, speed, load) / bound)
    return {name: (divided[name.split(",")[0]], values) for name, values in over.items()}


def longer(columns: pa.Table, tokens: int) -> pa.Table:
    """The same, with so many tokens for each answer that is written."""
    place = columns.column_names.index("max_tokens")
    return columns.set_column(place, "max_tokens", pa.array([tokens] * len(columns), pa.int64()))


def suite_time(columns: pa.Table, gpus: int) -> tuple[int, float]:
    """The replicas that so many GPUs make and the work is worth, and the hours until the last shard is done."""
    have = rates()
    replicas = replicas_worth(workload(columns, have).total, have.load, gpus // GPUS)
    costs = partitioner["balanced"](columns, workers=replicas, rates=have).costs
    speed = np.random.default_rng(gpus).lognormal(0, 0.2, replicas)
    return replicas, claimed(costs.values(), speed / speed.mean(), have.load) / 3600


def fewest(columns: pa.Table, hours: float = 3.0) -> int:
    """The GPUs that do the suite in so many hours."""
    least = int(workload(columns, rates()).total / 3600 / hours)
    return next(n * GPUS for n in count(max(least, 1)) if suite_time(columns, n * GPUS)[1] <= hours)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seeds", type=int, default=20)
    seeds = options.parse_args().seeds
    console = Console(width=110, highlight=False)
    columns, ours = suite()
    have, total = rates(), workload(columns, rates()).total
    written = int(np.sum(np.asarray(columns["max_tokens"]) * (np.asarray(columns["kind"]) == "generate")))
    size = int(np.sum(np.asarray(columns["bytes"])) + np.sum(np.asarray(columns["header_bytes"])))
    console.print(
        f"{len(columns['prompted'].unique())} benchmarks ({ours} of the catalogue), {len(columns):,} requests,"
        f" {size:,} bytes of prompts (headers in each), {written:,} tokens at most to write.\n"
        f"A replica of {GPUS} GPUs reads {have.prefill:,.0f} and writes {have.decode:,.0f} tokens a second"
        f" ({PREFILL_SHARE:.0%} and {DECODE_SHARE:.0%} of {GPUS} x {FLOPS / 1e12:.0f} TFLOP/s,"
        f" {PARAMETERS / 1e9:.0f}B parameters) and loads in {have.load:.0f} s; one takes {total / 3600:.2f} hours."
    )
    table = Table(
        "workers", "strategy", "shards", "longest s", "mean over bound", "worst", title="makespan over its bound"
    )
    for workers in WORKERS:
        for name, (costs, over) in compare(columns, workers, seeds).items():
            told = f"{costs[0]:.0f}", f"{np.mean(over):.3f}", f"{max(over):.3f}"
            table.add_row(str(workers), name, str(len(costs)), *told)
    console.print(table)
    thinking = longer(columns, THINKING)
    table = Table("GPUs", "replicas", "hours", "replicas", f"hours at {THINKING} tokens", title="the whole suite")
    for gpus in (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096):
        both = [suite_time(some, gpus) for some in (columns, thinking)]
        table.add_row(str(gpus), *(text for n, hours in both for text in (str(n), f"{hours:.2f}")))
    console.print(table)
    few, many = fewest(columns), fewest(thinking)
    console.print(f"3 hours: {few} GPUs; where each answer has up to {THINKING} tokens, {many}.")


if __name__ == "__main__":
    main()
