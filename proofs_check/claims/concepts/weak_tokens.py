"""DC-6: tokens that say little make activations linear in probabilities, to order eta^2."""

from dataclasses import dataclass, replace

import numpy as np
import sympy
from hypothesis import strategies as st
from torch import Tensor

import synthetic as S
from proofs_check.claim import Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most
from proofs_check.claims.concepts.cases import PRIORS, SMALL, Predicted, predicted
from proofs_check.engines import smt, symbolic
from workbench.theory import concepts as theory

ETAS = (0.005, 0.01, 0.02, 0.05, 0.3)


@dataclass(frozen=True)
class Faint:
    """One model at several strengths of its tokens."""

    base: Predicted

    def __str__(self) -> str:
        return str(self.base)

    def at(self, eta: float) -> Predicted:
        """The model with tokens of this strength; tokens of another law stay as they are."""
        tokens = self.base.concepts.tokens
        tokens = replace(tokens, eta=eta) if isinstance(tokens, S.Weak) else tokens
        return Predicted(replace(self.base.concepts, tokens=tokens))

    @property
    def written(self) -> tuple[Tensor, Tensor]:
        """For p(y|c) = q (1 + η r): q by configuration, and r."""
        a, b = ETAS[0], ETAS[-1]
        first, last = self.at(a).model.tokens, self.at(b).model.tokens
        q = (b * first - a * last) / (b - a)
        return q, (last / q.clamp_min(1e-300) - 1) / b


def _off(case: Faint) -> float:
    """How far q depends on c, and by how much |r| passes 1."""
    q, tilt = case.written
    return float((q - q[0]).abs().max() + (tilt.abs().max() - 1 - 1e-9).clamp_min(0))


def _conclusion(case: Faint) -> dict[str, Part]:
    each = [case.at(eta) for eta in ETAS]
    left = [max(1 - one.probability_r2, 1e-300) for one in each]
    slope = float(np.polyfit(np.log(ETAS[:-1]), np.log(left[:-1]), 1)[0])
    last = each[-1].model
    found: dict[str, Part] = {
        "slope of log(1 − R²) against log η, from 2": at_most(abs(slope - 2), 0.2),
        "R² of log p(c|s), under that of p(c|s)": at_most(each[-1].log_r2, each[-1].probability_r2),
    }
    if isinstance(case.base.concepts.tokens, S.Weak):
        q, tilt = case.written
        linear = q[0].log() + ETAS[-1] * last.log_posterior.exp() @ tilt
        rest = (last.log_next - linear).abs().max()
        found["|log p(y|s) − log q − η Σ r p|"] = at_most(rest, theory.weak_remainder(ETAS[-1]))
    return found


def _slopes(symbols, ops):
    """Of η²/(2(1 − η)), of η − log(1 + η) and of −log(1 − η) − η; all three are 0 at η = 0."""
    eta = symbols("eta", positive=True)
    yield theory.weak_remainder(ops.num("0")), 0
    yield sympy.diff(theory.weak_remainder(eta), eta), eta * (2 - eta) / (2 * (1 - eta) ** 2)
    yield sympy.diff(eta - ops.log(1 + eta), eta), eta / (1 + eta)
    yield sympy.diff(-ops.log(1 - eta) - eta, eta), eta / (1 - eta)


def _ordered(unknowns, ops):
    """The bound's slope is the largest; those of |log(1 + u) − u| are above 0, so |u| = η is the worst."""
    eta = unknowns("eta")
    up, down, bound = eta / (1 + eta), eta / (1 - eta), eta * (2 - eta) / (2 * (1 - eta) * (1 - eta))
    return [eta > 0, eta < 1], [up > 0, down > 0, up <= bound, down <= bound]


WEAK = Hypothesis("p(y|c) = q_y (1 + η r_cy), |r| ≤ 1", _off)


def _faint(tokens):
    contexts = S.Energy(80, 1.0)
    return predicted(st.just(tokens), contexts, priors=PRIORS[:3], sizes=[(2, 2), (2, 2, 2)], seeds=SMALL).map(Faint)


CLAIM = Claim(
    id="DC-6",
    statement=(
        "For p(y|c) = q_y(1 + η r_cy), |r| ≤ 1: |log p(y|s) − log q_y − η Σ_c r_cy p(c|s)| ≤ η²/(2(1 − η)). So x is "
        "linear in probabilities, 1 − R² going as η², not in log-posteriors: the reported limit of tokens that vary "
        "little makes signal and residual vanish together."
    ),
    tex=r"\left|\log p(y|s)-\log q_y-\eta\textstyle\sum_cr_{cy}p(c|s)\right|\leq\frac{\eta^2}{2(1-\eta)}",
    source="ours; the limit is that of the TV and coverage conditions of Liu et al. (2025), as reported by readers",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(WEAK,),
    instances=_faint(S.Weak(0.1, 12)),
    conclusion=_conclusion,
    controls=(Control(WEAK.name, _faint(S.JointRevealing()), "tokens that reveal c: log-posteriors fit, p does not"),),
    proofs={
        "|log p(y|s) − log q − η Σ r p|": (
            symbolic.identity("slopes in η of the remainder and of its bound", "all η in (0, 1)", _slopes),
            smt.implies("order of the slopes", "all η in (0, 1); slope of 1 − R² is sampled", _ordered),
        )
    },
    mutants=(Mutant("a third", theory.weak_remainder, lambda eta: eta * eta / 6),),
    shown_by="experiments/concepts/study.py",
)
