"""Where a curve crosses a level, and whether curves that shift with size collapse once rescaled; places among ticks."""

import math
from collections.abc import Sequence

import numpy as np


def crossing(x: Sequence[float | int], y: Sequence[float | int], level: float) -> float:
    """First x at which y passes the level, either way, by lines in log x between points; NaN where it never does.

    Args:
        x: positions, ascending, at least 0; linear in x from a first one of 0.
        y: values.
        level: between two of them.
    """
    for (x0, y0), (x1, y1) in zip(zip(x, y, strict=True), zip(x[1:], y[1:], strict=False), strict=False):
        if (y0 - level) * (y1 - level) <= 0 and y0 != y1:
            low, high = math.log(max(x0, 1e-300)), math.log(x1)
            share = (level - y0) / (y1 - y0)
            return math.exp(low + share * (high - low)) if x0 > 0 else x1 * share
    return math.nan


def exponent(size: Sequence[float | int], place: Sequence[float | int]) -> float:
    """Slope of log place on log size by least squares; NaN with fewer than two finite places.

    0 where the transition stands still, a where place / size^a collapses.
    """
    known = [(math.log(s), math.log(p)) for s, p in zip(size, place, strict=True) if math.isfinite(p) and p > 0]
    if len(known) < 2:
        return math.nan
    mean_x, mean_y = (sum(v[i] for v in known) / len(known) for i in (0, 1))
    return sum((a - mean_x) * (b - mean_y) for a, b in known) / sum((a - mean_x) ** 2 for a, _ in known)


def tick_place(ticks: Sequence[float | int], value: float | int) -> float:
    """Where a value stands among ascending ticks, on their logarithms; beyond the ends by the last spacing."""
    logs = np.log(np.asarray(ticks, dtype=float))
    at = np.log(value)
    if len(logs) == 1:
        return float(at - logs[0])
    i = int(np.clip(np.searchsorted(logs, at) - 1, 0, len(logs) - 2))
    return float(i + (at - logs[i]) / (logs[i + 1] - logs[i]))
