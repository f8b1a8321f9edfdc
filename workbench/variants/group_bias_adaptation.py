"""Group bias adaptation: no sparsity term; encoder biases are steered until latents fire rarely enough."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from synthetic.base.errors import must
from workbench.parts import bias_control
from workbench.parts.bias_control import group_mean, positive
from workbench.sae import SAE, Pass, register


@register("group_bias_adaptation")
class GroupBiasAdaptation(SAE):
    """f_j = a_j phi(y_j), y = (x - b_dec) W^T + b_enc; x_hat = f W + b_dec; a controller alone moves b_enc.

    phi(y) = y - b_enc where y > 0 ("jump": no shrinkage) or relu(y). Latents come in K groups of ceilings p_k on their
    firing rate. Over a buffer of rows q_j = P(y_j > 0), r_j = max(0, max y_j), r_k the mean positive r_j of a group:

        q_j > p_k: b_j falls by down r_j, to no less than -clamp |x|
        q_j < eps: b_j rises by up r_k, to no more than 0

    and between eps and the ceiling nothing happens. K = 1 is bias adaptation (BA).

    Source: Chen et al. (2025), arXiv 2506.14002, algorithms 1 and 2. Differs: rows of W start at norm 1.
    """

    @dataclass(frozen=True)
    class Settings:
        """Hyperparameters."""

        groups: int = 3
        """K"""
        high: float = 0.1
        """ceiling of the first group's firing rates (HTF)"""
        low: float = 0.02
        """ceiling of the last group's (LTF); of the only group where K = 1"""
        down: float = 0.03
        """share of its largest pre-activation by which a bias falls"""
        up: float = 0.03
        """share of its group's by which a bias rises"""
        period: int = 10
        """least training steps between two adaptations"""
        buffer: int = 0
        """least rows between two adaptations"""
        eps: float = 1e-6
        """latents that fire less are raised"""
        clamp: float = 1.0
        """largest -b_enc, as a multiple of the root mean square of the adapting batch's |x|"""
        output: Literal["jump", "relu"] = "jump"
        """what a firing latent passes on"""
        control: Literal["ceiling", "set-point"] = "ceiling"
        """set-point: biases rise wherever q_j < p_k"""
        tied: bool = True
        """encoder = transposed decoder"""
        trained_scale: bool = True
        """train a; else a = 1"""

    unit_decoder = False
    nonnegative = False

    def setup(self) -> None:
        """Check settings; b_enc becomes a buffer, and W_enc is W_dec transposed where tied."""
        rules = [(name, "at least 0", getattr(self, name) >= 0) for name in ("down", "up", "buffer", "eps")]
        rules += [
            (name, "in (0, 1]", (getattr(self, name) > 0) & (getattr(self, name) <= 1)) for name in ("high", "low")
        ]
        rules += [("groups", f"in [1, m={self.m}]", (self.groups >= 1) & (self.groups <= self.m))]
        rules += [("period", "at least 1", self.period >= 1), ("clamp", "above 0", self.clamp > 0)]
        falling = (self.groups == 1) | (self.low <= self.high)
        rules += [("low", "at most high where there are groups", falling)]
        for name, rule, good in rules:
            must(bool(good.all()), f"GroupBiasAdaptation.{name}", rule, self.settings[name], "change it")
        del self.b_enc
        if self.tied:
            del self.W_enc
        if self.trained_scale:
            self.a = nn.Parameter(torch.ones(*self.shape, self.m))
        for name in ("b_enc", "fires", "peak"):
            self.register_buffer(name, torch.zeros(*self.shape, self.m))
        self.register_buffer("seen", torch.zeros(*self.shape, 2))  # rows and steps since the last adaptation
        targets, group = bias_control.ceilings(self.m, self.groups, self.high, self.low)
        self.register_buffer("targets", targets, persistent=False)
        self.register_buffer("group", group, persistent=False)

    def activate(self, pre: Tensor) -> Tensor:
        """Gate by y > 0, pass on <w, x - b_dec> or y, times a."""
        f = (pre - self.b_enc[..., None, :]) * positive(pre) if self.output == "jump" else pre.relu()
        return f * self.a[..., None, :] if self.trained_scale else f

    def after_step(self, out: Pass) -> None:
        """Count the step's firings, of the weights and biases before it; adapt where enough is seen."""
        self.fires += positive(out.pre).sum(-2)
        self.peak.copy_(torch.maximum(self.peak, out.pre.amax(-2)))
        self.seen[..., 0] += out.pre.shape[-2]
        self.seen[..., 1] += 1
        rows, steps = self.seen.unbind(-1)
        due = ((steps >= self.period) & (rows >= self.buffer))[..., None]
        if not bool(due.any()):
            return
        floor = self.targets if self.control == "set-point" else self.eps[..., None]
        raised = self.up[..., None] * group_mean(self.peak, self.group, int(self.groups.max()))
        lowest = -self.clamp[..., None] * out.x.square().sum(-1).mean(-1, keepdim=True).sqrt()
        rate, fallen = self.fires / rows[..., None], self.down[..., None] * self.peak
        b_enc = bias_control.adapted(self.b_enc, rate, self.targets, floor, fallen, raised, lowest)
        self.b_enc.copy_(torch.where(due, b_enc, self.b_enc))
        for kept in (self.fires, self.peak, self.seen):
            kept.masked_fill_(due, 0.0)
