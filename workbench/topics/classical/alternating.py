"""Learners of our own: codes by orthogonal matching pursuit and rows in turn; and rows that nobody learned."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from synthetic.base.streams import stream
from workbench.parts.pursuit import orthogonal_matching_pursuit
from workbench.ratios import unit_rows
from workbench.topics.classical.shelf import learner
from workbench.variants import create

ROUNDS = 15
"""of codes and rows"""
Update = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
"""x, codes (n, m) and rows -> rows, and what is then left of x"""


def first_rows(x: Float[Tensor, "n d"], m: int, seed: int) -> Float[Tensor, "m d"]:
    """Samples, made unit, that alternation starts from."""
    return unit_rows(x[torch.randperm(len(x), generator=stream(seed, "classical"))[:m]])


def _alternate(x: Float[Tensor, "n d"], m: int, k: int, seed: int, update: Update) -> Float[Tensor, "m d"]:
    """Codes of at most k positive picks, then rows; a row that no sample uses starts anew from one coded badly."""
    rows = first_rows(x, m, seed)
    for _ in range(ROUNDS):
        f = orthogonal_matching_pursuit(x, rows, k, select="positive").codes(m).dense().clamp_min(0)
        unused = (f == 0).all(0).nonzero().squeeze(1)
        rows, left = update(x, f, rows)
        worst = left.square().sum(1).topk(len(unused)).indices
        rows[unused] = unit_rows(left[worst])
    return rows


@learner(most=20_000)
def mod(x: Float[Tensor, "n d"], m: int, k: int, seed: int) -> Float[Tensor, "m d"]:
    """Method of optimal directions: rows (f^T f)^-1 f^T x, all at once.

    Source: Engan, Aase, Husoy (1999). Differs: codes are nonnegative, as those of SAEs.
    """

    def update(x: Tensor, f: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        new = torch.linalg.solve(f.mT @ f + 1e-6 * len(x) * torch.eye(m), f.mT @ x)
        return unit_rows(new), x - f @ new

    return _alternate(x, m, k, seed, update)


@learner(most=20_000)
def k_svd(x: Float[Tensor, "n d"], m: int, k: int, seed: int) -> Float[Tensor, "m d"]:
    """K-SVD: a row and its codes at a time, to fit best what the others leave of the samples that use it.

    Source: Aharon, Elad, Bruckstein (2006); one power step in place of an SVD, Rubinstein, Zibulevsky, Elad (2008).
    Differs: codes are nonnegative, as those of SAEs.
    """

    def update(x: Tensor, f: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        left = x - f @ rows
        for j in range(m):
            users = f[:, j].nonzero().squeeze(1)
            if len(users):
                part = left[users] + torch.outer(f[users, j], rows[j])
                rows[j : j + 1] = unit_rows(f[users, j][None] @ part)
                left[users] = part - torch.outer((part @ rows[j]).clamp_min(0), rows[j])
        return rows, left

    return _alternate(x, m, k, seed, update)


@learner(most=1_000_000)
def frozen_random(x: Float[Tensor, "n d"], m: int, k: int, seed: int) -> Float[Tensor, "m d"]:
    """Random rows that know nothing of x, those of the variant `frozen_decoder` as its seed draws them.

    Source: Korznikov et al. (2026), arXiv 2602.14111.
    """
    return create("frozen_decoder", x.shape[1], m, k=k, seed=seed).W_dec.detach()
