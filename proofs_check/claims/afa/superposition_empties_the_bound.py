"""AFA-5: with more features than dimensions, the upper side of the published bound never applies."""

import sympy
import torch
from torch import Tensor

from proofs_check.claim import BESIDE, Claim, Control, Mutant, Part, Verdict, Void, at_most, equal
from proofs_check.engines import smt, symbolic
from proofs_check.instances.draw import mixtures, simplices, tight_frames
from proofs_check.instances.mixture import OVERCOMPLETE, UNIT_ROWS, Mixture
from proofs_check.instances.witnesses import orthonormal_basis, short_rows
from workbench.theory import coherence


def _conclusion(case: Mixture) -> dict[str, Part]:
    n, d, eps = case.m, case.d, case.coherence
    c = coherence.norm_gap(1.0, eps, n)
    energy, null = case.of_rows(_energy_of_a_column), case.of_rows(_null_code)
    found: dict[str, Part] = {
        "c ≥ 1": at_most(1.0, c),
        "Welch": at_most(coherence.welch_square(n, d), eps**2),
        "c² ≥ 1 + n(n − d − 1)/d": at_most(1 + n * (n - d - 1) / d, c**2),
        "a code h ≠ 0 with hV = 0": equal((null @ case.rows).square().sum(), 0.0),
        "a code with |hV|² ≥ (n/d)|h|²": at_most(coherence.dense_energy(n, d), energy),
    }
    why = Void(f"c = {c:.4g} > 1")
    return found | {"c = 1 only at n = d + 1": at_most(n, d + 1) if c <= 1 + 1e-9 else why}


def _energy_of_a_column(rows: Tensor) -> Tensor:
    """|hV|² / |h|² where h is the longest column of V."""
    h = rows[:, rows.square().sum(0).argmax()]
    return (h @ rows).square().sum() / h.square().sum()


def _null_code(rows: Tensor) -> Tensor:
    """A code of norm 1 that n > d rows take to 0: what is left of a basis vector beside the columns of V."""
    columns = torch.linalg.qr(rows).Q
    worst = int(columns.square().sum(1).argmin())  # the basis vector farthest from the columns' span
    left = torch.zeros(len(rows), dtype=rows.dtype)
    left[worst] = 1.0
    for _ in range(2):  # twice, against rounding
        left = left - columns @ (columns.T @ left)
    return left / left.norm()


def _frame_potential(symbols, ops):
    """Same trace of G² and of S² with S = V^T V; tr S² - (tr S)²/d is a sum of squares."""
    for n, d in ((2, 1), (3, 2), (4, 3)):
        rows = [symbols(f"v{i}_:{d}") for i in range(n)]
        products = coherence.gram(rows)
        frame = coherence.gram(list(zip(*rows, strict=True)))
        potential = sum(g**2 for row in products for g in row)
        trace = sum(frame[a][a] for a in range(d))
        squares = sum((frame[a][a] - frame[b][b]) ** 2 / d + 2 * frame[a][b] ** 2 for a in range(d) for b in range(a))
        yield potential, sum(s**2 for row in frame for s in row)
        yield potential - trace**2 / d, squares
        yield trace, sum(products[i][i] for i in range(n))


def _welch(unknowns, ops):
    """What Welch's bound says of c, for n >= d + 1."""
    n, d, eps = unknowns("n d eps")
    given = [d >= 1, n >= d + 1, eps >= 0, coherence.welch_square(n, d) <= eps * eps]
    c = coherence.norm_gap(1, eps, n)
    return given, [1 + n * (n - d - 1) / d <= c * c, c >= 1]


def _equality(unknowns, ops):
    n, d, eps = unknowns("n d eps")
    given = [d >= 1, n >= d + 1, eps >= 0, coherence.welch_square(n, d) <= eps * eps]
    return [*given, coherence.norm_gap(1, eps, n) <= 1], [n <= d + 1, d * eps == 1]


def _largest_eigenvalue(unknowns, ops):
    """The largest of d eigenvalues that sum to n is at least n / d, and equal just where all are."""
    n, d, top, rest = unknowns("n d top rest")
    mean = coherence.dense_energy(n, d)
    return [d >= 1, n == top + rest, rest <= (d - 1) * top], [mean <= top, (top > mean) == (rest < (d - 1) * top)]


def _entry(unknowns, ops):
    """One entry counts for its column and for its row."""
    columns, rows, v = unknowns("columns rows v")
    return smt.Invariant([columns == rows], {"columns": columns + v * v, "rows": rows + v * v})


def _row(unknowns, ops):
    rows, count, v2 = unknowns("rows count v2")
    return smt.Invariant([rows == count], {"rows": rows + v2, "count": count + 1}, given=[v2 == 1])


def _column(unknowns, ops):
    total, count, most, square = unknowns("total count most square")
    after = {"total": total + square, "count": count + 1, "most": ops.larger(most, square)}
    return smt.Invariant([total <= count * most, count >= 0], after)


def _product(unknowns, ops):
    """The c-th coordinate of hV is Σ h_i V_ic, and h_i is V_ic."""
    product, h2, h, v = unknowns("product h2 h v")
    return smt.Invariant([product == h2], {"product": product + h * v, "h2": h2 + h * h}, given=[h == v])


def _coordinate(unknowns, ops):
    """`seen` is the square of the c-th coordinate once that was passed."""
    energy, seen, y, here = unknowns("energy seen y here")
    after = {"seen": seen + ops.where(here == 1, y * y, 0), "energy": energy + y * y}
    return smt.Invariant([seen <= energy], after)


def _longest_column(unknowns, ops):
    energy, product, h2, n, d = unknowns("energy product h2 n d")
    given = [d >= 1, n > d, n <= d * h2, product == h2, product * product <= energy]
    return given, [coherence.dense_energy(n, d) <= energy / h2, h2 > 0]


def _union_bound(symbols, ops):
    """n (n - 1) / 2 pairs, each past t with probability <= 2 exp(-d t² / 2): all stay under it with 1/n to spare."""
    n, d = symbols("n d", positive=True)
    t = coherence.random_coherence(n, d, ops=ops)
    yield sympy.powsimp(n * (n - 1) / 2 * 2 * ops.exp(sympy.expand(-d * t**2 / 2))), 1 - 1 / n


CLAIM = Claim(
    id="AFA-5",
    statement=(
        "The upper side of AFA-2 needs c = ε(n − 1) < 1. For n > d unit rows it never holds: Welch's bound gives c² "
        "≥ 1 + n(n − d − 1)/d ≥ 1. Superposition and its finite upper bound exclude each other."
    ),
    tex=r"n>d\ \Rightarrow\ c^2=\varepsilon^2(n-1)^2\geq 1+\frac{n(n-d-1)}{d}\geq 1",
    source="ours, from Welch (1974); against Lee et al. (2025), arXiv 2503.24277, the AFA theorem under superposition",
    kind="vacuous",
    promised=Verdict.VACUOUS,
    hypotheses=(UNIT_ROWS, OVERCOMPLETE),
    instances=mixtures(overcomplete=True),
    conclusion=_conclusion,
    extremal={
        **dict.fromkeys(("c ≥ 1", "Welch", "c² ≥ 1 + n(n − d − 1)/d", "c = 1 only at n = d + 1"), simplices()),
        "a code with |hV|² ≥ (n/d)|h|²": tight_frames(),
    },
    witness="the regular simplex, n = d + 1, has c = 1, and flat h gives x = 0",
    controls=(
        Control(OVERCOMPLETE.name, orthonormal_basis(), "an orthonormal basis, n = d: c = 0"),
        Control("unit rows", short_rows(), "rows of length 1/10 have small products without small cosines"),
    ),
    proofs={
        ("c ≥ 1", "c² ≥ 1 + n(n − d − 1)/d"): smt.implies(
            "c² ≥ 1 + n(n − d − 1)/d, and c ≥ 1", "all n > d ≥ 1: from Welch's bound", _welch
        ),
        "c = 1 only at n = d + 1": smt.implies(
            "c = 1 leaves n = d + 1 and ε = 1/d", "all n > d ≥ 1: from Welch's bound", _equality
        ),
        "a code with |hV|² ≥ (n/d)|h|²": (
            smt.induction("squares of columns and of rows", "all n, d: induction over entries", _entry),
            smt.induction("n unit rows have n in all", "all n: induction over rows", _row),
            smt.induction("the longest column has a d-th", "all d: induction over columns", _column),
            smt.induction("with h = V_c, (hV)_c is |h|²", "all n: induction over rows", _product),
            smt.induction("(hV)_c² ≤ |hV|²", "all d: induction over coordinates", _coordinate),
            smt.implies("so the longest column has n/d", "all n > d", _longest_column),
        ),
        BESIDE: (
            symbolic.identity(
                "Σ G_ij² − n²/d is a sum of squares", "(n, d) = (2, 1), (3, 2), (4, 3)", _frame_potential
            ),
            smt.implies(
                "λ_max ≥ n/d, equal just where all eigenvalues are", "d numbers with sum n", _largest_eigenvalue
            ),
            symbolic.identity(
                "√(4 ln n / d) leaves n random rows a chance of 1/n", "all n, d: given the cap", _union_bound
            ),
        ),
    },
    kernel={
        "c ≥ 1": "coherence.superposition",
        "Welch": ("coherence.frame_potential", "coherence.welch_sum", "coherence.welch"),
    },
    mutants=(
        Mutant("√(2 ln n / d)", coherence.random_coherence, lambda n, d, *, ops: ops.sqrt(2 * ops.log(n) / d)),
        Mutant("n for n − 1 in Welch", coherence.welch_square, lambda n, d: (n - d) / (d * n)),
        Mutant("n − d + 1 in Welch", coherence.welch_square, lambda n, d: (n - d + 1) / (d * (n - 1))),
        Mutant("c with n − 2", coherence.norm_gap, lambda h2, mu, k: mu * (k - 2) * h2),
        Mutant("n/d + d/n", coherence.dense_energy, lambda n, d: n / d + d / n),
    ),
    note=(
        "Welch's bound is the kernel's; the other forms follow from it by Z3, and λ_max ≥ n/d from the longest column "
        "as a code. A code that V takes to 0 exists because rows of rank d < n leave one: this is sampled. The chance "
        "of random rows takes P(|G_ij| > t) ≤ 2 exp(−d t²/2) from Ball (1997), lemma 2.2, unproved here."
    ),
    reads=Mixture,
    shown_by="experiments/afa/bounds.py",
)
