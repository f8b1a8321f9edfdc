"""SN-8: the gauge of a factorisation: scales and order change neither the loss nor the mask nor the steps."""

from dataclasses import dataclass, field
from fractions import Fraction

import torch
from hypothesis import strategies as st
from torch import Tensor

from proofs_check.claim import LOOPS, Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most, digits, edited, equal
from proofs_check.claims.factors.cases import CODES, Factors, factors
from proofs_check.engines import smt
from proofs_check.instances.draw import mostly, numbers
from proofs_check.instances.loops import evaluated
from proofs_check.kernel.evaluations import EXACT
from workbench.parts import semi_nmf
from workbench.theory import factors as theory


@dataclass(frozen=True, eq=False)
class Moved(Factors):
    """Factors, a scale for each row and an order of them."""

    scales: Tensor = field(default_factory=lambda: torch.ones(0))
    order: Tensor = field(default_factory=lambda: torch.zeros(0))

    def __str__(self) -> str:
        return f"{super().__str__()}, scales {digits(self.scales)}, order {self.order.tolist()}"


def _conclusion(case: Moved) -> dict[str, Part]:
    x, order = case.x + 0.1, case.order
    moved = theory.rescaled(case.codes.tolist(), case.rows.tolist(), case.scales.tolist())
    scaled, longer = (torch.tensor(t, dtype=torch.float64) for t in moved)
    codes, rows = scaled[:, order], longer[order]
    kept = semi_nmf.winner_take_all(case.rows, 0.5) != 0
    step, other = semi_nmf.code_step(x, case.codes, case.rows), semi_nmf.code_step(x, codes, rows)
    unit = 1 + step.abs().max()
    told: dict[str, Part] = {
        "J": equal(case.error(scaled, longer), case.error(), unit=case.size),
        "J in another order": equal(case.error(case.codes[:, order], case.rows[order]), case.error(), unit=case.size),
        "f ≥ 0": at_most(0.0, codes.min()),
        "the mask": equal((semi_nmf.winner_take_all(rows, 0.5) != 0).flatten(), kept[order].flatten()),
        "a step of the codes": equal((other * case.scales[order]).flatten(), step[:, order].flatten(), unit=unit),
    }
    if scaled.min() < 0:  # the formula's step is of codes at least 0
        return told
    before = _stepped(x[:1], case.codes[:1], case.rows)
    after = [c * v for c, v in zip(case.scales.tolist(), _stepped(x[:1], scaled[:1], longer), strict=True)]
    return told | {"a step by the formula": equal(after, before, unit=unit)}


def _stepped(x: Tensor, codes: Tensor, rows: Tensor) -> list[float]:
    """One sample's codes after a step by the formula; one that nothing pulls down stays."""
    f, (p,), q = codes[0].tolist(), (x @ rows.T).tolist(), (rows @ rows.T).tolist()
    pulls = zip(f, theory.pulls(f, p, q), strict=True)
    return [theory.multiplicative(old, up, down) if down > 0 else old for old, (up, down) in pulls]


def _exchanged(unknowns, ops):
    """One coordinate of the product, before the two codes f, g and after them whatever else."""
    before, f, v, g, w, after = unknowns("before f v g w after")
    ((one,),), ((other,),) = theory.product([[f, g]], [[v], [w]]), theory.product([[g, f]], [[w], [v]])
    return [], [before + one + after == before + other + after]


def _nonnegative(unknowns, ops):
    f, w, c = unknowns("f w c")
    ((code,),), _ = theory.rescaled([[f]], [[w]], [c])
    return [f >= 0, c > 0], [code + 0 * w >= 0]


def _coordinate(unknowns, ops):
    """Products of rescaled rows with a sample and with each other."""
    p, p_new, q, q_new, x, w, v, c, e = unknowns("p p_new q q_new x w v c e")
    ((one,), (two,)) = theory.rescaled([[1, 1]], [[w], [v]], [c, e])[1]
    after = {"p": p + x * w, "p_new": p_new + x * one, "q": q + w * v, "q_new": q_new + one * two}
    return smt.Invariant([p_new == c * p, q_new == c * e * q], after, given=[c > 0, e > 0])


def _another(unknowns, ops):
    """Both pulls grow by the row's factor: those of a code by itself, and what a second code adds."""
    up, down, up_new, down_new, f, p, own = unknowns("up down up_new down_new f p own")
    h, q, c, e = unknowns("h q c e")
    (alone,) = theory.pulls([f], [p], [[own]], ops=ops)
    (scaled,) = theory.pulls([f / c], [c * p], [[c * c * own]], ops=ops)
    start = {"up": alone[0], "down": alone[1], "up_new": scaled[0], "down_new": scaled[1]}
    u, v = theory.pulls([f, h], [0, 0], [[0, q], [q, 0]], ops=ops)[0]
    u_new, v_new = theory.pulls([f / c, h / e], [0, 0], [[0, c * e * q], [c * e * q, 0]], ops=ops)[0]
    after = {"up": up + u, "down": down + v, "up_new": up_new + u_new, "down_new": down_new + v_new}
    return smt.Invariant([up_new == c * up, down_new == c * down], after, start, [c > 0, e > 0])


def _code(unknowns, ops):
    f, up, down, c = unknowns("f up down c")
    given = [c > 0, up >= 0, down > 0]
    moved = theory.multiplicative(f / c, c * up, c * down, ops=ops)
    return given, [c * moved == theory.multiplicative(f, up, down, ops=ops)]


def _grown(draw):
    """What is rescaled, and that pulls add up code by code."""
    n, scales = draw.n, [abs(v) for v in draw.vector(draw.n)]
    codes, rows = [[Fraction(v) for v in row] for row in draw.rows(9, n)], draw.rows(n, draw.d)
    fewer = [[v / c for v, c in zip(row, scales, strict=True)] for row in codes]
    yield theory.rescaled(codes, rows, scales), (fewer, [[c * v for v in w] for c, w in zip(scales, rows, strict=True)])
    f, p, table = draw.vector(n), draw.vector(n), draw.rows(n, n)
    q = [[table[max(i, j)][min(i, j)] for j in range(n)] for i in range(n)]
    alone = theory.pulls([f[0]], [p[0]], [[q[0][0]]], ops=EXACT)
    others = [theory.pulls([f[0], f[j]], [0, 0], [[0, q[0][j]], [q[0][j], 0]], ops=EXACT) for j in range(1, n)]
    whole = [sum(pulls[0][side] for pulls in (alone, *others)) for side in (0, 1)]
    yield list(theory.pulls(f, p, q, ops=EXACT)[0]), whole


SCALES = Hypothesis("scales above 0", lambda case: float(case.scales.min() <= 0))


@st.composite
def _cases(draw):
    case = draw(factors())
    m = len(case.rows)
    size = mostly(st.sampled_from([0.25, 2.0, 8.0]), st.sampled_from([1.0, 0.25, 2.0, 8.0]))
    scales = draw(st.lists(size, min_size=m, max_size=m))
    order = draw(st.permutations(range(m)))
    return _moved(case.codes, case.rows, scales, order)


def _moved(codes, rows, scales, order):
    one = Factors.exact(codes, rows)
    return Moved(one.codes, one.rows, one.x, 1.0, torch.tensor(scales, dtype=torch.float64), torch.tensor(order))


EYE, T = [[1.0, 0], [0, 2]], numbers(0.5, 3)

CLAIM = Claim(
    id="SN-8",
    statement=(
        "Codes f_j/c_j with rows c_j w_j, c > 0, in any order: the same product and J, the same entries kept by "
        "winner-take-all, and the same step of the codes up to the same scales and order."
    ),
    tex=r"fW=(fC^{-1}\Pi)(\Pi^TCW)",
    source="ours; the published code moves norms of the codes to the rows by it",
    kind="identity",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(SCALES, CODES),
    instances=_cases(),
    nontrivial=lambda case: (case.scales != 1).any() and ((case.codes > 0).sum(1) > 1).any(),
    conclusion=_conclusion,
    controls=(
        Control(
            SCALES.name, T.map(lambda t: _moved([[1.0, 1]], EYE, [1.0, -t], [0, 1])), "a negative scale: a code below 0"
        ),
        Control(CODES.name, T.map(lambda t: _moved([[-t, 1]], EYE, [1.0, 2], [0, 1])), "a code below 0 stays below"),
    ),
    proofs={
        LOOPS: evaluated("what is rescaled; pulls code by code", _grown),
        "J in another order": smt.implies(
            "the product in any order", "all orders: two neighbours at a time, coordinate by coordinate", _exchanged
        ),
        "f ≥ 0": smt.implies("f/c ≥ 0", "all N, m: code by code", _nonnegative),
        "a step by the formula": (
            smt.induction("p_j grows by c_j, q_jk by c_j c_k", "all d: induction", _coordinate),
            smt.induction("both pulls grow by c", "all m: induction over codes", _another),
            smt.implies("so the code after a step falls by c", "all m: code by code", _code),
        ),
    },
    kernel={"J": "factors.scale_gauge"},
    mutants=(
        edited(
            "rows alone", theory.rescaled, lambda true: lambda f, rows, c: ([list(r) for r in f], true(f, rows, c)[1])
        ),
        edited(
            "codes multiplied",
            theory.rescaled,
            lambda true: lambda f, rows, c: (true(f, rows, [1 / v for v in c])[0], rows),
        ),
        Mutant(
            "largest of the matrix",
            semi_nmf.winner_take_all,
            lambda rows, share: rows * (rows.abs() >= rows.abs().median()),
        ),
    ),
)
