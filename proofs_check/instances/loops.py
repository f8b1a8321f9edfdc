"""Shipped loops against what inductions add up: at random whole numbers and sizes from 9 to 64, without rounding."""

from collections.abc import Callable

from proofs_check.claim import Check, Finding
from proofs_check.kernel.evaluations import SIZES, Draw, Pairs


def evaluated(shows: str, pairs: Callable[[Draw], Pairs], largest: int = 64) -> Check:
    """Both sides of every pair are the same number, at one draw of each size: a loop cut short of it is seen.

    A polynomial that is not 0 seldom is at such a point; of ranks, maxima and signs this is testing.
    """
    sizes = [(n, d) for n, d in SIZES if n <= largest]

    def run(_: float) -> Finding:
        count = 0
        for n, d in sizes:
            for value, wanted in pairs(Draw(n, d, 0)):
                count += 1
                if value != wanted:
                    return Finding("refuted", f"n, d = {n}, {d}: {str(value)[:40]} against {str(wanted)[:40]}")
        return Finding("proved") if count else Finding("undecided", "no pair to compare")

    return Check("draws", shows, f"at one draw each of n = {', '.join(str(n) for n, _ in sizes)}", run)
