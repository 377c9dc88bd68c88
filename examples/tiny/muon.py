"""The optimiser Muon in float32: torch's own works in bfloat16, which most CPUs are slow at (here 15 times)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import torch


def orthogonal(matrices: torch.Tensor, steps: int = 5) -> torch.Tensor:
    """A stack of matrices with their singular values brought near 1, by the quintic Newton-Schulz iteration of
    https://kellerjordan.github.io/posts/muon/."""
    tall = matrices.size(-2) > matrices.size(-1)
    x = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Momentum made orthogonal, matrices of one shape at once; steps are as large as AdamW's would be (root mean square
    0.2, https://arxiv.org/abs/2502.16982)."""

    def __init__(
        self, params: Iterable[torch.Tensor], lr: float, weight_decay: float = 0.05, momentum: float = 0.95
    ) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update of all matrices."""
        for group in self.param_groups:
            shapes: dict[torch.Size, list[torch.Tensor]] = defaultdict(list)
            for p in group["params"]:
                shapes[p.shape].append(p)
            for shape, same in shapes.items():
                updates = orthogonal(torch.stack([self._nesterov(p, group["momentum"]) for p in same]))
                size = group["lr"] * 0.2 * max(shape) ** 0.5
                for p, update in zip(same, updates, strict=True):
                    p.mul_(1 - group["lr"] * group["weight_decay"]).add_(update, alpha=-size)

    def _nesterov(self, p: torch.Tensor, momentum: float) -> torch.Tensor:
        held = self.state[p].setdefault("momentum", torch.zeros_like(p))
        held.lerp_(p.grad, 1 - momentum)
        return p.grad.lerp(held, momentum)
