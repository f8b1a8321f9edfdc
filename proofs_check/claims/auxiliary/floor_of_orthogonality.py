"""AUX-2: for m > d Welch's square is the floor of OrtSAE's penalty, in expectation over redrawn chunks too."""

from dataclasses import dataclass, replace

import torch
from hypothesis import strategies as st
from torch import Tensor

from proofs_check.claim import LOOPS, Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most, digits, equal
from proofs_check.engines import smt, symbolic
from proofs_check.instances.draw import simplices, unit_rows
from proofs_check.instances.inductions import CAUCHY_SCHWARZ
from proofs_check.instances.mixture import UNIT_ROWS
from workbench.theory import auxiliary as theory
from workbench.theory import coherence


@dataclass(frozen=True, eq=False)
class Chunks:
    """Rows (m, d), and how many share a chunk; `fixed` chunks are always of neighbours."""

    rows: Tensor
    size: int
    fixed: bool = False

    def __str__(self) -> str:
        return f"rows {digits(self.rows)}, {'fixed ' * self.fixed}chunks of {self.size}"

    @property
    def penalty(self) -> float:
        """Of the chunks, in the mean where they are drawn."""
        if not self.fixed:
            return theory.redrawn_penalty((self.rows @ self.rows.T).tolist(), self.size)
        parts = [theory.orthogonality_penalty((r @ r.T).tolist()) for r in self.rows.split(self.size)]
        return sum(parts) / len(parts)


def _conclusion(case: Chunks) -> dict[str, Part]:
    products, (m, d) = (case.rows @ case.rows.T).tolist(), case.rows.shape
    whole, pairs = theory.orthogonality_penalty(products), theory.pairs_penalty(products)
    floor = coherence.welch_square(m, d)
    return {
        "never 0": at_most(1 / (d * (m - 1)), whole),
        "whole": at_most(floor, whole),
        "chunks": at_most(floor, case.penalty),
        "chunks ≤ whole": at_most(case.penalty, whole),
        "pairs": at_most(floor, pairs),
        "chunks of two": equal(theory.redrawn_penalty(products, 2), pairs),
    }


def _frame(symbols, ops):
    """sum_ij G_ij² = sum_ab S_ab² with S = V^T V, whose diagonal sums to sum_i |v_i|²."""
    for m, d in ((2, 1), (3, 2), (4, 2), (3, 3)):
        rows = [symbols(f"v{i}_:{d}") for i in range(m)]
        products = coherence.gram(rows)
        moment = coherence.gram(list(zip(*rows, strict=True)))
        diagonal = sum(products[i][i] ** 2 for i in range(m))
        total = theory.pairs_penalty(products) * m * (m - 1) + diagonal
        yield total, sum(value**2 for row in moment for value in row)
        yield sum(moment[a][a] for a in range(d)), sum(products[i][i] for i in range(m))


def _welch(unknowns, ops):
    """Trace m of d squares that add up to `diagonal`: m² <= d diagonal <= d (m + m (m - 1) pairs)."""
    m, d, diagonal, pairs = unknowns("m d diagonal pairs")
    given = [d >= 1, m > d, m * m <= d * diagonal, diagonal <= m + m * (m - 1) * pairs]
    floor = coherence.welch_square(m, d)
    return given, [floor <= pairs, ops.where(m >= d + 1, floor, 1) >= ops.where(m >= d + 1, 1 / (d * (m - 1)), 0)]


def _first_of_chunk(unknowns, ops):
    square, largest = unknowns("square largest")
    return [square <= largest], [square <= 1 * largest]


def _of_chunk(unknowns, ops):
    """The largest of c squares is at least their mean: sum <= c max, one more."""
    total, count, square, largest = unknowns("total count square largest")
    return [total <= count * largest, square <= largest], [total + square <= (count + 1) * largest]


def _expected(symbols, ops):
    """Chunks drawn anew: the mean over sets of the mean over a set is the mean over all, by the shipped sums."""
    for m, size in ((3, 2), (4, 2), (4, 3), (5, 3)):
        squares = [symbols(f"s{i}_:{m}", positive=True) for i in range(m)]
        roots = [[ops.sqrt(v) for v in row] for row in squares]
        means = _averaging(ops)
        yield theory.redrawn_penalty(roots, size, ops=means) / (size - 1), theory.pairs_penalty(roots)


def _averaging(ops):
    """The operations with the sum in place of the largest: what bounds the largest, times the size of a chunk."""
    return replace(ops, larger=lambda a, b: a + b)


def _shipped(unknowns, ops):
    """Three rows: the shipped penalty is at least the shipped mean of pairs, and no more than the largest square."""
    a, b, c = unknowns("a b c")
    products = [[1, a, b], [a, 1, c], [b, c, 1]]
    whole = theory.orthogonality_penalty(products, ops=ops)
    largest = ops.larger(ops.larger(a * a, b * b), c * c)
    return [], [theory.pairs_penalty(products) <= whole, whole <= largest]


MORE = Hypothesis("m > d", lambda case: max(0, case.rows.shape[1] + 1 - len(case.rows)))
DRAWN = Hypothesis("chunks drawn anew", lambda case: float(case.fixed))


@st.composite
def _chunks(draw, fixed=False, length=1.0):
    d = draw(st.integers(1, 4))
    rows = draw(unit_rows(draw(st.integers(d + 1, 7)), d))
    return Chunks(length * rows, draw(st.integers(2, len(rows))), fixed)


TWO_BASES = torch.tensor([[1.0, 0], [0, 1], [0.6, 0.8], [0.8, -0.6]], dtype=torch.float64)
SIMPLEX = simplices((2, 5)).map(lambda case: Chunks(case.rows, 2))
BASIS = Chunks(torch.eye(3, dtype=torch.float64), 2)

CLAIM = Claim(
    id="AUX-2",
    statement=(
        "For m > d the mean over rows of the largest squared cosine with another row is at least (m − d)/(d(m − 1)) > "
        "0, as is the mean over all pairs; the simplex attains it. Over chunks of two rows or more that are drawn "
        "anew the expected penalty has the same floor, that of all m rows; over fixed chunks of d rows or fewer it "
        "can be 0."
    ),
    tex=r"\frac1m\sum_i\max_{j\neq i}\langle d_i,d_j\rangle^2\geq\frac{m-d}{d(m-1)}",
    source="ours, Welch (1974) for the mean of pairs; the penalty: Korznikov et al. (2025), arXiv 2509.22033",
    kind="tight",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(MORE, DRAWN, UNIT_ROWS),
    instances=_chunks(),
    conclusion=_conclusion,
    extremal={"whole": SIMPLEX, "pairs": SIMPLEX, "chunks": SIMPLEX},
    controls=(
        Control(MORE.name, st.just(BASIS), "m = d: an orthonormal basis has none"),
        Control(DRAWN.name, st.just(Chunks(TWO_BASES, 2, True)), "two bases of the plane, each a chunk: 0"),
        Control("unit rows", _chunks(length=0.5), "products in place of cosines: short rows pay less"),
    ),
    proofs={
        ("never 0", "whole", "pairs"): (
            symbolic.identity("Σ G² = Σ (VᵀV)², tr VᵀV = Σ|v|²", "m ≤ 4, d ≤ 3", _frame),
            CAUCHY_SCHWARZ,
            smt.implies("Welch's square, from m² ≤ d Σ_a (VᵀV)²_aa", "all m > d", _welch),
        ),
        ("never 0", "whole"): smt.induction(
            "the largest is at least the mean", "all sizes: induction", _first_of_chunk, _of_chunk
        ),
        "chunks of two": symbolic.identity("means over drawn chunks", "m = 3..5, chunks of 2, 3", _expected),
        LOOPS: smt.implies("the shipped penalty lies between mean and largest", "three rows", _shipped),
    },
    kernel={
        "pairs": "coherence.welch_pairs",
    },
    mutants=(
        Mutant("the smallest of all rows", theory.orthogonality_penalty, lambda g, *, ops=None: _least(g)),
        Mutant("cosines for squares", theory.pairs_penalty, lambda g: _cosines(g)),
        Mutant("a chunk smaller", theory.redrawn_penalty, lambda g, size, *, ops=None: _redrawn(g, 2) / 2),
        Mutant("n for n − 1", coherence.welch_square, lambda n, d: (n - d) / (d * n) + 1 / n),
    ),
    note=(
        "Redrawing is what gives chunks the floor: for any row each other row is as likely in its chunk. So OrtSAE's "
        "penalty pulls towards an equiangular frame. The floor is of the mean over draws: a single step's chunks may "
        "read 0. A row alone in its chunk pays nothing, so that no chunk of the term has one row. Where no "
        "equiangular frame of m rows exists the true minimum lies above. It speaks of the term of OrtSAE."
    ),
)

_redrawn = theory.redrawn_penalty


def _least(products):
    return min(g * g for i, row in enumerate(products) for j, g in enumerate(row) if i != j)


def _cosines(products):
    m = len(products)
    return sum(products[i][j] for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
