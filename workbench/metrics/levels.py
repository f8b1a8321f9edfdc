"""Conceptual levels: which of them are found, and whether directions of different levels stay orthogonal."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from workbench.metrics.evidence import Evidence
from workbench.metrics.matching import cosines
from workbench.metrics.shelf import Values, metric, only_if

FOUND = 0.9
"""|cos| from which a feature counts as found"""


def levels_of(evidence: Evidence) -> Int[Tensor, " n_true"]:
    """Level of each feature; all 0 in a world without levels."""
    truth = evidence.truth
    return torch.zeros_like(truth.parents) if truth.levels is None else truth.levels


def recall_by_level(evidence: Evidence) -> dict[int, float]:
    """Share of the features of each level whose latent has |cos| >= .9 with them."""
    found, level_of = evidence.geometry.cosine_of.abs() >= FOUND, levels_of(evidence)
    return {int(level): float(found[level_of == level].double().mean()) for level in level_of.unique()}


@metric(**{"worst_level_recall@.9": 1.0, "flat_mse": 0.0, "hier_mse": 0.0})
@only_if(lambda evidence: evidence.truth.levels is not None)
def levels(evidence: Evidence) -> Values:
    """worst_level_recall@.9: share of features whose own latent has |cos| >= .9, in the level where it is smallest.

    With G the cosines of true features and G' those of their latents, flat_mse is the mean of (G'_ij - G_ij)^2 over
    pairs of one level and hier_mse that over pairs of different levels, mean G'_ij^2 where levels are orthogonal. Pairs
    without two latents are left out, so read both beside a recall; NaN without any.

    Source: the names are those of Costa et al. (2025), arXiv 2506.03093; the formulas are ours.
    """
    truth, geometry, level_of = evidence.truth, evidence.geometry, levels_of(evidence)
    found = geometry.latent_of >= 0
    rows = evidence.decoder[geometry.latent_of[found]] * geometry.cosine_of[found].sign()[:, None]
    error = (cosines(rows, rows) - cosines(truth.features[found], truth.features[found])).square()
    same = level_of[found][:, None] == level_of[found]
    pairs = ~torch.eye(len(rows), dtype=torch.bool)
    return {
        "worst_level_recall@.9": min(recall_by_level(evidence).values()),
        "flat_mse": _mean(error[same & pairs]),
        "hier_mse": _mean(error[~same]),
    }


def _mean(values: Tensor) -> float:
    return float(values.mean()) if len(values) else float("nan")


def edges_of(evidence: Evidence) -> Int[Tensor, "e 2"]:
    """(parent, child) pairs of concepts, several a child where the world has them."""
    truth = evidence.truth
    if truth.edges is not None:
        return truth.edges
    child = (truth.parents >= 0).nonzero().squeeze(1)
    return torch.stack((truth.parents[child], child), 1)


def tilts(evidence: Evidence) -> Float[Tensor, " e"]:
    """cos(latent of the child, parent) - cos(child, parent) for each edge whose child has a latent."""
    edges, geometry = edges_of(evidence), evidence.geometry
    parent, child = edges[geometry.latent_of[edges[:, 1]] >= 0].unbind(1)
    rows = evidence.decoder[geometry.latent_of[child]] * geometry.cosine_of[child].sign()[:, None]
    features = evidence.truth.features
    return cosines(rows, features[parent]).diagonal() - cosines(features[child], features[parent]).diagonal()


@metric(**{"edge_recall@.9": 1.0, "absorption_cosine": 0.0})
@only_if(lambda evidence: bool(len(edges_of(evidence))))
def edges(evidence: Evidence) -> Values:
    """edge_recall@.9: share of parent-child pairs whose two features both have a latent at |cos| >= .9.

    absorption_cosine: mean over pairs of cos(latent of the child, parent) less the cosine of the two features, above 0
    where the child's latent has taken up the parent; NaN without any. 0 for random rows where the two are orthogonal.

    Source: ours; the tilt is the absorption score of Costa et al. (2025), arXiv 2506.03093.
    """
    found = (evidence.geometry.cosine_of.abs() >= FOUND)[edges_of(evidence)].all(1)
    return {"edge_recall@.9": float(found.double().mean()), "absorption_cosine": _mean(tilts(evidence))}
