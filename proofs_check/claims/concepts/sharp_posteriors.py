"""DC-19: that activations become linear in log p(c|s) as the ambiguity of c goes to 0."""

from hypothesis import strategies as st

import synthetic as S
from proofs_check.claim import Claim, Control, Hypothesis, Mutant, Part, Sentence, Verdict, at_most, equal
from proofs_check.claims.concepts.cases import Predicted, predicted
from workbench.tensors import TENSOR
from workbench.theory import concepts as theory


def _conclusion(case: Predicted) -> dict[str, Part]:
    model = case.model
    w = [v.expand(model.n_contexts) for v in model.token_posterior[0].clamp_min(1e-300)]
    e = [v.expand(model.n_contexts) for v in model.tokens[:, 0].clamp_min(1e-300)]
    said = theory.log_prediction(w, list(model.log_posterior.exp().clamp_min(1e-300).T), e, ops=TENSOR)
    return {
        "R² of logits ~ log p(c|s)": at_most(0.9, case.log_r2),
        "log p(y|s), DC-1": equal((said - model.log_next[:, 0]).abs().max(), 0.0, unit=1e3),
    }


CLEAR = Hypothesis("E[1 − max p(c|s, y)] ≤ .05", lambda case: max(0.0, case.model.ambiguity - 0.05))


def _cases(tokens, sharpness):
    return predicted(st.just(tokens), S.Energy(200, sharpness), priors=[S.Potts(0.0, 0.0)], sizes=[(2, 2, 2)])


CLAIM = Claim(
    id="DC-19",
    statement=(
        "As reported: as p(c|s, y) concentrates on one configuration, the error of non-invertibility going to 0, "
        "activations become linear in log p(c|s). Where it is the context that is sharp they do not: with that error "
        "below .05 R² is about .4. What counts is what a token leaves open: DC-3, DC-7."
    ),
    tex=r"\mathbb E[1-\max_cp(c|s,y)]\to0\ \Rightarrow\ x\to A\log p(c|s)+b",
    source="ours, of what readers report of Liu et al. (2025), arXiv 2503.08980",
    kind="refuted",
    promised=Verdict.FAILS,
    refutes=Sentence(
        words="x tends to A log p(c|s) + b as the error of non-invertibility, E[1 − max p(c|s, y)], tends to 0",
        version="abstracts of v1 to v4, which say under mild conditions; the limit as reported by readers of v3",
        against="reading",
    ),
    hypotheses=(CLEAR,),
    instances=_cases(S.Generic(16), 32.0),
    conclusion=_conclusion,
    controls=(Control(CLEAR.name, _cases(S.Generic(16), 4.0), "no clearer: ambiguous posteriors, and no line either"),),
    mutants=(
        Mutant(
            "no emission in κ",
            theory.kappa,
            lambda w, e, *, ops=theory.FLOAT: -sum(a * ops.log(a) for a in w) + 0 * e[0],
            _cases(S.JointRevealing(2), 2.0),
        ),
    ),
    note="log Σ p(y|c)p(c|s) tends to max_c: piecewise linear, and which piece depends on s.",
    shown_by="experiments/concepts/study.py",
)
