"""MP-14: at the coherence bound two supports of k rows explain one sample; above it pursuit picks a wrong row first."""

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from hypothesis import strategies as st
from torch import Tensor

import synthetic as S
from proofs_check.claim import (
    BESIDE,
    LOOPS,
    Claim,
    Control,
    Hypothesis,
    Mutant,
    Part,
    Verdict,
    Void,
    at_most,
    digits,
    equal,
)
from proofs_check.claims.pursuit.cases import from_gram
from proofs_check.claims.pursuit.loops import SQUARES
from proofs_check.engines import smt, symbolic
from proofs_check.instances.draw import SEEDS, numbers
from proofs_check.instances.inductions import CAUCHY_SCHWARZ, ENERGY, UNROLL, pair
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
    codes = torch.cat((case.h, -case.h)).tolist()
    energy = coherence.square_norm(codes) + coherence.interference(codes, coherence.gram(rows.tolist()))
    ratio = theory.outside_share((k - 1) * case.mu, k * case.mu)
    above = (2 * k - 1) * case.mu > 1 + 1e-6
    return {
        "bound at μ = 1/(2k − 1)": equal(theory.largest_support(edge), float(k)),
        "two supports, one x": at_most((one - other).norm(), 0.0, unit=size * k**0.5),
        "|Σ s_i h w_i|² = 0": equal(energy, 0.0, unit=size**2 * k),
        "largest |c| outside": equal(c[-1], ratio * c[:-1].max(), unit=size),
        "no less outside": at_most(c[:-1].max(), c[-1], unit=size),
        "first pick outside": equal(float(pick), float(k)) if above else Void("a tie"),
    }


def _at_the_bound(symbols, ops):
    k = symbols("k", positive=True)
    yield theory.largest_support(1 / (2 * k - 1), ops=ops), k


def _sum_is_zero(symbols, ops):
    """sum_S w - sum_outside w has square 2k - 2k (2k - 1) mu, 0 at mu = 1 / (2k - 1), by the shipped sum."""
    for size in (2, 3, 4):
        h = [1] * size + [-1] * size
        edge = ops.num("1") / (2 * size - 1)
        products = [[-edge * a * b for b in h] for a in h]
        yield coherence.square_norm(h) + coherence.interference(h, products), 0


def _more_signs(unknowns, ops):
    """Of m rows with products -mu s_i s_j: g = sum s_i G_ij of a row to come, over its s; N and q of the code s."""
    s, mu, m, g, n2, q = unknowns("s mu m g n2 q")
    says = [g == -mu * m, n2 == m, q == -mu * m * (m - 1)]
    after = {"g": g + s * (-mu * s), "n2": n2 + s * s, "q": q + pair(s, g * s), "m": m + 1}
    start = {"g": s * (-mu * s), "n2": coherence.square_norm([s]), "q": coherence.interference([s], [[1]]), "m": 1}
    return smt.Invariant(says, after, start, [s * s == 1])


def _no_sum(unknowns, ops):
    """2k rows, mu = 1 / (2k - 1)."""
    m, k, mu = unknowns("m k mu")
    return [k >= 1, m == 2 * k, (2 * k - 1) * mu == 1], [m - mu * m * (m - 1) == 0]


def _definite(unknowns, ops):
    """z^T G z = (1 + mu) |z|² - mu (s z)², G = (1 + mu) I - mu s s^T: with (s z)² <= m |z|² none is below 0."""
    n2, along, m, mu = unknowns("n2 along m mu")
    given = [n2 >= 0, along * along <= m * n2, m >= 1, mu >= 0, (m - 1) * mu <= 1]
    return given, [(1 + mu) * n2 - mu * (along * along) >= 0]


def _more_codes(unknowns, ops):
    """One more of k equal codes: correlations of a row inside and of the row outside."""
    inside, out, h, mu, k = unknowns("inside out h mu k")
    after = {"inside": inside - mu * h, "out": out + mu * h, "k": k + 1}
    start = {"inside": h, "out": h * mu, "k": 1}
    return smt.Invariant([inside == h * (1 - (k - 1) * mu), out == k * mu * h], after, start)


def _wrong(unknowns, ops):
    """c inside is 1 - (k - 1) mu > 0, outside k mu; rows exist as long as k mu <= 1."""
    k, mu = unknowns("k mu")
    given = [k >= 1, mu > 0, k * mu <= 1, (2 * k - 1) * mu >= 1, (k - 1) * mu < 1]
    inside, out = 1 - (k - 1) * mu, k * mu
    return given, [
        inside > 0,
        out == theory.outside_share((k - 1) * mu, k * mu) * inside,
        out >= inside,
        ops.where((2 * k - 1) * mu > 1, out - inside, 1) > 0,
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


def _uneven(t: float) -> Edge:
    return replace(THREE, h=torch.tensor([t, 1, 1], dtype=torch.float64))


def _nearer(mu: float) -> Edge:
    return replace(THREE, mu=mu)


def _half(h, g):
    return sum(h[i] * h[j] * g[i][j] for i in range(len(h)) for j in range(i))


CLAIM = Claim(
    id="MP-14",
    statement=(
        "Of 2k unit rows with products −μs_is_j, k of s = 1 and k of s = −1, the two halves have the same sum at "
        "k = (1 + 1/μ)/2: one x with two codes of k equal entries, which no method tells apart. Of k + 1 such rows, "
        "one of s = −1, pursuit picks the wrong one first where 1/(2k − 1) < μ ≤ 1/k. So the bound is sharp, as far as "
        "such rows exist."
    ),
    tex=r"\mu=\frac1{2k-1}:\ \sum_{i\in S}w_i=\sum_{j\notin S}w_j",
    source="ours: G = (1 + μ)I − μssᵀ, s = ±1; sharpness is known, Tropp (2004)",
    kind="identity",
    promised=Verdict.PROVED,
    hypotheses=(FLAT, BEYOND),
    instances=_edges(),
    nontrivial=lambda case: case.k > 1 and case.mu > 0,
    conclusion=_conclusion,
    controls=(
        Control(FLAT.name, numbers(1.5, 5).map(_uneven), "codes (t, 1, 1)"),
        Control(BEYOND.name, numbers(0.05, 0.19).map(_nearer), "k = 3, μ < .2: all first picks are right"),
    ),
    proofs={
        "bound at μ = 1/(2k − 1)": symbolic.identity("(1 + 1/μ)/2 = k", "all k", _at_the_bound),
        ("two supports, one x", "|Σ s_i h w_i|² = 0"): (
            *ENERGY,
            smt.induction("|Σ s_i w_i|² = m − μm(m − 1)", "all m: induction over rows", _more_signs),
            smt.implies("the two sums are equal", "all k", _no_sum),
        ),
        ("largest |c| outside", "no less outside", "first pick outside"): (
            smt.induction("c = 1 − (k − 1)μ inside, kμ outside", "all k: induction over rows", _more_codes),
            smt.implies("as much outside as inside, or more", "all real k, 1/(2k − 1) ≤ μ ≤ 1/k", _wrong),
        ),
        LOOPS: (UNROLL, symbolic.identity("the two sums by the shipped sum", "k = 2, 3, 4", _sum_is_zero), SQUARES),
        BESIDE: (CAUCHY_SCHWARZ, smt.implies("zᵀGz ≥ 0, so that such rows exist", "all m, μ ≤ 1/(m − 1)", _definite)),
    },
    mutants=(
        Mutant("(2 + 1/μ)/2", theory.largest_support, lambda mu, *, ops=None: (2 + 1 / mu) / 2),
        Mutant("half of the pairs", coherence.interference, _half),
        Mutant("k − 1 outside", theory.outside_share, lambda before, full: before / (1 - before)),
    ),
    note="That zᵀGz ≥ 0 is proved; that a G with it is of some rows is the spectral theorem, and sampled.",
)
