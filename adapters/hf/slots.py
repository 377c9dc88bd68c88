"""Texts that are being written side by side: keys and values of each in a slot, after beginnings that they share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from adapters.hf.attention import Layer, Stored
from adapters.hf.kernels import Part, Tensor, attend, merged


class Slots:
    """Keys and values of texts, one a slot; the taken slots are the first ones."""

    def __init__(self) -> None:
        self.lengths: list[int] = []
        """Tokens in each taken slot."""
        self.bases: list[Stored] = []
        """What each text begins with: not in its slot."""
        self._layers: dict[int, Layer] = {}
        """Of all slots: (slots, heads, tokens, width)."""
        self._count = self._length = 0

    def reserve(self, count: int, length: int) -> None:
        """Have room for so many texts of so many tokens."""
        self._count, self._length = max(count, self._count), max(length, self._length)

    def take(self, base: Stored, kept: dict[int, Layer], path: Sequence[int]) -> None:
        """The next slot, for a text of a beginning and tokens at these places of a pack."""
        slot = len(self.lengths)
        self.lengths.append(len(path))
        self.bases.append(base)
        for number, (key, value) in kept.items():
            where = torch.as_tensor(path, dtype=torch.long, device=key.device)
            mine = self.layer(number, (key, value))
            for all_, new in zip(mine, (key, value), strict=True):
                all_[slot, :, : len(path)] = new[0][:, where]

    def leave(self, slot: int) -> None:
        """The text of a slot is done: the last one gets its place."""
        last = len(self.lengths) - 1
        if slot < last:
            for layer in self._layers.values():
                for all_ in layer:
                    all_[slot, :, : self.lengths[last]] = all_[last, :, : self.lengths[last]]
            self.lengths[slot], self.bases[slot] = self.lengths[last], self.bases[last]
        self.lengths.pop()
        self.bases.pop()

    def places(self) -> list[int]:
        """Where in its text the next token of each slot stands."""
        return [base.length + length for base, length in zip(self.bases, self.lengths, strict=True)]

    def step(self) -> None:
        """One more token is in each slot."""
        self.lengths = [length + 1 for length in self.lengths]

    def layer(self, number: int, new: Layer) -> Layer:
        """Keys and values of a layer, such as the new ones, with all the room that was reserved."""
        old = self._layers.get(number)
        if old is None or old[0].shape[0] < self._count or old[0].shape[2] < self._length:
            key, value = ((self._larger(old and old[i], new[i])) for i in (0, 1))
            self._layers[number] = (key, value)
        return self._layers[number]

    def _larger(self, old: Tensor, new: Tensor) -> Tensor:
        """Zeros, as what is not yet written is multiplied by 0, after what there is."""
        larger = new.new_zeros(self._count, new.shape[1], self._length, new.shape[3])
        if old is not None:
            larger[: old.shape[0], :, : old.shape[2]] = old
        return larger


class SlotLook:
    """The next token of each text sees what it begins with, and what is in its slot."""

    def __init__(self, slots: Slots) -> None:
        self.slots = slots
        groups: dict[int, list[int]] = {}
        for slot, base in enumerate(slots.bases):
            if base.length:
                groups.setdefault(id(base), []).append(slot)
        self.groups = list(groups.values())
        self.width = max(slots.lengths) + 1
        self._layout: dict[Any, tuple[Tensor, Tensor, Tensor]] = {}

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """As `Look.attend`: as many tokens as slots are taken."""
        count, width = query.shape[2], self.width
        keys, values = self.slots.layer(layer, (key, value))
        rows, lengths, mask = self._on(query.device, query.dtype)
        keys[rows, :, lengths] = key[0].transpose(0, 1)
        values[rows, :, lengths] = value[0].transpose(0, 1)
        result, weight = attend(
            query[0].transpose(0, 1)[:, :, None], keys[:count, :, :width], values[:count, :, :width], scale, mask=mask
        )
        own = (result[:, :, 0].transpose(0, 1)[None], weight[:, :, 0].T[None])
        return merged(self._bases(layer, query, own, scale), own) if self.groups else own[0]

    def _bases(self, layer: int, query: Tensor, own: Part, scale: float) -> Part:
        """Attention to the beginnings: those that share one together."""
        if len(self.groups) == 1 and len(self.groups[0]) == query.shape[2]:
            return attend(query, *self.slots.bases[0].layer(layer), scale)
        result, weight = torch.zeros_like(own[0]), torch.full_like(own[1], float("-inf"))
        for group in self.groups:
            index = torch.as_tensor(group, device=query.device)
            result[:, :, index], weight[:, :, index] = attend(
                query[:, :, index], *self.slots.bases[group[0]].layer(layer), scale
            )
        return result, weight

    def _on(self, device: Any, dtype: Any) -> tuple[Tensor, Tensor, Tensor]:
        """The slots, their lengths, and what is added to the scores: only what is in a slot counts."""
        if device not in self._layout:
            lengths = torch.as_tensor(self.slots.lengths, device=device)
            seen = torch.arange(self.width, device=device) <= lengths[:, None]
            mask = torch.zeros(seen.shape, dtype=dtype, device=device).masked_fill(~seen, float("-inf"))
            self._layout[device] = (torch.arange(len(lengths), device=device), lengths, mask[:, None, None])
        return self._layout[device]
