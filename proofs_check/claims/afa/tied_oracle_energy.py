"""AFA-14: how far the energy of a tied oracle encoder is from the target it has to match."""

import torch

from proofs_check.claim import BESIDE, Claim, Control, Mutant, Part, Verdict, at_most
from proofs_check.engines import smt
from proofs_check.instances.draw import cones, mixtures
from proofs_check.instances.mixture import EXACT, NONNEGATIVE, UNIT_ROWS, Mixture
from proofs_check.instances.witnesses import opposite_signs, orthonormal_with_rest, twice_the_identity
from workbench.tensors import TENSOR
from workbench.theory import top_afa


def _conclusion(case: Mixture) -> dict[str, Part]:
    low, high = case.spectrum  # of the support's Gram matrix minus I
    least, most = top_afa.tied_energy_range((1 + low).clamp_min(0), 1 + high, ops=TENSOR)
    tied = case.active + torch.einsum("nkj,nj->nk", case.products, case.active)
    rectified, _ = top_afa.sign_split(tied, ops=TENSOR)
    full, tau = rectified.norm(dim=1), case.x2.sqrt()
    return {
        "above": at_most(full, most * tau, unit=case.unit.sqrt()),
        "below": at_most(least * tau, full, unit=case.unit.sqrt()),
        "C_K ≤ |G_S h|": at_most(full, tied.norm(dim=1), unit=case.unit.sqrt()),
        "τ² ≤ |h| C_K": at_most(case.x2, case.h2.sqrt() * full, unit=case.unit),
    }


def _above(unknowns, ops):
    """One eigendirection: C² <= |G h|² = sum l² y² and tau² = sum l y² with 0 <= l <= high."""
    value, high, y = unknowns("value high y")
    _, most = top_afa.tied_energy_range(0, high, ops=ops)
    return [value >= 0, value <= high], [value * value * y * y <= most * most * value * y * y]


def _rectified(unknowns, ops):
    full2, y2, y = unknowns("full2 y2 y")
    kept, _ = top_afa.sign_split(y, ops=ops)
    return smt.Invariant([full2 <= y2], {"full2": full2 + kept * kept, "y2": y2 + y * y})


def _coordinate(unknowns, ops):
    """<p + h v, x> = <p, x> + h <v, x>, one more coordinate: row by row <hV, x> = Σ h_i <v_i, x>."""
    longer, before, gained, h, p, v, x = unknowns("longer before gained h p v x")
    after = {"longer": longer + (p + h * v) * x, "before": before + p * x, "gained": gained + v * x}
    return smt.Invariant([longer == before + h * gained], after)


def _roots(unknowns, ops):
    tau2, s, h, full = unknowns("tau2 s h full")
    return [tau2 <= s, s * s <= (h * h) * (full * full), tau2 >= 0, h >= 0, full >= 0], [tau2 <= h * full]


def _inner(unknowns, ops):
    """sum h_i y_i <= sum h_i relu(y_i) for h >= 0, and Cauchy-Schwarz for the latter, one entry at a time."""
    low, s, a, b, h, y = unknowns("low s a b h y")
    kept, _ = top_afa.sign_split(y, ops=ops)
    after = {"low": low + h * y, "s": s + h * kept, "a": a + h * h, "b": b + kept * kept}
    return smt.Invariant([low <= s, s * s <= a * b, a >= 0, b >= 0], after, given=[h >= 0])


def _below(unknowns, ops):
    """From tau² = h G h^T <= |h| C and least |h|² <= tau²."""
    tau, h, full, least = unknowns("tau h full least")
    low, _ = top_afa.tied_energy_range(least, least, ops=ops)
    given = [tau >= 0, h > 0, full >= 0, least >= 0, tau * tau <= h * full, least * h * h <= tau * tau]
    return given, [low * tau <= full]


CLAIM = Claim(
    id="AFA-14",
    statement=(
        "For unit rows, x = hV, h ≥ 0 and the tied pre-activations relu(G_S h) of the support: √λ_min(G_S) τ ≤ C_K "
        "≤ √λ_max(G_S) τ, since τ² ≤ |h| C_K and C_K ≤ |G_S h|. No sign condition on G_S h is needed."
    ),
    tex=r"\sqrt{\lambda_{\min}(G_S)}\leq\frac{\|\mathrm{relu}(G_Sh)\|}{\|hV\|}\leq\sqrt{\lambda_{\max}(G_S)}",
    source="ours",
    kind="tight",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(UNIT_ROWS, EXACT, NONNEGATIVE),
    instances=mixtures(nonnegative=True) | mixtures(nonnegative=True, overcomplete=True, active=2),
    conclusion=_conclusion,
    extremal={"above": cones(flat=True), "below": cones(flat=True, negative=True)},
    controls=(
        Control(NONNEGATIVE.name, opposite_signs()),
        Control("unit rows", twice_the_identity(), "V = 2I"),
        Control("exact: x = hV", orthonormal_with_rest(), "V = I, x = h + ρ"),
    ),
    proofs={
        "C_K ≤ |G_S h|": smt.induction("|relu y|² ≤ |y|²", "all k: induction over entries", _rectified),
        "τ² ≤ |h| C_K": (
            smt.induction("τ² = ⟨h, y⟩ for y = G_S h", "all k, d: row by row", _coordinate),
            smt.induction("⟨h, y⟩ ≤ ⟨h, relu y⟩ ≤ |h||relu y|", "all k: induction over entries", _inner),
            smt.implies("so τ² ≤ |h| C_K", "all k", _roots),
        ),
        BESIDE: (
            smt.implies("above, in an eigendirection", "one eigendirection", _above),
            smt.implies("below, from τ² ≤ |h| C_K and λ_min |h|² ≤ τ²", "all k: given Rayleigh's quotient", _below),
        ),
    },
    mutants=(
        Mutant("half the rectifier", top_afa.sign_split, lambda z, *, ops: (ops.larger(z, ops.num("0")) / 2, -z)),
        Mutant("twice the rectifier", top_afa.sign_split, lambda z, *, ops: (ops.larger(z, ops.num("0")) * 2, -z)),
        Mutant("eigenvalues without roots", top_afa.tied_energy_range, lambda low, high, *, ops: (low, high)),
        Mutant("roots exchanged", top_afa.tied_energy_range, lambda low, high, *, ops: (ops.sqrt(high), ops.sqrt(low))),
    ),
    note=(
        "The ends by eigenvalues are sampled: that |G_S h|² ≤ λ_max τ² and λ_min |h|² ≤ τ² is the spectral theorem, "
        "taken as known."
    ),
    reads=Mixture,
    shown_by="experiments/afa/rule.py",
)
