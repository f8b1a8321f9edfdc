"""AFA-3: the width does not belong in the bound; the support's own coherence, count and spectrum do."""

import torch

from proofs_check.claim import BESIDE, LOOPS, Claim, Control, Mutant, Part, Verdict, at_most
from proofs_check.engines import smt
from proofs_check.instances.draw import cones, mixtures
from proofs_check.instances.inductions import K_FORM, L1_FORM, OVER_ROWS, UNROLL, pair
from proofs_check.instances.mixture import EXACT, UNIT_ROWS, Mixture
from proofs_check.instances.witnesses import orthonormal_with_rest, twice_the_identity
from workbench.theory import coherence


def _conclusion(case: Mixture) -> dict[str, Part]:
    q, h2, mu = case.x2 - case.h2, case.h2, case.support_coherence
    l1_form, k_form = coherence.l1_gap(case.l1, h2, mu), coherence.norm_gap(h2, mu, case.k)
    low, high = case.spectrum
    largest = torch.maximum(high, -low)
    babel = case.babel * h2
    sides = {
        "μ(L² − N)": (q.abs(), l1_form),
        "μ(k − 1)N": (q.abs(), k_form),
        "ε(n − 1)N": (q.abs(), coherence.norm_gap(h2, case.coherence, case.m)),
        "λ_max N": (q, high * h2),
        "−λ_min N": (-q, -low * h2),
        "Gershgorin": (q.abs(), babel),
        "best of L and λ": (q.abs(), torch.minimum(l1_form, largest * h2)),
        "order: L ≤ k": (l1_form, k_form),
        "order: k ≤ n": (k_form, coherence.norm_gap(h2, case.coherence, case.m)),
        "order: λ ≤ Gershgorin": (largest * h2, babel),
        "order: Gershgorin ≤ k": (babel, k_form),
    }
    return {name: at_most(measured, bound, unit=case.unit) for name, (measured, bound) in sides.items()}


def _shares(unknowns, ops):
    """What a row with coefficient t gains with those so far, against Σ |G_i| (h_i² + t²): one more of those."""
    gained, shares, h, t, g = unknowns("gained shares h t g")
    after = {"gained": gained + pair(t, h * g), "shares": shares + ops.abs(g) * (h * h + t * t)}
    return smt.Invariant([ops.abs(gained) <= shares], after)


def _row(unknowns, ops):
    """R = Σ_i h_i² Σ_j |G_ij| grows by those shares."""
    q, rows, gained, shares, h = unknowns("q R gained shares h")
    start = {"q": coherence.interference([h], [[1]]), "R": 0}
    return smt.Invariant(
        [ops.abs(q) <= rows], {"q": q + gained, "R": rows + shares}, start, [ops.abs(gained) <= shares]
    )


def _mean(unknowns, ops):
    rows, h2, largest, h, row_sum = unknowns("R h2 largest h sum")
    after = {"R": rows + h * h * row_sum, "h2": h2 + h * h}
    return smt.Invariant([rows <= largest * h2], after, given=[row_sum <= largest])


def _term(unknowns, ops):
    """One more term of s = Σ_j E_ij y_j, where |y_j| <= top."""
    s, row_sum, top, e, y = unknowns("s sum top e y")
    after = {"s": s + e * y, "sum": row_sum + ops.abs(e)}
    return smt.Invariant([ops.abs(s) <= row_sum * top], after, given=[ops.abs(y) <= top])


def _eigenvalue(unknowns, ops):
    """λ y_i = s at the largest entry of an eigenvector."""
    value, y, s, row_sum, largest, h2 = unknowns("value y s sum largest h2")
    given = [value * y == s, y * y > 0, ops.abs(s) <= row_sum * ops.abs(y), row_sum <= largest, h2 >= 0]
    return given, [ops.abs(value) * h2 <= largest * h2]


def _sum(unknowns, ops):
    row_sum, mu, count, g = unknowns("sum mu count g")
    after = {"sum": row_sum + ops.abs(g), "count": count + 1}
    return smt.Invariant([row_sum <= mu * count], after, given=[ops.abs(g) <= mu])


def _of_count(unknowns, ops):
    row_sum, mu, k, h2 = unknowns("sum mu k h2")
    return [row_sum <= mu * (k - 1), h2 >= 0], [row_sum * h2 <= coherence.norm_gap(h2, mu, k)]


def _largest_sum(unknowns, ops):
    """The shipped maximum is no less than any sum, and one of them."""
    for k in (2, 3, 4):
        g = [[unknowns(f"g{max(i, j)}{min(i, j)}") if i != j else 1 for j in range(k)] for i in range(k)]
        largest = coherence.babel(g, ops=ops)
        sums = [sum(ops.abs(g[i][j]) for j in range(k) if j != i) for i in range(k)]
        yield from (s <= largest for s in sums)
        found = sums[0] == largest
        for s in sums[1:]:
            found = found | (s == largest)
        yield found


def _spectral(unknowns, ops):
    """One eigendirection: with q = sum l_i y_i² and N = sum y_i² in E's eigenbasis the bound holds term by term."""
    value, y, low, high = unknowns("value y low high")
    return [low <= value, value <= high], [low * y * y <= value * y * y, value * y * y <= high * y * y]


CLAIM = Claim(
    id="AFA-3",
    statement=(
        "For unit rows and x = hV with k nonzeros, N = |h|², L = Σ|h_i|, E = Gram − I on the support and μ its "
        "largest entry: |q| ≤ μ(L² − N) ≤ μ(k − 1)N ≤ ε(n − 1)N, and λ_min(E) N ≤ q ≤ λ_max(E) N with |λ| ≤ max_i "
        "Σ_j |E_ij| ≤ μ(k − 1). All are attained; the width n never matters."
    ),
    tex=r"|q|\leq\mu_S(\|h\|_1^2-\|h\|_2^2)\leq\mu_S(k-1)\|h\|^2\leq\varepsilon(n-1)\|h\|^2",
    source="ours: triangle, Cauchy-Schwarz, Rayleigh quotient, Gershgorin",
    kind="tight",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(UNIT_ROWS, EXACT),
    instances=mixtures() | mixtures(overcomplete=True, active=2),
    conclusion=_conclusion,
    extremal={
        "μ(L² − N)": cones(),
        **{part: cones(flat=True) for part in ("μ(k − 1)N", "ε(n − 1)N", "λ_max N", "Gershgorin", "best of L and λ")},
        **{part: cones(flat=True) for part in ("order: L ≤ k", "order: k ≤ n")},
        **{part: cones(flat=True) for part in ("order: λ ≤ Gershgorin", "order: Gershgorin ≤ k")},
        "−λ_min N": cones(flat=True, negative=True),
    },
    controls=(
        Control("unit rows", twice_the_identity(), "V = 2I; repair: h_i → h_i |v_i|"),
        Control("exact: x = hV", orthonormal_with_rest(), "V = I, x = h + ρ; repair: AFA-11"),
    ),
    proofs={
        LOOPS: (
            UNROLL,
            smt.implies("babel is the largest row sum", "k = 2..4", lambda *given: ([], _largest_sum(*given))),
        ),
        ("μ(L² − N)", "μ(k − 1)N", "ε(n − 1)N"): L1_FORM,
        ("μ(k − 1)N", "ε(n − 1)N", "order: L ≤ k", "order: k ≤ n"): K_FORM,
        "Gershgorin": (
            smt.induction("2|t Σ h_i G_i| ≤ Σ |G_i|(h_i² + t²)", OVER_ROWS, _shares),
            smt.induction("|q| ≤ Σ h_i² Σ_j |G_ij|", OVER_ROWS, _row),
            smt.induction("which is at most the largest row sum times N", OVER_ROWS, _mean),
        ),
        "order: λ ≤ Gershgorin": (
            smt.induction("|Σ_j E_ij y_j| ≤ Σ_j |E_ij| max |y_j|", "all k: induction over entries", _term),
            smt.implies("|λ| is at most a row sum", "all k: at the largest entry of an eigenvector", _eigenvalue),
        ),
        "order: Gershgorin ≤ k": (
            smt.induction("a row sum is at most μ times its terms", "all k: induction over terms", _sum),
            smt.implies("so at most μ(k − 1)", "all k", _of_count),
        ),
        BESIDE: smt.implies("Rayleigh's quotient in an eigendirection", "one eigendirection", _spectral),
    },
    kernel={
        "μ(L² − N)": ("coherence.interference_identity", "coherence.l1_form"),
        "μ(k − 1)N": ("coherence.interference_identity", "coherence.count_form"),
        "ε(n − 1)N": ("coherence.interference_identity", "coherence.count_form"),
        "Gershgorin": ("coherence.interference_identity", "coherence.babel_form"),
        "order: Gershgorin ≤ k": "coherence.babel_at_most",
        BESIDE: ("coherence.sparse_l1", "coherence.cone_attains", "coherence.flat_l1"),
    },
    mutants=(
        Mutant("k − 2 in place of k − 1", coherence.norm_gap, lambda h2, mu, k: mu * (k - 2) * h2),
        Mutant("k in place of k − 1 (true, not attained)", coherence.norm_gap, lambda h2, mu, k: mu * k * h2),
        Mutant("half the coherence", coherence.norm_gap, lambda h2, mu, k: mu * (k - 1) * h2 / 2),
        Mutant("L² without − N", coherence.l1_gap, lambda l1, h2, mu: mu * l1 * l1),
        Mutant("L² − 2N", coherence.l1_gap, lambda l1, h2, mu: mu * (l1 * l1 - 2 * h2)),
        Mutant("first row's sum for the largest", coherence.babel, lambda g, *, ops: sum(map(ops.abs, g[0][1:]))),
    ),
    note=(
        "λ_min N ≤ q ≤ λ_max N is sampled: it is proved within one eigendirection alone, and that a symmetric matrix "
        "has an eigenbasis is taken as known. That flat cones attain the forms is a theorem at all k of rows with "
        "equal products."
    ),
    reads=Mixture,
    shown_by="experiments/afa/bounds.py",
)
