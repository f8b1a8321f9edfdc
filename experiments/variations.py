"""A world varied along one axis at a time: sparsity, superposition, noise."""

from dataclasses import dataclass, replace
from typing import Any

from synthetic.laws.noise import Isotropic, NoNoise

NOISE_DB = (10.0, 0.0)
"""signal-to-noise ratios of the noise axis, after none"""


@dataclass(frozen=True)
class Place:
    """A world and where it stands on its axis."""

    label: str
    world: Any
    axis: str = "samples"
    x: float | None = None
    """position on the axis; None where it is the world's E[L0]"""


def places(world: Any, axes: tuple[str, ...]) -> list[Place]:
    """The base world, then its variations.

    "sparsity": every rate times 1/4 and 2; "superposition": n_true/d of 1, 3 and 4, by changing d; "noise": isotropic,
    at position 1, 2, ... of `NOISE_DB`, for worlds without noise of their own.
    """
    found = [Place("base", world)]
    if "sparsity" in axes:
        for factor in (0.25, 2.0):
            changed = replace(world, firing=world.firing.scaled(factor))
            found.append(Place(f"sparsity-{factor:g}", changed, "sparsity"))
    if "superposition" in axes:
        for ratio in (1.0, 3.0, 4.0):
            d = max(2, round(world.n_true / ratio))
            found.append(Place(f"superposition-{ratio:g}", replace(world, d=d), "superposition", world.n_true / d))
    if "noise" in axes and isinstance(world.noise, NoNoise):
        for position, snr in enumerate(NOISE_DB, 1):
            noisy = replace(world, noise=Isotropic(snr_db=snr))
            found.append(Place(f"noise-{snr:g}dB", noisy, "noise", float(position)))
    return found


def feasible(found: list[Place], asked: tuple[str, ...]) -> tuple[list[Place], list[str]]:
    """Places whose worlds can be drawn, and a line for each that cannot.

    Raises:
        ValueError: a world on an axis in `asked` cannot be drawn.
    """
    kept, lines = found[:1], []
    for place in found[1:]:
        try:
            _ = place.world.tensors
        except ValueError as error:
            if place.axis in asked:
                raise
            lines.append(f"left out {place.label}: {error}")
        else:
            kept.append(place)
    return kept, lines
