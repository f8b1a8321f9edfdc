"""A pasted inequality between real numbers as a claim: drawn in its box, then proved by Z3 or by Arb balls."""

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from functools import partial
from typing import Any

from hypothesis import strategies as st

from proofs_check.claim import Check, Claim, Finding, Hypothesis, Part, Verdict, Void, at_most
from proofs_check.engines import balls, smt, symbolic
from proofs_check.engines.need import Missing
from proofs_check.instances.draw import numbers
from synthetic.base.errors import must
from workbench.theory.ops import FLOAT, Ops

Box = Mapping[str, tuple[str | None, str | None]]
_FAR = 1e3
"""open ends are drawn up to here"""


class Point(dict[str, float]):
    """Values of the unknowns, by name."""

    def __str__(self) -> str:
        return ", ".join(f"{name} = {value:.6g}" for name, value in self.items())


def inequality(
    id: str,
    statement: str,
    *,
    box: Box,
    left: Callable[..., Any],
    right: Callable[..., Any],
    given: Callable[..., list[Any]] | None = None,
    whole: tuple[str, ...] = (),
    source: str = "ours",
    promised: Verdict | None = None,
) -> Claim:
    """The claim left <= right for all reals in a box.

    Args:
        id: name of the claim.
        statement: in words or symbols.
        box: unknown -> exact ends, such as {"c": ("0", "99/100"), "k": ("1", None)}; None is open.
        left: function of the unknowns by name, and of `ops` where it needs roots, logarithms, choices or exact
            constants: a Python float is the binary number it holds.
        right: the same.
        whole: unknowns that are whole numbers; the others are real.
        given: further conditions on the unknowns, a list of comparisons.
        source: paper and theorem.
        promised: verdict the ledger must come to.

    Z3 decides it where both sides are algebraic; else Arb balls, where nothing else is given and the box is bounded, or
    has one unknown and one open end, from which SymPy's derivatives lead to a bounded one. A violation that is found in
    floats is one where 60 digits confirm it, if they can be had.
    Functions of `math` and an `if`, `min` or `max` whose border runs through the box are known to neither: take them
    from `ops`.

    Raises:
        ValueError: the box is empty or not made of numbers.
    """
    _check_box(f"inequality {id}", box, whole)

    def conclusion(point: Point) -> Part:
        try:
            relation = at_most(_call(left, point, FLOAT), _call(right, point, FLOAT))
        except OverflowError:
            return Void("too large for a float")
        if bool(relation.holds.all()) or not balls.at_least_zero(partial(_difference, left, right), point):
            return relation
        return replace(relation, measured=relation.bound)

    def unmet(point: Point) -> float:
        return 0.0 if given is None else float(not all(_conditions(id, given, point, FLOAT)))

    ends = "all " + ", ".join(f"{name} in [{low or '-∞'}, {high or '∞'}]" for name, (low, high) in box.items())
    ends += "" if given is None else f", under {GIVEN}"
    draw = st.fixed_dictionaries({name: _values(*pair, name in whole) for name, pair in box.items()}).map(Point)
    return Claim(
        id=id,
        statement=statement,
        source=source,
        hypotheses=() if given is None else (Hypothesis(GIVEN, unmet),),
        instances=draw if given is None else draw.filter(lambda point: not unmet(point)),
        conclusion=conclusion,
        proofs=(replace(_proof(id, box, left, right, given, whole, ends), decides=conclusion),),
        promised=promised,
    )


GIVEN = "the conditions given"


def _check_box(where: str, box: Box, whole: tuple[str, ...]) -> None:
    must(box, f"{where}.box", "of one unknown at least", dict(box), 'write {"c": ("0", "1")}')
    for name, (low, high) in box.items():
        ends = [_end(f"{where}.box[{name!r}]", end) for end in (low, high)]
        rises = ends[0] is None or ends[1] is None or ends[0] < ends[1]
        must(rises, f"{where}.box[{name!r}]", "from low to high", (low, high), "exchange or widen its ends")
    for name in whole:
        must(name in box, f"{where}.whole", f"of unknowns in {list(box)}", name, "rename it")


def _end(where: str, text: str | None) -> Fraction | None:
    try:
        return None if text is None else Fraction(text)
    except (ValueError, ZeroDivisionError, TypeError):
        raise ValueError(f'{where} must be exact numbers as text; got {text!r}: write "1/3", "0.5" or None.') from None


def _conditions(id: str, given: Callable[..., Any], values: Mapping[str, Any], ops: Ops) -> list[Any]:
    found = _call(given, values, ops)
    must(isinstance(found, list | tuple), f"inequality {id}.given", "a list of comparisons", found, "write [x <= 1]")
    return list(found)


def _values(low: str | None, high: str | None, only_whole: bool) -> st.SearchStrategy[float]:
    bottom, top = (-_FAR if low is None else float(Fraction(low)), _FAR if high is None else float(Fraction(high)))
    whole = st.integers(math.ceil(bottom), math.floor(top)).map(float) if math.ceil(bottom) <= top else st.nothing()
    return whole if only_whole else whole | numbers(bottom, top)


def _call(function: Callable[..., Any], values: Mapping[str, Any], ops: Ops) -> Any:
    takes = inspect.signature(function).parameters
    return function(**values, **({"ops": ops} if "ops" in takes else {}))


def _proof(
    id: str,
    box: Box,
    left: Callable[..., Any],
    right: Callable[..., Any],
    given: Callable[..., Any] | None,
    whole: tuple[str, ...],
    scope: str,
) -> Check:
    def problem(unknowns: Any, ops: Ops) -> tuple[list[Any], list[Any]]:
        values = {name: unknowns(name) for name in box}
        facts = [values[name] >= ops.num(low) for name, (low, _) in box.items() if low is not None]
        facts += [values[name] <= ops.num(high) for name, (_, high) in box.items() if high is not None]
        facts += [smt.is_whole(values[name]) for name in whole]
        facts += [] if given is None else _conditions(id, given, values, ops)
        return facts, [_call(left, values, ops) <= _call(right, values, ops)]

    difference = partial(_difference, left, right)
    by_z3 = smt.implies("left ≤ right", scope, problem)

    def run(seconds: float) -> Finding:
        first = _tried(by_z3, seconds)
        if first.status != "undecided":
            return first
        second = _by_balls(box, difference, given, whole, scope, seconds)
        said = f"Z3: {first.detail}; {second.detail}"
        return second if second.status != "undecided" else replace(second, detail=said, late=first.late or second.late)

    return Check("smt or balls", "left ≤ right", scope, run)


def _by_balls(
    box: Box,
    difference: Callable[..., Any],
    given: Callable[..., Any] | None,
    whole: tuple[str, ...],
    scope: str,
    seconds: float,
) -> Finding:
    """What Arb says of a bounded box, or of one whose open end SymPy's derivatives settle; of a line, both halves."""
    if len(box) == 1 and [*box.values()] == [(None, None)]:
        halves = ({name: ends for name in box} for ends in ((None, "0"), ("0", None)))
        found = [_by_balls(half, difference, given, whole, scope, seconds / 2) for half in halves]
        return next((half for half in found if half.status != "proved"), found[0])
    ended = {name: (low, high) for name, (low, high) in box.items() if low is not None and high is not None}
    if given is not None or (len(ended) < len(box) and len(box) > 1):
        ended = None
    elif len(ended) < len(box):
        try:
            with symbolic.within(seconds):
                ended = _ended(box, difference)
        except symbolic.OutOfTime:
            return Finding("undecided", f"SymPy's derivatives took {seconds:g} s", late=True)
    if ended is None:
        return Finding("undecided", "balls need both ends of each unknown, or one end of one, and nothing else given")
    found = _tried(balls.positive("left ≤ right", scope, ended, difference, whole), seconds)
    return replace(found, detail=f"balls: {found.detail}") if found.status == "undecided" else found


def _difference(left: Callable[..., Any], right: Callable[..., Any], ops: Ops, **values: Any) -> Any:
    return _call(right, values, ops) - _call(left, values, ops)


def _ended(box: Box, difference: Callable[..., Any]) -> dict[str, tuple[str, str]] | None:
    """The part of a box of one open end that is left once the tail is shown; none where it is not."""
    ((name, (low, high)),) = box.items()
    if low is None and high is None:
        return None
    end, sign = (Fraction(low), 1) if low is not None else (-Fraction(str(high)), -1)
    start = balls.tail(lambda x, ops: difference(ops, **{name: sign * x}), end)
    if start is None:
        return None
    start = start if start > end else end + 1  # what is shown from the end on is shown to some point beyond it
    return {name: (str(end), str(start)) if sign > 0 else (str(-start), str(-end))}


def _tried(check: Check, seconds: float) -> Finding:
    """A check's finding; an error in a side is one that leaves it undecided."""
    try:
        return check.run(seconds)
    except Missing as missing:
        return Finding("undecided", str(missing))
    except (Exception, SystemExit) as error:  # not algebraic, or Python's own math in place of ops
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        return Finding("undecided", said if "ops." in said else f"{said}: take functions and choices from `ops`")
