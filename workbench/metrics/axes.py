"""Signed axes: kept whole by one latent, split into two, or two features merged into one sign-changing latent."""

import torch

from workbench.metrics.evidence import Evidence
from workbench.metrics.matching import cosines
from workbench.metrics.shelf import Values, anywhere, metric

SPLIT = 0.9
"""cosine at which a latent points along an end of an axis"""
MINORITY = 0.05
"""share of a latent's firings with its rarer sign from which it uses both"""


@metric(fragmentation=0.0)
def fragmentation(evidence: Evidence) -> Values:
    """Share of axes +-v_i along both of whose ends a latent points: one with cos > .9 and another with cos < -.9.

    A feature whose opposite is a feature too is left out: two latents are right there. Random rows split next to none,
    and so does whoever finds nothing: read it beside a recall.

    Source: ours, after the story of Zhu et al. (2025), arXiv 2510.00404.
    """
    opposite = cosines(evidence.truth.features, evidence.truth.features).amin(0) < -SPLIT
    split = (evidence.geometry.best_signed > SPLIT) & (evidence.geometry.least_signed < -SPLIT)
    return {"fragmentation": float(split[~opposite].double().mean()) if not bool(opposite.all()) else 0.0}


@metric(bipolarity=None, two_signed=None)
@anywhere
def bipolarity(evidence: Evidence) -> Values:
    """bipolarity: mean over live latents of 2 min(p+, p-) / (p+ + p-), p+- = P(f > 0), P(f < 0).

    two_signed: share of live latents whose rarer sign makes up at least 5 % of their firings. 0 for nonnegative codes;
    on a world without signed axes each such latent merges features. Source: ours.
    """
    live = evidence.live
    if not bool(live.any()):
        return {"bipolarity": 0.0, "two_signed": 0.0}
    positive, fires = evidence.latents.positive[live], evidence.fires[live]
    rarer = torch.minimum(positive, fires - positive) / fires
    return {"bipolarity": float(2 * rarer.mean()), "two_signed": float((rarer >= MINORITY).double().mean())}
