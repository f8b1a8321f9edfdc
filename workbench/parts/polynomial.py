"""Polynomial decoders of low rank: powers of shared projections, their coefficients, and the frame they need."""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from synthetic.base.errors import must
from synthetic.source import Codes
from workbench import kernels

Terms = Literal["full", "pure", "self"]
"""which monomials of a power of f u are kept: all, those of different latents, those of one latent"""


def power_sum(codes: Codes | Tensor, U: Float[Tensor, "*s m r"], q: int) -> Float[Tensor, "*s n r"]:
    """p_q = sum_i (f_i U_ir)^q, at the cost of a product f U."""
    raised = Codes(codes.indices, codes.values**q, codes.width) if isinstance(codes, Codes) else codes**q
    return kernels.decode(raised, U**q)


def power_terms(codes: Codes | Tensor, U: Float[Tensor, "*s m r"], q: int, terms: Terms) -> Float[Tensor, "*s n r"]:
    """Monomials of degree q in the latents, r of them.

    "full" is p_1^q, which holds powers of single latents too: with one active it bends its ray into a curve. "self" is
    p_q, those powers alone. "pure" is what is left without any repeated latent, q! times the q-th elementary symmetric
    polynomial of (f_i U_ir)_i, by Newton's identities: p_1^2 - p_2, p_1^3 - 3 p_1 p_2 + 2 p_3.

    Args:
        codes: latents f (*s, n, m).
        U: projections.
        q: 2 or 3.
        terms: which of them.

    Source: Newton's identities; Koromilas et al. (2026), arXiv 2602.01322, for "full"; the other two are ours.
    """
    if terms == "self":
        return power_sum(codes, U, q)
    p1 = power_sum(codes, U, 1)
    if terms == "full":
        return p1**q
    p2 = power_sum(codes, U, 2)
    return p1.square() - p2 if q == 2 else p1**3 - 3 * p1 * p2 + 2 * power_sum(codes, U, 3)


_TIMES: dict[Terms, dict[int, tuple[int, ...]]] = {
    "full": {2: (2, 1), 3: (6, 3, 0, 1)},
    "pure": {2: (2, 0), 3: (6, 0, 0, 0)},
    "self": {2: (0, 1), 3: (0, 0, 0, 1)},
}
"""how often a monomial of degree q occurs in `power_terms`, by how many pairs of its factors are the same latent"""


def coefficients(
    members: Int[Tensor, "t order"], U: Float[Tensor, "*s m r"], C: Float[Tensor, "*s r d"], q: int, terms: Terms
) -> Float[Tensor, "*s t d"]:
    """Coefficients of monomials in power_terms(f, U, q) C: of q different latents, q! sum_r prod_i U_ir c_r.

    Args:
        members: the q latents of each monomial; -1 stands for none, and rows with another number of latents get 0.
        U: projections.
        C: their rows.
        q: 2 or 3.
        terms: which monomials there are.
    """
    used = members >= 0
    product = torch.where(used[..., None], U[..., members.clamp_min(0), :], 1.0).prod(-2)
    same = (members[:, :, None] == members[:, None, :]) & used[:, :, None]
    pairs = ((same.sum((1, 2)) - used.sum(1)) // 2).clamp_max(len(_TIMES[terms][q]) - 1)
    times = torch.tensor(_TIMES[terms][q], device=members.device)[pairs] * (used.sum(1) == q)
    return times[:, None] * product @ C


def common_ranks(owner: str, wanted: Sequence[Int[Tensor, "*s"]], most: int) -> list[int]:
    """Ranks that all members share, the first at most `most` or that where 0, the others at most the first."""
    first = torch.where(wanted[0] == 0, most, wanted[0]).clamp_max(most)
    found = []
    for q, ranks in enumerate((first, *wanted[1:]), 1):
        kept = torch.minimum(ranks, first)
        good = bool(((ranks >= 0) & (kept == kept.view(-1)[0])).all())
        must(good, f"{owner}.rank{q}", "at least 0, the same for all members", ranks.tolist(), "make several stacks")
        found.append(int(kept.view(-1)[0]))
    return found


def orthonormal(U: Float[Tensor, "*s m r"]) -> Float[Tensor, "*s m r"]:
    """The factor Q of U = Q R, Q^T Q = I, diag R > 0: the frame of U's columns that keeps the first ones' spans.

    By Cholesky, R^T R = U^T U, which for columns that are nearly orthonormal already is as exact and several times
    faster; by Householder where they are not.
    """
    r, unit = U.shape[-1], torch.eye(U.shape[-1], dtype=U.dtype, device=U.device)
    lower = torch.linalg.cholesky_ex(U.mT @ U).L
    Q = torch.linalg.solve_triangular(lower.mT, U, upper=True, left=False)
    if bool(((Q.mT @ Q - unit).abs() < 16 * r * torch.finfo(U.dtype).eps).all()):  # never where Cholesky failed
        return Q
    Q, R = torch.linalg.qr(U)
    return Q * torch.where(R.diagonal(dim1=-2, dim2=-1) < 0, -1.0, 1.0)[..., None, :]
