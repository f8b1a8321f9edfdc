"""AFA-3: the width does not belong in the bound; the support's own coherence, count and spectrum do."""

import torch

from proofs_check.claim import LOOPS, Claim, Control, Mutant, Part, Verdict, at_most
from proofs_check.engines import smt
from proofs_check.instances.draw import cones, mixtures
from proofs_check.instances.inductions import K_FORM, L1_FORM, UNROLL
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


def _gershgorin_pair(unknowns, ops):
    """Each pair's share: |2 h_i h_j G| <= |G| (h_i² + h_j²); summed over pairs, |q| <= sum_i h_i² sum_j |G_ij|."""
    a, b, g = unknowns("a b g")
    return [], [ops.abs(coherence.interference([a, b], [[0, g], [g, 0]])) <= ops.abs(g) * (a * a + b * b)]


def _largest_sum(unknowns, ops, k):
    g = [[unknowns(f"g{max(i, j)}{min(i, j)}") if i != j else 1 for j in range(k)] for i in range(k)]
    mu = unknowns("mu")
    largest = coherence.babel(g, ops=ops)
    given = [ops.abs(g[i][j]) <= mu for i in range(k) for j in range(i)]
    sums = [sum(ops.abs(g[i][j]) for j in range(k) if j != i) for i in range(k)]
    return given, [*(s <= largest for s in sums), largest <= coherence.norm_gap(1, mu, k)]


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
    promised=Verdict.PROVED,
    hypotheses=(UNIT_ROWS, EXACT),
    instances=mixtures(),
    conclusion=_conclusion,
    extremal={
        "μ(L² − N)": cones(),
        **{part: cones(flat=True) for part in ("μ(k − 1)N", "ε(n − 1)N", "λ_max N", "Gershgorin")},
        "−λ_min N": cones(flat=True, negative=True),
        "best of L and λ": cones(flat=True),
    },
    controls=(
        Control("unit rows", twice_the_identity(), "V = 2I; repair: h_i → h_i |v_i|"),
        Control("exact: x = hV", orthonormal_with_rest(), "V = I, x = h + ρ; repair: AFA-11"),
    ),
    proofs={
        LOOPS: UNROLL,
        ("μ(L² − N)", "μ(k − 1)N", "ε(n − 1)N", "best of L and λ"): L1_FORM,
        ("μ(k − 1)N", "ε(n − 1)N", "order: L ≤ k", "order: k ≤ n"): K_FORM,
        ("Gershgorin", "order: λ ≤ Gershgorin"): smt.implies(
            "Gershgorin pair by pair", "all k: sum over pairs", _gershgorin_pair
        ),
        "order: Gershgorin ≤ k": (
            *(smt.implies("row sums ≤ babel ≤ μ(k − 1)", "k = 2..4", _largest_sum, k=k) for k in (2, 3, 4)),
        ),
        ("λ_max N", "−λ_min N", "best of L and λ"): smt.implies(
            "Rayleigh's quotient lies between the extreme eigenvalues", "all k: each eigendirection", _spectral
        ),
    },
    kernel={
        "μ(L² − N)": ("coherence.interference_identity", "coherence.l1_form"),
        "μ(k − 1)N": "coherence.count_form",
        "ε(n − 1)N": "coherence.count_form",
        "Gershgorin": "coherence.babel_form",
        "order: L ≤ k": "coherence.sparse_l1",
        "order: Gershgorin ≤ k": "coherence.babel_at_most",
    },
    mutants=(
        Mutant("k − 2 in place of k − 1", coherence.norm_gap, lambda h2, mu, k: mu * (k - 2) * h2),
        Mutant("k in place of k − 1 (true, not attained)", coherence.norm_gap, lambda h2, mu, k: mu * k * h2),
        Mutant("half the coherence", coherence.norm_gap, lambda h2, mu, k: mu * (k - 1) * h2 / 2),
        Mutant("L² without − N", coherence.l1_gap, lambda l1, h2, mu: mu * l1 * l1),
        Mutant("L² − 2N", coherence.l1_gap, lambda l1, h2, mu: mu * (l1 * l1 - 2 * h2)),
        Mutant("first row's sum for the largest", coherence.babel, lambda g, *, ops: sum(map(ops.abs, g[0][1:]))),
        Mutant("one pair, twice", coherence.interference, lambda h, g: 4 * h[0] * h[1] * g[0][1]),
    ),
    note="The spectral part is checked in the eigenbasis; that a symmetric matrix has one is taken as known.",
    reads=Mixture,
    shown_by="experiments/afa/bounds.py",
)
