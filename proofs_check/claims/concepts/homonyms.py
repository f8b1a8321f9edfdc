"""DC-8: tokens that mean events make activations affine in the events' log-probabilities, not in log p(c|s)."""

from hypothesis import strategies as st

import synthetic as S
from proofs_check.claim import LOOPS, Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most, equal
from proofs_check.claims.concepts.cases import Predicted, predicted
from proofs_check.claims.concepts.typed_tokens import EVENTS, SHARES, prediction_error
from workbench.theory import concepts as theory


def _uneven(case: Predicted) -> float:
    """Spread of p(y|c) over a token's event, at most 1."""
    tokens = case.model.tokens
    return float((tokens.amax(0) - tokens.where(tokens > 0, 1.0).amin(0)).max())


def _conclusion(case: Predicted) -> dict[str, Part]:
    model = case.model
    parts: dict[str, Part] = {
        "x ~ log p(E_y|s): 1 − R²": at_most(case.left(model.log_events, case.x).max(), 1e-10, unit=1e-10),
        "x ~ log p(c|s): R²": at_most(case.log_r2, 1 - 1e-6),
    }
    if _uneven(case) < 1e-9:
        parts["log p(y|s)"] = equal(prediction_error(case), 0.0)
    return parts


EVEN = Hypothesis("p(y|c) is 0 or a_y", _uneven)

CLAIM = Claim(
    id="DC-8",
    statement=(
        "If p(y|c) = a_y 1[c ∈ E_y], events of two configurations overlapping, then log p(y|s) = log a_y + "
        "log p(E_y|s): x is exactly affine in the events' log-probabilities at any sharpness, and not in log p(c|s)."
    ),
    tex=r"p(y|c)=a_y\mathbf 1[c\in E_y]\ \Rightarrow\ \log p(y|s)=\log a_y+\log p(E_y|s)",
    source="ours",
    kind="identity",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(EVEN,),
    instances=predicted(
        st.sampled_from([S.Homonyms(2, 2), S.Homonyms(3, 2)]),
        st.sampled_from([S.Energy(64, 1.0), S.Energy(64, 8.0)]),
        sizes=[(2, 2), (3, 2), (2, 2, 2)],
    ),
    conclusion=_conclusion,
    controls=(Control(EVEN.name, predicted(st.just(S.Generic(16))), "any p(y|c) > 0: every event is everything"),),
    proofs={"log p(y|s)": EVENTS, LOOPS: SHARES},
    mutants=(
        Mutant(
            "likeliest configuration alone",
            theory.event_prediction,
            lambda a, p, *, ops=theory.FLOAT: ops.log(a) + ops.log(p[0]),
        ),
    ),
    note="R² is sampled.",
)
