"""DC-6: tokens that say little make activations linear in probabilities, to order eta^2."""

from dataclasses import dataclass, replace

import numpy as np
import sympy
import torch
from hypothesis import strategies as st
from torch import Tensor

import synthetic as S
from proofs_check.claim import Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most
from proofs_check.claims.concepts.cases import MEANS, PRIORS, SMALL, Predicted, predicted
from proofs_check.engines import balls, smt, symbolic
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
    found: dict[str, Part] = {
        "slope of log(1 − R²) against log η, from 2": at_most(abs(slope - 2), 0.2),
        "R² of log p(c|s), under that of p(c|s)": at_most(each[-1].log_r2, each[-1].probability_r2),
    }
    if isinstance(case.base.concepts.tokens, S.Weak):
        q, tilt = case.written
        bounds = [theory.weak_remainder(eta) for eta in ETAS]
        rest = [
            (one.model.log_next - q[0].log() - eta * one.model.log_posterior.exp() @ tilt).abs().max()
            for one, eta in zip(each, ETAS, strict=True)
        ]
        found["|log p(y|s) − log q − η Σ r p|"] = at_most(torch.stack(rest), torch.tensor(bounds))
    return found


def _said(unknowns, ops):
    """A configuration adds p q (1 + eta r); the p sum to 1."""
    eta, q, said, whole, tilt, p, r = unknowns("eta q said whole tilt p r")
    after = {"said": said + p * q * (1 + eta * r), "whole": whole + p, "tilt": tilt + p * r}
    return smt.Invariant([said == q * (whole + eta * tilt)], after)


def _logarithm(symbols, ops):
    q, more = symbols("q more", positive=True)  # more = 1 + u
    yield sympy.expand_log(ops.log(q * more) - ops.log(q), force=True) - (more - 1), ops.log(more) - (more - 1)


def _rising(unknowns, ops):
    """Where |mean of r| <= 1, |u| <= eta: the bound at |u| is at most that at eta."""
    eta, mean = unknowns("eta mean")
    u = ops.abs(eta * mean)
    given = [eta >= 0, eta < 1, mean >= -1, mean <= 1]
    return given, [u <= eta, theory.weak_remainder(u) <= theory.weak_remainder(eta)]


def _touching(shows, value):
    return balls.positive(shows, "all l; |u| ≤ 99/100", {"v": ("0", "99/100")}, value)


REMAINDERS = (
    _touching("log(1 + v) ≤ v", lambda v, ops: v - ops.log(1 + v)),
    _touching("log(1 − v) ≤ −v", lambda v, ops: -v - ops.log(1 - v)),
    _touching("v − log(1 + v) ≤ its bound", lambda v, ops: theory.weak_remainder(v) - v + ops.log(1 + v)),
    _touching("−v − log(1 − v) ≤ its bound", lambda v, ops: theory.weak_remainder(v) + v + ops.log(1 - v)),
)
WEAK = Hypothesis("p(y|c) = q_y (1 + η r_cy), |r| ≤ 1", _off)


def _faint(tokens):
    contexts = S.Energy(80, 1.0)
    return predicted(st.just(tokens), contexts, priors=PRIORS[:3], sizes=[(2, 2), (2, 2, 2)], seeds=SMALL).map(Faint)


CLAIM = Claim(
    id="DC-6",
    statement=(
        "For p(y|c) = q_y(1 + η r_cy), |r| ≤ 1: |log p(y|s) − log q_y − η Σ_c r_cy p(c|s)| ≤ η²/(2(1 − η)), η ≤ .99: "
        "x is nearly affine in probabilities, 1 − R² going as η², and less so in log-posteriors."
    ),
    tex=r"\left|\log p(y|s)-\log q_y-\eta\textstyle\sum_cr_{cy}p(c|s)\right|\leq\frac{\eta^2}{2(1-\eta)}",
    source="ours; the limit is that of the TV and coverage conditions of Liu et al. (2025), as reported by readers",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(WEAK,),
    instances=_faint(S.Weak(0.1, 12)),
    nontrivial=lambda case: case.base.nontrivial,
    conclusion=_conclusion,
    controls=(Control(WEAK.name, _faint(S.JointRevealing()), "tokens that reveal c: log-posteriors fit, p does not"),),
    proofs={
        "|log p(y|s) − log q − η Σ r p|": (
            smt.induction("p(y|s) = q(1 + η Σ r p)", "all l: induction over configurations", _said),
            MEANS,
            smt.implies("|u| ≤ η, and the bound rises", "all l; η < 1", _rising),
            symbolic.identity("log of q(1 + u)", "all l, q, u", _logarithm),
            *REMAINDERS,
        )
    },
    mutants=(Mutant("a third", theory.weak_remainder, lambda eta: eta * eta / 6),),
    shown_by="experiments/concepts/study.py",
)
