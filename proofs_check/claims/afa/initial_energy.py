"""AFA-15: at Kaiming's initialisation the encoder's energy already equals the target."""

from dataclasses import dataclass
from functools import cached_property

import sympy
import torch
from hypothesis import strategies as st
from torch import Tensor

import synthetic as S
from proofs_check.claim import Claim, Control, Hypothesis, Mutant, Part, Verdict, digits, equal, mean_is
from proofs_check.engines import smt, symbolic
from proofs_check.instances.draw import DRAWS, SEEDS, codes, mostly
from workbench.theory import top_afa


@dataclass(frozen=True)
class Start:
    """One input under many fresh encoders with entries uniform on [-limit, limit], or on [low, limit]."""

    x: Tensor
    m: int
    limit: float
    low: float
    seed: int

    def __str__(self) -> str:
        law = f"entries on [{self.low:.4g}, {self.limit:.4g}]"
        return f"x {digits(self.x)}, m {self.m}, {law}, {DRAWS} encoders, seed {self.seed}"

    @cached_property
    def energy(self) -> Tensor:
        """|relu(x W)|² of each encoder."""
        rng = S.stream(self.seed, "claim")
        unit = torch.rand(DRAWS, len(self.x), self.m, generator=rng, dtype=torch.float64)
        weights = self.low + (self.limit - self.low) * unit
        return torch.einsum("c,ncm->nm", self.x, weights).relu().square().sum(1)


def _conclusion(case: Start) -> dict[str, Part]:
    x2 = case.x.square().sum()
    return {
        "mean": mean_is(case.energy, top_afa.initial_energy(x2, case.m, case.limit), sees=0.5, unit=x2),
        "|x|² at √(6/m)": equal(top_afa.initial_energy(x2, case.m, (6 / case.m) ** 0.5), x2, unit=x2),
    }


def _halves(unknowns, ops):
    z = unknowns("z")
    kept, dropped = ops.larger(z, ops.num("0")), ops.larger(-z, ops.num("0"))
    return [], [kept * kept + dropped * dropped == z * z]


def _entry(symbols, ops):
    """E w and E w² by integration."""
    limit, w = symbols("limit", positive=True), symbols("w")
    yield sympy.integrate(w, (w, -limit, limit)) / (2 * limit), 0
    yield sympy.integrate(w**2, (w, -limit, limit)) / (2 * limit), limit**2 / 3


def _more_entries(unknowns, ops):
    """E z and E z² of z = Σ x_c w_c, one more entry; w is independent of z."""
    first, second, x2, limit, x, w1, w2 = unknowns("first second x2 limit x w1 w2")
    says = [first == 0, second == x2 * limit * limit / 3]
    after = {"first": first + x * w1, "second": second + 2 * x * first * w1 + x * x * w2, "x2": x2 + x * x}
    return smt.Invariant(says, after, given=[w1 == 0, w2 == limit * limit / 3])


def _column(unknowns, ops):
    """relu(z) and relu(−z) have one law, so each has half the mean square of z."""
    energy, m, x2, limit, kept, dropped, second = unknowns("energy m x2 limit kept dropped second")
    given = [second == x2 * limit * limit / 3, kept == dropped, kept + dropped == second]
    return smt.Invariant(
        [energy == top_afa.initial_energy(x2, m, limit)], {"energy": energy + kept, "m": m + 1}, given=given
    )


def _at_kaiming(symbols, ops):
    x2, m = symbols("x2"), symbols("m", positive=True)
    yield top_afa.initial_energy(x2, m, ops.sqrt(6 / m)), x2


SYMMETRIC = Hypothesis("entries symmetric about 0", lambda case: abs(case.low + case.limit) / case.limit)


@st.composite
def _cases(draw, share=-1.0):
    several = st.integers(2, 4).flatmap(lambda d: codes(d, active=2))
    x = draw(mostly(several, st.integers(1, 4).flatmap(codes)))
    m, limit = draw(mostly(st.integers(2, 6), st.integers(1, 6))), draw(st.floats(0.1, 2.0))
    return Start(x, m, limit, share * limit, draw(SEEDS))


CLAIM = Claim(
    id="AFA-15",
    statement=(
        "For W of m independent columns with entries uniform on ±a, E|relu(xW)|² = m a²/6 |x|², which is |x|² at "
        "Kaiming's a = √(6/m): the contributions of a fresh top-AFA SAE have just the energy of their target."
    ),
    tex=r"E\|\mathrm{relu}(xW)\|^2=\frac{m\,a^2}{6}\|x\|^2",
    source="ours; the initialisation is that of the reference code of Lee et al. (2025), arXiv 2503.24277",
    kind="identity",
    promised=Verdict.PROVED,
    hypotheses=(SYMMETRIC,),
    instances=_cases(),
    nontrivial=lambda case: case.x.count_nonzero() > 1 and case.m > 1,
    conclusion=_conclusion,
    controls=(Control(SYMMETRIC.name, _cases(share=0.0), "entries on [0, a]"),),
    proofs={
        "mean": (
            symbolic.identity("E w = 0 and E w² = a²/3 by integration", "all a", _entry),
            smt.induction("E(xw)² = |x|² a²/3", "all d: induction over entries", _more_entries),
            smt.implies("relu(z)² + relu(−z)² = z²", "all z", _halves),
            smt.induction("each column adds half of E(xw)²", "all m: induction over columns", _column),
        ),
        "|x|² at √(6/m)": symbolic.identity("the value at √(6/m)", "all m", _at_kaiming),
    },
    mutants=(
        Mutant("without the half", top_afa.initial_energy, lambda x2, m, a: m * a * a / 3 * x2),
        Mutant("Gaussian variance", top_afa.initial_energy, lambda x2, m, a: m * a * a / 2 * x2),
    ),
    note=(
        "Of the law the proof uses that entries are independent, so that means of products are products of means, and "
        "that z and −z have one law. That about half of all inputs therefore start saturated is measured by the "
        "experiment, not proved."
    ),
    shown_by="experiments/afa/rule.py",
)
