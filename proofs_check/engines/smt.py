"""Z3: statements about finitely many reals, for all their values."""

from collections.abc import Callable, Iterable
from typing import Any

from proofs_check.claim import Check, Finding
from proofs_check.engines.need import need
from workbench.theory.ops import Ops

Problem = Callable[[Callable[[str], Any], Ops], tuple[Iterable[Any], Iterable[Any]]]
"""(unknowns, ops) -> (hypotheses, conclusions); `unknowns("q g t")` makes reals by name, a single name one real"""


def implies(shows: str, scope: str, problem: Problem) -> Check:
    """The hypotheses imply every conclusion, for all reals.

    Refuted also where no reals meet the hypotheses, so that a contradiction never passes for a proof. Undecided where
    the hypotheses allow the root of a negative number.

    Args:
        shows: what is proved, in words.
        scope: for which cases, such as "all k: induction step"; a proof at k = 4 says "k = 4".
        problem: builds hypotheses and conclusions from unknowns, calling the shipped formulas with `ops`.
    """
    return Check("smt", shows, scope, lambda seconds: _decide(problem, seconds))


def induction(shows: str, scope: str, base: Problem, step: Problem) -> Check:
    """The statement holds at the start, and from each case follows the next."""

    def run(seconds: float) -> Finding:
        for name, problem in (("start", base), ("step", step)):
            finding = _decide(problem, seconds)
            if finding.status != "proved":
                return Finding(finding.status, f"{name}: {finding.detail}")
        return Finding("proved")

    return Check("smt", shows, scope, run)


def _decide(problem: Problem, seconds: float) -> Finding:
    z3 = need("z3", "z3-solver")
    context = z3.Context()
    named: dict[str, Any] = {}

    def unknowns(names: str) -> Any:
        for name in names.split():
            named.setdefault(name, z3.Real(name, context))
        made = [named[name] for name in names.split()]
        return made if len(made) > 1 else made[0]

    def at(model: Any) -> str:
        return ", ".join(f"{name} = {_shown(model, real)}" for name, real in named.items())

    ops, roots = _ops(z3, context)
    given, then = (list(side) for side in problem(unknowns, ops))
    facts = given
    for square, defined in roots:  # in the order they were taken: a root may stand under a later one
        found, model = _check(z3, context, [*facts, square < 0], seconds)
        if found != z3.unsat:
            where = f"at {at(model)}" if model is not None else "not excluded in time"
            return Finding(
                "undecided", f"the root of a negative number {where}: add what keeps it from that to the hypotheses"
            )
        facts = [*facts, defined]
    possible, _ = _check(z3, context, facts, seconds)
    if possible != z3.sat:
        known = possible == z3.unsat
        said = "the hypotheses contradict each other" if known else f"no model of the hypotheses in {seconds:g} s"
        return Finding("refuted" if known else "undecided", said)
    found, model = _check(z3, context, [*facts, z3.Not(z3.And(*then, context), context)], seconds)
    if found == z3.unsat:
        return Finding("proved")
    if found == z3.unknown:
        return Finding("undecided", f"z3 found neither proof nor model in {seconds:g} s: raise --seconds")
    return Finding("refuted", at(model))


def _check(z3: Any, context: Any, formulas: list[Any], seconds: float) -> tuple[Any, Any]:
    solver = z3.Solver(ctx=context)
    solver.set("timeout", max(1, int(1000 * seconds)))
    solver.add(*formulas)
    found = solver.check()
    return found, solver.model() if found == z3.sat else None


def _shown(model: Any, real: Any) -> str:
    value = model.eval(real, model_completion=True)
    return value.as_decimal(4) if hasattr(value, "as_decimal") and not hasattr(value, "as_fraction") else str(value)


class _Refused:
    """Stands for a number that Z3 does not know."""

    def _refuse(self, *_: Any) -> Any:
        raise ValueError("smt.problem must be algebraic; got exp, log, erfc or pi: use the balls engine.")

    __call__ = __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _refuse
    __truediv__ = __rtruediv__ = __pow__ = __neg__ = __le__ = __lt__ = __ge__ = __gt__ = _refuse


def _ops(z3: Any, context: Any) -> tuple[Ops, list[tuple[Any, Any]]]:
    """The operations on Z3 reals, and a list that collects the roots taken: radicand, definition of the root."""
    roots: list[tuple[Any, Any]] = []

    def root(square: Any) -> Any:
        square, value = _real(z3, context, square), z3.Real(f"root!{len(roots)}", context)
        roots.append((square, z3.And(value >= 0, value * value == square)))
        return value

    def where(condition: Any, then: Any, otherwise: Any) -> Any:
        return z3.If(condition, _real(z3, context, then), _real(z3, context, otherwise))

    refused: Any = _Refused()
    ops = Ops(
        num=lambda text: z3.RealVal(text, context),
        sqrt=root,
        exp=refused,
        log=refused,
        erfc=refused,
        pi=refused,
        absolute=lambda a: where(a >= 0, a, -a),
        larger=lambda a, b: where(a >= b, a, b),
        where=where,
        ratio=lambda a, b: a / b,
    )
    return ops, roots


def _real(z3: Any, context: Any, value: Any) -> Any:
    return z3.RealVal(value, context) if isinstance(value, int | float) else value
