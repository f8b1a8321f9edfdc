"""BA-7: the frequencies that the theorem allows, where its exponents come from, and the width they cost."""

import math
from dataclasses import dataclass, replace
from statistics import NormalDist

import sympy
from hypothesis import strategies as st

from proofs_check.claim import BESIDE, Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most
from proofs_check.claims.bias.window_cases import LEAST_LIMIT, log_limits
from proofs_check.engines import balls, smt, symbolic
from proofs_check.instances.draw import numbers
from workbench.theory import bias as theory


@dataclass(frozen=True)
class Setting:
    """n features in d dimensions, s active ones, the paper's small constants, and p = n^-exponent."""

    n: float
    d: float
    s: int
    eps: float
    varsigma: float
    exponent: float

    @property
    def below(self) -> float:
        """Least exponent under the limits that do not depend on d."""
        return max(theory.upper_exponents(self.s, self.eps))


def _conclusion(case: Setting) -> dict[str, Part]:
    n, s, eps, p = case.n, case.s, case.eps, case.n**-case.exponent
    t = -NormalDist().inv_cdf(p)
    limits = theory.frequency_limits(n, case.d, s, eps=eps, varsigma=case.varsigma)
    least, most = log_limits(limits, n)
    width = theory.width(n, p, s, eps=eps)
    chance = theory.gaussian_tail(theory.threshold_advantage(s, t) / (1 - eps))
    return {
        "open": at_most(0.0, theory.window(s, eps)),
        "length": at_most(most - least, theory.window(s, eps)),
        "width ≥ n^((s + 3)/2)": at_most(theory.width_exponent(s), math.log(width) / math.log(n)),
        "n candidates a feature": at_most(math.log(n), math.log(width) + math.log(chance)),
    }


def _iff(unknowns, ops):
    s, eps = unknowns("s eps")
    return [s >= 1, eps >= 0], [(theory.window(s, eps, ops=ops) > 0) == (s > 2 * (1 + eps) ** 2)]


def _least_width(unknowns, ops):
    """Log_n of the width at any exponent e of the window, from `_logarithms`."""
    s, eps, e = unknowns("s eps e")
    given = [s >= 1, eps >= 0, eps < 1, *(e >= least for least in theory.upper_exponents(s, eps))]
    return given, [1 + s * e / (1 - eps) ** 2 >= theory.width_exponent(s)]


def _logarithms(symbols, ops):
    """Limits and width as powers of n; the first limit is where n p^(orthant exponent) = 1."""
    log, d, s, eps, c, e = symbols("log d s eps c e", positive=True)
    n = ops.exp(log)
    limits = theory.frequency_limits(n, d, s, eps=eps, varsigma=c, ops=ops)
    yield from zip((-ops.log(p) / log for p in limits[1:3]), theory.upper_exponents(s, eps), strict=True)
    yield limits.lower, n**-1
    yield sympy.expand_log(ops.log(limits.dimension), force=True), (1 - c) * ops.log(d) - log
    width = theory.width(n, ops.exp(-e * log), s, eps=eps, ops=ops)
    yield sympy.expand_log(ops.log(width), force=True) / log, 1 + s * e / (1 - eps) ** 2
    first, second = theory.upper_exponents(s)
    yield first * theory.orthant_exponent(s), 1
    yield 1 + s * first, theory.width_exponent(s)
    yield second.subs(s, 3), first.subs(s, 3)


def _steeper(t, ops):
    """-log tail(t) / t² falls: -2 log tail > t phi / tail. So tail(c t) >= tail(t)^(c²) for c >= 1."""
    tail = theory.gaussian_tail(t, ops=ops)
    hazard = ops.exp(-t * t / 2) / ops.sqrt(2 * ops.pi) / tail
    return -2 * ops.log(tail) - t * hazard


WIDE = Hypothesis("s > 2(1 + ε)²", lambda case: float(case.s <= 2 * (1 + case.eps) ** 2))
INSIDE = Hypothesis("p within the upper limits", lambda case: max(0.0, case.below - case.exponent))


@st.composite
def _cases(draw, few=False, out=False):
    n, active = 10 ** draw(numbers(1, 6)), draw(st.integers(1, 2) if few else st.integers(3, 8))
    eps = draw(numbers(0, 0.1 if out else min(0.5, 0.95 * ((max(active, 3) / 2) ** 0.5 - 1))))
    case = Setting(n, n ** draw(numbers(0.2, 1.2)), active, eps, draw(numbers(0, 0.9)), 1.0)
    below = case.below * (0.7 if out else 1.0)
    return replace(case, exponent=below + draw(numbers(0, 0.2 if out else 1.0)) * max(0.0, 1 - below))


@st.composite
def _edge(draw):
    """The upper edge at eps = 0, where d sets no limit."""
    n, s = 10 ** draw(numbers(1, 6)), draw(st.integers(3, 8))
    return Setting(n, n, s, 0.0, 0.0, (1 + 1 / s) / 2)


def _rooted(n, d, s, *, eps=0, varsigma=0, ops=None):
    return theory.FrequencyLimits(1 / n, n ** -(1 / (2 * s)), n ** -(2 / s), d ** (1 - varsigma) / n)


CLAIM = Claim(
    id="BA-7",
    statement=(
        "The theorem's window 1/n ≤ p ≤ min{n^(−(1 + 1/s)/2), n^(−2(1 + ε)²/s), d^(1 − ς)/n}, d > 1, is open "
        "just for s > 2(1 + ε)². Below the limits that do not depend on d the width np^(−s/(1 − ε)²) is at least "
        "n^((s + 3)/2): n³ at s = 3, never linear in n."
    ),
    tex=r"n\,p^{-s/(1-\varepsilon)^2}\geq n^{(s+3)/2}\quad\mathrm{for}\quad p\leq n^{-(1+1/s)/2}",
    source="ours; on theorem 6.1 of Chen et al. (2025), arXiv 2506.14002, as reported, constants left out",
    kind="tight",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(WIDE, INSIDE),
    instances=_cases(),
    nontrivial=lambda case: case.n > case.d,
    conclusion=_conclusion,
    extremal={"width ≥ n^((s + 3)/2)": _edge(), "length": _edge()},
    controls=(
        Control(WIDE.name, _cases(few=True), "s = 1, 2: BA-18"),
        Control(INSIDE.name, _cases(out=True), "p above the first limit"),
    ),
    proofs={
        "open": smt.implies("open just for s > 2(1 + ε)²", "all s ≥ 1, ε ≥ 0", _iff),
        "length": LEAST_LIMIT,
        "width ≥ n^((s + 3)/2)": (
            smt.implies("log_n of the width ≥ (s + 3)/2", "all s ≥ 1, 0 ≤ ε < 1", _least_width),
            symbolic.identity("limits and width as powers of n", "all n, d, s, ε, ς", _logarithms),
        ),
        BESIDE: balls.positive("tail(ct) ≥ tail(t)^(c²)", "t, ct in [1/100, 30]", {"t": ("1/100", "30")}, _steeper),
    },
    mutants=(
        Mutant("sign of the power", theory.width, lambda n, p, s, *, eps=0, ops=None: n * p ** (s / (1 - eps) ** 2)),
        Mutant("p^(−s/2)", theory.width, lambda n, p, s, *, eps=0, ops=None: n * p ** (-s / 2)),
        Mutant("1 − 1/s", theory.upper_exponents, lambda s, eps=0: ((1 - 1 / s) / 2, 2 * (1 + eps) ** 2 / s)),
        Mutant("one limit", theory.window, lambda s, eps=0, *, ops=None: 1 - (1 + 1 / s) / 2),
        Mutant("half the exponents", theory.frequency_limits, _rooted),
        Mutant("(s + 4)/2", theory.width_exponent, lambda s: (s + 4) / 2),
        Mutant("s for √s", theory.threshold_advantage, lambda s, t, *, ops=None: s * t),
    ),
    note=(
        "What the theorem concludes is not judged. That tail(ct) ≥ tail(t)^(c²) follows from a slope, by hand. The "
        "width serves its purpose: a random latent has ⟨w, v_i⟩ ≥ √s t/(1 − ε) with chance at least p^(s/(1 − ε)²), "
        "which leaves n candidates a feature. A public note prints the power of p with its sign flipped: m < n."
    ),
)
