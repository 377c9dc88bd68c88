"""What vLLM's prefix cache is worth to choices: one JSON line. `make test-vllm` makes the environment for it.

    VLLM_CPU_KVCACHE_SPACE=1 .venv-vllm/bin/python bench/vllm_scores.py [--questions 10]

A random Llama of 20 million parameters, in fp32 on the CPU; questions with 600 tokens before them that all share, and
four choices of several tokens (texts) or of one (words). Seconds are those of the processor, whatever else it has to
do; ratios are over the time without reading the cache.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from hf_models import answers, score, tokenizer

from adapters.models import vllm
from assay.spec import ModelSpec
from assay.types import Completion

SHARED = "Question: what is two plus two? Answer: four. " * 60
ENGINE = {"kv_cache_memory_bytes": 2**28}


def made(folder: Path) -> Path:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    words = tokenizer()
    words.save_pretrained(folder)
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        "llama", vocab_size=len(words), hidden_size=512, intermediate_size=1024, num_hidden_layers=8,
        num_attention_heads=8, num_key_value_heads=8, max_position_embeddings=2048, bos_token_id=0, eos_token_id=1,
    )  # fmt: skip
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return folder


def timed(model: Any, questions: int, texts: tuple[str, ...]) -> tuple[float, dict[str, Completion]]:
    requests = [score(str(i), f"{SHARED}Question: what is the moon to {i}? Answer:", *texts) for i in range(questions)]
    began = time.process_time()
    done = answers(model, requests)
    return time.process_time() - began, done


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--questions", type=int, default=10)
    questions = parser.parse_args().questions
    if find_spec("vllm") is None:
        print(json.dumps({"bench": "vllm_scores", "left out": "vLLM is not in this environment"}))
        return
    os.environ.update(VLLM_HOST_IP="127.0.0.1", TORCH_COMPILE_DISABLE="1", HF_HUB_OFFLINE="1")
    texts = (" a little girl", " the red balls", " once upon", " looked at the mat")
    seconds: dict[str, float] = {}
    sums: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as place:
        folder = made(Path(place))
        for name, options in (
            ("off", {"prefix_caching": False}),
            ("default", {"read_prefix_cache": False}),
            ("read", {}),
        ):
            own = {"dtype": "float32", "enforce_eager": True, "engine": ENGINE, **options}
            model = vllm.load(ModelSpec(adapter="vllm", path=str(folder), options=own))
            timed(model, 1, (" a b",))
            seconds[f"texts {name}"], done = timed(model, questions, texts)
            seconds[f"words {name}"], _ = timed(model, questions, (" cat", " mat", " moon", " girl"))
            sums[name] = [value for key in sorted(done) for value in done[key].sums]
            del model
    print(json.dumps({
        "bench": "vllm_scores", "questions": questions, "seconds": {k: round(v, 2) for k, v in seconds.items()},
        "texts": round(seconds["texts default"] / seconds["texts read"], 1),
        "words": round(seconds["words off"] / seconds["words default"], 1),
        "difference": max(abs(a - b) for a, b in zip(sums["off"], sums["read"], strict=True)),
    }))  # fmt: skip


if __name__ == "__main__":
    main()
