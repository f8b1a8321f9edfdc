"""DC-1: log p(y|s) is a linear function of log p(c|s), a constant, and a divergence: exactly, in every model."""

from dataclasses import replace
from fractions import Fraction

import sympy

from proofs_check.claim import LOOPS, Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most, edited
from proofs_check.claims.concepts.cases import Tables, named_logarithms, tables
from proofs_check.engines import smt, symbolic
from proofs_check.instances.loops import evaluated
from proofs_check.kernel.evaluations import EXACT
from workbench.tensors import TENSOR
from workbench.theory import concepts as theory


def _columns(rows):
    return list(rows.T)


def _conclusion(case: Tables) -> dict[str, Part]:
    w, p, e = (_columns(rows) for rows in (case.weights, case.posterior, case.emission))
    said = theory.log_prediction(w, p, e, ops=TENSOR)
    if case.other is not None:
        own, other = theory.given_token(p, e), _columns(case.of_divergence)
        said = said - theory.divergence(w, own, ops=TENSOR) + theory.divergence(other, own, ops=TENSOR)
    direct = (case.posterior * case.emission).sum(1).log()
    return {"|sides differ|": at_most((said - direct).abs().max(), 1e-11, unit=1e-11)}


def _two(symbols, ops):
    p, q, t, u, w, v = symbols("p q t u w v", positive=True)
    left = theory.log_prediction([w, v], [p, q], [t, u], ops=ops)
    total = (w + v) * ops.log(p * t + q * u)  # w + v = 1
    yield sympy.expand_log(left - total, force=True), 0


def _bayes(symbols, ops):
    """log p(c|s, y) = log p(c|s) + log p(y|c) - log p(y|s), whatever the share of the others."""
    p, t, rest = symbols("p t rest", positive=True)
    own = theory.given_token([p, rest], [t, 1])[0]
    yield sympy.expand_log(ops.log(own) - ops.log(p) - ops.log(t) + ops.log(p * t + rest), force=True), 0


def _configuration(unknowns, ops):
    """What one with weight w adds to the three parts, its logarithms being reals that meet Bayes's rule."""
    w, p, e, own = unknowns("w p e own")
    log_w, log_p, log_e, log_own, total = unknowns("log_w log_p log_e log_own total")
    named = named_logarithms(ops, (w, p, e, own), (log_w, log_p, log_e, log_own))
    linear = theory.mean_log([w], [p], ops=named)
    said = linear + theory.kappa([w], [e], ops=named) + theory.divergence([w], [own], ops=named)
    return [log_own == log_p + log_e - total], said, w, total


def _next(unknowns, ops):
    """The parts so far sum to (sum of w) log p(y|s)."""
    given, said, w, total = _configuration(unknowns, ops)
    before, weight = unknowns("before weight")
    after = {"before": before + said, "weight": weight + w}
    return smt.Invariant([before == weight * total], after, given=given)


def _twos(value):
    """How often 2 divides a fraction: a logarithm as good as any for sums of them, and exact."""
    value, count = Fraction(value), 0
    while value.numerator % 2 == 0:
        value, count = value / 2, count + 1
    while value.denominator % 2 == 0:
        value, count = value * 2, count - 1
    return count


def _long(draw):
    w, p, e = ([Fraction(2) ** draw.number(9) * abs(v) for v in draw.vector(draw.n)] for _ in range(3))
    total = sum(a * b for a, b in zip(p, e, strict=True))
    yield theory.log_prediction(w, p, e, ops=replace(EXACT, log=_twos)), sum(w) * _twos(total)


LONG_SUMS = evaluated("log_prediction, with powers of 2 for logarithms, as defined", _long)
SAME = Hypothesis(
    "one w in all three parts",
    lambda case: (case.of_divergence - case.weights).abs().max(),
)


CLAIM = Claim(
    id="DC-1",
    statement=(
        "For s and y independent given c and any distribution w: log p(y|s) = Σ w_c log p(c|s) + κ_y + "
        "KL(w ‖ p(c|s, y)), κ_y free of s. An instance is 32 random models: 300 instances are 9,600."
    ),
    tex=r"\log p(y|s)=\sum_c w_c\log p(c|s)+\kappa_y+\mathrm{KL}(w\,\|\,p(\cdot|s,y))",
    source="ours; Liu et al. (2025), arXiv 2503.08980, have w = p(c|y), as reported by readers",
    kind="identity",
    promised=Verdict.PROVED,
    hypotheses=(SAME,),
    instances=tables(),
    nontrivial=lambda case: case.posterior.shape[1] > 2,
    conclusion=_conclusion,
    controls=(Control(SAME.name, tables(mixed=True), "another w in the divergence"),),
    proofs={
        "|sides differ|": (
            symbolic.identity("log p(c|s, y), by Bayes", "all p, p(y|c), shares of the others", _bayes),
            smt.induction("the three parts sum to log p(y|s)", "all l: induction over configurations", _next),
        ),
        LOOPS: (
            symbolic.identity("both sides", "l = 2, all p, p(y|c), w", _two),
            LONG_SUMS,
        ),
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
