"""DC-7: sharper contexts take ambiguity away, and linearity with it, unless a token alone tells the configuration."""

from dataclasses import dataclass, replace

from hypothesis import strategies as st

import synthetic as S
from proofs_check.claim import LOOPS, Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most
from proofs_check.claims.concepts.cases import LOGARITHM, Predicted, named_logarithms, predicted
from proofs_check.claims.concepts.prediction_identity import LONG_SUMS
from proofs_check.engines import smt
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


def _one(unknowns, ops):
    """Of w log(w/q), w and q so far, against `log` = log(W/Q) of all of them, `slope` = W/Q.

    log z <= z - 1 at z = (q/w)(W/Q), whose logarithm is log q - log w + log.
    """
    found, weight, share, slope, log = unknowns("found weight share slope log")
    w, q, log_w, log_q = unknowns("w q log_w log_q")
    more = theory.divergence([w], [q], ops=named_logarithms(ops, (w, q), (log_w, log_q)))
    given = [w > 0, q > 0, slope > 0, log_q - log_w + log <= q / w * slope - 1]
    after = {"found": found + more, "weight": weight + w, "share": share + q}
    return smt.Invariant([found - weight * log >= weight - share * slope], after, given=given)


def _merged(unknowns, ops):
    """`found` of all configurations but the likeliest, w and q of that one; log W - log Q = log(W/Q)."""
    found, w, q, log_w, log_q, log_1w, log_1q = unknowns("found w q log_w log_q log_1w log_1q")
    in_turn = iter([log_w, log_1w, log_q, log_1q])  # as the formula asks for those of w, 1 - w, q, 1 - q
    coarse = theory.coarse_divergence(w, q, ops=replace(ops, log=lambda _: next(in_turn)))
    slope = (1 - w) / (1 - q)
    given = [w > 0, w < 1, q > 0, q < 1, found - (1 - w) * (log_1w - log_1q) >= (1 - w) - (1 - q) * slope]
    return given, [coarse <= w * (log_w - log_q) + found]


OPEN = Hypothesis("tokens leave the configuration open", lambda case: float(case.base.model.token_ambiguity < 1e-9))


def _cases(tokens):
    return predicted(tokens, S.Energy(200, 1.0), priors=[S.Potts(0.0, 0.0)], sizes=[(2, 2, 2)]).map(Sharpened)


CLAIM = Claim(
    id="DC-7",
    statement=(
        "For l = 8, a uniform prior, generic tokens and contexts p(c|s) ∝ exp(t W): from t = 1 to 16 the ambiguity "
        "1 − max p(c|s, y) falls while the residual h grows and R² of x ~ log p(c|s) falls by more than .1. "
        "KL(p(c|y) ‖ p(c|s, y)) is at least that of the two-valued laws of the likeliest configuration."
    ),
    tex=r"\mathrm{KL}(w\|p(\cdot|s,y))\geq(1-w_*)\log\frac{1-w_*}{\varepsilon}+w_*\log\frac{w_*}{1-\varepsilon}",
    source="ours; corrects the limit of Liu et al. (2025), arXiv 2503.08980: see DC-19",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(OPEN,),
    instances=_cases(st.just(S.Generic(16))),
    nontrivial=lambda case: case.base.nontrivial,
    conclusion=_conclusion,
    controls=(Control(OPEN.name, _cases(st.just(S.JointRevealing())), "a token tells c: R² stays 1 at every t"),),
    proofs={
        "divergence": (
            *LOGARITHM,
            smt.induction("Σ w log(w/q) ≥ W log(W/Q)", "all l: induction over configurations", _one),
            smt.implies("with the likeliest configuration", "all l: W = 1 − w*", _merged),
        ),
        LOOPS: LONG_SUMS,
    },
    mutants=(
        Mutant(
            "twice the merged divergence",
            theory.coarse_divergence,
            lambda w, q, *, ops=theory.FLOAT: 2 * theory.divergence([w, 1 - w], [q, 1 - q], ops=ops) + 1,
        ),
    ),
    note="The trend depends on the law of tokens and contexts: sampled, not proved.",
    shown_by="experiments/concepts/study.py",
)
