"""Shipped sums against their definitions beyond the sizes of drawn instances, at whole numbers and without rounding."""

from collections.abc import Callable

from proofs_check.claim import Check, Finding
from proofs_check.kernel.evaluations import SIZES, Draw, Pairs


def evaluated(of: str, pairs: Callable[[Draw], Pairs], largest: int = 64) -> Check:
    """Each pair of a shipped value and its definition is equal, at a random draw of each size up to the largest."""
    sizes = [(n, d) for n, d in SIZES if n <= largest]

    def run(_: float) -> Finding:
        count = 0
        for n, d in sizes:
            for value, wanted in pairs(Draw(n, d, 0)):
                count += 1
                if value != wanted:
                    return Finding("refuted", f"n, d = {n}, {d}: {str(value)[:40]} against {str(wanted)[:40]}")
        return Finding("proved") if count else Finding("undecided", "no pair to compare")

    return Check("exact", f"{of}, as defined", f"n = {', '.join(str(n) for n, _ in sizes)}", run)
