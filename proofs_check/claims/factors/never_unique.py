"""SN-5: a semi-nonnegative factorisation of two rows or more is never unique."""

import torch
from hypothesis import strategies as st

from proofs_check.claim import Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most, edited, equal
from proofs_check.claims.factors.cases import CODES, Factors, exact, factors
from proofs_check.engines import smt, symbolic
from proofs_check.instances.mixture import UNIT_ROWS
from synthetic.laws.directions import unit
from workbench.metrics.matching import cosines
from workbench.theory import coherence
from workbench.theory import factors as theory

_LEAST = 1e-4
"""of the squared sine, over what is drawn"""


def _conclusion(case: Factors) -> dict[str, Part]:
    codes, rows = theory.sheared(case.codes.tolist(), case.rows.tolist(), case.amount)
    g = float(case.rows[0] @ case.rows[1])
    along = float(cosines(torch.tensor(rows[:1], dtype=torch.float64), case.rows[:1]))
    sine2 = theory.sheared_sine_square(case.amount, g)
    return {
        "same product": equal(case.error(codes, rows), 0.0, unit=case.size),
        "f ≥ 0": at_most(0.0, min(map(min, codes))),
        "its angle": equal(1 - along * along, sine2),
        "another feature": at_most(_LEAST, sine2),
    }


def _same(symbols, ops):
    """Every entry of the product, and the angle from products."""
    a, g = symbols("a g")
    for m, d in ((2, 1), (2, 3), (3, 2), (4, 1)):
        codes, rows = [symbols(f"f:{m}")], [symbols(f"w{j}_:{d}") for j in range(m)]
        (before,), (after,) = theory.product(codes, rows), theory.product(*theory.sheared(codes, rows, a))
        yield from zip(before, after, strict=True)
    length2 = coherence.square_norm([1, -a]) + coherence.interference([1, -a], [[1, g], [g, 1]])
    yield 1 - (1 - a * g) ** 2 / length2, theory.sheared_sine_square(a, g)


def _nonnegative(unknowns, ops):
    f, k, h, a = unknowns("f k h a")
    ((moved,), _) = theory.sheared([[f, k, h]], [[0]] * 3, a)
    return [f >= 0, k >= 0, h >= 0, a >= 0], [v >= 0 for v in moved]


def _another(unknowns, ops):
    a, g = unknowns("a g")
    return [a > 0, g > -1, g < 1], [theory.sheared_sine_square(a, g) > 0, theory.sheared_sine_square(a, g) <= 1]


AMOUNT = Hypothesis("a > 0", lambda case: max(0.0, -case.amount))
APART = Hypothesis(
    "w_0 and w_1 not parallel", lambda case: max(0.0, float((case.rows[0] @ case.rows[1]).abs()) - 0.999)
)


@st.composite
def _cases(draw, pure=False):
    """Any codes; `pure`: each feature alone in a sample as well."""
    case = draw(factors())
    codes = torch.cat((case.codes, torch.eye(len(case.rows), dtype=torch.float64))) if pure else case.codes
    rows = unit(case.rows)
    if float((rows[0] @ rows[1]).abs()) > 0.99:
        rows[:2] = torch.eye(2, rows.shape[1])
    return Factors.exact(codes, rows, case.amount)


CLAIM = Claim(
    id="SN-5",
    statement=(
        "Whatever the codes f ≥ 0 and a > 0: f_1 + af_0 for f_1 with w_0 − aw_1 for w_0 gives the same product with "
        "codes ≥ 0, and the new row stands to the old one at sin² = a²(1 − g²)/(1 − 2ag + a²) > 0. So no exact "
        "factorisation of two rows or more is unique, however sparse its codes, or if each feature fires alone."
    ),
    tex=r"f_0w_0+f_1w_1=f_0(w_0-aw_1)+(f_1+af_0)w_1",
    source="ours; a mixing (fM, M⁻¹W) with M ≥ 0",
    kind="identity",
    promised=Verdict.PROVED,
    hypotheses=(CODES, AMOUNT, APART, UNIT_ROWS),
    instances=_cases() | _cases(pure=True),
    conclusion=_conclusion,
    controls=(
        Control(CODES.name, exact([[-1, 0]], [[1, 0], [0, 1]]), "a code below 0 to start with"),
        Control(AMOUNT.name, exact([[1, 0]], [[1, 0], [0, 1]], -1.0), "M with an entry below 0: a code falls below 0"),
        Control(APART.name, exact([[1, 1]], [[1, 0], [1, 0]], 0.5), "two equal rows: the direction stays"),
        Control(UNIT_ROWS.name, exact([[1, 1]], [[1, 0], [0, 2]]), "a row of length 2: the angle's formula needs 1"),
    ),
    proofs={
        ("same product", "its angle"): symbolic.identity(
            "the same product; the angle", "m ≤ 4, d ≤ 3: coordinate by coordinate", _same
        ),
        "f ≥ 0": smt.implies("codes stay at least 0", "all f ≥ 0, a ≥ 0", _nonnegative),
        "another feature": smt.implies("the row turns", "all a > 0, |g| < 1", _another),
    },
    kernel={
        "same product": "factors.shear_gauge",
    },
    mutants=(
        edited(
            "the code stays",
            theory.sheared,
            lambda f: lambda codes, rows, a: (list(map(list, codes)), f(codes, rows, a)[1]),
        ),
        edited(
            "+ a w_1",
            theory.sheared,
            lambda f: lambda codes, rows, a: (f(codes, rows, a)[0], f(codes, rows, -a)[1]),
        ),
        Mutant("without the cross term", theory.sheared_sine_square, lambda a, g: a * a * (1 - g * g) / (1 + a * a)),
        Mutant("1 − g", theory.sheared_sine_square, lambda a, g: a * a * (1 - g) / (1 - 2 * a * g + a * a)),
    ),
    note="NMF is unique for pure samples because W ≥ 0 ends the shear; here nothing does. What can: SN-6.",
    shown_by="experiments/factors/study.py",
)
