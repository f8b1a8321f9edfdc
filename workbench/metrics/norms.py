"""ZF figures: |f| against |x|, what their mismatch is made of, and the lower bounds of coherence read off it."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from synthetic.base.errors import must
from workbench.ratios import ratio
from workbench.sae import SAE, must_be_single
from workbench.tensors import TENSOR
from workbench.theory import afa


@dataclass(frozen=True)
class Norms:
    """Of n samples: activations, reconstructions, and latents along unit rows with the bias as one latent more."""

    x: Float[Tensor, "n d"]
    x_hat: Float[Tensor, "n d"]
    f2: Float[Tensor, " n"]
    """|f|²"""
    l1: Float[Tensor, " n"]
    """sum |f_i|"""
    k: Float[Tensor, " n"]
    """nonzeros, the bias among them"""
    fires: Float[Tensor, " m"]
    """samples in which each latent fires, the bias not among them"""
    bias: float
    """|b_dec|, in units of x"""

    @property
    def m(self) -> int:
        """Latents, the bias not among them."""
        return len(self.fires)


@torch.no_grad()
def norms(sae: SAE, x: Float[Tensor, "n d"], chunk: int = 2048) -> Norms:
    """Norms of a single SAE on activations, float64 on the CPU; computed where the SAE is.

    Raises:
        ValueError: a stack, or no activations.
    """
    must_be_single(sae, "norms.sae")
    must(len(x), "norms.x", "at least one activation", "none", "keep more held-out samples")
    length = sae.W_dec.double().norm(dim=-1)
    bias = float((sae.b_dec.double() / sae.scale).norm())
    fires = torch.zeros_like(length)
    parts: list[tuple[Tensor, ...]] = []
    for rows in x.split(chunk):
        f = sae.encode(rows.to(length.device))
        fires += (f != 0).sum(0)
        size = f.double().abs() * length
        parts.append((sae.decode(f).double(), size.square().sum(-1), size.sum(-1), (f != 0).sum(-1).double()))
    x_hat, f2, l1, k = (torch.cat(part).cpu() for part in zip(*parts, strict=True))
    return Norms(x.double().cpu(), x_hat, f2 + bias**2, l1 + bias, k + float(bias > 0), fires.cpu(), bias)


def zf_figures(own: Norms) -> dict[str, float]:
    """What norms say of an SAE.

    interference, residual, shrinkage: shares of sum |f|² that add up to mismatch, sum |x|² - |f|² (`theory.afa`).
    correlation: of |x| and |f|. over-activated: share of samples with |f| > |x|. median r: of ||x|²/|f|² - 1|. The
    eps_LBO are medians of lower bounds on coherence: over m - 1 as the paper has it, over k - 1, and from |f|_1.
    certified: the last with x_hat in the place of x, a true bound also where x is not reconstructed exactly; so is the
    one from k. log mismatch: median |ln(|f|/|x|)|. bias floor: |b_dec| over the median |f|; |f| is never below |b_dec|.
    Samples with |x| = |f| = 0 have no r and are left out of its medians; a figure that no sample has is NaN.
    """
    rest, total = own.x - own.x_hat, float(own.f2.sum())
    x2, x_hat2 = own.x.square().sum(1), own.x_hat.square().sum(1)
    r = afa.norm_mismatch(x2, own.f2, ops=TENSOR)
    some, many = (x2 > 0) | (own.f2 > 0), own.k > 1
    return {
        "interference": ratio(float((x_hat2 - own.f2).sum()), total),
        "residual": ratio(float(rest.square().sum()), total),
        "shrinkage": ratio(float(2 * (own.x_hat * rest).sum()), total),
        "mismatch": ratio(float((x2 - own.f2).sum()), total),
        "correlation": _correlation(x2.sqrt(), own.f2.sqrt()),
        "over-activated": float((own.f2 > x2).double().mean()),
        "median r": _median(r[some]),
        "log mismatch": _median(afa.log_mismatch(x2, own.f2, ops=TENSOR)[some]),
        "bias floor": ratio(own.bias, _median(own.f2.sqrt())),
        "median eps_LBO": _median(afa.lbo_dense(x2, own.f2, own.m, ops=TENSOR)[some]),
        "median eps_LBO over k": _median(afa.lbo_k(x2, own.f2, own.k, ops=TENSOR)[many]),
        "median eps_LBO from |f|_1": _median(afa.lbo_1(x2, own.f2, own.l1, ops=TENSOR)[many]),
        "certified eps_LBO": _median(afa.lbo_1(x_hat2, own.f2, own.l1, ops=TENSOR)[many]),
        "certified eps_LBO over k": _median(afa.lbo_k(x_hat2, own.f2, own.k, ops=TENSOR)[many]),
    }


def zf_points(own: Norms, count: int) -> list[tuple[float, float]]:
    """(|x|, |f|) of the first samples."""
    return list(zip(own.x[:count].norm(dim=1).tolist(), own.f2[:count].sqrt().tolist(), strict=True))


def _median(values: Tensor) -> float:
    return float(values.median()) if len(values) else float("nan")


def _correlation(a: Tensor, b: Tensor) -> float:
    a, b = a - a[:1], b - b[:1]  # 0, and not a rounding error, where all are equal
    a, b = a - a.mean(), b - b.mean()
    return ratio(float(a @ b), float(a.norm() * b.norm()))
