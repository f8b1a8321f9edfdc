"""The least of the theorem's limits of frequency: what the claims on its window share."""

import math
from typing import Any

from proofs_check.engines import smt, symbolic
from workbench.theory import bias as theory


def log_limits(limits: Any, n: float) -> tuple[float, float]:
    """Log_n of the lower limit, and of the least upper one."""
    return math.log(limits.lower) / math.log(n), min(map(math.log, limits[1:])) / math.log(n)


def _powers(symbols, ops):
    """Limits as powers of n."""
    log, d, s, eps, c = symbols("log d s eps c", positive=True)
    n = ops.exp(log)
    limits = theory.frequency_limits(n, d, s, eps=eps, varsigma=c, ops=ops)
    yield from zip((-ops.log(p) / log for p in limits[1:3]), theory.upper_exponents(s, eps), strict=True)
    yield ops.log(limits.lower) / log, ops.num("-1")


def _least(unknowns, ops):
    """Log_n of the three upper limits, the third any number, against log_n of the lower one, -1."""
    s, eps, third = unknowns("s eps third")
    first, second = theory.upper_exponents(s, eps)
    least = ops.smaller(ops.smaller(-first, -second), third)
    return [s >= 1, eps >= 0], [least + 1 <= theory.window(s, eps, ops=ops)]


LEAST_LIMIT = (
    symbolic.identity("log_n of the limits", "all n, d, s, ε, ς", _powers),
    smt.implies("the least is within the window", "all s ≥ 1, ε ≥ 0, any third limit", _least),
)
