"""AFA-4: for h >= 0 the sign of the cosines decides the sign of the mismatch."""

from proofs_check.claim import BESIDE, LOOPS, Claim, Control, Mutant, Part, Verdict, at_most
from proofs_check.engines import smt
from proofs_check.instances.draw import cones, mixtures
from proofs_check.instances.inductions import OVER_ROWS, UNROLL, pair
from proofs_check.instances.mixture import EXACT, NONNEGATIVE, UNIT_ROWS, Mixture
from proofs_check.instances.witnesses import opposite_signs, orthonormal_with_rest, twice_the_identity
from workbench.theory import coherence


def _conclusion(case: Mixture) -> dict[str, Part]:
    q = case.x2 - case.h2
    low, high = coherence.signed_gap(case.l1, case.h2, *case.support_range)
    return {"above": at_most(q, high, unit=case.unit), "below": at_most(-q, -low, unit=case.unit)}


def _product(unknowns, ops):
    g, l1, t, product, low, high = unknowns("g l1 t product low high")
    given = [low <= product, product <= high, t >= 0]
    return smt.Invariant([low * l1 <= g, g <= high * l1], {"g": g + t * product, "l1": l1 + t}, given=given)


def _step(unknowns, ops):
    q, g, l1, h2, t, low, high = unknowns("q g l1 h2 t low high")
    least, most = coherence.signed_gap(l1, h2, low, high)
    start = {"q": coherence.interference([t], [[1]]), "l1": t, "h2": t * t}
    after = {"q": q + pair(t, g), "l1": l1 + t, "h2": h2 + t * t}
    given = [low * l1 <= g, g <= high * l1, low <= high, t >= 0]
    return smt.Invariant([least <= q, q <= most, l1 >= 0], after, start, given)


def _aligned(unknowns, ops):
    l1, h2, t = unknowns("l1 h2 t")
    return smt.Invariant([l1 * l1 >= h2, l1 >= 0], {"l1": l1 + t, "h2": h2 + t * t}, given=[t >= 0])


def _corollary(unknowns, ops):
    x2, l1, h2, low, high = unknowns("x2 l1 h2 low high")
    given = [coherence.signed_gap(l1, h2, low, high)[0] <= x2 - h2, l1 * l1 >= h2, low >= 0]
    return given, [h2 <= x2]


CLAIM = Claim(
    id="AFA-4",
    statement=(
        "For unit rows, x = hV, h ≥ 0 and a ≤ ⟨v_i, v_j⟩ ≤ b on the support: a(L² − N) ≤ |x|² − |h|² ≤ b(L² − N). "
        "So aligned active rows (a ≥ 0) make |h| ≤ |x|, and the signed maximum bounds |x| from above."
    ),
    tex=r"a\,(\|h\|_1^2-\|h\|_2^2)\leq\|x\|^2-\|h\|^2\leq b\,(\|h\|_1^2-\|h\|_2^2)",
    source="ours: q is a sum of ⟨v_i, v_j⟩ with weights h_i h_j ≥ 0",
    kind="tight",
    promised=Verdict.PROVED,
    hypotheses=(UNIT_ROWS, EXACT, NONNEGATIVE),
    instances=mixtures(nonnegative=True) | mixtures(nonnegative=True, overcomplete=True, active=2),
    conclusion=_conclusion,
    extremal={"above": cones(), "below": cones(negative=True)},
    controls=(
        Control(NONNEGATIVE.name, opposite_signs(), "two aligned rows with opposite signs"),
        Control("unit rows", twice_the_identity(), "V = 2I"),
        Control("exact: x = hV", orthonormal_with_rest(), "V = I, x = h + ρ"),
    ),
    proofs={
        LOOPS: UNROLL,
        ("above", "below"): (
            smt.induction("aL ≤ Σ h_i G_i ≤ bL", OVER_ROWS, _product),
            smt.induction("a(L² − N) ≤ q ≤ b(L² − N)", OVER_ROWS, _step),
        ),
        BESIDE: (
            smt.induction("L² ≥ N", OVER_ROWS, _aligned),
            smt.implies("a ≥ 0 gives |h| ≤ |x|", "all k", _corollary),
        ),
    },
    kernel={
        "above": ("coherence.interference_identity", "coherence.signed_form"),
        "below": ("coherence.interference_identity", "coherence.signed_form"),
    },
    mutants=(
        Mutant("ends exchanged", coherence.signed_gap, lambda l1, h2, a, b: (b * (l1**2 - h2), a * (l1**2 - h2))),
        Mutant("L² without − N", coherence.signed_gap, lambda l1, h2, a, b: (a * l1**2, b * l1**2)),
    ),
    reads=Mixture,
)
