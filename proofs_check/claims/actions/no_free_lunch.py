"""R-12: without a linear effect nothing seen on the support says what an action beyond it does."""

from dataclasses import dataclass, replace

import torch
from hypothesis import strategies as st

from proofs_check.claim import Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most, equal
from proofs_check.claims.actions.cases import Noise
from proofs_check.engines import smt, symbolic
from proofs_check.instances.draw import numbers
from workbench.theory import actions as theory

GRID = torch.linspace(-1, 1, 9, dtype=torch.float64)
"""of actions seen"""


@dataclass(frozen=True)
class Twins:
    """Two models h = m(a) + nu, y = q h² + l h + u, seen on [-1, 1]; a prediction at a* from E[y | a] alone.

    The prediction is a polynomial of a, fitted to E[y | a], plus `offset`: any function of what is seen would do.
    """

    slopes: tuple[float, float]
    """of m beyond [-1, 1]"""
    inside: tuple[float, float]
    """of m within"""
    quadratic: float
    linear: float
    noise: Noise
    action: float
    degree: int = 2
    offset: float = 0.0

    def effect(self, model: int, action: float) -> float:
        """m(a)."""
        return self.inside[model] * theory.continued(action, self.slopes[model])

    def truth(self, model: int, action: float) -> float:
        """E[y | do(a)]."""
        variance = self.noise.moments(3)[2]
        return theory.mean_outcome([[self.quadratic]], [self.linear], [self.effect(model, action)], [[variance]])

    def seen(self, model: int) -> torch.Tensor:
        """E[y | a] on the support, by the law of the noise."""
        nu, weights = self.noise.nodes
        h = torch.tensor([self.effect(model, a) for a in GRID.tolist()], dtype=torch.float64)[:, None] + nu
        return (self.quadratic * h**2 + self.linear * h) @ weights

    def prediction(self, model: int) -> float:
        """At a*."""
        powers = torch.arange(self.degree + 1)
        basis = GRID[:, None] ** powers
        fit = torch.linalg.lstsq(basis, self.seen(model)[:, None], driver="gelsd").solution[:, 0]
        return float(torch.tensor(self.action, dtype=torch.float64) ** powers @ fit) + self.offset

    @property
    def size(self) -> float:
        """Of the numbers compared."""
        return 1 + sum(abs(self.truth(i, self.action)) + abs(self.prediction(i)) for i in (0, 1))


def _conclusion(case: Twins) -> dict[str, Part]:
    truths = [case.truth(i, case.action) for i in (0, 1)]
    errors = [abs(case.prediction(i) - truths[i]) for i in (0, 1)]
    within = [case.truth(0, a) for a in GRID.tolist()]
    return {
        "larger error": at_most(theory.blind_error(*truths), max(errors), unit=case.size),
        "E[y | a] on the support": equal(case.seen(0), case.seen(1), unit=case.size),
        "E[y | do(a)] there": equal(case.seen(0), within, unit=case.size),
    }


def _halfway(unknowns, ops):
    one, other, guess = unknowns("one other guess")
    errors = [ops.abs(guess - value) for value in (one, other)]
    return [], [theory.blind_error(one, other, ops=ops) <= ops.larger(*errors)]


def _apart(unknowns, ops):
    """One law on the support, two effects wherever |a| > 1."""
    a, s, t = unknowns("a s t")
    first, second = (theory.continued(a, slope, ops=ops) for slope in (s, t))
    inside = ops.abs(a) <= 1
    return [s != t], [ops.where(inside, first, a) == a, (first == second) == inside]


def _outcome(symbols, ops):
    """E[q h² + b h] at h = m + nu from the moments of nu, 0 and v."""
    q, b, m, v = symbols("q b m v")
    mean = sum(c * m**i for i, c in enumerate(theory.conditional_mean([0, b, q], 1, [1, 0, v])))
    yield theory.mean_outcome([[q]], [b], [m], [[v]]), mean


ALIKE = Hypothesis("the models agree on the support", lambda case: max(abs(v - 1) for v in case.inside))


@st.composite
def _twins(draw, inside=(1.0, 1.0), degree=None, offset=True):
    slopes = draw(st.just((1.0, 2.0)) | st.tuples(numbers(-3, 3), numbers(-3, 3)))
    where = draw(st.sampled_from([1.0, -1.0])) * draw(st.just(2.0) | numbers(1.1, 4))
    noise = Noise(draw(st.sampled_from(["none", "gaussian", "uniform"])), draw(numbers(0.1, 2)))
    powers = degree or draw(st.integers(0, 4))
    extra = draw(numbers(-3, 3)) if offset else 0.0
    return Twins(slopes, inside, draw(numbers(-2, 2)), draw(st.just(1.0) | numbers(-2, 2)), noise, where, powers, extra)


def _midway(case: Twins) -> Twins:
    """Halfway between what the two models give."""
    case = replace(case, slopes=(case.slopes[0], case.slopes[0] + 1), quadratic=0.0, linear=1.0)
    middle = sum(case.truth(i, case.action) for i in (0, 1)) / 2
    return replace(case, offset=case.offset + middle - case.prediction(0))


def _linear(case: Twins) -> Twins:
    """Both effects linear everywhere."""
    return replace(case, slopes=(1.0, 1.0))


CLAIM = Claim(
    id="R-12",
    statement=(
        "Two models with the same law on supp(a) = [−1, 1] whose effects m(a) go on differently: whatever is predicted "
        "at a* from what is seen, for one of them it is off by at least half of what their E[y | do(a*)] differ. Only "
        "an assumption on m, such as linearity, tells them apart."
    ),
    tex=r"\max_i|\hat y-E_i[y\mid do(a^*)]|\geq\frac{1}{2}|E_1[y\mid do(a^*)]-E_2[y\mid do(a^*)]|",
    source="Saengkyongam et al. (2024), arXiv 2310.04295, proposition 1; the amount is ours",
    stated="special case",
    kind="tight",
    promised=Verdict.PROVED,
    hypotheses=(ALIKE,),
    instances=_twins(),
    nontrivial=lambda case: case.slopes[0] != case.slopes[1],
    conclusion=_conclusion,
    extremal={"larger error": _twins().map(_midway)},
    controls=(
        Control(
            ALIKE.name,
            _twins(inside=(1.0, 2.0), degree=2, offset=False).map(_linear),
            "two linear effects that differ within: a quadratic in a is right for both",
        ),
    ),
    proofs={
        "larger error": smt.implies("half the distance, whatever is predicted", "all reals", _halfway),
        ("E[y | a] on the support", "E[y | do(a)] there"): smt.implies(
            "the effects agree just on [−1, 1]", "all a and slopes", _apart
        ),
        "E[y | do(a)] there": symbolic.identity("mean outcomes by moments", "all quadratics, laws of mean 0", _outcome),
    },
    mutants=(
        Mutant("all of the distance", theory.blind_error, lambda a, b, *, ops=None: abs(a - b)),
        Mutant("from 0 on", theory.continued, lambda a, slope, *, ops=None: a * slope),
        Mutant("without tr(QS)", theory.mean_outcome, lambda Q, q, m, S: Q[0][0] * m[0] ** 2 + q[0] * m[0]),
    ),
)
