"""A PEFT LoRA adapter as vLLM is told of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from adapters.hf.folder import header, peft_of, read_json
from assay.errors import ModelError

RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""What vLLM takes as the largest rank."""
HEAD = "lm_head"


def arguments(folder: Path) -> dict[str, Any]:
    """The engine's arguments for an adapter: room for its rank, and the layers that it changes.

    Left to itself vLLM wraps the output layer too, and then computes no log-probabilities of prompts: on a CPU it fails
    at the first. Raises ModelError for an adapter that does change that layer, or is of a rank that vLLM does not take.
    """
    config, layers = read_json(folder / "adapter_config.json"), changed(folder)
    if HEAD in layers:
        raise ModelError(f"LoRA adapter {folder}: it changes {HEAD}, and vLLM then scores no texts: use hf")
    rank = max([int(config.get("r", 0)), *(config.get("rank_pattern") or {}).values()])
    if rank > RANKS[-1]:
        raise ModelError(f"LoRA adapter {folder}: rank {rank}, and vLLM takes {RANKS[-1]} at most")
    room = next(known for known in RANKS if known >= rank)
    return {"enable_lora": True, "max_lora_rank": room, "lora_target_modules": layers}


def changed(folder: Path) -> list[str]:
    """The names of the layers that an adapter changes, from its weights, else from its configuration."""
    config, weights = peft_of(folder)
    if weights.suffix == ".safetensors":
        names = [name.partition(".lora_") for name in header(weights)]
        return sorted({before.rpartition(".")[2] for before, lora, _ in names if lora})
    listed = read_json(config).get("target_modules")
    if not isinstance(listed, list):
        raise ModelError(f"LoRA adapter {folder}: which layers it changes is a pattern; save it as safetensors")
    return sorted(listed)
