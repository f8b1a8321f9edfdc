"""Worlds whose latents are steered by actions."""

from typing import Any

from synthetic.actions import Interventions
from synthetic.source import world


@world
def interventions(d: int = 10, zero: float = 0.0, seed: int = 0, **changes: Any) -> Interventions:
    """Two dense latents that actions steer linearly, and an outcome confounded with their noise."""
    return Interventions(d=d, zero=zero, seed=seed, **changes)
