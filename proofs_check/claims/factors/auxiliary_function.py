"""SN-2: the function behind the multiplicative update lies above the loss, touches it, and is least at the update."""

import sympy

from proofs_check.claim import Claim, Control, Mutant, Part, Verdict, at_most, equal
from proofs_check.claims.factors.cases import LIMIT, POSITIVE, SYMMETRIC, Step, signed, step, steps
from proofs_check.engines import smt, symbolic
from workbench.theory import factors as theory
from workbench.theory.ops import FLOAT


def _conclusion(case: Step) -> dict[str, Part]:
    before, after = case.before.tolist(), case.after
    drops = case.each(theory.least_drop, ops=LIMIT)
    unit = case.unit
    return {
        "Z ≥ J": at_most(case.loss(case.f.tolist()), case.bound(case.f.tolist()), unit=unit),
        "Z = J at f'": equal(case.bound(before), case.loss(before), unit=unit),
        "least at the update": at_most(case.bound(after), case.bound(case.f.tolist()), unit=unit),
        "its fall": equal(sum(drops), case.bound(before) - case.bound(after), unit=unit),
        "the loss falls by as much": at_most(sum(drops), case.loss(before) - case.loss(after), unit=unit),
    }


def _sum_of_bounds(symbols, ops):
    """J with each of its terms replaced by its bound is the shipped Z; J itself is |x - fW|²."""
    x2 = symbols("x2")
    for m in (1, 2):
        for f, g, p, q in signed(symbols, m):
            total = x2
            for j in range(m):
                up, down = (ops.larger(s * p[j], 0) for s in (1, -1))
                total += down * (f[j] ** 2 + g[j] ** 2) / g[j] - 2 * up * g[j] * (1 + ops.log(f[j] / g[j]))
                for k in range(m):
                    rise = 1 + ops.log(f[j] / g[j]) + ops.log(f[k] / g[k])
                    total += ops.larger(q[j][k], 0) * g[k] * f[j] ** 2 / g[j]
                    total -= ops.larger(-q[j][k], 0) * g[j] * g[k] * rise
            yield total, theory.auxiliary(f, g, p, q, x2, ops=ops)
            yield theory.auxiliary(g, g, p, q, x2, ops=ops), theory.quadratic(g, p, q, x2)
    f, x = symbols("f:2"), symbols("x:3")
    rows = [symbols(f"w{j}_:3") for j in range(2)]
    p = [row[0] for row in theory.product(rows, [[v] for v in x])]
    q = theory.product(rows, [list(column) for column in zip(*rows, strict=True)])
    yield theory.quadratic(f, p, q, sum(v * v for v in x)), theory.square_error([x], [f], rows)


def _minimiser(symbols, ops):
    """Slope 0 at the update, curvature above 0 everywhere, and the fall between."""
    f, g, up, down = symbols("f g up down", positive=True)
    value = down * (f**2 / g - g) - 2 * up * g * ops.log(f / g)
    at = theory.multiplicative(g, up, down, ops=ops)
    yield sympy.diff(value, f).subs(f, at), 0
    yield sympy.diff(value, f, 2), 2 * down / g + 2 * up * g / f**2
    yield sympy.expand_log(-value.subs(f, at)), sympy.expand_log(theory.least_drop(g, up, down, ops=ops))


def _logarithm(symbols, ops):
    """Log t <= t - 1: the difference is 0 at 1, and its slope (t - 1) / t has the sign of t - 1."""
    t = symbols("t", positive=True)
    yield (t - 1 - ops.log(t)).subs(t, 1), 0
    yield sympy.diff(t - 1 - ops.log(t), t), (t - 1) / t


def _squares(unknowns, ops):
    """(i) for one code, (ii) for a pair of codes, any size of q+."""
    size, f, g, k, h = unknowns("size f g k l")
    given = [size >= 0, f > 0, g > 0, k > 0, h > 0]
    return given, [2 * size * f <= size * (f * f / g + g), 2 * size * f * k <= size * (f * f * h / g + k * k * g / h)]


def _without_root(before, up, down, *, ops=None):
    return before * up / down


def _swapped(f, p, q, *, ops=FLOAT):
    return [(down, up) for up, down in _pulls(f, p, q, ops=ops)]


def _half_log(f, before, p, q, x2, *, ops=FLOAT):
    pairs = zip(f, before, theory.pulls(before, p, q, ops=ops), strict=True)
    return _auxiliary(f, before, p, q, x2, ops=ops) + sum(up * g * ops.log(v / g) for v, g, (up, _) in pairs)


def _once(f, p, q, x2):
    return _quadratic(f, p, q, x2) + sum(a * b for a, b in zip(f, p, strict=True))


def _first_column(left, right):
    return [[sum(row) * right[0][0]] * len(right[0]) for row in left]


_pulls, _auxiliary, _quadratic, _drop = theory.pulls, theory.auxiliary, theory.quadratic, theory.least_drop
PROOFS = (
    symbolic.identity("the bounds add up to Z; Z = J at f'", "m = 1, 2, every pattern of signs", _sum_of_bounds),
    smt.implies("bounds by squares, one code and a pair", "all m: pair by pair", _squares),
    symbolic.identity("bounds by logarithms: log t ≤ t − 1", "all t > 0: value and slope", _logarithm),
    symbolic.identity("least at the update, and the fall", "all f', up, down > 0: Z is separable", _minimiser),
)

CLAIM = Claim(
    id="SN-2",
    statement=(
        "For f, f' > 0 and symmetric q, J(f) ≤ Z(f, f') = J(f') + Σ_j [down_j(f_j²/f'_j − f'_j) − 2 up_j f'_j "
        "log(f_j/f'_j)], with equality at f = f'. Z is least at f'√(up/down), so the update lowers J by at least "
        "Σ_j f'_j(down_j − up_j + up_j log(up_j/down_j))."
    ),
    tex=r"f_j\leftarrow f'_j\sqrt{\frac{p^+_j+(f'q^-)_j}{p^-_j+(f'q^+)_j}}",
    source="Ding, Li, Jordan (2010), convergence of the semi-NMF update; the size of the fall is ours",
    kind="tight",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(POSITIVE, SYMMETRIC),
    instances=steps(),
    conclusion=_conclusion,
    extremal={"Z ≥ J": steps(same=True)},
    controls=(
        Control(POSITIVE.name, step([-1], [1], [[1]], f=[-2]), "f, f' < 0: the squares bound from below"),
        Control(
            SYMMETRIC.name, step([1, 1], [1, 0], [[1, 0], [1, 1]], f=[1, 2]), "q without symmetry; repair: (q + qᵀ)/2"
        ),
    ),
    proofs={"Z ≥ J": PROOFS[:3], "Z = J at f'": PROOFS[0], ("least at the update", "its fall"): PROOFS[3]},
    mutants=(
        Mutant("without the root", theory.multiplicative, _without_root),
        Mutant("pulls exchanged", theory.pulls, _swapped),
        Mutant("half the logarithm", theory.auxiliary, _half_log),
        Mutant("twice the fall", theory.least_drop, lambda g, up, down, *, ops: 2 * _drop(g, up, down, ops=ops)),
        Mutant("⟨f, p⟩ once", theory.quadratic, _once),
        Mutant("|X| for |X − fW|", theory.square_error, lambda x, codes, rows: sum(v * v for row in x for v in row)),
        Mutant("the first entry for all", theory.product, _first_column),
    ),
)
