"""BA-2: the mean activation of a feature, weighted by its coefficient, points along the feature."""

from hypothesis import strategies as st

from proofs_check.claim import BESIDE, LOOPS, Claim, Control, Mutant, Part, Verdict, at_most
from proofs_check.claims.bias.conditioned_cases import BOUNDED, Conditioned, conditioned, scaled, subsets, tangents
from proofs_check.engines import smt, symbolic
from proofs_check.instances.inductions import L1_FORM, UNROLL
from proofs_check.instances.mixture import EXACT, NONNEGATIVE, UNIT_ROWS
from workbench.tensors import TENSOR
from workbench.theory import bias as theory
from workbench.theory import coherence


def _conclusion(case: Conditioned) -> dict[str, Part]:
    h, theta = case.h[case.fires], case.moments[0]
    together = (h[:, 1:] > 0).double().mean(0)
    s, rho = int((h != 0).sum(1).max()), float(together.max()) if case.m > 1 else 0.0
    bound = theory.coarse_leak_square(h.max(), s, rho, min(case.coherence, 1.0))
    return {
        "cosine": at_most(
            theory.conditional_mean_cosine(theta, case.leak2, ops=TENSOR), case.mean @ case.rows[0] / case.mean.norm()
        ),
        "coarse R²": at_most(case.leak2, bound, unit=h.max() ** 4),
    }


def _leak(unknowns, ops):
    """|r|² = sum c² + q, and |q| <= mu ((sum c)² - sum c²) is the l1 form."""
    squares, total, q, mu = unknowns("squares total q mu")
    given = [ops.abs(q) <= coherence.l1_gap(total, squares, mu), mu >= 0, total >= 0]
    return given, [squares + q <= theory.leak_square(squares, total, mu)]


def _tangent(unknowns, ops):
    """Mean = theta v + p v + rest, rest at right angles to v: cos² >= 1 - R² / theta², and p > -theta.

    Cross-multiplied: R² (theta + p)² - (theta² - R²) |rest|² >= (R² + theta p)² >= 0.
    """
    theta, p, rest2, leak2 = unknowns("theta p rest2 leak2")
    given = [theta > 0, rest2 >= 0, p * p + rest2 <= leak2, leak2 < theta * theta]
    slack = leak2 * (theta + p) ** 2 - (theta * theta - leak2) * rest2
    spare = (theta * theta - leak2) * (leak2 - p * p - rest2)
    return given, [theta + p > 0, slack == (leak2 + theta * p) ** 2 + spare, spare >= 0]


def _cosine(unknowns, ops):
    """From the cross-multiplied square to the shipped root; cos is (theta + p) / length."""
    along, length, theta, leak2, cosine = unknowns("along length theta leak2 cosine")
    given = [along > 0, length > 0, theta > 0, leak2 >= 0, leak2 < theta * theta, cosine * length == along]
    given += [theta * theta * along * along >= (theta * theta - leak2) * length * length]
    least = theory.conditional_mean_cosine(theta, leak2, ops=ops)
    return given, [least * least * theta * theta == theta * theta - leak2, cosine >= least]


def _coarse(unknowns, ops):
    """From c_k <= B² rho, so sum c² <= B² rho sum c, and sum c <= B² (s - 1)."""
    squares, total, largest, s, rho, mu = unknowns("squares total B s rho mu")
    given = [squares >= 0, squares <= largest**2 * rho * total, total >= 0, total <= largest**2 * (s - 1)]
    given += [rho >= 0, mu >= 0, mu <= 1]
    return given, [theory.leak_square(squares, total, mu) <= theory.coarse_leak_square(largest, s, rho, mu)]


def _attained(symbols, ops):
    """Two rows with product -c / theta reach the cosine."""
    c, ratio = symbols("c", positive=True), symbols("ratio", positive=True)
    theta = c * (1 + ratio)  # any theta above c
    product = -c / theta
    mean = ops.sqrt(
        coherence.square_norm([theta, c]) + coherence.interference([theta, c], [[1, product], [product, 1]])
    )
    yield ((theta + c * product) / mean) ** 2, 1 - theory.leak_square(c**2, c, -product) / theta**2


OPPOSED = [[1.0, 0, 0], [-0.3, 0.91**0.5, 0], [0.3, -0.21 / 0.91**0.5, (0.91 - 0.0441 / 0.91) ** 0.5]]
"""products -.3, .3, -.3"""

CLAIM = Claim(
    id="BA-2",
    statement=(
        "For unit rows, h ≥ 0 and x = hV, the mean over D_i of h_i x is θv_i + Σ c_k v_k with θ = mean h_i², c_k = "
        "mean h_i h_k. With R² = (1 − μ)Σc_k² + μ(Σc_k)² and R < θ its cosine with v_i is at least √(1 − R²/θ²); and "
        "R² ≤ B⁴((1 − μ)ρ(s − 1) + μ(s − 1)²), ρ the co-occurrence with i and B ≥ h."
    ),
    tex=r"\cos(\bar x_i,v_i)\geq\sqrt{1-R^2/\theta_i^2},\quad R^2=(1-\mu)\textstyle\sum c_k^2+\mu(\sum c_k)^2",
    source="ours; behind the identifiability theorem 5.3 of Chen et al. (2025), arXiv 2506.14002",
    kind="tight",
    promised=Verdict.PROVED,
    hypotheses=(UNIT_ROWS, EXACT, NONNEGATIVE, BOUNDED),
    instances=scaled(),
    conclusion=_conclusion,
    extremal={"cosine": tangents(), "coarse R²": subsets()},
    controls=(
        Control("unit rows", st.just(conditioned([[1.0, 0], [0, 2]], [[1.0, 0.4]])), "the second row of length 2"),
        Control("exact: x = hV", st.just(conditioned([[1.0, 0], [0, 1]], [[1.0, 0]], [[1.0, 1]])), "V = I, x = h + ρ"),
        Control(NONNEGATIVE.name, st.just(conditioned(OPPOSED, [[1.0, 0.3, -0.3]])), "Σc = 0; repair: Σ|c|"),
        Control(
            BOUNDED.name,
            st.just(conditioned([[1.0, 0], [-0.6, 0.8]], [[1.0, 4]])),
            "always beside a louder, opposed one",
        ),
    ),
    proofs={
        LOOPS: UNROLL,
        "cosine": (
            *L1_FORM,
            smt.implies("|Σ c_k v_k|² ≤ R²", "all n: from |q| ≤ μ(L² − N)", _leak),
            smt.implies(
                "cos² ≥ 1 − R²/θ², cross-multiplied", "all n, d, samples: along v_i and at right angles", _tangent
            ),
            smt.implies("the shipped root", "all n, d, samples", _cosine),
        ),
        "coarse R²": smt.implies("R² from B, ρ, s, μ", "all n, s: from c_k ≤ B²ρ and Σc ≤ B²(s − 1)", _coarse),
        BESIDE: symbolic.identity("attained at product −c/θ", "all c < θ: two rows", _attained),
    },
    mutants=(
        Mutant("without the coherent part", theory.leak_square, lambda squares, total, mu: (1 - mu) * squares),
        Mutant("half of it", theory.leak_square, lambda squares, total, mu: (1 - mu) * squares + mu * total**2 / 2),
        Mutant("without the root", theory.conditional_mean_cosine, lambda t, r, *, ops: 1 - r / t**2),
        Mutant("R²/2", theory.conditional_mean_cosine, lambda t, r, *, ops: ops.sqrt(1 - r / t**2 / 2)),
        Mutant(
            "s − 2",
            theory.coarse_leak_square,
            lambda b, s, rho, mu: b**4 * theory.leak_square(rho * (s - 2), s - 1, mu),
        ),
    ),
    note=(
        "The looser R² = Σc² + μ(Σc)² follows. At R ≥ θ, as when another feature always fires along with i at equal "
        "strength, nothing is said. μ is over pairs of the other features in R², over all in the coarse form."
    ),
)
