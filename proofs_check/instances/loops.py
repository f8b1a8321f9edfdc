"""Shipped loops against what inductions add up: at random whole numbers and sizes from 9 to 64, without rounding."""

from collections.abc import Callable

from proofs_check.claim import Check, Finding
from proofs_check.kernel.evaluations import Draw, Line, Pairs


def loops(shows: str, pairs: Callable[[Draw], Pairs]) -> Check:
    """Both sides of every pair are the same number; a polynomial that is not 0 seldom is at such a point."""

    def run(seconds: float) -> Finding:
        wrong = Line(shows, pairs).differences()
        return Finding("refuted", wrong[0]) if wrong else Finding("proved")

    return Check("exact", shows, "n, d from 9 to 64", run)
