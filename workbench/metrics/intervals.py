"""Intervals of shares and of their differences, from counts; 95 %."""

import torch
from jaxtyping import Float
from torch import Tensor

from workbench.ratios import ratio

Z = 1.959963984540054
"""of 95 %"""


def wilson(hits: Float[Tensor, " n"], trials: Float[Tensor, " n"]) -> tuple[Tensor, Tensor]:
    """Ends of Wilson's interval of a share; [0, 1] without trials.

    Source: Wilson (1927).
    """
    share = ratio(hits, trials, 0.5)
    weight = ratio(torch.full_like(trials, Z**2), trials, torch.inf)
    centre = torch.where(trials > 0, (share + weight / 2) / (1 + weight), 0.5)
    spread = torch.where(trials > 0, (weight * (share * (1 - share) + weight / 4)).sqrt() / (1 + weight), 0.5)
    return (centre - spread).clamp_min(0), (centre + spread).clamp_max(1)


def newcombe(
    hits: Float[Tensor, " n"], trials: Float[Tensor, " n"], hits2: Float[Tensor, " n"], trials2: Float[Tensor, " n"]
) -> tuple[Tensor, Tensor]:
    """Ends of Newcombe's interval of hits / trials - hits2 / trials2, from the two Wilson intervals.

    Source: Newcombe (1998), method 10.
    """
    one, two = ratio(hits, trials, 0.5), ratio(hits2, trials2, 0.5)
    (low, high), (low2, high2) = wilson(hits, trials), wilson(hits2, trials2)
    down, up = torch.hypot(one - low, high2 - two), torch.hypot(high - one, two - low2)
    return one - two - down, one - two + up
