"""AFA-6: the best constants known only coherence and sparsity, and the dictionaries that reach them."""

import torch
from hypothesis import strategies as st

from proofs_check.claim import BESIDE, LOOPS, Claim, Control, Mutant, Part, Verdict, at_most
from proofs_check.engines import smt, symbolic
from proofs_check.instances.draw import cones, mixtures, unit_rows
from proofs_check.instances.inductions import ENERGY, K_FORM, L1_FORM, UNROLL
from proofs_check.instances.mixture import EXACT, NONZERO, UNIT_ROWS, Mixture
from proofs_check.instances.witnesses import orthonormal_with_rest, silent, twice_the_identity
from workbench.tensors import TENSOR
from workbench.theory import coherence


def _conclusion(case: Mixture) -> dict[str, Part]:
    least, most = coherence.energy_range(case.support_coherence, case.k, ops=TENSOR)
    ratio = case.x2 / case.unit
    return {"supremum": at_most(ratio, most), "infimum": at_most(least, ratio)}


def _equiangular(k, product):
    return [[1 if i == j else product for j in range(k)] for i in range(k)]


def _cone(symbols, ops):
    """On a cone q = mu (L² - N) for all h >= 0, and flat h reaches the supremum."""
    for k in (2, 3, 4, 6):
        h, mu = symbols(f"h:{k}", positive=True), symbols("mu", positive=True)
        q = coherence.interference(h, _equiangular(k, mu))
        yield q, coherence.l1_gap(coherence.l1_norm(h, ops=ops), coherence.square_norm(h), mu)
        flat = coherence.interference([1] * k, _equiangular(k, mu))
        yield 1 + flat / k, coherence.energy_range(mu, k, ops=ops)[1]


def _opposed(symbols, ops):
    """With all products -mu flat h has energy 1 - mu (k - 1), the infimum where that is >= 0; 0 on the simplex."""
    for k in (2, 3, 4, 6):
        share = symbols("share", positive=True)
        mu = 1 / ((k - 1) * (1 + share))  # any mu below 1 / (k - 1)
        flat = coherence.interference([1] * k, _equiangular(k, -mu))
        yield 1 + flat / k, coherence.energy_range(mu, k, ops=ops)[0]
        yield 1 + coherence.interference([1] * k, _equiangular(k, -ops.num(f"1/{k - 1}"))) / k, 0
        yield coherence.energy_range((1 + share) / (k - 1), k, ops=ops)[0], 0


def _ratio(unknowns, ops):
    x2, h2, mu, k = unknowns("x2 h2 mu k")
    given = [ops.abs(x2 - h2) <= coherence.norm_gap(h2, mu, k), x2 >= 0, h2 > 0, mu >= 0, k >= 1]
    least, most = coherence.energy_range(mu, k, ops=ops)
    return given, [least <= x2 / h2, x2 / h2 <= most]


def _clamped(unknowns, ops):
    mu, k = unknowns("mu k")
    low = coherence.energy_range(mu, k, ops=ops)[0]
    return [mu >= 0, k >= 1], [low >= 0, low >= 1 - mu * (k - 1), (low - 1 + mu * (k - 1)) * low == 0]


def _realised(unknowns, ops):
    """Row i has s + b in coordinate i of k, b in the others: unit, and all products are g."""
    g, k = unknowns("g k")
    s, root = ops.sqrt(1 - g), ops.sqrt(1 + (k - 1) * g)
    b = (root - s) / k
    given = [k >= 2, g <= 1, -1 / (k - 1) <= g]
    return given, [(s + b) ** 2 + (k - 1) * b * b == 1, 2 * (s + b) * b + (k - 2) * b * b == g]


@st.composite
def _dependent(draw):
    """k rows in k - 1 dimensions, with the code that they send to 0: μ ≥ 1/(k − 1)."""
    k = draw(st.integers(3, 6))
    rows = draw(unit_rows(k, k - 1))
    return Mixture.exact(rows, torch.linalg.svd(rows.T).Vh[-1:])


CLAIM = Claim(
    id="AFA-6",
    statement=(
        "For unit rows of coherence at most μ on the support of a k-sparse h ≠ 0: max(0, 1 − μ(k − 1)) ≤ |x|²/|h|² ≤ "
        "1 + μ(k − 1). Flat h is drawn that reaches the upper end on a cone, and the lower one on rows with all "
        "products −μ, or from μ = 1/(k − 1) on by k dependent rows, such as the k-simplex."
    ),
    tex=r"\max(0,1-\mu(k-1))\leq\|x\|^2/\|h\|^2\leq 1+\mu(k-1)",
    source="ours: the bound is AFA-3; the equiangular Gram matrices (1 ∓ μ)I ± μ11ᵀ attain it",
    kind="tight",
    promised=Verdict.PROVED,
    hypotheses=(UNIT_ROWS, EXACT, NONZERO),
    instances=mixtures() | mixtures(overcomplete=True, active=2),
    conclusion=_conclusion,
    extremal={"supremum": cones(flat=True), "infimum": cones(flat=True, negative=True) | _dependent()},
    controls=(
        Control("unit rows", twice_the_identity(), "V = 2I"),
        Control("exact: x = hV", orthonormal_with_rest(), "V = I, x = h + ρ"),
        Control(NONZERO.name, silent(), "h = 0: the ratio is 0/0, and 0 is below every positive infimum"),
    ),
    proofs={
        LOOPS: UNROLL,
        ("supremum", "infimum"): (
            *ENERGY,
            *L1_FORM,
            *K_FORM,
            smt.implies("the gap gives both ends", "all k, μ", _ratio),
        ),
        BESIDE: (
            smt.implies("unit rows with all products g, from −1/(k − 1) to 1", "all k, in k dimensions", _realised),
            symbolic.identity("the cone attains the l1 form and the supremum", "k = 2, 3, 4, 6; all μ", _cone),
            symbolic.identity(
                "opposed rows attain the infimum", "k = 2, 3, 4, 6; all μ, above 1/(k − 1) on the simplex", _opposed
            ),
            smt.implies("it is the larger of 0 and 1 − μ(k − 1)", "all k, μ", _clamped),
        ),
    },
    kernel={
        BESIDE: (
            "coherence.interference_identity",
            "coherence.count_form",
            "coherence.cone_attains",
            "coherence.flat_l1",
        ),
    },
    mutants=(
        Mutant("L of squares", coherence.l1_norm, lambda h, *, ops: sum(v * v for v in h)),
        Mutant("k in place of k − 1", coherence.energy_range, lambda mu, k, *, ops: (0, 1 + mu * k)),
        Mutant(
            "k − 2 in place of k − 1",
            coherence.energy_range,
            lambda mu, k, *, ops: (ops.larger(ops.num("0"), 1 - mu * (k - 2)), 1 + mu * (k - 2)),
        ),
        Mutant(
            "below 0 beyond 1/(k − 1)",
            coherence.energy_range,
            lambda mu, k, *, ops: (1 - mu * (k - 1), 1 + mu * (k - 1)),
        ),
    ),
    note=(
        "Both ends bound the ratio for all k by the proofs. That they are reached is no part of the conclusion but "
        "drawn, at k up to 8; beside it stand a theorem on products of one size, and unit rows that have them."
    ),
    reads=Mixture,
    shown_by="experiments/afa/bounds.py",
)
