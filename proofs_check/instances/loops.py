"""Shipped loops against what inductions add up: at random whole numbers and sizes from 9 to 64, without rounding."""

from collections.abc import Callable

from proofs_check.claim import Check, Finding
from proofs_check.kernel.evaluations import SIZES, Draw, Pairs, unequal


def evaluated(shows: str, pairs: Callable[[Draw], Pairs], largest: int = 64) -> Check:
    """Both sides of every pair are the same number, at one draw of each size: a loop cut short of it is seen.

    A polynomial that is not 0 seldom is at such a point; of ranks, maxima and signs this is testing.
    """
    sizes = [(n, d) for n, d in SIZES if n <= largest]

    def run(_: float) -> Finding:
        for n, d in sizes:
            if wrong := unequal(pairs, n, d):
                return Finding("refuted", f"n, d = {n}, {d}: {wrong}")
        return Finding("proved")

    return Check("draws", shows, f"at one draw each of n = {', '.join(str(n) for n, _ in sizes)}", run)
