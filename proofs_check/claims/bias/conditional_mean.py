"""BA-2: the mean activation of a feature, weighted by its coefficient, points along the feature."""

from proofs_check.claim import BESIDE, LOOPS, Claim, Control, Mutant, Part, Verdict, at_most
from proofs_check.claims.bias.conditioned_cases import BOUNDED, Conditioned, conditioned, scaled, subsets, tangents
from proofs_check.engines import smt, symbolic
from proofs_check.instances.draw import numbers
from proofs_check.instances.inductions import ENERGY, L1_FORM, PRODUCTS, UNROLL
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


def _entry(unknowns, ops):
    """A coordinate: sum_k (C_k + h h_k) v_k = sum_k C_k v_k + h sum_k h_k v_k, C_k the sums over earlier samples."""
    shared, plain, entries, h, c, k, v = unknowns("shared plain entries h c k v")
    after = {"shared": shared + (c + h * k) * v, "plain": plain + c * v, "entries": entries + k * v}
    return smt.Invariant([shared == plain + h * entries], after)


def _sample(unknowns, ops):
    """A coordinate of x is `entries`: sum h x stays sum_k C_k v_k with one more sample, by the induction over rows."""
    total, combined, more, entries, h = unknowns("total combined after entries h")
    after = {"total": total + h * entries, "combined": more}
    return smt.Invariant([total == combined], after, given=[more == combined + h * entries])


def _leak(unknowns, ops):
    """|r|² = sum c² + q, and |q| <= mu ((sum c)² - sum c²) is the l1 form."""
    squares, total, q, mu, r2 = unknowns("squares total q mu r2")
    given = [r2 == squares + q, ops.abs(q) <= coherence.l1_gap(total, squares, mu), mu >= 0, total >= 0]
    return given, [r2 <= theory.leak_square(squares, total, mu)]


def _tangent(unknowns, ops):
    """Mean = theta v + r with <r, v> = p and |v| = 1, p² <= |r|² <= R²: along v it is theta + p, its square length2.

    Cross-multiplied: R² (theta + p)² - (theta² - R²)(|r|² - p²) >= (R² + theta p)² >= 0.
    """
    theta, p, r2, leak2, length2 = unknowns("theta p r2 leak2 length2")
    given = [theta > 0, p * p <= r2, r2 <= leak2, leak2 < theta * theta, length2 == theta * theta + 2 * theta * p + r2]
    slack = leak2 * (theta + p) ** 2 - (theta * theta - leak2) * (r2 - p * p)
    spare = (theta * theta - leak2) * (leak2 - r2)
    difference = theta * theta * (theta + p) ** 2 - (theta * theta - leak2) * length2
    return given, [theta + p > 0, difference == slack, slack == (leak2 + theta * p) ** 2 + spare, spare >= 0]


def _cosine(unknowns, ops):
    """From the cross-multiplied square to the shipped root; cos is (theta + p) / length."""
    along, length, theta, leak2, cosine, spare, rest = unknowns("along length theta leak2 cosine spare rest")
    given = [along > 0, length > 0, theta > 0, leak2 >= 0, leak2 < theta * theta, cosine * length == along]
    given += [theta * theta * along * along - (theta * theta - leak2) * length * length == rest * rest + spare]
    least = theory.conditional_mean_cosine(theta, leak2, ops=ops)
    return [*given, spare >= 0], [least * least * theta * theta == theta * theta - leak2, cosine >= least]


def _pair(unknowns, ops):
    """Over samples sum h h_k <= B² |D_i & D_k|; over the entries of one sample it is B² times their count."""
    together, count, largest, h, k = unknowns("together count B h k")
    given = [h >= 0, h <= largest, k >= 0, k <= largest]
    after = {"together": together + h * k, "count": count + ops.where(k > 0, ops.num("1"), ops.num("0"))}
    return smt.Invariant([together <= largest * largest * count], after, given=given)


def _square(unknowns, ops):
    """Sum c² <= B² rho sum c and <= (sum c)² for 0 <= c <= B² rho."""
    squares, total, most, c = unknowns("squares total most c")
    says = [squares <= most * total, squares <= total * total, total >= 0]
    return smt.Invariant(says, {"squares": squares + c * c, "total": total + c}, given=[c >= 0, c <= most])


def _row(unknowns, ops):
    """Each sample has s - 1 other entries at most: h sum_k h_k <= B² (s - 1)."""
    others, samples, largest, s, share, count = unknowns("others samples B s share count")
    given = [share <= largest * largest * count, count <= s - 1]
    after = {"others": others + share, "samples": samples + 1}
    return smt.Invariant([others <= largest * largest * (s - 1) * samples], after, given=given)


def _coarse(unknowns, ops):
    """From sum c² <= B² rho sum c, sum c <= B² (s - 1); `mine`, over pairs of the others, is at most mu <= 1."""
    squares, total, largest, s, rho, mu, mine = unknowns("squares total B s rho mu mine")
    given = [squares >= 0, squares <= largest**2 * rho * total, total >= 0, total <= largest**2 * (s - 1)]
    given += [rho >= 0, mine >= 0, mine <= mu, mu <= 1, squares <= total * total]
    fine = theory.leak_square(squares, total, mine)
    return given, [
        fine <= theory.leak_square(squares, total, mu),
        theory.leak_square(squares, total, mu) <= theory.coarse_leak_square(largest, s, rho, mu),
    ]


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
        Control(
            "unit rows",
            numbers(1.5, 3).map(lambda t: conditioned([[1.0, 0], [0, t]], [[1.0, 0.4]])),
            "the second row of length 2",
        ),
        Control(
            "exact: x = hV",
            numbers(0.5, 2).map(lambda t: conditioned([[1.0, 0], [0, 1]], [[1.0, 0]], [[1.0, t]])),
            "V = I, x = h + ρ",
        ),
        Control(
            NONNEGATIVE.name,
            numbers(0.2, 0.4).map(lambda t: conditioned(OPPOSED, [[1.0, t, -t]])),
            "Σc = 0; repair: Σ|c|",
        ),
        Control(
            BOUNDED.name,
            numbers(3, 8).map(lambda t: conditioned([[1.0, 0], [-0.6, 0.8]], [[1.0, t]])),
            "always beside a louder, opposed one",
        ),
    ),
    proofs={
        LOOPS: UNROLL,
        ("cosine", "coarse R²"): (
            smt.induction("Σ(C_k + h h_k)v_k = ΣC_k v_k + h x", "all n: induction over rows", _entry),
            smt.induction("Σ h_i x = Σ_k C_k v_k", "all samples: induction", _sample),
        ),
        "cosine": (
            *ENERGY,
            *L1_FORM,
            PRODUCTS,
            smt.implies("|Σ c_k v_k|² ≤ R²", "all n: from |q| ≤ μ(L² − N)", _leak),
            smt.implies("cos² ≥ 1 − R²/θ², cross-multiplied", "all n, d, samples: by products", _tangent),
            smt.implies("the shipped root", "all n, d, samples", _cosine),
        ),
        "coarse R²": (
            smt.induction("c_k ≤ B²ρ; h Σh_k ≤ B² times a count", "all samples, n: induction", _pair),
            smt.induction("Σc ≤ B²(s − 1)", "all samples: induction", _row),
            smt.induction("Σc² ≤ B²ρ Σc and ≤ (Σc)²", "all n: induction over rows", _square),
            smt.implies("R² from B, ρ, s, μ", "all n, s: from these sums", _coarse),
        ),
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
