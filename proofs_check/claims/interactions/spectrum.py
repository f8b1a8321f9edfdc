"""PO-16: the energy of linear atoms and of interactions is a budget: C1's, and one of 1/m a pair of latents."""

from dataclasses import dataclass

import torch
from hypothesis import strategies as st
from scipy.linalg import hadamard
from torch import Tensor

from proofs_check.claim import LOOPS, Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most, digits, edited, equal
from proofs_check.claims.interactions.cases import ORTHONORMAL, orthonormal
from proofs_check.engines import smt
from proofs_check.instances.draw import SEEDS, numbers, rows_of
from proofs_check.instances.inductions import BILINEAR, CAUCHY_SCHWARZ
from proofs_check.instances.loops import evaluated
from workbench.theory import interactions as theory


@dataclass(frozen=True, eq=False)
class Spectrum:
    """U (m, R1), C1 (d, R1), C2 (d, R2) and the scale of degree 2."""

    U: Tensor
    C1: Tensor
    C2: Tensor
    scale: float

    def __str__(self) -> str:
        return f"U {digits(self.U)}, C1 {digits(self.C1)}, C2 {digits(self.C2)}, λ2 = {self.scale:g}"

    @property
    def atoms(self) -> Tensor:
        """Rows w_j."""
        return torch.tensor(theory.linear_atoms(self.U.tolist(), self.C1.tolist()), dtype=torch.float64)

    @property
    def of_pairs(self) -> float:
        """Mean |B_ij|² over pairs i != j."""
        U, C2, m = self.U.tolist(), self.C2.tolist(), len(self.U)
        found = [theory.monomial((i, j), U, C2, self.scale) for i in range(m) for j in range(i)]
        return sum(sum(v * v for v in each) for each in found) / len(found)


def _conclusion(case: Spectrum) -> dict[str, Part]:
    W, (m, _), columns = case.atoms, case.U.shape, case.C2.shape[1]
    energy, size2 = float(case.C1.square().sum()), float(case.C2[:, 0].square().sum())
    fourth = float(case.U[:, :columns].pow(4).sum())
    known = theory.mean_pair_energy(case.scale, size2, fourth, columns, m)
    most = theory.most_pair_energy(case.scale, size2, columns, m)
    return {
        "WᵀW = C1C1ᵀ": equal((W.T @ W).flatten(), (case.C1 @ case.C1.T).flatten(), unit=energy),
        "Σ|w_j|² = |C1|²": equal(W.square().sum(), energy, unit=energy),
        "Σ|U_i|² = R1": equal(case.U.square().sum(), case.U.shape[1], unit=m),
        "mean |B_ij|²": equal(case.of_pairs, known, unit=most),
        "mean |B_ij|², at most": at_most(case.of_pairs, most, unit=most),
    }


def _column(unknowns, ops):
    """A column u of U more, C1's entries there x and y: <w_c + x u, w_e + y u> by `BILINEAR`, u of norm 1 apart."""
    gram, made, one, other, own, x, y = unknowns("gram made one other own x y")
    after = {"gram": gram + x * other + y * one + x * y * own, "made": made + x * y}
    return smt.Invariant([gram == made], after, given=[one == 0, other == 0, own == 1])


def _apart(unknowns, ops):
    """What orthogonal columns add up to, such as a column of W of those of U, is orthogonal to the next of them."""
    product, x, own = unknowns("product x own")
    return smt.Invariant([product == 0], {"product": product + x * own}, given=[own == 0])


def _sum(unknowns, ops):
    """The trace, entry by entry; with `more` of 1 the columns of U."""
    total, count, more, own = unknowns("total count more own")
    return smt.Invariant([total == count], {"total": total + more, "count": count + own}, given=[more == own])


def _latent(unknowns, ops):
    """Sum over pairs i != j of U_i² U_j² in one column."""
    across, once, fourth, u = unknowns("across once fourth u")
    after = {"across": across + 2 * once * u**2, "once": once + u**2, "fourth": fourth + u**4}
    return smt.Invariant([across == once * once - fourth], after)


def _energy(unknowns, ops):
    """|B_ij|² for orthogonal columns of C2: what a column more adds of the shipped monomial; `product` is <B, c>."""
    energy, known, product, u, v, c2, scale = unknowns("energy known product u v c2 l")
    t = theory.monomial((0, 1), [[u], [v]], [[1]], scale)[0]
    after = {"energy": energy + 2 * t * product + t * t * c2, "known": known + 4 * scale**2 * c2 * (u**2 * v**2)}
    return smt.Invariant([energy == known], after, given=[product == 0])


def _mean(unknowns, ops):
    """Over m (m - 1) ordered pairs: each column has (Σ U²)² - Σ U⁴ = 1 - Σ U⁴."""
    total, across, fourth, columns, m, size2, scale = unknowns("total across fourth R2 m c2 l")
    given = [m >= 2, total == 4 * scale**2 * size2 * across, across == columns - fourth]
    return given, [total / (m * (m - 1)) == theory.mean_pair_energy(scale, size2, fourth, columns, m)]


def _most(unknowns, ops):
    fourth, columns, m, size2, scale = unknowns("fourth R2 m c2 l")
    given = [m >= 2, size2 >= 0, columns >= 0, columns <= m * fourth]
    mean = theory.mean_pair_energy(scale, size2, fourth, columns, m)
    return given, [mean <= theory.most_pair_energy(scale, size2, columns, m)]


def _fourth(unknowns, ops):
    """A column more, of (Σ U²)² = 1 ≤ m Σ U⁴."""
    columns, fourth, m, own = unknowns("R2 fourth m own")
    return smt.Invariant([columns <= m * fourth], {"R2": columns + 1, "fourth": fourth + own}, given=[m * own >= 1])


def _summed(draw):
    """Atoms and pairs, column by column."""
    n, r = min(draw.n, 17), 5
    U, C = draw.rows(n, r, 999), draw.rows(3, r, 999)
    W, by_column = theory.linear_atoms(U, C), [[0] * 3 for _ in range(n)]
    B, pairs = theory.monomial((0, n - 1), U, C, 7), [0] * 3
    for k in range(r):
        own = [[row[k]] for row in U]
        lines = [[line[k]] for line in C]
        new = theory.linear_atoms(own, lines)
        by_column = [[a + b for a, b in zip(x, y, strict=True)] for x, y in zip(by_column, new, strict=True)]
        part = theory.monomial((0, 1), [own[0], own[-1]], [[1]], 7)[0]
        pairs = [a + part * line[k] for a, line in zip(pairs, C, strict=True)]
    yield W, by_column
    yield B, pairs


BESIDE_NEXT = smt.induction("a sum of columns is apart from the next", "all m, R1: over columns", _apart)
APART = Hypothesis("columns of C2 orthogonal, of one size", lambda case: _off_frame(case.C2))


def _off_frame(C2: Tensor) -> float:
    """Largest entry of C2^T C2 / |c|² - I, less rounding."""
    gram = C2.T @ C2
    return max(0.0, float((gram / gram[0, 0] - torch.eye(len(gram), dtype=torch.float64)).abs().max()) - 1e-10)


@st.composite
def _spectra(draw, flat=False, factor=1.0, alike=False):
    """Random orthonormal columns, a part of the identity, or, `flat`, entries of one size."""
    if flat:
        m = draw(st.sampled_from([2, 4, 8]))
        U = torch.from_numpy(hadamard(m)).double()[:, : draw(st.integers(1 + alike, m))] / m**0.5
    else:
        m = draw(st.integers(2 + alike, 6))
        first = draw(st.integers(2, m))
        U = orthonormal(m, first, draw(SEEDS)) if draw(st.booleans()) else torch.eye(m, first, dtype=torch.float64)
    first = U.shape[1]
    columns = draw(st.integers(min(2, first), first))
    d = columns + draw(st.integers(0, 2))
    C1, C2 = draw(rows_of(numbers(-3, 3), d, first)), draw(numbers(0.3, 3)) * orthonormal(d, columns, draw(SEEDS))
    C2 = C2[:, :1].expand(-1, columns) if alike else C2
    return Spectrum(factor * U, C1, C2, draw(st.sampled_from([1.0, -0.5]) | numbers(0.1, 2)))


CLAIM = Claim(
    id="PO-16",
    statement=(
        "For UᵀU = I, WᵀW = C1C1ᵀ, so Σ_j|w_j|² = |C1|², and Σ_i|U_i|² = R1. For orthogonal columns c of C2 of one "
        "size the mean of |B_ij|² over pairs i ≠ j is 4λ2²|c|²(R2 − Σ_ir U_ir⁴)/(m(m − 1)), at most 4λ2²|c|²R2/m²: "
        "interactions carry 2|λ2||c|√R2/m at most, where linear atoms of such columns carry |c|√(R1/m)."
    ),
    tex=r"\overline{|B_{ij}|^2}=\frac{4\lambda_2^2|c|^2(R_2-\sum_{ir}U_{ir}^4)}{m(m-1)}\leq\frac{4\lambda_2^2|c|^2R_2}{m^2}",
    source="ours, of the decoder of Koromilas et al. (2026), arXiv 2602.01322",
    kind="tight",
    promised=Verdict.PROVED,
    hypotheses=(ORTHONORMAL, APART),
    instances=_spectra(),
    nontrivial=lambda case: case.C2.shape[1] > 1,
    conclusion=_conclusion,
    extremal={"mean |B_ij|², at most": _spectra(flat=True)},
    controls=(
        Control(ORTHONORMAL.name, _spectra(factor=2.0), "columns of norm 2"),
        Control(APART.name, _spectra(alike=True, flat=True), "equal columns of C2: B_ij adds up, or cancels"),
    ),
    proofs={
        LOOPS: evaluated("atoms and B_ij, column by column", _summed),
        ("WᵀW = C1C1ᵀ", "Σ|w_j|² = |C1|²"): (
            BILINEAR,
            BESIDE_NEXT,
            smt.induction("WᵀW, an entry", "all m, R1, d: induction over columns", _column),
        ),
        ("Σ|w_j|² = |C1|²", "Σ|U_i|² = R1", "mean |B_ij|²", "mean |B_ij|², at most"): smt.induction(
            "sums of equal numbers", "all d, R1, R2: induction", _sum
        ),
        ("mean |B_ij|²", "mean |B_ij|², at most"): (
            BILINEAR,
            BESIDE_NEXT,
            smt.induction("|B_ij|² = 4λ2²|c|²Σ U_ir²U_jr²", "all R2, d: over columns", _energy),
            smt.induction("Σ_{i≠j} U_i²U_j² = (ΣU²)² − ΣU⁴", "all m: induction over latents", _latent),
            smt.implies("the mean over pairs", "all m ≥ 2, R2", _mean),
        ),
        "mean |B_ij|², at most": (
            CAUCHY_SCHWARZ,
            smt.induction("R2 ≤ m Σ U⁴", "all m, R2: induction over columns", _fourth),
            smt.implies("so the mean is at most that of one size", "all m ≥ 2, R2", _most),
        ),
    },
    mutants=(
        edited("pairs i = j too", theory.mean_pair_energy, lambda f: lambda l2, c2, fourth, r, m: f(l2, c2, 0, r, m)),
        Mutant("1/m for 1/m²", theory.most_pair_energy, lambda l2, c2, r, m: 4 * l2**2 * c2 * r / m),
        edited("half of B_ij", theory.monomial, lambda f: lambda members, U, C, scale=1: f(members, U, C, scale / 2)),
        edited("C1 twice", theory.linear_atoms, lambda f: lambda U, C1: f(U, [[2 * c for c in row] for row in C1])),
    ),
    note=(
        "The sum over pairs is fixed by R2, whatever U: what one pair has of it, others lack. Rows of U that are "
        "concentrated give it to few pairs (PO-4: R2/2 pairs can have it all), and activations f_i f_j multiply it."
    ),
)
