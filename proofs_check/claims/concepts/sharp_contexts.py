"""DC-7: sharper contexts take ambiguity away, and linearity with it, unless a token alone tells the configuration."""

from dataclasses import dataclass, replace

from hypothesis import strategies as st

import synthetic as S
from proofs_check.claim import Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most
from proofs_check.claims.concepts.cases import Predicted, predicted
from workbench.tensors import TENSOR
from workbench.theory import concepts as theory
from workbench.topics.concepts.report import residual_size

SHARP = (1.0, 4.0, 16.0)


@dataclass(frozen=True)
class Sharpened:
    """One model under contexts of growing sharpness."""

    base: Predicted

    def __str__(self) -> str:
        return str(self.base)

    def at(self, t: float) -> Predicted:
        """The model at a sharpness."""
        return Predicted(replace(self.base.concepts, contexts=S.Energy(200, t)))


def _conclusion(case: Sharpened) -> dict[str, Part]:
    first, middle, last = (case.at(t) for t in SHARP)
    sizes = [residual_size(one.model) for one in (first, middle, last)]
    w = last.model.token_posterior[0]
    given = last.model.log_posterior_given(0).exp().clamp_min(1e-300)
    best = given.argmax(1)
    share = given.gather(1, best[:, None])[:, 0].clamp(1e-12, 1 - 1e-12)
    own = w[best].clamp(1e-12, 1 - 1e-12)
    whole = theory.divergence([v.expand(len(given)) for v in w.clamp_min(1e-300)], list(given.T), ops=TENSOR)
    return {
        "R² of log p(c|s) falls by .1": at_most(last.log_r2, first.log_r2 - 0.1),
        "ambiguity falls": at_most(last.model.ambiguity, first.model.ambiguity - 0.1),
        "|h| grows, 1 to 4": at_most(sizes[0], sizes[1]),
        "|h| grows, 4 to 16": at_most(sizes[1], sizes[2]),
        "divergence": at_most(theory.coarse_divergence(own, share, ops=TENSOR), whole + 1e-9),
    }


OPEN = Hypothesis("tokens leave the configuration open", lambda case: float(case.base.model.token_ambiguity < 1e-9))


def _cases(tokens):
    return predicted(tokens, S.Energy(200, 1.0), priors=[S.Potts(0.0, 0.0)], sizes=[(2, 2, 2)]).map(Sharpened)


CLAIM = Claim(
    id="DC-7",
    statement=(
        "For l = 8, a uniform prior, generic tokens and contexts p(c|s) ∝ exp(t W): from t = 1 to 16 the ambiguity "
        "1 − max p(c|s, y) falls while the residual h grows and R² of x ~ log p(c|s) falls by more than .1. "
        "KL(p(c|y) ‖ p(c|s, y)) is at least that of the two-valued laws of the likeliest configuration, which goes as "
        "(1 − p(c*|y)) log 1/ε."
    ),
    tex=r"\mathrm{KL}(w\|p(\cdot|s,y))\geq(1-w_*)\log\frac{1-w_*}{\varepsilon}+w_*\log\frac{w_*}{1-\varepsilon}",
    source="ours; corrects the limit of Liu et al. (2025), arXiv 2503.08980: see DC-19",
    promised=Verdict.SUPPORTED,
    hypotheses=(OPEN,),
    instances=_cases(st.just(S.Generic(16))),
    conclusion=_conclusion,
    controls=(Control(OPEN.name, _cases(st.just(S.JointRevealing())), "a token tells c: R² stays 1 at every t"),),
    mutants=(
        Mutant(
            "twice the merged divergence",
            theory.coarse_divergence,
            lambda w, q, *, ops=theory.FLOAT: 2 * theory.divergence([w, 1 - w], [q, 1 - q], ops=ops) + 1,
        ),
    ),
    note="The bound is data processing; the trend depends on the law of tokens and contexts: sampled, not proved.",
    shown_by="experiments/concepts/study.py",
)
