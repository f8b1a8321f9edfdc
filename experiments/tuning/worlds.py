"""Worlds of the study, and the samples that SAEs are trained on there."""

from typing import Any

import torch

from synthetic import Forest, Independent, LowRankCopula, PerFeature, SparseMixture, StretchedZipf
from synthetic.rows import ArrayRows, rows
from synthetic.source import training_batch
from workbench import find_source, variant_shelf

_FEW = StretchedZipf(exponent=0.5, high=0.2, low=5e-3)
_MORE = StretchedZipf(exponent=0.5, high=0.4, low=2e-2)
LAWS = {
    "flat": Independent(_FEW),
    "trees": Forest(
        Independent(_MORE),
        trees=12,
        branching=4,
        depth=2,
        exclusive=True,
        scale_by_parent=True,
        compensation="synthsaebench",
    ),
    "correlated": LowRankCopula(_FEW, rank=8, scale=0.3),
}
"""firing of 256 features in 64 dimensions"""
SHELF = ("superposition", "hierarchical", "noisy")
"""worlds of the shelf that every variant is also trained on"""
BLOCK = 8192


def world(name: str, seed: int) -> Any:
    """A world of `LAWS` or of the shelf, drawn from a seed."""
    if name in LAWS:
        magnitudes = PerFeature(5.0, 4.0, 0.5, 0.5)
        return SparseMixture(n_true=256, d=64, firing=LAWS[name], magnitudes=magnitudes, bias_norm=0.5, seed=seed)
    return find_source(name, seed=seed)


def latents(source: SparseMixture) -> int:
    """As many as features where these are 256, twice as many on the shelf."""
    return source.n_true if source.n_true == 256 else 2 * source.n_true


def samples(source: SparseMixture, n: int, seed: int) -> ArrayRows:
    """The first n samples of a world, each of which is seen once by all who are trained on them."""
    steps = range(-(-n // BLOCK))
    found: Any = rows(torch.cat([training_batch(source, BLOCK, seed, i, torch.device("cpu"))[0] for i in steps])[:n])
    return found


def aims(variant: str, source: SparseMixture) -> dict[str, Any]:
    """Settings with which a variant aims at E[L0] of a world: its k, rounded where that is whole, or its target."""
    l0 = float(source.truth.expected_l0)
    defaults = variant_shelf()[variant].defaults
    values = {"k": round(l0) if isinstance(defaults.get("k"), int) else l0, "target_l0": l0}
    return {name: value for name, value in values.items() if name in defaults}
