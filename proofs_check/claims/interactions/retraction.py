"""PO-8: the step back to orthonormal columns, by Cholesky or by QR, is Gram-Schmidt's; without it columns drift."""

from dataclasses import dataclass
from fractions import Fraction

import torch
from hypothesis import strategies as st
from torch import Tensor

from proofs_check.claim import BESIDE, LOOPS, Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most, digits, equal
from proofs_check.claims.interactions.cases import orthonormal
from proofs_check.engines import smt, symbolic
from proofs_check.instances.draw import SEEDS, numbers
from proofs_check.instances.loops import evaluated
from proofs_check.kernel.evaluations import EXACT
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

    @property
    def off(self) -> float:
        """How far that is from where the shipped retraction takes it."""
        return float((self.after - polynomial.orthonormal(self.U + self.step)).abs().max())


def _conclusion(case: Stepped) -> dict[str, Part]:
    moved, after = case.U + case.step, case.after
    written = torch.tensor(theory.gram_schmidt(moved.T.tolist()), dtype=torch.float64).T
    triangle = written.T @ moved
    eye = torch.eye(moved.shape[1], dtype=torch.float64)
    narrow = polynomial.orthonormal(moved.float()).double() if case.back else moved
    return {
        "orthonormal": equal((written.T @ written).flatten(), eye.flatten()),
        "spans of first columns": equal(triangle.tril(-1).flatten(), 0.0),
        "diagonal above 0": at_most(0.0, triangle.diagonal()),
        "the shipped step": equal(after.flatten(), written.flatten()),
        "in float32": at_most((narrow.T @ narrow - eye).abs().max(), 1e-5),
    }


def _coordinate(unknowns, ops):
    """Products of what is left of a column after q is taken off: with w, one coordinate more."""
    new, aw, qw, a, q, w, along = unknowns("new aw qw a q w along")
    after = {"new": new + (a - along * q) * w, "aw": aw + a * w, "qw": qw + q * w}
    return smt.Invariant([new == aw - along * qw], after)


def _one_more_done(unknowns, ops):
    """What is left has product 0 with the q taken off last, and with one taken off earlier, s."""
    along, qq, qs, last, old = unknowns("along qq qs last old")
    after, start = {"last": along - along * qq, "old": old - along * qs}, {"last": along - along * qq}
    return smt.Invariant([last == 0, old == 0], after, start, [qq == 1, qs == 0])


def _scaled_to_1(unknowns, ops):
    """What is left over its length: the shipped last step, with no q before."""
    x, y = unknowns("x y")
    ((u, v),) = theory.gram_schmidt([[x, y]], ops=ops)
    left2, product = unknowns("left2 product")
    root = ops.sqrt(left2)
    given = [x * x + y * y > 0, left2 > 0, product == 0]
    return given, [u * u + v * v == 1, left2 / (root * root) == 1, product / root == 0, left2 / root > 0]


def _next_part(unknowns, ops):
    total, r, qs = unknowns("total r qs")
    return smt.Invariant([total == 0], {"total": total + r * qs}, given=[qs == 0])


def _own_part(unknowns, ops):
    """The column itself is what is left and what was taken off: its product with the new q is the length left."""
    length, taken, diagonal = unknowns("length taken diagonal")
    return [length > 0, taken == 0, diagonal == length + taken], [diagonal > 0]


def _rational(draw):
    """Gram-Schmidt of QR, with R upper triangular of diagonal above 0, is Q: exactly, Q a reflection of fractions."""
    n, width = min(draw.n + 1, 33), 10
    v = draw.vector(n, 9)
    size = sum(a * a for a in v)
    Q = [[Fraction(int(i == j)) - Fraction(2 * v[i] * v[j], size) for i in range(n)] for j in range(width)]
    R = [[abs(draw.number(9)) if r == c else draw.number(9) for r in range(c + 1)] for c in range(width)]
    columns = [[sum(row[r] * Q[r][i] for r in range(c + 1)) for i in range(n)] for c, row in enumerate(R)]
    yield theory.gram_schmidt(columns, ops=EXACT), Q


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


RETRACTED = Hypothesis("retracted after the step", lambda case: case.off)


@st.composite
def _steps(draw, back=True):
    columns, spare = draw(st.integers(1, 4)), draw(st.integers(0, 2))
    m = columns + spare
    size = draw(st.sampled_from([0.1, 0.01]) | numbers(0.01, 0.3).map(lambda v: max(v, 0.01)))
    noise = torch.randn(m, columns, generator=stream(draw(SEEDS), "claim"), dtype=torch.float64)
    return Stepped(orthonormal(m, columns, draw(SEEDS)), size * noise / noise.norm(), back)


DONE = (
    smt.induction("products with what is left", "all m: induction over coordinates", _coordinate),
    smt.induction("what is left meets no q", "all r: induction over q taken off", _one_more_done),
    smt.implies("over its length it is a unit", "all m, r", _scaled_to_1),
)

CLAIM = Claim(
    id="PO-8",
    statement=(
        "U ← Q of U + step = QR with positive diagonal keeps UᵀU = I and the spans of the first r columns, which the "
        "nested orders need; the R is Cholesky's of UᵀU, so U R⁻¹ is the same and both are Gram–Schmidt's. In float32 "
        "the shipped one is orthonormal to 1e-5. Left out, columns drift."
    ),
    tex=r"U\leftarrow UR^{-1},\quad R^\top R=U^\top U",
    stated="equivalent",
    source="Koromilas et al. (2026), arXiv 2602.01322, QR after each step; uniqueness of Cholesky's factor",
    kind="identity",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(RETRACTED,),
    instances=_steps(),
    nontrivial=lambda case: case.U.shape[1] > 1,
    conclusion=_conclusion,
    controls=(Control(RETRACTED.name, _steps(back=False), "no retraction: off by the step"),),
    proofs={
        LOOPS: (
            evaluated("Gram–Schmidt of QR is Q", _rational),
            symbolic.identity("orthonormal, first spans kept", "3 × 2", _columns),
        ),
        "orthonormal": DONE,
        ("spans of first columns", "diagonal above 0"): (
            *DONE,
            smt.induction("earlier columns have no part of a new q", "all r: induction over q", _next_part),
            smt.implies("a column has its length left", "all r", _own_part),
        ),
        BESIDE: smt.implies("one Cholesky factor", "2 × 2", _cholesky),
    },
    mutants=(
        Mutant("lengths alone", theory.gram_schmidt, lambda columns, *, ops=FLOAT: _scaled(columns, ops)),
        Mutant("left there", polynomial.orthonormal, lambda U: U / U.norm(dim=-2, keepdim=True)),
        Mutant("nearest orthonormal", polynomial.orthonormal, lambda U: _polar(U)),
    ),
    note=(
        "Sampled: that the shipped step is Gram and Schmidt's; that U R⁻¹ is, proved for 2 × 2. A step of size η "
        "along the tangent leaves UᵀU − I of order η²; it adds up over steps."
    ),
)


def _scaled(columns, ops):
    return [[v / ops.sqrt(sum(w * w for w in column)) for v in column] for column in columns]


def _polar(U):
    left, _, right = torch.linalg.svd(U, full_matrices=False)
    return left @ right
