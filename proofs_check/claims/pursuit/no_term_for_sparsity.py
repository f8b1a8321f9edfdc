"""MP-18: with a stop rule in place of a number of steps, rows that span x leave no more than tau, right or wrong."""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from hypothesis import strategies as st
from torch import Tensor

from proofs_check.claim import Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most, digits, edited, equal
from proofs_check.claims.pursuit.cases import IN_SPAN, UNIT, Greedy, Rule
from proofs_check.claims.pursuit.rate_of_convergence import ABS, ONE_STEP
from proofs_check.engines import smt, symbolic
from proofs_check.instances.draw import mixtures, numbers
from proofs_check.instances.inductions import PRODUCTS, STEPPED
from workbench.parts import pursuit
from workbench.theory import pursuit as theory

MOST = 3000
"""steps that a drawn tau may ask for"""


@dataclass(frozen=True, eq=False)
class Stopped:
    """A sample x (1, d), rows (m, d), a pursuit until |r| < tau."""

    rows: Tensor
    x: Tensor
    tau: float
    select: Rule = "abs"
    most: int | None = None
    """steps, where not as many as are enough"""
    on_repeat: bool = False
    """it stops where a row comes again, too"""

    def __str__(self) -> str:
        more = f", at most {self.most} steps" * (self.most is not None) + ", or on a repeat" * self.on_repeat
        return f"rows {digits(self.rows)}, x {digits(self.x)}, {self.select} until {self.tau:.4g}{more}"

    @cached_property
    def lowest(self) -> float:
        """λ: the least eigenvalue of WᵀW that is not 0."""
        values = torch.linalg.eigvalsh(self.rows @ self.rows.T)
        return float(values[values > 1e-12 * len(values)].min())

    @property
    def size(self) -> Tensor:
        """|x|²."""
        return self.x.square().sum(1)

    @property
    def enough(self) -> int:
        """Steps."""
        return math.ceil(theory.steps_enough(float(self.size), self.tau**2, self.lowest, len(self.rows)) - 1e-9)

    @cached_property
    def path(self) -> pursuit.Path:
        """The shipped pursuit."""
        steps = max(self.enough if self.most is None else self.most, 1)
        more = {"tol": self.tau, "stop_on_repeat": self.on_repeat}
        return pursuit.matching_pursuit(self.x, self.rows, steps, select=self.select, **more)

    @property
    def steps(self) -> Greedy:
        """The steps that it took, without a stop rule, and the one that would have moved nothing."""
        stalled = pursuit.REASONS[int(self.path.stopped)] == "nothing left"
        return Greedy(self.rows, self.x, int(self.path.steps) + stalled, self.select)


def _conclusion(case: Stopped) -> dict[str, Part]:
    left, taken = case.path.residual.square().sum(1), int(case.path.steps)
    first = pursuit.matching_pursuit(case.x, case.rows, 1, select=case.select).residual.square().sum(1)
    product = (case.x @ case.rows.T).abs().amax(1)
    share = theory.rate(case.lowest, len(case.rows)) ** taken
    return {
        "|r_T|² ≤ (1 − λ/m)^T|x|²": at_most(left, share * case.size, unit=case.size),
        "|r| ≤ τ": at_most(left.sqrt(), case.tau, unit=case.size.sqrt()),
        "after one step": equal(first, theory.energy_after(case.size, product, 1), unit=case.size),
    }


def _row(unknowns, ops):
    """A unit row more: <w, r>² ≤ |r|²."""
    r2, total, m, c2 = unknowns("r2 total m c2")
    return smt.Invariant([total <= m * r2], {"total": total + c2, "m": m + 1}, given=[r2 >= 0, c2 <= r2])


def _share(unknowns, ops):
    r2, total, m, lowest = unknowns("r2 total m lowest")
    given = [r2 > 0, m >= 1, lowest > 0, lowest * r2 <= total, total <= m * r2]
    return given, [theory.rate(lowest, m) >= 0, theory.rate(lowest, m) < 1]


def _step(unknowns, ops):
    left, after, x2, share, m, lowest = unknowns("left after x2 share m lowest")
    once = theory.rate(lowest, m)
    moved, start = {"left": after, "share": share * once}, {"left": x2, "share": 1}
    return smt.Invariant([left <= share * x2], moved, start, given=[m >= 1, once >= 0, after <= once * left])


def _bernoulli(unknowns, ops):
    share, t, m, lowest = unknowns("share t m lowest")
    s, once = lowest / m, theory.rate(lowest, m)
    says, after = [share >= 0, t >= 0, share * (1 + s * t) <= 1], {"share": share * once, "t": t + 1}
    return smt.Invariant(says, after, {"share": 1}, given=[m >= 1, lowest >= 0, once >= 0])


def _within(unknowns, ops):
    left, x2, share, t, m, lowest, tau = unknowns("left x2 share t m lowest tau")
    enough = theory.steps_enough(x2, tau * tau, lowest, m)
    given = [m >= 1, lowest > 0, tau > 0, x2 >= 0, t >= 0, t >= enough]
    given += [left <= share * x2, share * (1 + lowest / m * t) <= 1]
    return given, [left <= tau * tau]


def _first(symbols, ops):
    """From |x − aw|² by products, with a = ⟨w, x⟩ and |w| = 1."""
    x2, a = symbols("x2 a")
    yield x2 - 2 * a * a + a * a, theory.energy_after(x2, a, 1)


LARGEST = Hypothesis(ABS.name, lambda case: ABS.deviation(case.steps))
ENOUGH = Hypothesis("steps enough, whichever rows they take", lambda case: _missing(case))


def _missing(case: Stopped) -> float:
    """Share of the steps that are enough, but not taken, where it was not tau that stopped it."""
    stopped = pursuit.REASONS[int(case.path.stopped)]
    return 0.0 if stopped in ("tolerance", "nothing left") else max(0.0, 1 - int(case.path.steps) / case.enough)


def _after_one(rows: Tensor, x: Tensor) -> float:
    """|r| after a first step."""
    return max(0.0, float(x.square().sum() - (rows @ x[0]).square().max())) ** 0.5


@st.composite
def _stopped(draw):
    """Rows of any geometry, x in their span, tau from a sixth of |x| on, in reach of 3000 steps, and not of one."""
    mixture = draw(mixtures(n=(2, 6), d=(2, 4)))
    rows, x = mixture.rows, mixture.x
    if float(x.norm()) < 1e-3 * float(mixture.l1) or _after_one(rows, x) < 0.2 * float(x.norm()):
        x = rows[:1] + rows[(rows @ rows[0]).abs().argmin()] / 2
    size, most = float(x.norm()), (1 + MOST * Stopped(rows, x, 1.0).lowest / len(rows)) ** 0.5
    share, left = draw(numbers(1.1, 6)), _after_one(rows, x)
    if size / most >= 0.9 * left:  # rows too much alike
        return _plane(draw(TURNED), draw(numbers(0.1, 0.29)))
    return Stopped(rows, x, max(size / most, min(size / share, 0.9 * left)))


def _plane(angle: float, tau: float, **more) -> Stopped:
    """An orthonormal basis of the plane, turned, and x along the first axis."""
    c, s = math.cos(angle), math.sin(angle)
    rows = torch.tensor([[c, s], [-s, c]], dtype=torch.float64)
    return Stopped(rows, torch.tensor([[1.0, 0.0]], dtype=torch.float64), tau, **more)


def _leaning(g: float, tau: float, **more) -> Stopped:
    """Two unit rows with a product g, x = w_1 + w_2 / 2."""
    rows = torch.tensor([[1.0, 0.0], [g, (1 - g * g) ** 0.5]], dtype=torch.float64)
    return Stopped(rows, (rows[0] + rows[1] / 2)[None], tau, **more)


TURNED = numbers(0.3, 0.7)
CLAIM = Claim(
    id="MP-18",
    statement=(
        "For unit rows, right or wrong, with x in their span and the largest |c_j| picked, T steps leave at most "
        "(1 − λ/m)^T of |x|², so that (|x|²/τ² − 1)m/λ of them leave |r| ≤ τ: with the stop rule |r| < τ the loss asks "
        "for no dictionary, and falls to 0 with τ. What asks for one is a number of steps: one leaves |x|² − max c_j², "
        "0 only where x is along a row."
    ),
    tex=r"T\geq\Bigl(\frac{\|x\|^2}{\tau^2}-1\Bigr)\frac{m}{\lambda}\;\Rightarrow\;\|r_T\|\leq\tau",
    source="ours, of the stop rule in Costa et al. (2025), arXiv 2506.03093",
    kind="bound",
    promised=Verdict.PROVED,
    hypotheses=(UNIT, IN_SPAN, LARGEST, ENOUGH),
    instances=_stopped() | st.builds(_plane, TURNED, numbers(0.1, 0.29)),
    nontrivial=lambda case: case.path.steps.max() > 1,
    conclusion=_conclusion,
    controls=(
        Control(
            UNIT.name,
            numbers(0.1, 0.3).map(
                lambda t: Stopped(
                    t * torch.eye(2, dtype=torch.float64), torch.tensor([[1.0, 0.5]], dtype=torch.float64), 0.3
                )
            ),
            "short rows: steps take too little",
        ),
        Control(
            IN_SPAN.name,
            numbers(0.5, 2).map(
                lambda v: Stopped(
                    torch.eye(1, 2, dtype=torch.float64), torch.tensor([[1.0, v]], dtype=torch.float64), 0.3
                )
            ),
            "part of x outside of the span",
        ),
        Control(LARGEST.name, numbers(0.3, 0.8).map(lambda g: _leaning(g, 0.05, select="relu")), "relu stalls (MP-16)"),
        Control(ENOUGH.name, TURNED.map(lambda angle: _plane(angle, 0.2, most=1)), "one step by another basis"),
        Control(
            ENOUGH.name,
            numbers(0.5, 0.8).map(lambda g: _leaning(g, 0.01, on_repeat=True)),
            "the stop on a repeat: a number of steps again",
        ),
    ),
    proofs={
        ("|r_T|² ≤ (1 − λ/m)^T|x|²", "|r| ≤ τ"): (
            *ONE_STEP,
            PRODUCTS,
            smt.induction("|Wr|² ≤ m|r|²", "all m: induction over rows", _row),
            smt.implies("so that 0 ≤ 1 − λ/m < 1", "all m, d", _share),
            smt.induction("shares multiply", "all T: induction over steps", _step),
        ),
        "|r| ≤ τ": (
            smt.induction("(1 − s)^T(1 + sT) ≤ 1", "all T: induction over steps", _bernoulli),
            smt.implies("steps enough", "all T, m, τ", _within),
        ),
        "after one step": (STEPPED, symbolic.identity("one unit row taken", "all d, m", _first)),
    },
    mutants=(
        edited("m left out", theory.steps_enough, lambda f: lambda x2, left2, lowest, count: f(x2, left2, lowest, 1)),
        Mutant("twice as fast", theory.rate, lambda lowest, count: 1 - 2 * lowest / count),
        edited("twice the step", theory.energy_after, lambda f: lambda r2, a, w2: f(r2, 2 * a, w2)),
    ),
    note=(
        "The bound is far from what is needed, some log(|x|²/τ²) in place of |x|²/τ²; it takes no logarithm. The "
        "authors' rule also stops on a repeat, which is a number of steps in disguise."
    ),
)
