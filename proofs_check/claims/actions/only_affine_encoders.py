"""R-1: a polynomial encoder of degree 2 or more misses every affine function of the action by a known amount."""

import math

import sympy

from proofs_check.claim import BESIDE, Claim, Control, Mutant, Part, Verdict, at_most, equal
from proofs_check.claims.actions.cases import MOVES, POLYNOMIAL, RANGE, Line, Noise, chebyshev, lines
from proofs_check.engines import smt, symbolic
from proofs_check.instances.draw import numbers
from workbench.theory import actions as theory


def _conclusion(case: Line) -> dict[str, Part]:
    found = theory.conditional_mean(case.coefficients, case.effect, case.noise.moments(case.degree + 1))
    by_formula = sum(c * case.seen**i for i, c in enumerate(found))
    least = theory.least_deviation(case.coefficients[-1] * case.reach**case.degree, case.degree)
    plain = Line((*case.coefficients[:2], 0.0), case.effect, case.reach, case.noise, values=case.values)
    return {
        "misses": at_most(least, case.deviation, unit=case.size),
        "E[κ | a]": equal(by_formula, case.conditional, unit=case.size),
        "affine κ: exact": equal(plain.deviation, 0.0, unit=case.size),
    }


def _binomial(symbols, ops):
    """Powers of M a + nu, nu^j replaced by its moment; the leading coefficient of each degree."""
    m, a, nu = symbols("M a nu")
    for degree in range(1, 7):
        c, moments = symbols(f"c:{degree + 1}"), [1, *symbols(f"mu1:{degree + 1}")]
        found = theory.conditional_mean(c, m, moments)
        powers = sympy.Poly(sum(value * (m * a + nu) ** j for j, value in enumerate(c)), nu).all_coeffs()[::-1]
        wanted = sum(p * moments[j] for j, p in enumerate(powers))
        yield sum(v * a**i for i, v in enumerate(found)), sympy.expand(wanted)
        yield found[-1], c[-1] * m**degree


def _alternation(symbols, ops):
    """Weights at the extrema read off c_D from the values of p less any affine function; their sizes sum to 2^(D-1)."""
    slope, level = symbols("slope level")
    for degree in range(2, 7):
        c = symbols(f"c:{degree + 1}")
        nodes = [sympy.cos(sympy.pi * j / degree) for j in range(degree + 1)]
        weights = [1 / math.prod(x - y for y in nodes if y is not x) for x in nodes]
        powers = [sum(w * x**power for w, x in zip(weights, nodes, strict=True)) for power in range(degree + 1)]
        read = [sympy.nsimplify(sympy.radsimp(sympy.expand(power))) for power in powers]
        yield sum(v * power for v, power in zip(c, read, strict=True)) - slope * read[1] - level * read[0], c[-1]
        sizes = sympy.radsimp(sum(sympy.Abs(sympy.radsimp(w)) for w in weights))
        yield theory.least_deviation(c[-1], degree, ops=ops) * sizes, ops.abs(c[-1])


def _node(unknowns, ops):
    """Of weights times values of size `most` at most, and of the weights' sizes."""
    total, sizes, most, w, value = unknowns("total sizes most w value")
    after = {"total": total + w * value, "sizes": sizes + ops.abs(w)}
    return smt.Invariant([ops.abs(total) <= most * sizes], after, given=[ops.abs(value) <= most])


def _reach(unknowns, ops):
    """|c_D| r^D for |c_D M^D|, D = 2..6."""
    c, m, r = unknowns("c m r")
    pairs = [
        (theory.least_deviation(c * r**d, d, ops=ops), theory.least_deviation(c * m**d, d, ops=ops)) for d in DEGREES
    ]
    return [ops.abs(m) >= r, r >= 0], [less <= more for less, more in pairs]


def _solved(unknowns, ops):
    """n = q = 1: what leaves no power of a but 0 and 1 has no such power of h; nu of any moments."""
    m, *c = unknowns("M c0 c1 c2 c3 c4 c5")
    found = theory.conditional_mean(c, m, [1, *unknowns("mu1 mu2 mu3 mu4 mu5")])
    return [m != 0, *(v == 0 for v in found[2:])], [v == 0 for v in c[2:]]


def _forms(symbols, ops):
    """n = q = 2: M acts on forms of degree k with determinant det(M)^(k (k + 1) / 2), so none but 0 vanishes."""
    entries, (x, y) = symbols("m:4"), symbols("x y")
    m, area = sympy.Matrix(2, 2, entries), entries[0] * entries[3] - entries[1] * entries[2]
    for k in range(1, 5):
        first, second = m @ sympy.Matrix([x, y])
        forms = [sympy.Poly(first**i * second ** (k - i), x, y) for i in range(k + 1)]
        rows = [[form.coeff_monomial(x**j * y ** (k - j)) for j in range(k + 1)] for form in forms]
        yield sympy.Matrix(rows).det(method="berkowitz"), area ** (k * (k + 1) // 2)


DEGREES = range(2, 7)
BENT = numbers(1, 3).map(lambda c: Line((0.0, 0.0, 1.0), 1.0, 1.0, Noise("none"), cosine=c))
"""h² + c cos h, nearly constant near 0"""

CLAIM = Claim(
    id="R-1",
    statement=(
        "One latent, one action: κ a polynomial of degree D ≥ 2 in h = Ma + ν, |M| ≥ r > 0, ν of any law with D "
        "moments: for all W, α max over a ∈ [−1, 1] of |E[κ | a] − Wa − α| is at least |c_D| r^D / 2^(D−1). So E[κ | "
        "a] is affine in a just where κ is affine."
    ),
    tex=r"\max_{|a|\leq1}|E[\kappa\mid a]-Wa-\alpha|\geq\frac{|c_D|\,r^D}{2^{D-1}}",
    source="ours; theorem 6 of Saengkyongam et al. (2024), arXiv 2310.04295, for polynomials, with an amount",
    kind="tight",
    promised=Verdict.PROVED,
    hypotheses=(MOVES, POLYNOMIAL, RANGE),
    instances=lines(),
    nontrivial=lambda case: case.noise.law != "none",
    conclusion=_conclusion,
    extremal={"misses": chebyshev()},
    controls=(
        Control(MOVES.name, lines(effect=0.0), "M = 0: any κ has a constant conditional mean"),
        Control(POLYNOMIAL.name, BENT, "h² + c cos h, no noise: at c = 2 misses by .04, not .5"),
        Control(RANGE.name, lines(values=(-1.0, 1.0)), "two actions: any two means lie on a line"),
    ),
    proofs={
        ("misses", "E[κ | a]", "affine κ: exact"): symbolic.identity(
            "E[κ | a], and its leading coefficient", "D ≤ 6, any moments", _binomial
        ),
        "misses": (
            symbolic.identity("weights read off c_D", "D = 2..6, any W, α", _alternation),
            smt.induction("|Σ w v| ≤ max|v| Σ|w|", "all D: induction over nodes", _node),
            smt.implies("|M| ≥ r", "D = 2..6", _reach),
        ),
        BESIDE: (
            smt.implies("no power of a beyond 1: none of h", "n = q = 1, D = 5", _solved),
            symbolic.identity("forms of degree k under M", "n = q = 2, k ≤ 4", _forms),
        ),
    },
    mutants=(
        Mutant("2^D", theory.least_deviation, lambda c, d, *, ops=None: abs(c) / 2**d, chebyshev()),
        Mutant("2^(D−2)", theory.least_deviation, lambda c, d, *, ops=None: abs(c) / 2 ** (d - 2)),
        Mutant("noise left out", theory.conditional_mean, lambda c, m, _: [v * m**j for j, v in enumerate(c)]),
    ),
    note="For polynomials no noise is needed, and nothing of its law: that matters for other κ (R-3).",
)
