"""Proofs by exact arithmetic on whole numbers and rational matrices."""

from collections.abc import Callable, Iterable
from typing import Any

import sympy

from proofs_check.claim import Check, Finding

Cases = Callable[[], Iterable[tuple[str, Any, Any]]]
"""() -> (case in words, value, what it must be), all exact"""


def exact(shows: str, scope: str, cases: Cases) -> Check:
    """Every value is what it must be; the first that is not is the witness."""

    def run(seconds: float) -> Finding:
        count = 0
        for name, value, wanted in cases():
            count += 1
            if sympy.simplify(sympy.sympify(value) - sympy.sympify(wanted)) != 0:
                return Finding("refuted", f"{name}: {value} against {wanted}")
        return Finding("proved") if count else Finding("undecided", "no case")

    return Check("exact", shows, scope, run)


def rational_orthonormal(t: Any) -> list[list[Any]]:
    """All rotations of the plane but one, [[c, -s], [s, c]] with c = (1 - t²)/(1 + t²), s = 2t/(1 + t²)."""
    c, s = (1 - t * t) / (1 + t * t), 2 * t / (1 + t * t)
    return [[c, -s], [s, c]]
