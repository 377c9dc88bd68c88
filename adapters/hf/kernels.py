"""Attention that also tells how much weight it had in all, so that it can be computed in parts.

Of two sets of keys, each attended to alone, the whole is the mean of the two results weighted by the sums of their
exponentiated scores: the merging of FlashAttention (https://arxiv.org/abs/2205.14135) and, for beginnings that are
shared, of Hydragen (https://arxiv.org/abs/2402.05099).
"""

from __future__ import annotations

from typing import Any

import torch

Tensor = Any
Part = tuple[Tensor, Tensor]
"""What attention gives (rows, heads, queries, width), and the logarithm of its weight (rows, heads, queries)."""


def attend(query: Tensor, key: Tensor, value: Tensor, scale: float, causal: bool = False, mask: Tensor = None) -> Part:
    """Attention of each query to the keys that the mask, added to the scores, leaves it.

    Keys may have fewer heads than queries, each then used by several of these in turn.
    """
    group = query.shape[1] // key.shape[1]
    if group > 1 and not causal and (mask is None or query.shape[2] == 1):
        return _grouped(query, key, value, scale, mask)
    if group > 1:
        key, value = key.repeat_interleave(group, 1), value.repeat_interleave(group, 1)
    if query.device.type == "cpu":
        found: Part = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            query, key, value, 0.0, causal, attn_mask=mask, scale=scale
        )
        return found
    if query.device.type == "cuda" and mask is None and query.dtype != torch.float32:
        result, weight, *_ = torch.ops.aten._scaled_dot_product_flash_attention(
            query, key, value, 0.0, causal, False, scale=scale
        )
        return result, weight
    return _by_hand(query, key, value, scale, causal, mask)


def merged(one: Part, other: Part) -> Tensor:
    """Attention to two sets of keys together."""
    share = torch.sigmoid(one[1].float() - other[1].float())[..., None]
    return torch.lerp(other[0].float(), one[0].float(), share).to(one[0].dtype)


def _grouped(query: Tensor, key: Tensor, value: Tensor, scale: float, mask: Tensor) -> Part:
    """The heads that use the same keys as one head with more queries: nothing is copied."""
    rows, heads, length, width = query.shape
    folded = query.reshape(rows, key.shape[1], -1, width)
    result, weight = attend(folded, key, value, scale, mask=mask)
    return result.reshape(rows, heads, length, -1), weight.reshape(rows, heads, length)


def _by_hand(query: Tensor, key: Tensor, value: Tensor, scale: float, causal: bool, mask: Tensor) -> Part:
    """In single precision, for devices whose kernels do not tell the weight or take no mask."""
    scores = (query @ key.transpose(-1, -2)).float() * scale
    if causal:
        scores = scores + torch.full_like(scores[0, 0], float("-inf")).triu(1)
    if mask is not None:
        scores = scores + mask
    weight = scores.logsumexp(-1)
    return (scores - weight[..., None]).exp().to(value.dtype) @ value, weight
