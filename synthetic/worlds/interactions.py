"""Worlds whose features interact. Source: ours, for the decoders of Koromilas et al. (2026), arXiv 2602.01322."""

import itertools
from dataclasses import replace
from typing import Any, Literal

from synthetic.laws.directions import Orthonormal
from synthetic.laws.firing import ExactlyK, Independent
from synthetic.laws.magnitudes import ConstantMagnitude, Magnitudes, Uniform
from synthetic.laws.rates import Constant
from synthetic.laws.sets import FrequentPairs
from synthetic.mixture import SparseMixture
from synthetic.source import world
from synthetic.transformed import Interactions

Pairs = tuple[tuple[int, ...], ...]


@world
def interacting(
    frequent: int = 4,
    together: int = 4,
    rare: int = 4,
    free: int = 8,
    d: int = 64,
    k: int = 3,
    each: float = 0.06,
    gain: float = 1.5,
    magnitudes: Magnitudes = Uniform(1.0, 1.5),  # noqa: B008 (frozen)
    seed: int = 0,
    **changes: Any,
) -> Interactions:
    """Interaction crossed with co-occurrence: pairs that interact and come often, only come often, only interact.

    Features are orthonormal and numbered in this order, two a pair, then the free ones; x = hV + gain sum_q h_i h_j b_q
    over the pairs that interact, b_q orthonormal to V. See `pair_roles` for which is which, `FrequentPairs` for `each`.
    """
    roles = pair_roles(frequent, together, rare, free)
    firing = FrequentPairs(k, frequent + together, each, free)
    inner = SparseMixture(
        n_true=2 * (frequent + together + rare) + free,
        d=d,
        directions=Orthonormal(),
        firing=firing,
        magnitudes=magnitudes,
        seed=seed,
    )
    return Interactions(replace(inner, **changes), roles["interacting, frequent"] + roles["interacting, rare"], gain)


def pair_roles(frequent: int = 4, together: int = 4, rare: int = 4, free: int = 8) -> dict[str, Pairs]:
    """Pairs of `interacting` by what they do; "neither" pairs features of different pairs and free ones."""
    first, second, last = frequent, frequent + together, frequent + together + rare
    pairs = [(2 * q, 2 * q + 1) for q in range(last)]
    ends = [2 * q for q in range(last)] + list(range(2 * last, 2 * last + free))
    return {
        "interacting, frequent": tuple(pairs[:first]),
        "frequent only": tuple(pairs[first:second]),
        "interacting, rare": tuple(pairs[second:]),
        "neither": tuple(itertools.pairwise(ends)),
    }


@world
def triples(
    count: int = 4, free: int = 4, d: int = 32, k: int = 4, gain: float = 1.5, seed: int = 0, **changes: Any
) -> Interactions:
    """Interactions of order three: features (3q, 3q + 1, 3q + 2) add gain h h h b_q; k of all features fire."""
    inner = SparseMixture(
        n_true=3 * count + free,
        d=d,
        directions=Orthonormal(),
        firing=ExactlyK(k),
        magnitudes=Uniform(1.0, 1.5),
        seed=seed,
    )
    return Interactions(replace(inner, **changes), tuple((3 * q, 3 * q + 1, 3 * q + 2) for q in range(count)), gain)


@world
def logical(
    logic: Literal["and", "xor"] = "and",
    pairs: int = 4,
    free: int = 4,
    d: int = 32,
    rate: float = 0.25,
    gain: float = 1.5,
    seed: int = 0,
    **changes: Any,
) -> Interactions:
    """Binary features, independent; of each pair (2q, 2q + 1), the AND or XOR adds gain b_q."""
    inner = SparseMixture(
        n_true=2 * pairs + free,
        d=d,
        directions=Orthonormal(),
        firing=Independent(Constant(rate)),
        magnitudes=ConstantMagnitude(1.0),
        seed=seed,
    )
    return Interactions(replace(inner, **changes), tuple((2 * q, 2 * q + 1) for q in range(pairs)), gain, logic)
