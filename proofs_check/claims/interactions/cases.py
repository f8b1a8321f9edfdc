"""Polynomial decoders of low rank, their linear parts, codes for them: what the claims on interactions are about."""

from dataclasses import dataclass
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor

from proofs_check.claim import Hypothesis, digits
from proofs_check.instances.draw import SEEDS, numbers
from synthetic.base.streams import stream
from workbench.theory import interactions as theory


@dataclass(frozen=True, eq=False)
class Polynomial:
    """A code f (m,), U (m, R1), C1 (d, R1), C2 (d, R2), C3 (d, R3), scales 1, l2, l3, a bias (d,)."""

    f: Tensor
    U: Tensor
    C: tuple[Tensor, ...]
    scales: tuple[float, ...]
    bias: Tensor

    def __str__(self) -> str:
        shown = ", ".join(f"C{q} {digits(c)}" for q, c in enumerate(self.C, 1))
        return f"f {digits(self.f)}, U {digits(self.U)}, {shown}, scales {self.scales}, b_dec {digits(self.bias)}"

    @property
    def nontrivial(self) -> bool:
        """Two latents or more are active."""
        return int(self.f.count_nonzero()) > 1

    @property
    def lists(self) -> tuple[Any, ...]:
        """f, U, C, scales, bias as the closed forms take them."""
        return self.f.tolist(), self.U.tolist(), [c.tolist() for c in self.C], list(self.scales), self.bias.tolist()

    @property
    def x_hat(self) -> list[float]:
        """By the closed form."""
        return theory.decode(*self.lists)

    @property
    def size(self) -> float:
        """Of x_hat and of its parts."""
        a = (self.f.abs() @ self.U.abs()).clamp_min(1.0)
        return 1.0 + float(sum((c.abs() @ a[: c.shape[1]] ** q).max() for q, c in enumerate(self.C, 1)))


@dataclass(frozen=True, eq=False)
class Factored:
    """A matrix W (m, d) to be the linear part, R1 columns, scale of the square.

    Beside them samples (n, d) of zero mean, the columns orthogonal and of sizes that differ; orthonormal columns to
    project on, `image` (d, R1).
    """

    W: Tensor
    rank: int
    scale: float
    f: Tensor
    samples: Tensor
    image: Tensor

    def __str__(self) -> str:
        given = f"W {digits(self.W)}, R1 = {self.rank}, λ2 = {self.scale:g}, f {digits(self.f)}"
        return f"{given}, samples {digits(self.samples)}, image {digits(self.image)}"

    @property
    def factors(self) -> tuple[Tensor, Tensor]:
        """U and C1 of the QR of W, its first R1 columns moved in front of the rest."""
        Q, R = torch.linalg.qr(self.W)
        return Q[:, : self.rank], R[: self.rank].T

    @property
    def shares(self) -> tuple[Tensor, Tensor]:
        """Principal variances of the samples, and the share of each axis within the image."""
        values, axes = torch.linalg.eigh(self.samples.T @ self.samples / len(self.samples))
        return values.clamp_min(0), (self.image.T @ axes).square().sum(0)


ORTHONORMAL = Hypothesis("orthonormal U", lambda case: off_orthonormal(case.U))


def off_orthonormal(U: Tensor) -> float:
    """Largest entry of U^T U - I, less rounding."""
    return max(0.0, float((U.T @ U - torch.eye(U.shape[1], dtype=U.dtype)).abs().max()) - 1e-10)


def orthonormal(m: int, columns: int, seed: int) -> Tensor:
    """Random orthonormal columns (m, columns)."""
    return torch.linalg.qr(torch.randn(m, columns, generator=stream(seed, "claim"), dtype=torch.float64)).Q


@st.composite
def polynomials(
    draw: st.DrawFn,
    sizes: tuple[int, int] = (2, 5),
    *,
    order: int = 3,
    equal_ranks: bool = False,
    spare: int = 0,
    bias: bool = True,
    dense: bool = False,
) -> Polynomial:
    """A small decoder.

    Args:
        draw: given by Hypothesis.
        sizes: least and largest number of latents.
        order: highest degree.
        equal_ranks: R1 = R2 = R3.
        spare: columns at least that degree 1 has beyond degree 2.
        bias: draw one other than 0.
        dense: no latent is 0.
    """
    m = draw(st.integers(*sizes))
    ranks = [draw(st.integers(1 + spare, m))]
    ranks.append(ranks[0] if equal_ranks else draw(st.integers(1, ranks[0] - spare)))
    ranks.append(ranks[1] if equal_ranks else draw(st.integers(1, ranks[1])))
    d = draw(st.integers(1, 3))
    table = draw(st.integers(0, 99))

    def array(name: str, *shape: int) -> Tensor:
        """Whole numbers other than 0; one draw for all of them, since values one by one shrink slowly."""
        sign = torch.randint(0, 2, shape, generator=stream(table, f"{name} sign")) * 2 - 1
        return (sign * torch.randint(1, 4, shape, generator=stream(table, name))).double()

    value = numbers(0.2, 2).map(lambda v: max(v, 0.2))
    value = value if dense else st.just(0.0) | st.sampled_from([1.0, -1.0, 2.0]) | value
    f = torch.tensor(draw(st.lists(value, min_size=m, max_size=m)), dtype=torch.float64)
    U = orthonormal(m, ranks[0], draw(SEEDS)) if draw(st.booleans()) else torch.eye(m, ranks[0], dtype=torch.float64)
    C = tuple(array(f"C{q}", d, r) for q, r in enumerate(ranks[:order], 1))
    scales = (1.0, -0.5, 0.5)[:order]
    shift = array("bias", d) if bias else torch.zeros(d, dtype=torch.float64)
    return Polynomial(f, U, C, scales, shift)
