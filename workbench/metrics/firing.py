"""How strongly each feature's latent fires, apart for what else fires: where absorption is seen sample by sample."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from synthetic.source import GroundTruth
from workbench.metrics.evidence import Entries, Evidence
from workbench.ratios import ratio

CASES = ("on, no child on", "on, a child on", "off, a parent on", "off, no parent on")
"""what a feature and its kin do in a sample"""
BINS = 12
"""strengths above 0, in steps of a sixth of the feature's mean magnitude; the last has all above"""


def kin(truth: GroundTruth) -> tuple[Int[Tensor, " e"], Int[Tensor, " e"]]:
    """All pairs of a parent and a child, those of concepts with several parents too."""
    if truth.edges is not None:
        return truth.edges[:, 0], truth.edges[:, 1]
    child = (truth.parents >= 0).nonzero().squeeze(1)
    return truth.parents[child], child


class Firing:
    """Samples by feature, case and strength of its latent, |f| |row|: `collect(..., watch=Firing())` fills it.

    `counts[member]` is an array (n_true, cases, 1 + bins) whose first column counts silence; of a feature without a
    latent it is silence alone.
    """

    def __init__(self) -> None:
        self.counts: dict[int, Int[Tensor, "n c b"]] = {}
        self._step: Float[Tensor, " n"] | None = None

    def __call__(self, member: Evidence, entries: Entries, dense: Float[Tensor, "b n"]) -> None:
        """Count a batch of one member."""
        n_true = dense.shape[1]
        step = self._steps(dense)
        cases = _cases((dense != 0).cpu(), member.truth)
        samples, latent, value = (part.cpu() for part in entries)
        feature = member.features.feature_of[latent]
        kept = feature >= 0
        samples, feature, latent = samples[kept], feature[kept], latent[kept]
        strength = value[kept].double().abs() * member.decoder.norm(dim=1).cpu()[latent]
        level = 1 + (strength / step[feature]).long().clamp_max(BINS - 1)
        slots = (feature * len(CASES) + cases[samples, feature]) * (1 + BINS) + level
        size = n_true * len(CASES) * (1 + BINS)
        counts = torch.bincount(slots, minlength=size).view(n_true, len(CASES), 1 + BINS)
        totals = torch.stack([(cases == case).sum(0) for case in range(len(CASES))], 1)
        counts[:, :, 0] = totals - counts.sum(2)
        self.counts[member.index] = self.counts.get(member.index, torch.zeros_like(counts)) + counts

    def _steps(self, dense: Float[Tensor, "b n"]) -> Float[Tensor, " n"]:
        """Widths of bins: a sixth of each feature's mean |h| in the first batch, of all features' where it was off."""
        if self._step is None:
            size, on = dense.abs().double().cpu(), (dense != 0).double().cpu()
            overall = ratio(float(size.sum()), float(on.sum()), 1.0)
            self._step = 2 * ratio(size.sum(0), on.sum(0), overall) / BINS
        return self._step

    @property
    def step(self) -> Float[Tensor, " n"]:
        """Width of the bins of each feature."""
        return torch.zeros(0) if self._step is None else self._step


def _cases(on: Bool[Tensor, "b n"], truth: GroundTruth) -> Int[Tensor, "b n"]:
    """Index into `CASES` of each sample and feature."""
    parent, child = kin(truth)
    child_on, parent_on = torch.zeros(on.shape), torch.zeros(on.shape)
    if len(parent):
        child_on.index_add_(1, parent, on[:, child].float())
        parent_on.index_add_(1, child, on[:, parent].float())
    return torch.where(on, (child_on > 0).long(), torch.where(parent_on > 0, 2, 3))
