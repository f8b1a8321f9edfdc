"""Resonance: are the latents that fire as often as a feature the ones that point along it?"""

from torch import Tensor

from workbench.metrics.evidence import Evidence
from workbench.metrics.shelf import Values, metric


def tuning(evidence: Evidence) -> tuple[Tensor, Tensor]:
    """log2(rate of a latent / rate of its nearest feature) and |cos| to that feature, of the latents that fire."""
    live = evidence.fires > 0
    rate = evidence.truth.rates[evidence.geometry.nearest[live]]
    return (evidence.fires[live] / evidence.n / rate).log2(), evidence.geometry.nearest_cosine[live]


@metric(resonance=None)
def resonance(evidence: Evidence) -> Values:
    """Mean |cos| to the nearest feature of latents that fire within a factor of two of its rate, less that of others.

    Above 0 where frequency and direction are found together; 0 where all latents are on one side. Source: ours, after
    the neuron resonance of Chen et al. (2025), arXiv 2506.14002.
    """
    ratio, cosine = tuning(evidence)
    tuned = ratio.abs() <= 1
    both = bool(tuned.any()) and not bool(tuned.all())
    return {"resonance": float(cosine[tuned].mean() - cosine[~tuned].mean()) if both else 0.0}
