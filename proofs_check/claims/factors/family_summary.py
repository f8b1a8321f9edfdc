"""SN-14: the best single row for a family of leaves is its core and the mean of their exclusive parts."""

from dataclasses import dataclass
from functools import cached_property

import sympy
import torch
from hypothesis import strategies as st
from torch import Tensor

from proofs_check.claim import Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most, digits, equal
from proofs_check.engines import smt, symbolic
from proofs_check.instances.draw import numbers, rows_of
from workbench.metrics.matching import cosines
from workbench.theory import coherence
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
    """The Gram matrix C 11^T + E I: its largest eigenvalue belongs to equal codes, the others are E."""
    c, e = symbols("c e", positive=True)
    for count in (2, 3, 4):
        matrix = sympy.Matrix(count, count, lambda i, j: c + (e if i == j else 0))
        ones = sympy.ones(count, 1)
        yield from (((matrix * ones)[r], count * c + e) for r in range(count))
        yield theory.family_error(e, count), matrix.trace() - (count * c + e)
        for i in range(1, count):
            other = sympy.Matrix(count, 1, lambda r, _, i=i: 1 if r == 0 else -1 if r == i else 0)
            yield from (((matrix * other)[r], e * other[r]) for r in range(count))
        row2 = coherence.square_norm([1 / ops.num(str(count))] * count) * e + c
        yield c / ops.sqrt(c * row2), theory.core_cosine(c, e, count, ops=ops)


def _largest(unknowns, ops):
    """The eigenvalue of equal codes is the largest, any number of leaves."""
    c, e, count = unknowns("c e count")
    return [c > 0, e > 0, count >= 1], [count * c + e > e]


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
    return st.just(Family(*(torch.tensor(t, dtype=torch.float64) for t in (core, parts))))


CLAIM = Claim(
    id="SN-14",
    statement=(
        "L leaves, a core of energy C and exclusive parts of energy E at right angles: the best single row is core + "
        "mean exclusive part with equal codes, its error (L − 1)E and its cosine with the core √(C/(C + E/L)), more "
        "than a leaf's. So a family's parent is its core only up to that cosine."
    ),
    tex=r"\cos(w,c)=\sqrt{\frac{C}{C+E/L}}",
    source="ours; what one level of the recursion of Shafran et al. (2025), arXiv 2506.10920, can find",
    kind="identity",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(APART, EQUAL),
    instances=_cases(),
    conclusion=_conclusion,
    controls=(
        Control(APART.name, _family([1, 0, 0], [[0, 1, 0], [0, 0.6, 0.8]]), "exclusive parts that overlap"),
        Control(EQUAL.name, _family([1, 0, 0], [[0, 1, 0], [0, 0, 2]]), "one exclusive part twice as long"),
    ),
    proofs={
        ("its error", "cosine with the core"): symbolic.identity(
            "eigenvalues and the cosine", "L = 2, 3, 4: all C, E", _spectrum
        ),
        "no row does better": smt.implies("equal codes have the largest eigenvalue", "all L, C, E", _largest),
    },
    mutants=(
        Mutant("L E", theory.family_error, lambda e, count: count * e),
        Mutant("a leaf's cosine", theory.core_cosine, lambda c, e, count, *, ops=None: (c / (c + e)) ** 0.5),
        Mutant("all singular values", theory.rank_floor, lambda squares, m: sum(squares)),
    ),
    shown_by="experiments/factors/study.py",
)
