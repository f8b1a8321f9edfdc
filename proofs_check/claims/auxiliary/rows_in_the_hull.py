"""AUX-7: a decoder row that is a mixture of data is no longer than the longest of them."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from hypothesis import strategies as st
from torch import Tensor

from proofs_check.claim import BESIDE, LOOPS, Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most, digits, equal
from proofs_check.engines import smt, symbolic
from proofs_check.instances.draw import mostly, numbers, rows_of
from proofs_check.instances.inductions import BILINEAR, PRODUCTS
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
        "at most the mean square": at_most(rows.square().sum(1), case.weights @ lengths.square(), unit=unit**2),
    }


def _variance(symbols, ops):
    """The last weight is 1 less the others."""
    for count, d in ((2, 3), (3, 2), (4, 1)):
        first = symbols(f"a:{count - 1}")
        weights, data = [*first, 1 - sum(first)], [symbols(f"x{n}_:{d}") for n in range(count)]
        mean = sum(a * coherence.square_norm(x) for a, x in zip(weights, data, strict=True))
        yield coherence.square_norm(theory.hull_row(weights, data)) + theory.hull_spread(weights, data), mean


def _datum(unknowns, ops):
    """|p + a x|² by products, one more datum of weight a: at most ((sum a) longest)²."""
    length, total, longest, a, x, product, longer = unknowns("length total longest a x product longer")
    given = [longest >= 0, a >= 0, x >= 0, x <= longest, longer >= 0]
    given += [product * product <= (length * length) * (x * x)]
    given += [longer * longer == length * length + 2 * a * product + a * a * x * x]
    says = [length >= 0, length <= total * longest, total >= 0]
    return smt.Invariant(says, {"length": longer, "total": total + a}, given=given)


def _free(unknowns, ops):
    """|p + z|² <= (longest + |z|)², the product at most |p||z|; shipped bound."""
    p, z, product, longest, whole, longer = unknowns("p z product longest whole longer")
    bound = theory.hull_bound(longest, z)
    given = [p >= 0, z >= 0, whole == 1, p <= whole * longest, product * product <= (p * p) * (z * z)]
    return [*given, longer >= 0, longer * longer == p * p + 2 * product + z * z], [longer <= bound]


def _part(unknowns, ops):
    """One more datum of weight a: |x - p|² = |x|² - 2 <x, p> + |p|²; `along` is <sum a x, p>, `weight` sum a."""
    spread, squares, along, weight, p2 = unknowns("spread squares along weight p2")
    a, x2, product, gap = unknowns("a x2 product gap")
    after = {"spread": spread + a * gap, "squares": squares + a * x2, "along": along + a * product}
    after["weight"] = weight + a
    return smt.Invariant([spread == squares - 2 * along + weight * p2], after, given=[gap == x2 - 2 * product + p2])


def _at_mean(unknowns, ops):
    spread, squares, along, weight, p2 = unknowns("spread squares along weight p2")
    given = [spread == squares - 2 * along + weight * p2, weight == 1, along == p2]
    return given, [p2 == squares - spread, ops.where(spread >= 0, p2, squares) <= squares]


def _share(unknowns, ops):
    spread, a, square = unknowns("spread a square")
    return smt.Invariant([spread >= 0], {"spread": spread + a * square}, given=[a >= 0, square >= 0])


INSIDE = Hypothesis("weights at least 0", lambda case: (-case.weights).clamp_min(0).amax(1))
WHOLE = Hypothesis("weights that sum to 1", lambda case: (case.weights.sum(1) - 1).abs())


@st.composite
def _hulls(draw):
    """Some weights 0; half of the draws without a free part, as many rows as data or more."""
    n, d = draw(st.integers(2, 4)), draw(st.integers(1, 3))
    m = draw(st.integers(2, 5))
    data = draw(rows_of(st.integers(-3, 3), n, d))
    raw = draw(mostly(rows_of(st.integers(1, 3), m, n), rows_of(st.integers(0, 3), m, n)))
    free = draw(st.sampled_from([0.0, 0.5])) * draw(rows_of(numbers(-1, 1), m, d))
    return Hull(data, raw / raw.sum(1, keepdim=True), free)


def _mixing(low: float, high: float, weights: Callable[[float], list[list[float]]]) -> st.SearchStrategy[Hull]:
    """Two data, (1, 0) and (0, 1), and weights by a number in between."""
    data = torch.eye(2, dtype=torch.float64)
    return numbers(low, high).map(lambda t: Hull(data, torch.tensor(weights(t), dtype=torch.float64), 0 * data))


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
        "without z, |d|² = Σ_n a_n|x_n|² − Σ_n a_n|x_n − d|², at most the weighted mean of the squares it mixes."
    ),
    tex=r"\|\textstyle\sum_n a_nx_n+z\|\leq\max_n\|x_n\|+\|z\|",
    source="ours, convexity; the decoder: archetypal SAE, Fel et al. (2025), arXiv 2502.12892, as reported by readers",
    kind="tight",
    promised=Verdict.PROVED,
    hypotheses=(INSIDE, WHOLE),
    instances=_hulls(),
    nontrivial=lambda case: ((case.weights > 0).sum(1) > 1).any(),
    conclusion=_conclusion,
    extremal={"norm": _longest()},
    controls=(
        Control(
            INSIDE.name,
            _mixing(0.5, 4, lambda t: [[1 + t, -t], [-t, 1 + t]]),
            "weights 4 and −3: on the line through two data, not between them",
        ),
        Control(WHOLE.name, _mixing(1.5, 3, lambda t: [[t, 0], [1, t - 1]]), "weights that sum to more than 1"),
    ),
    proofs={
        LOOPS: symbolic.identity("|d|² and the spread", "up to four data, d ≤ 3", _variance),
        ("|d|²", "at most the mean square"): (
            BILINEAR,
            smt.induction("Σ a|x − p|² for any p", "all N: induction", _part),
            smt.implies("at p = d and Σa = 1", "all N, d: by products", _at_mean),
        ),
        ("spread ≥ 0", "at most the mean square"): smt.induction(
            "a sum of squares with weights", "all N: induction", _share
        ),
        "norm": (
            BILINEAR,
            PRODUCTS,
            smt.induction("|Σ a_n x_n| ≤ Σa max|x_n|", "all N, d: induction over data", _datum),
            smt.implies("the free part", "all d: by products", _free),
        ),
    },
    kernel={"|d|²": "factors.hull_spread", BESIDE: "factors.hull_bound"},
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
