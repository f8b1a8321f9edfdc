"""PO-4: P disjoint products without self terms need R2 = 2P columns, and 2P suffice."""

from dataclasses import replace
from fractions import Fraction

import sympy
import torch
from hypothesis import strategies as st

from proofs_check.claim import BESIDE, LOOPS, Claim, Control, Mutant, Part, Verdict, at_most, equal
from proofs_check.claims.interactions.cases import orthonormal
from proofs_check.claims.interactions.exact import exact
from proofs_check.claims.interactions.pair_cases import DISJOINT, NONZERO, VARYING, PurePairs, binary, pure_pairs
from proofs_check.engines import smt, symbolic
from proofs_check.instances.draw import numbers
from proofs_check.instances.loops import evaluated
from proofs_check.kernel.evaluations import EXACT
from workbench.theory import interactions as theory


def _conclusion(case: PurePairs) -> dict[str, Part]:
    count, size = len(case.pairs), float(case.targets.norm()) or 1.0
    gains = case.targets.sum(1).tolist()  # along phi = (1, ..., 1)
    form = torch.tensor(theory.pair_form(gains), dtype=torch.float64)
    fewer = 2 * count - 1
    U = orthonormal(2 * count, fewer, count)
    fit = torch.einsum("ir,ij,jr->r", U, form, U)  # the best coefficients of these columns
    return {
        "exact": equal(case.error, 0.0, unit=size * float(case.f.abs().max()) ** 2),
        "columns": at_most(theory.columns_for_pairs(count), case.columns),
        "misfit of fewer": at_most(
            theory.least_misfit(gains, fewer), (form - (U * fit) @ U.T).square().sum(), unit=size**2
        ),
    }


def _exact(symbols, ops):
    """The decoder on these columns gives the products alone."""
    for count in (1, 2, 3):
        f, b = symbols(f"f:{2 * count}"), symbols(f"b:{count}")
        U = theory.pair_columns(count, ops=ops)
        C2 = [[sign * value / 2 for value in b for sign in (1, -1)]]
        yield theory.degree_part(f, U, C2, 2)[0], sum(f[2 * q] * f[2 * q + 1] * b[q] for q in range(count))
        for r in range(2 * count):
            for s in range(r + 1):
                yield sum(row[r] * row[s] for row in U), int(r == s)


def _pair(unknowns, ops):
    """A pair more, on two columns of its own."""
    made, total, f, g, b = unknowns("made total f g b")
    return smt.Invariant([made == total], {"made": made + _pair_of(f, g, b, ops), "total": total + f * g * b})


def _pair_of(f, g, b, ops):
    return theory.degree_part([f, g], theory.pair_columns(1, ops=ops), [[b / 2, -b / 2]], 2)[0]


def _one_short(unknowns, ops):
    """One column w (u, v) for one pair, u² + v² = 1: what the shipped forms leave between them."""
    g, w, u, v = unknowns("g w u v")
    form, made = theory.pair_form([g]), theory.contracted_form([[u], [v]], [[w]], [1])
    left = sum((a - b) ** 2 for one, two in zip(form, made, strict=True) for a, b in zip(one, two, strict=True))
    return [u * u + v * v == 1], [theory.least_misfit([g], 1, ops=ops) <= left]


def _spectrum():
    """Det(form - x) = prod (x² - g²/4): eigenvalues +-g/2, none 0."""
    x = sympy.Symbol("x")
    for count in (1, 2, 3, 4):
        g = sympy.symbols(f"g:{count}", positive=True)
        matrix = sympy.Matrix(theory.pair_form(g)) - x * sympy.eye(2 * count)
        det = sympy.prod([matrix[2 * q : 2 * q + 2, 2 * q : 2 * q + 2].det() for q in range(count)])
        rest = sum(abs(matrix[i, j]) for i in range(2 * count) for j in range(2 * count) if i // 2 != j // 2)
        yield f"{count} pairs", det, sympy.prod([x**2 - value**2 / 4 for value in g])
        yield f"{count} pairs, outside the blocks", rest, 0
        tail = sum(sorted([value / 4 for value in (1, 4, 9, 16)[:count] for _ in range(2)])[:1])
        yield f"{count} pairs, one column short", theory.least_misfit(list(range(1, count + 1)), 2 * count - 1), tail


def _few():
    """R columns give a form of rank R at most: its determinant of size R + 1 is 0."""
    for columns in (1, 2):
        u = sympy.Matrix(columns + 1, columns, lambda i, r: sympy.Symbol(f"u{i}{r}"))
        w = sympy.diag(*sympy.symbols(f"w:{columns}"))
        yield f"{columns} columns", sympy.expand((u * w * u.T).det()), 0


def _needed():
    for count in (1, 5, 32):
        yield f"{count} pairs", theory.columns_for_pairs(count), sympy.Matrix(theory.pair_form([1] * count)).rank()


def _zero(count):
    plain = binary(count)
    return replace(_varied(plain), targets=0 * plain.targets, C2=0 * plain.C2, W=0 * plain.W)


def _varied(case: PurePairs) -> PurePairs:
    values = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)
    return replace(case, f=torch.cartesian_prod(*[values] * case.f.shape[1]))


def _many(draw):
    """With 7 for the root of 2."""
    n, ops = draw.n, replace(EXACT, sqrt=lambda _: Fraction(7))
    wanted = [[Fraction(0)] * (2 * n) for _ in range(2 * n)]
    for q in range(0, 2 * n, 2):
        wanted[q][q] = wanted[q][q + 1] = wanted[q + 1][q] = Fraction(1, 7)
        wanted[q + 1][q + 1] = Fraction(-1, 7)
    yield theory.pair_columns(n, ops=ops), wanted
    gains = [Fraction(v) for v in draw.vector(n)]
    squares = sorted(g * g / 4 for g in [*gains, *gains])
    for columns in (1, n, 2 * n - 1):
        yield theory.least_misfit(gains, columns, ops=EXACT), sum(squares[: 2 * n - columns])


def _shared(gain):
    """f_0 f_1 + f_0 f_2 = f_0 (f_1 + f_2): two pairs for the price of one."""
    a = 0.5
    U = torch.tensor([[0.5**0.5, 0.5**0.5], [a, -a], [a, -a]], dtype=torch.float64)
    C2 = torch.tensor([[0.5**0.5, -(0.5**0.5)]], dtype=torch.float64)
    targets, nothing = gain * torch.ones(2, 1).double(), torch.zeros(3, 1).double()
    case = PurePairs(((0, 1), (0, 2)), targets, U, gain * C2, nothing, torch.ones(1, 3))
    return _varied(case)


CLAIM = Claim(
    id="PO-4",
    statement=(
        "For samples whose monomials of degree 1 and 2 are independent, Σ_q f_i f_j b_q over P disjoint pairs, b_q ≠ "
        "0, without self terms, is fW + C2(fU)² iff R2 ≥ 2P: along a generic direction its form is P blocks of rank 2. "
        "The b_q need not be independent. One column less leaves at least the smallest g²/4 of the form."
    ),
    tex=r"f_if_j=\tfrac14(f_i+f_j)^2-\tfrac14(f_i-f_j)^2,\quad R_2\geq 2P",
    source="ours, of the decoder of Koromilas et al. (2026), arXiv 2602.01322",
    kind="tight",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(VARYING, NONZERO, DISJOINT),
    instances=pure_pairs(),
    nontrivial=lambda case: len(case.pairs) > 1,
    conclusion=_conclusion,
    extremal={"columns": pure_pairs(spare=0)},
    controls=(
        Control(VARYING.name, st.integers(1, 2).map(binary), "values 0 and 1: f² is linear, one column a pair"),
        Control(NONZERO.name, st.integers(1, 2).map(_zero), "nothing to give"),
        Control(DISJOINT.name, numbers(0.5, 3).map(_shared), "pairs that share a latent and a target"),
    ),
    proofs={
        LOOPS: (
            symbolic.identity("2P columns, pair by pair, orthonormal", "P ≤ 3", _exact),
            evaluated("columns and misfit of many pairs", _many),
        ),
        "exact": smt.induction("two columns a pair give the products alone", "all P: induction over pairs", _pair),
        "misfit of fewer": smt.implies("one column leaves g²/4", "P = 1: all gains, all unit columns", _one_short),
        BESIDE: (
            exact("the form has eigenvalues ±g/2 and misfit as shipped", "P ≤ 4", _spectrum),
            exact("R columns give rank R at most", "R ≤ 2", _few),
            exact("rank of the form", "P = 1, 5, 32", _needed),
        ),
    },
    mutants=(
        Mutant("one a pair", theory.columns_for_pairs, lambda pairs: pairs),
        Mutant("three a pair", theory.columns_for_pairs, lambda pairs: 3 * pairs),
        Mutant("sum alone", theory.pair_columns, lambda pairs, *, ops=None: _sums(pairs)),
        Mutant(
            "self terms",
            theory.pair_form,
            lambda gains: [
                [g / 2 * (i // 2 == j // 2) for j in range(2 * len(gains))]
                for i, g in enumerate(v for v in gains for _ in range(2))
            ],
        ),
        Mutant("all of it", theory.least_misfit, lambda gains, columns, *, ops=None: sum(g * g / 2 for g in gains)),
    ),
    note=(
        "That 2P columns are needed is drawn where they are there, and argued: forms agree where samples tell "
        "monomials apart, R columns give rank R at most (proved for R ≤ 2), the form has rank 2P. So R2 = 64 gives "
        "32 arbitrary disjoint pairs. More must share columns: their B_ij are then not free, and pairs that do not "
        "interact get some too."
    ),
)


def _sums(pairs):
    return [[0.5**0.5 if i // 2 == r // 2 else 0.0 for r in range(2 * pairs)] for i in range(2 * pairs)]
