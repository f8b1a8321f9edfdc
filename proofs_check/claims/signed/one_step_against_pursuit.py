"""AT-12: the range of coefficients limits one step, and not orthogonal matching pursuit."""

from dataclasses import dataclass

import torch
from hypothesis import strategies as st
from torch import Tensor

from proofs_check.claim import Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most
from proofs_check.engines import smt
from proofs_check.instances.draw import numbers
from workbench.parts.pursuit import orthogonal_matching_pursuit
from workbench.theory import pursuit
from workbench.theory import signed as theory

ROUNDING = 1e-12
"""at the range itself both sides hold"""


@dataclass(frozen=True, eq=False)
class Two:
    """Features of sizes r and 1 with product -mu, and a passive row with product mu with both."""

    mu: float
    r: float
    signs: tuple[float, float] = (1.0, 1.0)

    def __str__(self) -> str:
        return f"μ = {self.mu:.4g}, r = {self.r:.4g}, signs {self.signs}"

    @property
    def rows(self) -> Tensor:
        """With the given signs."""
        mu = self.mu
        gram = torch.tensor([[1, -mu, mu], [-mu, 1, mu], [mu, mu, 1]], dtype=torch.float64)
        rows = torch.linalg.cholesky(gram)
        rows[:2] *= torch.tensor(self.signs, dtype=torch.float64)[:, None]
        return rows

    @property
    def x(self) -> Tensor:
        """r v_0 + v_1, signs undone."""
        return self.r * self.signs[0] * self.rows[0] + self.signs[1] * self.rows[1]

    @property
    def pursued(self) -> float:
        """How far the shipped OMP's code of two rows is from the true one, over r."""
        code = orthogonal_matching_pursuit(self.x[None], self.rows, 2).codes(3).dense()[0]
        true = torch.tensor([self.r * self.signs[0], self.signs[1], 0.0], dtype=torch.float64)
        return float((code - true).abs().max()) / self.r

    def second(self) -> tuple[float, float]:
        """What OMP sees in its second step, row 0 projected away: of row 1, and of the passive row."""
        rows = self.rows
        left = self.x - (self.x @ rows[0]) * rows[0]
        return float((rows[1] @ left).abs()), float((rows[2] @ left).abs())


def _conclusion(case: Two) -> dict[str, Part]:
    u = (case.rows @ case.x).abs().tolist()
    allowed, (found, passive) = theory.recoverable_range(case.mu), case.second()
    said: dict[str, Part] = {
        "OMP, first": at_most(max(u[1:]), u[0], unit=case.r),
        "OMP, second": at_most(passive, found),
        "OMP, shipped": at_most(case.pursued, 1e-9),
    }
    if case.r <= allowed * (1 + ROUNDING):
        said["one step finds the small one"] = at_most(u[2], u[1], unit=case.r)
    if case.r >= allowed * (1 - ROUNDING):
        said["one step misses it"] = at_most(u[1], u[2], unit=case.r)
    return said


def _finds(unknowns, ops):
    """Any dictionary of coherence mu, any signs, r up to the range: u_1 = 1 + r g, u_j = r a + b."""
    r, mu, g, a, b = unknowns("r mu g a b")
    size = ops.abs
    given = [mu > 0, mu < 1, r >= 1, r <= theory.recoverable_range(mu, ops=ops)]
    given += [size(v) <= mu for v in (g, a, b)]
    found, passive = size(1 + r * g), size(r * a + b)
    return given, [passive <= found, ops.where(r < theory.recoverable_range(mu, ops=ops), found - passive, 1) > 0]


def _misses(unknowns, ops):
    """The dictionary above, r from the range on."""
    r, mu = unknowns("r mu")
    given = [mu > 0, mu < 1, r >= 1, r >= theory.recoverable_range(mu, ops=ops)]
    found, passive = ops.abs(1 - r * mu), r * mu + mu
    return given, [found <= passive, ops.where(r > theory.recoverable_range(mu, ops=ops), passive - found, 1) > 0]


def _pursuit(unknowns, ops):
    """Any dictionary of coherence mu < 1/3: the large one first; then, row 0 projected away, the small one."""
    r, mu, g, a, b = unknowns("r mu g a b")
    size = ops.abs
    given = [mu >= 0, mu < ops.num("1/3"), r >= 1, *(size(v) <= mu for v in (g, a, b))]
    large, small, passive = r + g, r * g + 1, r * a + b
    left = pursuit.correlation_after(small, large, g), pursuit.correlation_after(passive, large, a)
    return given, [size(large) > size(passive), size(large) >= size(small), size(left[0]) > size(left[1])]


COHERENT = Hypothesis("μ < 1/3", lambda case: max(0.0, case.mu - 1 / 3))
ORDERED = Hypothesis("r ≥ 1: row 0 is the larger", lambda case: max(0.0, 1 - case.r))


@st.composite
def _two(draw, at=None, low=0.02, high=0.32):
    mu = draw(numbers(low, high).filter(lambda v: v >= low))
    r = draw(st.integers(1, 60).map(float) | numbers(1, 60).filter(lambda v: v >= 1))
    signs = draw(st.tuples(*[st.sampled_from([1.0, -1.0])] * 2))
    return Two(mu, at(mu) if at else r, signs)


CLAIM = Claim(
    id="AT-12",
    statement=(
        "Two active features with sizes r ≥ 1 and 1: one step finds both in every dictionary of coherence μ if "
        "r < (1/μ − 1)/2, and beyond that misses the small one in some; OMP finds both for all r while μ < 1/3."
    ),
    tex=r"r<\tfrac12(1/\mu-1)\quad\text{against}\quad 2<\tfrac12(1+1/\mu)",
    source="ours; OMP: Tropp (2004)",
    kind="tight",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(COHERENT, ORDERED),
    instances=_two(),
    nontrivial=lambda case: case.r > 1,
    conclusion=_conclusion,
    extremal={
        "one step finds the small one": _two(at=lambda mu: (1 / mu - 1) / 2),
        "one step misses it": _two(at=lambda mu: (1 / mu - 1) / 2),
    },
    controls=(
        Control(COHERENT.name, _two(low=0.35, high=0.45, at=lambda mu: 1.0), "OMP too picks the passive row"),
        Control(ORDERED.name, _two(at=lambda mu: 0.1), "the other row is the larger one"),
    ),
    proofs={
        "one step finds the small one": smt.implies(
            "one step up to the range", "all dictionaries, passive row by passive row", _finds
        ),
        "one step misses it": smt.implies("one step from it on", "all μ: the dictionary of equal products", _misses),
        ("OMP, first", "OMP, second"): smt.implies(
            "OMP at μ < 1/3", "all dictionaries, passive row by passive row", _pursuit
        ),
    },
    mutants=(
        Mutant("(1 + 1/μ)/2", theory.recoverable_range, lambda mu, *, ops=None: (1 + 1 / mu) / 2),
        Mutant("1/μ", theory.recoverable_range, lambda mu, *, ops=None: 1 / mu),
    ),
    note="Two reasons to look again: the values are biased (AT-5), and the small ones are lost behind the large.",
)
