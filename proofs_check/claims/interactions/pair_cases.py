"""Products of pairs of latents, and decoders of squares that are to give them: what claims on rank are about."""

from dataclasses import dataclass

import torch
from hypothesis import strategies as st
from torch import Tensor

from proofs_check.claim import Hypothesis, digits
from proofs_check.instances.draw import SEEDS
from synthetic.base.streams import stream
from workbench.theory import interactions as theory


@dataclass(frozen=True, eq=False)
class PurePairs:
    """x = sum_q f_i f_j b_q over pairs, coded by x_hat = f W + C2 (f U)² on samples f (n, m)."""

    pairs: tuple[tuple[int, int], ...]
    targets: Tensor
    """b (P, d)"""
    U: Tensor
    C2: Tensor
    W: Tensor
    f: Tensor
    """samples (n, m)"""

    def __str__(self) -> str:
        shown = f"pairs {self.pairs}, b {digits(self.targets)}, U {digits(self.U)}, C2 {digits(self.C2)}"
        return f"{shown}, W {digits(self.W)}, f {digits(self.f)}"

    @property
    def columns(self) -> int:
        """R2."""
        return self.U.shape[1]

    @property
    def error(self) -> float:
        """Largest |x - x_hat| on the samples, by the closed form of the decoder's square."""
        U, C2 = self.U.tolist(), self.C2.tolist()
        square = torch.tensor([theory.degree_part(row, U, C2, 2) for row in self.f.tolist()], dtype=torch.float64)
        first, second = (self.f[:, [pair[end] for pair in self.pairs]] for end in (0, 1))
        return float(((first * second) @ self.targets - self.f @ self.W - square).norm(dim=1).max())

    @property
    def seen(self) -> int:
        """Rank of the monomials of degree 1 and 2 on the samples, short of their number."""
        i, j = torch.triu_indices(self.f.shape[1], self.f.shape[1])
        monomials = torch.cat((self.f, self.f[:, i] * self.f[:, j]), 1)
        return monomials.shape[1] - int(torch.linalg.matrix_rank(monomials))


VARYING = Hypothesis("samples tell monomials of degree 1 and 2 apart", lambda case: case.seen)
NONZERO = Hypothesis("targets other than 0", lambda case: int((case.targets.norm(dim=1) == 0).sum()))
DISJOINT = Hypothesis("disjoint pairs", lambda case: 2 * len(case.pairs) - len({i for p in case.pairs for i in p}))


@st.composite
def pure_pairs(draw: st.DrawFn, spare: int = 2) -> PurePairs:
    """Two columns a pair, and up to `spare` that do nothing."""
    count, extra = draw(st.integers(1, 3)), draw(st.integers(0, spare))
    m = 2 * count + extra
    rng = stream(draw(SEEDS), "claim")
    targets = torch.randint(1, 4, (count, draw(st.integers(1, 3))), generator=rng).double()
    U = torch.eye(m, dtype=torch.float64)
    U[: 2 * count, : 2 * count] = torch.tensor(theory.pair_columns(count), dtype=torch.float64)
    C2 = torch.zeros(targets.shape[1], m, dtype=torch.float64)
    C2[:, 0 : 2 * count : 2], C2[:, 1 : 2 * count : 2] = targets.T / 2, -targets.T / 2
    f = torch.rand(2 * m * (m + 3), m, generator=rng, dtype=torch.float64) + 0.5
    pairs = tuple((2 * q, 2 * q + 1) for q in range(count))
    return PurePairs(pairs, targets, U, C2, torch.zeros(m, targets.shape[1], dtype=torch.float64), f)


def binary(count: int) -> PurePairs:
    """Latents in {0, 1}: one column a pair, (f_i + f_j)²/2 - (f_i + f_j)/2 = f_i f_j."""
    m = 2 * count
    U = torch.zeros(m, count, dtype=torch.float64)
    for q in range(count):
        U[2 * q : 2 * q + 2, q] = 0.5**0.5
    eye = torch.eye(count, dtype=torch.float64)
    f = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * m)
    pairs = tuple((2 * q, 2 * q + 1) for q in range(count))
    return PurePairs(pairs, eye, U, eye.clone(), -eye.repeat_interleave(2, 0) / 2, f)
