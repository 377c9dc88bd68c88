"""The adapter `hf` and transformers' own continuous batching (`generate_batch`) go on from the same prompts, in turn.

    python bench/hf_batching.py [--model FOLDER] [--questions 32] [--tokens 64] [--repeat 2]

Prompts of gsm8k with five examples; greedy, every text of the same length, so that both write as many tokens. One
process, a line for each repetition, then one JSON line; the exit status is 1 where more than one text in fifty differs.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from speed.assay_side import request_of
from speed.random_model import made
from speed.wire import read_lines
from speed.workloads import WORKLOADS, write
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from adapters.models import hf
from assay.spec import ModelSpec

Texts = list[str]


def ours(model: Path, lines: list[dict[str, Any]], tokens: int) -> Callable[[], Texts]:
    spec = ModelSpec(adapter="hf", path=str(model), options={"device": "cpu", "dtype": "float32", "chat": False})
    requests = [request_of(number, line | {"stop": []}) for number, line in enumerate(lines)]
    loaded = hf.load(spec)

    def run() -> Texts:
        done = {one.key: one for batch in loaded.answer(requests) for one in batch}
        assert all(one.output_tokens == tokens for one in done.values())
        return [done[request.key].text or "" for request in requests]

    return run


def theirs(model: Path, lines: list[dict[str, Any]], tokens: int) -> Callable[[], Texts]:
    network = AutoModelForCausalLM.from_pretrained(model, attn_implementation="sdpa").eval()
    tokenizer = AutoTokenizer.from_pretrained(model)
    greedy = GenerationConfig(
        max_new_tokens=tokens, do_sample=False, eos_token_id=network.config.eos_token_id, pad_token_id=0
    )

    def run() -> Texts:
        ids = [tokenizer(line["context"])["input_ids"] for line in lines]
        found = network.generate_batch(ids, generation_config=greedy)
        written = sorted(found.values(), key=lambda one: int(one.request_id.rpartition("_")[2]))
        return [tokenizer.decode(one.generated_tokens, skip_special_tokens=True) for one in written]

    return run


def timed(run: Callable[[], Texts]) -> tuple[float, Texts]:
    began = time.perf_counter()
    texts = run()
    return time.perf_counter() - began, texts


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--model", type=Path)
    options.add_argument("--questions", type=int, default=32)
    options.add_argument("--tokens", type=int, default=64)
    options.add_argument("--repeat", type=int, default=2)
    chosen = options.parse_args()
    torch.set_num_threads(os.cpu_count() or 1)
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        model = chosen.model or made("30M", folder)
        write(WORKLOADS["gsm8k"], chosen.questions, chosen.tokens, folder / "requests.jsonl")
        lines = read_lines(str(folder / "requests.jsonl"))
        sides = ours(model, lines, chosen.tokens), theirs(model, lines, chosen.tokens)
        seconds, differ = [], 0
        for _ in range(chosen.repeat):
            (here, mine), (there, other) = (timed(side) for side in sides)
            seconds.append((here, there))
            differ = max(differ, sum(a != b for a, b in zip(mine, other, strict=True)))
            print(f"assay {here:.2f} s, generate_batch {there:.2f} s: {there / here:.2f}", flush=True)
    ratios = [there / here for here, there in seconds]
    told = {"ratio": statistics.median(ratios), "from": min(ratios), "to": max(ratios), "texts_differ": differ}
    print(json.dumps({"bench": "hf_batching", "questions": len(lines), "tokens": chosen.tokens, **told}))
    return int(differ * 50 > len(lines))


if __name__ == "__main__":
    sys.exit(main())
