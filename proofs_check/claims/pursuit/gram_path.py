"""MP-9: pursuit by rows of the Gram matrix is pursuit by residuals."""

from dataclasses import dataclass

import torch
from torch import Tensor

from proofs_check.claim import LOOPS, Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most, equal
from proofs_check.claims.pursuit.cases import Greedy, pursued
from proofs_check.engines import smt, symbolic
from proofs_check.instances.draw import numbers
from proofs_check.instances.inductions import STEPPED
from workbench.parts import pursuit
from workbench.theory import pursuit as theory


@dataclass(frozen=True, eq=False)
class ByGram(Greedy):
    """A pursuit done twice; `dtype` is what the Gram matrix is rounded to."""

    dtype: torch.dtype = torch.float64

    def __str__(self) -> str:
        return f"{super().__str__()}, Gram matrix in {self.dtype}"

    @property
    def by_gram(self) -> pursuit.Path:
        """The same steps by Gram rows."""
        return pursuit.matching_pursuit(self.x, self.rows, self.steps, select=self.select, gram=self.gram)

    @property
    def gram(self) -> Tensor:
        """Inner products of rows, rounded."""
        return (self.rows @ self.rows.T).to(self.dtype).double()

    @property
    def off(self) -> float:
        """Largest error of the Gram matrix, over its largest entry."""
        exact = self.rows @ self.rows.T
        return float((self.gram - exact).abs().max() / exact.abs().max())

    @property
    def gap(self) -> float:
        """Least distance of the best from the second best before a step that is taken, over |x|."""
        before = self.residuals[:, :-1][self.picked[0] != 0]
        c = before @ self.rows.T
        if len(self.rows) < 2 or not len(c):
            return 1.0
        best = (c.abs() if self.select == "abs" else c).topk(2, dim=1).values
        return float((best[:, 0] - best[:, 1]).min() / self.size.sqrt().max())


GAP = Hypothesis("no near tie: best and second best 1e-5 |x| apart", lambda case: max(0.0, 1e-5 - case.gap) * 1e5)
EXACT = Hypothesis("Gram matrix to 1e-9", lambda case: case.off)


def _conclusion(case: ByGram) -> dict[str, Part]:
    one, other, unit = case.path, case.by_gram, float(case.size.sqrt().max())
    steps = one.values.shape[1]
    index, value = other.indices[:, :steps], other.values[:, :steps]
    real = (one.values.abs() > 1e-6 * unit) | (value.abs() > 1e-6 * unit)
    c, (a, w) = case.residuals @ case.rows.T, case.picked
    updated = theory.correlation_after(c[:, :-1], a[..., None], w @ case.rows.T)
    return {
        "same picks": equal((one.indices * real).flatten(), (index * real).flatten()),
        "same increments": equal(value.flatten(), one.values.flatten(), unit=unit),
        "same residual": at_most((other.residual - one.residual).norm(dim=1), 0.0, unit=unit),
        "correlations": equal(c[:, 1:].flatten(), updated.flatten(), unit=unit),
    }


def _expand(symbols, ops):
    for d in (1, 2, 3):
        r, v, w, a = symbols(f"r:{d}"), symbols(f"v:{d}"), symbols(f"w:{d}"), symbols("a")
        c, product = _dot(v, r), _dot(v, w)
        yield _dot(v, [p - a * q for p, q in zip(r, w, strict=True)]), theory.correlation_after(c, a, product)


def _step(unknowns, ops):
    """After some steps c = <w_i, x> - sum_t a_t G_it; one more keeps it so."""
    c, first, taken, a, product = unknowns("c first taken a product")
    after = {"c": theory.correlation_after(c, a, product), "taken": taken + a * product}
    return smt.Invariant([c == first - taken], after, {"c": theory.correlation_after(first, 0, 1)})


def _dot(a, b):
    return sum(p * q for p, q in zip(a, b, strict=True))


def _make(case: Greedy) -> ByGram:
    return ByGram(case.rows, case.x, case.steps, case.select)


def _one(x, rows, steps, **settings) -> ByGram:
    return ByGram(torch.tensor(rows).double(), torch.tensor(x).double(), steps, **settings)


SCALES = torch.linspace(0.05, 0.15, 200)
ALIKE = [[1.0, 0, 0], [0.5, 0.1, 0.1], [0.5, -0.1, 0.2]]
SAMPLES = torch.stack((0 * SCALES + 1, SCALES, 2 * SCALES), 1)
TIED = numbers(0.5, 2).map(lambda t: _one((t * SAMPLES).tolist(), ALIKE, 2))
"""after the first step rows 1 and 2 correlate .3 s both"""

HALF = numbers(0.1, 1).map(lambda t: _one([[1.0, t]], [[1.0, 0], [0.6, 0.8]], 4, dtype=torch.float16))

CLAIM = Claim(
    id="MP-9",
    statement=(
        "Correlations after a step along w_j are c_i − aG_ij for rows of any norm, so pursuit by rows of the Gram "
        "matrix takes the steps that pursuit by residuals takes, where the best row is ahead by more than rounding."
    ),
    tex=r"Wr_{t+1}=Wr_t-a_tGe_{j_t}",
    source="Mallat and Zhang (1993), updating formula",
    stated="equivalent",
    kind="identity",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(GAP, EXACT),
    instances=pursued(norms=(0.2, 1.3)).map(_make).filter(lambda case: case.gap > 1e-5),
    conclusion=_conclusion,
    controls=(
        Control(GAP.name, TIED, "two rows tie in 200 samples: rounding decides"),
        Control(EXACT.name, HALF, "Gram matrix in float16"),
    ),
    proofs={
        LOOPS: symbolic.identity("⟨w_i, r − aw_j⟩", "d = 1..3, any norms", _expand),
        "correlations": (
            STEPPED,
            smt.induction("c = W r at every step", "all T, d, m: induction over steps", _step),
        ),
    },
    kernel={
        "correlations": "pursuit.product_after",
    },
    mutants=(
        Mutant("plus for minus", theory.correlation_after, lambda c, a, product: c + a * product),
        Mutant("G as the identity", theory.correlation_after, lambda c, a, product: c - a),
    ),
)
