"""PO-13: orthonormality does not fix the columns that only the linear part uses."""

from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from proofs_check.claim import Claim, Control, Hypothesis, Part, Verdict, at_most, edited, equal
from proofs_check.claims.interactions.cases import off_orthonormal
from proofs_check.claims.interactions.gauge_cases import Gauge, gauges
from workbench.theory import interactions as theory


def _conclusion(case: Gauge) -> dict[str, Part]:
    """Of two decoders of one function, the columns are the same up to sign and order."""
    after = case.turned if case.angle else case.flipped
    overlap = (case.case.U.T @ after.U).abs()
    rows, columns = linear_sum_assignment(-overlap.numpy())
    apart = (overlap[rows, columns] - 1).abs().max()
    return {
        "same function": equal(after.x_hat, case.case.x_hat, unit=4 * case.case.size),
        "same columns": at_most(apart, 1e-6),
    }


def _changed(gauge: Gauge, length: float = 1.0, angle: float | None = None) -> Gauge:
    case = gauge.case
    U, C = length * case.U, tuple(c / length**q for q, c in enumerate(case.C, 1))
    new = type(case)(case.f, U, C, case.scales, case.bias)
    return Gauge(new, gauge.flip, gauge.swap, gauge.turn, gauge.angle if angle is None else angle, gauge.scale)


@st.composite
def _signs(draw, length=1.0):
    """Where it holds: signs alone are changed; with `length`, of columns that are not unit."""
    return _changed(draw(gauges()), length, 0.0)


ORTHONORMAL = Hypothesis("orthonormal U", lambda case: off_orthonormal(case.case.U))

CLAIM = Claim(
    id="PO-13",
    statement=(
        "Reading: UᵀU = I removes the rotations of the factors, so two decoders of one function have the same columns "
        "up to sign and order. It does not where R1 ≥ R2 + 2: columns beyond R2 rotate together with C1."
    ),
    tex=r"\hat x(U,C)=\hat x(U',C')\;\Rightarrow\;U'=U\,\mathrm{diag}(\pm1)\,P",
    source="a reading of Koromilas et al. (2026), arXiv 2602.01322, as reported; corrected in PO-6 and PO-7",
    kind="refuted",
    promised=Verdict.REFUTED,
    hypotheses=(ORTHONORMAL,),
    instances=gauges(),
    conclusion=_conclusion,
    controls=(Control(ORTHONORMAL.name, _signs(length=2.0), "columns of length 2: lengths move to C as well"),),
    mutants=(
        edited(
            "sizes of projections", theory.projections, lambda true: lambda f, U: [abs(a) for a in true(f, U)], _signs()
        ),
    ),
    note=(
        "What orthonormality fixes is the first R2 columns, where their c² are distinct and not 0. At R1 = d the rest "
        "is C1 up to a rotation: a linear map, of which no column means anything by itself."
    ),
)
