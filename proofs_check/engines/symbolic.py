"""SymPy: identities between exact expressions."""

import itertools
import numbers
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import sympy
from sympy.core.relational import Relational

from proofs_check.claim import Check, Finding, must_be_of_sizes
from proofs_check.engines.refusals import refusals, refuse
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


def _noting(taken: list[Any]) -> Ops:
    """The operations; the list collects each root and logarithm, for SymPy makes x of sqrt(x)**2 at once."""

    def noted(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def of(a: Any) -> Any:
            taken.append(function(a))
            return taken[-1]

        return of

    return replace(SYMPY, sqrt=noted(SYMPY.sqrt), log=noted(SYMPY.log), log1p=noted(SYMPY.log1p))


def _classes(top: type) -> Iterator[type]:
    yield top
    for below in top.__subclasses__():
        yield from _classes(below)


@contextmanager
def forms_hidden() -> Iterator[None]:
    """Within the block only SymPy itself may compare forms of expressions, or ask one for a truth value or a float.

    Between numbers anybody may. SymPy takes every expression but 0 for true, and two that differ in form for unequal.
    """
    compared = {each for top in (sympy.Basic, sympy.MatrixBase) for each in _classes(top)}
    hidden = [(each, name) for each in compared for name in ("__eq__", "__ne__") if name in vars(each)]
    hidden += [(sympy.Expr, name) for name in ("__bool__", "__float__", "__int__", "__complex__")]
    with ExitStack() as stack:
        for each, name in [*hidden, (Relational, "__bool__")]:
            before = vars(each).get(name)
            setattr(each, name, _by_sympy(before or (lambda _: True)))
            if before:
                stack.callback(setattr, each, name, before)
            else:
                stack.callback(delattr, each, name)
        yield


def _by_sympy(method: Callable[..., Any]) -> Callable[..., Any]:
    """A method that anybody but SymPy may call of numbers only."""

    def asked(*sides: Any) -> Any:
        by = sys._getframe(1).f_globals.get("__name__", "").partition(".")[0]
        if by not in ("sympy", "mpmath") and not all(isinstance(s, sympy.Number | numbers.Number) for s in sides):
            refuse(TypeError("the form of an expression decides nothing: write sympy.Eq in ops.where"))
        return method(*sides)

    return asked


Sides = Callable[..., Iterable[tuple[Any, Any]]]
"""(symbols, ops) -> pairs that must be equal; `symbols("x:3", positive=True)` as SymPy's, real unless said otherwise"""
_NOT_REAL = {"complex", "imaginary", "antihermitian", "extended_real", "infinite", "commutative"}
"""assumptions that speak of more than the reals"""
_TRIALS = tuple(map(sympy.Rational, (2, 3, "1/2", 5, "1/3", 7, -2, "-1/2")))


def identity(shows: str, scope: str, sides: Sides, **sizes: Any) -> Check:
    """Every pair of exact expressions is equal, for all values of their symbols at which both are defined.

    The difference must cancel to 0 as a rational function, or simplify to 0; floats are refused, and what divides by an
    expression that is 0 for all values. A pair that does not cancel is refuted by small numbers at which the sides
    differ and all of them are real if the symbols are, else left undecided. Write sympy.Eq for a condition: ==
    compares the form of expressions, and is refused, as `if` and `float` are. `sizes` are further arguments of `sides`.
    """
    must_be_of_sizes("identity", scope, sizes)

    def run(seconds: float) -> Finding:
        try:
            with within(seconds):
                return _decide(partial(sides, **sizes))
        except OutOfTime:
            said = f"no simplification in {seconds:g} s: raise --seconds or split the identity"
            return Finding("undecided", said, late=True)

    return Check("symbolic", shows, scope, run)


class OutOfTime(BaseException):
    """SymPy has used its time; no Exception, which it might catch."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Interrupt the block after some seconds, where the system and the thread allow it."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def leave(*_: object) -> None:
        raise OutOfTime

    before = signal.signal(signal.SIGALRM, leave)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _decide(sides: Sides) -> Finding:
    def symbols(names: str, **assumed: Any) -> Any:
        usual: dict[str, Any] = {} if _NOT_REAL & assumed.keys() else {"real": True}
        return sympy.symbols(names, **usual | assumed)

    taken: list[Any] = []
    with refusals() as refused, forms_hidden():
        given = [(left, right) for left, right in sides(symbols, _noting(taken))]
    if refused:
        return Finding("undecided", f"the sides caught what cannot be decided: {refused[0]}")
    pairs, roots = [(sympy.sympify(left), sympy.sympify(right)) for left, right in given], set(taken)
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
        witness = _witness(left, right, roots)
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


def _witness(left: Any, right: Any, roots: set[Any]) -> str:
    """Small numbers within the domain at which the sides differ, as text; empty where none is found."""
    free = sorted(left.free_symbols | right.free_symbols, key=lambda s: s.name)
    fitting = [[v for v in _TRIALS if _fits(v, symbol)] for symbol in free]
    inner = [part for part in (left, right, *roots) if part.free_symbols <= set(free)]
    inner += left.atoms(sympy.Pow, sympy.log) | right.atoms(sympy.Pow, sympy.log)
    real = all(symbol.is_real for symbol in free)
    for start in range(len(_TRIALS) if all(fitting) else 0):
        values = {s: fit[(start + i) % len(fit)] for i, (s, fit) in enumerate(zip(free, fitting, strict=True))}
        one, two = left.subs(values), right.subs(values)
        if not (one.is_finite and two.is_finite):
            continue
        if (one - two).equals(0) is False and not (real and any(part.subs(values).is_real is False for part in inner)):
            at = ", ".join(f"{symbol} = {value}" for symbol, value in values.items())
            return f"{at or 'no unknowns'}: {sympy.simplify(one)} against {sympy.simplify(two)}"
    return ""


def _fits(value: Any, symbol: Any) -> bool:
    """Whether a number meets what is assumed of a symbol."""
    return all(getattr(value, f"is_{name}") in (said, None) for name, said in symbol.assumptions0.items())
