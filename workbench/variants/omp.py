"""Orthogonal-matching-pursuit SAE: latents are picked one after another and all fitted again by least squares."""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from synthetic.base.errors import must
from synthetic.source import Codes
from workbench import kernels
from workbench.parts.pursuit import orthogonal_matching_pursuit
from workbench.sae import SAE, register


@register("omp")
class OMP(SAE):
    """k steps of OMP on x - b_dec; f = least squares on the picked rows, so that the residual is orthogonal to them.

    loss = |x - x_hat|^2. Its gradient is taken with f held fixed, which is exact: f minimises the loss over codes on
    its support, so a change of f, however W_dec and b_dec cause it, has no first-order effect (envelope theorem). The
    support is piecewise constant. W_enc is W_dec^T and there is no b_enc; latents have both signs.

    With unit rows of coherence mu, "abs" finds the support of any x = f W with fewer than (1 + 1/mu) / 2 latents, and
    "positive" that of any with f >= 0.

    Source: Pati, Rezaiifar, Krishnaprasad (1993); as an SAE the `overcomplete` package and Costa et al. (2025),
    arXiv 2506.03093. Differs: theirs takes nonnegative least squares by ten gradient steps.
    """

    @dataclass(frozen=True)
    class Settings:
        """Hyperparameters."""

        k: int = 4
        """steps"""
        select: Literal["abs", "positive"] = "abs"
        """what makes a row best: |<w, r>|, or <w, r> where positive"""

    linear_pre = False
    latent_scale = ()
    compares_latents = True
    nonnegative = False
    inference = ("steps",)
    steps: int | None = None
    """steps at inference in place of k"""
    k: Tensor

    def setup(self) -> None:
        """Check k; the encoder is the decoder transposed."""
        good = bool(((self.k >= 1) & (self.k <= self.m)).all())
        must(good, "OMP.k", f"in [1, m={self.m}]", self.settings["k"], "lower k or raise m")
        del self.b_enc
        del self.W_enc

    def pre(self, x: Tensor) -> Tensor:
        """What is to be explained: x - b_dec."""
        return x - self.b_dec[..., None, :]

    def activate(self, pre: Tensor) -> Codes:
        """Coefficients on the picked rows, without gradient."""
        kernels.must_be_plain("OMP.activate")
        steps = self.k if self.steps is None or self.training else self.steps
        path = orthogonal_matching_pursuit(pre, self.W_dec, steps, select=self.settings["select"])
        return path.codes(self.m)
