"""Absorption, hedging, merging and splitting, read off the known structure: no probe, no labels."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from workbench.metrics.evidence import Evidence
from workbench.metrics.shelf import Values, metric, only_if
from workbench.ratios import ratio

TRACKS = 0.7
"""|cos| from which a latent counts as tracking a feature"""
RELATES = 0.5
"""|cos| from which a matched pair enters an edge: lower, since a child's row that absorbed its parent sits at .707"""
MIXES = 0.25
"""share of a second feature in a decoder row from which the row counts as a mixture"""


def parts(
    rows: Float[Tensor, "k d"], first: Float[Tensor, "k d"], second: Float[Tensor, "k d"]
) -> tuple[Tensor, Tensor]:
    """Least-squares coefficients of each row on two unit directions."""
    cross = (first * second).sum(1)
    a, b = (rows * first).sum(1), (rows * second).sum(1)
    determinant = (1 - cross**2).clamp_min(1e-9)
    return (a - cross * b) / determinant, (b - cross * a) / determinant


@dataclass(frozen=True)
class Edges:
    """One entry for each parent-child pair that fired and whose latents match both at |cos| >= .5."""

    child: Int[Tensor, " e"]
    parent: Int[Tensor, " e"]
    absorption: Float[Tensor, " e"]
    """P(parent's latent silent | child fires) - P(parent's latent silent | parent fires, child does not)"""
    hedging: Float[Tensor, " e"]
    """share c / (|p| + |c|) of the child's direction in the parent latent's decoder row"""
    tilt: Float[Tensor, " e"]
    """share of the parent's direction in the child latent's decoder row"""


def edges(evidence: Evidence) -> Edges:
    """Every scored parent-child edge."""
    truth, latent_of = evidence.truth, evidence.geometry.latent_of
    child = (truth.parents >= 0).nonzero().squeeze(1)
    parent = truth.parents[child]
    both, alone = evidence.features.fires[child], evidence.features.fires[parent] - evidence.features.fires[child]
    tracked = evidence.geometry.cosine_of.abs() >= RELATES  # 0 for features without a latent
    kept = tracked[child] & tracked[parent] & (both > 0) & (alone > 0)
    child, parent, both, alone = child[kept], parent[kept], both[kept], alone[kept]
    with_child = evidence.features.hits_with_child[child]
    without = evidence.features.hits[parent] - with_child
    v_parent, v_child = truth.features[parent].double(), truth.features[child].double()

    def rows(feature: Tensor) -> Tensor:
        sign = evidence.geometry.cosine_of[feature].sign()
        return evidence.decoder[latent_of[feature]] * sign[:, None]

    p, c = parts(rows(parent), v_parent, v_child)
    c2, p2 = parts(rows(child), v_child, v_parent)
    return Edges(
        child=child,
        parent=parent,
        absorption=without / alone - with_child / both,
        hedging=ratio(c, p.abs() + c.abs()),
        tilt=ratio(p2, p2.abs() + c2.abs()),
    )


@metric(absorption=0.0, hedging=0.0, child_tilt=0.0, edges_scored=1.0)
@only_if(lambda evidence: bool((evidence.truth.parents >= 0).any()))
def absorption(evidence: Evidence) -> Values:
    """Means over parent-child edges of absorption, hedging and tilt (NaN without any), and the share of edges scored.

    absorption: how much likelier the parent's latent is to stay silent when the child fires than when it does not.
    hedging: share of the child's direction in the parent's decoder row. child_tilt: share of the parent's direction in
    the child's row. Null of each is 0 (a latent that ignores the edge). Edges without two latents that match at
    |cos| >= .5 are left out, so read them beside `edges_scored`.

    Source: ours; the phenomena are those of Chanin et al. (2024), arXiv 2409.14507, and (2025), arXiv 2505.11756.
    """
    found = edges(evidence)
    means = [float(v.mean()) for v in (found.absorption, found.hedging, found.tilt)]
    share = len(found.child) / int((evidence.truth.parents >= 0).sum())
    return dict(zip(("absorption", "hedging", "child_tilt"), means, strict=True)) | {"edges_scored": share}


@metric(splitting=0.0, merging=0.0)
def splitting(evidence: Evidence) -> Values:
    """splitting: share of features that two or more live latents track (nearest feature, |cos| >= .7).

    merging: share of live latents whose decoder row holds its two nearest features in shares of at least 1/4 each.
    Random rows track nothing and mix nearly always. Source: ours.
    """
    geometry, live = evidence.geometry, evidence.live
    tracking = live & (geometry.nearest_cosine >= TRACKS)
    followers = torch.bincount(geometry.nearest[tracking], minlength=evidence.truth.n_true)
    features = evidence.truth.features.double()
    first, second = parts(evidence.decoder, features[geometry.nearest], features[geometry.second])
    share = ratio(second.abs(), first.abs() + second.abs(), 0.0)
    mixed = (share >= MIXES) & (geometry.nearest != geometry.second)
    return {
        "splitting": float((followers >= 2).double().mean()),
        "merging": float(mixed[live].double().mean()) if bool(live.any()) else 0.0,
    }
