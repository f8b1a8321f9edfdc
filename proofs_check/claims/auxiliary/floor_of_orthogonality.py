"""AUX-2: for m > d Welch's square is the floor of OrtSAE's penalty, in expectation over redrawn chunks too."""

import itertools
import math
from collections import Counter
from dataclasses import dataclass, replace
from fractions import Fraction

import torch
from hypothesis import strategies as st
from torch import Tensor

from proofs_check.claim import (
    LOOPS,
    Claim,
    Control,
    Hypothesis,
    Mutant,
    Part,
    Verdict,
    at_most,
    digits,
    edited,
    equal,
)
from proofs_check.engines import smt, symbolic
from proofs_check.instances.draw import mostly, numbers, simplices, unit_rows
from proofs_check.instances.inductions import CAUCHY_SCHWARZ
from proofs_check.instances.loops import evaluated
from proofs_check.instances.mixture import UNIT_ROWS
from workbench.theory import auxiliary as theory
from workbench.theory import coherence


@dataclass(frozen=True, eq=False)
class Chunks:
    """Rows (m, d), how many share a chunk, and the chunks, all equally likely; None for every set of so many."""

    rows: Tensor
    size: int
    only: tuple[tuple[int, ...], ...] | None = None

    def __str__(self) -> str:
        return f"rows {digits(self.rows)}, chunks of {self.size}{'' if self.only is None else f': {self.only}'}"

    @property
    def sets(self) -> list[tuple[int, ...]]:
        """The chunks."""
        return list(itertools.combinations(range(len(self.rows)), self.size)) if self.only is None else list(self.only)

    @property
    def uneven(self) -> float:
        """By how much the chance to be a chunk differs between two sets of so many rows."""
        count = Counter(map(frozenset, self.sets))
        shares = [
            count[frozenset(one)] / len(self.sets) for one in itertools.combinations(range(len(self.rows)), self.size)
        ]
        return max(shares) - min(shares)

    @property
    def penalty(self) -> float:
        """Mean over the chunks."""
        chunks = [self.rows[list(one)] for one in self.sets]
        parts = [theory.orthogonality_penalty((rows @ rows.T).tolist()) for rows in chunks]
        return sum(parts) / len(parts)


def _conclusion(case: Chunks) -> dict[str, Part]:
    products, (m, d) = (case.rows @ case.rows.T).tolist(), case.rows.shape
    whole, pairs = theory.orthogonality_penalty(products), theory.pairs_penalty(products)
    floor, redrawn = coherence.welch_square(m, d), theory.redrawn_penalty(products, case.size)
    return {
        "never 0": at_most(1 / (d * (m - 1)), whole),
        "whole": at_most(floor, whole),
        "chunks": at_most(floor, [redrawn, case.penalty]),
        "chunks ≤ whole": at_most([redrawn, case.penalty], whole),
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


def _entry(unknowns, ops):
    """One more row v: sum_ab (S_ab + v_a v_b)², entry by entry."""
    after, squares, along, own, s, a, b = unknowns("after squares along own s a b")
    moved = {"after": after + (s + a * b) ** 2, "squares": squares + s * s}
    moved |= {"along": along + s * (a * b), "own": own + (a * b) ** 2}
    return smt.Invariant([after == squares + 2 * along + own], moved)


def _index(unknowns, ops):
    """sum_ab x_a x_b, by the row and the column of one more index, each x times the sum so far."""
    double, total, x, column = unknowns("double total x column")
    after = {"double": double + 2 * column + x * x, "total": total + x}
    return smt.Invariant([double == total * total], after, given=[column == total * x])


def _row(unknowns, ops):
    """One more unit row v: the products with it are v S v in the sum, sum v_a² v_b² = |v|⁴."""
    potential, squares, trace, m, along, v2 = unknowns("potential squares trace m along v2")
    after = {"potential": potential + 2 * along + v2 * v2, "squares": squares + 2 * along + v2 * v2}
    after |= {"trace": trace + v2, "m": m + 1}
    return smt.Invariant([potential == squares, trace == m], after, given=[v2 == 1])


def _largest(unknowns, ops):
    """Over rows, over sets of a row: what is at least a mean of `count` squares, added."""
    penalty, mean, count, largest, total = unknowns("penalty mean count largest total")
    after = {"mean": mean + total / count, "penalty": penalty + largest}
    return smt.Invariant([mean <= penalty], after, given=[count >= 1, total <= count * largest])


def _welch(unknowns, ops):
    """Trace m of d squares that add up to `diagonal`: m² <= d diagonal, and diagonal <= m + m (m - 1) pairs."""
    m, d, diagonal, off, pairs = unknowns("m d diagonal off pairs")
    given = [d >= 1, m > d, m * m <= d * diagonal, off >= 0, diagonal + off == m + m * (m - 1) * pairs]
    floor = coherence.welch_square(m, d)
    return given, [floor <= pairs, ops.where(m >= d + 1, floor, 1) >= ops.where(m >= d + 1, 1 / (d * (m - 1)), 0)]


def _of_chunk(unknowns, ops):
    """The largest of c squares is at least their mean: sum <= c max, one more."""
    total, count, square, largest = unknowns("total count square largest")
    after = {"total": total + square, "count": count + 1}
    return smt.Invariant([total <= count * largest], after, given=[square <= largest])


def _expected(symbols, ops):
    """Chunks drawn anew: the mean over sets of the mean over a set is the mean over all, by the shipped sums."""
    for m, size in itertools.combinations_with_replacement(range(5, 1, -1), 2):
        squares = [symbols(f"s{i}_:{m}", positive=True) for i in range(m)]
        roots = [[ops.sqrt(v) for v in row] for row in squares]
        means = _averaging(ops)
        yield theory.redrawn_penalty(roots, size, ops=means) / (size - 1), theory.pairs_penalty(roots)


def _averaging(ops):
    """The operations with the sum in place of the largest: what bounds the largest, times the size of a chunk."""
    return replace(ops, larger=lambda a, b: a + b)


def _of_two(symbols, ops):
    """Chunks of two hold one other row."""
    for m in range(2, 7):
        products = [[symbols(f"g{i}_{j}") for j in range(m)] for i in range(m)]
        yield theory.redrawn_penalty(products, 2, ops=ops), theory.pairs_penalty(products)


def _other(unknowns, ops):
    """`whole` is the largest square of a row with any other."""
    largest, square, whole = unknowns("largest square whole")
    after, start = {"largest": ops.larger(largest, square)}, {"largest": square}
    return smt.Invariant([largest <= whole], after, start, [square <= whole])


def _set(unknowns, ops):
    total, sets, whole, largest = unknowns("total sets whole largest")
    after = {"total": total + largest, "sets": sets + 1}
    return smt.Invariant([total <= sets * whole], after, given=[largest <= whole])


def _mean(unknowns, ops):
    """Over rows: what is added over all sets is at most their number, the same for each row, times what is added."""
    total, penalty, sets, row, whole, m = unknowns("total penalty sets row whole m")
    after = {"total": total + row, "penalty": penalty + whole}
    given = [row <= sets * whole, sets >= 1, m >= 1]
    also = [(total + row) / (m * sets) <= (penalty + whole) / m]
    return smt.Invariant([total <= sets * penalty], after, given=given, also=also)


def _below_whole(unknowns, ops):
    """The shipped penalty of drawn chunks is no more than that of all rows."""
    a, b, c = unknowns("a b c")
    g = [[1, a, b], [a, 1, c], [b, c, 1]]
    return [], [theory.redrawn_penalty(g, 2, ops=ops) <= theory.orthogonality_penalty(g, ops=ops)]


def _shipped(unknowns, ops):
    """Three rows: the shipped penalty is at least the shipped mean of pairs, and no more than the largest square."""
    a, b, c = unknowns("a b c")
    products = [[1, a, b], [a, 1, c], [b, c, 1]]
    whole = theory.orthogonality_penalty(products, ops=ops)
    largest = ops.larger(ops.larger(a * a, b * b), c * c)
    return [], [theory.pairs_penalty(products) <= whole, whole <= largest]


def _of_all_rows(draw):
    """Whole numbers in place of cosines, some of them equal."""
    m = draw.n
    for top in (3, 2**31):
        g = [[Fraction(draw.near(top)) for _ in range(m)] for _ in range(m)]
        yield theory.orthogonality_penalty(g), sum(max(v * v for v in _others(row, i)) for i, row in enumerate(g)) / m
        pairs = sum(v * v for i, row in enumerate(g) for v in _others(row, i)) / (m * (m - 1))
        yield theory.pairs_penalty(g), pairs
        yield theory.redrawn_penalty(g, 2), pairs


def _others(row, i):
    return [*row[:i], *row[i + 1 :]]


def _twice(penalty):
    return lambda g, size, **kept: penalty(g, size, **kept) * (2 if size < len(g) else 1)


MORE = Hypothesis("m > d", lambda case: max(0, case.rows.shape[1] + 1 - len(case.rows)))
DRAWN = Hypothesis("chunks drawn anew: every set of so many rows equally often", lambda case: case.uneven)


@st.composite
def _chunks(draw, length=1.0):
    d = draw(mostly(st.integers(2, 4), st.integers(1, 4)))
    rows = draw(unit_rows(draw(st.integers(d + 1, 7)), d))
    size = draw(mostly(st.integers(2, max(2, len(rows) - 1)), st.integers(2, len(rows))))
    return Chunks(length * rows, size)


def _bases(d: int, angle: float) -> Chunks:
    """Two bases of d dimensions, each a chunk, the second turned by an angle in the first plane."""
    turn, (c, s) = torch.eye(d, dtype=torch.float64), (math.cos(angle), math.sin(angle))
    turn[:2, :2] = torch.tensor([[c, s], [-s, c]], dtype=torch.float64)
    both = torch.cat((torch.eye(d, dtype=torch.float64), turn))
    return Chunks(both, d, (tuple(range(d)), tuple(range(d, 2 * d))))


SIMPLEX = simplices((2, 5)).map(lambda case: Chunks(case.rows, 2))

FLOORS = ("never 0", "whole", "pairs", "chunks")

CLAIM = Claim(
    id="AUX-2",
    statement=(
        "For m > d the mean over rows of the largest squared cosine with another row is at least (m − d)/(d(m − 1)) > "
        "0, as is the mean over all pairs; simplices drawn attain it. Over chunks of two rows or more that are drawn "
        "anew the expected penalty has the same floor, that of all m rows; over fixed chunks of d rows or fewer it "
        "can be 0."
    ),
    tex=r"\frac1m\sum_i\max_{j\neq i}\langle d_i,d_j\rangle^2\geq\frac{m-d}{d(m-1)}",
    source="ours, Welch (1974) for the mean of pairs; the penalty: Korznikov et al. (2025), arXiv 2509.22033",
    kind="tight",
    promised=Verdict.PROVED,
    hypotheses=(MORE, DRAWN, UNIT_ROWS),
    instances=_chunks(),
    nontrivial=lambda case: case.rows.shape[1] > 1 and case.size < len(case.rows),
    conclusion=_conclusion,
    extremal={"whole": SIMPLEX, "pairs": SIMPLEX, "chunks": SIMPLEX},
    controls=(
        Control(
            MORE.name,
            st.integers(2, 5).map(lambda d: Chunks(torch.eye(d, dtype=torch.float64), 2)),
            "m = d: an orthonormal basis has none",
        ),
        Control(DRAWN.name, st.builds(_bases, st.integers(2, 4), numbers(0.1, 1.5)), "two bases, each a chunk: 0"),
        Control("unit rows", _chunks(length=0.5), "products in place of cosines: short rows pay less"),
    ),
    proofs={
        FLOORS: (
            smt.induction("Σ(S_ab + v_a v_b)² = ΣS² + 2Σ S_ab v_a v_b + Σ v_a²v_b²", "all d", _entry),
            smt.induction("Σ_ab x_a x_b = (Σ_a x_a)²", "all d: induction", _index),
            smt.induction("Σ G² = Σ S² for S = VᵀV, and tr S = m", "all m, d: over unit rows", _row),
            CAUCHY_SCHWARZ,
            smt.implies("Welch's square, from m² ≤ d Σ_a S_aa²", "all m > d", _welch),
        ),
        ("never 0", "whole", "chunks"): (
            smt.induction("the largest is at least the mean", "all sizes: induction", _of_chunk),
            smt.induction("means of largest squares, added", "all m: over rows", _largest),
        ),
        "chunks": symbolic.identity("the mean over drawn chunks is that over pairs", "m = 2..5, all sizes", _expected),
        "chunks of two": symbolic.identity("they hold one other row", "m = 2..6", _of_two),
        "chunks ≤ whole": (
            smt.induction("largest of some at most that of all", "all sizes: over a chunk", _other),
            smt.induction("n sets of a row: a sum of at most n times it", "all sizes: over sets", _set),
            smt.induction("of m rows with n sets each, the mean", "all m: over rows", _mean),
        ),
        LOOPS: (
            smt.implies("the shipped penalty of chunks of 2 below that of all rows", "m = 3", _below_whole),
            symbolic.identity("Σ G² = Σ (VᵀV)², tr VᵀV = Σ|v|²", "m ≤ 4, d ≤ 3", _frame),
            evaluated("the shipped penalties are means of largest, and of all", _of_all_rows),
            smt.implies("the shipped penalty lies between mean and largest", "three rows", _shipped),
        ),
    },
    kernel={
        "pairs": "coherence.welch_pairs",
    },
    mutants=(
        Mutant("the smallest of all rows", theory.orthogonality_penalty, lambda g, *, ops=None: _least(g)),
        Mutant("cosines for squares", theory.pairs_penalty, lambda g: _cosines(g)),
        Mutant("a chunk smaller", theory.redrawn_penalty, lambda g, size, *, ops=None: _redrawn(g, 2) / 2),
        edited("twice what chunks read", theory.redrawn_penalty, _twice),
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
