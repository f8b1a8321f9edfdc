"""p-annealing SAE: ReLU latents under |f|_p^p, p falling from 1 to .1 in training."""

from dataclasses import dataclass

from torch import Tensor

from workbench.parts.annealed_power import AnnealedPower
from workbench.sae import SAE, Pass, register, squared_error


@register("p_annealing")
class PAnnealing(SAE):
    """f = relu((x - b_dec) W_enc + b_enc); loss = |x - x_hat|^2 + weight |f|_p^p, unit decoder rows.

    At p = 1 this is the ReLU SAE; as p falls large latents are shrunk less and small ones are driven to 0.

    Source: Karvonen et al. (2024), arXiv 2408.00113. Differs: start and pace are settings, in place of steps 15,000 on.
    """

    @dataclass(frozen=True)
    class Settings:
        """Hyperparameters."""

        l1: float = 2.0
        """weight of the penalty while p = 1, in units where E|x|^2 = d"""
        start: int = 1000
        """training step at which p first falls"""
        every: int = 200
        """steps between its nine changes"""

    penalties = ("power",)
    architecture = "standard"
    latent_scale = ("W_enc", "b_enc")
    l1: Tensor
    start: Tensor
    every: Tensor

    def setup(self) -> None:
        """Add the penalty and its state."""
        self.penalty = AnnealedPower(self.l1, self.start, self.every, "PAnnealing")

    def activate(self, pre: Tensor) -> Tensor:
        """Rectify."""
        return pre.relu()

    def loss(self, x: Tensor, out: Pass) -> dict[str, Tensor]:
        """Squared error and the power."""
        return {"mse": squared_error(x, out.x_hat), "power": self.penalty(out.dense())}

    def after_step(self, out: Pass) -> None:
        """Anneal."""
        self.penalty.advance(out.dense())
