"""What a sandbox costs: trivial programs a second on all cores, and the milliseconds of one alone. One JSON line.

    python bench/sandbox.py [--programs 400] [--times 3]

Beside the sandboxes that work here stands the plain `python -I -S`, without any, in the same minute: read the ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from adapters.sandboxes import open_best
from assay.errors import SandboxError
from assay.programs import Job, Program, Sandbox

TEXT = "print('hi')"
TIERS = ("namespaces", "bwrap", "docker", "none")


def plain(programs: int, workers: int) -> float:
    """Seconds of so many `python -I -S`, so many at once."""
    command = [sys.executable, "-I", "-S", "-c", TEXT]
    start = time.perf_counter()
    with ThreadPoolExecutor(workers) as pool:
        said = list(pool.map(lambda _: subprocess.run(command, capture_output=True).stdout, range(programs)))
    assert said == [b"hi\n"] * programs
    return time.perf_counter() - start


def boxed(box: Sandbox, programs: int, text: str = TEXT) -> float:
    """Seconds of so many programs in a sandbox."""
    jobs = [Job(str(number), (Program(["python", "main.py"], {"main.py": text}),)) for number in range(programs)]
    start = time.perf_counter()
    said = [ran.outcomes[0].stdout for ran in box.run(jobs)]
    assert said == ["hi\n"] * programs
    return time.perf_counter() - start


def measured(times: int, programs: int, seconds: Callable[[int, int], float]) -> dict[str, float]:
    """Programs a second on all cores, and milliseconds of one alone; the middle and the best of several times."""
    cores = len(os.sched_getaffinity(0))
    many = [programs / seconds(programs, cores) for _ in range(times)]
    few = [seconds(programs // 4, 1) / (programs // 4) * 1000 for _ in range(times)]
    return {"per_s": round(statistics.median(many)), "best_per_s": round(max(many)), "ms": round(min(few), 1)}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--programs", type=int, default=400)
    options.add_argument("--times", type=int, default=3)
    chosen = options.parse_args()
    found = {"plain": measured(chosen.times, chosen.programs, plain)}
    for tier in TIERS:

        def seconds(programs: int, workers: int, tier: str = tier) -> float:
            with open_best(tier, workers) as box:
                return boxed(box, programs)

        try:
            found[tier] = measured(chosen.times, chosen.programs, seconds)
        except SandboxError as error:
            found[tier] = {"error": str(error)}  # type: ignore[dict-item]
    load = os.getloadavg()[0]
    print(json.dumps({"bench": "sandbox", "cores": len(os.sched_getaffinity(0)), "load": round(load, 1), **found}))


if __name__ == "__main__":
    main()
