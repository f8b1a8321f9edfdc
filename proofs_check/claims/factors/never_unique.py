"""SN-5: a semi-nonnegative factorisation of two rows or more is never unique."""

from fractions import Fraction

import torch
from hypothesis import strategies as st

from proofs_check.claim import LOOPS, Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most, edited, equal
from proofs_check.claims.factors.cases import CODES, Factors, exact, factors
from proofs_check.engines import smt
from proofs_check.instances.draw import numbers
from proofs_check.instances.loops import evaluated
from proofs_check.instances.mixture import UNIT_ROWS, overlapping
from synthetic.laws.directions import unit
from workbench.metrics.matching import cosines
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


def _coordinate(unknowns, ops):
    """Products of the new row with the old one and with itself, from those of the rows."""
    along, length, v2, vw, w2, v, w, a = unknowns("along length v2 vw w2 v w a")
    (first,) = theory.sheared([[0, 0]], [[v], [w]], a)[1][0]
    says = [along == v2 - a * vw, length == v2 - 2 * a * vw + a**2 * w2]
    after = {"along": along + first * v, "length": length + first**2, "v2": v2 + v * v, "vw": vw + v * w}
    return smt.Invariant(says, {**after, "w2": w2 + w * w})


def _angle(unknowns, ops):
    """Unit rows: v2 = w2 = 1, vw = g."""
    along, length, a, g = unknowns("along length a g")
    given = [a > 0, g > -1, g < 1, along == 1 - a * g, length == 1 - 2 * a * g + a * a]
    return given, [1 - along**2 / length == theory.sheared_sine_square(a, g)]


def _nonnegative(unknowns, ops):
    f, k, h, a = unknowns("f k h a")
    ((moved,), _) = theory.sheared([[f, k, h]], [[0]] * 3, a)
    return [f >= 0, k >= 0, h >= 0, a >= 0], [v >= 0 for v in moved]


def _another(unknowns, ops):
    """Above 0 for all a > 0 and |g| < 1; and by how much over the numbers asked for."""
    a, g, b, h = unknowns("a g b h")
    sine, least = theory.sheared_sine_square(a, g), theory.sheared_sine_square(b, h)
    given = [a > 0, g > -1, g < 1, b >= Fraction(LEAST_AMOUNT), h <= Fraction(MOST), h >= -Fraction(MOST)]
    return given, [sine > 0, sine <= 1, Fraction(_LEAST) <= least]


def _sheared(draw):
    """One code and one row move, and no other."""
    n, d, a = draw.n, draw.d, draw.number()
    codes, rows = draw.rows(9, n), draw.rows(n, d)
    moved = [[f + a * row[0] * (j == 1) for j, f in enumerate(row)] for row in codes]
    first = [v - a * w for v, w in zip(rows[0], rows[1], strict=True)]
    yield theory.sheared(codes, rows, a), (moved, [first, *rows[1:]])


SHEARED = evaluated("f_1 + af_0 and w_0 − aw_1 for f_1 and w_0", _sheared)
NONNEGATIVE = smt.implies("a code stays, or becomes f_1 + af_0 ≥ 0", "all N, m: code by code", _nonnegative)
LEAST_AMOUNT, MOST = 0.1, 0.99
AMOUNT = Hypothesis("a at least .1", lambda case: max(0.0, LEAST_AMOUNT - case.amount))
APART = Hypothesis(
    "cosine of w_0 and w_1 at most .99 in size",
    lambda case: max(0.0, float((case.rows[0] @ case.rows[1]).abs()) - MOST),
)


T = numbers(0.2, 3)


@st.composite
def _cases(draw, pure=False):
    """Any codes; `pure`: each feature alone in a sample as well."""
    case = draw(factors())
    codes = torch.cat((case.codes, torch.eye(len(case.rows), dtype=torch.float64))) if pure else case.codes
    rows = unit(case.rows)
    if float((rows[0] @ rows[1]).abs()) > MOST:
        rows[:2] = torch.eye(2, rows.shape[1])
    return Factors.exact(codes, rows, case.amount)


CLAIM = Claim(
    id="SN-5",
    statement=(
        "Whatever the codes f ≥ 0 and a > 0: f_1 + af_0 for f_1 with w_0 − aw_1 for w_0 gives the same product with "
        "codes ≥ 0, and for unit rows of product g, |g| < 1, the new row stands to the old one at sin² = a²(1 − "
        "g²)/(1 − 2ag + a²) > 0. So no exact factorisation with two rows that are not parallel is unique, however "
        "sparse its codes, or if each feature fires alone."
    ),
    tex=r"f_0w_0+f_1w_1=f_0(w_0-aw_1)+(f_1+af_0)w_1",
    source="ours; a mixing (fM, M⁻¹W) with M ≥ 0",
    kind="identity",
    promised=Verdict.PROVED,
    hypotheses=(CODES, AMOUNT, APART, UNIT_ROWS),
    instances=_cases() | _cases(pure=True),
    nontrivial=lambda case: overlapping(case.rows) and (case.codes[:, :2] > 0).all(1).any(),
    conclusion=_conclusion,
    controls=(
        Control(CODES.name, T.flatmap(lambda t: exact([[-t, 0]], [[1, 0], [0, 1]])), "a code below 0 to start with"),
        Control(
            AMOUNT.name,
            T.flatmap(lambda t: exact([[1, 0]], [[1, 0], [0, 1]], -t)),
            "M with an entry below 0: a code falls below 0",
        ),
        Control(
            APART.name, T.flatmap(lambda t: exact([[1, 1]], [[1, 0], [1, 0]], t)), "two equal rows: the direction stays"
        ),
        Control(
            UNIT_ROWS.name,
            numbers(1.5, 3).flatmap(lambda t: exact([[1, 1]], [[1, 0], [0, t]])),
            "a row of length 2: the angle's formula needs 1",
        ),
    ),
    proofs={
        LOOPS: SHEARED,
        "its angle": (
            smt.induction("⟨w_0', w_0⟩ and |w_0'|²", "all d: induction over coordinates", _coordinate),
            smt.implies("sin² of unit rows", "all a > 0, |g| < 1", _angle),
        ),
        "f ≥ 0": NONNEGATIVE,
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
    note=(
        "The angle is drawn at a ≥ .1 and |g| ≤ .99, and proved beyond. NMF is unique for pure samples because W ≥ 0 "
        "ends the shear; here nothing does. What can: SN-6."
    ),
    shown_by="experiments/factors/study.py",
)
