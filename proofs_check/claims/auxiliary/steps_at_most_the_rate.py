"""AUX-10: Adam's steps do pass the bound that is reported of its paper."""

from proofs_check.claim import Claim, Control, Mutant, Part, Sentence, Verdict, at_most
from proofs_check.claims.auxiliary.cases import FRESH, Descent, descents, restarted, steepest
from workbench.theory import auxiliary as theory


def _conclusion(case: Descent) -> dict[str, Part]:
    return {"step": at_most(case.steps().abs(), theory.adam_reported_bound(*case.betas))}


def _constant(case: Descent) -> Descent:
    return Descent((case.gradients[0],) * len(case.gradients), (0.9, 0.9))


def _smaller(beta1, beta2, *, ops=None):
    return min(1.0, (1 - beta1) / (1 - beta2) ** 0.5)


CLAIM = Claim(
    id="AUX-10",
    statement=(
        "As reported: a step of Adam is at most lr (1 − β₁)/√(1 − β₂) where that is above lr, else at most lr. It is "
        "not, in either case: at β = (.9, .99) the second gradient 1.1 times the first is enough to pass lr, and B = "
        "2.35; at (.9, .999) B = 7.27 against 3.16. What holds is AUX-9, larger by √(β₂/(β₂ − β₁²)); with β₁ = 0 the "
        "two agree."
    ),
    tex=r"|\Delta_t|\leq\mathrm{lr}\cdot\max\left(1,\frac{1-\beta_1}{\sqrt{1-\beta_2}}\right)",
    source="ours, of what two readers report of arXiv 1412.6980, section 2.1",
    kind="refuted",
    promised=Verdict.FAILS,
    refutes=Sentence(
        words=(
            "as reported by two readers: the effective step has two upper bounds, lr (1 − β₁)/√(1 − β₂) if 1 − β₁ > "
            "√(1 − β₂), and lr otherwise"
        ),
        version="section 2.1, read second-hand, as they quote it; it calls steps about bounded by lr",
        against="reading",
    ),
    hypotheses=(FRESH,),
    instances=steepest() | descents(),
    conclusion=_conclusion,
    controls=(Control(FRESH.name, descents().map(restarted), "a running mean that the squares have not seen"),),
    mutants=(
        Mutant(
            "half of it",
            theory.adam_reported_bound,
            lambda a, b, *, ops=None: _bound(a, b) / 2,
            descents().map(_constant),
        ),
        Mutant("the smaller of the two", theory.adam_reported_bound, _smaller, descents().map(_constant)),
    ),
    note=(
        "Gradients of one size do keep the step near lr; for constant gradients it is lr sign g. No proof: a witness "
        "needs none."
    ),
)

_bound = theory.adam_reported_bound
