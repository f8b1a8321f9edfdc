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
class Pairs:
    """Parents and children that came up in both cases: how often each, and the parent's latent in them."""

    child: Int[Tensor, " e"]
    parent: Int[Tensor, " e"]
    with_child: Float[Tensor, " e"]
    """samples in which both fire"""
    without_child: Float[Tensor, " e"]
    """... in which the parent fires alone"""
    hits_with: Float[Tensor, " e"]
    """... in which both and the parent's latent fire"""
    hits_without: Float[Tensor, " e"]
    p: Float[Tensor, " e"]
    """coefficient of the parent's direction in the parent's row"""
    c: Float[Tensor, " e"]
    """... of the child's"""


def pairs(evidence: Evidence, child_too: bool) -> Pairs:
    """All pairs whose parent, and where asked for whose child too, has a latent at |cos| >= .5."""
    sums, truth = evidence.features, evidence.truth
    child = (truth.parents >= 0).nonzero().squeeze(1)
    parent = truth.parents[child]
    both = sums.fires_with_parent[child]
    alone = sums.fires[parent] - both
    tracked = evidence.geometry.cosine_of.abs() >= RELATES  # 0 for features without a latent
    counts = tracked[parent] & (both > 0) & (alone > 0)
    kept = counts & tracked[child] if child_too else counts
    child, parent, both, alone = child[kept], parent[kept], both[kept], alone[kept]
    hits = sums.hits_with_child[child]
    shares = _parts_of(evidence, parent, child)
    return Pairs(child, parent, both, alone, hits, sums.hits[parent] - hits, *shares)


def _parts_of(evidence: Evidence, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Coefficients of two features' directions in the row of the first one's latent."""
    geometry, features = evidence.geometry, evidence.truth.features.double()
    rows = evidence.decoder[geometry.latent_of[first]] * geometry.cosine_of[first].sign()[:, None]
    return parts(rows, features[first], features[second])


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
    both = pairs(evidence, child_too=True)
    c2, p2 = _parts_of(evidence, both.child, both.parent)
    return Edges(
        child=both.child,
        parent=both.parent,
        absorption=both.hits_without / both.without_child - both.hits_with / both.with_child,
        hedging=ratio(both.c, both.p.abs() + both.c.abs()),
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
