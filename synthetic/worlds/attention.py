"""Worlds of attention layers' outputs."""

from typing import Any

from synthetic.attention import PlantedAttention
from synthetic.source import world


@world
def planted_attention(
    n_true: int = 32, heads: int = 8, d_head: int = 8, rate: float = 1 / 16, seed: int = 0, **changes: Any
) -> PlantedAttention:
    """Outputs z of 8 attention heads with 32 features, each written by one to three heads; see `PlantedAttention`."""
    return PlantedAttention(heads=heads, d_head=d_head, n_true=n_true, rate=rate, seed=seed, **changes)
