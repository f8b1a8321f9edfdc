"""Arb: inequalities over boxes of reals, by ball arithmetic and bisection."""

import time
from collections import deque
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from proofs_check.claim import Check, Finding
from proofs_check.engines.need import need
from workbench.theory.ops import Ops

Box = dict[str, tuple[str, str]]
"""unknown -> exact ends, such as {"c": ("1/100", "99/100")}"""
_BITS = 80
_PIECES = 200_000


def positive(shows: str, scope: str, box: Box, value: Callable[..., Any]) -> Check:
    """A function is >= 0 everywhere on a box.

    Each piece is decided by a ball that holds the function's values there: above 0, below 0 (refuted, the piece's
    centre is the witness), or neither, and then halved. A comparison of balls has three values: one that is not
    certainly true is not thereby false.

    Args:
        shows: what is proved, in words.
        scope: the box in words.
        box: exact ends of each unknown; the claim is for all real values between.
        value: (unknowns by name, ops) -> ball.
    """
    return Check("balls", shows, scope, lambda seconds: _decide(box, value, seconds))


def arb_ops() -> Ops:
    """The operations on Arb balls."""
    flint = need("flint", "python-flint")
    arb = flint.arb
    one = arb(1)
    return Ops(
        num=lambda text: _ball(flint, Fraction(text)),
        sqrt=lambda a: a.sqrt(),
        exp=lambda a: a.exp(),
        log=lambda a: a.log(),
        erfc=lambda a: a.erfc(),
        pi=arb.pi(),
        absolute=lambda a: abs(a),
        larger=lambda a, b: one * a if a >= b else one * b if b >= a else (one * a).union(one * b),
        where=lambda condition, then, otherwise: then if condition else (one * then).union(one * otherwise),
        ratio=lambda a, b: a / b,
    )


def _ball(flint: Any, value: Fraction) -> Any:
    return flint.arb(value.numerator) / value.denominator


def _piece(flint: Any, low: Fraction, high: Fraction) -> Any:
    """A ball that holds [low, high]."""
    return _ball(flint, low).union(_ball(flint, high))


def _decide(box: Box, value: Callable[..., Any], seconds: float) -> Finding:
    flint = need("flint", "python-flint")
    before, flint.ctx.prec = flint.ctx.prec, _BITS
    try:
        return _bisect(flint, box, value, seconds)
    finally:
        flint.ctx.prec = before


def _bisect(flint: Any, box: Box, value: Callable[..., Any], seconds: float) -> Finding:
    ops, names = arb_ops(), list(box)
    whole = tuple((Fraction(a), Fraction(b)) for a, b in box.values())
    todo, end, pieces = deque([whole]), time.monotonic() + seconds, 0  # widest pieces first
    while todo:
        ends = todo.popleft()
        pieces += 1
        if time.monotonic() > end or pieces > _PIECES:
            here = ", ".join(f"{n} in [{float(a):.6g}, {float(b):.6g}]" for n, (a, b) in zip(names, ends, strict=True))
            advice = (
                "raise --seconds or narrow the box"
                if pieces <= _PIECES
                else "it comes too near 0 there: narrow the box"
            )
            return Finding("undecided", f"after {pieces} pieces at {here}: {advice}")
        ball = value(**{n: _piece(flint, a, b) for n, (a, b) in zip(names, ends, strict=True)}, ops=ops)
        if ball >= 0:
            continue
        centre = {n: (a + b) / 2 for n, (a, b) in zip(names, ends, strict=True)}
        at = value(**{n: _ball(flint, v) for n, v in centre.items()}, ops=ops)
        if at < 0:
            where = ", ".join(f"{n} = {v}" for n, v in centre.items())
            return Finding("refuted", f"{where}: {float(at.mid()):.6g} < 0")
        widest = max(range(len(ends)), key=lambda i: ends[i][1] - ends[i][0])
        low, high = ends[widest]
        middle = (low + high) / 2
        if low == high:
            return Finding("undecided", "a single point that 80 bits do not separate from 0")
        for half in ((low, middle), (middle, high)):
            todo.append((*ends[:widest], half, *ends[widest + 1 :]))
    return Finding("proved")
