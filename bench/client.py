"""How near the client of OpenAI-compatible servers comes to concurrency ÷ latency: one JSON line.

    python bench/client.py [--requests 1280] [--concurrency 32] [--latency 0.5]

The server is the fake one of the tests, in a process of its own on this machine, and takes a part of the same
processors; it answers every request after the same time.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from api_server import MODEL, ApiServer

from adapters.models.openai import load
from assay.spec import ModelSpec
from assay.types import Request, Sampling


def serve(latency: float, pipe: Connection) -> None:
    with ApiServer(latency=latency) as server:
        pipe.send(server.url)
        pipe.recv()
        pipe.send(server.most)


def measure(count: int, concurrency: int, latency: float) -> dict[str, object]:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(latency, theirs))
    process.start()
    options = {"base_url": ours.recv(), "concurrency": concurrency}
    model = load(ModelSpec(adapter="openai", path=MODEL, options=options))
    ask = Sampling(max_tokens=8)
    turns = [[{"role": "user", "content": f"Question {i}?"}] for i in range(count)]
    requests = [Request(str(i), "generate", turn, sampling=ask) for i, turn in enumerate(turns)]
    list(model.answer(requests[:concurrency]))  # the first request goes alone, and libraries are imported
    start, cpu = time.perf_counter(), time.process_time()
    completions = [completion for batch in model.answer(requests) for completion in batch]
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    ours.send(None)
    most = ours.recv()
    process.join()
    possible = concurrency / latency
    return {
        "requests": count, "concurrency": concurrency, "latency_s": latency, "seconds": round(seconds, 3),
        "requests_per_s": round(count / seconds, 1), "possible_per_s": round(possible, 1),
        "efficiency": round(count / seconds / possible, 4), "client_cpu_ms_per_request": round(1000 * cpu / count, 3),
        "at_once": most, "errors": sum(c.error is not None for c in completions),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1280)
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--latency", type=float, default=0.5, help="seconds")
    args = parser.parse_args()
    print(json.dumps(measure(args.requests, args.concurrency, args.latency)))


if __name__ == "__main__":
    main()
