"""BA-18: with one or two active features the theorem's window of frequencies is empty."""

from dataclasses import dataclass

from hypothesis import strategies as st

from proofs_check.claim import BESIDE, Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most
from proofs_check.claims.bias.window_cases import LEAST_LIMIT, log_limits
from proofs_check.engines import smt
from proofs_check.instances.draw import numbers
from workbench.theory import bias as theory


@dataclass(frozen=True)
class Setting:
    """n features in d dimensions, s active ones (a whole number or 1 / h²), the paper's small constants."""

    n: float
    d: float
    s: float
    eps: float
    varsigma: float


def _conclusion(case: Setting) -> dict[str, Part]:
    limits = theory.frequency_limits(case.n, case.d, case.s, eps=case.eps, varsigma=case.varsigma)
    least, most = log_limits(limits, case.n)
    return {
        "upper limit ≤ 1/n": at_most(most, least),
        "by a power of n": at_most(most - least, theory.window(case.s, case.eps)),
    }


def _empty(unknowns, ops):
    s, eps = unknowns("s eps")
    return [s >= 1, eps >= 0, s <= 2 * (1 + eps) ** 2], [theory.window(s, eps, ops=ops) <= 0]


def _one_or_two(unknowns, ops):
    """With eps > 0 no constant before the limits helps for large n: their quotient is n^window."""
    s, eps = unknowns("s eps")
    return [s >= 1, s <= 2, eps > 0], [theory.window(s, eps, ops=ops) < 0]


FEW = Hypothesis("s ≤ 2(1 + ε)²", lambda case: max(0.0, case.s - 2 * (1 + case.eps) ** 2))


@st.composite
def _cases(draw, few=True):
    n, eps = 10 ** draw(numbers(0.5, 6)), draw(numbers(0, 0.9))
    most = 2 * (1 + eps) ** 2
    s = draw(st.sampled_from([1.0, 2.0]) | numbers(1, most)) if few else most + draw(numbers(0.1, 5))
    return Setting(n, n ** draw(numbers(0.2 if few else 1.0, 1.2)), s, eps, draw(numbers(0, 0.9)) if few else 0.0)


@st.composite
def _edge(draw):
    """The largest s, where d sets no limit."""
    n, eps = 10 ** draw(numbers(0.5, 6)), draw(numbers(0, 0.9))
    return Setting(n, n, 2 * (1 + eps) ** 2, eps, 0.0)


CLAIM = Claim(
    id="BA-18",
    statement=(
        "For s ≤ 2(1 + ε)², so for s = 1 and 2 at every ε, the theorem's upper limit of p is at most its lower limit "
        "1/n. At s = 1, 2 and ε > 0 it is lower by a power of n, which no constants make up for: it says nothing there."
    ),
    tex=r"s\leq 2(1+\varepsilon)^2\ \Rightarrow\ n^{-2(1+\varepsilon)^2/s}\leq\frac1n",
    source="ours; against theorem 6.1 of Chen et al. (2025), arXiv 2506.14002, as reported, constants left out",
    kind="vacuous",
    promised=Verdict.VACUOUS,
    hypotheses=(FEW,),
    instances=_cases(),
    nontrivial=lambda case: case.n > case.d and case.s > 1,
    conclusion=_conclusion,
    extremal={"upper limit ≤ 1/n": _edge()},
    witness="s = 2(1 + ε)² leaves the single frequency p = 1/n, as s = 2 does at ε = 0",
    controls=(Control(FEW.name, _cases(few=False), "s above: BA-7"),),
    proofs={
        "upper limit ≤ 1/n": smt.implies("no window", "all ε ≥ 0, 1 ≤ s ≤ 2(1 + ε)²", _empty),
        ("upper limit ≤ 1/n", "by a power of n"): LEAST_LIMIT,
        BESIDE: smt.implies("the window is below 0 at s ≤ 2", "all ε > 0, 1 ≤ s ≤ 2", _one_or_two),
    },
    mutants=(
        Mutant("1 + ε for its square", theory.upper_exponents, lambda s, eps=0: ((1 + 1 / s) / 2, 2 * (1 + eps) / s)),
        Mutant("shorter by 1/100", theory.window, lambda s, eps=0, *, ops=None: 1 - 2 * (1 + eps) ** 2 / s - 0.01),
    ),
    note="Recovery itself is easier at small s; only the statement is empty. Read with 1/h² for s in the general form.",
)
