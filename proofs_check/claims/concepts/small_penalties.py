"""DC-15: as C goes to 0 a logistic probe becomes the difference of class means, whatever the labels."""

from fractions import Fraction
from typing import Any

from proofs_check.claim import BESIDE, LOOPS, Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most, equal
from proofs_check.claims.concepts.probe_cases import Labelled, labelled
from proofs_check.engines import smt, symbolic
from proofs_check.instances.loops import evaluated
from workbench.theory import concept_probes as theory


def _conclusion(case: Labelled) -> dict[str, Part]:
    x, y = case.sample("train")
    means = x[y > 0].mean(0) - x[y == 0].mean(0)
    return {
        "cos": at_most(0.999, case.cosine(case.C)),
        "cos grows as C falls": at_most(case.cosine(100 * case.C), case.cosine(case.C) + 1e-12),
        "n₁n₀/n times the means' difference": equal((case.direction - 15 * means).abs().max(), 0.0),
    }


def _sample(unknowns, ops):
    """Sums of x over the labels 1 and 0 so far; a sample of either label comes."""
    mean, pull, ones, zeros, x, y = unknowns("mean pull ones zeros x y")
    after = {"pull": pull + (y - mean) * x, "ones": ones + y * x, "zeros": zeros + (1 - y) * x}
    return smt.Invariant([pull == (1 - mean) * ones - mean * zeros], after, given=[(y == 0) | (y == 1)])


def _classes(unknowns, ops):
    """At the mean n_1 / n of the labels."""
    first, second, ones, zeros = unknowns("first second ones zeros")
    n = first + second
    pull = (1 - first / n) * ones - first / n * zeros
    return [first > 0, second > 0], [pull == first * second / n * (ones / first - zeros / second)]


def _long(draw):
    x, first = [Fraction(v) for v in draw.vector(draw.n)], draw.n // 3
    labels = [Fraction(int(i < first)) for i in range(draw.n)]
    means = sum(x[:first]) / first - sum(x[first:]) / (draw.n - first)
    yield theory.pull(labels, x), Fraction(first * (draw.n - first), draw.n) * means


def _means(symbols, ops):
    x = symbols("x:4")
    for labels in ([1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0]):
        ones = sum(labels)
        first = sum(v for v, y in zip(x, labels, strict=True) if y) / ones
        second = sum(v for v, y in zip(x, labels, strict=True) if not y) / (4 - ones)
        exact = [ops.num(str(y)) for y in labels]
        yield theory.pull(exact, x), ops.num(f"{ones * (4 - ones)}/4") * (first - second)


def _slope(symbols, ops):
    """Slope of the mean loss at w = 0 with the intercept at the log-odds of the base rate, three samples."""
    import sympy

    w, x = symbols("w"), symbols("x:3")
    for labels in ([1, 0, 0], [1, 1, 0]):
        base = ops.log(ops.num(f"{sum(labels)}/{3 - sum(labels)}"))
        loss = sum(theory.log_loss(base + w * v, y, ops=ops) for v, y in zip(x, labels, strict=True))
        exact = [ops.num(str(y)) for y in labels]
        slope: Any = sympy.diff(loss, w)
        yield sympy.simplify(-slope.subs(w, 0)), theory.pull(exact, x)


SMALL_C = Hypothesis("C ≤ 1e-6", lambda case: max(0.0, case.C - 1e-6))

CLAIM = Claim(
    id="DC-15",
    statement=(
        "Σ (y_i − ȳ) x_i, the pull on a logistic fit at w = 0, is n₁n₀/n times the difference of class means for any "
        "labels. With random ones, 60 samples in 50 dimensions, the cosine of the two passes .999 at the inverse "
        "penalty C = 1e-6: a diagonal of cosines near 1 between directions and such probes comes without a concept."
    ),
    tex=r"\sum_i(y_i-\bar y)x_i=\tfrac{n_1n_0}{n}(\bar x_1-\bar x_0)",
    source="ours; C = 1e-4 and directions from the same pairs are the public code of Liu et al. (2025)",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(SMALL_C,),
    instances=labelled() | labelled(C=3e-7) | labelled(C=1e-7),
    conclusion=_conclusion,
    controls=(Control(SMALL_C.name, labelled(C=1.0), "C = 1: about .6"),),
    proofs={
        "n₁n₀/n times the means' difference": (
            smt.induction("sums by label", "all n: induction over samples", _sample),
            smt.implies("the pull is the difference of means", "all n, any labels of both kinds", _classes),
        ),
        LOOPS: (
            symbolic.identity("the pull is the difference of means", "4 samples, any values and labels", _means),
            evaluated("pull, as defined", _long),
        ),
        BESIDE: symbolic.identity("it is the loss's slope at w = 0", "3 samples, any values and labels", _slope),
    },
    mutants=(Mutant("labels uncentred", theory.pull, lambda y, x: sum(a * b for a, b in zip(y, x, strict=True))),),
)
