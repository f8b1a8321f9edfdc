"""SymPy: identities between exact expressions."""

import itertools
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import sympy

from proofs_check.claim import Check, Finding
from workbench.theory.ops import Ops


def _where(condition: Any, then: Any, otherwise: Any) -> Any:
    if isinstance(condition, bool):
        raise TypeError(f"a condition must be a relation; got {condition}: write sympy.Eq, since == compares the form")
    return sympy.Piecewise((then, condition), (otherwise, True))


SYMPY = Ops(
    num=sympy.Rational,
    sqrt=sympy.sqrt,
    exp=sympy.exp,
    log=sympy.log,
    log1p=lambda a: sympy.log(1 + a),
    sin=sympy.sin,
    erfc=sympy.erfc,
    pi=sympy.pi,
    abs=sympy.Abs,
    larger=sympy.Max,
    smaller=sympy.Min,
    where=_where,
    ratio=lambda a, b: a / b,
)
"""exact expressions"""

Sides = Callable[[Callable[..., Any], Ops], Iterable[tuple[Any, Any]]]
"""(symbols, ops) -> pairs that must be equal; `symbols("x:3", positive=True)` as SymPy's, real unless said otherwise"""
_TRIALS = (2, 3, sympy.Rational(1, 2), 5, sympy.Rational(1, 3), 7)


def identity(shows: str, scope: str, sides: Sides) -> Check:
    """Every pair of exact expressions is equal, for all values of their symbols at which both are defined.

    The difference must cancel to 0 as a rational function, or simplify to 0; floats are refused, and what divides by an
    expression that is 0 for all values. A pair that does not cancel is refuted by small numbers at which the sides
    differ, else left undecided. Write sympy.Eq for a condition: == between expressions compares their form.
    """

    def run(seconds: float) -> Finding:
        try:
            with _within(seconds):
                return _decide(sides)
        except _OutOfTime:
            return Finding("undecided", f"no simplification in {seconds:g} s: raise --seconds or split the identity")

    return Check("symbolic", shows, scope, run)


class _OutOfTime(BaseException):
    """SymPy has used its time; no Exception, which it might catch."""


@contextmanager
def _within(seconds: float) -> Iterator[None]:
    """Interrupt the block after some seconds, where the system and the thread allow it."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def leave(*_: object) -> None:
        raise _OutOfTime

    before = signal.signal(signal.SIGALRM, leave)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _decide(sides: Sides) -> Finding:
    def symbols(names: str, **assumed: Any) -> Any:
        return sympy.symbols(names, **{"real": True, **assumed})

    pairs = [(sympy.sympify(left), sympy.sympify(right)) for left, right in sides(symbols, SYMPY)]
    if not pairs:
        return Finding("undecided", "no pair to compare")
    for left, right in pairs:
        if left.atoms(sympy.Float) | right.atoms(sympy.Float):
            return Finding("undecided", f"a float in {left} = {right}: use ops.num for constants")
        nowhere = next((p.base for p in left.atoms(sympy.Pow) | right.atoms(sympy.Pow) if _by_zero(p)), None)
        if nowhere is not None:
            return Finding("undecided", f"{left} = {right} is defined nowhere: {nowhere} is 0 for all values")
        difference = left - right
        if sympy.cancel(sympy.together(difference)) == 0:
            continue
        witness = _witness(left, right)
        if witness:
            return Finding("refuted", witness)
        if sympy.simplify(difference) != 0:
            return Finding("undecided", f"{left} = {right} does not simplify")
    return Finding("proved")


def _by_zero(power: Any) -> bool:
    """Whether a power is a division by what is 0 for all values."""
    if not power.exp.is_negative:
        return False
    free = sorted(power.base.free_symbols, key=lambda s: s.name)
    at = power.base.subs(dict(zip(free, itertools.cycle(_TRIALS), strict=False)))
    return at.is_zero is not False and sympy.expand(power.base) == 0


def _witness(left: Any, right: Any) -> str:
    """Small numbers at which the sides differ, as text; empty where none is found."""
    free = sorted((left - right).free_symbols, key=lambda s: s.name)
    for start in range(len(_TRIALS)):
        values = dict(zip(free, itertools.islice(itertools.cycle(_TRIALS), start, None), strict=False))
        one, two = left.subs(values), right.subs(values)
        if not (one.is_finite and two.is_finite):
            continue
        apart = (one - two).equals(0)
        if apart is False:
            at = ", ".join(f"{symbol} = {value}" for symbol, value in values.items())
            return f"{at or 'no unknowns'}: {sympy.simplify(one)} against {sympy.simplify(two)}"
    return ""
