"""How much is computed at once: what a device's memory has room for beside the weights, and is worth its while."""

from __future__ import annotations

from typing import Any, NamedTuple

import psutil

CPU_TOKENS, GPU_TOKENS = 2048, 32_768
"""More at once is no faster."""
CPU_KEPT, GPU_KEPT = 32_768, 524_288
SHARE = 0.8
"""Of the memory beside the weights: the rest is for what is not counted here."""


class Budget(NamedTuple):
    """In tokens."""

    tokens: int
    """Of one forward pass, padding included."""
    kept: int
    """Whose keys and values are kept at once while texts are written."""


def budget_of(network: Any, tokens: int | None, alone: bool) -> Budget:
    """What there is room for: as many `tokens` as a user says, or else by the memory of the network's device.

    A network that is not alone, but one of several ranks, must not measure for itself: all ranks do the same.
    """
    if tokens is not None:
        return Budget(tokens, tokens)
    cpu = network.device.type == "cpu"
    most = Budget(CPU_TOKENS, CPU_KEPT) if cpu else Budget(GPU_TOKENS, GPU_KEPT)
    free = _free(network) if alone else None
    if free is None:
        return most
    config, size = network.config.get_text_config(), network.dtype.itemsize
    inner = getattr(config, "intermediate_size", None) or 4 * config.hidden_size
    heads = getattr(config, "num_attention_heads", None) or 1
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    stored = 2 * config.num_hidden_layers * (getattr(config, "num_key_value_heads", None) or heads) * width * size
    passing = size * (8 * config.hidden_size + 4 * heads * width + 3 * inner)  # of one layer: the next uses it again
    return Budget(
        max(1, min(most.tokens, int(free * SHARE / 2 / (passing + stored)))),
        max(1, min(most.kept, int(free * SHARE / 2 / stored))),
    )


def _free(network: Any) -> float | None:
    """Bytes that are free on the network's device; None where that cannot be told."""
    import torch

    if network.device.type == "cpu":
        return float(psutil.virtual_memory().available)
    if network.device.type == "cuda":
        return float(torch.cuda.mem_get_info(network.device)[0])
    return None
