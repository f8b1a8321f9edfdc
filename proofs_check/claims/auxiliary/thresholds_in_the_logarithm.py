"""AUX-9: how far Adam's step can go, and with it a threshold whose logarithm is trained."""

from dataclasses import dataclass
from fractions import Fraction

import torch
from hypothesis import strategies as st
from torch import Tensor

from proofs_check.claim import LOOPS, Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most, equal
from proofs_check.claims.auxiliary.cases import EXP_FALLS, EXP_RISES, FRESH, Descent, descents, restarted, steepest
from proofs_check.engines import smt, symbolic
from proofs_check.instances.draw import numbers
from proofs_check.instances.loops import evaluated
from workbench.tensors import TENSOR
from workbench.theory import auxiliary as theory


@dataclass(frozen=True)
class Threshold:
    """A threshold above 0, and the descent of its logarithm, or of itself."""

    start: float
    descent: Descent
    plain: bool = False

    def __str__(self) -> str:
        return f"θ = {self.start:.4g}{', trained itself' * self.plain}, {self.descent}"

    @property
    def moment(self) -> float:
        """Of the descent."""
        return self.descent.moment

    @property
    def path(self) -> Tensor:
        """Its values after each step."""
        return self.start - self.moved if self.plain else self.by_logarithm

    @property
    def moved(self) -> Tensor:
        """How far down steps at this rate go, all together."""
        return self.descent.lr * self.descent.steps().cumsum(0)

    @property
    def by_logarithm(self) -> Tensor:
        """Its values where the logarithm takes the steps."""
        return self.start * (-self.moved).exp()

    @property
    def off(self) -> Tensor:
        """How far from these it goes, over the start."""
        return (self.path - self.by_logarithm).abs().max() / self.start


def _conclusion(case: Threshold) -> dict[str, Part]:
    descent, path, start = case.descent, case.path, case.start
    steps, count = descent.steps(), len(descent.gradients)
    squares = [theory.adam_square(t, *descent.betas) for t in range(1, count + 1)]
    limit = theory.adam_square_limit(*descent.betas)
    moved = descent.lr * max(limit, 0.0) ** 0.5 * torch.arange(1, count + 1, dtype=torch.float64)
    low, high = theory.log_factor(moved, ops=TENSOR)
    taken = steps if descent.moment else descent.taken  # torch starts at 0
    return {
        "steps": at_most(steps.square(), squares),
        "the last step": at_most(steps[-1].square(), squares[-1]),
        "steps, whatever t": at_most(steps.square(), limit),
        "whatever t": at_most(squares, limit),
        "torch's": equal(taken, steps),
        "rise": at_most(path, start * high, unit=start),
        "fall": at_most(start * low, path, unit=start),
        "first order": at_most(start - path, start * moved, unit=start),
    }


def _weights(symbols, ops):
    """m and v of the shipped steps are weighted sums; sum w²/u of their weights is the shipped square."""
    a, b = symbols("a b", positive=True)
    for t in (1, 2, 3, 4):
        gradients = symbols(f"g:{t}")
        m = v = ops.num("0")
        for g in gradients:
            m, v = theory.adam_moments(m, v, g, a, b)
        pairs = [((1 - a) * a ** (t - 1 - i), (1 - b) * b ** (t - 1 - i)) for i in range(t)]
        yield m, sum(w * g for (w, _), g in zip(pairs, gradients, strict=True))
        yield v, sum(u * g * g for (_, u), g in zip(pairs, gradients, strict=True))
        seen1, seen2 = 1 - a**t, 1 - b**t
        yield sum(w * w / u for w, u in pairs) * seen2 / seen1**2, theory.adam_square(t, a, b)


def _many_steps(draw):
    t, a, b = draw.n, Fraction(1, abs(draw.number(9)) + 1), Fraction(3, 5)
    r = a * a / b
    share = (1 - b**t) * (1 - r**t) / (1 - a**t) ** 2
    yield theory.adam_square(t, a, b), (1 - a) ** 2 / ((1 - b) * (1 - r)) * share


def _closed(symbols, ops):
    """(1 - b^t)(1 - r^t) / (1 - a^t)², r = a²/b, is the share of the limit that is reached at t."""
    a, b = symbols("a b", positive=True)
    for t in (1, 2, 3, 5):
        share = (1 - b**t) * (1 - (a * a / b) ** t) / (1 - a**t) ** 2
        yield theory.adam_square(t, a, b), theory.adam_square_limit(a, b) * share


def _shared(symbols, ops):
    """The same for any powers at, bt, rt, from the sum (1 - rt) / (1 - r)."""
    a, b, at, bt, rt = symbols("a b at bt rt")
    total = (1 - rt) / (1 - a * a / b)
    square = (1 - a) ** 2 * (1 - bt) / ((1 - at) ** 2 * (1 - b)) * total
    yield square, theory.adam_square_limit(a, b) * (1 - bt) * (1 - rt) / (1 - at) ** 2


def _grown(symbols, ops):
    """s of the induction, the shipped square times seen1²/seen2, gets a²/b s + (1 - a)²/(1 - b)."""
    a, b = symbols("a b", positive=True)

    def s(t):
        return theory.adam_square(t, a, b) * (1 - a**t) ** 2 / (1 - b**t)

    yield s(1), (1 - a) ** 2 / (1 - b)
    for t in (1, 2, 3, 4):
        yield s(t + 1), a * a / b * s(t) + (1 - a) ** 2 / (1 - b)


def _power(unknowns, ops):
    total, power, r = unknowns("total power r")
    after = {"total": total + power, "power": power * r}
    return smt.Invariant([total * (1 - r) == 1 - power], after, {"power": 1})


def _one_more(unknowns, ops):
    """m² <= s v, from 0, and one more gradient g: s' = a²/b s + (1 - a)²/(1 - b)."""
    m, v, s, g, a, b = unknowns("m v s g a b")
    moved = theory.adam_moments(m, v, g, a, b)
    after = {"m": moved[0], "v": moved[1], "s": a * a / b * s + (1 - a) * (1 - a) / (1 - b)}
    return smt.Invariant([m * m <= s * v, s >= 0, v >= 0], after, given=[a >= 0, a < 1, b > 0, b < 1])


def _share(unknowns, ops):
    """(1 - b^t)(1 - r^t) <= (1 - a^t)² with (a^t)² = b^t r^t: at most the limit whatever t."""
    at, bt, rt = unknowns("at bt rt")
    given = [at >= 0, at < 1, bt >= 0, bt < 1, rt >= 0, rt < 1, at * at == bt * rt]
    return given, [(1 - bt) * (1 - rt) <= (1 - at) * (1 - at)]


def _limit(unknowns, ops):
    """A share of at most 1 of the limit is at most the limit, so that a step is of a size of at most B."""
    a, b, part, whole, step = unknowns("a b part whole step")
    limit = theory.adam_square_limit(a, b)
    given = [a >= 0, a < 1, b > 0, b < 1, a * a < b, whole > 0, part <= whole]
    given += [step * step <= limit * part / whole]
    return given, [limit * part / whole <= limit, step * step <= limit, ops.abs(step) <= ops.sqrt(limit)]


def _squares(unknowns, ops):
    """A shipped step whose moments meet m² <= s v has a square of at most s seen2 / seen1²; eps only lowers it."""
    m, v, s, seen1, seen2, eps = unknowns("m v s seen1 seen2 eps")
    given = [v > 0, m * m <= s * v, seen1 > 0, seen2 > 0, eps >= 0]
    step = theory.adam_step(m, v, seen1, seen2, eps, ops=ops)
    return given, [step * step * seen1 * seen1 <= s * seen2]


def _total(unknowns, ops):
    total, step, bound, count = unknowns("total step bound count")
    after = {"total": total + step, "count": count + 1}
    return smt.Invariant([ops.abs(total) <= count * bound], after, given=[ops.abs(step) <= bound])


def _factors(symbols, ops):
    """Factors of a logarithm that has moved by y against those of z: quotients are exponentials of z - y and z + y."""
    z, y = symbols("z y")
    low, high = theory.log_factor(z, ops=ops)
    yield ops.exp(-y), low * ops.exp(z - y)
    yield high, ops.exp(-y) * ops.exp(z + y)


def _between(unknowns, ops):
    """path = theta e^-y with |y| <= z; both quotients are at least 1, and e^-z >= 1 - z."""
    start, path, low, high, fall, rise, z, y = unknowns("start path low high fall rise z y")
    given = [start > 0, path == start * low * fall, start * high == path * rise, low > 0, path > 0]
    given += [ops.where(z - y >= 0, fall, 1) >= 1, ops.where(z + y >= 0, rise, 1) >= 1, ops.abs(y) <= z, low >= 1 - z]
    return given, [start * low <= path, path <= start * high, start - path <= start * z]


FORGETS = Hypothesis("β₁² < β₂", lambda case: float(case.descent.betas[0] ** 2 >= case.descent.betas[1]))
LOGARITHM = Hypothesis("the logarithm is trained", lambda case: case.off)


@st.composite
def _thresholds(draw):
    eps = draw(st.sampled_from([0.0, 1e-3]))
    return Threshold(draw(numbers(0.05, 3)), draw(descents(eps=eps) | steepest((2, 8))))


def _with(descent: Descent, start: float = 0.5, *, plain: bool = False) -> Threshold:
    return Threshold(start, descent, plain)


CONSTANT = Descent((1.0,) * 4, (0.9, 0.999))
FORGETFUL = st.integers(6, 10).map(lambda count: Descent(tuple(9.0**-j for j in range(count)), (0.9, 0.1)))

PATHS = ("rise", "fall", "first order")

CLAIM = Claim(
    id="AUX-9",
    statement=(
        "At a rate lr the t-th step of Adam is at most lr B_t, B_t² = (1 − β₁)²(1 − β₂ᵗ)/((1 − β₁ᵗ)²(1 − β₂)) Σ_{j<t} "
        "(β₁²/β₂)ʲ, met by gradients that grow by β₂/β₁ a step; B_t² ≤ B² = (1 − β₁)²β₂/((1 − β₂)(β₂ − β₁²)) if β₁² < "
        "β₂. So T steps change a threshold whose logarithm is trained by factors in [exp(−lr B T), exp(lr B T)]; it "
        "loses at most θ lr B T."
    ),
    tex=r"|\Delta_t|\leq\mathrm{lr}\,\frac{1-\beta_1}{\sqrt{1-\beta_2}\sqrt{1-\beta_1^2/\beta_2}},\qquad"
    r"\left|\log\theta_T/\theta_0\right|\leq\mathrm{lr}\,B\,T",
    source="ours, Cauchy and Schwarz on the weights of the running means; Adam: Kingma and Ba (2015)",
    kind="tight",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(FRESH, FORGETS, LOGARITHM),
    instances=_thresholds(),
    nontrivial=lambda case: case.descent.nontrivial,
    conclusion=_conclusion,
    extremal={"the last step": steepest().map(_with)},
    controls=(
        Control(FRESH.name, descents().map(restarted).map(_with), "a running mean that the squares have not seen"),
        Control(
            FORGETS.name,
            FORGETFUL.map(_with),
            "β = (.9, .1), gradients that grow by β₂/β₁ a step: they pass every bound, the eighth at 299 rates",
        ),
        Control(
            LOGARITHM.name,
            numbers(0.005, 0.03).map(lambda t: _with(CONSTANT, t, plain=True)),
            "θ itself: from .01 to −.03 in four steps",
        ),
    ),
    proofs={
        ("steps", "the last step", "steps, whatever t", *PATHS): (
            smt.induction("m² ≤ s v: Cauchy and Schwarz", "all t, gradients: induction", _one_more),
            smt.implies("the step from m² ≤ s v", "all t, ε ≥ 0", _squares),
        ),
        ("whatever t", "steps, whatever t", *PATHS): (
            smt.induction("Σ_{j<t} rʲ = (1 − rᵗ)/(1 − r)", "all t: induction", _power),
            symbolic.identity("the share of the limit reached at t", "all t, β", _shared),
            smt.implies("it is at most 1", "all t, β₁² < β₂", _share),
            smt.implies("B_t ≤ B", "all t, β₁² < β₂", _limit),
        ),
        PATHS: (
            smt.induction("T steps", "all T: induction", _total),
            symbolic.identity("quotients of factors", "all z, y", _factors),
            EXP_RISES,
            EXP_FALLS,
            smt.implies("θ between its bounds", "all T: from these", _between),
        ),
        LOOPS: (
            symbolic.identity("weights of the running means, Σw²/u", "t = 1..4, all β", _weights),
            symbolic.identity("s of the induction", "t = 1..5, all β", _grown),
            symbolic.identity("the sum in closed form", "t = 1, 2, 3, 5, all β", _closed),
            evaluated("B_t² at many steps, in closed form", _many_steps),
        ),
    },
    mutants=(
        Mutant("of the last gradient alone", theory.adam_square, lambda t, a, b: _last(t, a, b)),
        Mutant("the limit of that", theory.adam_square_limit, lambda a, b: (1 - a) ** 2 / (1 - b)),
        Mutant("first order for both", theory.log_factor, lambda moved, *, ops=None: (1 - moved, 1 + moved)),
    ),
    note=(
        "At β = (.9, .999) B = 7.27, at (.9, .99) 2.35: 'at most lr × steps × θ' is false, twice over. A step passes "
        "lr where gradients grow (AUX-10), and upwards the factor is exp(lr B T), above 1 + lr B T. For constant "
        "gradients every step is lr. Of T steps the sum of B_t is a better bound than B T. The shipped jumprelu "
        "trains the threshold itself, which moves by lr B T whatever its size."
    ),
)


def _last(t, beta1, beta2):
    return (1 - beta1) ** 2 * (1 - beta2**t) / ((1 - beta1**t) ** 2 * (1 - beta2))
