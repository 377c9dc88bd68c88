"""What it takes to choose: 10,000 questions with 5,000 examples to choose from, each retriever in a process of its own.

    python bench/retrievers.py [--questions 10000] [--examples 5000] [--only topk]

Texts are drawn: 40 words of 20,000, the likelier the lower their rank, as words of a language are. Vectors are drawn
too, 384 numbers each, as small sentence encoders give them: what is measured is choosing, and not embedding.
Seconds are of the processor, on one thread; memory is the most that the process had. One JSON line a retriever.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

NAMES = ("random", "balanced", "bm25", "topk", "votek", "dpp", "mdl")
WORDS, LENGTH, WIDTH, K = 20_000, 40, 384, 8


def texts(count: int, seed: int) -> Iterator[str]:
    import numpy as np

    rng = np.random.default_rng(seed)
    weights = 1 / np.arange(1, WORDS + 1)
    for _ in range(count):
        yield " ".join(f"w{rank}" for rank in rng.choice(WORDS, LENGTH, p=weights / weights.sum()))


def measure(name: str, questions: int, examples: int) -> dict[str, Any]:
    import numpy as np

    from assay.functions import load_functions
    from assay.retrieve import retriever

    load_functions()
    pool = [{"input": text, "target": i % 5, "row": i} for i, text in enumerate(texts(examples, 0))]
    asked = [{"input": text, "target": 0, "row": examples + i} for i, text in enumerate(texts(questions, 1))]
    given: dict[str, Any] = {}
    if name == "bm25":
        given["text"] = lambda sample: sample["input"]
    elif name in ("topk", "votek", "dpp", "mdl"):
        vectors = np.random.default_rng(2).normal(size=(examples + questions, WIDTH)).astype(np.float32)
        given["embed"] = lambda samples: vectors[[sample["row"] for sample in samples]]
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    choose = retriever[name](pool, K, 0, "bench", **given)
    made = time.process_time()
    for place, sample in enumerate(asked):
        choose(str(place), sample, place)
    done = time.process_time()
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "retriever": name, "pool_s": round(made - began, 2), "questions_s": round(done - made, 2),
        "ms_each": round(1000 * (done - made) / questions, 3), "memory_mib": round(most / 1024),
        "of_it_before_mib": round(before / 1024),
    }  # fmt: skip


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--questions", type=int, default=10_000)
    options.add_argument("--examples", type=int, default=5_000)
    options.add_argument("--only", choices=NAMES)
    given = options.parse_args()
    if given.only:
        print(json.dumps(measure(given.only, given.questions, given.examples)), flush=True)
        return
    size = ["--questions", str(given.questions), "--examples", str(given.examples)]
    one_thread = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    for name in NAMES:
        subprocess.run([sys.executable, __file__, *size, "--only", name], check=True, env=one_thread)


if __name__ == "__main__":
    main()
