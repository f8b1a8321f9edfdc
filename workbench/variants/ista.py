"""ISTA SAE: the encoder looks at what its first guess leaves over, and selects again."""

from dataclasses import dataclass

import torch
from torch import Tensor

from synthetic.base.errors import must
from synthetic.source import Codes
from workbench import kernels
from workbench.parts.prefixes import Detach, prefix_loss, track_frequency, widths_of
from workbench.parts.sparsifiers import above, batch_top_k, track_smallest
from workbench.sae import SAE, Latents, Pass, register


@register("ista")
class Ista(SAE):
    """z0 = (x - b_dec) W_enc + b_enc, f0 = select(z0), z1 = z0 + eta (x - b_dec - f0 W_dec) W_enc, f = select(z1).

    `select` keeps the n k largest of a batch of n in training, and at inference those above a running threshold, one
    a selection. The added term is a step down the gradient of |x - b_dec - f W_dec|^2 / 2 in f, with W_enc in the
    place of W_dec^T, and `select` is the proximal map of a bound on the number of latents: one step of (L)ISTA. Here
    the step starts from z0 instead of f0, so that a latent passed over at first keeps its evidence.

    Source: Gregor and LeCun (2010), LISTA; the SAE encoder of the LISTA-Matryoshka recipe, github.com/chanind/
    claude-auto-research-synthsaebench (eta .3); `prefixes` and what follows: see `parts.prefixes.prefix_loss`.
    """

    @dataclass(frozen=True)
    class Settings:
        """Hyperparameters."""

        k: float = 4.0
        """mean active latents a sample"""
        eta: float = 0.3
        """length of the step"""
        prefixes: tuple[float, ...] = (1.0,)
        """prefixes that must reconstruct alone, as fractions of m, increasing, the last 1"""
        detach: Detach = "none"
        """losses that spare shorter prefixes' latents: "inner" those of proper prefixes, "all" the full one too"""
        by_frequency: bool = False
        """prefixes of the latents that fire most often, by a running mean, in place of the first ones"""
        inner_weight: float = 1.0
        """weight of each proper prefix, the full one having 1"""
        threshold_rate: float = 0.05
        """weight of the newest batch in the running thresholds"""

    selects = True
    latent_scale = ("W_enc", "b_enc", "guess_threshold", "threshold")
    compares_latents = True
    k: Tensor
    eta: Tensor
    prefixes: tuple[float, ...]
    detach: Detach
    by_frequency: bool
    inner_weight: Tensor
    guess_threshold: Tensor
    threshold: Tensor
    threshold_rate: Tensor
    frequency: Tensor | None
    _guess: Tensor

    def setup(self) -> None:
        """Check settings, add the running thresholds and frequencies."""
        good = bool(((self.k > 0) & (self.k <= self.m)).all())
        must(good, "Ista.k", f"in (0, m={self.m}]", self.settings["k"], "lower k or raise m")
        for name in ("eta", "inner_weight"):
            good = bool((getattr(self, name) >= 0).all())
            must(good, f"Ista.{name}", "at least 0", self.settings[name], "raise it")
        self.widths = widths_of("Ista", self.prefixes, self.m)
        self.register_buffer("guess_threshold", torch.zeros(self.shape))
        self.register_buffer("threshold", torch.zeros(self.shape))
        self.register_buffer("frequency", torch.zeros(*self.shape, self.m) if self.by_frequency else None)

    def inputs(self, x: Tensor) -> Tensor:
        """x + eta (x - b_dec - f0 W_dec)."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.sparse_now):
            guess = self._select(self.pre(x), self.guess_threshold)
        if self.sparse_now and isinstance(guess, Codes):
            guess = self.entries(x, guess)
        if self.training:
            self._guess = guess.detach() if isinstance(guess, Tensor) else guess.values.detach()
        left = x - self.b_dec[..., None, :] - kernels.decode(guess, self.W_dec)
        return x + self.eta[..., None, None] * left

    def activate(self, pre: Tensor) -> Latents:
        """Select once more."""
        return self._select(pre, self.threshold)

    def _select(self, pre: Tensor, threshold: Tensor) -> Latents:
        return batch_top_k(pre, self.k) if self.training else above(pre, threshold[..., None, None])

    def loss(self, x: Tensor, out: Pass) -> dict[str, Tensor]:
        """Squared error, a mean over prefixes."""
        return {
            "mse": prefix_loss(
                self.W_dec, self.b_dec, x, out, self.widths, self.frequency, self.detach, self.inner_weight
            )
        }

    def after_step(self, out: Pass) -> None:
        """Follow the smallest values kept at first and finally, and how often latents fire."""
        track_smallest(self.guess_threshold, self._guess, self.threshold_rate)
        track_smallest(self.threshold, out.codes, self.threshold_rate)
        if self.frequency is not None:
            track_frequency(self.frequency, out.codes)
