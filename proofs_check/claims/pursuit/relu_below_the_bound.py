"""MP-13: picking by relu does not recover supports below the coherence bound, not even of nonnegative codes."""

import torch
from hypothesis import strategies as st

from proofs_check.claim import Claim, Control, Mutant, Part, Verdict, at_most
from proofs_check.claims.pursuit.cases import BELOW, beside, from_gram, outside
from proofs_check.engines import smt
from proofs_check.instances.draw import numbers
from proofs_check.instances.mixture import EXACT, NONNEGATIVE, UNIT_ROWS, Mixture
from workbench.parts import pursuit
from workbench.theory import pursuit as theory

PRODUCTS = ((1.0, 0.2, -0.2), (0.2, 1.0, 0.2), (-0.2, 0.2, 1.0))
ROWS = from_gram(torch.tensor(PRODUCTS, dtype=torch.float64))


def _conclusion(case: Mixture) -> dict[str, Part]:
    path = pursuit.matching_pursuit(case.x, case.rows, 10, select="relu")
    return {
        "picks in S": at_most(outside(case, path), 0.0),
        "k below the bound": at_most(case.k, theory.largest_support(case.coherence)),
    }


def _third_pick(unknowns, ops):
    """h = (1, t): a step along row 0, one along row 1, and no row outside has the largest positive correlation."""
    t = unknowns("t")
    g = [[ops.num(text) for text in row] for row in (("1", "1/5", "-1/5"), ("1/5", "1", "1/5"), ("-1/5", "1/5", "1"))]
    c = [g[i][0] + t * g[i][1] for i in range(3)]
    given = [t > 0, t < 1]
    for j in (0, 1):
        given += [c[j] >= c[i] for i in range(3)] + [c[j] > 0]
        c = [theory.correlation_after(c[i], c[j], g[i][j]) for i in range(3)]
    return given, [ops.larger(ops.larger(c[0], c[1]), 0) >= c[2]]


def _code(t):
    return Mixture.exact(ROWS, [[1.0, t, 0]])


def _two(rows, h, x=None):
    exact = Mixture.exact(rows, h)
    return exact if x is None else Mixture(exact.rows, exact.h, torch.tensor([x], dtype=torch.float64))


EYE = [[1.0, 0, 0], [0, 1, 0], [0, 0, 1]]
HOLDS = Mixture.exact(EYE, [[1.0, 0.5, 0]])

CLAIM = Claim(
    id="MP-13",
    statement=(
        "Of the rule of released code, max relu(c_j): below the coherence bound k < (1 + 1/μ)/2 nothing outside the "
        "true support is picked, at least for h ≥ 0. With products (.2, −.2, .2), (2k − 1)μ = .6, and x = w_1 + .3w_2 "
        "the third step picks the third row: an overshoot of h cannot be taken back."
    ),
    tex=r"k<\tfrac12(1+\tfrac1\mu),\ h\geq0\;\Rightarrow\;\mathrm{supp}\,f\subseteq\mathrm{supp}\,h\quad(\text{relu})",
    source="ours; the recovery theorem of Tropp (2004), with the rule of Costa et al. (2025), arXiv 2506.03093",
    kind="refuted",
    promised=Verdict.REFUTED,
    hypotheses=(UNIT_ROWS, EXACT, NONNEGATIVE, BELOW),
    instances=st.just(0.3).map(_code) | numbers(0.1, 0.9).map(_code),
    conclusion=_conclusion,
    controls=(
        Control("unit rows", st.just(_two([[0.5, 0], [0.6, 0.8]], [[1.0, 0]])), "a row of norm .5"),
        Control("exact: x = hV", st.just(_two(EYE, [[1.0, 0, 0]], [1.0, 2, 0])), "V = I, x = h + ρ"),
        Control(NONNEGATIVE.name, st.just(_two([[1.0, 0], [-0.3, 0.91**0.5]], [[-1.0, 0]])), "h = −1: the other row"),
        Control(BELOW.name, st.integers(2, 5).map(lambda k: beside(k, 0.5 * (1 / (2 * k - 1) + 1 / k))), "k above it"),
    ),
    proofs=(smt.implies("the third pick is in S", "h = (1, t), products (1/5, −1/5, 1/5)", _third_pick),),
    mutants=(
        Mutant("(1 + 1/μ)/3", theory.largest_support, lambda mu, *, ops=None: (1 + 1 / max(mu, 1)) / 3, st.just(HOLDS)),
    ),
    note=(
        "By |c| the pursuit stays in S (claim MP-5), and orthogonal matching pursuit by signed c finds h ≥ 0 (claim "
        "MP-6). With identity and Hadamard rows, d = 64, k = 4, h ≥ 0, relu picks wrong rows in 360 to 399 of 500 "
        "samples, |c| in none."
    ),
)
