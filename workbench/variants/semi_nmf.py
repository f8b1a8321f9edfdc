"""Semi-NMF as a dictionary: nonnegative codes by optimisation in place of an encoder, rows learned from batches."""

from dataclasses import dataclass

import torch
from torch import Tensor

from synthetic.base.errors import must
from workbench import kernels
from workbench.parts.semi_nmf import Factors, best_codes, winner_take_all
from workbench.ratios import unit_rows
from workbench.sae import SAE, Pass, register, squared_error


@register("semi_nmf")
class SemiNmf(SAE):
    """f = argmin_{f >= 0} |x - f W|^2 + l1 |f|_1, x_hat = f W; no bias, unit rows w. W_dec alone is learned.

    The gradient of that minimum in W is the gradient at fixed optimal codes (Danskin), so that steps on batches are
    online semi-NMF. `share` keeps the largest entries of each row after each step, as `parts.semi_nmf.fit` does.

    With l1 = 0, semi-NMF as published, nothing prefers sparse codes, nor any rows over (f M, M^-1 W), M >= 0: a fit
    that says nothing of the rows, with codes that at m > d are not unique and slow to find. Hence the default.

    Source: Ding, Li, Jordan (2010); Shafran, Geiger, Geva (2025), arXiv 2506.10920. Differs: batches, exact codes, l1.
    """

    @dataclass(frozen=True)
    class Settings:
        """Hyperparameters."""

        share: float = 0.0
        """of each row's entries that are kept after a step; 0 for all"""
        l1: float = 0.3
        """weight of |f|_1, in units where E|x|^2 = d; 0 for none"""
        iterations: int = 1000
        """steps of projected gradient behind the codes, at most"""

    frozen = ("b_dec",)
    share: Tensor
    l1: Tensor
    iterations: Tensor

    def setup(self) -> None:
        """Check settings; W_enc is W_dec transposed, there is no b_enc."""
        rules = (
            ("share", "in [0, 1]", (self.share >= 0) & (self.share <= 1)),
            ("l1", "at least 0", self.l1 >= 0),
            ("iterations", "at least 1", self.iterations >= 1),
        )
        for name, rule, good in rules:
            must(bool(good.all()), f"SemiNmf.{name}", rule, self.settings[name], "change it")
        self.latent_scale = None if bool((self.l1 > 0).any()) else ()  # a fixed weight of |f|_1 would act otherwise
        del self.b_enc
        del self.W_enc

    @classmethod
    def of(cls, factors: Factors) -> "SemiNmf":
        """The dictionary with the rows of a fit, at norm 1, and plain least-squares codes."""
        rows = factors.rows.float()
        sae = cls(rows.shape[1], len(rows), l1=0.0)
        with torch.no_grad():
            sae.W_dec.copy_(unit_rows(rows))
        sae.fresh = False
        return sae.eval()

    def pre(self, x: Tensor) -> Tensor:
        """The products x W^T: codes depend on x through them alone."""
        return self.project(x)

    def activate(self, pre: Tensor) -> Tensor:
        """The optimal codes, without gradient."""
        kernels.must_be_plain("SemiNmf.activate")
        return best_codes(pre.detach(), self.W_dec.detach(), l1=self.l1 / 2, iterations=self.iterations)

    def loss(self, x: Tensor, out: Pass) -> dict[str, Tensor]:
        """Squared error, and the part of the minimum that has no gradient in W."""
        return {"mse": squared_error(x, out.x_hat), "l1": self.l1 * out.dense().sum(-1).mean(-1)}

    def after_step(self, out: Pass) -> None:
        """The largest entries of each row, at norm 1 again unless rows have norms of their own."""
        if "W_dec" not in self.frozen and bool((self.share > 0).any()):
            kept = winner_take_all(self.W_dec, torch.where(self.share > 0, self.share, 1.0))
            self.W_dec.copy_(kept / kept.norm(dim=-1, keepdim=True).clamp_min(1e-8) if self.unit_decoder else kept)
