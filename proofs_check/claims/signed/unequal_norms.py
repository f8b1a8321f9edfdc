"""AT-17: the best single row is that of largest |<w, x>| / |w|, not of largest |<w, x>|, or largest coefficient."""

from dataclasses import dataclass

import torch
from hypothesis import strategies as st
from torch import Tensor

from proofs_check.claim import LOOPS, Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most, digits, edited, equal
from proofs_check.engines import smt, symbolic
from proofs_check.instances.draw import mostly, numbers, rows_of
from proofs_check.instances.inductions import BILINEAR
from workbench.theory import coherence
from workbench.theory import signed as theory
from workbench.theory.ops import FLOAT

POWERS = {"share": 1, "product": 0, "coefficient": 2}
"""rule -> the power p of the norm in |<w, x>| / |w|^p, which it takes the largest of"""


@dataclass(frozen=True, eq=False)
class Chosen:
    """Rows (m, d) of any norms but 0, x (d,), a coefficient t, and the rule that chooses a row."""

    rows: Tensor
    x: Tensor
    t: float
    rule: str = "share"

    def __str__(self) -> str:
        return f"rows {digits(self.rows)}, x {digits(self.x)}, t = {self.t:.4g}, by {self.rule}"

    @property
    def products(self) -> tuple[Tensor, Tensor]:
        """<w, x> and |w|² of each row."""
        return self.rows @ self.x, self.rows.square().sum(1)

    @property
    def row(self) -> int:
        """The row that is chosen."""
        c, squares = self.products
        return int((c.abs() / squares.sqrt() ** POWERS[self.rule]).argmax())

    def error(self, t: Tensor) -> Tensor:
        """|x - t_j w_j|² of each row."""
        return (self.x - t[:, None] * self.rows).square().sum(1)


def _conclusion(case: Chosen) -> dict[str, Part]:
    (c, squares), x2 = case.products, float(case.x @ case.x)
    pairs = list(zip(c.tolist(), squares.tolist(), strict=True))
    best = torch.tensor([theory.lone_coefficient(a, w2) for a, w2 in pairs], dtype=torch.float64)
    errors = torch.tensor([theory.lone_error(x2, a, w2) for a, w2 in pairs], dtype=torch.float64)
    scores = [theory.lone_score(t, w2) for t, w2 in zip(best.tolist(), squares.tolist(), strict=True)]
    return {
        "least error of a row": at_most(errors, case.error(best + case.t), unit=x2),
        "attained": equal(case.error(best), errors, unit=x2),
        "|t||w| = |⟨w, x⟩|/|w|": equal(scores, c.abs() / squares.sqrt(), unit=x2**0.5),
        "no row leaves less": at_most(errors[case.row], errors.min(), unit=x2),
    }


def _least(unknowns, ops):
    """|x - t w|² by inner products is `BILINEAR`."""
    x2, product, square, t = unknowns("x2 product square t")
    given = [square > 0]
    return given, [theory.lone_error(x2, product, square) <= x2 - 2 * t * product + t * t * square]


def _attained(symbols, ops):
    x2, product = symbols("x2 c")
    square = symbols("w2", positive=True)
    t = theory.lone_coefficient(product, square)
    yield x2 - 2 * t * product + t**2 * square, theory.lone_error(x2, product, square)


def _score(symbols, ops):
    product, square = symbols("c"), symbols("w2", positive=True)
    score = theory.lone_score(theory.lone_coefficient(product, square), square, ops=ops)
    yield score, ops.abs(product) / ops.sqrt(square)


def _order(unknowns, ops):
    """Of two rows, the one of larger score leaves no more."""
    x2, one, other, square, width = unknowns("x2 one other square width")
    scores = [
        theory.lone_score(theory.lone_coefficient(c, w * w), w * w, ops=ops) for c, w in ((one, square), (other, width))
    ]
    given = [square > 0, width > 0, scores[0] >= scores[1]]
    return given, [theory.lone_error(x2, one, square * square) <= theory.lone_error(x2, other, width * width)]


def _expanded(symbols, ops):
    x, w, t = symbols("x:3"), symbols("w:3"), symbols("t")
    product = sum(a * b for a, b in zip(x, w, strict=True))
    left = coherence.square_norm([a - t * b for a, b in zip(x, w, strict=True)])
    yield left, coherence.square_norm(x) - 2 * t * product + t**2 * coherence.square_norm(w)


BEST = Hypothesis("the row is chosen by |⟨w, x⟩|/|w|", lambda case: _passed_over(case))


def _passed_over(case: Chosen) -> float:
    """By how much the largest share is above that of the row chosen, in units of |x|."""
    c, squares = case.products
    shares = c.abs() / squares.sqrt() / case.x.norm()
    return float(shares.max() - shares[case.row])


@st.composite
def _rows(draw, rule="share", short=False):
    """Whole or drawn rows, one scaled up to a hundred times another; `short`: one along x, the other long or short."""
    if short:
        factor, lean = draw(numbers(2, 50)), draw(numbers(0.6, 0.9))
        size = factor if rule == "product" else 1 / factor
        rows = torch.tensor([[1.0, 0.0], [lean * size, (1 - lean * lean) ** 0.5 * size]], dtype=torch.float64)
        return Chosen(rows, torch.tensor([1.0, 0.0], dtype=torch.float64), draw(numbers(-2, 2)), rule)
    m, d = draw(mostly(st.integers(2, 6), st.integers(1, 6))), draw(st.integers(1, 4))
    value = st.integers(-3, 3) | numbers(-3, 3)
    sizes = torch.tensor(draw(st.lists(numbers(-1, 1), min_size=m, max_size=m)), dtype=torch.float64)
    rows = draw(rows_of(value, m, d)) * (10**sizes)[:, None]
    return Chosen(rows, draw(rows_of(value, 1, d))[0], draw(numbers(-2, 2)), rule)


CLAIM = Claim(
    id="AT-17",
    statement=(
        "Rows of any norms: t w is nearest to x at t = ⟨w, x⟩/|w|² and leaves |x|² − ⟨w, x⟩²/|w|², so the best single "
        "row is that of largest |⟨w, x⟩|/|w| = |t||w|, the size of what it adds. The largest |⟨w, x⟩| of a tied "
        "encoder and the largest |t| both presume rows of one norm."
    ),
    tex=r"\min_t\|x-tw\|^2=\|x\|^2-\langle w,x\rangle^2/\|w\|^2,\qquad |t|\,\|w\|=|\langle w,x\rangle|/\|w\|",
    source="ours; Mallat and Zhang (1993) for unit rows; selection by |f||w| is an option of SAELens",
    kind="bound",
    promised=Verdict.PROVED,
    hypotheses=(BEST,),
    instances=_rows(),
    nontrivial=lambda case: len(case.rows) > 1 and case.rows.norm(dim=1).std() > 0,
    conclusion=_conclusion,
    controls=(
        Control(BEST.name, _rows(rule="product", short=True), "a long row is chosen by |⟨w, x⟩|"),
        Control(BEST.name, _rows(rule="coefficient", short=True), "a short row is chosen by |t|"),
    ),
    proofs={
        ("least error of a row", "attained"): BILINEAR,
        "least error of a row": smt.implies("any coefficient leaves more", "all d, m, t", _least),
        "attained": symbolic.identity("at ⟨w, x⟩/|w|²", "all d, m", _attained),
        "|t||w| = |⟨w, x⟩|/|w|": symbolic.identity("the two sizes", "all d, m", _score),
        "no row leaves less": smt.implies("the order of errors is that of scores", "all d, m: row by row", _order),
        LOOPS: symbolic.identity("|x − tw|² by inner products", "d = 3", _expanded),
    },
    mutants=(
        Mutant("undivided", theory.lone_error, lambda x2, product, square: x2 - product * product),
        Mutant("over |w|⁴", theory.lone_coefficient, lambda product, square: product / (square * square)),
        edited(
            "|t| alone", theory.lone_score, lambda f: lambda t, square, *, ops=FLOAT: f(t, square / square, ops=ops)
        ),
    ),
    note=(
        "To multiply by |w| is right where the latent is the coefficient t; to that of a tied encoder, ⟨w, x⟩, it adds "
        "the norm a second time, and what is right is to divide. The variants here keep rows at norm 1, where all "
        "agree."
    ),
)
