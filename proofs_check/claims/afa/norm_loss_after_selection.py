"""AFA-17: once the rule has chosen, the norm-matching loss has little left to do."""

from fractions import Fraction

import sympy
import torch
from hypothesis import strategies as st

from proofs_check.claim import LOOPS, Claim, Control, Mutant, Part, Verdict, at_most, equal
from proofs_check.claims.afa.inductions import NEAREST, PASS, VECTORISED
from proofs_check.engines import smt, symbolic
from proofs_check.instances.draw import numbers, selections
from proofs_check.instances.inductions import PRODUCTS
from proofs_check.instances.loops import evaluated
from proofs_check.instances.selection import BESIDE, WITHIN, Selection
from proofs_check.kernel.evaluations import EXACT
from workbench.theory import top_afa


def _conclusion(case: Selection) -> dict[str, Part]:
    f = (case.contributions * case.mask).requires_grad_()
    gap = f.norm(dim=1) - case.x_norm
    gap.square().sum().backward()
    formula = [top_afa.norm_loss_gradient(row, x) for row, x in zip(f.tolist(), case.x_norm.tolist(), strict=True)]
    size = case.tau + case.x_norm
    wide = size[:, None].expand_as(f)
    return {
        "||f| − |x||": at_most(
            gap.detach().abs(), top_afa.norm_loss_bound(*case.around, torch.as_tensor(case.bias_norm)), unit=size
        ),
        "gradient radial": equal(f.grad, torch.tensor(formula, dtype=torch.float64), unit=wide.reshape(-1)),
    }


def _bound(unknowns, ops):
    """|f| is as near to tau as both ends of its gap, and |tau - |x|| <= |b|."""
    f, tau, x, b, below, above = unknowns("f tau x b below above")
    given = [below <= tau, tau <= above, ops.abs(f - tau) <= ops.abs(below - tau)]
    given += [ops.abs(f - tau) <= ops.abs(above - tau), ops.abs(tau - x) <= b]
    return given, [ops.abs(f - x) <= top_afa.norm_loss_bound(below, above, b)]


def _coordinate(unknowns, ops):
    """|x - b|² = |x|² - 2<x, b> + |b|²."""
    tau2, x2, inner, b2, x, b = unknowns("tau2 x2 inner b2 x b")
    after = {"tau2": tau2 + (x - b) ** 2, "x2": x2 + x * x, "inner": inner + x * b, "b2": b2 + b * b}
    return smt.Invariant([tau2 == x2 - 2 * inner + b2], after)


def _triangle(unknowns, ops):
    tau, x, b, inner = unknowns("tau x b inner")
    given = [tau >= 0, x >= 0, b >= 0, inner * inner <= (x * x) * (b * b), tau * tau == x * x - 2 * inner + b * b]
    return given, [ops.abs(tau - x) <= b]


def _derivative(symbols, ops):
    """In one entry; r is the norm of the others."""
    x, r, v = symbols("x", positive=True), symbols("r", positive=True), symbols("v")
    yield sympy.diff((ops.sqrt(v**2 + r**2) - x) ** 2, v), top_afa.norm_loss_gradient([v, r], x, ops=ops)[0]


def _gradient(symbols, ops):
    x = symbols("x", positive=True)
    for k in (1, 2, 3):
        f = symbols(f"f:{k}", positive=True)
        loss = (ops.sqrt(sum(v**2 for v in f)) - x) ** 2
        yield from zip((sympy.diff(loss, v) for v in f), top_afa.norm_loss_gradient(f, x, ops=ops), strict=True)


def _entries(draw):
    """A vector of whole norm: with the last entry v and the others' square 2v + 1 the norm is v + 1."""
    f = draw.vector(draw.n)
    f.append(1 + sum(value * value for value in f) % 2)
    f.append((sum(value * value for value in f) - 1) // 2)
    f, norm, x = [Fraction(value) for value in f], f[-1] + 1, abs(draw.number())
    yield top_afa.norm_loss_gradient(f, x, ops=EXACT), [2 * (norm - x) * value / norm for value in f]


@st.composite
def _cases(draw, inside=True):
    case = draw(selections((2, 12), inside=inside))
    tau, bias = case.tau, draw(st.sampled_from([0.0, 0.5, 2.0]))
    along = draw(st.floats(-1, 1))  # cosine of x - b with b
    x_norm = (tau**2 + 2 * along * tau * bias + bias**2).clamp_min(0).sqrt()
    return Selection(case.contributions, tau, x_norm, bias)


def _replaced():
    """Contributions 3 and t under the sentinel, and a target that only both of them reach, nearly."""

    def made(t: float) -> Selection:
        row = torch.tensor([[3.0, t]], dtype=torch.float64)
        tau = 3 + 0.9 * (row.norm(dim=1) - 3)
        return Selection(row, tau, tau, 0.0, sentinel=1e4)

    return (st.just(2.0) | numbers(1, 2.9)).map(made)


@st.composite
def _worst(draw):
    """Just under halfway between C_1 and C_2, so that the first is kept; x along the bias."""
    case = draw(_cases())
    row = case.contributions.clamp_min(0.1)  # or rounding decides which of a small gap's ends is nearer
    first, second = Selection(row, case.tau, case.tau, 0.0).norms[:, :2].T
    tau = first + (0.5 - 1e-10) * (second - first)
    return Selection(row, tau, tau + case.bias_norm, case.bias_norm)


CLAIM = Claim(
    id="AFA-17",
    statement=(
        "For unit rows and C_1 ≤ τ = |x − b| ≤ C_m: ||f| − |x|| ≤ half gap + |b| after selection. The gradient of "
        "(|f| − |x|)² in f is radial: it rescales active latents and chooses none."
    ),
    tex=r"\left|\|f\|-\|x\|\right|\leq\frac{C_{j+1}-C_j}{2}+\|b\|,\qquad \nabla_f\propto f",
    source="ours; the loss is that of Lee et al. (2025), arXiv 2503.24277",
    kind="tight",
    promised=Verdict.PROVED,
    hypotheses=(WITHIN, BESIDE),
    instances=_cases(),
    conclusion=_conclusion,
    extremal={"||f| − |x||": _worst()},
    controls=(
        Control(WITHIN.name, _cases(inside=False), "saturated, where the layer is a plain ReLU, or τ below C_1"),
        Control(BESIDE.name, _replaced(), "all latents active: the sentinel takes the place of C_m"),
    ),
    proofs={
        LOOPS: (
            PASS,
            VECTORISED,
            symbolic.identity("the gradient, by differentiation", "k = 1..3", _gradient),
            evaluated("the gradient, entry by entry", _entries),
        ),
        "||f| − |x||": (
            NEAREST,
            PRODUCTS,
            smt.induction("|x − b|² expanded", "all d: induction over coordinates", _coordinate),
            smt.implies("||x − b| − |x|| ≤ |b|", "all d", _triangle),
            smt.implies("half gap and |b|", "all d, m", _bound),
        ),
        "gradient radial": symbolic.identity("the derivative in one entry", "all k: the others by norm", _derivative),
    },
    mutants=(
        Mutant("without the bias", top_afa.norm_loss_bound, lambda below, above, b: (above - below) / 2),
        Mutant("without the gap", top_afa.norm_loss_bound, lambda below, above, b: b),
        Mutant("a quarter of the gap", top_afa.half_gap, lambda below, above: (above - below) / 4),
        Mutant("gradient of |f| alone", top_afa.norm_loss_gradient, lambda f, x, *, ops=None: [2 * v for v in f]),
    ),
    note=(
        "The proof is of the rule as a loop over norms; that the vectorised one keeps the same is tried at a few draws "
        "up to m = 65, and sampled by AFA-12."
    ),
    reads=Selection,
    shown_by="experiments/afa/top_afa.py",
)
