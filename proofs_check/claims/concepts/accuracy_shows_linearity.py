"""DC-20: that a probe as accurate as Bayes shows activations to be linear in log-posteriors."""

from hypothesis import strategies as st

import synthetic as S
from proofs_check.claim import Claim, Control, Hypothesis, Part, Sentence, Verdict, at_most, edited
from proofs_check.claims.concepts.accuracy_of_probes import cases, gap
from proofs_check.claims.concepts.cases import Predicted, predicted
from workbench.topics.concepts import probes


def _conclusion(case: Predicted) -> dict[str, Part]:
    lost = [
        f - b for f, b in zip(probes.probe(case.model, case.x).log_loss, probes.bayes(case.model).log_loss, strict=True)
    ]
    return {
        "R² of logits ~ log p(c|s)": at_most(0.95, case.log_r2),
        "log-loss − H(c_k|s)": at_most(max(lost), 0.2),
    }


ACCURATE = Hypothesis("probe within .02 of the Bayes accuracy", lambda case: max(0.0, gap(case) - 0.02))
LINEAR = predicted(
    st.just(S.JointRevealing()),
    st.just(S.Energy(64, 1.0, factorised=True)),
    priors=[S.IndependentPrior()],
    sizes=[(2, 2, 2)],
)

CLAIM = Claim(
    id="DC-20",
    statement=(
        "A reading: that probes are accurate, more so with more observations, supports linearity in log p(c|s). "
        "A probe within .02 of Bayes goes with R² of .6 to .9: see DC-10. What tests it is log-loss against H(c_k|s) "
        "(DC-13), and R² itself."
    ),
    tex=r"\mathrm{acc}_{\mathrm{probe}}\approx\mathrm{acc}_{\mathrm{Bayes}}\ \Rightarrow\ R^2_{\log}\approx1",
    source="ours, of what readers report of simulations in arXiv 2503.08980",
    kind="refuted",
    promised=Verdict.FAILS,
    refutes=Sentence(
        words="accuracies of probes, which rise with the number of observations, show activations linear in log p(c|s)",
        version="simulations of v3, as reported by readers; the paper offers them as consistent with its theorem",
        against="reading",
    ),
    hypotheses=(ACCURATE,),
    instances=cases(S.Generic(16), (24,)),
    conclusion=_conclusion,
    controls=(
        Control(
            ACCURATE.name, cases(S.Generic(3), (8,)), "three tokens, two dimensions: less accurate, no more linear"
        ),
    ),
    mutants=(
        edited(
            "a probe too sure",
            probes.logistic,
            lambda f: lambda x, p, w, ridge=0.0: 300 * f(x, p, w, ridge),
            LINEAR,
        ),
    ),
    note="R² of .6 to .9 over 61 seeds; how low depends on the laws of tokens and contexts.",
    shown_by="experiments/concepts/study.py",
)
