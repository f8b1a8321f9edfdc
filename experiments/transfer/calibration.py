"""Bring a variant whose sparsity is set by a penalty or a threshold to a wanted L0, one training after another."""

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from synthetic.base.errors import must
from synthetic.base.storage import write_text
from workbench.sae import SAE, must_be_single

Tried = list[tuple[float, float]]
"""settings tried and the L0 each gave"""


def calibrated(
    l0_at: Callable[[float], float],
    target: float,
    first: float,
    *,
    trials: int = 5,
    close: float = 0.05,
    path: Path | None = None,
) -> Tried:
    """Try values of a setting that L0 falls with until one gives L0 within exp(+-close) of the target.

    Args:
        l0_at: trains with a value and measures the L0.
        target: L0 wanted, above 0.
        first: the value to begin with, above 0.
        trials: most values to try.
        close: |log(L0 / target)| to stop at.
        path: file of what was tried, read first where it exists, so that a stop loses one training.

    Returns:
        All that was tried, in order; `nearest` picks from it.
    """
    must(target > 0, "calibrated.target", "above 0", target, "raise it")
    must(first > 0 and trials >= 1, "calibrated.first, trials", "above 0", (first, trials), "raise them")
    tried: Tried = []
    if path is not None and path.exists():
        tried = [(value, l0) for value, l0 in json.loads(path.read_text())]
    while not tried or (len(tried) < trials and miss(nearest(tried, target), target) > close):
        value = next_value(tried, target) if tried else first
        tried.append((value, l0_at(value)))
        if path is not None:
            write_text(path, json.dumps(tried))
    return tried


@torch.no_grad()
def mean_l0(sae: SAE, x: Float[Tensor, "n d"]) -> float:
    """Mean active latents of a single SAE on raw activations."""
    must_be_single(sae, "mean_l0.sae")
    return float((sae.encode(x) != 0).sum(-1).float().mean())


def nearest(tried: Sequence[tuple[float, float]], target: float) -> tuple[float, float]:
    """The value whose L0 is nearest to the target in log L0, and that L0."""
    return min(tried, key=lambda pair: miss(pair, target))


def miss(pair: tuple[float, float], target: float) -> float:
    """|log(L0 / target)|, an L0 below .001 counted as that."""
    return abs(math.log(max(pair[1], 1e-3) / target))


def next_value(tried: Sequence[tuple[float, float]], target: float) -> float:
    """Where a straight line in log L0 against log value, between the values next to the target, meets it.

    Beyond the values tried the last one is doubled or halved; between them the step keeps 15 % away from either.
    """
    many = [pair for pair in tried if pair[1] > target]
    few = [pair for pair in tried if pair[1] <= target]
    if not few:
        return max(many)[0] * 2
    if not many:
        return min(few)[0] / 2
    low = max(many)
    high = min([pair for pair in few if pair[0] > low[0]] or few)
    share = math.log(low[1] / target) / math.log(low[1] / max(high[1], 1e-3))
    return low[0] * (high[0] / low[0]) ** min(max(share, 0.15), 0.85)
