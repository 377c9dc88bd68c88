"""Reference solutions pass and programs without bodies fail: every sample of the code benchmarks, run for real.

    python bench/code_gold.py                       all of them
    python bench/code_gold.py humaneval mbpp@base --limit 20 --sandbox bwrap

A row for each benchmark: samples; how many references pass; how many programs pass whose functions were emptied;
answers that cannot be judged here; seconds, and answers a second. What a reference fails on is told below its row.
"""

from __future__ import annotations

import argparse
import ast
import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from adapters.sandboxes import open_best
from assay.catalog import benchmark_ids, load_benchmark
from assay.execute import jobs_of
from assay.extract import run_chain
from assay.extract_code import parses
from assay.functions import load_functions
from assay.programs import Ran, Sandbox
from assay.prompt import Prompter
from assay.reading import Scoring, readings
from assay.spec import Benchmark
from assay.types import Reply, Scored
from tasks.execute import ends, running
from tasks.preview import preview


def emptied(program: str) -> str:
    """A Python program whose functions do nothing; of any other text, nothing."""
    if not parses(program):
        return "pass"
    tree = ast.parse(program)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    for node in functions:
        node.body = [ast.Pass()]
    return ast.unparse(tree) if functions else "pass"


def scored(one: Scoring, values: Sequence[Any], samples: Sequence[Any], sandbox: Sandbox) -> list[Scored]:
    """What a scorer gives for some answers, their programs run; 0 where there is no answer."""
    jobs = jobs_of(one.function)
    assert jobs is not None
    wanted = [[] if v is None else jobs(v, s, **one.options) for v, s in zip(values, samples, strict=True)]
    ran: dict[str, Ran] = {}
    for end in ends(list({job.key: job for some in wanted for job in some}.values()), sandbox):
        ran[end.key] = end
    scores = []
    for some, sample in zip(wanted, samples, strict=True):
        value = one.function([ran[job.key] for job in some], sample, **one.options) if some else 0.0
        scores.append(value if isinstance(value, Scored) else Scored(None if value is None else float(value)))
    return scores


def gold(benchmark: Benchmark, samples: Sequence[Any]) -> list[Any]:
    """What is read in the right answers, cut where generation stops."""
    prompter, [reading, *_] = Prompter(benchmark), readings(benchmark)
    values = []
    for sample in samples:
        text = prompter.answer(sample)
        for stop in benchmark.sampling.stop:
            text = text.split(stop, 1)[0]
        values.append(run_chain(reading.chain, Reply(text=text, finish="stop"), sample).value)
    return values


def main() -> int:
    """The table; 0 where every reference that can be judged passes and no empty program does."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--sandbox")
    args = parser.parse_args()
    load_functions()
    found = [load_benchmark(name) for name in args.names or benchmark_ids()]
    wrong = 0
    with open_best(args.sandbox) as sandbox:
        print(f"tier {sandbox.tier}, {dict(sandbox.languages)}")
        print(f"{'benchmark':<32}{'samples':>8}{'gold':>8}{'empty':>8}{'skipped':>8}{'seconds':>9}{'a second':>9}")
        for benchmark in found:
            if not running(benchmark):
                continue
            [one, *_] = running(benchmark)
            samples = [shown.sample for shown in preview(benchmark, limit=args.limit)]
            began, values = time.perf_counter(), gold(benchmark, samples)
            right = scored(one, values, samples, sandbox)
            nothing = scored(one, [None if v is None else emptied(v) for v in values], samples, sandbox)
            seconds, skipped = time.perf_counter() - began, sum(s.value is None for s in right)
            passed, forged = sum(s.value == 1 for s in right), sum(s.value == 1 for s in nothing)
            wrong += len(samples) - skipped - passed + forged
            print(
                f"{benchmark.id:<32}{len(samples):>8}{passed:>8}{forged:>8}{skipped:>8}{seconds:>9.1f}"
                f"{2 * len(samples) / seconds:>9.1f}",
                flush=True,
            )
            for why, count in Counter(str(s.detail)[:160] for s in right if s.value != 1).most_common(8):
                print(f"    {count} x {why}")
            for place, s in enumerate(right):
                if s.value == 0:
                    print(f"    place {place}: {str(s.detail)[:300]}")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
