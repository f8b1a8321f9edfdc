"""SN-2: the function behind the multiplicative update lies above the loss, touches it, and is least at the update."""

from dataclasses import replace
from fractions import Fraction

from proofs_check.claim import LOOPS, Claim, Control, Mutant, Part, Verdict, at_most, equal
from proofs_check.claims.factors.cases import LIMIT, POSITIVE, SYMMETRIC, Step, from_1, step, steps
from proofs_check.engines import smt
from proofs_check.instances.draw import numbers
from proofs_check.instances.loops import evaluated
from proofs_check.kernel.evaluations import EXACT
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


def _with_logs(ops, *logs):
    """The operations, with logarithms read off in turn; what is assumed of these the proofs of `LOGARITHM` show."""
    left = iter(logs)
    return replace(ops, log=lambda _: next(left))


def _gap(f, before, p, q, logs, ops):
    """Z - J, given the logarithms of f / f'."""
    return theory.auxiliary(f, before, p, q, 0, ops=_with_logs(ops, *logs)) - theory.quadratic(f, p, q, 0)


def _one(f, g, p, q, log, ops):
    """What a code by itself adds to the gap."""
    return _gap([f], [g], [p], [[q]], [log], ops)


def _two(f, g, h, k, q, logs, ops):
    """What a pair of codes adds to the gap."""
    return _gap([f, h], [g, k], [0, 0], [[0, q], [q, 0]], logs, ops)


def _pair(unknowns, ops):
    """A code with itself, then with each other one: with log(f h / g k) <= f h / g k - 1."""
    pairs, f, g, h, k, q, own, log, a, b = unknowns("pairs f g h k q own log a b")
    given = [f >= 0, g > 0, 2 * log * g * g <= f * f - g * g, h >= 0, k > 0, (a + b) * g * k <= f * h - g * k]
    start = {"pairs": _one(f, g, 0, own, log, ops)}
    return smt.Invariant([pairs >= 0], {"pairs": pairs + _two(f, g, h, k, q, [a, b], ops)}, start, given)


def _code(unknowns, ops):
    """One code more: its own share, and its pairs."""
    gap, pairs, f, g, p, q, log = unknowns("gap pairs f g p q log")
    given = [pairs >= 0, f >= 0, g > 0, log * g <= f - g, 2 * log * g * g <= f * f - g * g]
    return smt.Invariant([gap >= 0], {"gap": gap + pairs + _one(f, g, p, q, log, ops)}, given=given)


def _shares(draw):
    """The shipped Z - J is what each code and each pair add; J is |x - fW|²."""
    n, ops = min(draw.n, 33), EXACT
    f, g, log = ([Fraction(abs(v), 7) for v in draw.vector(n, 999)] for _ in range(3))
    p, table = draw.vector(n, 999), draw.rows(n, n, 999)
    q = [[table[max(i, j)][min(i, j)] for j in range(n)] for i in range(n)]
    total = sum(_one(f[j], g[j], p[j], q[j][j], log[j], ops) for j in range(n))
    total += sum(_two(f[i], g[i], f[j], g[j], q[i][j], (log[i], log[j]), ops) for i in range(n) for j in range(i))
    yield _gap(f, g, p, q, log, ops), total
    x, rows = draw.vector(draw.d), draw.rows(n, draw.d)
    p = [row[0] for row in theory.product(rows, [[v] for v in x])]
    q = theory.product(rows, [list(column) for column in zip(*rows, strict=True)])
    yield theory.quadratic(f, p, q, sum(v * v for v in x)), theory.square_error([x], [f], rows)


def _term(f, g, up, down, log, ops):
    """A code's term in Z - J(f'), by the shipped function at a p and a q that give these pulls."""
    shipped = theory.auxiliary([f], [g], [up], [[down / g]], 0, ops=_with_logs(ops, log))
    return shipped - theory.quadratic([g], [up], [[down / g]], 0)


def _separate(draw):
    """The shipped Z is J(f') and a term for each code, of its own pulls."""
    n = draw.n
    f, g, log = ([Fraction(abs(v), 7) for v in draw.vector(n, 999)] for _ in range(3))
    p, q = draw.vector(n, 999), draw.rows(n, n, 999)
    pulls = theory.pulls(g, p, q, ops=EXACT)
    terms = [_term(v, old, *pull, a, EXACT) for v, old, pull, a in zip(f, g, pulls, log, strict=True)]
    yield theory.auxiliary(f, g, p, q, 5, ops=_with_logs(EXACT, *log)), theory.quadratic(g, p, q, 5) + sum(terms)


def _touches(unknowns, ops):
    g, up, down = unknowns("g up down")
    return [g > 0, up >= 0, down >= 0], [_term(g, g, up, down, 0, ops) == 0]


def _update(unknowns, ops):
    """With log (f / at)² <= (f / at)² - 1 for the code `at` after the update."""
    lower, higher, f, g, up, down, log, least = unknowns("lower higher f g up down log least")
    at = theory.multiplicative(g, up, down, ops=ops)
    given = [f > 0, g > 0, up >= 0, down > 0, 2 * (log - least) * at * at <= f * f - at * at]
    after = {"lower": lower + _term(at, g, up, down, least, ops), "higher": higher + _term(f, g, up, down, log, ops)}
    return smt.Invariant([lower <= higher], after, given=given)


def _fall(unknowns, ops):
    """The logarithm of the update's root is half that of its square."""
    drops, falls, g, up, down, log = unknowns("drops falls g up down log")
    at = theory.multiplicative(g, up, down, ops=ops)
    fall = _term(g, g, up, down, 0, ops) - _term(at, g, up, down, log / 2, ops)
    drop = theory.least_drop(g, up, down, ops=_with_logs(ops, log))
    given = [g > 0, up >= 0, down > 0]
    return smt.Invariant([drops == falls], {"drops": drops + drop, "falls": falls + fall}, given=given)


def _losses(unknowns, ops):
    drops, above, below, old, new = unknowns("drops above below old new")
    return [drops == above - below, above == old, new <= below], [drops <= old - new]


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

LOGARITHM = (
    from_1("log t ≤ t − 1 above 1", lambda t, ops: ops.log(t), lambda t, ops: t - 1),
    from_1("log 1/t ≤ 1/t − 1 below", lambda t, ops: 1 - 1 / t, lambda t, ops: ops.log(t)),
)
SHARES = evaluated("Z − J adds up codes and pairs, J is |x − fW|²", _shares)
SEPARATE = evaluated("Z is J(f') and a term for each code", _separate)
ABOVE = (
    *LOGARITHM,
    smt.induction("a code's pairs have Z ≥ J", "all m: induction over pairs", _pair),
    smt.induction("Z ≥ J", "all m: induction over codes", _code),
)
TOUCHES = smt.implies("a code's term is 0 at f'", "all m: code by code", _touches)
FALL = smt.induction("the fall from f' to the update", "all m: induction over codes", _fall)
LOSS = (*ABOVE, TOUCHES, FALL, smt.implies("J(f') = Z(f'), J ≤ Z: J falls as much", "all m", _losses))

CLAIM = Claim(
    id="SN-2",
    statement=(
        "For f, f' > 0 and symmetric q, J(f) ≤ Z(f, f') = J(f') + Σ_j [down_j(f_j²/f'_j − f'_j) − 2 up_j f'_j "
        "log(f_j/f'_j)], with equality at f = f'. Z is least at f'√(up/down), so the update lowers J by at least "
        "Σ_j f'_j(down_j − up_j + up_j log(up_j/down_j))."
    ),
    tex=r"f_j\leftarrow f'_j\sqrt{\frac{p^+_j+(f'q^-)_j}{p^-_j+(f'q^+)_j}}",
    stated="equivalent",
    source="Ding, Li, Jordan (2010), convergence of the semi-NMF update; the size of the fall is ours",
    kind="tight",
    promised=Verdict.PROVED,
    hypotheses=(POSITIVE, SYMMETRIC),
    instances=steps(),
    conclusion=_conclusion,
    extremal={"Z ≥ J": steps(same=True)},
    controls=(
        Control(
            POSITIVE.name,
            numbers(1.5, 3).flatmap(lambda t: step([-1], [1], [[1]], f=[-t])),
            "f, f' < 0: the squares bound from below",
        ),
        Control(
            SYMMETRIC.name,
            numbers(0.5, 2).flatmap(lambda t: step([1, 1], [1, 0], [[1, 0], [t, 1]], f=[1, 2])),
            "q without symmetry; repair: (q + qᵀ)/2",
        ),
    ),
    proofs={
        LOOPS: (SHARES, SEPARATE),
        "Z ≥ J": ABOVE,
        "Z = J at f'": TOUCHES,
        "least at the update": (
            *LOGARITHM,
            smt.induction("least at the update", "all m: induction over codes", _update),
        ),
        "its fall": FALL,
        "the loss falls by as much": LOSS,
    },
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
