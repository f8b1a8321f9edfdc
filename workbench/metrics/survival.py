"""Survival of latents across seeds: how many have a near copy in another run."""

from statistics import fmean

import torch
from jaxtyping import Float
from torch import Tensor

from workbench.metrics.evidence import Evidence
from workbench.metrics.matching import cosines, random_geometries
from workbench.metrics.shelf import Values, anywhere, metric, only_if


def max_cosines(evidence: Evidence) -> Float[Tensor, "r m"]:
    """MCS: largest signed cosine of each latent with those of each run that differs from this one in seed alone."""
    return torch.stack([cosines(evidence.decoder, other).amax(1) for other in evidence.others.values()])


def survivors(evidence: Evidence, level: float, share: float = 1.0) -> float:
    """Share of latents with MCS at least `level`, mean over runs, among those of largest peak.

    Args:
        evidence: of one member.
        level: of the cosine.
        share: of the latents that fire, taken from the largest peak down.
    """
    live = evidence.fires > 0
    if not bool(live.any()):
        return 0.0
    count = max(1, round(share * int(live.sum())))
    kept = torch.where(live, evidence.latents.peak, -1.0).topk(count).indices
    return float((max_cosines(evidence)[:, kept] >= level).double().mean())


@metric(**{"mcs@.9": 1.0, "mcs@.9_null": None})
@only_if(lambda evidence: bool(evidence.others))
@anywhere
def survival(evidence: Evidence) -> Values:
    """Share of firing latents whose largest cosine with another seed's latents is at least .9; null: random rows.

    Source: MCS of Chen et al. (2025), arXiv 2506.14002; mean over runs, signed.
    """
    first = next(iter(evidence.others.values())).float()
    chance = fmean(float((g.best_signed >= 0.9).double().mean()) for g in random_geometries(len(first), first))
    return {"mcs@.9": survivors(evidence, 0.9), "mcs@.9_null": chance}
