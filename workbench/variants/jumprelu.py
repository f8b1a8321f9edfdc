"""JumpReLU SAE: a learned threshold for each latent, trained through straight-through estimates."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from synthetic.base.errors import must
from workbench.parts.sparsifiers import jump, step
from workbench.sae import SAE, Pass, register, squared_error


@register("jumprelu", core=True)
class JumpReLU(SAE):
    """f = pre 1[pre > threshold]; loss = |x - x_hat|^2 + l0 |f|_0, gradients of the step by a rectangle kernel.

    With `target_l0` the weight is l0 exp(c), and every step c grows by gain tanh(3 (L0 / target - 1)), L0 being what
    the present trend leads to within 1/gain steps: c would otherwise run away before the thresholds follow.

    Source: Rajamanoharan et al. (2024), arXiv 2407.14435; the controller after SynthSAEBench's, arXiv 2602.14687.
    Differs: the threshold itself is trained, not its log; the controller looks ahead, theirs rests while L0 nears the
    target.
    """

    @dataclass(frozen=True)
    class Settings:
        """Hyperparameters; lengths are in units where E|x|^2 = d."""

        l0: float = 1.0
        """weight of |f|_0"""
        bandwidth: float = 0.5
        """width of the estimator's kernel"""
        start: float = 0.5
        """initial threshold"""
        through: bool = False
        """send the estimate to the encoder as well (Anthropic's choice)"""
        target_l0: float = 0.0
        """mean active latents a sample that the weight is steered to; 0 leaves the weight alone"""
        gain: float = 3e-4
        """largest change of the log-weight in a step"""

    penalties = ("l0",)
    architecture = "jumprelu"
    latent_scale = ("W_enc", "b_enc", "threshold")
    surrogate = ("threshold",)
    l0: Tensor
    bandwidth: Tensor
    start: Tensor
    through: bool
    target_l0: Tensor
    gain: Tensor
    control: Tensor | None

    def setup(self) -> None:
        """Check settings, add thresholds and the controller's state."""
        must(bool((self.bandwidth > 0).all()), "JumpReLU.bandwidth", "above 0", self.settings["bandwidth"], "raise it")
        for name in ("start", "target_l0", "gain"):
            good = bool((getattr(self, name) >= 0).all())
            must(good, f"JumpReLU.{name}", "at least 0", self.settings[name], "raise it")
        self.threshold = nn.Parameter(self.start[..., None].expand(*self.shape, self.m).clone())
        steered, given = bool((self.target_l0 > 0).any()), self.settings["target_l0"]
        whole = not steered or bool((self.target_l0 > 0).all())
        must(whole, "JumpReLU.target_l0", "above 0 for all members or for none", given, "make two stacks")
        self.register_buffer("control", torch.zeros(*self.shape, 3) if steered else None)

    def activate(self, pre: Tensor) -> Tensor:
        """Open each gate above its threshold."""
        return jump(pre, self.threshold, self.bandwidth, through=self.through)

    def loss(self, x: Tensor, out: Pass) -> dict[str, Tensor]:
        """Squared error and L0."""
        active = step(out.pre, self.threshold, self.bandwidth, through=self.through).sum(-1).mean(-1)
        weight = self.l0 if self.control is None else self.l0 * self.control[..., 0].exp()
        return {"mse": squared_error(x, out.x_hat), "l0": weight * active}

    def after_step(self, out: Pass) -> None:
        """Keep thresholds nonnegative: below 0 the gate would pass negative values. Steer the weight of L0."""
        self.threshold.clamp_(min=0.0)
        if self.control is not None:
            active = (out.dense() != 0).sum(-1).to(self.control.dtype).mean(-1)
            self.control.copy_(steer(self.control, active, self.target_l0, self.gain))


def steer(control: Tensor, active: Tensor, target: Tensor, gain: Tensor) -> Tensor:
    """The controller's next state: log-weight, smoothed L0, its smoothed change a step; (*s, 3)."""
    log_weight, seen, drift = control.unbind(-1)
    first = seen == 0
    now = torch.where(first, active, seen.lerp(active, 0.01))
    drift = torch.where(first, 0.0, drift.lerp(now - seen, 0.01))
    error = (now + drift / gain.clamp_min(1e-9)) / target.clamp_min(1e-9) - 1
    log_weight = (log_weight + gain * (3 * error).tanh()).clamp(-4.6, 4.6)
    return torch.where((target > 0)[..., None], torch.stack((log_weight, now, drift), -1), control)
