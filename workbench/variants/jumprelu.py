"""JumpReLU SAE: a learned threshold for each latent, trained through straight-through estimates."""

from dataclasses import dataclass

from torch import Tensor, nn

from synthetic.errors import must
from workbench.sae import SAE, Pass, register, squared_error
from workbench.sparsifiers import jump, step


@register("jumprelu", core=True)
class JumpReLU(SAE):
    """f = pre 1[pre > threshold]; loss = |x - x_hat|^2 + l0 |f|_0, gradients of the step by a rectangle kernel.

    Source: Rajamanoharan et al. (2024), arXiv 2407.14435. Differs: the threshold itself is trained, not its log.
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

    penalties = ("l0",)
    architecture = "jumprelu"
    surrogate = ("threshold",)
    l0: Tensor
    bandwidth: Tensor
    start: Tensor
    through: bool

    def setup(self) -> None:
        """Check settings, add thresholds."""
        must(bool((self.bandwidth > 0).all()), "JumpReLU.bandwidth", "above 0", self.settings["bandwidth"], "raise it")
        must(bool((self.start >= 0).all()), "JumpReLU.start", "at least 0", self.settings["start"], "raise it")
        self.threshold = nn.Parameter(self.start[..., None].expand(*self.shape, self.m).clone())

    def activate(self, pre: Tensor) -> Tensor:
        """Open each gate above its threshold."""
        return jump(pre, self.threshold, self.bandwidth, through=self.through)

    def loss(self, x: Tensor, out: Pass) -> dict[str, Tensor]:
        """Squared error and L0."""
        active = step(out.pre, self.threshold, self.bandwidth, through=self.through).sum(-1).mean(-1)
        return {"mse": squared_error(x, out.x_hat), "l0": self.l0 * active}

    def after_step(self, out: Pass) -> None:
        """Keep thresholds nonnegative: below 0 the gate would pass negative values."""
        self.threshold.clamp_(min=0.0)
