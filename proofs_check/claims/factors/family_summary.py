"""SN-14: the best single row for a family of leaves is its core and the mean of their exclusive parts."""

from dataclasses import dataclass
from functools import cached_property

import sympy
import torch
from hypothesis import strategies as st
from torch import Tensor

from proofs_check.claim import LOOPS, Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most, digits, equal
from proofs_check.engines import smt, symbolic
from proofs_check.instances.draw import numbers, rows_of
from proofs_check.instances.loops import evaluated
from workbench.metrics.matching import cosines
from workbench.theory import factors as theory


@dataclass(frozen=True, eq=False)
class Family:
    """A core (d,) and exclusive parts (L, d) of its leaves."""

    core: Tensor
    parts: Tensor

    def __str__(self) -> str:
        return f"core {digits(self.core)}, exclusive {digits(self.parts)}"

    @cached_property
    def squares(self) -> list[float]:
        """Squared singular values of the leaves."""
        return torch.linalg.svdvals(self.core + self.parts).square().tolist()


def _conclusion(case: Family) -> dict[str, Part]:
    leaves, count = case.core + case.parts, len(case.parts)
    row = leaves.mean(0)
    c2, e2 = float(case.core.square().sum()), float(case.parts[0].square().sum())
    error = theory.square_error(leaves.tolist(), [[1.0]] * count, [row.tolist()])
    unit = leaves.square().sum()
    return {
        "its error": equal(error, theory.family_error(e2, count), unit=unit),
        "no row does better": equal(error, theory.rank_floor(case.squares, 1), unit=unit),
        "cosine with the core": equal(cosines(row[None], case.core[None])[0], theory.core_cosine(c2, e2, count)),
        "a leaf's cosine is less": at_most(
            (c2 / (c2 + e2)) ** 0.5, float(cosines(row[None], case.core[None])), unit=1.0
        ),
    }


def _spectrum(symbols, ops):
    """The Gram matrix C 11^T + E I has the eigenvalue LC + E once and E for the rest: what the largest leaves."""
    c, e, x = symbols("c e x", positive=True)
    for count in (2, 3, 4):
        matrix = sympy.Matrix(count, count, lambda i, j: c + (e - x if i == j else 0))
        yield matrix.det(), (count * c + e - x) * (e - x) ** (count - 1)
        yield theory.rank_floor([count * c + e, *[e] * (count - 1)], 1), theory.family_error(e, count)


def _largest(unknowns, ops):
    """The eigenvalue of equal codes is the largest, any number of leaves."""
    c, e, count = unknowns("c e count")
    return [c > 0, e > 0, count >= 1], [count * c + e > e]


def _leaf(unknowns, ops):
    """A leaf x more: <T, x> = n C, |x|² = C + E, <x, core> = C."""
    c, e, count, square, along, product, own, core = unknowns("c e count square along product own core")
    says = [square == count**2 * c + count * e, along == count * c]
    after = {"square": square + 2 * product + own, "along": along + core, "count": count + 1}
    return smt.Invariant(says, after, given=[product == count * c, own == c + e, core == c])


def _entry(unknowns, ops):
    error, x2, xr, r2, x, r = unknowns("error x2 xr r2 x r")
    after = {"error": error + theory.square_error([[x]], [[1]], [[r]]), "x2": x2 + x * x}
    return smt.Invariant([error == x2 - 2 * xr + r2], {**after, "xr": xr + x * r, "r2": r2 + r * r})


def _error(unknowns, ops):
    """R = T / L: sums over leaves of |x|², <x, r> = <T, r> and |r|²."""
    c, e, count, error, square, x2, xr, r2 = unknowns("c e count error square x2 xr r2")
    given = [error == x2 - 2 * xr + r2, x2 == count * (c + e), square == count**2 * c + count * e, count >= 1]
    given += [xr * count == square, r2 * count == square]
    return given, [error == theory.family_error(e, count)]


def _cosine(unknowns, ops):
    c, e, count, square, along, cosine = unknowns("c e count square along cosine")
    given = [c > 0, e >= 0, count >= 1, square == count**2 * c + count * e, along == count * c]
    given += [cosine * ops.sqrt(square) * ops.sqrt(c) == along]
    return given, [cosine == theory.core_cosine(c, e, count, ops=ops)]


def _leaf_cosine(unknowns, ops):
    c, e, count = unknowns("c e count")
    family, alone = theory.core_cosine(c, e, count, ops=ops), ops.sqrt(c / (c + e))
    return [c > 0, e > 0, count >= 1], [alone <= family, ops.where(count > 1, family - alone, 1) > 0]


def _entries(draw):
    """The shipped error with codes of 1 adds up entries."""
    x, row = draw.rows(draw.n, draw.d), draw.vector(draw.d)
    total = sum(theory.square_error([[v]], [[1]], [[r]]) for one in x for v, r in zip(one, row, strict=True))
    yield theory.square_error(x, [[1]] * draw.n, [row]), total


def _products(case: Family) -> float:
    rows = torch.cat((case.core[None], case.parts))
    return float((rows @ rows.T).fill_diagonal_(0).abs().max())


APART = Hypothesis("core and exclusive parts orthogonal", _products)
EQUAL = Hypothesis("equal energy", lambda case: (case.parts.square().sum(1) - case.parts[0].square().sum()).abs().max())


@st.composite
def _cases(draw):
    count, size = draw(st.integers(2, 4)), draw(st.integers(1, 2))
    core = draw(rows_of(st.integers(-3, 3), 1, draw(st.integers(1, 3))))
    part = draw(rows_of(numbers(-2, 2), 1, size))[0]
    own = torch.block_diag(*[(part * (1 if i % 2 else -1))[None] for i in range(count)])
    core = torch.cat((core[0], torch.zeros(own.shape[1], dtype=core.dtype)))
    return Family(core, torch.cat((torch.zeros(count, len(core) - own.shape[1], dtype=core.dtype), own), 1))


def _family(core, parts):
    return Family(*(torch.tensor(t, dtype=torch.float64) for t in (core, parts)))


SUM = smt.induction("the leaves' sum T: |T|² = L²C + LE", "all L: induction over leaves", _leaf)
COSINE = smt.implies("the cosine", "all L, C, E", _cosine)

CLAIM = Claim(
    id="SN-14",
    statement=(
        "L leaves, a core of energy C and exclusive parts of energy E at right angles: the best single row is core + "
        "mean exclusive part with equal codes, its error (L − 1)E and its cosine with the core √(C/(C + E/L)), more "
        "than a leaf's where L > 1. So a family's parent is its core only up to that cosine."
    ),
    tex=r"\cos(w,c)=\sqrt{\frac{C}{C+E/L}}",
    source="ours; what one level of the recursion of Shafran et al. (2025), arXiv 2506.10920, can find",
    kind="identity",
    promised=Verdict.PROVED,
    hypotheses=(APART, EQUAL),
    instances=_cases(),
    nontrivial=lambda case: case.core.any(),
    conclusion=_conclusion,
    controls=(
        Control(
            APART.name,
            numbers(0.2, 0.9).map(lambda c: _family([1, 0, 0], [[0, 1, 0], [0, c, (1 - c * c) ** 0.5]])),
            "exclusive parts that overlap",
        ),
        Control(
            EQUAL.name,
            numbers(1.2, 3).map(lambda t: _family([1, 0, 0], [[0, 1, 0], [0, 0, t]])),
            "one exclusive part twice as long",
        ),
    ),
    proofs={
        LOOPS: evaluated("the error with codes of 1, entry by entry", _entries),
        "its error": (
            SUM,
            smt.induction("|x − r|² in products", "all L, d: induction over entries", _entry),
            smt.implies("the error of the mean", "all L, C, E", _error),
        ),
        "no row does better": (
            symbolic.identity("eigenvalues of the leaves' products", "L = 2, 3, 4: all C, E", _spectrum),
            smt.implies("equal codes have the largest", "all L, C, E", _largest),
        ),
        "cosine with the core": (SUM, COSINE),
        "a leaf's cosine is less": (
            SUM,
            COSINE,
            smt.implies("a leaf's is less", "all L, C, E", _leaf_cosine),
        ),
    },
    mutants=(
        Mutant("L E", theory.family_error, lambda e, count: count * e),
        Mutant("a leaf's cosine", theory.core_cosine, lambda c, e, count, *, ops=None: (c / (c + e)) ** 0.5),
        Mutant("all singular values", theory.rank_floor, lambda squares, m: sum(squares)),
    ),
    shown_by="experiments/factors/study.py",
)
