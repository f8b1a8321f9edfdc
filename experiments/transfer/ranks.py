"""Do two scores put the same things in the same order? Kendall's tau, what seeds leave open, and chance."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.stats import rankdata

from synthetic.base.errors import must
from workbench.study.questions import CONFIRMED, REFUTED, UNDECIDED

Parts = Sequence[Float[np.ndarray, "_ _"]]
"""one array a place, a row a thing, a column a seed; larger is better; seeds of a place are paired"""
LEVEL = 0.05
Places = Sequence[Sequence[str]]
"""of each side the names of its places"""


@dataclass(frozen=True)
class Agreement:
    """How far one order of n things predicts another. NaN where an order has nothing but ties."""

    tau: float
    """Kendall's tau-b: 1 for the same order, -1 for the opposite one"""
    low: float
    high: float
    """95 % of resamplings of the seeds give a tau between these; they speak of these n things alone"""
    least: float
    most: float
    """likewise of resamplings of things and seeds: what n other things of their kind might have given"""
    rho: float
    """Spearman's correlation of ranks"""
    p: float
    """share of relabellings of the things with a tau at least as large: chance in the choice of things"""

    @property
    def verdict(self) -> str:
        """On the claim that the orders agree, tau > 0.

        REFUTED where the interval over things and seeds holds no number above 0; CONFIRMED where all of it lies above
        0 and chance reaches tau in at most 5 % of relabellings; else, and where there is no order, UNDECIDED.
        """
        if self.most <= 0:
            return REFUTED
        return CONFIRMED if self.least > 0 and self.p <= LEVEL else UNDECIDED


def kendall(x: Float[np.ndarray, "... n"], y: Float[np.ndarray, "... n"]) -> Float[np.ndarray, "..."]:
    """Kendall's tau-b of paired values, batched: the cosine of the two vectors of signs of differences.

    Source: Kendall (1945), The treatment of ties in ranking problems.
    """
    i, j = np.triu_indices(x.shape[-1], 1)
    a, b = (np.sign(v[..., i] - v[..., j]) for v in (x, y))
    size = np.asarray(np.square(a).sum(-1) * np.square(b).sum(-1))
    return np.divide((a * b).sum(-1), np.sqrt(size), out=np.full_like(size, np.nan), where=size > 0)


def standings(
    parts: Parts, seeds: Sequence[Int[np.ndarray, "*b _"]] | None = None, best: float = -1.0
) -> Float[np.ndarray, "*b n"]:
    """Where n things stand: the mean over places of the rank of the median over seeds, ties sharing their mean rank.

    Args:
        parts: scores.
        seeds: for each place which seeds to use instead of all, with repeats.
        best: -1 ranks the largest first (1 is best); 1 gives ranks that grow with the score.
    """
    ranks = []
    for i, scores in enumerate(parts):
        used = scores if seeds is None else np.moveaxis(scores[:, seeds[i]], 0, -2)
        ranks.append(rankdata(best * np.median(used, -1), axis=-1))
    return np.mean(ranks, 0)


def agreement(
    first: Parts, second: Parts, rng: torch.Generator, draws: int = 5000, places: Places | None = None
) -> Agreement:
    """Compare the standings of the same n things, by two scores that may stem from different places and seeds.

    Args:
        first: scores, n things a row.
        second: likewise.
        rng: of the resampled seeds and the relabelled things.
        draws: of each.
        places: names of the places of each side, whose seeds are drawn once a name; all differ where None.
    """
    _check(first, second)
    x, y = (standings(parts, best=1.0) for parts in (first, second))
    tau = float(kendall(x, y))
    intervals = _intervals((first, second), kendall, rng, draws, places)
    rho = float(np.corrcoef(rankdata(x), rankdata(y))[0, 1]) if np.isfinite(tau) else float("nan")
    return Agreement(tau, *intervals, rho, _share(kendall(x, y[_orders(len(y), rng, draws)]), tau))


def added(
    first: Parts, known: Parts, second: Parts, rng: torch.Generator, draws: int = 5000, places: Places | None = None
) -> Agreement:
    """What `first` says of the order by `second` beyond what `known` says: Kendall's partial tau, Spearman's likewise.

    tau_xy.z = (tau_xy - tau_xz tau_yz) / sqrt((1 - tau_xz²)(1 - tau_yz²)). Relabellings move `first` alone, so chance
    is that of a score that has to do with neither.

    Source: Kendall (1942), Partial rank correlation.
    """
    _check(first, known, second)
    x, z, y = (standings(parts, best=1.0) for parts in (first, known, second))

    def beyond(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
        return _partial(kendall(a, c), kendall(a, b), kendall(b, c))

    tau = float(beyond(x, z, y))
    intervals = _intervals((first, known, second), beyond, rng, draws, places)
    r = np.corrcoef([rankdata(v) for v in (x, z, y)]) if np.isfinite(tau) else np.full((3, 3), np.nan)
    moved = x[_orders(len(x), rng, draws)]
    rho = float(_partial(*map(np.asarray, (r[0, 2], r[0, 1], r[1, 2]))))
    return Agreement(tau, *intervals, rho, _share(beyond(moved, z, y), tau))


def family_p(
    firsts: Sequence[Parts], seconds: Sequence[Parts], rng: torch.Generator, draws: int = 5000
) -> Float[np.ndarray, "a b"]:
    """For each pair of scores, the share of relabellings whose largest tau over all pairs is at least as large.

    Relabellings move things under all of `seconds` at once, so that what scores have in common stays: a p that may be
    read beside any other of the family.

    Source: Westfall and Young (1993), single-step max-T.
    """
    x, y = (np.stack([standings(parts, best=1.0) for parts in side]) for side in (firsts, seconds))
    moved = y[:, _orders(y.shape[-1], rng, draws)]
    largest = np.full(draws, -1.0)
    for standing in x:
        largest = np.fmax(largest, np.fmax.reduce(kendall(standing, moved)))
    tau = kendall(x[:, None], y)
    return np.where(np.isfinite(tau), (1 + (largest[:, None, None] >= tau - 1e-9).sum(0)) / (1 + draws), np.nan)


def seeds_agree(parts: Parts) -> float:
    """Mean tau between the orders that two seeds of one place give: what a single seed's order is worth."""
    taus = []
    for scores in parts:
        i, j = np.triu_indices(scores.shape[1], 1)
        taus.append(kendall(scores.T[i], scores.T[j]))
    every = np.concatenate(taus)
    return float(np.nanmean(every)) if np.isfinite(every).any() else float("nan")


def _check(*sides: Parts) -> None:
    lengths = {len(scores) for parts in sides for scores in parts}
    must(len(lengths) == 1, "ranks.scores", "of the same things", f"{sorted(lengths)} of them", "drop the others")
    must(min(lengths) >= 3, "ranks.scores", "of at least 3 things", min(lengths), "add some")


def _resampled(sides: Sequence[Parts], places: Places, rng: torch.Generator, draws: int) -> list[list[np.ndarray]]:
    """Seeds with replacement for each place, the same for all things and sides: they share data and initial weights."""
    drawn: dict[str, np.ndarray] = {}
    for parts, names in zip(sides, places, strict=True):
        for scores, name in zip(parts, names, strict=True):
            if name not in drawn:
                drawn[name] = torch.randint(scores.shape[1], (draws, scores.shape[1]), generator=rng).numpy()
    return [[drawn[name] for name in names] for names in places]


def _intervals(
    sides: Sequence[Parts], tau: Callable[..., np.ndarray], rng: torch.Generator, draws: int, places: Places | None
) -> tuple[float, float, float, float]:
    """Ends of the interval over seeds, then of that over things and seeds."""
    if places is None:
        places = [[f"{side}/{i}" for i in range(len(parts))] for side, parts in enumerate(sides)]
    seeds = _resampled(sides, places, rng, draws)
    drawn = [standings(parts, chosen, 1.0) for parts, chosen in zip(sides, seeds, strict=True)]
    n = drawn[0].shape[-1]
    some = torch.randint(n, (draws, n), generator=rng).numpy()
    again = [np.take_along_axis(standing, some, -1) for standing in drawn]
    return *_middle(tau(*drawn)), *_middle(tau(*again))


def _orders(n: int, rng: torch.Generator, draws: int) -> Int[np.ndarray, "draws n"]:
    return torch.rand(draws, n, generator=rng, dtype=torch.float64).argsort(-1).numpy()


def _middle(taus: Float[np.ndarray, " draws"]) -> tuple[float, float]:
    """Where 95 % of draws lie; NaN where more than a tenth of them know no order."""
    known = taus[np.isfinite(taus)]
    if len(known) < 0.9 * len(taus):
        return float("nan"), float("nan")
    low, high = np.quantile(known, (0.025, 0.975))
    return float(low), float(high)


def _share(chance: Float[np.ndarray, " draws"], tau: float) -> float:
    """Share of draws that reach tau, tau itself counted as one; NaN without tau."""
    return float((1 + (chance >= tau - 1e-9).sum()) / (1 + len(chance))) if np.isfinite(tau) else float("nan")


def _partial(
    xy: Float[np.ndarray, "..."], xz: Float[np.ndarray, "..."], yz: Float[np.ndarray, "..."]
) -> Float[np.ndarray, "..."]:
    rest = np.asarray((1 - np.square(xz)) * (1 - np.square(yz))).clip(0)
    return np.divide(xy - xz * yz, np.sqrt(rest), out=np.full_like(rest, np.nan), where=rest > 1e-12)
