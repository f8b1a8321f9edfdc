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
from proofs_check.instances.draw import DRAWS, SEEDS, codes
from workbench.theory import top_afa


@dataclass(frozen=True)
class Start:
    """One input under many fresh encoders with entries uniform on [-limit, limit], or on [0, limit]."""

    x: Tensor
    m: int
    limit: float
    seed: int
    symmetric: bool = True

    def __str__(self) -> str:
        low = -self.limit if self.symmetric else 0
        law = f"entries on [{low:.4g}, {self.limit:.4g}]"
        return f"x {digits(self.x)}, m {self.m}, {law}, {DRAWS} encoders, seed {self.seed}"

    @cached_property
    def energy(self) -> Tensor:
        """|relu(x W)|² of each encoder."""
        rng = S.stream(self.seed, "claim")
        unit = torch.rand(DRAWS, len(self.x), self.m, generator=rng, dtype=torch.float64)
        weights = self.limit * (2 * unit - 1 if self.symmetric else unit)
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


def _moments(symbols, ops):
    """E(x w)² = |x|² limit² / 3 by integration over the entries; the m columns each give half of it."""
    limit, m = symbols("limit m", positive=True)
    for d in (1, 2, 3):
        x, w = symbols(f"x:{d}"), symbols(f"w:{d}")
        value = sympy.expand(sum(a * b for a, b in zip(x, w, strict=True)) ** 2)
        for entry in w:
            value = sympy.integrate(value, (entry, -limit, limit)) / (2 * limit)
        yield m * value / 2, top_afa.initial_energy(sum(a**2 for a in x), m, limit)
    x2 = symbols("x2")
    yield top_afa.initial_energy(x2, m, ops.sqrt(6 / m)), x2


SYMMETRIC = Hypothesis("entries symmetric about 0", lambda case: float(not case.symmetric))


def _cases(symmetric):
    limit = st.floats(0.1, 2.0)
    return st.builds(Start, st.integers(1, 4).flatmap(codes), st.integers(1, 6), limit, SEEDS, st.just(symmetric))


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
    instances=_cases(True),
    conclusion=_conclusion,
    controls=(Control(SYMMETRIC.name, _cases(False), "entries on [0, a]"),),
    proofs={
        ("mean", "|x|² at √(6/m)"): (
            smt.implies("relu(z)² + relu(−z)² = z²: symmetry halves the square", "all z", _halves),
            symbolic.identity("E(xw)² by integration, and the value at √(6/m)", "d = 1..3", _moments),
        )
    },
    mutants=(
        Mutant("without the half", top_afa.initial_energy, lambda x2, m, a: m * a * a / 3 * x2),
        Mutant("Gaussian variance", top_afa.initial_energy, lambda x2, m, a: m * a * a / 2 * x2),
    ),
    note=(
        "Entries meet only in pairs in (xw)², so d = 3 holds its every term. That about half of all inputs "
        "therefore start saturated is measured by the experiment, not proved."
    ),
    shown_by="experiments/afa/rule.py",
)
