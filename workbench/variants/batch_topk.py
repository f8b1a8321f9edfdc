"""BatchTopK SAE: k latents a sample on average over the batch; a fixed threshold at inference."""

from dataclasses import dataclass

import torch
from torch import Tensor

from synthetic.base.errors import must
from workbench.parts.sparsifiers import above, batch_top_k, track_smallest
from workbench.sae import SAE, Latents, Pass, register


@register("batch_topk", core=True)
class BatchTopK(SAE):
    """Training keeps the n k largest pre-activations of a batch of n; inference keeps those above `threshold`.

    `threshold` follows the smallest value kept in training with rate `threshold_rate`.

    Source: Bussmann, Leask, Nanda (2024), arXiv 2412.06410.
    """

    @dataclass(frozen=True)
    class Settings:
        """Hyperparameters."""

        k: float = 4.0
        """mean active latents a sample"""
        threshold_rate: float = 0.05
        """weight of the newest batch in the running threshold"""

    architecture = "jumprelu"
    selects = True
    latent_scale = ("W_enc", "b_enc", "threshold")
    compares_latents = True
    k: Tensor
    threshold: Tensor
    threshold_rate: Tensor

    def setup(self) -> None:
        """Check k, add the running threshold."""
        good = bool(((self.k > 0) & (self.k <= self.m)).all())
        must(good, "BatchTopK.k", f"in (0, m={self.m}]", self.settings["k"], "lower k or raise m")
        self.register_buffer("threshold", torch.zeros(self.shape))

    def activate(self, pre: Tensor) -> Latents:
        """Select over the batch in training, by threshold at inference."""
        if self.training:
            return batch_top_k(pre, self.k)
        return above(pre, self.threshold[..., None, None])

    def after_step(self, out: Pass) -> None:
        """Follow the smallest kept value; the first batch sets it."""
        track_smallest(self.threshold, out.codes, self.threshold_rate)
