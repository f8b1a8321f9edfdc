"""Nuclear norms of products of thin factors, without writing the product out."""

from jaxtyping import Float
from torch import Tensor, linalg

from workbench.theory import concept_probes as theory

Thin = tuple[Float[Tensor, "*s n k"], Float[Tensor, "*s k"], Float[Tensor, "*s k m"]]


def thin_svd(left: Float[Tensor, "*s n r"], right: Float[Tensor, "*s r m"]) -> Thin:
    """Singular vectors and values of left @ right, at most min(n, r, m) of them, in O((n + m) r^2)."""
    q, a = linalg.qr(left)
    p, b = linalg.qr(right.mT)
    u, singular, v = linalg.svd(a @ b.mT, full_matrices=False)
    return q @ u, singular, v @ p.mT


def nuclear_norm(left: Float[Tensor, "*s n r"], right: Float[Tensor, "*s r m"]) -> Float[Tensor, "*s"]:
    """Sum of the singular values of left @ right.

    Written as <U V^T, left @ right> with U V^T held fixed, which has the norm's value and U V^T, a subgradient, as its
    gradient, also where singular values are equal or 0 and the derivative of an SVD is not finite.

    Source: Watson (1992), the subdifferential of matrix norms.
    """
    u, _, v = thin_svd(left.detach(), right.detach())
    return ((u.mT @ left) * (right @ v.mT).mT).sum((-1, -2))


def factored_norm(left: Float[Tensor, "*s n r"], right: Float[Tensor, "*s r m"]) -> Float[Tensor, "*s"]:
    """(|left|_F^2 + |right|_F^2) / 2, at least the nuclear norm of left @ right; equal where factors are `balanced`.

    Source: Srebro, Rennie, Jaakkola (2004), maximum-margin matrix factorization.
    """
    return theory.factored(left.square().sum((-1, -2)), right.square().sum((-1, -2)))


def balanced(
    left: Float[Tensor, "*s n r"], right: Float[Tensor, "*s r m"]
) -> tuple[Float[Tensor, "*s n k"], Float[Tensor, "*s k m"]]:
    """U sqrt(S) and sqrt(S) V^T of the product, at which `factored_norm` is the nuclear norm."""
    u, singular, v = thin_svd(left, right)
    root = singular.sqrt()
    return u * root[..., None, :], root[..., :, None] * v
