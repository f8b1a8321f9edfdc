"""AUX-7: a decoder row that is a mixture of data is no longer than the longest of them."""

from dataclasses import dataclass

import torch
from hypothesis import strategies as st
from torch import Tensor

from proofs_check.claim import Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most, digits, equal
from proofs_check.engines import smt, symbolic
from proofs_check.instances.draw import numbers, rows_of
from workbench.theory import auxiliary as theory
from workbench.theory import coherence


@dataclass(frozen=True, eq=False)
class Hull:
    """Data (N, d), weights (m, N), a free part of each row (m, d)."""

    data: Tensor
    weights: Tensor
    free: Tensor

    def __str__(self) -> str:
        return f"data {digits(self.data)}, weights {digits(self.weights)}, free part {digits(self.free)}"

    @property
    def hull(self) -> Tensor:
        """Rows without their free part."""
        data = self.data.tolist()
        return torch.tensor([theory.hull_row(a, data) for a in self.weights.tolist()], dtype=torch.float64)


def _conclusion(case: Hull) -> dict[str, Part]:
    lengths, free = case.data.norm(dim=1), case.free.norm(dim=1)
    longest, rows = float(lengths.max()), case.hull
    unit = longest + 1e-12
    spread = [theory.hull_spread(a, case.data.tolist()) for a in case.weights.tolist()]
    squares = rows.square().sum(1) + torch.tensor(spread, dtype=torch.float64)
    bound = [theory.hull_bound(longest, part) for part in free.tolist()]
    return {
        "norm": at_most((rows + case.free).norm(dim=1), bound, unit=unit),
        "|d|²": equal(squares, case.weights @ lengths.square(), unit=unit**2),
        "spread ≥ 0": at_most(0.0, spread, unit=unit**2),
    }


def _variance(symbols, ops):
    """The last weight is 1 less the others."""
    for count, d in ((2, 3), (3, 2), (4, 1)):
        first = symbols(f"a:{count - 1}")
        weights, data = [*first, 1 - sum(first)], [symbols(f"x{n}_:{d}") for n in range(count)]
        mean = sum(a * coherence.square_norm(x) for a, x in zip(weights, data, strict=True))
        yield coherence.square_norm(theory.hull_row(weights, data)) + theory.hull_spread(weights, data), mean


def _one(unknowns, ops):
    p2, longest = unknowns("p2 longest")
    return [p2 <= longest * longest], [p2 <= longest * longest]


def _mixed(unknowns, ops):
    """A mixture p of some data, mixed with one more: |(1 - t) p + t x|² by products."""
    p2, x2, product, t, longest = unknowns("p2 x2 product t longest")
    square = longest * longest
    given = [p2 >= 0, x2 >= 0, p2 <= square, x2 <= square, t >= 0, t <= 1, 2 * product <= p2 + x2]
    return given, [(1 - t) * (1 - t) * p2 + 2 * t * (1 - t) * product + t * t * x2 <= square]


def _free(unknowns, ops):
    """|p + z|² <= (longest + |z|)², the product at most |p||z|; shipped bound."""
    p, z, product, longest = unknowns("p z product longest")
    bound = theory.hull_bound(longest, z)
    return [p >= 0, z >= 0, p <= longest, product <= p * z], [p * p + 2 * product + z * z <= bound * bound]


INSIDE = Hypothesis("weights at least 0", lambda case: (-case.weights).clamp_min(0).amax(1))
WHOLE = Hypothesis("weights that sum to 1", lambda case: (case.weights.sum(1) - 1).abs())


@st.composite
def _hulls(draw):
    """Some weights 0; half of the draws without a free part, as many rows as data or more."""
    n, d = draw(st.integers(2, 4)), draw(st.integers(1, 3))
    m = draw(st.integers(2, 5))
    data = draw(rows_of(st.integers(-3, 3), n, d))
    raw = draw(rows_of(st.integers(0, 3), m, n))
    free = draw(st.sampled_from([0.0, 0.5])) * draw(rows_of(numbers(-1, 1), m, d))
    return Hull(data, raw / raw.sum(1, keepdim=True), free)


def _mixing(weights: list[list[float]]) -> st.SearchStrategy[Hull]:
    """Two data, (1, 0) and (0, 1)."""
    data = torch.eye(2, dtype=torch.float64)
    return st.just(Hull(data, torch.tensor(weights, dtype=torch.float64), 0 * data))


@st.composite
def _longest(draw):
    """Every row the longest datum, with a free part along it."""
    case = draw(_hulls())
    best = int(case.data.norm(dim=1).argmax())
    weights = torch.zeros_like(case.weights)
    weights[:, best] = 1.0
    return Hull(case.data, weights, draw(numbers(0, 1)) * case.data[best].expand(len(weights), -1))


CLAIM = Claim(
    id="AUX-7",
    statement=(
        "A row d = Σ_n a_n x_n + z with a ≥ 0, Σa = 1 has |d| ≤ max_n|x_n| + |z|, attained at the longest datum; "
        "without z, |d|² = Σ_n a_n|x_n|² − Σ_n a_n|x_n − d|², so every true mixture is shorter than what it mixes."
    ),
    tex=r"\|\textstyle\sum_n a_nx_n+z\|\leq\max_n\|x_n\|+\|z\|",
    source="ours, convexity; the decoder: archetypal SAE, Fel et al. (2025), arXiv 2502.12892, as reported by readers",
    kind="tight",
    promised=Verdict.PROVED,
    hypotheses=(INSIDE, WHOLE),
    instances=_hulls(),
    conclusion=_conclusion,
    extremal={"norm": _longest()},
    controls=(
        Control(
            INSIDE.name, _mixing([[4, -3], [-3, 4]]), "weights 4 and −3: on the line through two data, not between them"
        ),
        Control(WHOLE.name, _mixing([[2, 0], [1, 1]]), "weights that sum to 2"),
    ),
    proofs={
        ("|d|²", "spread ≥ 0"): symbolic.identity("|d|² and the spread", "up to four data, d ≤ 3", _variance),
        "norm": (
            smt.induction("one more datum in the mixture", "all N, d: induction", _one, _mixed),
            smt.implies("the free part", "all d: by products", _free),
        ),
    },
    kernel={
        "norm": "factors.hull_bound",
        "|d|²": "factors.hull_spread",
        "spread ≥ 0": "factors.hull_spread",
    },
    mutants=(
        Mutant("the free part inside", theory.hull_bound, lambda longest, free: longest),
        Mutant("weights squared", theory.hull_row, lambda a, data: _row([v * v for v in a], data)),
        Mutant("distances, not squares", theory.hull_spread, lambda a, data: _spread(a, data) ** 0.5),
    ),
    note=(
        "Of norms of rows, not of the matrix: m rows may each be the longest datum. Weights that sum to less than 1 "
        "keep the bound. Rows scaled to norm 1 afterwards may leave the hull; where all data have norm 1 they do, "
        "unless they are data. It speaks of decoders whose rows are mixtures of data."
    ),
)

_row, _spread = theory.hull_row, theory.hull_spread
