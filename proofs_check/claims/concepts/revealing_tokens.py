"""DC-3: where a token reveals the configuration, activations are affine in log p(c|s), and log-odds in activations."""

from hypothesis import strategies as st

import synthetic as S
from proofs_check.claim import Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most, equal
from proofs_check.claims.concepts.cases import Predicted, predicted
from proofs_check.claims.concepts.typed_tokens import prediction_error
from proofs_check.engines import symbolic
from workbench.theory import concepts as theory


def _conclusion(case: Predicted) -> dict[str, Part]:
    model = case.model
    odds = model.log_posterior[:, 1:] - model.log_posterior[:, :1]
    return {
        "x ~ log p(c|s): 1 − R²": at_most(case.left(model.log_posterior, case.x).max(), 1e-10, unit=1e-10),
        "log-odds ~ x: 1 − R²": at_most(case.left(case.x, odds).max(), 1e-10, unit=1e-10),
        "log p(c|s) ~ x: R²": at_most(case.r2(case.x, model.log_posterior), 1 - 1e-6),
        "log p(y|s)": equal(prediction_error(case), 0.0),
        "width": at_most(case.x.shape[1], model.n_configurations),
    }


def _one(symbols, ops):
    a, p = symbols("a p", positive=True)
    yield theory.event_prediction(a, [p], ops=ops), ops.log(a * p)


REVEALING = Hypothesis("y determines c", lambda case: case.model.token_ambiguity)

CLAIM = Claim(
    id="DC-3",
    statement=(
        "If every token belongs to one configuration, then log p(y|s) = log p(y|c(y)) + log p(c(y)|s): x is affine in "
        "log p(c|s) and the log-odds are affine in x, for any prior and contexts; the width is at most l. "
        "log p(c|s) itself is not affine in x: its norm is not."
    ),
    tex=r"p(y|c)=0\ (c\neq c(y))\ \Rightarrow\ x=A\log p(c|s)+b",
    source="ours; corrected from Liu et al. (2025), arXiv 2503.08980, Theorem 3.1, as reported by readers",
    kind="identity",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(REVEALING,),
    instances=predicted(st.sampled_from([S.JointRevealing(), S.JointRevealing(2)])),
    conclusion=_conclusion,
    controls=(
        Control(REVEALING.name, predicted(st.just(S.Homonyms(1, 2))), "T = l / 2: configurations merged in pairs"),
    ),
    proofs={"log p(y|s)": symbolic.identity("log p(y|s)", "all p(y|c(y)), p(c(y)|s)", _one)},
    mutants=(
        Mutant(
            "probability in place of its logarithm", theory.event_prediction, lambda a, p, *, ops=None: sum(p) + 0 * a
        ),
    ),
    note="R² and width are sampled. That they follow from x Uᵀ = log p(y|s) + g(s) is shown by no engine.",
)
