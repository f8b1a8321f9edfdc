"""PO-8: the step back to orthonormal columns, by Cholesky or by QR, is Gram-Schmidt's; without it columns drift."""

from dataclasses import dataclass

import torch
from hypothesis import strategies as st
from torch import Tensor

from proofs_check.claim import Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most, digits, equal
from proofs_check.claims.interactions.cases import orthonormal
from proofs_check.engines import smt, symbolic
from proofs_check.instances.draw import SEEDS, numbers
from synthetic.base.streams import stream
from workbench.parts import polynomial
from workbench.theory import interactions as theory
from workbench.theory.ops import FLOAT


@dataclass(frozen=True, eq=False)
class Stepped:
    """Orthonormal columns (m, R), a step, and whether they are brought back."""

    U: Tensor
    step: Tensor
    back: bool = True

    def __str__(self) -> str:
        return f"U {digits(self.U)}, step {digits(self.step)}{'' if self.back else ', left there'}"

    @property
    def after(self) -> Tensor:
        """By the shipped retraction."""
        moved = self.U + self.step
        return polynomial.orthonormal(moved) if self.back else moved


def _conclusion(case: Stepped) -> dict[str, Part]:
    moved, after = case.U + case.step, case.after
    written = torch.tensor(theory.gram_schmidt(moved.T.tolist()), dtype=torch.float64).T
    triangle = after.T @ moved
    eye = torch.eye(moved.shape[1], dtype=torch.float64)
    narrow = polynomial.orthonormal(moved.float()).double() if case.back else moved
    return {
        "orthonormal": equal((after.T @ after).flatten(), eye.flatten()),
        "Gram–Schmidt": equal(after.flatten(), written.flatten()),
        "spans of first columns": equal(triangle.tril(-1).flatten(), 0.0),
        "diagonal above 0": at_most(0.0, triangle.diagonal()),
        "in float32": at_most((narrow.T @ narrow - eye).abs().max(), 1e-5),
    }


def _columns(symbols, ops):
    """Two columns of three: orthonormal, and the first stays in its own direction."""
    a = [symbols("p", positive=True), symbols("q"), 0]
    b = [symbols("r"), symbols("s"), symbols("t", positive=True)]
    u, v = theory.gram_schmidt([a, b], ops=ops)
    dot = [sum(x * y for x, y in zip(one, two, strict=True)) for one, two in ((u, u), (v, v), (u, v), (v, a))]
    yield from zip(dot, (1, 1, 0, 0), strict=True)
    along = sum(x * y for x, y in zip(u, b, strict=True))
    left = [y - along * x for x, y in zip(u, b, strict=True)]
    yield sum(x * y for x, y in zip(v, b, strict=True)) ** 2, sum(x * x for x in left)


def _cholesky(unknowns, ops):
    """R^T R = S^T S, both upper triangular with diagonal above 0: R = S. So QR's R is Cholesky's."""
    a, b, c, d, e, f = unknowns("a b c d e f")  # R = [[a, b], [0, c]], S = [[d, e], [0, f]]
    given = [a > 0, c > 0, d > 0, f > 0, a * a == d * d, a * b == d * e, b * b + c * c == e * e + f * f]
    return given, [a == d, b == e, c == f]


RETRACTED = Hypothesis("retracted after the step", lambda case: float(not case.back))


@st.composite
def _steps(draw, back=True):
    columns, spare = draw(st.integers(1, 4)), draw(st.integers(0, 2))
    m = columns + spare
    size = draw(st.sampled_from([0.1, 0.01]) | numbers(0.01, 0.3).map(lambda v: max(v, 0.01)))
    noise = torch.randn(m, columns, generator=stream(draw(SEEDS), "claim"), dtype=torch.float64)
    return Stepped(orthonormal(m, columns, draw(SEEDS)), size * noise / noise.norm(), back)


CLAIM = Claim(
    id="PO-8",
    statement=(
        "U ← Q of U + step = QR with positive diagonal keeps UᵀU = I and the spans of the first r columns, which the "
        "nested orders need; the R is Cholesky's of UᵀU, so U R⁻¹ is the same and both are Gram–Schmidt's. In float32 "
        "the shipped one is orthonormal to 1e-5. Left out, columns drift."
    ),
    tex=r"U\leftarrow UR^{-1},\quad R^\top R=U^\top U",
    source="Koromilas et al. (2026), arXiv 2602.01322, QR after each step; uniqueness of Cholesky's factor",
    kind="identity",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(RETRACTED,),
    instances=_steps(),
    conclusion=_conclusion,
    controls=(Control(RETRACTED.name, _steps(back=False), "no retraction: off by the step"),),
    proofs={
        ("orthonormal", "spans of first columns"): symbolic.identity(
            "orthonormal, first spans kept", "3 × 2", _columns
        ),
        "Gram–Schmidt": smt.implies("one Cholesky factor", "2 × 2", _cholesky),
    },
    mutants=(
        Mutant("lengths alone", theory.gram_schmidt, lambda columns, *, ops=FLOAT: _scaled(columns, ops)),
        Mutant("left there", polynomial.orthonormal, lambda U: U / U.norm(dim=-2, keepdim=True)),
        Mutant("nearest orthonormal", polynomial.orthonormal, lambda U: _polar(U)),
    ),
    note="A step of size η along the tangent leaves UᵀU − I of order η²; it adds up over steps.",
)


def _scaled(columns, ops):
    return [[v / ops.sqrt(sum(w * w for w in column)) for v in column] for column in columns]


def _polar(U):
    left, _, right = torch.linalg.svd(U, full_matrices=False)
    return left @ right
