"""MP-14: at the coherence bound two supports of k rows explain one sample; above it pursuit picks a wrong row first."""

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from hypothesis import strategies as st
from torch import Tensor

import synthetic as S
from proofs_check.claim import Claim, Control, Hypothesis, Mutant, Part, Verdict, Void, at_most, digits, equal
from proofs_check.claims.pursuit.cases import from_gram
from proofs_check.engines import smt, symbolic
from proofs_check.instances.draw import SEEDS, numbers
from workbench.parts import pursuit
from workbench.theory import coherence
from workbench.theory import pursuit as theory


@dataclass(frozen=True, eq=False)
class Edge:
    """k codes h > 0 on rows with products -mu, other rows with products mu to them, turned at random."""

    k: int
    mu: float
    h: Tensor
    seed: int = 0

    def __str__(self) -> str:
        return f"k = {self.k}, mu = {self.mu:.6g}, h {digits(self.h)}"

    def rows(self, outside: int, mu: float) -> Tensor:
        """k + outside rows, those outside with products -mu among each other."""
        sign = torch.cat((torch.ones(self.k), -torch.ones(outside))).double()
        products = -mu * sign[:, None] * sign
        rows = from_gram(products.fill_diagonal_(1.0))
        noise = torch.randn(len(rows), len(rows), generator=S.stream(self.seed, "turn"), dtype=torch.float64)
        return rows @ torch.linalg.qr(noise).Q

    @cached_property
    def first(self) -> tuple[Tensor, int]:
        """|c| with one row outside, and the row that orthogonal matching pursuit picks first."""
        rows = self.rows(1, self.mu)
        x = (self.h @ rows[: self.k])[None]
        path = pursuit.orthogonal_matching_pursuit(x, rows, 1)
        return (x @ rows.T)[0].abs(), int(path.indices[0, 0])


FLAT = Hypothesis("equal codes", lambda case: (case.h.max() - case.h.min()) / case.h.max())
BEYOND = Hypothesis("(2k − 1)μ ≥ 1", lambda case: max(0.0, 1 - (2 * case.k - 1) * case.mu))


def _conclusion(case: Edge) -> dict[str, Part]:
    k, edge, size = case.k, 1 / (2 * case.k - 1), float(case.h.max())
    c, pick = case.first
    rows = case.rows(k, edge)
    one, other = (case.h @ part for part in (rows[:k], rows[k:]))
    ratio = theory.outside_share((k - 1) * case.mu, k * case.mu)
    above = (2 * k - 1) * case.mu > 1 + 1e-6
    return {
        "bound at μ = 1/(2k − 1)": equal(theory.largest_support(edge), float(k)),
        "two supports, one x": at_most((one - other).norm(), 0.0, unit=size * k**0.5),
        "largest |c| outside": equal(c[-1], ratio * c[:-1].max(), unit=size),
        "no less outside": at_most(c[:-1].max(), c[-1], unit=size),
        "first pick outside": equal(float(pick), float(k)) if above else Void("a tie"),
    }


def _sum_is_zero(symbols, ops):
    """sum_S w - sum_outside w has square 2k - 2k (2k - 1) mu, 0 at mu = 1 / (2k - 1): in k, and by the shipped sum."""
    k = symbols("k", positive=True)
    mu = 1 / (2 * k - 1)
    yield 2 * k - 2 * k * (2 * k - 1) * mu, 0
    yield theory.largest_support(mu, ops=ops), k
    for size in (2, 3, 4):
        h = [1] * size + [-1] * size
        edge = ops.num("1") / (2 * size - 1)
        products = [[-edge * a * b for b in h] for a in h]
        yield coherence.square_norm(h) + coherence.interference(h, products), 0


def _definite(symbols, ops):
    """G = (1 + mu) I - mu s s^T: s is an eigenvector of eigenvalue 1 + mu - m mu, the others have 1 + mu."""
    mu = symbols("mu")
    for m in (2, 3, 4):
        s = [1, -1, 1, -1][:m]
        image = [sum(((1 + mu if i == j else 0) - mu * s[i] * s[j]) * s[j] for j in range(m)) for i in range(m)]
        yield from ((image[i], (1 + mu - m * mu) * s[i]) for i in range(m))


def _wrong(unknowns, ops):
    """|c| inside is 1 - (k - 1) mu, outside k mu; rows exist as long as k mu <= 1."""
    k, mu = unknowns("k mu")
    given = [k >= 1, mu > 0, k * mu <= 1, (2 * k - 1) * mu >= 1, (k - 1) * mu < 1]
    return given, [
        k * mu >= 1 - (k - 1) * mu,
        theory.outside_share((k - 1) * mu, k * mu) >= 1,
        theory.largest_support(mu, ops=ops) <= k,
    ]


@st.composite
def _edges(draw):
    k = draw(st.integers(2, 8))
    low, high = 1 / (2 * k - 1), 1 / k
    mu = low + draw(st.just(0.0) | numbers(0.01, 0.95)) * (high - low)
    h = torch.full((k,), draw(st.just(1.0) | numbers(0.1, 10)), dtype=torch.float64)
    return Edge(k, mu, h, draw(SEEDS))


THREE = Edge(3, 0.25, torch.ones(3, dtype=torch.float64))

CLAIM = Claim(
    id="MP-14",
    statement=(
        "The bound is sharp. At every k = (1 + 1/μ)/2 there are 2k unit rows whose two halves have the same sum: one x "
        "with two codes of k equal entries, which no method tells apart. For 1/(2k − 1) < μ ≤ 1/k there are k + 1 rows "
        "of which pursuit picks the wrong one first."
    ),
    tex=r"\mu=\frac1{2k-1}:\ \sum_{i\in S}w_i=\sum_{j\notin S}w_j",
    source="ours: G = (1 + μ)I − μssᵀ, s = ±1; sharpness is known, Tropp (2004)",
    kind="identity",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(FLAT, BEYOND),
    instances=_edges(),
    conclusion=_conclusion,
    controls=(
        Control(FLAT.name, st.just(replace(THREE, h=torch.tensor([3.0, 1, 1]).double())), "codes (3, 1, 1)"),
        Control(BEYOND.name, st.just(replace(THREE, mu=0.15)), "k = 3, μ = .15: all first picks are right"),
    ),
    proofs={
        "two supports, one x": (
            symbolic.identity("the two sums are equal", "k = 2, 3, 4 by the shipped sum", _sum_is_zero),
            symbolic.identity("eigenvalues of G, so that such rows exist", "m = 2, 3, 4", _definite),
        ),
        ("no less outside", "first pick outside"): smt.implies(
            "as much outside as inside, or more", "all real k, 1/(2k − 1) ≤ μ ≤ 1/k", _wrong
        ),
    },
    mutants=(
        Mutant("(2 + 1/μ)/2", theory.largest_support, lambda mu, *, ops=None: (2 + 1 / mu) / 2),
        Mutant("k − 1 outside", theory.outside_share, lambda before, full: before / (1 - before)),
    ),
)
