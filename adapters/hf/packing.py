"""Which networks can compute packs, and the forward pass over one."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch

from adapters.hf.attention import Layer, Look, PackLook, Stored, looking
from adapters.hf.engine import Engine
from adapters.hf.packs import Pack
from adapters.hf.plan import Limits
from adapters.hf.slots import SlotLook, Slots

UNIT = 1024
CPU_OVERHEAD, GPU_OVERHEAD = 64, 2048
ROTATED_BY_LENGTH = ("dynamic", "longrope")
"""Positions that depend on how long the text is: https://huggingface.co/docs/transformers, `rope_type`."""


class Packing:
    """The network as something that computes packs."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        configs = {id(m.config): m.config for m in engine.whole.modules() if hasattr(m, "config")}
        self.configs = list(configs.values())
        self.refusal = refusal(engine)
        """Why the network cannot compute packs; None where it can, as far as its configuration tells."""

    @property
    def limits(self) -> Limits:
        """What a trie is cut by."""
        engine = self.engine
        overhead = CPU_OVERHEAD if engine.device.type == "cpu" else GPU_OVERHEAD
        return Limits(min(UNIT, engine.tokens), engine.tokens, overhead, 3 * engine.hidden)

    def states(self, pack: Pack, stored: Stored, keep: bool = False) -> tuple[Any, dict[int, Layer]]:
        """The last hidden states of a pack's tokens (tokens, width), and where asked for their keys and values."""
        look = PackLook(pack, stored, keep)
        return self._states(pack.tokens, pack.depths, look), look.kept

    def next(self, tokens: Sequence[int], slots: Slots) -> Any:
        """The last hidden states (slots, width) of one more token in each slot."""
        states = self._states(tokens, slots.places(), SlotLook(slots))
        slots.step()
        return states

    def _states(self, tokens: Any, places: Any, look: Look) -> Any:
        device = self.engine.device
        with looking(self.configs, look):
            return self.engine.base(
                input_ids=torch.as_tensor(tokens, device=device)[None],
                position_ids=torch.as_tensor(places, device=device)[None],
                use_cache=False,
            ).last_hidden_state[0]


def refusal(engine: Engine) -> str | None:
    """Why a network's attention cannot be packed; None where nothing in its configuration or class speaks against it.

    What it cannot know, `adapters/hf/probe.py` finds out.
    """
    config = engine.whole.config.get_text_config()
    kinds = {kind for kind in getattr(config, "layer_types", None) or () if kind != "full_attention"}
    rope = getattr(config, "rope_parameters", None) or {}
    if not engine.cached:
        return "its state is not one of keys and values"
    if kinds:
        return f"it has layers of {', '.join(sorted(kinds))}"
    if getattr(config, "sliding_window", None) and getattr(config, "use_sliding_window", True):
        return f"its attention has a window of {config.sliding_window} tokens"
    if getattr(config, "attention_chunk_size", None):
        return f"its attention is by chunks of {config.attention_chunk_size} tokens"
    if rope.get("rope_type") in ROTATED_BY_LENGTH:
        return f"its positions are {rope['rope_type']}"
    if "position_ids" not in inspect.signature(engine.base.forward).parameters:
        return "it is not told where its tokens stand"
    if not engine.whole._supports_attention_backend:
        return "its attention cannot be chosen"
    return None
