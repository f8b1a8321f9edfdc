"""Arb: inequalities over boxes of reals, by ball arithmetic and bisection."""

import numbers
import operator
import time
from collections import deque
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import cache
from math import ceil, floor
from typing import Any

import sympy

from proofs_check.claim import Check, Finding
from proofs_check.engines.need import need
from proofs_check.engines.refusals import Refusing, no_number, record, refusals, refuse
from proofs_check.engines.symbolic import SYMPY, forms_hidden
from synthetic.base.errors import must
from workbench.theory.ops import Ops

Box = dict[str, tuple[str, str]]
"""unknown -> exact ends, such as {"c": ("1/100", "99/100")}"""
_BITS = 80
_PIECES = 200_000
_TOUCHED = 200
"""pieces on which Taylor's form is tried"""
_NEARLY = 2.0**-40
"""a derivative below this is put to SymPy"""
_ORDER = 6
"""highest derivative that is asked for where a function touches 0"""
_NEAR = "it comes too near 0 there: narrow the box"
_TAKE = (
    "ops.where, ops.larger, ops.smaller, ops.abs, ops.sqrt, ops.exp, ops.log, ops.log1p, ops.sin, ops.erfc or ops.pi"
)


def positive(shows: str, scope: str, box: Box, value: Callable[..., Any], whole: tuple[str, ...] = ()) -> Check:
    """A function is >= 0 everywhere on a box.

    Each piece is decided by a ball that holds the function's values there: above 0, below 0 (refuted, the piece's
    centre is the witness), or neither, and then halved. Python's own `if`, `min`, `max` and `and` are taken only where
    the comparison they ask for holds, or fails, on the whole piece; elsewhere the piece is halved as well. So a branch
    whose border runs through the box is never decided there: `ops.where`, `ops.larger` and `ops.smaller` are.
    With one unknown a piece is also decided by Taylor's form at a point where the function touches 0: its first
    derivatives there are >= 0 and the next is on all of the piece.
    A function of `math` has no ball and leaves the claim undecided, and so does a constant. A Python float is the
    binary number it holds.

    Args:
        shows: what is proved, in words.
        scope: the box in words.
        box: exact ends of each unknown; the claim is for all real values between.
        value: (unknowns by name, ops) -> ball.
        whole: unknowns that are whole numbers.

    Raises:
        ValueError: the box has no unknown.
    """
    must(box, "balls.positive.box", "of one unknown at least", box, 'write {"c": ("0", "1")}')
    for name, (low, high) in box.items():
        rises = Fraction(low) < Fraction(high)
        must(rises, f"balls.positive.box[{name!r}]", "from low to high", (low, high), "exchange or widen its ends")
    return Check("balls", shows, scope, lambda seconds: _decide(box, value, seconds, whole))


class Uncertain(Exception):  # noqa: N818
    """A comparison holds at some points of a ball and fails at others."""


class Truth(Refusing):
    """What a comparison of balls comes to: true everywhere, false everywhere, or neither."""

    __slots__ = ("sure", "unknown")
    __hash__ = Refusing.refuse

    def __init__(self, sure: bool | None, unknown: bool) -> None:
        self.sure, self.unknown = sure, unknown

    def __bool__(self) -> bool:
        return refuse(Uncertain()) if self.sure is None else self.sure

    def __eq__(self, other: object) -> bool:
        return bool(self) == bool(_truth(other))

    def __invert__(self) -> "Truth":
        return Truth(None if self.sure is None else not self.sure, self.unknown)

    def __and__(self, other: Any) -> "Truth":
        other = _truth(other)
        both = {self.sure, other.sure}
        return Truth(False if False in both else None if None in both else True, self.unknown or other.unknown)

    def __or__(self, other: Any) -> "Truth":
        return ~(~self & ~_truth(other))

    __rand__, __ror__ = __and__, __or__


def _truth(value: Any) -> Truth:
    if not isinstance(value, Truth | bool):
        refuse(TypeError(f"a condition must be a comparison; got {type(value).__name__}"))
    return value if isinstance(value, Truth) else Truth(value, False)


class Ball(Refusing):
    """A real number that lies in an interval: every operation holds all that may come of it.

    There is no way from a ball to a float, and none from a comparison to a truth value unless it is certain: code that
    asks for either is refused, where it would else be judged at a single point.
    """

    __slots__ = ("arb", "unknown")
    __hash__ = Refusing.refuse

    def __init__(self, arb: Any, unknown: bool) -> None:
        self.arb, self.unknown = arb, unknown

    def __repr__(self) -> str:
        return f"<ball {self.arb}>"

    def _with(self, other: Any, made: Callable[[Any, Any], Any]) -> Any:
        if isinstance(other, Jet):
            return NotImplemented
        b = _arb(self, other)
        if b is None:
            record(no_number(other))
            return NotImplemented
        return Ball(made(self.arb, b), self.unknown or _unknown(other))

    def _against(self, other: Any, true: Callable[[Any, Any], bool], false: Callable[[Any, Any], bool]) -> Any:
        if isinstance(other, Jet):
            return NotImplemented
        b = _arb(self, other)
        if b is None:
            refuse(no_number(other))
        sure = True if true(self.arb, b) else False if false(self.arb, b) else None
        return Truth(sure, self.unknown or _unknown(other))

    def __add__(self, other: Any) -> "Ball":
        return self._with(other, operator.add)

    def __sub__(self, other: Any) -> "Ball":
        return self._with(other, operator.sub)

    def __rsub__(self, other: Any) -> "Ball":
        return -self + other

    def __mul__(self, other: Any) -> "Ball":
        return self._with(other, operator.mul)

    def __truediv__(self, other: Any) -> "Ball":
        return self._with(other, lambda a, b: _finite(a / b))

    def __rtruediv__(self, other: Any) -> "Ball":
        return self._with(other, lambda a, b: _finite(b / a))

    def __pow__(self, other: Any) -> "Ball":
        return self._with(other, _power)

    def __rpow__(self, base: Any) -> "Ball":
        if isinstance(base, float):  # what Python makes of a Fraction, too
            refuse(TypeError(f"the base of a power must be exact; got the float {base!r}: use ops.num"))
        return self._with(base, lambda a, b: _power(b, a))

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self) -> "Ball":
        return Ball(-self.arb, self.unknown)

    def __pos__(self) -> "Ball":
        return self

    def __abs__(self) -> "Ball":
        return Ball(abs(self.arb), self.unknown)

    def __lt__(self, other: Any) -> Truth:
        return self._against(other, operator.lt, operator.ge)

    def __le__(self, other: Any) -> Truth:
        return self._against(other, operator.le, operator.gt)

    def __gt__(self, other: Any) -> Truth:
        return self._against(other, operator.gt, operator.le)

    def __ge__(self, other: Any) -> Truth:
        return self._against(other, operator.ge, operator.lt)

    def __eq__(self, other: object) -> Truth:  # type: ignore[override]
        return self._against(other, operator.eq, operator.ne)

    def __ne__(self, other: object) -> Truth:  # type: ignore[override]
        return self._against(other, operator.ne, operator.eq)

    def __bool__(self) -> bool:
        return bool(self != 0)


class Jet(Ball):
    """A function's Taylor coefficients at all points of an interval; a choice on its way must be certain there."""

    __slots__ = ()
    __hash__ = Refusing.refuse

    def _with(self, other: Any, made: Callable[[Any, Any], Any]) -> Any:
        b = _series(self, other)
        if b is None:
            record(no_number(other))
            return NotImplemented
        return Jet(made(self.arb, b), True)

    def _against(self, other: Any, true: Callable[[Any, Any], bool], false: Callable[[Any, Any], bool]) -> Any:
        b = _series(self, other)
        if b is None:
            refuse(no_number(other))
        sure = True if true(self.arb[0], b[0]) else False if false(self.arb[0], b[0]) else None
        return refuse(Uncertain()) if sure is None else Truth(sure, True)

    def __neg__(self) -> "Jet":
        return Jet(-self.arb, True)

    def __abs__(self) -> "Jet":
        return self if self >= 0 else -self


def _series(jet: Jet, value: Any) -> Any:
    if isinstance(value, Jet):
        return value.arb
    arb = _arb(Ball(jet.arb[0], False), value)
    return None if arb is None else type(jet.arb)([arb], prec=_ORDER + 1)


def _unknown(value: Any) -> bool:
    """Whether an unknown has entered a value."""
    return isinstance(value, Ball | Truth) and value.unknown


def _arb(ball: Ball, value: Any) -> Any:
    """A number as Arb holds it, a float as the binary number that it is; None for what is no number."""
    if type(value) is Ball:
        return value.arb
    arb = type(ball.arb)
    if type(value) is int:
        return arb(value)
    if isinstance(value, float):
        return _finite(arb(value))
    if isinstance(value, numbers.Rational):
        return arb(int(value.numerator)) / int(value.denominator)
    return None


def _finite(arb: Any) -> Any:
    """Nothing is known of what is infinite or undefined somewhere, nor of what is made of it."""
    if not hasattr(arb, "is_finite"):  # Taylor coefficients
        return arb
    return arb if arb.is_finite() else type(arb).nan()


def _power(base: Any, exponent: Any) -> Any:
    if not hasattr(base, "is_finite"):
        return base**exponent
    return _finite(base**exponent if base.is_finite() and exponent.is_finite() else type(base).nan())


def _ball(value: Any) -> Any:
    """A number as Arb holds it.

    Raises:
        TypeError: it is none.
    """
    found = _arb(Ball(need("flint", "python-flint").arb(0), False), value)
    return refuse(no_number(value)) if found is None else found


def _where(condition: Any, then: Any, otherwise: Any) -> Ball:
    truth = _truth(condition)
    if isinstance(then, Jet) or isinstance(otherwise, Jet):
        return then if truth else otherwise
    unknown = any(map(_unknown, (truth, then, otherwise)))
    if truth.sure is None:
        return Ball(_ball(then).union(_ball(otherwise)), unknown)
    return Ball(_ball(then if truth.sure else otherwise), unknown)


def _of(function: Callable[..., Any], by: Callable[..., Any] | None = None) -> Callable[..., Ball]:
    """A function of balls; of Taylor coefficients it is `by`."""

    def on(*values: Any) -> Ball:
        if by is not None and any(isinstance(value, Jet) for value in values):
            return by(*values)
        return Ball(_finite(function(*map(_ball, values))), any(map(_unknown, values)))

    return on


def arb_ops() -> Ops:
    """The operations on balls."""
    arb = need("flint", "python-flint").arb

    def jet(name: str) -> Callable[[Jet], Jet]:
        return lambda a: Jet(getattr(a.arb, name)(), True)

    return Ops(
        num=cache(lambda text: Ball(_ball(Fraction(text)), False)),
        sqrt=_of(arb.sqrt, jet("sqrt")),
        exp=_of(arb.exp, jet("exp")),
        log=_of(arb.log, jet("log")),
        log1p=_of(arb.log1p, lambda a: jet("log")(1 + a)),
        sin=_of(arb.sin, jet("sin")),
        erfc=_of(arb.erfc, jet("erfc")),
        pi=Ball(arb.pi(), False),
        abs=_of(abs, abs),
        larger=_of(arb.max, lambda a, b: a if a >= b else b),
        smaller=_of(arb.min, lambda a, b: a if a <= b else b),
        where=_where,
        ratio=_of(lambda a, b: a / b, lambda a, b: a / b),
    )


def at_least_zero(value: Callable[..., Any], point: Mapping[str, float]) -> bool:
    """Whether 60 digits show a function to be >= 0 at a point of floats."""
    flint = need("flint", "python-flint")
    before, flint.ctx.prec = flint.ctx.prec, 200
    try:
        found, _ = _valued(value, {name: Ball(flint.arb(v), True) for name, v in point.items()}, arb_ops())
    except Exception:  # a function of `math` has no 60 digits
        return False
    finally:
        flint.ctx.prec = before
    return found is not None and found >= 0


def _decide(box: Box, value: Callable[..., Any], seconds: float, integers: tuple[str, ...] = ()) -> Finding:
    flint = need("flint", "python-flint")
    before, flint.ctx.prec = flint.ctx.prec, _BITS
    try:
        first = _constant(box, value)
        if first is not None:
            return Finding("undecided", f"the value is {first} whatever the unknowns: a constant says nothing of them")
        return _bisect(box, value, seconds, integers)
    except TypeError as error:  # `math` of a ball, a root by `int`, a value that is no number
        return Finding("undecided", f"a side is not a ball ({error}): use {_TAKE}")
    finally:
        flint.ctx.prec = before


def _bisect(box: Box, value: Callable[..., Any], seconds: float, integers: tuple[str, ...]) -> Finding:
    ops, names = arb_ops(), list(box)
    whole = tuple((Fraction(a), Fraction(b)) for a, b in box.values())
    steps = [name in integers for name in names]
    whole = tuple(
        (Fraction(ceil(a)), Fraction(floor(b))) if s else (a, b) for (a, b), s in zip(whole, steps, strict=True)
    )
    if any(a > b for a, b in whole):
        return Finding("undecided", "there is no whole number in the box")
    todo, end, pieces, why = deque([whole]), time.monotonic() + seconds, 0, ""  # widest pieces first
    while todo:
        ends = todo.popleft()
        pieces += 1
        if time.monotonic() > end or pieces > _PIECES:
            here = ", ".join(f"{n} in [{float(a):.6g}, {float(b):.6g}]" for n, (a, b) in zip(names, ends, strict=True))
            last = why or (_NEAR if pieces > _PIECES else "raise --seconds or narrow the box")
            return Finding("undecided", f"after {pieces} pieces at {here}: {last}", late=pieces <= _PIECES)
        found, why = _valued(value, {n: hull(*pair) for n, pair in zip(names, ends, strict=True)}, ops)
        if found is not None and found >= 0:
            continue
        alone = len(names) == 1 and not steps[0] and pieces <= _TOUCHED
        if alone and touching(lambda x, ops: value(**{names[0]: x}, ops=ops), *ends[0]):
            continue
        middles = [Fraction(floor((a + b) / 2)) if s else (a + b) / 2 for (a, b), s in zip(ends, steps, strict=True)]
        centre = dict(zip(names, middles, strict=True))
        at, _ = _valued(value, {n: Ball(_arb(ops.pi, v), True) for n, v in centre.items()}, ops)
        if at is not None and at < 0:
            where = ", ".join(f"{n} = {v}" for n, v in centre.items())
            return Finding("refuted", f"{where}: {float(at.mid()):.6g} < 0")
        widest = max(range(len(ends)), key=lambda i: ends[i][1] - ends[i][0])
        low, high = ends[widest]
        middle = middles[widest]
        if low == high:
            return Finding("undecided", "a single point that 80 bits do not separate from 0")
        for half in ((low, middle), (middle + 1 if steps[widest] else middle, high)):
            todo.append((*ends[:widest], half, *ends[widest + 1 :]))
    return Finding("proved")


def touching(value: Callable[..., Any], low: Fraction, high: Fraction) -> bool:
    """Whether Taylor's form at an end or at the simplest number between shows a function to be >= 0 on [low, high]."""
    if low == high:
        return is_zero(value, low, 0)
    between = simplest(low, high)
    return any(
        all(rises(value, at, end) for end in (low, high) if end != at) for at in dict.fromkeys((between, low, high))
    )


def rises(value: Callable[..., Any], at: Fraction, end: Fraction) -> bool:
    """Whether the derivatives at a point, towards an end, are >= 0 up to one that is so on the whole way."""
    start, way = _coefficients(value, at, at), _coefficients(value, min(at, end), max(at, end))
    towards = 1 if end > at else -1
    for order in range(min(len(start), len(way))):
        if not way[order].is_finite():
            return False
        if towards**order * way[order] >= 0:
            return True
        near = bool(abs(start[order]) < _NEARLY)
        if not (towards**order * start[order] >= 0 or (near and is_zero(value, at, order))):
            return False
    return False


def is_zero(value: Callable[..., Any], at: Fraction, order: int) -> bool:
    """Whether SymPy finds a derivative at a point to be 0."""
    found = derived(value, order)
    if found is None:
        return False
    derivative, unknown = found
    return sympy.simplify(derivative.subs(unknown, sympy.Rational(at.numerator, at.denominator))) == 0


def derived(value: Callable[..., Any], order: int) -> tuple[Any, Any] | None:
    """SymPy's derivative of a function, and its unknown; none where the function makes choices."""
    x = sympy.Symbol("x", real=True)
    try:
        with refusals() as refused, forms_hidden():
            found = sympy.sympify(value(x, ops=SYMPY))
    except Exception:  # whatever a function of `math` or a choice raises
        return None
    if refused or found.has(sympy.Float, sympy.Piecewise, sympy.Abs, sympy.Max, sympy.Min):
        return None
    return sympy.diff(found, x, order), x


def tail(value: Callable[..., Any], low: Fraction) -> Fraction | None:
    """A point from which on a function is >= 0: some derivatives are so there, and by SymPy the next ever after."""
    further = sympy.Symbol("t", nonnegative=True)
    for start in (low, *(low + 4**i for i in range(6))):
        at = _coefficients(value, start, start)
        for order in range(len(at)):
            found = derived(value, order)
            if found is None:
                return None
            beyond = found[0].subs(found[1], sympy.Rational(start.numerator, start.denominator) + further)
            if any(form(beyond).is_nonnegative for form in (sympy.expand, sympy.factor)):
                return start
            if not (at[order] >= 0 or is_zero(value, start, order)):
                break
    return None


def _coefficients(value: Callable[..., Any], low: Fraction, high: Fraction) -> list[Any]:
    """Taylor coefficients of a function at all points of [low, high]; none where it has none that are certain."""
    flint = need("flint", "python-flint")
    unknown = Jet(flint.arb_series([hull(low, high).arb, 1], prec=_ORDER + 1), True)
    try:
        with refusals() as refused:
            found = value(unknown, ops=arb_ops())
        return [] if refused or not isinstance(found, Jet) else [found.arb[i] for i in range(_ORDER + 1)]
    except (Uncertain, TypeError, ValueError, ZeroDivisionError):
        return []


def simplest(low: Fraction, high: Fraction) -> Fraction:
    """The number of least denominator in [low, high]."""
    if low <= 0 <= high:
        return Fraction(0)
    if high < 0:
        return -simplest(-high, -low)
    first = ceil(low)
    if first <= high:
        return Fraction(first)
    return first - 1 + 1 / simplest(1 / (high - first + 1), 1 / (low - first + 1))


def _constant(box: Box, value: Callable[..., Any]) -> Any:
    """The function's value on the whole box, where no unknown has entered it."""
    ops = arb_ops()
    try:
        found = value(**{n: hull(Fraction(a), Fraction(b)) for n, (a, b) in box.items()}, ops=ops)
    except Uncertain:
        return None
    if isinstance(found, Ball):
        return None if found.unknown else found.arb
    return found if isinstance(found, numbers.Real) else None


def hull(low: Any, high: Any) -> Ball:
    """A ball that holds all values of an unknown in [low, high]."""
    none = Ball(need("flint", "python-flint").arb(0), False)
    return Ball(_arb(none, low).union(_arb(none, high)), True)


def _valued(value: Callable[..., Any], sides: dict[str, Ball], ops: Ops) -> tuple[Any, str]:
    """What Arb knows of the function on a piece; None where that is nothing, and why.

    Raises:
        TypeError: its value is no number, or it caught such an error on its way.
    """
    border = "the border of a branch runs there: use ops.where, ops.larger or ops.smaller"
    try:
        with refusals() as refused:
            found = value(**sides, ops=ops)
    except Uncertain:
        return None, border
    if refused and not isinstance(refused[0], Uncertain):
        raise refused[0]
    if refused:
        return None, border
    arb = _arb(ops.pi, found)
    if arb is None:
        raise TypeError("it is no number")
    return (arb, "") if arb.is_finite() else (None, "it has no finite value there: narrow the box")
