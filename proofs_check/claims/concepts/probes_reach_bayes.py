"""DC-13: the population's logistic probe is the Bayes posterior where log-odds are affine in activations."""

import sympy
from hypothesis import strategies as st

import synthetic as S
from proofs_check.claim import BESIDE, Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most
from proofs_check.claims.concepts.cases import LOGARITHM, PRIORS, Predicted, predicted
from proofs_check.engines import smt, symbolic
from workbench.tensors import TENSOR
from workbench.theory import concept_probes as theory
from workbench.topics.concepts import probes


def _conclusion(case: Predicted) -> dict[str, Part]:
    model, x = case.model, case.x
    gaps, off, others = [], [], []
    for k in range(model.log_odds.shape[1]):
        lam = model.log_odds[:, k]
        p = lam.sigmoid()
        said = probes.logits(x, probes.logistic(x, p, model.weights))
        loss = model.weights @ theory.log_loss(said, p, ops=TENSOR)
        least = model.weights @ theory.entropy(p, ops=TENSOR)
        gaps.append(float(loss - least))
        for other in (said / 2 + 1, 0.0 * said, lam.abs().clamp_max(30.0)):
            others.append(float(least - model.weights @ theory.log_loss(other, p, ops=TENSOR)))
        off.append(float((said - lam).abs().max()))
    return {
        "log-loss − H(c_k|s)": at_most(max(map(abs, gaps)), 1e-10, unit=1e-10),
        "|logit − λ|": at_most(max(off), 1e-4),
        "H(c_k|s) − log-loss of other logits": at_most(max(others), 0.0, unit=1.0),
    }


def least(symbols, ops):
    """The loss has slope 0 at the log-odds, a positive second derivative, and H as its value there."""
    t, p = symbols("t p", positive=True)
    odds = ops.log(p / (1 - p))
    loss = theory.log_loss(t, p, ops=ops)
    yield sympy.simplify(sympy.diff(loss, t).subs(t, odds)), 0
    yield sympy.diff(loss, t, 2), ops.exp(t) / (1 + ops.exp(t)) ** 2
    q = symbols("q", positive=True)  # p = q / (1 + q)
    value = (theory.log_loss(ops.log(q), q / (1 + q), ops=ops) - theory.entropy(q / (1 + q), ops=ops)).subs(
        1 - q / (1 + q), 1 / (1 + q)
    )
    yield sympy.simplify(sympy.expand_log(sympy.simplify(value), force=True)), 0


def _ratios(symbols, ops):
    """Loss less entropy, at the logit of q = r / (1 + r) and p = s / (1 + s)."""
    r, s = symbols("r s", positive=True)
    p, q = s / (1 + s), r / (1 + r)
    other, lost = sympy.together(1 - p), theory.log_loss(ops.log(r), p, ops=ops) - theory.entropy(p, ops=ops)
    said = lost.replace(sympy.log, lambda a: sympy.expand_log(sympy.log(sympy.factor(a)), force=True))
    ratios = sympy.expand_log(-p * ops.log(q / p) - other * ops.log(1 / (1 + r) / other), force=True)
    yield said, ratios


def _above(unknowns, ops):
    """By log z <= z - 1 of both ratios, y = q / p and z = (1 - q) / (1 - p)."""
    p, y, z, log_y, log_z = unknowns("p y z log_y log_z")
    given = [p > 0, p < 1, y > 0, z > 0, p * y + (1 - p) * z == 1, log_y <= y - 1, log_z <= z - 1]
    return given, [-p * log_y - (1 - p) * log_z >= 0]


def _context(unknowns, ops):
    loss, entropy, w, here, least_here = unknowns("loss entropy w here least_here")
    after = {"loss": loss + w * here, "entropy": entropy + w * least_here}
    return smt.Invariant([loss >= entropy], after, given=[w >= 0, here >= least_here])


ABOVE = (
    symbolic.identity("log-loss − H, by ratios", "all p, logits", _ratios),
    *LOGARITHM,
    smt.implies("log-loss ≥ H, by log z ≤ z − 1", "all p, logits", _above),
    smt.induction("and so is the mean over contexts", "all N: induction over contexts", _context),
)
"""no prediction has a smaller log-loss than the entropy"""

AFFINE = Hypothesis("log-odds affine in activations", lambda case: float(case.left(case.x, case.model.log_odds).max()))
MILD = st.sampled_from([S.Energy(64, 1.0), S.Energy(64, 2.0), S.Observations(5, 4)])
BINARY = [(2, 2), (2, 2, 2)]

CLAIM = Claim(
    id="DC-13",
    statement=(
        "E[−log q(c_k|s)] ≥ H(c_k|s) for every predictor. With typed tokens, or revealing tokens and factorised "
        "posteriors, the population's logistic probe attains it: gap below 1e-10, the logits Bayes's."
    ),
    tex=r"\min_{w,b}\mathbb E[-\log q_{w,b}(c_k|s)]=H(c_k|s)\ \Leftarrow\ \lambda_k\ \text{affine in}\ x",
    source="ours; Liu et al. (2025), arXiv 2503.08980, corollary 4.3, as reported by readers",
    kind="identity",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(AFFINE,),
    instances=predicted(st.just(S.ConceptTyped()), MILD, priors=PRIORS[2:4], sizes=BINARY)
    | predicted(
        st.just(S.JointRevealing()),
        st.just(S.Energy(64, 1.0, factorised=True)),
        priors=[S.IndependentPrior()],
        sizes=BINARY,
    ),
    conclusion=_conclusion,
    controls=(
        Control(
            AFFINE.name,
            predicted(st.just(S.JointRevealing()), MILD, priors=[S.Potts(1.0)], sizes=BINARY),
            "revealing tokens, dependent posterior",
        ),
    ),
    proofs={
        "H(c_k|s) − log-loss of other logits": ABOVE,
        BESIDE: symbolic.identity("slope 0 at the log-odds, and H the value there", "one context, all p", least),
    },
    mutants=(
        Mutant(
            "half the slope", theory.log_loss, lambda t, p, *, ops=theory.FLOAT: ops.log(1 + ops.exp(t)) - p * t / 2
        ),
        Mutant("one side of the entropy", theory.entropy, lambda p, *, ops=theory.FLOAT: -p * ops.log(p)),
    ),
    note="That the fit finds the minimum is sampled.",
    shown_by="experiments/concepts/study.py",
)
