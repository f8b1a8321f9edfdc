"""SN-3: the multiplicative update ends in complementarity, and how soon."""

from dataclasses import replace

import torch

from proofs_check.claim import BESIDE, LOOPS, Claim, Control, Mutant, Part, Verdict, at_most, edited, equal
from proofs_check.claims.factors.auxiliary_function import LOSS, SEPARATE, SHARES
from proofs_check.claims.factors.cases import LIMIT, POSITIVE, SYMMETRIC, Step, from_1, step, steps
from proofs_check.engines import smt
from proofs_check.instances.draw import numbers
from proofs_check.instances.loops import evaluated
from proofs_check.kernel.evaluations import EXACT
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


def _another(unknowns, ops):
    """The pulls of a code by itself, and what a second code with product q adds."""
    up, down, slope, f, p, own, h, q = unknowns("up down slope f p own h q")
    first = theory.pulls([f], [p], [[own]], ops=ops)[0]
    more, less = theory.pulls([f, h], [0, 0], [[0, q], [q, 0]], ops=ops)[0]
    start = {"up": first[0], "down": first[1], "slope": p - f * own}
    return smt.Invariant([up - down == slope], {"up": up + more, "down": down + less, "slope": slope - h * q}, start)


def _pulled(draw):
    """Up - down is p - f q, minus half the slope of J."""
    n = draw.n
    f, p, table = draw.vector(n), draw.vector(n), draw.rows(n, n)
    q = [[table[max(i, j)][min(i, j)] for j in range(n)] for i in range(n)]
    slopes = [a - b for a, b in zip(p, theory.product([f], q)[0], strict=True)]
    yield [up - down for up, down in theory.pulls(f, p, q, ops=EXACT)], slopes
    more = draw.number()
    for j in (0, n - 1):
        moved = [v + more * (i == j) for i, v in enumerate(f)]
        rise = theory.quadratic(moved, p, q, 3) - theory.quadratic(f, p, q, 3)
        yield rise, -2 * more * slopes[j] + more**2 * q[j][j]


def _without_zero(draw):
    """A code of 0 changes neither J nor the pulls of the others."""
    n, ops = draw.n, EXACT
    f, p, table = [abs(v) for v in draw.vector(n)], draw.vector(n), draw.rows(n, n)
    q = [[table[max(i, j)][min(i, j)] for j in range(n)] for i in range(n)]
    f[n // 2] = 0
    left = [j for j in range(n) if j != n // 2]
    few = [f[j] for j in left], [p[j] for j in left], [[q[i][j] for j in left] for i in left]
    yield theory.quadratic(f, p, q, 3), theory.quadratic(*few, 3)
    pulls = theory.pulls(f, p, q, ops=ops)
    yield [pulls[j] for j in left], theory.pulls(*few, ops=ops)


def _not_risen(unknowns, ops):
    g, up, down, slope = unknowns("g up down slope")
    after = theory.multiplicative(g, up, down, ops=ops)
    return [g > 0, up >= 0, down > 0, up - down == slope, after <= g], [-slope >= 0]


def _at_rest(unknowns, ops):
    g, up, down = unknowns("g up down")
    after = theory.multiplicative(g, up, down, ops=ops)
    return [g > 0, up >= 0, down > 0, after == g], [g * (up - down) == 0]


def _residual(unknowns, ops):
    """By `CURVES` at t = up / down or down / up, whichever is above 1."""
    g, up, down, log = unknowns("g up down log")
    above = (up - down) ** 2 <= 2 * up * (up * log - up + down)
    below = -2 * up * down * log <= down**2 - up**2
    given = [g > 0, up >= 0, down > 0, (up < down) | above, (up >= down) | below]
    drop = theory.least_drop(g, up, down, ops=replace(ops, log=lambda _: log))
    return given, [theory.stationarity(g, up, down, ops=ops) <= drop]


def _code(unknowns, ops):
    residuals, drops, residual, drop = unknowns("residuals drops residual drop")
    after = {"residuals": residuals + residual, "drops": drops + drop}
    return smt.Invariant([residuals <= drops], after, given=[residual <= drop])


def _step(unknowns, ops):
    """From the first step, that falls from `begin` to `then`."""
    least, count, begin, now, residual, after, first, then = unknowns("least count begin now residual after first then")
    moved = {"least": ops.smaller(least, residual), "count": count + 1, "now": after}
    start, given = {"least": first, "count": 1, "now": then}, [first <= begin - then, residual <= now - after]
    return smt.Invariant([least * count <= begin - now, count >= 1], moved, start, given)


def _steeper(before, up, down, *, ops=FLOAT):
    return before * (up - down) ** 2 / ops.larger(up, down)


def _without_negative_part(pulls):
    def of(f, p, q, *, ops=FLOAT):
        return [(up, v + 0 * up) for (up, _), v in zip(pulls(f, p, q, ops=ops), theory.product([f], q)[0], strict=True)]

    return of


CURVES = (
    from_1(
        "(t − 1)² ≤ 2t(t log t − t + 1)", lambda t, ops: (t - 1) ** 2, lambda t, ops: 2 * t * (t * ops.log(t) - t + 1)
    ),
    from_1("2t log t ≤ t² − 1", lambda t, ops: 2 * t * ops.log(t), lambda t, ops: t * t - 1),
)
RESIDUAL = (*CURVES, smt.implies("the residual is at most the fall", "all f', up, down, by the curves", _residual))
PULLS = smt.induction("up − down = p − f q", "all m: induction over codes", _another)

CLAIM = Claim(
    id="SN-3",
    statement=(
        "A fixed point of the update from f > 0 has f_j(fq − p)_j = 0, and a code that does not rise in a step has "
        "(fq − p)_j ≥ 0. With the rows fixed, among T steps one has Σ f_j(p − fq)_j²/(2 max(up_j, down_j)) ≤ "
        "(J_0 − J_T)/T."
    ),
    tex=r"\min_{t<T}\sum_j\frac{f_j(p-fq)_j^2}{2\max(\text{up}_j,\text{down}_j)}\leq\frac{J_0-J_T}{T}",
    source="ours: the rate and the sign; complementarity itself: Ding, Li, Jordan (2010)",
    kind="bound",
    promised=Verdict.PROVED,
    hypotheses=(POSITIVE, SYMMETRIC),
    instances=steps(),
    conclusion=_conclusion,
    controls=(
        Control(
            POSITIVE.name,
            numbers(0.5, 3).flatmap(lambda t: step([0], [t], [[1]])),
            "a code that starts at 0 stays there against its gradient; repair: NNLS",
        ),
        Control(
            SYMMETRIC.name,
            numbers(0.8, 1.2).flatmap(lambda t: step([1, 1.5], [t, 0], [[2, -0.5], [-1.5, 0.5]])),
            "q without symmetry: up − down is no gradient",
        ),
    ),
    proofs={
        LOOPS: (
            SHARES,
            SEPARATE,
            evaluated("up − down = p − f q = −∂J/2∂f", _pulled),
            evaluated("a code of 0 drops out of J and of the pulls", _without_zero),
        ),
        "up − down = p − f q": PULLS,
        "a code that does not rise has dJ/df ≥ 0": (
            PULLS,
            smt.implies("a code that does not rise has up ≤ down", "all m: code by code", _not_risen),
        ),
        BESIDE: smt.implies("at a fixed point f(up − down) = 0", "all m: code by code", _at_rest),
        "residual ≤ fall": RESIDUAL,
        "best of T steps ≤ (J₀ − J_T)/T": (
            *LOSS,
            *RESIDUAL,
            smt.induction("the sum of residuals is at most that of falls", "all m: induction over codes", _code),
            smt.induction("T times the least is at most J₀ − J_T", "all T: induction over steps", _step),
        ),
    },
    mutants=(
        Mutant("twice the residual", theory.stationarity, _steeper),
        edited("p without its negative part", theory.pulls, _without_negative_part),
        edited("half the fall", theory.least_drop, lambda f: lambda g, up, down, *, ops: f(g, up, down, ops=ops) / 4),
        Mutant("no step", theory.multiplicative, lambda before, up, down, *, ops=None: before),
    ),
    note=(
        "The rate telescopes SN-2's falls; alternating with the rows only adds falls. Zeros absorb: a code that "
        "falls to 0 drops out, and the sign at one that starts there is not enforced. That the iterates converge is "
        "open."
    ),
)
