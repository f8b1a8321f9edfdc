"""DC-4: where each value of a concept has its token, activations are affine in log-marginals, for any dependence."""

from dataclasses import replace
from fractions import Fraction

from hypothesis import strategies as st

import synthetic as S
from proofs_check.claim import LOOPS, Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most, equal
from proofs_check.claims.concepts.cases import Predicted, predicted
from proofs_check.engines import smt, symbolic
from proofs_check.instances.loops import evaluated
from proofs_check.kernel.evaluations import EXACT
from workbench.tensors import TENSOR
from workbench.theory import concepts as theory


def prediction_error(case: Predicted) -> float:
    """Largest |log p(y|s)| that the formula of event tokens misses, over all contexts and tokens."""
    model, worst = case.model, 0.0
    for token in range(model.n_tokens):
        own = model.tokens[:, token] > 0
        share = model.tokens[own, token][0]
        said = theory.event_prediction(share, list(model.log_posterior[:, own].exp().T), ops=TENSOR)
        worst = max(worst, float((said - model.log_next[:, token]).abs().max()))
    return worst


def _conclusion(case: Predicted) -> dict[str, Part]:
    model = case.model
    parts: dict[str, Part] = {
        "x ~ log p(c_k|s): 1 − R²": at_most(case.left(model.log_marginals, case.x).max(), 1e-10, unit=1e-10),
        "log p(y|s)": equal(prediction_error(case), 0.0),
        "width": at_most(case.x.shape[1], len(model.values) - 1),
    }
    if model.log_odds.numel():
        left = case.left(case.x, model.log_odds).max()
        parts["log-odds of binary concepts ~ x: 1 − R²"] = at_most(left, 1e-10, unit=1e-10)
    return parts


def _whole(symbols, ops):
    """log a + log p(E_y|s) is the logarithm of their product."""
    import sympy

    a, share = symbols("a share", positive=True)
    yield theory.event_prediction(a, [share], ops=ops), sympy.expand_log(ops.log(a * share), force=True)


def _one_more(unknowns, ops):
    """p(y|s) so far is a times the share of the event so far; a configuration within it, e = 1, or outside comes."""
    a, said, share, p, e = unknowns("a said share p e")
    after = {"said": said + e * a * p, "share": share + e * p}
    return smt.Invariant([said == a * share], after, given=[(e == 0) | (e == 1)])


def _long(draw):
    """Any function will do for the logarithm: here the number itself."""
    a, p = draw.number(), [Fraction(v) for v in draw.vector(draw.n)]
    yield theory.event_prediction(a, p, ops=replace(EXACT, log=lambda value: value)), a + sum(p)


def _short(symbols, ops):
    """Events of one to three configurations."""
    a = symbols("a", positive=True)
    for size in (1, 2, 3):
        p = symbols(f"p:{size}", positive=True)
        yield ops.exp(theory.event_prediction(a, list(p), ops=ops)), sum(a * one for one in p)


OVER = "all l: induction over configurations"
EVENTS = (
    symbolic.identity("log a + log p(E_y|s) = log of a p(E_y|s)", "all a, p(E_y|s)", _whole),
    smt.induction("Σ p(y|c) p(c|s) = a p(E_y|s)", OVER, _one_more),
)
SHARES = (
    symbolic.identity("log p(y|s)", "1 to 3 configurations", _short),
    evaluated("event_prediction, as defined", _long),
)


EVERY = Hypothesis("a token for each value of each concept", lambda case: sum(w == 0 for w in _weights(case)))


def _weights(case: Predicted) -> tuple[float, ...]:
    return getattr(case.concepts.tokens, "weights", None) or ()


CLAIM = Claim(
    id="DC-4",
    statement=(
        "If token (k, v) has p(y|c) = a_k 1[c_k = v], then log p(y|s) = log a_k + log p(c_k = v|s): x is affine in the "
        "D log-marginals and each binary concept's log-odds are affine in x, however concepts depend on others. The "
        "width is at most D − 1, one less than tokens, in place of l = Π n_k."
    ),
    tex=r"p(y|c)=a_k\mathbf 1[c_k=v]\ \Rightarrow\ x=\sum_{k,v}\log p(c_k=v|s)\,a_{kv}+b",
    source="ours; the marginal form is that of Liu et al. (2026), arXiv 2601.20420, as reported by readers",
    kind="identity",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(EVERY,),
    instances=predicted(st.sampled_from([S.ConceptTyped(), S.ConceptTyped((1.0, 3.0))]), sizes=[(2, 2), (3, 2), (3, 3)])
    | predicted(st.just(S.ConceptTyped((3.0, 1.0, 2.0))), sizes=[(2, 2, 2)]),
    conclusion=_conclusion,
    extremal={
        "width": predicted(st.sampled_from([S.ConceptTyped(), S.ConceptTyped((1.0, 3.0))]), sizes=[(2, 2), (3, 2)])
    },
    controls=(
        Control(
            EVERY.name,
            predicted(st.just(S.ConceptTyped((1.0, 1.0, 0.0))), sizes=[(2, 2, 2)]),
            "no tokens of the third concept: its log-odds are lost, the others stay",
        ),
    ),
    proofs={"log p(y|s)": EVENTS, LOOPS: SHARES},
    mutants=(
        Mutant(
            "probability in place of its logarithm", theory.event_prediction, lambda a, p, *, ops=None: sum(p) + 0 * a
        ),
        Mutant(
            "likeliest configuration alone",
            theory.event_prediction,
            lambda a, p, *, ops=theory.FLOAT: ops.log(a) + ops.log(p[0]),
        ),
    ),
    note="R² and width are sampled. That they follow from x Uᵀ = log p(y|s) + g(s) is shown by no engine.",
    shown_by="experiments/concepts/study.py",
)
