"""Matryoshka BatchTopK SAE: every prefix of the dictionary must reconstruct on its own."""

from dataclasses import dataclass

import torch
from torch import Tensor

from synthetic.errors import must
from synthetic.world import Codes
from workbench import kernels
from workbench.sae import SAE, Latents, Pass, register, squared_error
from workbench.sparsifiers import batch_top_k, masked, track_smallest


@register("matryoshka")
class Matryoshka(SAE):
    """BatchTopK latents; loss = mean over prefixes of |x - b_dec - f[:w] W_dec[:w]|^2.

    Source: Bussmann et al. (2025), arXiv 2503.17547; Nabeshima (2024). Differs: fixed prefixes, averaged not summed.
    """

    @dataclass(frozen=True)
    class Settings:
        """Hyperparameters."""

        k: float = 4.0
        """mean active latents a sample"""
        prefixes: tuple[float, ...] = (1 / 16, 1 / 4, 1 / 2, 1.0)
        """prefix widths as fractions of m, increasing, the last 1"""
        threshold_rate: float = 0.05
        """weight of the newest batch in the running threshold"""

    architecture = "jumprelu"
    selects = True
    k: Tensor
    prefixes: tuple[float, ...]
    threshold: Tensor
    threshold_rate: Tensor

    def setup(self) -> None:
        """Check settings, add the running threshold."""
        good = bool(((self.k > 0) & (self.k <= self.m)).all())
        must(good, "Matryoshka.k", f"in (0, m={self.m}]", self.settings["k"], "lower k or raise m")
        ordered = all(0 < a < b for a, b in zip(self.prefixes, self.prefixes[1:], strict=False))
        must(ordered and self.prefixes[-1] == 1, "Matryoshka.prefixes", "increasing to 1", self.prefixes, "sort them")
        self.register_buffer("threshold", torch.zeros(self.shape))

    @property
    def widths(self) -> list[int]:
        """Prefix widths in latents."""
        return [max(1, round(share * self.m)) for share in self.prefixes]

    def activate(self, pre: Tensor) -> Latents:
        """As BatchTopK."""
        if self.training:
            return batch_top_k(pre, self.k)
        return masked(pre, pre > self.threshold[..., None, None])

    def loss(self, x: Tensor, out: Pass) -> dict[str, Tensor]:
        """Mean squared error over prefixes."""
        errors = [squared_error(x, self._prefix(out.codes, width)) for width in self.widths[:-1]]
        return {"mse": torch.stack([*errors, squared_error(x, out.x_hat)]).mean(0)}

    def _prefix(self, codes: Latents, width: int) -> Tensor:
        bias = self.b_dec[..., None, :]
        if isinstance(codes, Tensor):
            return codes[..., :width] @ self.W_dec[..., :width, :] + bias
        kept = Codes(codes.indices, codes.values * (codes.indices < width), codes.width)
        return kernels.decode(kept, self.W_dec) + bias

    def after_step(self, out: Pass) -> None:
        """Follow the smallest kept value."""
        track_smallest(self.threshold, out.codes, self.threshold_rate)
