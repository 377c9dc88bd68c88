"""What the tokens of a forward pass see: the attention that a network uses while it computes packs.

transformers lets a network use any function for its attention. This one asks what the pass at hand is about: how its
tokens are laid out, and which keys and values there are from before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import torch
from transformers import AttentionInterface

from adapters.hf.kernels import Part, Tensor, attend, merged
from adapters.hf.packs import Pack

NAME = "assay"
CANNOT = ("softcap", "s_aux", "position_bias", "sliding_window")
"""What else a network may want of its attention, and this one does not do."""

Layer = tuple[Tensor, Tensor]
"""Keys and values (1, heads, tokens, width)."""


class Look(Protocol):
    """What the tokens of one forward pass see."""

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """Attention of all tokens of the pass, as one row: (1, heads, tokens, width)."""
        ...


_looks: list[Look] = []


def _attention(module: Any, query: Tensor, key: Tensor, value: Tensor, mask: Any, **how: Any) -> tuple[Tensor, None]:
    wanted = [name for name in CANNOT if how.get(name) is not None]
    if wanted or query.shape[0] != 1:
        raise NotImplementedError(f"attention of packs has no {', '.join(wanted) or 'rows'}")
    scale = how.get("scaling")
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    return _looks[-1].attend(module.layer_idx, query, key, value, scale).transpose(1, 2), None


AttentionInterface.register(NAME, torch.compiler.disable(_attention))


@contextmanager
def looking(configs: Sequence[Any], look: Look) -> Iterator[None]:
    """Around a forward pass of the network with these configurations."""
    before = [config._attn_implementation for config in configs]
    _looks.append(look)
    try:
        for config in configs:
            config._attn_implementation = NAME
        yield
    finally:
        _looks.pop()
        for config, name in zip(configs, before, strict=True):
            config._attn_implementation = name


class Stored:
    """The keys and values of tokens that came before, layer by layer."""

    def __init__(self) -> None:
        self.length = 0
        self._layers: dict[int, Layer] = {}

    def layer(self, number: int) -> Layer:
        """Of a layer."""
        key, value = self._layers[number]
        return key[:, :, : self.length], value[:, :, : self.length]

    def add(self, kept: dict[int, Layer]) -> None:
        """More tokens, after those that are there."""
        count = next(iter(kept.values()))[0].shape[2]
        for number, (key, value) in kept.items():
            keys, values = self._layers.get(number, (None, None))
            self._layers[number] = (self._with(keys, key), self._with(values, value))
        self.length += count

    def cut(self, length: int) -> None:
        """Forget all but the first `length` tokens."""
        self.length = length

    def copy(self) -> Stored:
        """The same, to be kept for longer."""
        same = Stored()
        same.length = self.length
        same._layers = {n: (self.layer(n)[0].clone(), self.layer(n)[1].clone()) for n in self._layers}
        return same

    def _with(self, old: Tensor, new: Tensor) -> Tensor:
        wanted = self.length + new.shape[2]
        if old is None or old.shape[2] < wanted:
            room = new.new_empty((*new.shape[:2], max(wanted, 2 * self.length), new.shape[3]))
            if old is not None:
                room[:, :, : self.length] = old[:, :, : self.length]
            old = room
        old[:, :, self.length : wanted] = new
        return old


class PackLook:
    """A pack's tokens see what is stored, and what of their unit they descend from."""

    def __init__(self, pack: Pack, stored: Stored, keep: bool) -> None:
        self.pack, self.stored = pack, stored
        self.keep = keep
        self.kept: dict[int, Layer] = {}
        """The keys and values of the pack's own tokens, where they are asked for."""
        self.width = int(pack.sizes.max())
        self._layout: dict[Any, tuple[Tensor, Tensor]] = {}

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """As `Look.attend`."""
        if self.keep:
            self.kept[layer] = (key, value)
        own = self._own(query, key, value, scale)
        if not self.stored.length:
            return own[0]
        return merged(attend(query, *self.stored.layer(layer), scale), own)

    def _own(self, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Part:
        """Attention within each unit: units as rows, filled up on the right."""
        place, mask = self._on(query.device, query.dtype)
        units = len(self.pack.sizes)

        def rows(x: Tensor) -> Tensor:
            wide = x.new_zeros((units * self.width, x.shape[1], x.shape[3]))  # not empty: 0 times what is not a number
            wide[place] = x[0].transpose(0, 1)
            return wide.view(units, self.width, x.shape[1], x.shape[3]).transpose(1, 2)

        if units == 1:
            return attend(query, key, value, scale, mask is None, mask)
        result, weight = attend(rows(query), rows(key), rows(value), scale, mask is None, mask)
        flat = result.transpose(1, 2).flatten(0, 1)[place]
        return flat.transpose(0, 1)[None], weight.transpose(1, 2).flatten(0, 1)[place].T[None]

    def _on(self, device: Any, dtype: Any) -> tuple[Tensor, Tensor]:
        """Where each token is among the rows, and what is added to the scores: nothing where no unit branches."""
        if device not in self._layout:
            sizes = self.pack.sizes
            columns = np.concatenate([np.arange(size) for size in sizes])
            place = torch.as_tensor(np.repeat(np.arange(len(sizes)) * self.width, sizes) + columns, device=device)
            mask = None
            if self.pack.branches:
                ends = torch.zeros(len(sizes) * self.width, dtype=torch.long, device=device)
                ends[place] = torch.as_tensor(self.pack.ends, device=device)
                at = torch.arange(self.width, device=device)
                seen = (at[:, None] >= at) & (at[:, None] < ends.view(-1, 1, self.width)) | (at[:, None] == at)
                mask = torch.zeros(seen.shape, dtype=dtype, device=device).masked_fill(~seen, float("-inf"))[:, None]
            self._layout[device] = (place, mask)
        return self._layout[device]
