"""AFA-1: what separates |x| from |h| is interference, exactly."""

from proofs_check.claim import LOOPS, Claim, Control, Mutant, Relation, Verdict, equal
from proofs_check.engines import smt, symbolic
from proofs_check.instances.draw import mixtures
from proofs_check.instances.inductions import UNROLL, pair
from proofs_check.instances.mixture import EXACT, UNIT_ROWS, Mixture
from proofs_check.instances.witnesses import orthonormal_with_rest, twice_the_identity
from workbench.theory import coherence


def _conclusion(case: Mixture) -> Relation:
    return equal(case.x2 - case.h2, case.interference, unit=case.unit)


def _expand(symbols, ops):
    """Symbols for h and V; |v_i|² is not put to 1 but carried along."""
    for n, d in ((2, 1), (2, 3), (3, 2), (4, 3)):
        h = symbols(f"h:{n}")
        rows = [symbols(f"v{i}_:{d}") for i in range(n)]
        off_unit = sum(h[i] ** 2 * (coherence.square_norm(rows[i]) - 1) for i in range(n))
        gap = coherence.energy(h, rows) - coherence.square_norm(h)
        yield gap - off_unit, coherence.interference(h, coherence.gram(rows))


def _step(unknowns, ops):
    """One more row v with coefficient t, where <hV, v> = g."""
    x2, h2, q, g, t, v2 = unknowns("x2 h2 q g t v2")
    after = {"x2": x2 + 2 * t * g + t * t * v2, "h2": h2 + t * t, "q": q + pair(t, g)}
    start = {"x2": t * t * v2, "h2": t * t, "q": coherence.interference([t], [[1]])}
    return smt.Invariant([x2 - h2 == q], after, start, [v2 == 1])


CLAIM = Claim(
    id="AFA-1",
    statement="For unit rows and x = hV, |x|² − |h|² is the interference Σ_{i≠j} h_i h_j ⟨v_i, v_j⟩.",
    tex=r"\|x\|^2-\|h\|^2=\sum_{i\neq j}h_ih_j\langle v_i,v_j\rangle",
    source="ours: expand h V Vᵀ hᵀ; implicit in Lee et al. (2025), arXiv 2503.24277",
    kind="identity",
    promised=Verdict.PROVED,
    hypotheses=(UNIT_ROWS, EXACT),
    instances=mixtures() | mixtures(overcomplete=True, active=2),
    conclusion=_conclusion,
    controls=(
        Control("unit rows", twice_the_identity(), "V = 2I; repair: h_i → h_i |v_i|"),
        Control("exact: x = hV", orthonormal_with_rest(), "V = I, x = h + ρ; repair: AFA-11"),
    ),
    proofs={
        LOOPS: (symbolic.identity("expansion of the shipped sums", "n ≤ 4, d ≤ 3", _expand), UNROLL),
        "": smt.induction("|x|² − |h|² = q", "all n, d: induction over rows", _step),
    },
    kernel={
        "": ("coherence.gram_expansion", "coherence.interference_identity"),
    },
    mutants=(
        Mutant("each pair once", coherence.interference, lambda h, g: h[0] * h[1] * g[0][1]),
        Mutant("|h|² without squares", coherence.square_norm, lambda h: sum(h)),
        Mutant("|hV|² as |h|²", coherence.energy, lambda h, rows: coherence.square_norm(h)),
        Mutant("first coordinates only", coherence.gram, lambda rows: [[v[0] * w[0] for w in rows] for v in rows]),
    ),
    reads=Mixture,
    shown_by="experiments/afa/norms.py",
)
