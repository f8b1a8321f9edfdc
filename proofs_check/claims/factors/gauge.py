"""SN-8: the gauge of a factorisation: scales and order change neither the loss nor the mask nor the steps."""

from dataclasses import dataclass, field

import torch
from hypothesis import strategies as st
from torch import Tensor

from proofs_check.claim import Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most, digits, edited, equal
from proofs_check.claims.factors.cases import CODES, Factors, factors, signed
from proofs_check.engines import symbolic
from workbench.parts import semi_nmf
from workbench.theory import factors as theory


@dataclass(frozen=True, eq=False)
class Moved(Factors):
    """Factors, a scale for each row and an order of them."""

    scales: Tensor = field(default_factory=lambda: torch.ones(0))
    order: Tensor = field(default_factory=lambda: torch.zeros(0))

    def __str__(self) -> str:
        return f"{super().__str__()}, scales {digits(self.scales)}, order {self.order.tolist()}"


def _conclusion(case: Moved) -> dict[str, Part]:
    x = case.x + 0.1
    codes, rows = theory.rescaled(case.codes.tolist(), case.rows.tolist(), case.scales.tolist())
    codes, rows = (torch.tensor(t, dtype=torch.float64) for t in (codes, rows))
    codes, rows = codes[:, case.order], rows[case.order]
    kept = semi_nmf.winner_take_all(case.rows, 0.5) != 0
    step, other = semi_nmf.code_step(x, case.codes, case.rows), semi_nmf.code_step(x, codes, rows)
    unit = 1 + step.abs().max()
    return {
        "J": equal(case.error(codes, rows), case.error(), unit=case.size),
        "f ≥ 0": at_most(0.0, codes.min()),
        "the mask": equal((semi_nmf.winner_take_all(rows, 0.5) != 0).flatten(), kept[case.order].flatten()),
        "a step of the codes": equal(
            (other * case.scales[case.order]).flatten(), step[:, case.order].flatten(), unit=unit
        ),
    }


def _same(symbols, ops):
    """The product, and the pulls: both of code j grow by c_j, so that their ratio stays."""
    for m in (1, 2, 3):
        c = symbols(f"c:{m}", positive=True)
        codes, rows = [symbols(f"f:{m}")], [symbols(f"w{j}_:2") for j in range(m)]
        (one,), (other,) = theory.product(codes, rows), theory.product(*theory.rescaled(codes, rows, c))
        yield from zip(one, other, strict=True)
        for _, f, p, q in signed(symbols, m, few=m == 3):
            larger = [a * v for a, v in zip(c, p, strict=True)]
            products = [[c[i] * c[j] * q[i][j] for j in range(m)] for i in range(m)]
            fewer = [v / a for v, a in zip(f, c, strict=True)]
            pairs = zip(theory.pulls(fewer, larger, products, ops=ops), theory.pulls(f, p, q, ops=ops), c, strict=True)
            for moved, own, a in pairs:
                yield from ((v, a * u) for v, u in zip(moved, own, strict=True))


SCALES = Hypothesis("scales above 0", lambda case: float(case.scales.min() <= 0))


@st.composite
def _cases(draw):
    case = draw(factors())
    m = len(case.rows)
    scales = draw(st.lists(st.sampled_from([1.0, 0.25, 2.0, 8.0]), min_size=m, max_size=m))
    order = draw(st.permutations(range(m)))
    return _moved(case.codes, case.rows, scales, order)


def _moved(codes, rows, scales, order):
    one = Factors.exact(codes, rows)
    return Moved(one.codes, one.rows, one.x, 1.0, torch.tensor(scales, dtype=torch.float64), torch.tensor(order))


EYE = [[1.0, 0], [0, 2]]

CLAIM = Claim(
    id="SN-8",
    statement=(
        "Codes f_j/c_j with rows c_j w_j, c > 0, in any order: the same product and J, the same entries kept by "
        "winner-take-all, and the same step of the codes up to the same scales and order."
    ),
    tex=r"fW=(fC^{-1}\Pi)(\Pi^TCW)",
    source="ours; the published code moves norms of the codes to the rows by it",
    kind="identity",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(SCALES, CODES),
    instances=_cases(),
    conclusion=_conclusion,
    controls=(
        Control(SCALES.name, st.just(_moved([[1.0, 1]], EYE, [1.0, -1], [0, 1])), "a negative scale: a code below 0"),
        Control(CODES.name, st.just(_moved([[-1.0, 1]], EYE, [1.0, 2], [0, 1])), "a code below 0 stays below"),
    ),
    proofs={
        ("J", "a step of the codes"): symbolic.identity(
            "product and pulls", "m ≤ 3, patterns of signs, all c > 0", _same
        )
    },
    kernel={
        "J": "factors.scale_gauge",
    },
    mutants=(
        edited(
            "rows alone", theory.rescaled, lambda true: lambda f, rows, c: ([list(r) for r in f], true(f, rows, c)[1])
        ),
        edited(
            "codes multiplied",
            theory.rescaled,
            lambda true: lambda f, rows, c: (true(f, rows, [1 / v for v in c])[0], rows),
        ),
        Mutant(
            "largest of the matrix",
            semi_nmf.winner_take_all,
            lambda rows, share: rows * (rows.abs() >= rows.abs().median()),
        ),
    ),
)
