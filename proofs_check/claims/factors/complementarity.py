"""SN-3: the multiplicative update ends in complementarity, and how soon."""

from dataclasses import replace

import sympy
import torch

from proofs_check.claim import Claim, Control, Mutant, Part, Verdict, at_most, edited, equal
from proofs_check.claims.factors.cases import LIMIT, POSITIVE, SYMMETRIC, Step, signed, step, steps
from proofs_check.engines import symbolic
from workbench.theory import factors as theory
from workbench.theory.ops import FLOAT

_STEPS = 10


def _conclusion(case: Step) -> dict[str, Part]:
    unit, first = case.unit, case.loss(case.before.tolist())
    gradient = (case.before @ case.q - case.p).tolist()  # dJ/2df
    least, below, now = float("inf"), [], case
    for _ in range(_STEPS):
        residuals = now.each(theory.stationarity)
        least = min(least, sum(residuals))
        below += [a - b for a, b in zip(residuals, now.each(theory.least_drop, ops=LIMIT), strict=True)]
        now = replace(now, before=torch.tensor(now.after, dtype=torch.float64))
    fell = [after <= old for after, old in zip(case.after, case.before.tolist(), strict=True)]
    return {
        "up − down = p − f q": equal([up - down for up, down in case.pulls], [-g for g in gradient], unit=unit),
        "a code that does not rise has dJ/df ≥ 0": at_most(
            [-g if down else 0.0 for g, down in zip(gradient, fell, strict=True)], 0.0, unit=unit
        ),
        "residual ≤ fall": at_most(below, 0.0, unit=unit),
        "best of T steps ≤ (J₀ − J_T)/T": at_most(least, (first - now.loss(now.before.tolist())) / _STEPS, unit=unit),
    }


def _gradient(symbols, ops):
    """Up - down is minus half the slope of J, which holds for every f, hence complementarity at rest."""
    for m in (1, 2, 3):
        for _, g, p, q in signed(symbols, m, few=m == 3):
            value = theory.quadratic(g, p, q, 0)
            for code, (up, down) in zip(g, theory.pulls(g, p, q, ops=ops), strict=True):
                yield up - down, -sympy.diff(value, code) / 2


def _curvature(symbols, ops):
    """h(t) = t log t - t + 1 less its bound: 0 with slope 0 at 1, and convex on both sides."""
    t, g, down = symbols("t g down", positive=True)
    above = t * ops.log(t) - t + 1 - (t - 1) ** 2 / (2 * t)
    below = t * ops.log(t) - t + 1 - (t - 1) ** 2 / 2
    for value in (above, below):
        yield value.subs(t, 1), 0
        yield sympy.diff(value, t).subs(t, 1), 0
    yield sympy.diff(above, t, 2), (t - 1) * (t + 1) / t**3  # above 0 for t > 1
    yield sympy.diff(below, t, 2), (1 - t) / t  # above 0 for t < 1; then the slope is below 0, the value above
    more = symbols("more", positive=True)
    for up, lower, value in ((down * (1 + more), down, above), (down, down * (1 + more), below)):
        drop = theory.least_drop(g, up, lower, ops=ops) - theory.stationarity(g, up, lower, ops=ops)
        yield drop.subs(ops.log(up / lower), ops.log(sympy.cancel(up / lower))), g * lower * value.subs(t, up / lower)


def _steeper(before, up, down, *, ops=FLOAT):
    return before * (up - down) ** 2 / ops.larger(up, down)


def _without_negative_part(pulls):
    def of(f, p, q, *, ops=FLOAT):
        return [(up, v + 0 * up) for (up, _), v in zip(pulls(f, p, q, ops=ops), theory.product([f], q)[0], strict=True)]

    return of


CLAIM = Claim(
    id="SN-3",
    statement=(
        "A fixed point of the update from f > 0 has f_j(fq − p)_j = 0, and a code that does not rise in a step has "
        "(fq − p)_j ≥ 0. With the rows fixed, among T steps one has Σ f_j(p − fq)_j²/(2 max(up_j, down_j)) ≤ "
        "(J_0 − J_T)/T."
    ),
    tex=r"\min_{t<T}\sum_j\frac{f_j(p-fq)_j^2}{2\max(\text{up}_j,\text{down}_j)}\leq\frac{J_0-J_T}{T}",
    source="complementarity: Ding, Li, Jordan (2010); its rate and the sign are ours",
    kind="bound",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(POSITIVE, SYMMETRIC),
    instances=steps(),
    conclusion=_conclusion,
    controls=(
        Control(
            POSITIVE.name,
            step([0], [1], [[1]]),
            "a code that starts at 0 stays there against its gradient; repair: NNLS",
        ),
        Control(
            SYMMETRIC.name,
            step([1, 1.5], [1, 0], [[2, -0.5], [-1.5, 0.5]]),
            "q without symmetry: up − down is no gradient",
        ),
    ),
    proofs={
        "up − down = p − f q": symbolic.identity("up − down = −∂J/2∂f", "m ≤ 3, patterns of signs", _gradient),
        "residual ≤ fall": symbolic.identity(
            "the residual is at most the fall", "all f', up, down > 0: value, slope, curvature", _curvature
        ),
    },
    mutants=(
        Mutant("twice the residual", theory.stationarity, _steeper),
        edited("p without its negative part", theory.pulls, _without_negative_part),
        edited("half the fall", theory.least_drop, lambda f: lambda g, up, down, *, ops: f(g, up, down, ops=ops) / 4),
        Mutant("no step", theory.multiplicative, lambda before, up, down, *, ops=None: before),
    ),
    note=(
        "The rate telescopes SN-2's falls; alternating with the rows only adds falls. Zeros absorb: the sign at a code "
        "that starts at 0 is not enforced. That the iterates converge is open."
    ),
)
