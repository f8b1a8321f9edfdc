"""MP-6: for nonnegative codes OMP may pick the largest signed correlation below the same bound."""

import torch
from hypothesis import strategies as st

from proofs_check.claim import LOOPS, Claim, Control, Mutant, Part, Verdict, Void, at_most
from proofs_check.claims.pursuit.cases import (
    A_STEP_TOO_FEW,
    BELOW,
    SHORT,
    below_bound,
    beside,
    dense,
    from_gram,
    omp,
    outside,
)
from proofs_check.claims.pursuit.inductions import LEAST_SQUARES, ONE_CODE, PICKED
from proofs_check.claims.pursuit.loops import SQUARES
from proofs_check.engines import smt
from proofs_check.instances.draw import codes, mostly, numbers
from proofs_check.instances.inductions import STEPPED, UNROLL
from proofs_check.instances.mixture import EXACT, NONNEGATIVE, UNIT_ROWS, Mixture
from proofs_check.instances.witnesses import orthonormal_with_rest
from workbench.theory import pursuit as theory


def _conclusion(case: Mixture) -> dict[str, Part]:
    path, mu = omp(case, "positive"), case.coherence
    found: dict[str, Part] = {
        "picks in S": at_most(outside(case, path), 0.0),
        "h found": at_most((dense(path, case.m) - case.h).abs().amax(1), 0.0, unit=case.h.abs().amax(1)),
    }
    off = [_off(case, q) for q in range(1, int(case.k.max()))]
    if not off:
        return found | dict.fromkeys(("least |Pw|²", "largest |⟨Pw, Pw'⟩|"), Void("k = 1"))
    energies = torch.stack([rest.square().sum(1).min() for rest in off])
    products = torch.stack([(rest @ rest.T).fill_diagonal_(0).abs().max() for rest in off])
    steps = range(1, len(off) + 1)
    return found | {
        "least |Pw|²": at_most([theory.projected_energy(mu, q) for q in steps], energies),
        "largest |⟨Pw, Pw'⟩|": at_most(products, [theory.projected_product(mu, q) for q in steps]),
    }


def _off(case: Mixture, q: int) -> torch.Tensor:
    """All other rows, projected off the first q of the support."""
    first = case.slots[0, :q]
    basis = torch.linalg.qr(case.rows[first].T).Q
    rest = torch.ones(case.m, dtype=torch.bool)
    rest[first] = False
    rows = case.rows[rest]
    return rows - rows @ basis @ basis.T


def _schur(unknowns, ops):
    """One more row of energy D eliminated: E - p² / D and g - p p' / D, with the bounds at q for all of them."""
    e, d, p, p2, g, mu, q, first = unknowns("E D p p2 g mu q first")
    least, most = theory.projected_energy(mu, q), theory.projected_product(mu, q)
    size = ops.abs
    given = [mu > 0, mu < 1, size(first) <= mu, q >= 0, (q + 1) * mu < 1]
    given += [d >= least, size(p) <= most, size(p2) <= most]
    after, start = {"E": e - p * p / d, "g": g - p * p2 / d, "q": q + 1}, {"E": 1, "g": first}
    return smt.Invariant([e >= least, size(g) <= most], after, start, given)


def _row_left(unknowns, ops):
    """A coordinate of sum h_i P w_i, |Pw_l|² = D, and of what is left of it off Pw_l: first that of Pw_l, z.

    `along` is the product with Pw_l, and gains p; `after` is what is left, v - p / D z of each row but that itself, 0.
    """
    total, along, after, h, v, p, z, d = unknowns("total along after h v p z D")
    start = {"total": h * z, "along": h * d}
    moved = {"total": total + h * v, "along": along + h * p, "after": after + h * (v - p / d * z)}
    return smt.Invariant([total - along / d * z == after], moved, start, [d > 0])


def _other_row(unknowns, ops):
    """c_l gains h_i <Pw_i, Pw_l>, h_i at most the largest, that of l."""
    c, count, top, h, g, least, most, e = unknowns("c count top h g least most e")
    given = [h >= 0, h <= top, ops.abs(g) <= most, e >= least]
    after = {"c": c + h * g, "count": count + 1}
    return smt.Invariant([c >= top * least - count * top * most], after, {"c": top * e}, given)


def _outside_row(unknowns, ops):
    c, count, top, h, g, most = unknowns("c count top h g most")
    after, given = {"c": c + h * g, "count": count + 1}, [h >= 0, h <= top, ops.abs(g) <= most]
    return smt.Invariant([ops.abs(c) <= count * top * most], after, given=given)


def _pick(unknowns, ops):
    """l has the largest of the remaining k - q codes: c_l against c_j of a row outside.

    c_l >= h_l least - (k - q - 1) h_l most; |c_j| <= (k - q) h_l most.
    """
    h, k, q, mu = unknowns("h k q mu")
    least, most = theory.projected_energy(mu, q), theory.projected_product(mu, q)
    given = [h > 0, q >= 0, k >= q + 1, mu > 0, (2 * k - q - 1) * mu < 1]
    return given, [h * least - (k - q - 1) * h * most > (k - q) * h * most]


@st.composite
def _opposed(draw):
    """Rows with all products -mu."""
    k = draw(st.integers(2, 4))
    mu = draw(numbers(0.1, 0.9)) / (2 * k - 1)
    products = torch.full((k + 2, k + 2), -mu, dtype=torch.float64).fill_diagonal_(1.0)
    code = draw(codes(k, nonnegative=True, active=k))
    return Mixture.exact(from_gram(products), torch.cat((code, torch.zeros(2, dtype=torch.float64))))


def _below_0(t: float) -> Mixture:
    return Mixture.exact(torch.eye(3), [[1.0, -t, 0]])


ROWS_LEFT = "all k, q: induction over the rows left"
ABOVE = st.integers(2, 5).map(lambda k: beside(k, 0.5 * (1 / (2 * k - 1) + 1 / k)))

CLAIM = Claim(
    id="MP-6",
    statement=(
        "For h ≥ 0, unit rows, x = hV and k < (1 + 1/μ)/2, orthogonal matching pursuit that picks the largest signed "
        "correlation finds h in k steps. Off q rows the others keep |Pw|² ≥ (1 + μ)(1 − qμ)/(1 − (q − 1)μ) and have "
        "products of at most μ(1 + μ)/(1 − (q − 1)μ)."
    ),
    tex=r"(2k-q-1)\mu<1\;\Rightarrow\;c_l>|c_j|,\quad l=\mathrm{arg}\,\max h,\;j\notin S",
    source="ours; the same bound for nonnegative OMP is stated in Nguyen et al. (2019)",
    kind="tight",
    promised=Verdict.PROVED,
    hypotheses=(UNIT_ROWS, EXACT, NONNEGATIVE, BELOW),
    instances=mostly(below_bound(nonnegative=True, crowded=True), below_bound(nonnegative=True)),
    conclusion=_conclusion,
    extremal={"least |Pw|²": _opposed(), "largest |⟨Pw, Pw'⟩|": _opposed()},
    controls=(
        Control("unit rows", SHORT, "a row of norm below .6"),
        Control("exact: x = hV", orthonormal_with_rest(), "V = I, x = h + ρ"),
        Control(NONNEGATIVE.name, numbers(0.1, 3).map(_below_0), "V = I, one code below 0"),
        Control(BELOW.name, ABOVE, "k rows with products −μ, one with products μ, (2k − 1)μ > 1"),
    ),
    proofs={
        ("picks in S", "h found", "least |Pw|²", "largest |⟨Pw, Pw'⟩|"): (
            STEPPED,
            smt.induction("one more row eliminated", "all q: induction over Schur complements", _schur),
        ),
        ("picks in S", "h found"): (
            LEAST_SQUARES,
            smt.induction("off one more row r = Σ h_i P w_i over rows left", ROWS_LEFT, _row_left),
            smt.induction("c_l ≥ h_l |Pw|² − (k − q − 1)h_l |⟨Pw, Pw'⟩|", ROWS_LEFT, _other_row),
            smt.induction("|c_j| ≤ (k − q)h_l |⟨Pw, Pw'⟩|", ROWS_LEFT, _outside_row),
            smt.implies("the row of largest h beats all outside", "all real k, q, μ", _pick),
            PICKED,
        ),
        "h found": ONE_CODE,
        LOOPS: (UNROLL, SQUARES),
    },
    mutants=(
        Mutant("1 + qμ", theory.projected_energy, lambda mu, q: (1 + mu) * (1 + q * mu) / (1 - (q - 1) * mu)),
        Mutant("μ alone", theory.projected_product, lambda mu, q: mu + 0 * q),
        A_STEP_TOO_FEW,
    ),
    note=(
        "Least squares here may give either sign. That its coefficients stay nonnegative on the way, so that "
        "nonnegative least squares would be the same, is not proved."
    ),
)
