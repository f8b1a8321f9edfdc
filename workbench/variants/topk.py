"""TopK SAE: exactly the k largest pre-activations of a sample survive."""

from dataclasses import dataclass

from torch import Tensor

from synthetic.base.errors import must
from synthetic.source import Codes
from workbench import kernels
from workbench.parts.sparsifiers import top_k
from workbench.sae import SAE, Latents, register


@register("topk", core=True)
class TopK(SAE):
    """f = the k largest entries of relu((x - b_dec) W_enc + b_enc), k per sample; loss = |x - x_hat|^2.

    Source: Makhzani and Frey (2013); Gao et al. (2024), arXiv 2406.04093. AuxK is an option of the training loop.
    """

    @dataclass(frozen=True)
    class Settings:
        """Hyperparameters."""

        k: int = 4
        """active latents a sample"""

    architecture = "topk"
    selects = True
    latent_scale = ("W_enc", "b_enc")
    compares_latents = True
    k: Tensor

    def setup(self) -> None:
        """Check k."""
        good = bool(((self.k >= 1) & (self.k <= self.m)).all())
        must(good, "TopK.k", f"in [1, m={self.m}]", self.settings["k"], "lower k or raise m")

    def select(self, seen: Tensor) -> tuple[Tensor, Codes]:
        """Product and search in one call, where all members keep the same number."""
        if bool((self.k != self.k.view(-1)[0]).any()):
            return super().select(seen)
        return kernels.encode_top_k(seen - self.b_dec[..., None, :], self.W_enc, self.b_enc, int(self.k.view(-1)[0]))

    def activate(self, pre: Tensor) -> Latents:
        """Keep the k largest."""
        return top_k(pre, self.k.long())
