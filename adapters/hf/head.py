"""Log-probabilities of next tokens, from hidden states: only of those that are asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from adapters.hf.engine import Engine
from adapters.hf.packs import Targets

LOGITS = 2**24
"""Computed at once: 64 MiB in single precision."""


def read(engine: Engine, states: Any, targets: Targets) -> None:
    """Fill in all that is asked of these states (tokens, width).

    Each state that something is asked of is projected once, so many at a time that their logits stay small.
    """
    if not targets.places:
        return
    places = np.concatenate(targets.places)
    order = np.argsort(places, kind="stable")
    unique, counts = np.unique(places, return_counts=True)
    tokens = torch.as_tensor(np.concatenate(targets.tokens)[order], dtype=torch.long, device=engine.device)
    ends = np.concatenate([[0], np.cumsum(counts)])
    step = max(1, LOGITS // engine.vocabulary)
    values, hits = [], []
    for start in range(0, len(unique), step):
        rows = torch.as_tensor(unique[start : start + step], device=states.device)
        logits = engine.head(states[rows]).float()
        wanted = tokens[ends[start] : ends[min(start + step, len(unique))]].to(logits.device)
        own = torch.as_tensor(np.repeat(np.arange(len(rows)), counts[start : start + step]), device=logits.device)
        best = logits.amax(-1)
        said = logits[own, wanted] - best[own]
        hits.append(_likeliest(logits, own, wanted, said == 0))
        total = logits.sub_(best[:, None]).exp_().sum(-1).log_()  # in place: they are as large as all else together
        values.append((said - total[own]).double())
    back = np.argsort(order, kind="stable")
    targets.fill(torch.cat(values).cpu().numpy()[back], torch.cat(hits).cpu().numpy()[back])


def _likeliest(logits: Any, own: Any, wanted: Any, largest: Any) -> Any:
    """Whether each wanted token is the one that would be written: of several that are largest, the first."""
    hits = largest.clone()
    hits[largest] = logits[own[largest]].argmax(-1) == wanted[largest]  # looked up only where it can be: it is slow
    return hits
