"""AUX-8: a coefficient of the only loss that reaches a parameter changes none of Adam's steps."""

from dataclasses import dataclass, replace
from fractions import Fraction

from hypothesis import strategies as st
from torch import Tensor

from proofs_check.claim import LOOPS, Claim, Control, Hypothesis, Mutant, Part, Verdict, equal
from proofs_check.claims.auxiliary.cases import Descent, descents
from proofs_check.engines import smt, symbolic
from proofs_check.instances.draw import numbers
from proofs_check.instances.loops import evaluated
from proofs_check.kernel.evaluations import EXACT
from workbench.theory import auxiliary as theory


@dataclass(frozen=True)
class Weighted:
    """A descent; the coefficient of its loss at each step; gradients of other losses; those of a second one and eps."""

    plain: Descent
    factors: tuple[float, ...]
    other: tuple[float, ...]
    beside: tuple[float, ...]
    """gradients of a loss whose weight shrinks as the coefficient grows"""
    eps: float

    def __str__(self) -> str:
        factors = sorted(set(self.factors))
        said = f"times {factors[0]:.4g}" if len(factors) == 1 else f"times {tuple(round(c, 4) for c in self.factors)}"
        rest = f", other losses {tuple(round(g, 4) for g in self.other)}" if any(self.other) else ""
        return f"{self.plain} {said}{rest}, beside {tuple(round(g, 4) for g in self.beside)}, {self.eps:.4g}"

    def scaled(self, beside: tuple[float, ...]) -> list[float]:
        """Gradients of the weighted loss and of others."""
        return [c * g + h for c, g, h in zip(self.factors, self.plain.gradients, beside, strict=True)]

    @property
    def taken(self) -> Tensor:
        """What torch's Adam does with the weighted loss and the others."""
        return replace(self.plain, gradients=tuple(self.scaled(self.other))).taken


def _conclusion(case: Weighted) -> dict[str, Part]:
    steps = case.plain.steps()
    beside = [g + h / c for c, g, h in zip(case.factors, case.plain.gradients, case.beside, strict=True)]
    exchanged = case.plain.steps(beside, case.eps / abs(case.factors[-1]))
    return {
        "steps": equal(case.plain.steps(case.scaled(case.other)), steps),
        "torch's": equal(case.taken, steps),
        "others, and ε, by 1/c": equal(case.plain.steps(case.scaled(case.beside), case.eps), exchanged),
    }


def _moments(symbols, ops):
    """If (m, v) becomes (c m, c² v), so do the next for gradients c g + h = c (g + h / c); 0 does at the start."""
    m, v, g, h, b1, b2 = symbols("m v g h b1 b2")
    c = symbols("c", positive=True)
    after = theory.adam_moments(c * m, c**2 * v, c * g + h, b1, b2)
    plain = theory.adam_moments(m, v, g + h / c, b1, b2)
    yield from zip(after, (c * plain[0], c**2 * plain[1]), strict=True)
    yield theory.adam_moments(0, 0, c * g, b1, b2)[0], c * theory.adam_moments(0, 0, g, b1, b2)[0]


def _step(unknowns, ops):
    """A step from (c m, c² v) with eps is one from (m, v) with eps / c."""
    m, v, c, eps, seen1, seen2 = unknowns("m v c eps seen1 seen2")
    given = [v >= 0, c > 0, eps >= 0, (v > 0) | (eps > 0), seen1 > 0, seen2 > 0]
    scaled = theory.adam_step(c * m, c * c * v, seen1, seen2, eps, ops=ops)
    return given, [scaled == theory.adam_step(m, v, seen1, seen2, eps / c, ops=ops)]


def _all_steps(draw):
    g, a, b, ops = draw.vector(draw.n, 99), Fraction(1, 2), Fraction(2, 3), replace(EXACT, sqrt=lambda v: v * v + 1)
    wanted = []
    for t in range(1, draw.n + 1):
        m = (1 - a) * sum(a ** (t - i) * g[i - 1] for i in range(1, t + 1))
        v = (1 - b) * sum(b ** (t - i) * g[i - 1] ** 2 for i in range(1, t + 1))
        wanted.append(theory.adam_step(m, v, 1 - a**t, 1 - b**t, 1, ops=ops))
    yield list(theory.adam_steps(g, a, b, 1, ops=ops)), wanted


def _first_steps(symbols, ops):
    """The shipped steps from the start, gradients and coefficient above 0."""
    c, g, h, b = symbols("c g h b", positive=True)
    b1, b2 = ops.num("1/2"), 1 / (1 + b)
    scaled = list(theory.adam_steps([c * g, c * h], b1, b2, ops=ops))
    yield from zip(scaled, theory.adam_steps([g, h], b1, b2, ops=ops), strict=True)


LONE = Hypothesis("no other loss reaches the parameter", lambda case: max(map(abs, case.other)))
NO_EPS = Hypothesis("ε = 0", lambda case: case.plain.eps)
FIXED = Hypothesis("one coefficient for all steps", lambda case: max(case.factors) / min(case.factors) - 1)
ABOVE = Hypothesis("a coefficient above 0", lambda case: max(0.0, -min(case.factors)))


@st.composite
def _weighted(draw):
    plain, c = draw(descents(steps=(3, 6))), 10.0 ** draw(numbers(-2, 2))
    size = len(plain.gradients)
    beside = tuple(draw(st.lists(numbers(-2, 2), min_size=size, max_size=size)))
    return Weighted(plain, (c,) * size, (0.0,) * size, beside, draw(numbers(1e-3, 0.1)))


PLAIN = Descent((1.0, -2.0, 3.0), (0.9, 0.999))
CASE = Weighted(PLAIN, (2.0,) * 3, (0.0,) * 3, (1.0, 1.0, 1.0), 0.1)

CLAIM = Claim(
    id="AUX-8",
    statement=(
        "With ε = 0 Adam takes the same steps for gradients c g_t as for g_t, c > 0: a fixed coefficient of the only "
        "loss that reaches a parameter changes nothing. If others reach it with gradients h_t, and ε > 0, its steps "
        "for c g + h are those for g + h/c with ε/c."
    ),
    tex=r"\mathrm{Adam}_\varepsilon(c\,g+h)=\mathrm{Adam}_{\varepsilon/c}(g+h/c)",
    source="ours; invariance to a rescaling of gradients: Kingma and Ba (2015), section 2.1",
    kind="identity",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(LONE, NO_EPS, FIXED, ABOVE),
    instances=_weighted(),
    nontrivial=lambda case: case.factors[0] != 1 and len({abs(g) for g in case.plain.gradients}) > 1,
    conclusion=_conclusion,
    controls=(
        Control(
            LONE.name,
            numbers(0.2, 2).map(lambda t: replace(CASE, other=(t,) * 3)),
            "a second loss: the coefficient weighs one against the other",
        ),
        Control(
            NO_EPS.name,
            numbers(0.02, 0.5).map(lambda eps: replace(CASE, plain=replace(PLAIN, eps=eps))),
            "ε of the gradients' size: what falls below it is slowed",
        ),
        Control(
            FIXED.name,
            numbers(1.5, 3).map(lambda t: replace(CASE, factors=(1.0, t, t * t))),
            "a warm-up of the coefficient weighs late gradients more",
        ),
        Control(
            ABOVE.name,
            numbers(0.5, 4).map(lambda c: replace(CASE, factors=(-c,) * 3)),
            "a negative one turns the steps round",
        ),
    ),
    proofs={
        ("steps", "others, and ε, by 1/c"): (
            symbolic.identity("moments scale by c and c²", "all t, gradients: induction", _moments),
            smt.implies("the step, ε over c", "all t, moments, c > 0, ε ≥ 0", _step),
        ),
        LOOPS: (
            symbolic.identity("the shipped steps from the start", "two steps, β₁ = ½, all β₂", _first_steps),
            evaluated("the shipped steps, with another function for the root, by sums over gradients", _all_steps),
        ),
    },
    mutants=(
        Mutant("squares of the mean", theory.adam_moments, lambda m, v, g, a, b: (_moment(m, v, g, a, b)[0], abs(g))),
        Mutant("v for its root", theory.adam_step, lambda m, v, a, b, eps=0, *, ops=None: m / a / (v / b + eps)),
        Mutant("no bias correction", theory.adam_steps, lambda g, a, b, eps=0, m=0, *, ops=None: _biased(g, a, b)),
        Mutant("eps under the root", theory.adam_step, lambda m, v, a, b, eps=0, *, ops: m / a / ops.sqrt(v / b + eps)),
    ),
    note=(
        "'A loss whose only path is one parameter group' is not enough: the group must hear no other loss. JumpReLU's "
        "thresholds hear the error too, whose weight there is 1/c of that of the L0 term. "
        "A clip of the whole gradient's norm, weight decay, or a coefficient that warms up breaks it. It "
        "speaks of a JumpReLU trained by torch.optim.Adam."
    ),
)

_moment = theory.adam_moments


def _biased(gradients, beta1, beta2):
    m = v = 0.0
    for g in gradients:
        m, v = theory.adam_moments(m, v, g, beta1, beta2)
        yield m / v**0.5
