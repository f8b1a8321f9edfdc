"""R-2: Gaussian noise acts on a polynomial encoder as the heat operator, which a negative covariance undoes."""

from fractions import Fraction
from math import comb, factorial

import sympy

from proofs_check.claim import LOOPS, Claim, Control, Hypothesis, Mutant, Part, Verdict, edited, equal
from proofs_check.claims.actions.cases import Smoothed, smoothings
from proofs_check.engines import symbolic
from proofs_check.instances.loops import evaluated
from workbench.theory import actions as theory


def _conclusion(case: Smoothed) -> dict[str, Part]:
    after = theory.smoothed(case.kappa, case.covariance)
    at = case.points[0].new_tensor([case.at])
    back = theory.smoothed(after, [[-v for v in row] for row in case.covariance])
    powers = sorted(after)
    degree = max(map(sum, case.kappa))
    top = [p for p in powers if sum(p) == degree]
    return {
        "E κ(m + ν)": equal(case.value(after, at), case.mean, unit=case.size / 10),
        "−S undoes it": equal([back[p] for p in powers], [case.kappa.get(p, 0.0) for p in powers], unit=case.size),
        "highest degree": equal([after[p] for p in top], [case.kappa[p] for p in top]),
    }


def _moments(symbols, ops):
    x, v = symbols("x"), symbols("v", positive=True)
    density = ops.exp(-(x**2) / (2 * v)) / ops.sqrt(2 * ops.pi * v)
    for j, moment in enumerate(theory.gaussian_moments(v, 9)):
        yield sympy.integrate(x**j * density, (x, -sympy.oo, sympy.oo)), moment


def _one(symbols, ops):
    """exp(v d²/2) kappa against the mean by moments."""
    v, m = symbols("v m")
    for degree in range(9):
        c = [symbols(f"c{j}") for j in range(degree + 1)]
        after = theory.smoothed({(j,): value for j, value in enumerate(c)}, [[v]])
        wanted = theory.conditional_mean(c, 1, theory.gaussian_moments(v, degree + 1))
        yield sum(value * m**p for (p,), value in after.items()), sum(w * m**j for j, w in enumerate(wanted))


def _two(symbols, ops):
    """nu = (a z1, b z1 + c z2) of independent normals z, monomial by monomial."""
    a, b, c, y, z, p, q = symbols("a b c y z p q")
    covariance, moments = [[a * a, a * b], [a * b, b * b + c * c]], theory.gaussian_moments(1, 7)
    for first in range(6):
        for second in range(6 - first):
            spread = sympy.Poly((p + a * y) ** first * (q + b * y + c * z) ** second, y, z)
            wanted = sum(value * moments[i] * moments[j] for (i, j), value in spread.terms())
            after = theory.smoothed({(first, second): 1}, covariance)
            yield sum(value * p**i * q**j for (i, j), value in after.items()), wanted


def _undone(symbols, ops):
    s, t, r = symbols("s t r")
    minus = [[-s, -r], [-r, -t]]
    kappa = {(i, j): symbols(f"c{i}{j}") for i in range(6) for j in range(6 - i)}
    back = theory.smoothed(theory.smoothed(kappa, [[s, r], [r, t]]), minus)
    yield from ((back[powers], value) for powers, value in kappa.items())


def _top(symbols, ops):
    """Terms of highest degree, and affine maps."""
    s, t, r = symbols("s t r")
    covariance = [[s, r], [r, t]]
    for degree in range(6):
        kappa = {(i, j): symbols(f"c{i}{j}") for i in range(degree + 1) for j in range(degree + 1 - i)}
        after = theory.smoothed(kappa, covariance)
        least = degree if degree > 1 else 0
        yield from ((after[powers], value) for powers, value in kappa.items() if sum(powers) >= least)
    for degree in range(9):
        line = [symbols(f"d{j}") for j in range(degree + 1)]
        after = theory.smoothed({(j,): value for j, value in enumerate(line)}, [[s]])
        yield after[degree,], line[degree]


NORMAL = Hypothesis("normal noise", lambda case: case.off_normal)
COVARIANCE = Hypothesis("of covariance S", lambda case: abs(case.factor - 1))


def _paired(factors, covariance):
    """E of the product of m_i + nu_i over these i, by Isserlis: the first stays m_i, or pairs with a later one."""
    if not factors:
        return {(): 1}
    first, *rest = factors
    found = {tuple(sorted((first, *left))): v for left, v in _paired(rest, covariance).items()}
    for at, other in enumerate(rest):
        for left, v in _paired(rest[:at] + rest[at + 1 :], covariance).items():
            found[left] = found.get(left, 0) + covariance[first][other] * v
    return found


def _long(draw):
    n = draw.n
    v, a, c = abs(draw.number(9)), draw.number(9), draw.vector(n, 99)
    moments = theory.gaussian_moments(v, n)
    yield (
        moments,
        [(j % 2 == 0) * factorial(j) // (2 ** (j // 2) * factorial(j // 2)) * v ** (j // 2) for j in range(n)],
    )
    moments = draw.vector(n, 99)
    mean = [comb(j, i) * (2 * a) ** i * moments[j - i] for j in range(n) for i in range(j + 1)]
    over = [c[j] for j in range(n) for _ in range(j + 1)]
    found = theory.conditional_mean(c, 2, moments)
    yield sum(f * a**i for i, f in enumerate(found)), sum(x * y for x, y in zip(over, mean, strict=True))
    table = draw.rows(n, n, 9)
    covariance = [[table[max(i, j)][min(i, j)] for j in range(n)] for i in range(n)]
    products = {tuple(sorted((t, (t + 1) % n, (2 * t + 1) % n, n - 1))): Fraction(draw.number(9)) for t in range(n)}
    wanted: dict = {}
    for factors, coefficient in products.items():
        for left, value in _paired(list(factors), covariance).items():
            wanted[left] = wanted.get(left, 0) + coefficient * value
    kappa = {tuple(factors.count(i) for i in range(n)): value for factors, value in products.items()}
    yield theory.smoothed(kappa, covariance), {tuple(left.count(i) for i in range(n)): x for left, x in wanted.items()}


CLAIM = Claim(
    id="R-2",
    statement=(
        "For a polynomial κ and ν ~ N(0, S): E κ(m + ν) = exp(½ Σ S_ij ∂_i∂_j) κ at m. It leaves affine maps and the "
        "terms of highest degree as they are, and the same with −S undoes it."
    ),
    tex=r"E\,\kappa(m+\nu)=e^{S:\nabla\nabla/2}\kappa\,(m)",
    source="ours; behind theorem 6 of Saengkyongam et al. (2024), arXiv 2310.04295",
    kind="identity",
    promised=Verdict.PROVED,
    hypotheses=(NORMAL, COVARIANCE),
    instances=smoothings(),
    nontrivial=lambda case: max(map(sum, case.kappa)) > 1,
    conclusion=_conclusion,
    controls=(
        Control(NORMAL.name, smoothings(law="uniform", least=4), "uniform of the same variance: from degree 4 on"),
        Control(COVARIANCE.name, smoothings(factor=2**0.5, least=2), "twice the variance"),
    ),
    proofs={
        "E κ(m + ν)": (
            symbolic.identity("moments by integration", "E ν^j, j ≤ 8", _moments),
            symbolic.identity("one latent: the mean by moments", "D ≤ 8", _one),
            symbolic.identity("two latents, correlated", "n = 2, D ≤ 5", _two),
        ),
        "−S undoes it": symbolic.identity("undone by −S", "n = 2, D ≤ 5", _undone),
        LOOPS: evaluated("moments, the mean of one latent, and of many by pairs of factors", _long, 33),
        "highest degree": symbolic.identity("it stays, and so do affine maps", "n = 1, D ≤ 8; n = 2, D ≤ 5", _top),
    },
    mutants=(
        edited(
            "without the half",
            theory.smoothed,
            lambda f: lambda kappa, S: f(kappa, [[2 * v for v in row] for row in S]),
        ),
        edited(
            "variances alone",
            theory.smoothed,
            lambda f: (
                lambda kappa, S: f(kappa, [[v if i == j else 0.0 for j, v in enumerate(r)] for i, r in enumerate(S)])
            ),
            smoothings(n=(2, 2), least=2),
        ),
        Mutant("Eν⁴ = v²", theory.gaussian_moments, lambda v, n: [v ** (j // 2) * (1 - j % 2) for j in range(n)]),
    ),
)
