"""R-3: uniform noise lets a sine through: a bijection that is not affine meets the constraint exactly."""

import math
from dataclasses import dataclass

import sympy
import torch
from hypothesis import strategies as st
from torch import Tensor

from proofs_check.claim import Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most, equal
from proofs_check.claims.actions.cases import hermite, legendre
from proofs_check.engines import smt, symbolic
from proofs_check.instances.draw import numbers
from workbench.theory import actions as theory

NODES = 48


@dataclass(frozen=True)
class Sine:
    """kappa(h) = h + e sin(w h), h = a + nu, a uniform on [-1, 1], nu uniform on the same or N(0, .6²)."""

    frequency: float
    size: float
    law: str = "uniform"

    @property
    def noise(self) -> tuple[Tensor, Tensor]:
        """Values of nu, and their weights."""
        nu, weights = hermite(NODES) if self.law == "gaussian" else legendre(NODES)
        return (0.6 * nu if self.law == "gaussian" else nu), weights

    @property
    def off_uniform(self) -> float:
        """Distance of E nu² and E nu⁴ from the 1/3 and 1/5 of the uniform law on [-1, 1], beyond round-off."""
        nu, weights = self.noise
        return max(0.0, *(float(abs(weights @ nu**k - 1 / (k + 1))) - 1e-12 for k in (2, 4)))

    def mean(self, value) -> Tensor:
        """E[value(h, a) | a] at a's nodes."""
        nu, weights = self.noise
        a = legendre(NODES)[0][:, None]
        return value(a + nu) @ weights

    @property
    def deviation(self) -> Tensor:
        """E[kappa | a] - a."""
        return self.size * self.mean(lambda h: (self.frequency * h).sin())

    @property
    def slope(self) -> float:
        """Least kappa' seen on a grid of h."""
        h = torch.linspace(-2, 2, 2001, dtype=torch.float64)
        return float((1 + self.size * self.frequency * (self.frequency * h).cos()).min())

    @property
    def share(self) -> float:
        """Share of kappa's variance that no affine map of h explains."""
        weights = legendre(NODES)[1]

        def mean(value) -> float:
            return float(self.mean(value) @ weights)

        sine, spread = mean(lambda h: (self.frequency * h).sin() ** 2), mean(lambda h: h * h)
        with_h = mean(lambda h: h * (self.frequency * h).sin())
        left = self.size**2 * (sine - with_h**2 / spread)
        return left / (spread + 2 * self.size * with_h + self.size**2 * sine)


def _conclusion(case: Sine) -> dict[str, Part]:
    a = legendre(NODES)[0]
    gain = theory.uniform_gain(case.frequency, 1.0)
    return {
        "E[κ | a] = a": equal(case.deviation, 0.0, unit=1e-3),
        "by the gain": equal(case.deviation, case.size * gain * (case.frequency * a).sin(), unit=1e-3),
        "κ increases": at_most(0.0, case.slope),
        "not affine": equal(case.share, theory.sine_share(case.size, 2 / 3)),
    }


def _gains(symbols, ops):
    w, b, s = symbols("w b s", positive=True)
    a, t = symbols("a t")
    wave = sympy.sin(w * (a + t))
    gain = theory.uniform_gain(w, b, sine=sympy.sin)
    yield sympy.expand_trig(sympy.integrate(wave, (t, -b, b)) / (2 * b)), sympy.sin(w * a) * gain
    k = sympy.Symbol("k", integer=True, positive=True)
    yield gain.subs(w, k * sympy.pi / b), 0
    density = ops.exp(-(t**2) / (2 * s**2)) / ops.sqrt(2 * ops.pi) / s
    odd = sympy.integrate(sympy.cos(w * t) * density, (t, -sympy.oo, sympy.oo))
    yield odd, theory.gaussian_gain(w, s, ops=ops)


def _share(symbols, ops):
    """For a, nu uniform on [-1, 1]: E sin(w h) = E h sin(w h) = 0, E sin² = 1/2, E h² = 2/3; and 1 - R² by these."""
    a, t = symbols("a t")
    k = sympy.Symbol("k", integer=True, positive=True)
    w, e, variance = k * sympy.pi, symbols("e"), symbols("v", positive=True)
    h = a + t
    sine = sympy.sin(w * a) * sympy.cos(w * t) + sympy.cos(w * a) * sympy.sin(w * t)
    yield sympy.expand_trig(sympy.sin(w * h)), sympy.expand_trig(sine)
    for value, mean in ((sine, 0), (h * sine, 0), (sine**2, sympy.Rational(1, 2)), (h**2, sympy.Rational(2, 3))):
        over = sympy.integrate(sympy.integrate(sympy.expand(value), (a, -1, 1)), (t, -1, 1)) / 4
        yield sympy.simplify(over), mean
    spread, both = variance + e**2 / 2, variance  # Var kappa, Cov(h, kappa)
    yield theory.sine_share(e, variance), 1 - both**2 / (variance * spread)


def _slope(symbols, ops):
    h, e, w = symbols("h e w")
    yield sympy.diff(h + e * sympy.sin(w * h), h), 1 + e * w * sympy.cos(w * h)


def _increasing(unknowns, ops):
    """Kappa' = 1 + e w c with |c| <= 1."""
    e, w, c = unknowns("e w c")
    return [e > 0, w > 0, e * w < 1, c >= -1, c <= 1], [1 + e * w * c > 0]


UNIFORM = Hypothesis("ν uniform on [−1, 1]", lambda case: case.off_uniform)
ZERO = Hypothesis("w a multiple of π", lambda case: abs(math.remainder(case.frequency, math.pi)))
SMALL = Hypothesis("0 < ew < 1", lambda case: max(0.0, case.size * case.frequency - 1, 1e-6 - case.size))


@st.composite
def _sines(draw, off=0.0, large=1.0, **changes):
    w = math.pi * draw(st.integers(1, 4)) + off
    return Sine(w, large * draw(numbers(0.05, 0.95)) / w, **changes)


CLAIM = Claim(
    id="R-3",
    statement=(
        "ν uniform on [−1, 1], h = a + ν, κ(h) = h + e sin(wh) with w a multiple of π and 0 < e < 1/w: κ "
        "increases, E[κ | a] = a exactly, and κ is not affine: for a uniform on [−1, 1] the share "
        "(e²/2)/(2/3 + e²/2) of its variance is beyond affine maps of h. The gain sin(w)/w is 0 where the uniform "
        "law's characteristic function is; the normal's, e^(−w²s²/2), nowhere."
    ),
    tex=r"E\sin(w(a+\nu))=\frac{\sin w}{w}\,\sin(wa)=0\quad(w\in\pi\mathbb{Z})",
    source="ours; theorem 6 of Saengkyongam et al. (2024), arXiv 2310.04295, needs the zeros excluded",
    kind="identity",
    promised=Verdict.PROVED,
    hypotheses=(UNIFORM, ZERO, SMALL),
    instances=_sines(),
    nontrivial=lambda case: case.size > 0,
    conclusion=_conclusion,
    controls=(
        Control(UNIFORM.name, _sines(law="gaussian"), "N(0, .6²): deviation .042 at a = ½, e = ¼"),
        Control(ZERO.name, _sines(off=0.5), "between the zeros"),
        Control(SMALL.name, _sines(large=2.0), "a larger sine: κ folds"),
    ),
    proofs={
        ("E[κ | a] = a", "by the gain"): symbolic.identity(
            "gains of the uniform and the normal law", "all w, b, s > 0; all zeros kπ/b", _gains
        ),
        "not affine": symbolic.identity("share beyond affine maps", "all w = kπ, all e", _share),
        "κ increases": (
            symbolic.identity("κ'", "all e, w, h", _slope),
            smt.implies("κ' > 0", "all e, w > 0 with ew < 1", _increasing),
        ),
    },
    mutants=(
        Mutant("cosine", theory.uniform_gain, lambda w, b, *, sine=None: math.cos(w * b) / (w * b)),
        Mutant("sin(w)", theory.uniform_gain, lambda w, b, *, sine=math.sin: sine(w * b)),
        Mutant("s for s²", theory.gaussian_gain, lambda w, s, *, ops: ops.exp(-(w**2) * s / 2)),
        Mutant("e² for e²/2", theory.sine_share, lambda e, v: e * e / (v + e * e)),
    ),
    note="R² of κ on h is .955 at e = ¼ for a uniform on [−1, 1]; for a ~ N(0, 1) it is .977.",
)
