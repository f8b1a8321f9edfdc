"""AFA-6: the best constants known only coherence and sparsity, and the dictionaries that reach them."""

import torch
from hypothesis import strategies as st

from proofs_check.claim import LOOPS, Claim, Control, Mutant, Part, Verdict, at_most
from proofs_check.engines import smt, symbolic
from proofs_check.instances.draw import cones, mixtures, unit_rows
from proofs_check.instances.inductions import K_FORM, L1_FORM, UNROLL
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


def _clamped(unknowns, ops):
    mu, k = unknowns("mu k")
    low = coherence.energy_range(mu, k, ops=ops)[0]
    return [mu >= 0, k >= 1], [low >= 0, low >= 1 - mu * (k - 1), (low - 1 + mu * (k - 1)) * low == 0]


def _realised(symbols, ops):
    """Both Gram matrices are positive semidefinite, so rows exist for d >= k: their eigenvectors and eigenvalues."""
    for k in (2, 3, 4, 6):
        g = symbols("g")
        products = _equiangular(k, g)
        for vector, value in (([1] * k, 1 + (k - 1) * g), ([1, -1, *[0] * (k - 2)], 1 - g)):
            yield from zip(
                (sum(a * b for a, b in zip(row, vector, strict=True)) for row in products),
                (value * v for v in vector),
                strict=True,
            )


@st.composite
def _dependent(draw):
    """k rows in k - 1 dimensions, with the code that they send to 0: μ ≥ 1/(k − 1)."""
    k = draw(st.integers(3, 6))
    rows = draw(unit_rows(k, k - 1))
    return Mixture.exact(rows, torch.linalg.svd(rows.T).Vh[-1:])


CLAIM = Claim(
    id="AFA-6",
    statement=(
        "Over all unit rows of coherence at most μ and all k-sparse h ≠ 0, d ≥ k: sup |x|²/|h|² = 1 + μ(k − 1), "
        "reached by flat h on a cone; inf = max(0, 1 − μ(k − 1)), reached by flat h on rows with all products −μ, or "
        "from μ = 1/(k − 1) on by k dependent rows, such as the k-simplex."
    ),
    tex=r"\max(0,1-\mu(k-1))\leq\|x\|^2/\|h\|^2\leq 1+\mu(k-1)",
    source="ours: the bound is AFA-3; the equiangular Gram matrices (1 ∓ μ)I ± μ11ᵀ attain it",
    kind="tight",
    promised=Verdict.PROVED,
    hypotheses=(UNIT_ROWS, EXACT, NONZERO),
    instances=mixtures(),
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
            *L1_FORM,
            *K_FORM,
            symbolic.identity("eigenvalues 1 + (k − 1)g and 1 − g of both", "k = 2, 3, 4, 6; all g", _realised),
        ),
        "supremum": symbolic.identity("the cone attains the l1 form and the supremum", "k = 2, 3, 4, 6; all μ", _cone),
        "infimum": (
            symbolic.identity(
                "opposed rows attain the infimum", "k = 2, 3, 4, 6; all μ, above 1/(k − 1) on the simplex", _opposed
            ),
            smt.implies("it is the larger of 0 and 1 − μ(k − 1)", "all k, μ", _clamped),
        ),
    },
    kernel={
        "supremum": ("coherence.count_form", "coherence.cone_attains", "coherence.flat_l1"),
    },
    mutants=(
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
        Mutant("L of squares", coherence.l1_norm, lambda h, *, ops: sum(v * v for v in h)),
    ),
    reads=Mixture,
    shown_by="experiments/afa/bounds.py",
)
