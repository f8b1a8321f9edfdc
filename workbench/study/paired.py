"""Comparisons of two arms that share seeds: intervals of the mean difference, what they say, where they change sign."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.stats import t as student

from synthetic.base.errors import must

CONFIRMED, REFUTED, UNDECIDED = "CONFIRMED", "REFUTED", "UNDECIDED"


@dataclass(frozen=True)
class Interval:
    """A 95 % interval of a mean, from low to high; printed as mean ± half."""

    mean: float
    half: float

    @property
    def low(self) -> float:
        """Lower end."""
        return self.mean - self.half

    @property
    def high(self) -> float:
        """Upper end."""
        return self.mean + self.half

    def __str__(self) -> str:
        return f"{self.mean:+.3f} ± {self.half:.3f}"


def interval(differences: Sequence[float] | Float[np.ndarray, " n"]) -> Interval:
    """Student's interval of the mean: its half-width is t_{.975, n-1} sd / sqrt(n).

    Args:
        differences: one a seed, such as score of one arm minus that of another; at least 2.

    Source: Student (1908). Of no width where all seeds agree: it then speaks of these seeds alone.
    """
    values = np.asarray(differences, dtype=np.float64)
    must(len(values) >= 2, "interval.differences", "at least 2", len(values), "a paired interval needs two seeds")
    half = student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values))
    return Interval(float(values.mean()), float(half))


def verdict(intervals: Iterable[Interval]) -> str:
    """On the claim that every mean is above 0: CONFIRMED, REFUTED by an interval without a number above 0, or neither.

    With several intervals CONFIRMED is the cautious side: each must lie above 0 on its own.
    """
    found = list(intervals)
    must(found, "verdict.intervals", "at least one", "none", "compare with something")
    if any(one.high <= 0 for one in found):
        return REFUTED
    return CONFIRMED if all(one.low > 0 for one in found) else UNDECIDED


def sign_change(x: Sequence[float], intervals: Sequence[Interval]) -> tuple[float, float, float]:
    """Where the mean last rises through 0 to stay above it, by straight lines, and where the upper and lower end do.

    The last two enclose the place: beyond the second of them the intervals lie above 0, and short of the first at least
    one of them lies under 0. The first x where a line is above 0 all along, NaN where it ends at 0 or below.
    """

    def rise(y: list[float]) -> float:
        low = [i for i, value in enumerate(y) if value <= 0]
        if not low:
            return x[0]
        i = low[-1]
        return math.nan if i == len(y) - 1 else x[i] + (x[i + 1] - x[i]) * y[i] / (y[i] - y[i + 1])

    return rise([one.mean for one in intervals]), rise([i.high for i in intervals]), rise([i.low for i in intervals])
