"""ReLU SAE with an L1 penalty."""

from dataclasses import dataclass

from torch import Tensor

from workbench.sae import SAE, Pass, register, squared_error


@register("relu", core=True)
class ReLU(SAE):
    """f = relu((x - b_dec) W_enc + b_enc); loss = |x - x_hat|^2 + l1 |f|_1, unit decoder rows.

    Source: Bricken et al. (2023), Towards Monosemanticity; Cunningham et al. (2023), arXiv 2309.08600.
    """

    @dataclass(frozen=True)
    class Settings:
        """Hyperparameters."""

        l1: float = 2.0
        """weight of |f|_1, in units where E|x|^2 = d"""

    penalties = ("l1",)
    architecture = "standard"
    latent_scale = ("W_enc", "b_enc")
    l1: Tensor

    def activate(self, pre: Tensor) -> Tensor:
        """Rectify."""
        return pre.relu()

    def loss(self, x: Tensor, out: Pass) -> dict[str, Tensor]:
        """Squared error and L1."""
        return {"mse": squared_error(x, out.x_hat), "l1": self.l1 * out.dense().sum(-1).mean(-1)}
