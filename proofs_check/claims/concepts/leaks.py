"""DC-9: a leak spoils linearity unless it is rare against the smallest posterior that matters."""

import math
from dataclasses import dataclass, replace

import torch
from hypothesis import strategies as st

import synthetic as S
from proofs_check.claim import Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most
from proofs_check.claims.concepts.cases import MEANS, Predicted, predicted
from proofs_check.engines import balls, smt, symbolic
from workbench.theory import concepts as theory


@dataclass(frozen=True)
class Leaking:
    """A model whose tokens reveal the configuration, and leak."""

    base: Predicted
    eps: float | None = None
    """of the leak; a hundredth of the smallest posterior where None"""

    def __str__(self) -> str:
        return f"{self.base}, eps {self.size:.3g}"

    @property
    def least(self) -> float:
        """min p(c|s)."""
        return float(self.base.model.log_posterior.min().exp())

    @property
    def size(self) -> float:
        """eps."""
        return 0.01 * self.least if self.eps is None else self.eps

    def leaking(self, times: float = 1.0) -> Predicted:
        """The model with its leak, or a multiple of it."""
        return Predicted(replace(self.base.concepts, tokens=S.Leak(min(0.5, times * self.size))))


def _conclusion(case: Leaking) -> dict[str, Part]:
    one, posterior = case.leaking(), case.base.model.log_posterior
    shift = one.model.log_next - posterior - math.log1p(-case.size)
    fits = [one.log_r2, *(case.leaking(times).log_r2 for times in (10.0, 100.0, 1000.0))]
    return {
        "R² of log p(c|s)": at_most(0.999, fits[0]),
        "shift of log p(y|s)": at_most(shift, theory.leak_shift(case.size, posterior.exp())),
        "shift's sign": at_most(0.0, shift),
        "R² of a leak 10 times as large": at_most(torch.tensor(fits[1:]), torch.tensor(fits[:-1])),
    }


def _configuration(unknowns, ops):
    """p(y|c) = (1 - eps) [c = c(y)] + eps r; `own` is p(c(y)|s), `mean` that of the r, d; c(y) comes where y is 1."""
    eps, said, own, mean, p, r, y = unknowns("eps said own mean p r y")
    after = {"said": said + p * ((1 - eps) * y + eps * r), "own": own + p * y, "mean": mean + p * r}
    return smt.Invariant([said == (1 - eps) * own + eps * mean], after, given=[(y == 0) | (y == 1)])


def _shift(symbols, ops):
    """The shift is log(1 + u d), u the bound."""
    eps, p, d, keep = symbols("eps p d keep", positive=True)
    u = theory.leak_shift(eps, p)
    yield ((1 - eps) * p + eps * d) / ((1 - eps) * p), 1 + d * u
    yield ops.exp(ops.log(keep * p + eps * d) - ops.log(keep * p)), (keep * p + eps * d) / (keep * p)


def _share(unknowns, ops):
    eps, p, d = unknowns("eps p d")
    u = theory.leak_shift(eps, p)
    return [eps > 0, 100 * eps <= p, p > 0, p <= 1, d >= 0, d <= 1], [d * u >= 0, d * u <= u, u <= 1]


def _touching(shows, value):
    return balls.positive(shows, "all l; x in [0, 1]", {"x": ("0", "1")}, value)


RARE = Hypothesis("ε ≤ .01 min p(c|s)", lambda case: max(0.0, case.size - 0.01 * case.least * (1 + 1e-9)))


def _cases(sharpness, eps=None):
    contexts = st.sampled_from([S.Energy(64, t) for t in sharpness])
    made = predicted(
        st.just(S.JointRevealing()), contexts, priors=[S.Potts(0.0, 0.0), S.Potts(1.0)], sizes=[(2, 2), (2, 2, 2)]
    )
    return made.map(lambda base: Leaking(base, eps))


CLAIM = Claim(
    id="DC-9",
    statement=(
        "Tokens that reveal c but for a leak ε ≤ .01 min p(c|s): log p(y|s) exceeds log((1 − ε) p(c(y)|s)) by at most "
        "ε/((1 − ε) p(c(y)|s)). R² of logits ~ log p(c|s) is above .999, and falls as the leak grows."
    ),
    tex=r"0\leq\log p(y|s)-\log(1-\varepsilon)p(c(y)|s)\leq\frac{\varepsilon}{(1-\varepsilon)\,p(c(y)|s)}",
    source="ours",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(RARE,),
    instances=_cases((0.5, 1.0, 2.0, 4.0)),
    nontrivial=lambda case: case.base.nontrivial,
    conclusion=_conclusion,
    controls=(Control(RARE.name, _cases((4.0,), 0.1), "ε = .1 where some p(c|s) are 1e-9"),),
    proofs={
        ("shift of log p(y|s)", "shift's sign"): (
            smt.induction("p(y|s) = (1 − ε)p + εd", "all l: induction over configurations", _configuration),
            MEANS,
            symbolic.identity("the shift is log(1 + x), x = ud", "all ε, p(c(y)|s), leaks", _shift),
            smt.implies("0 ≤ x ≤ u ≤ 1", "all p, d; ε ≤ .01 p", _share),
            _touching("log(1 + x) ≤ x", lambda x, ops: x - ops.log(1 + x)),
            _touching("log(1 + x) ≥ 0", lambda x, ops: ops.log(1 + x)),
        )
    },
    mutants=(Mutant("free of p", theory.leak_shift, lambda eps, p: eps / (1 - eps) * p),),
    shown_by="experiments/concepts/study.py",
)
