"""Penalties on latents and on rows, each of a named method; they go with every encoder."""

# ruff: noqa: D102 (overrides inherit theirs)

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from workbench.parts.base import Pass, Sizes, Term, drawn
from workbench.parts.objectives import objective
from workbench.parts.selections import must_be_same
from workbench.ratios import unit_rows
from workbench.settings import Count, NonNegative


@objective("elastic")
class ElasticNet(Term):
    """l1 |f|_1 + l2 |f|_2^2, mean over rows; of a gated encoder its gates, of one with a low-rank part the sparse part.

    l2 > 0 makes the code of given rows unique and Lipschitz in x: least squares plus this is strongly convex in f.

    Source: Zou and Hastie (2005), elastic net; as a penalty of SAEs the adaptive elastic net SAE, arXiv 2605.05341.
    Differs: that one weighs |f_i| by a running pilot, here all latents weigh alike.
    """

    name = "elastic"
    sparse = warmed = True
    l1: Tensor
    l2: Tensor

    def __init__(self, stack: Sizes, l1: NonNegative = 1.0, l2: NonNegative = 0.1) -> None:
        super().__init__()
        self.keep(l1=stack.real(l1), l2=stack.real(l2))

    def forward(self, out: Pass) -> Float[Tensor, "*s"]:
        f = out.coded.penalised()
        return self.l1 * f.abs().sum(-1).mean(-1) + self.l2 * f.square().sum(-1).mean(-1)


@objective("orthogonal")
class Orthogonality(Term):
    """weight times the mean over rows w_i of max_j cos(w_i, w_j)^2, j another row of the same chunk.

    Chunks are of at most `size` latents, as equal as can be, and drawn anew every step, so that the cost is m size d in
    place of m^2 d. The mean over m > d rows in one chunk is at least (m - d) / (d (m - 1)) (Welch), attained by an
    equiangular tight frame.

    Source: Korznikov et al. (2025), OrtSAE, arXiv 2509.22033, as reported by readers; weight and size are ours.
    """

    name = "orthogonal"
    weight: Tensor
    size: Tensor
    steps: Tensor
    seed: Any
    shape: tuple[int, ...]
    names = {"steps": "orthogonal.steps"}  # noqa: RUF012

    def __init__(self, stack: Sizes, weight: NonNegative = 1.0, size: Count = 4096) -> None:
        super().__init__()
        self.keep(weight=stack.real(weight), size=stack.tensor(size), seed=stack.seed, shape=stack.shape)
        must_be_same(stack, "size", self.size)
        self.register_buffer("steps", stack.zeros())

    def forward(self, out: Pass) -> Float[Tensor, "*s"]:
        rows = unit_rows(out.decoder.rows)
        chunks = -(-rows.shape[-2] // int(self.size.reshape(-1)[0]))
        if chunks > 1:
            rows = rows.take_along_dim(self.order(rows.shape[-2]).to(rows.device)[..., None], -2)
        worst = [nearest(chunk) for chunk in rows.tensor_split(chunks, dim=-2)]
        return self.weight * torch.cat(worst, -1).mean(-1)

    def order(self, m: int) -> Tensor:
        """The order of this step in which latents fall into chunks, (*s, m)."""
        step = int(self.steps.reshape(-1)[0])
        return drawn(self.seed, self.shape, f"chunks {step}", lambda rng: torch.randperm(m, generator=rng))

    def after_step(self, out: Pass) -> None:
        """Count, so that the next chunks are others."""
        self.steps += 1


def nearest(rows: Float[Tensor, "*s m d"]) -> Float[Tensor, "*s m"]:
    """max_{j != i} <w_i, w_j>^2 of each row; 0 where it is alone."""
    squares = (rows @ rows.mT).square()
    return squares.masked_fill(torch.eye(rows.shape[-2], dtype=torch.bool, device=rows.device), 0.0).amax(-1)
