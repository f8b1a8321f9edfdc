"""DC-1: log p(y|s) is a linear function of log p(c|s), a constant, and a divergence: exactly, in every model."""

import sympy

from proofs_check.claim import Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most, edited
from proofs_check.claims.concepts.cases import Tables, tables
from proofs_check.engines import symbolic
from workbench.tensors import TENSOR
from workbench.theory import concepts as theory


def _columns(rows):
    return list(rows.T)


def _conclusion(case: Tables) -> dict[str, Part]:
    w, p, e = (_columns(rows) for rows in (case.weights, case.posterior, case.emission))
    said = theory.log_prediction(w, p, e, ops=TENSOR)
    if case.other is not None:
        own = theory.given_token(p, e)
        said = said - theory.divergence(w, own, ops=TENSOR) + theory.divergence(_columns(case.other), own, ops=TENSOR)
    direct = (case.posterior * case.emission).sum(1).log()
    return {"|sides differ|": at_most((said - direct).abs().max(), 1e-11, unit=1e-11)}


def _two(symbols, ops):
    p, q, t, u, w, v = symbols("p q t u w v", positive=True)
    left = theory.log_prediction([w, v], [p, q], [t, u], ops=ops)
    total = (w + v) * ops.log(p * t + q * u)  # w + v = 1
    yield sympy.expand_log(left - total, force=True), 0


def _term(symbols, ops):
    """A configuration adds w log p(y|s), whatever the others are; the w sum to 1."""
    p, t, w, rest = symbols("p t w rest", positive=True)
    own = theory.given_token([p, rest], [t, 1])[0]
    said = theory.mean_log([w], [p], ops=ops) + theory.kappa([w], [t], ops=ops) + theory.divergence([w], [own], ops=ops)
    yield sympy.expand_log(said - w * ops.log(p * t + rest), force=True), 0


SAME = Hypothesis(
    "one w in all three parts",
    lambda case: 0.0 if case.other is None else (case.other - case.weights).abs().max(),
)


CLAIM = Claim(
    id="DC-1",
    statement=(
        "For s and y independent given c and any distribution w: log p(y|s) = Σ w_c log p(c|s) + κ_y + "
        "KL(w ‖ p(c|s, y)), κ_y free of s. Activations of a perfect predictor are linear in log-posteriors as far as "
        "the divergence is constant in s, and no further. An instance is 32 random models: 300 instances are 9,600."
    ),
    tex=r"\log p(y|s)=\sum_c w_c\log p(c|s)+\kappa_y+\mathrm{KL}(w\,\|\,p(\cdot|s,y))",
    source="ours; Liu et al. (2025), arXiv 2503.08980, have w = p(c|y), as reported by readers",
    kind="identity",
    promised=Verdict.PROVED,
    hypotheses=(SAME,),
    instances=tables(),
    conclusion=_conclusion,
    controls=(Control(SAME.name, tables(mixed=True), "another w in the divergence"),),
    proofs={
        "|sides differ|": (
            symbolic.identity("both sides", "l = 2, all p, p(y|c), w", _two),
            symbolic.identity("the share of a configuration", "all l: term by term", _term),
        )
    },
    mutants=(
        Mutant("no divergence", theory.divergence, lambda w, q, *, ops=None: 0 * w[0]),
        Mutant(
            "no entropy in κ",
            theory.kappa,
            lambda w, e, *, ops=theory.FLOAT: sum(a * ops.log(b) for a, b in zip(w, e, strict=True)),
        ),
        edited(
            "half the linear part",
            theory.log_prediction,
            lambda f: lambda w, p, e, *, ops=theory.FLOAT: f(w, p, e, ops=ops) - theory.mean_log(w, p, ops=ops) / 2,
        ),
        Mutant("prior in place of p(c|s, y)", theory.given_token, lambda p, e: list(p)),
        Mutant(
            "no logarithm", theory.mean_log, lambda w, v, *, ops=None: sum(a * b for a, b in zip(w, v, strict=True))
        ),
    ),
    shown_by="experiments/concepts/study.py",
)
