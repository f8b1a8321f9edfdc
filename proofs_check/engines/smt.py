"""Z3: statements about finitely many reals, for all their values."""

import numbers
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from typing import Any

from proofs_check.claim import Check, Finding, must_be_of_sizes
from proofs_check.engines.need import need
from proofs_check.engines.refusals import Refusing, no_number, record, refusals, refuse
from synthetic.base.errors import must
from workbench.theory.ops import Ops

Problem = Callable[..., tuple[Iterable[Any], Iterable[Any]]]
"""(unknowns, ops) -> (hypotheses, conclusions); `unknowns("q g t")` makes reals by name, a single name one real"""


def implies(shows: str, scope: str, problem: Problem, **sizes: Any) -> Check:
    """The hypotheses imply every conclusion, for all reals.

    Refuted also where no reals meet the hypotheses, so that a contradiction never passes for a proof. Undecided where
    the hypotheses allow the root of a negative number or a denominator of 0 (but under a condition of `ops.where` that
    excludes it), and where there is no conclusion or one that says nothing of the unknowns, or where the problem caught
    what the engine refused. A Python float stands for the binary number it holds.

    Args:
        shows: what is proved, in words.
        scope: for which cases, such as "all k: induction step"; a proof at k = 4 says "k = 4".
        problem: builds hypotheses and conclusions from unknowns, calling the shipped formulas with `ops`.
        sizes: further arguments of the problem, such as k=4.
    """
    must_be_of_sizes("implies", scope, sizes)
    return Check("smt", shows, scope, lambda seconds: _decide(partial(problem, **sizes), seconds))


@dataclass(frozen=True)
class Invariant:
    """A statement about sums, and how one more term moves them."""

    says: Sequence[Any]
    """comparisons; each names a sum"""
    after: Mapping[str, Any]
    """sum -> what one more term makes of it; all other unknowns of the statement stay what they are"""
    start: Mapping[str, Any] = field(default_factory=dict)
    """sum -> what it is at first: 0 unless entered here"""
    given: Sequence[Any] = ()
    """conditions on a term, on what stays and on sums before the step; at the start those that name no sum, no root"""
    also: Sequence[Any] = ()
    """what else holds at every step"""


def induction(shows: str, scope: str, problem: Callable[..., Invariant]) -> Check:
    """A statement holds for sums of any number of terms: at the start, and after one more term where it held before.

    Both cases are made from the one statement, by putting the sums' values into it.

    Args:
        shows: what is proved, in words.
        scope: for which cases, such as "all k: induction over rows".
        problem: (unknowns, ops) -> the statement, with what its sums start from and become.
    """

    def start(unknowns: Any, ops: Ops) -> Any:
        told, sums = _told(shows, problem, unknowns, ops)
        values = {name: told.start.get(name, 0) for name in told.after}
        return [fact for fact in told.given if not _names(fact, sums)], _put(told.says, sums, values)

    def step(unknowns: Any, ops: Ops) -> Any:
        told, sums = _told(shows, problem, unknowns, ops)
        return [*told.given, *told.says], [*_put(told.says, sums, told.after), *told.also]

    def run(seconds: float) -> Finding:
        for name, case, constant in (("start", start, True), ("step", step, False)):
            finding = _decide(case, seconds, constant=constant)
            if finding.status != "proved":
                return replace(finding, detail=f"{name}: {finding.detail}")
        return Finding("proved")

    return Check("smt", shows, scope, run)


def _told(shows: str, problem: Any, unknowns: Any, ops: Ops) -> tuple[Invariant, dict[str, Any]]:
    """An invariant, and its sums by name.

    Raises:
        ValueError: nothing moves on, or a part of the statement or of the start names no sum.
        TypeError: the statement takes a root, which does not move on.
    """
    told = problem(unknowns, ops)
    sums = {name: unknowns(name).z3 for name in told.after}
    must(sums, f"induction {shows!r}.after", "of one sum at least", "none", "say what one more term makes of it")
    for name in told.start:
        must(name in sums, f"induction {shows!r}.start", f"of {[*sums]}", repr(name), "enter it in after as well")
    for part in told.says:
        must(_names(part, sums), f"induction {shows!r}.says", f"of {[*sums]}", _said(part), "enter it in given")
        if any(map(_root, _terms(part.z3))):
            refuse(TypeError(f"induction {shows!r}.says takes a root: say it of the root's square"))
    return told, sums


def _names(part: Any, sums: Mapping[str, Any]) -> bool:
    """Whether a comparison names one of the sums, or a root, which may be one of theirs."""
    keys = {real.get_id() for real in sums.values()}
    return isinstance(part, Formula) and any(term.get_id() in keys or _root(term) for term in _terms(part.z3))


def _root(term: Any) -> bool:
    """Whether a term stands for a root that was taken: no unknown has a space in its name."""
    return _unknown(need("z3", "z3-solver"), term) and " " in term.decl().name()


def _put(says: Sequence[Any], sums: Mapping[str, Any], values: Mapping[str, Any]) -> list["Formula"]:
    """A statement about sums at other values of theirs, put in at once."""
    pairs = [(real, _term(real.ctx, values[name])) for name, real in sums.items()]
    return [Formula(need("z3", "z3-solver").substitute(part.z3, *pairs)) for part in says]


class Formula(Refusing):
    """A statement about unknowns. It has no truth value: an `if` would take one branch for all their values."""

    __slots__ = ("z3",)
    __hash__ = Refusing.refuse

    def __init__(self, z3: Any) -> None:
        self.z3 = z3

    def __bool__(self) -> bool:
        refuse(
            TypeError("a comparison of unknowns has no truth value: use ops.where, ops.larger, ops.smaller or ops.abs")
        )

    def __eq__(self, other: object) -> "Formula":  # type: ignore[override]
        return Formula(self.z3 == _said(other))

    def __ne__(self, other: object) -> "Formula":  # type: ignore[override]
        return ~(self == other)

    def __invert__(self) -> "Formula":
        return Formula(need("z3", "z3-solver").Not(self.z3))

    def __and__(self, other: Any) -> "Formula":
        return Formula(need("z3", "z3-solver").And(self.z3, _said(other)))

    def __or__(self, other: Any) -> "Formula":
        return Formula(need("z3", "z3-solver").Or(self.z3, _said(other)))

    __rand__, __ror__ = __and__, __or__


def _said(value: Any) -> Any:
    if not isinstance(value, Formula | bool):
        refuse(TypeError(f"a statement must be a comparison; got {type(value).__name__}"))
    return value.z3 if isinstance(value, Formula) else value


def is_whole(value: "Real") -> Formula:
    """That a real number is a whole one."""
    return Formula(need("z3", "z3-solver").IsInt(value.z3))


class Real(Refusing):
    """A real number made of unknowns, by +, -, *, /, whole powers and `ops`."""

    __slots__ = ("z3",)
    __hash__ = Refusing.refuse

    def __init__(self, z3: Any) -> None:
        self.z3 = z3

    def _with(self, other: Any, made: Callable[[Any, Any], Any]) -> Any:
        if isinstance(other, _Foreign):
            other.refuse()
        if not isinstance(other, Real | numbers.Rational | float):
            record(no_number(other))
            return NotImplemented
        return Real(made(self.z3, _term(self.z3.ctx, other)))

    def _against(self, other: Any, made: Callable[[Any, Any], Any]) -> Any:
        found = self._with(other, made)
        return found if found is NotImplemented else Formula(found.z3)

    def _equality(self, other: Any, made: Callable[[Any, Any], Any]) -> Formula:
        found = self._against(other, made)  # Python would take what is not implemented for "not the same object"
        return refuse(no_number(other)) if found is NotImplemented else found

    def __add__(self, other: Any) -> "Real":
        return self._with(other, lambda a, b: a + b)

    def __radd__(self, other: Any) -> "Real":
        return self._with(other, lambda a, b: b + a)

    def __sub__(self, other: Any) -> "Real":
        return self._with(other, lambda a, b: a - b)

    def __rsub__(self, other: Any) -> "Real":
        return self._with(other, lambda a, b: b - a)

    def __mul__(self, other: Any) -> "Real":
        return self._with(other, lambda a, b: a * b)

    def __rmul__(self, other: Any) -> "Real":
        return self._with(other, lambda a, b: b * a)

    def __truediv__(self, other: Any) -> "Real":
        return self._with(other, lambda a, b: a / b)

    def __rtruediv__(self, other: Any) -> "Real":
        return self._with(other, lambda a, b: b / a)

    def __pow__(self, power: Any) -> "Real":
        if not isinstance(power, int):
            refuse(TypeError(f"a power must be a whole number; got {power!r}: take roots by ops.sqrt"))
        if power < 0:
            return 1 / self**-power
        return Real(self.z3**power) if power else 0 * self + 1

    def __rpow__(self, base: Any) -> "Real":
        refuse(TypeError("a power must be a whole number; got unknowns: use the balls engine"))

    def __neg__(self) -> "Real":
        return Real(-self.z3)

    def __pos__(self) -> "Real":
        return self

    def __abs__(self) -> "Real":
        return Real(need("z3", "z3-solver").If(self.z3 >= 0, self.z3, -self.z3))

    def __lt__(self, other: Any) -> Formula:
        return self._against(other, lambda a, b: a < b)

    def __le__(self, other: Any) -> Formula:
        return self._against(other, lambda a, b: a <= b)

    def __gt__(self, other: Any) -> Formula:
        return self._against(other, lambda a, b: a > b)

    def __ge__(self, other: Any) -> Formula:
        return self._against(other, lambda a, b: a >= b)

    def __eq__(self, other: object) -> Formula:  # type: ignore[override]
        return self._equality(other, lambda a, b: a == b)

    def __ne__(self, other: object) -> Formula:  # type: ignore[override]
        return self._equality(other, lambda a, b: a != b)

    def __bool__(self) -> bool:
        return bool(self != 0)


def _term(context: Any, value: Any) -> Any:
    """A number as Z3 holds it, a float as the binary number that it is.

    Raises:
        TypeError: it is no number.
        ValueError: it is infinite or NaN.
    """
    if isinstance(value, Real):
        return value.z3
    if not isinstance(value, numbers.Rational | float):
        refuse(no_number(value))
    if isinstance(value, float) and not abs(value) < float("inf"):
        refuse(ValueError(f"a constant must be finite; got {value}"))
    exact = Fraction(value)
    return need("z3", "z3-solver").Q(exact.numerator, exact.denominator, context)


class _Query:
    """Unknowns of one context, and the time that is left to ask Z3 about them."""

    def __init__(self, seconds: float) -> None:
        self.z3 = need("z3", "z3-solver")
        self.context, self.end = self.z3.Context(), time.monotonic() + seconds
        self.named: dict[str, Any] = {}

    def unknowns(self, names: str) -> Any:
        for name in names.split():
            self.named.setdefault(name, self.z3.Real(name, self.context))
        made = [Real(self.named[name]) for name in names.split()]
        return made if len(made) > 1 else made[0]

    def ask(self, *formulas: Any) -> tuple[Any, str]:
        """What Z3 finds, and the unknowns of its model."""
        solver = self.z3.Solver(ctx=self.context)
        solver.set("timeout", max(1, int(1000 * (self.end - time.monotonic()))))
        solver.add(*formulas)
        found = solver.check()
        if found != self.z3.sat:
            return found, ""
        model = solver.model()
        return found, ", ".join(f"{name} = {_shown(model, real)}" for name, real in self.named.items())

    def allowed(self, what: str, *formulas: Any) -> Finding | None:
        """Undecided, and where, unless the formulas contradict each other."""
        found, at = self.ask(*formulas)
        if found == self.z3.unsat:
            return None
        where = f"at {at}" if at else "anywhere" if found == self.z3.sat else "not excluded in time"
        return Finding("undecided", f"{what} {where}: add what keeps it from that to the hypotheses")


def _decide(problem: Problem, seconds: float, *, constant: bool = False) -> Finding:
    query = _Query(seconds)
    z3, context = query.z3, query.context
    ops, roots = _ops(z3, context)
    with refusals() as refused:
        given, then = (list(side) for side in problem(query.unknowns, ops))
    if refused:
        return Finding("undecided", f"the problem caught what cannot be decided: {refused[0]}")
    silent = _silent(z3, then, constant)
    if silent:
        return Finding("undecided", silent)
    facts = [z3.BoolVal(part, context) if isinstance(part, bool) else _said(part) for part in given]
    conclusion = z3.And(*map(_said, then), context)
    for square, defined in roots:  # in the order they were taken: a root may stand under a later one
        undefined = query.allowed("the root of a negative number", *facts, square < 0)
        if undefined:
            return undefined
        facts.append(defined)
    for guards, denominator in _denominators(z3, [*facts, conclusion]):
        undefined = query.allowed("a denominator of 0", *facts, *guards, denominator == 0)
        if undefined:
            return undefined
    possible, _ = query.ask(*facts)
    if possible == z3.unsat:
        return Finding("refuted", "the hypotheses contradict each other")
    if possible == z3.unknown:
        return Finding("undecided", f"no model of the hypotheses in {seconds:g} s: raise --seconds", late=True)
    found, at = query.ask(*facts, z3.Not(conclusion))
    if found == z3.unknown:
        said = f"z3 found neither proof nor model in {seconds:g} s: raise --seconds"
        return Finding("undecided", said, late=True)
    return Finding("proved") if found == z3.unsat else Finding("refuted", at)


def _silent(z3: Any, conclusions: list[Any], constant: bool) -> str:
    """What is wrong with a list of conclusions that is empty, or of which one may not be `constant` and is."""
    if not conclusions:
        return "no conclusion to prove"
    for part in () if constant else conclusions:
        if isinstance(part, bool) or not any(_unknown(z3, term) for term in _terms(_said(part))):
            said = part if isinstance(part, bool) else _said(part)
            return f"the conclusion {said} is a constant and says nothing of the unknowns: drop it or put one into it"
    return ""


def _terms(formula: Any) -> Iterator[Any]:
    """Every part of a formula, each once."""
    todo, seen = [formula], set()
    while todo:
        term = todo.pop()
        if term.get_id() not in seen:
            seen.add(term.get_id())
            yield term
            todo += term.children()


def _unknown(z3: Any, term: Any) -> bool:
    return term.decl().kind() == z3.Z3_OP_UNINTERPRETED


def _denominators(z3: Any, formulas: list[Any]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every denominator but a nonzero constant, each with the conditions of `where` under which it is divided by."""
    divided = {t.get_id() for formula in formulas for t in _terms(formula) if _divides(z3, t)}
    holding: dict[int, bool] = {}

    def holds(term: Any) -> bool:
        """Whether some part of a term is a division."""
        key = term.get_id()
        if key not in holding:
            holding[key] = key in divided or any([holds(child) for child in term.children()])
        return holding[key]

    todo: list[tuple[tuple[Any, ...], Any]] = [((), formula) for formula in formulas]
    seen = set()
    while todo:
        guards, term = todo.pop()
        key = (frozenset(guard.get_id() for guard in guards), term.get_id())
        if key in seen or not holds(term):
            continue
        seen.add(key)
        if term.get_id() in divided:
            yield guards, term.arg(1)
        if term.decl().kind() == z3.Z3_OP_ITE and term.num_args() == 3:
            condition, then, otherwise = term.children()
            branches = ((guards, condition), ((*guards, condition), then), ((*guards, z3.Not(condition)), otherwise))
            todo += branches
        else:
            todo += [(guards, child) for child in term.children()]


def _divides(z3: Any, term: Any) -> bool:
    """Whether a term is a division by anything but a constant other than 0."""
    if term.decl().kind() != z3.Z3_OP_DIV:
        return False
    below = term.arg(1)
    return not (z3.is_rational_value(below) and below.as_fraction() != 0)


def _shown(model: Any, real: Any) -> str:
    value = model.eval(real, model_completion=True)
    return value.as_decimal(4) if hasattr(value, "as_decimal") and not hasattr(value, "as_fraction") else str(value)


class _Foreign(Refusing):
    """Stands for a number or a function that Z3 does not know."""

    def _error(self) -> Exception:
        known = "smt.problem must be algebraic; got exp, log, log1p, sin, erfc or pi"
        return ValueError(f"{known}: use the balls engine.")

    __call__ = __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = Refusing.refuse
    __truediv__ = __rtruediv__ = __pow__ = __rpow__ = __neg__ = __pos__ = __abs__ = __bool__ = Refusing.refuse
    __le__ = __lt__ = __ge__ = __gt__ = __eq__ = __ne__ = Refusing.refuse  # type: ignore[assignment]
    __hash__ = Refusing.refuse


def _ops(z3: Any, context: Any) -> tuple[Ops, list[tuple[Any, Any]]]:
    """The operations on Z3 reals, and a list that collects the roots taken: radicand, definition of the root."""
    roots: list[tuple[Any, Any]] = []

    def root(square: Any) -> Real:
        below, value = _term(context, square), z3.Real(f"root {len(roots)}", context)
        roots.append((below, z3.And(value >= 0, value * value == below)))
        return Real(value)

    def where(condition: Any, then: Any, otherwise: Any) -> Real:
        return Real(z3.If(_said(condition), _term(context, then), _term(context, otherwise), context))

    foreign: Any = _Foreign()
    ops = Ops(
        num=lambda text: Real(_term(context, Fraction(text))),
        sqrt=root,
        exp=foreign,
        log=foreign,
        log1p=foreign,
        sin=foreign,
        erfc=foreign,
        pi=foreign,
        abs=abs,
        larger=lambda a, b: where(a >= b, a, b),
        smaller=lambda a, b: where(a <= b, a, b),
        where=where,
        ratio=lambda a, b: a / b,
    )
    return ops, roots
