"""PO-5: a linear SAE represents products too, at the price of an atom and an active latent each."""

from dataclasses import dataclass

import torch
from hypothesis import strategies as st
from torch import Tensor

from proofs_check.claim import Claim, Control, Hypothesis, Mutant, Part, Verdict, digits, equal
from proofs_check.engines import symbolic
from proofs_check.instances.draw import SEEDS, numbers, usually
from proofs_check.instances.mixture import overlapping
from synthetic.base.streams import stream
from synthetic.laws.directions import unit
from workbench.theory import coherence
from workbench.theory import interactions as theory


@dataclass(frozen=True, eq=False)
class Composed:
    """x = hV + gain sum_q h_{2q} h_{2q+1} b_q + rest, with V and b one below the other in `rows`."""

    rows: Tensor
    h: Tensor
    pairs: int
    gain: float
    rest: Tensor

    def __str__(self) -> str:
        return f"rows V, b {digits(self.rows)}, h {digits(self.h)}, gain {self.gain:g}, rest {digits(self.rest)}"

    @property
    def code(self) -> Tensor:
        """(h, the products)."""
        first, second = self.h[: 2 * self.pairs : 2], self.h[1 : 2 * self.pairs : 2]
        return torch.cat((self.h, self.gain * first * second))

    @property
    def x(self) -> Tensor:
        """As above."""
        return self.code @ self.rows + self.rest


def _conclusion(case: Composed) -> dict[str, Part]:
    rows, gram = case.rows, coherence.gram(case.rows.tolist())
    if torch.linalg.matrix_rank(rows) == len(rows):
        read = torch.tensor(theory.dual_code((rows @ case.x).tolist(), gram), dtype=torch.float64)
    else:
        read = case.x @ torch.linalg.pinv(rows)
    both = ((case.h[: 2 * case.pairs : 2] != 0) & (case.h[1 : 2 * case.pairs : 2] != 0)).sum()
    unit_ = float(case.code.abs().max())
    return {
        "read": equal(read, case.code, unit=unit_),
        "exact": equal(read @ rows, case.x, unit=unit_),
        "active": equal(float((read.abs() > 1e-6 * unit_).sum()), float((case.h != 0).sum() + both)),
    }


def _dual(symbols, ops):
    """G^-1 (G z) = z, by the shipped elimination."""
    for n in (1, 2, 3):
        z = symbols(f"z:{n}")
        gram = [[symbols(f"g{max(i, j)}{min(i, j)}") if i != j else 1 for j in range(n)] for i in range(n)]
        products = [sum(g * value for g, value in zip(row, z, strict=True)) for row in gram]
        yield from zip(theory.dual_code(products, gram), z, strict=True)


INDEPENDENT = Hypothesis("V and b independent", lambda case: len(case.rows) - int(torch.linalg.matrix_rank(case.rows)))
EXACT = Hypothesis("x = hV + Σ g h_i h_j b_q", lambda case: case.rest.abs().max())


@st.composite
def _composed(draw, inside=False, rest=0.0):
    pairs, extra = draw(st.integers(1, 2)), draw(st.integers(0, 1))
    n = 2 * pairs + extra
    d = n + pairs + draw(st.integers(0, 2))
    rng = stream(draw(SEEDS), "claim")
    rows = torch.eye(n + pairs, d, dtype=torch.float64)
    if draw(usually()):
        rows = unit(rows + 0.3 * torch.randn(n + pairs, d, generator=rng, dtype=torch.float64) / d**0.5)
    if inside:
        rows[n:] = unit(rows[: 2 * pairs : 2] + rows[1 : 2 * pairs : 2])
    value = st.just(0.0) | numbers(0.5, 2).map(lambda v: max(v, 0.5))
    h = torch.tensor(draw(st.lists(value, min_size=n, max_size=n)), dtype=torch.float64)
    h[:2] = h[:2].clamp_min(1.0)
    return Composed(rows, h, pairs, draw(st.sampled_from([1.5, -1.0])), torch.full((d,), rest, dtype=torch.float64))


CLAIM = Claim(
    id="PO-5",
    statement=(
        "x = hV + Σ_q g h_i h_j b_q with V and the b_q independent: the linear decoder of rows V, b and the linear "
        "dual encoder G⁻¹ read h and g h_i h_j exactly. The price is one latent a product, and one more active where "
        "both parts are: a polynomial decoder saves budget, not representability."
    ),
    tex=r"x=hV+g\,h_ih_jb\;\Rightarrow\;(h,\,g\,h_ih_j)=x\,\tilde V^\top,\quad\tilde V=G^{-1}\binom{V}{b}",
    source="ours; against the argument of Koromilas et al. (2026), arXiv 2602.01322, from additivity",
    kind="identity",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(INDEPENDENT, EXACT),
    instances=_composed(),
    nontrivial=lambda case: overlapping(case.rows),
    conclusion=_conclusion,
    controls=(
        Control(INDEPENDENT.name, _composed(inside=True), "b within span(V): no linear encoder tells them apart"),
        Control(EXACT.name, _composed(rest=0.5), "something else in x"),
    ),
    proofs={
        ("read", "exact"): symbolic.identity(
            "the dual rows read every code", "n + P ≤ 3, any products of unit rows", _dual
        )
    },
    kernel=dict.fromkeys(("read", "exact"), "factors.dual_code"),
    mutants=(
        Mutant("tied rows", theory.dual_code, lambda products, gram: list(products)),
        Mutant(
            "diagonal alone",
            theory.dual_code,
            lambda products, gram: [p / row[0] for p, row in zip(products, gram, strict=True)],
        ),
    ),
    note=(
        "How many are active is counted. Ridge and sparsity leave the dual encoder to training; what trained ones do "
        "is PO-9."
    ),
)
