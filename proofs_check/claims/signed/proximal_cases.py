"""Activations as proximal maps: what each one minimises, prox_R(u) = argmin_z |z - u|^2 / 2 + R(z).

An encoder f = prox_R(x W_enc + b_enc) is one step of length 1 of proximal gradient descent on |x - z W|^2 / 2 + R(z)
from z = 0, with its own weights in the place of W^T: to choose an activation is to choose R. From a z that R allows
(counts: at most k nonzeros; nonnegative where R asks it), with a step s <= 1 / lambda_max(W W^T),
z <- prox_{sR}(z - s (z W - x) W^T) never raises that objective; s = 1 may diverge.

Source: Moreau (1962); Zhu, Khalili, Zhu (2025), arXiv 2510.00404, lemma 1. Checked by brute force over supports.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from synthetic.source import Codes
from workbench.parts.sparsifiers import abs_top_k, group_soft_threshold, hard_threshold, soft_threshold, top_k


@dataclass(frozen=True)
class Proximal:
    """A regulariser R and its proximal map, both with a strength: the weight lam of R, or the count k it allows."""

    prox: Callable[[Tensor, float | int], Tensor]
    """(u (*b, n, m), strength) -> argmin_z |z - u|^2 / 2 + R(z), one of them where there are several"""
    penalty: Callable[[Tensor, float | int], Tensor]
    """(z (*b, n, m), strength) -> R(z), (*b, n), infinite where z is ruled out"""
    known_as: str
    """what the activation is called where SAEs are trained"""
    convex: bool = False
    """R is convex, so that prox is single-valued and |prox(u) - prox(v)| <= |u - v|"""
    counts: bool = False
    """the strength is a count k, and s R = R for every step s > 0; else it is a weight, and s R has weight s lam"""

    def objective(self, z: Tensor, u: Tensor, strength: float | int) -> Float[Tensor, "*b n"]:
        """What prox minimises over z: |z - u|^2 / 2 + R(z)."""
        return (z - u).square().sum(-1) / 2 + self.penalty(z, strength)

    def after(self, strength: float | int, step: float) -> float | int:
        """The strength of step R, for a step of that length."""
        return strength if self.counts else step * strength


def _dense(codes: Codes | Tensor) -> Tensor:
    return codes.dense() if isinstance(codes, Codes) else codes


def _ruled_out(z: Tensor, ruled_out: Tensor) -> Tensor:
    return torch.where(ruled_out, torch.inf, 0.0).to(z.dtype)


def _l0(z: Tensor) -> Tensor:
    return (z != 0).sum(-1).to(z.dtype)


def _positive(z: Tensor) -> Tensor:
    """0 where all entries are nonnegative, else infinity."""
    return _ruled_out(z, (z < 0).any(-1))


def _count(k: float | int, u: Tensor) -> Tensor:
    return torch.full(u.shape[:-2], int(k), dtype=torch.long, device=u.device)


def group_l1(size: int) -> Proximal:
    """lam sum_g |z_g|_2 over groups of `size` consecutive entries: u_g max(1 - lam / |u_g|, 0), all of a group or none.

    *Proof.* For a given length r of z_g the best z_g lies along u_g; then (r - |u_g|)^2 / 2 + lam r is least at
    r = max(|u_g| - lam, 0). By Moreau's decomposition u_g - prox(u_g) is the projection on the ball of radius lam.

    Source: Yuan and Lin (2006).
    """
    return Proximal(
        lambda u, lam: group_soft_threshold(u, lam, size),
        lambda z, lam: lam * z.unflatten(-1, (-1, size)).norm(dim=-1).sum(-1),
        "block soft threshold (group lasso)",
        convex=True,
    )


PROXIMAL: dict[str, Proximal] = {
    "l1": Proximal(soft_threshold, lambda z, lam: lam * z.abs().sum(-1), "soft threshold (ISTA)", convex=True),
    "nonnegative_l1": Proximal(
        lambda u, lam: soft_threshold(u, lam, nonnegative=True),
        lambda z, lam: lam * z.abs().sum(-1) + _positive(z),
        "ReLU, its bias lowered by lam",
        convex=True,
    ),
    "nonnegative_l0": Proximal(
        lambda u, lam: hard_threshold(u, (2 * lam) ** 0.5, nonnegative=True),
        lambda z, lam: lam * _l0(z) + _positive(z),
        "JumpReLU with threshold sqrt(2 lam)",
    ),
    "l0": Proximal(
        lambda u, lam: hard_threshold(u, (2 * lam) ** 0.5),
        lambda z, lam: lam * _l0(z),
        "two-sided JumpReLU, hard threshold",
    ),
    "nonnegative_count": Proximal(
        lambda u, k: _dense(top_k(u, _count(k, u))),
        lambda z, k: _ruled_out(z, _l0(z) > k) + _positive(z),
        "TopK (of ReLU)",
        counts=True,
    ),
    "count": Proximal(
        lambda u, k: _dense(abs_top_k(u, _count(k, u))),
        lambda z, k: _ruled_out(z, _l0(z) > k),
        "AbsTopK, hard thresholding",
        counts=True,
    ),
    "group_l1": group_l1(2),
}
"""Regularisers by name, strength lam > 0 (or a count k): what is minimised, beside the activation it amounts to.

*Proofs.* Weights act entry by entry: l1 by its subgradient, l0 by comparing u^2 / 2 (z = 0) with lam (z = u), so that u
stays iff u^2 > 2 lam, with both optimal at equality. Counts: on a given support the best z copies u (or max(u, 0)) and
leaves |u|^2 - sum_S u_j^2 (or of max(u_j, 0)^2), so that the k largest go in; all of equal ones do equally well.
"""
