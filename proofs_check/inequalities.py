"""A pasted inequality between real numbers as a claim: drawn in its box, then proved by Z3 or by Arb balls."""

import inspect
import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from hypothesis import strategies as st

from proofs_check.claim import Check, Claim, Finding, Relation, Verdict, at_most
from proofs_check.draw import numbers
from proofs_check.engines import balls, smt
from proofs_check.engines.need import Missing
from synthetic.errors import must
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
    source: str = "ours",
    promised: Verdict | None = None,
) -> Claim:
    """The claim left <= right for all reals in a box.

    Args:
        id: name of the claim.
        statement: in words or symbols.
        box: unknown -> exact ends, such as {"c": ("0", "99/100"), "k": ("1", None)}; None is open.
        left: function of the unknowns by name, and of `ops` where it needs roots, logarithms or constants.
        right: the same.
        given: further conditions on the unknowns, a list of comparisons.
        source: paper and theorem.
        promised: verdict the ledger must come to.

    Z3 decides it where both sides are algebraic; else Arb balls, where the box is bounded and nothing else is given.
    """
    must(box, f"inequality {id}.box", "of one unknown at least", dict(box), 'write {"c": ("0", "1")}')

    def conclusion(point: Point) -> Relation:
        return at_most(_call(left, point, FLOAT), _call(right, point, FLOAT))

    def allowed(point: Point) -> bool:
        return given is None or all(_call(given, point, FLOAT))

    ends = ", ".join(f"{name} in [{low or '-∞'}, {high or '∞'}]" for name, (low, high) in box.items())
    draw = st.fixed_dictionaries({name: _values(*pair) for name, pair in box.items()}).map(Point)
    return Claim(
        id=id,
        statement=statement,
        source=source,
        instances=draw.filter(allowed),
        conclusion=conclusion,
        proofs=(_proof(box, left, right, given, ends),),
        promised=promised,
    )


def _values(low: str | None, high: str | None) -> st.SearchStrategy[float]:
    bottom, top = (-_FAR if low is None else float(Fraction(low)), _FAR if high is None else float(Fraction(high)))
    whole = st.integers(math.ceil(bottom), math.floor(top)).map(float) if math.ceil(bottom) <= top else st.nothing()
    return whole | numbers(bottom, top)


def _call(function: Callable[..., Any], values: Mapping[str, Any], ops: Ops) -> Any:
    takes = inspect.signature(function).parameters
    return function(**values, **({"ops": ops} if "ops" in takes else {}))


def _proof(
    box: Box, left: Callable[..., Any], right: Callable[..., Any], given: Callable[..., Any] | None, ends: str
) -> Check:
    def problem(unknowns: Any, ops: Ops) -> tuple[list[Any], list[Any]]:
        values = {name: unknowns(name) for name in box}
        facts = [values[name] >= ops.num(low) for name, (low, _) in box.items() if low is not None]
        facts += [values[name] <= ops.num(high) for name, (_, high) in box.items() if high is not None]
        facts += [] if given is None else _call(given, values, ops)
        return facts, [_call(left, values, ops) <= _call(right, values, ops)]

    def difference(ops: Ops, **values: Any) -> Any:
        return _call(right, values, ops) - _call(left, values, ops)

    by_z3 = smt.implies("left ≤ right", ends, problem)
    bounded = {name: (low, high) for name, (low, high) in box.items() if low is not None and high is not None}
    by_balls = balls.positive("left ≤ right", ends, bounded, difference)

    def run(seconds: float) -> Finding:
        try:
            first = by_z3.run(seconds)
        except Missing:
            raise
        except ValueError as error:  # not algebraic
            first = Finding("undecided", str(error))
        if first.status != "undecided" or len(bounded) < len(box) or given is not None:
            return first
        return by_balls.run(seconds)

    return Check("smt or balls", "left ≤ right", ends, run)
