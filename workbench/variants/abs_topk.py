"""AbsTopK SAE: the k pre-activations of largest magnitude survive, signs kept: one latent holds an axis."""

from dataclasses import dataclass

from torch import Tensor

from synthetic.base.errors import must
from workbench.parts.sparsifiers import abs_top_k
from workbench.sae import SAE, Latents, register


@register("abs_topk")
class AbsTopK(SAE):
    """f = the k entries of largest magnitude of (x - b_dec) W_enc + b_enc, signs kept; loss = |x - x_hat|^2.

    It is the proximal map of "at most k nonzeros" (claim AT-1). Flipping a column of W_enc, its b_enc and
    its row of W_dec flips that latent and leaves x_hat: signs of rows mean nothing, and "fires" is f != 0. With both
    biases 0, x_hat(-x) = -x_hat(x). Exactly k latents fire, where TopK's may be fewer.

    Source: Zhu, Khalili, Zhu (2025), arXiv 2510.00404. Differs: decoder rows are renormalised after each step, where
    the reference chooses by |f| times the row's norm.
    """

    @dataclass(frozen=True)
    class Settings:
        """Hyperparameters."""

        k: int = 4
        """active latents a sample"""

    architecture = "abstopk"
    selects = True
    latent_scale = ("W_enc", "b_enc")
    compares_latents = True
    nonnegative = False
    k: Tensor

    def setup(self) -> None:
        """Check k."""
        good = bool(((self.k >= 1) & (self.k <= self.m)).all())
        must(good, "AbsTopK.k", f"in [1, m={self.m}]", self.settings["k"], "lower k or raise m")

    def activate(self, pre: Tensor) -> Latents:
        """Keep the k largest magnitudes."""
        return abs_top_k(pre, self.k.long())
