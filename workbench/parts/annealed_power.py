"""The penalty sum_i |f_i|^p with p annealed from 1 towards 0 at a steady strength."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from synthetic.base.errors import must

EPS = 1e-8
"""added to |f|, so that the slope at small latents is finite"""
CHANGES = 10
"""values of p: 1, .9, ..., .1"""
RECENT = 10
"""batches over which old and new penalty are compared"""


def power_sum(f: Float[Tensor, "*s n m"], p: Float[Tensor, "*s"]) -> Float[Tensor, "*s"]:
    """sum_i (|f_i| + 1e-8)^p over the latents that are not 0, mean over rows; 0^p is 0, and has no slope."""
    powers = torch.where(f == 0, 0.0, (f.abs() + EPS) ** p[..., None, None])
    return powers.sum(-1).mean(-1)


class AnnealedPower(nn.Module):
    """weight * |f|_p^p: p = 1 until step `start`, then a tenth less every `every` steps, down to .1.

    At each change the weight is multiplied by mean |f|_p^p (old p) / mean |f|_p^p (new p) over the last ten batches, so
    that the penalty goes on at the size it had. p, weight and the last batches are buffers: they are saved and resumed.

    Source: Karvonen et al. (2024), arXiv 2408.00113, p-annealing; values of p as in their public code.
    """

    start: Tensor
    every: Tensor
    p: Tensor
    weight: Tensor
    step: Tensor
    recent: Tensor

    def __init__(self, weight: Float[Tensor, "*s"], start: Tensor, every: Tensor, owner: str) -> None:
        super().__init__()
        rules = (
            ("l1", "at least 0", weight >= 0, weight),
            ("start", f"at least {RECENT}", start >= RECENT, start),
            ("every", f"at least {RECENT}", every >= RECENT, every),
        )
        for name, rule, good, value in rules:
            must(bool(good.all()), f"{owner}.{name}", rule, value.tolist(), "change it")
        self.register_buffer("start", start.clone(), False)
        self.register_buffer("every", every.clone(), False)
        self.register_buffer("p", torch.ones_like(weight))
        self.register_buffer("weight", weight.clone())
        self.register_buffer("step", torch.zeros_like(weight))
        self.register_buffer("recent", torch.ones(*weight.shape, RECENT, 2))

    def forward(self, f: Float[Tensor, "*s n m"]) -> Float[Tensor, "*s"]:
        """The penalty, mean over rows."""
        return self.weight * power_sum(f, self.p)

    @torch.no_grad()
    def advance(self, f: Float[Tensor, "*s n m"]) -> None:
        """Take note of a training step's latents; lower p where it is time."""
        lower = self.p - 1 / CHANGES
        place = int(self.step.reshape(-1)[0]) % RECENT
        self.recent[..., place, 0] = power_sum(f, self.p)
        self.recent[..., place, 1] = power_sum(f, lower)
        self.step += 1
        since = self.step - self.start
        due = (since >= 0) & (since % self.every == 0) & (since // self.every < CHANGES - 1)
        old, new = self.recent.mean(-2).unbind(-1)
        self.weight.copy_(torch.where(due & (new > 0), self.weight * old / new.clamp_min(1e-30), self.weight))
        self.p.copy_(torch.where(due, lower, self.p))
