"""BA-19: how rarely two samples that share one of s features both fire a latent that has learned neither."""

import math
from dataclasses import dataclass
from functools import partial

import sympy
import torch
from hypothesis import strategies as st
from scipy.special import owens_t

from proofs_check.claim import BESIDE, Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most
from proofs_check.engines import smt, symbolic
from proofs_check.instances.draw import numbers
from workbench.theory import bias as theory
from workbench.theory.ops import FLOAT


@dataclass(frozen=True)
class Normals:
    """Two standard normals, a threshold, and the s said to be one over their correlation."""

    s: float
    t: float
    correlation: float

    @property
    def both(self) -> float:
        """Chance that both pass the threshold: tail(t) - 2 T(t, sqrt((1 - rho) / (1 + rho))), T of Owen (1956)."""
        angle = math.sqrt((1 - self.correlation) / (1 + self.correlation))
        return math.erfc(self.t / math.sqrt(2)) / 2 - 2 * float(owens_t(self.t, angle))


def _conclusion(case: Normals) -> dict[str, Part]:
    exponent, p = theory.orthant_exponent(case.s), theory.gaussian_tail(case.t)
    far, inner = case.t * math.sqrt(exponent), 1 - 2 * theory.gaussian_tail(1.0)
    least = inner * theory.gaussian_tail(far + math.sqrt(exponent - 1))
    across, along = math.sqrt((1 - case.correlation) / 2), math.sqrt((1 + case.correlation) / 2)
    ahead, apart = (corner.flatten() for corner in torch.meshgrid(POINTS * 6, POINTS * 3, indexing="ij"))
    passed = along * ahead - across * apart.abs() - case.t  # by how much the lesser of the two normals passes t
    beyond = along * (ahead - far)
    return {
        "above": at_most(case.both, theory.gaussian_tail(far), unit=p),
        "below": at_most(least, case.both, unit=p),
        "both pass t within a half-plane": at_most(passed, beyond, unit=8.0),
        "and on half of a strip": at_most(
            (beyond - along * math.sqrt(exponent - 1))[apart.abs() <= 1], passed[apart.abs() <= 1], unit=8.0
        ),
    }


def _corner(unknowns, ops, reached):
    """Normals c A + k B and c A - k B with c² + k² = 1 and c² - k² = 1/s pass t by c (A - t sqrt(e)) at most; and by
    c (A - t sqrt(e) - sqrt(e - 1)) at least where |B| <= 1.
    """
    s, t, a, b, c, k = unknowns("s t a b c k")
    e, size = theory.orthant_exponent(s), ops.abs(b)
    far, more, least = ops.sqrt(e), ops.sqrt(e - 1), c * a - k * size
    given = [s > 1, t >= 0, c > 0, k > 0, c * c + k * k == 1, s * (c * c - k * k) == 1]
    facts = [c * far == 1, k == c * more, ops.smaller(c * a + k * b, c * a - k * b) == least]
    if reached:
        return [*given, size <= 1], [*facts, c * (a - t * far - more) <= least - t]
    return given, [*facts, least - t <= c * (a - t * far)]


def _mills(symbols, ops):
    """x phi / (x² + 1) < tail < phi / x: both gaps fall to 0, by their derivatives; and then log tail ~ -x² / 2."""
    x = symbols("x", positive=True)
    phi = ops.exp(-(x**2) / 2) / ops.sqrt(2 * ops.pi)
    tail = theory.gaussian_tail(x, ops=ops)
    yield sympy.diff(phi / x - tail, x), -phi / x**2
    yield sympy.diff(tail - x * phi / (x**2 + 1), x), -2 * phi / (x**2 + 1) ** 2
    log_phi = -(x**2) / 2 - ops.log(2 * ops.pi) / 2
    for log_side in (log_phi - ops.log(x), log_phi + ops.log(x) - ops.log(x**2 + 1)):
        yield sympy.limit(-2 * log_side / x**2, x, sympy.oo), 1


POINTS = torch.linspace(-1, 1, 9, dtype=torch.float64)
CORRELATED = Hypothesis("correlation 1/s", lambda case: abs(case.correlation - 1 / case.s))


@st.composite
def _cases(draw, off=False):
    s, t = draw(st.integers(2, 20).map(float) | numbers(1.1, 20)), draw(numbers(0, 4.5))
    return Normals(s, t, draw(st.sampled_from([-0.9, 0.9 + 0.1 / s])) if off else 1 / s)


CLAIM = Claim(
    id="BA-19",
    statement=(
        "Two standard normals of correlation 1/s, cA ± kB with A and B independent, both pass t ≥ 0 only if A > t√e, e "
        "= 2/(1 + 1/s), and do if A > t√e + √(e − 1) and |B| < 1: with a chance between P(|Z| < 1)P(Z > t√e + √(e − "
        "1)) and P(Z > t√e). So it is p^(e + o(1)) for p = P(Z > t) → 0: np^e ≪ 1 is the limit p ≪ "
        "n^(−(1 + 1/s)/2)."
    ),
    tex=r"P(Z_1>t,\,Z_2>t)=p^{2/(1+1/s)+o(1)}",
    source="ours; behind the first limit of theorem 6.1 of Chen et al. (2025), arXiv 2506.14002, as reported",
    kind="rate",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(CORRELATED,),
    instances=_cases(),
    nontrivial=lambda case: case.t > 0,
    conclusion=_conclusion,
    controls=(Control(CORRELATED.name, _cases(off=True), "nearly equal or nearly opposed normals"),),
    proofs={
        "both pass t within a half-plane": smt.implies(
            "both above t: within one half-plane", "all s > 1, t ≥ 0", partial(_corner, reached=False)
        ),
        "and on half of a strip": smt.implies(
            "both above t: all of a strip beyond another", "all s > 1, t ≥ 0", partial(_corner, reached=True)
        ),
        BESIDE: symbolic.identity("tails are p^(square ratio + o(1)), by Mills' ratio", "all x > 0; limit", _mills),
    },
    mutants=(
        Mutant("2/(1 − 1/s)", theory.orthant_exponent, lambda s: 2 / (1 - 1 / s)),
        Mutant("1 + 1/s", theory.orthant_exponent, lambda s: 1 + 1 / s),
        Mutant("without √2", theory.gaussian_tail, lambda t, *, ops=FLOAT: ops.erfc(t) / 2),
    ),
    note=(
        "Of the corner in the plane a machine shows what is said. That its chance is between those of the two sets, "
        "and the law of Z, are taken from probability, and sampled by Owen's function. The o(1) falls slowly: at s = 3 "
        "and p = 1e-6 the exponent is still 1.55, not 1.5. That a latent's inputs are normal is the paper's Gaussian V."
    ),
)
