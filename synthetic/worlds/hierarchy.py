"""Worlds whose concepts form trees or a DAG.

Source: the toy tree is published, Costa et al. (2025), arXiv 2506.03093; the others are ours.
"""

from dataclasses import replace
from typing import Any, Literal

from synthetic.laws.dag import ConceptDag
from synthetic.laws.directions import ConditionallyOrthogonal, LevelSubspaces
from synthetic.laws.firing import Independent
from synthetic.laws.forest import Forest
from synthetic.laws.magnitudes import Normal
from synthetic.laws.rates import Zipf
from synthetic.laws.tree import TOY_PARENTS, ConceptTree
from synthetic.mixture import SparseMixture
from synthetic.source import world


@world
def hierarchical(**changes: Any) -> SparseMixture:
    """8 trees of 1 + 3 + 9 concepts with exclusive siblings: children absorb and hedge here. Zipf rates."""
    rates = Zipf(0.5, exponent=1.0)
    firing = Forest(Independent(rates), trees=8, branching=3, depth=2, exclusive=True)
    return replace(SparseMixture(n_true=104, d=48, firing=firing), **changes)


@world
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
    **changes: Any,
) -> SparseMixture:
    """The published toy tree: 20 features in d = 20, orthogonal levels, exclusive siblings, 1.36 firing.

    See `ConceptTree` for the law.

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
        changes: fields of the `SparseMixture`, here and in every world.
    """
    below = [parent >= 0 for parent in TOY_PARENTS]
    magnitudes = Normal(
        tuple(child_mean if child else parent_mean for child in below),
        tuple(sd if child_sd is None or not child else child_sd for child in below),
    )
    geometry = ConditionallyOrthogonal((11, 3, 3, 3), rho, leak)
    mixture = SparseMixture(n_true=20, d=d, directions=geometry, firing=ConceptTree(), magnitudes=magnitudes, seed=seed)
    return replace(mixture, **changes)


@world
def crowded_tree(
    families: int = 4,
    children: int = 6,
    parent_dims: int = 3,
    child_dims: int = 2,
    child_rate: float = 0.8,
    sd: float = 0.25,
    seed: int = 0,
    **changes: Any,
) -> SparseMixture:
    """Concepts conditionally orthogonal with more features than dimensions, so that no linear map reads the codes.

    One of `families` parents is always active, and one of its children with probability `child_rate`. The parents share
    parent_dims dimensions, the children of each parent child_dims of their own: by default 28 features in d = 11.
    """
    parents = (-1,) * families + tuple(p for p in range(families) for _ in range(children))
    shares = (1 / families,) * families + (child_rate / children,) * (families * children)
    geometry = LevelSubspaces((families, *[children] * families), (parent_dims, *[child_dims] * families))
    mixture = SparseMixture(
        n_true=len(parents),
        d=parent_dims + families * child_dims,
        directions=geometry,
        firing=ConceptTree(parents, shares),
        magnitudes=Normal(1.5, sd),
        seed=seed,
    )
    return replace(mixture, **changes)


@world
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
    **changes: Any,
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
    mixture = SparseMixture(
        n_true=len(parents),
        d=d,
        directions=ConditionallyOrthogonal((roots,) * layers, rho, leak),
        firing=ConceptDag(tuple(parents), coins, rule),
        magnitudes=Normal(1.5, sd),
        seed=seed,
    )
    return replace(mixture, **changes)
