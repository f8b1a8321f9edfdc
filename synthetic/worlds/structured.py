"""Worlds beyond a flat, unsigned, linear picture: hierarchies, signs, interactions, neuron groups, circles.

Sources: Costa et al. (2025), arXiv 2506.03093, whose toy tree is published; bidirectional features, Zhu et al. (2025),
arXiv 2510.00404, who have no synthetic data: those are ours. Interactions and neuron groups: see their own files.
"""

from typing import Literal

from synthetic.laws.dag import ConceptDag
from synthetic.laws.firing import ExactlyK, Exclusive
from synthetic.laws.levels import ConditionallyOrthogonal, LevelSubspaces
from synthetic.laws.magnitudes import ConstantMagnitude, FoldedNormal, Magnitudes, Signed
from synthetic.laws.mixed_signs import MixedSigns
from synthetic.laws.normal_magnitudes import Normal
from synthetic.laws.rates import Constant
from synthetic.laws.subspaces import RandomFrames, Subspaces
from synthetic.laws.tree import TOY_PARENTS, ConceptTree
from synthetic.mixture import SparseMixture
from synthetic.worlds.factors import core_exclusive as core_exclusive
from synthetic.worlds.factors import disjoint_factors as disjoint_factors
from synthetic.worlds.factors import nonlinear as nonlinear
from synthetic.worlds.factors import offset as offset
from synthetic.worlds.interactions import interacting as interacting
from synthetic.worlds.interactions import logical as logical
from synthetic.worlds.interactions import pair_roles as pair_roles
from synthetic.worlds.interactions import triples as triples


def concept_tree(
    rho: float = 0.0,
    leak: float = 0.0,
    sd: float = 0.25,
    child_mean: float = 1.5,
    seed: int = 0,
    *,
    parent_mean: float = 1.5,
    child_sd: float | None = None,
    d: int = 20,
) -> SparseMixture:
    """The published toy tree: 20 features in d = 20, exclusive siblings, E[L0] = 1.36; see `ConceptTree`.

    Args:
        rho: inner product inside a level (a family of siblings: 11, 3, 3 and 3 features).
        leak: inner product across levels, 0 as published.
        sd: of the magnitudes. At 0 with equal means, a parent and its child are one direction of constant length, and
            to absorb pays.
        child_mean: mean magnitude of the nine features below an internal one.
        seed: of the directions.
        parent_mean: mean magnitude of the others.
        child_sd: of the nine, `sd` where None.
        d: dimension, at least 20.
    """
    below = [parent >= 0 for parent in TOY_PARENTS]
    magnitudes = Normal(
        tuple(child_mean if child else parent_mean for child in below),
        tuple(sd if child_sd is None or not child else child_sd for child in below),
    )
    geometry = ConditionallyOrthogonal((11, 3, 3, 3), rho, leak)
    return SparseMixture(n_true=20, d=d, directions=geometry, firing=ConceptTree(), magnitudes=magnitudes, seed=seed)


def crowded_tree(
    families: int = 4,
    children: int = 6,
    parent_dims: int = 3,
    child_dims: int = 2,
    child_rate: float = 0.8,
    sd: float = 0.25,
    seed: int = 0,
) -> SparseMixture:
    """Conditionally orthogonal with more features than dimensions, so that no linear map reads the codes.

    One of `families` parents is always active, and one of its children with probability `child_rate`. The parents share
    parent_dims dimensions, the children of each parent child_dims of their own: by default 28 features in d = 11.
    """
    parents = (-1,) * families + tuple(p for p in range(families) for _ in range(children))
    shares = (1 / families,) * families + (child_rate / children,) * (families * children)
    geometry = LevelSubspaces((families, *[children] * families), (parent_dims, *[child_dims] * families))
    return SparseMixture(
        n_true=len(parents),
        d=parent_dims + families * child_dims,
        directions=geometry,
        firing=ConceptTree(parents, shares),
        magnitudes=Normal(1.5, sd),
        seed=seed,
    )


def concept_dag(
    roots: int = 4,
    layers: int = 3,
    coin: float = 0.3,
    child: float = 0.5,
    rule: Literal["any", "all"] = "any",
    rho: float = 0.0,
    leak: float = 0.0,
    sd: float = 0.25,
    d: int = 16,
    seed: int = 0,
) -> SparseMixture:
    """Layers of `roots` features, each with two parents in the layer above, neighbours in a ring; see `ConceptDag`.

    Args:
        roots: features in a layer.
        layers: depth + 1; roots x layers is at most 14.
        coin: rate of the first layer.
        child: probability that a feature fires where its parents let it.
        rule: whether any parent is enough, or all must fire.
        rho: inner product inside a layer.
        leak: inner product across layers.
        sd: of the magnitudes N(1.5, sd^2).
        d: dimension, at least roots x layers.
        seed: of the directions.
    """
    parents: list[tuple[int, ...]] = [()] * roots
    for layer in range(1, layers):
        first = (layer - 1) * roots
        parents += [tuple(sorted({first + i, first + (i + 1) % roots})) for i in range(roots)]
    coins = (coin,) * roots + (child,) * (roots * (layers - 1))
    return SparseMixture(
        n_true=len(parents),
        d=d,
        directions=ConditionallyOrthogonal((roots,) * layers, rho, leak),
        firing=ConceptDag(tuple(parents), coins, rule),
        magnitudes=Normal(1.5, sd),
        seed=seed,
    )


def signed_sparse(n_true: int = 24, d: int = 32, k: int = 3, sd: float = 0.25, seed: int = 0) -> SparseMixture:
    """Random directions, k fire, magnitude |N(1, sd^2)| with a fair sign: every feature is bidirectional.

    At k = n_true and sd = 0 an axis is always on at one of two values, which a bias and one unsigned latent can write.
    """
    return SparseMixture(n_true=n_true, d=d, firing=ExactlyK(k), magnitudes=Signed(_about_1(sd)), seed=seed)


def unipolar_sparse(n_true: int = 24, d: int = 32, k: int = 3, sd: float = 0.25, seed: int = 0) -> SparseMixture:
    """As `signed_sparse` without the signs."""
    return SparseMixture(n_true=n_true, d=d, firing=ExactlyK(k), magnitudes=_about_1(sd), seed=seed)


def mixed_signs(
    q: float = 0.5, p_plus: float = 0.5, n_true: int = 24, d: int = 32, k: int = 3, sd: float = 0.25, seed: int = 0
) -> SparseMixture:
    """Between the two: the first round(q n_true) features are bidirectional, positive with probability p_plus."""
    magnitudes = MixedSigns(_about_1(sd), q, p_plus)
    return SparseMixture(n_true=n_true, d=d, firing=ExactlyK(k), magnitudes=magnitudes, seed=seed)


def exclusive_pairs(pairs: int = 6, d: int = 32, rate: float = 1.0, sd: float = 0.0, seed: int = 0) -> SparseMixture:
    """Unipolar features in pairs (2i, 2i + 1) of which one fires, a fair choice, with probability `rate`.

    At rate 1 and sd 0 a pair is v_i + v_j over 2, always on, and one signed axis v_i - v_j: half as many latents do.
    """
    firing = Exclusive(Constant(rate / 2), 2)
    return SparseMixture(n_true=2 * pairs, d=d, firing=firing, magnitudes=_about_1(sd), seed=seed)


def circles(groups: int = 8, dim: int = 2, k: int = 2, d: int = 12, sd: float = 0.0, seed: int = 0) -> SparseMixture:
    """Features of `dim` dimensions in random subspaces, k of them on a circle (sphere) of radius |N(1, sd^2)|."""
    return SparseMixture(
        n_true=groups * dim,
        d=d,
        directions=RandomFrames(dim),
        firing=Subspaces(dim, k),
        magnitudes=_about_1(sd),
        seed=seed,
    )


def _about_1(sd: float) -> Magnitudes:
    return FoldedNormal(1.0, sd) if sd else ConstantMagnitude(1.0)
