"""Parts of a conclusion beyond one comparison: quantifiers, probabilities, rates, laws, equality up to symmetry."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import torch
from scipy.optimize import linear_sum_assignment
from scipy.stats import beta
from torch import Tensor

from proofs_check.claim import Relation, at_most, equal
from synthetic.base.errors import must
from synthetic.base.streams import stream

LEVEL = 1e-9
"""chance that a statistical part calls a true statement false"""


def forall(candidates: Iterable[Any], part: Callable[[Any], Relation]) -> Relation:
    """The relation for every candidate: a support, a sign pattern, a unit vector."""
    found = [part(candidate) for candidate in candidates]
    must(found, "forall.candidates", "some", "none", "give one at least: of none everything holds")
    sides = {name: torch.cat([getattr(one, name) for one in found]) for name in ("measured", "bound", "unit")}
    return replace(found[0], **sides)


def exists(candidates: Iterable[Any], part: Callable[[Any], Relation]) -> Relation:
    """The relation for the candidate that comes nearest to it: it holds where it holds for one."""
    found = [part(candidate) for candidate in candidates]
    must(found, "exists.candidates", "some", "none", "give one at least")
    return max(found, key=lambda one: float(one.margin.min()))


def probability_at_most(events: Sequence[bool] | Tensor, bound: float, *, level: float = LEVEL) -> Relation:
    """P(event) <= bound, by independent trials: the lower end of Clopper and Pearson's interval stays below.

    A true statement is called false with a chance of `level` at the most; `detectable` says what would be seen.
    """
    seen = torch.as_tensor(events, dtype=torch.bool)
    return at_most(_lower(int(seen.sum()), seen.numel(), level), bound)


def detectable(trials: int, bound: float, *, level: float = LEVEL) -> float:
    """The power of `probability_at_most`: a rate of events from here on refutes it."""
    least = next((count for count in range(trials + 1) if _lower(count, trials, level) > bound), math.inf)
    return least / trials


def _lower(count: int, trials: int, level: float) -> float:
    must(trials > 0, "probability_at_most.events", "one trial at least", 0, "draw some")
    return float(beta.ppf(level, count, trials - count + 1)) if count else 0.0


def interval(count: int, trials: int, level: float = 0.05) -> tuple[float, float]:
    """Clopper and Pearson's of a rate, from its events among independent trials; it misses with a chance of `level`."""
    low = _lower(count, trials, level / 2)
    return low, 1 - _lower(trials - count, trials, level / 2)


def slope_is(sizes: Sequence[float], values: Sequence[float], slope: float, *, within: float) -> Relation:
    """The values go as sizes^slope: least squares through their logarithms, at four sizes or more."""
    must(len(set(sizes)) >= 4, "slope_is.sizes", "four or more different ones", list(sizes), "add some")
    positive = min(*sizes, *values) > 0
    must(positive, "slope_is.values", "above 0, as sizes", min(*sizes, *values), "a rate is of positive figures")
    x, y = (torch.tensor(v, dtype=torch.float64).log() for v in (sizes, values))
    fitted = ((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum()
    return at_most((fitted - slope).abs(), within)


def same_law(one: Tensor, other: Tensor, *, level: float = LEVEL, directions: int = 64) -> Relation:
    """Independent samples (n, d) and (m, d) have one law: their distribution functions agree along random directions.

    By the inequality of Dvoretzky, Kiefer, Wolfowitz and Massart a true statement is called false with a chance of
    `level` at the most. The bound is the smallest distance of distribution functions that is seen.
    """
    one, other = (torch.as_tensor(v, dtype=torch.float64) for v in (one, other))
    rng = stream(0, "same_law")
    along = torch.randn(one.shape[1], directions, generator=rng, dtype=torch.float64)
    tail = math.sqrt(math.log(4 * directions / level) / 2)
    a, b = ((v @ along).T.sort(1).values.contiguous() for v in (one, other))
    both = torch.cat((a, b), 1)
    share = [torch.searchsorted(v, both, right=True) / v.shape[1] for v in (a, b)]
    distance = (share[0] - share[1]).abs().amax(1)
    return at_most(distance, tail * (len(one) ** -0.5 + len(other) ** -0.5))


def same_up_to(one: Tensor, other: Tensor, *symmetries: str) -> Relation:
    """Rows are the same up to symmetries among "permutation", "sign" and "scale": of the best match, row by row."""
    known = ("permutation", "sign", "scale")
    must(set(symmetries) <= set(known), "same_up_to.symmetries", f"among {known}", symmetries, "choose of these")
    must(
        one.shape == other.shape, "same_up_to.other", f"of shape {tuple(one.shape)}", tuple(other.shape), "compare such"
    )
    a, b = (torch.as_tensor(v, dtype=torch.float64) for v in (one, other))
    size = torch.maximum(a.norm(dim=1).max(), b.norm(dim=1).max())
    if "scale" in symmetries:
        a, b = (v / v.norm(dim=1, keepdim=True).clamp_min(1e-300) for v in (a, b))
        size = a.new_ones(())
    distance = torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")
    if "sign" in symmetries:
        distance = torch.minimum(distance, torch.cdist(a, -b, compute_mode="donot_use_mm_for_euclid_dist"))
    matched = distance.diagonal()
    if "permutation" in symmetries:
        matched = distance[linear_sum_assignment(distance.numpy())]
    return equal(matched, 0.0, unit=size if float(size) > 0 else 1.0)
