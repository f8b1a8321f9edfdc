"""Matryoshka BatchTopK SAE: every prefix of the dictionary must reconstruct on its own."""

from dataclasses import dataclass

import torch
from torch import Tensor

from synthetic.base.errors import must
from workbench.parts.prefixes import Detach, prefix_loss, track_frequency, widths_of
from workbench.parts.sparsifiers import above, batch_top_k, track_smallest
from workbench.sae import SAE, Latents, Pass, register


@register("matryoshka")
class Matryoshka(SAE):
    """BatchTopK latents; loss = mean over prefixes of |x - b_dec - f[:w] W_dec[:w]|^2.

    Source: Bussmann et al. (2025), arXiv 2503.17547; Nabeshima (2024). Differs: fixed prefixes, averaged not summed.
    `detach`, `by_frequency` and `inner_weight`: see `workbench.parts.prefixes.prefix_loss`.
    """

    @dataclass(frozen=True)
    class Settings:
        """Hyperparameters."""

        k: float = 4.0
        """mean active latents a sample"""
        prefixes: tuple[float, ...] = (1 / 16, 1 / 4, 1 / 2, 1.0)
        """prefix widths as fractions of m, increasing, the last 1"""
        detach: Detach = "none"
        """losses that spare shorter prefixes' latents: "inner" those of proper prefixes, "all" the full one too"""
        by_frequency: bool = False
        """prefixes of the latents that fire most often, by a running mean, in place of the first ones"""
        inner_weight: float = 1.0
        """weight of each proper prefix, the full one having 1"""
        threshold_rate: float = 0.05
        """weight of the newest batch in the running threshold"""

    architecture = "jumprelu"
    selects = True
    latent_scale = ("W_enc", "b_enc", "threshold")
    compares_latents = True
    k: Tensor
    prefixes: tuple[float, ...]
    detach: Detach
    by_frequency: bool
    inner_weight: Tensor
    threshold: Tensor
    threshold_rate: Tensor
    frequency: Tensor | None

    def setup(self) -> None:
        """Check settings, add the running threshold and frequencies."""
        good = bool(((self.k > 0) & (self.k <= self.m)).all())
        must(good, "Matryoshka.k", f"in (0, m={self.m}]", self.settings["k"], "lower k or raise m")
        good = bool((self.inner_weight >= 0).all())
        must(good, "Matryoshka.inner_weight", "at least 0", self.settings["inner_weight"], "raise it")
        self.widths = widths_of("Matryoshka", self.prefixes, self.m)
        self.register_buffer("threshold", torch.zeros(self.shape))
        self.register_buffer("frequency", torch.zeros(*self.shape, self.m) if self.by_frequency else None)

    def activate(self, pre: Tensor) -> Latents:
        """As BatchTopK."""
        if self.training:
            return batch_top_k(pre, self.k)
        return above(pre, self.threshold[..., None, None])

    def loss(self, x: Tensor, out: Pass) -> dict[str, Tensor]:
        """Mean squared error over prefixes."""
        return {
            "mse": prefix_loss(
                self.W_dec, self.b_dec, x, out, self.widths, self.frequency, self.detach, self.inner_weight
            )
        }

    def after_step(self, out: Pass) -> None:
        """Follow the smallest kept value, and how often latents fire."""
        track_smallest(self.threshold, out.codes, self.threshold_rate)
        if self.frequency is not None:
            track_frequency(self.frequency, out.codes)
