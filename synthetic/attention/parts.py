"""Parts of a planted attention layer: who writes a feature, causal patterns, mixings, and sequences with all parts."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Attended:
    """Sequences of a planted layer with all their parts, float64: z = concatenation over heads of A_h v_h = h V."""

    patterns: Float[Tensor, "heads t t"]
    """A_h(destination, source), causal rows that sum to 1: the same in every sequence"""
    values: Float[Tensor, "n heads t d_head"]
    """v_h(source)"""
    z: Float[Tensor, "n t d"]
    """concatenated heads, before any mixing"""
    x: Float[Tensor, "n t d"]
    """what the world shows of it"""
    h: Float[Tensor, "n t n_true"]
    """coefficients of the planted directions in z"""


def writer_sets(
    n_true: int, heads: int, patterns: int, split: Sequence[float], rng: torch.Generator
) -> Bool[Tensor, "n_true heads"]:
    """The owner of feature i, head i mod heads, and others of its pattern at random, as many as `split` says.

    Shares are counted off along the features, so that every owner has the same mix.
    """
    features = torch.arange(n_true)
    place = ((features // heads + 0.5) * heads / n_true).clamp_max(1 - 1e-9)
    steps = torch.tensor(split, dtype=torch.float64).cumsum(0)[:-1]
    count = 1 + (place[:, None] > steps).sum(1)
    keys = torch.rand(n_true, heads, generator=rng)
    keys[(features % heads % patterns)[:, None] != torch.arange(heads) % patterns] = 2.0
    keys[features, features % heads] = -1.0
    return keys.argsort(1).argsort(1) < count[:, None]


def causal_patterns(count: int, length: int, sources: int, rng: torch.Generator) -> Float[Tensor, "count t t"]:
    """Rows that sum to 1 over `sources` random positions up to their own (all of them where there are fewer)."""
    scores, keys = torch.randn(2, count, length, length, generator=rng, dtype=torch.float64)
    future = torch.ones(length, length).triu(1) > 0
    rank = keys.masked_fill(future, -math.inf).argsort(-1, descending=True).argsort(-1)
    return scores.masked_fill(future | (rank >= sources), -math.inf).softmax(-1)


def conditioned(d: int, condition: float, rng: torch.Generator) -> Float[Tensor, "d d"]:
    """A random matrix of this condition number, singular values on a log scale, their mean square 1."""
    left, right = torch.linalg.qr(torch.randn(2, d, d, generator=rng, dtype=torch.float64)).Q
    values = condition ** -torch.linspace(0, 1, d, dtype=torch.float64)
    return left * (values / values.square().mean().sqrt()) @ right
