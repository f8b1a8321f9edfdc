"""Activations that variants share. Each returns what an exact sort would select."""

from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from synthetic.base.errors import must
from synthetic.source import Codes, places, slot_numbers
from workbench import kernels


def top_k(pre: Float[Tensor, "*s n m"], k: Int[Tensor, "*s"]) -> Codes | Tensor:
    """The k largest positive entries of each row, k per stack member; others 0.

    argmax_f <pre, f> over f >= 0 with at most k nonzeros on the support; any of equal entries may win.
    """
    return _largest(pre, pre, k)


def abs_top_k(pre: Float[Tensor, "*s n m"], k: Int[Tensor, "*s"]) -> Codes | Tensor:
    """The k entries of largest magnitude of each row, signs kept, k per stack member; others 0.

    argmin_f |pre - f|^2 over f with at most k nonzeros; any of equal magnitudes may win.

    Source: Zhu, Khalili, Zhu (2025), AbsTopK, arXiv 2510.00404; the hard thresholding of compressed sensing.
    """
    return _largest(pre, pre.detach().abs(), k)


def _largest(pre: Float[Tensor, "*s n m"], size: Float[Tensor, "*s n m"], k: Int[Tensor, "*s"]) -> Codes | Tensor:
    """The entries of `pre` whose `size` is among the k largest positive ones of its row."""
    m, largest = pre.shape[-1], int(k.max())
    if kernels.transformed():  # one plain sort, whatever the values are
        order = size.detach().topk(largest, dim=-1).indices
        values = torch.where(torch.arange(largest, device=k.device) < k[..., None, None], pre.gather(-1, order), 0.0)
        return torch.zeros_like(pre).scatter(-1, order, values.relu() if size is pre else values)
    varied, seen = largest > int(k.min()), size.detach()
    if not kernels.sparse_pays(m):
        if varied:
            cut = _falling(seen).gather(-1, (k[..., None, None] - 1).expand(*pre.shape[:-1], 1))
        else:
            cut = kernels.kth_largest(seen, largest)
        mask = torch.ge(seen, cut, out=torch.empty_like(pre))  # 1. and 0.: booleans are slow to multiply by
        if bool((mask.sum(-1) == k[..., None]).all()):
            return pre * (mask if bool((cut > 0).all()) else mask * (seen > 0))
        # equal entries at a cut
    codes = kernels.top_k(size, largest)
    values, indices = codes.values, codes.indices
    if size is not pre:
        values = torch.where(values != 0, pre.gather(-1, indices), 0.0)
    elif pre.requires_grad:
        values = pre.gather(-1, indices).relu()
    if varied:
        rank = codes.values.argsort(-1, descending=True).argsort(-1)
        values = values * (rank < k[..., None, None])
    return Codes(indices, values, m)


def batch_top_k(pre: Float[Tensor, "*s n m"], k: Float[Tensor, "*s"]) -> Codes | Tensor:
    """The round(n k) largest positive entries of each member's batch, and all that tie with the last; others 0.

    Source: Bussmann, Leask, Nanda (2024), BatchTopK, arXiv 2412.06410.
    """
    *stack, n, m = pre.shape
    flat = pre.detach().reshape(-1, n * m)
    cuts = []
    for row, count in zip(flat, (k.double().flatten() * n).round().long().tolist(), strict=True):
        cuts.append(_kth_largest(row, min(max(count, 1), n * m)))
    cut = torch.stack(cuts).view(*stack) if stack else cuts[0]
    seen = pre.detach()
    return masked(pre, ~(seen < cut[..., None, None]) & ~(seen <= 0))  # NaN is kept, so that a diverged run shows


def _kth_largest(row: Float[Tensor, " n"], k: int) -> Tensor:
    """The k-th largest entry. A strided sample bounds it from below, so that only what lies above is searched."""
    if not kernels.transformed() and len(row) > max(64 * k, 100_000):
        step = len(row) // (16 * 1024) + 1
        sample = row[::step]
        upper = row[row >= kernels.kth_largest(sample, min(len(sample), 2 * k // step + 16))]
        row = upper if len(upper) >= k else row
    return kernels.kth_largest(row, k).squeeze(0)


def above(pre: Float[Tensor, "*s n m"], threshold: Tensor) -> Codes | Tensor:
    """The entries above a threshold, and those that are NaN; others 0."""
    return masked(pre, ~(pre <= threshold))


def masked(pre: Float[Tensor, "*s n m"], mask: Tensor) -> Codes | Tensor:
    """The entries under the mask: dense for narrow stacks, sparse for wide ones."""
    return packed(pre, mask) if kernels.sparse_pays(pre.shape[-1]) else pre * mask


def packed(pre: Float[Tensor, "*s n m"], mask: Tensor) -> Codes:
    """The entries under the mask in sparse form, with as many slots as the fullest row needs."""
    m = pre.shape[-1]
    entries = places(mask)
    at, column = entries.div(m, rounding_mode="floor"), entries % m
    rows = mask.numel() // m
    slot, slots = slot_numbers(at, rows)
    indices = torch.zeros(rows, slots, dtype=torch.long, device=pre.device)
    indices[at, slot] = column
    values = pre.new_zeros(rows, slots).index_put((at, slot), pre.flatten()[entries])
    shape = (*pre.shape[:-1], slots)
    return Codes(indices.view(shape), values.view(shape), m)


def track_smallest(threshold: Float[Tensor, "*s"], codes: Codes | Tensor, rate: Float[Tensor, "*s"]) -> None:
    """Running mean, in place, of each member's smallest positive latent of a batch; the first batch sets it."""
    values = codes if isinstance(codes, Tensor) else codes.values
    smallest = torch.where(values > 0, values, torch.inf).amin((-1, -2))
    seen = smallest.isfinite()
    weight = torch.where(threshold == 0, torch.ones_like(rate), rate)
    threshold.copy_(torch.where(seen, threshold.lerp(smallest.where(seen, 0.0), weight), threshold))


def fired(codes: Codes | Tensor, m: int) -> Bool[Tensor, "*s m"]:
    """Which latents fire at least once in a batch."""
    if isinstance(codes, Tensor):
        return codes.detach().abs().amax(-2) > 0
    hits = torch.zeros(*codes.values.shape[:-2], m, device=codes.values.device)
    hits.scatter_add_(-1, codes.indices.flatten(-2), (codes.values != 0).flatten(-2).to(hits.dtype))
    return hits > 0


class _Jump(torch.autograd.Function):
    """x 1[x > t] (`power` 1) or 1[x > t] (`power` 0), with a rectangle-kernel estimate of the gradient in t."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x, threshold, bandwidth, power, through):
        open_ = x > threshold
        return x * open_ if power else open_.to(x.dtype)

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, threshold, bandwidth, ctx.power, ctx.through = inputs
        ctx.save_for_backward(x, threshold, bandwidth)

    @staticmethod
    def backward(ctx, *gradients):
        x, threshold, bandwidth = ctx.saved_tensors
        gradient = gradients[0]
        inside = ((x - threshold).abs() < bandwidth / 2) / bandwidth * gradient
        slope = inside * threshold if ctx.power else inside
        to_x = gradient * (x > threshold) if ctx.power else torch.zeros_like(x)
        if ctx.through:
            to_x = to_x + slope
        return to_x, (-slope).sum(-2, keepdim=True), None, None, None


def jump(pre: Tensor, threshold: Tensor, bandwidth: Tensor, *, through: bool = False) -> Float[Tensor, "*s n m"]:
    """JumpReLU pre 1[pre > threshold]; d/dthreshold is estimated by -threshold/bandwidth inside the band.

    Args:
        pre: pre-activations (*s, n, m).
        threshold: (*s, m).
        bandwidth: width of the kernel, (*s).
        through: send the estimate to `pre` as well (Anthropic's choice; DeepMind's is not to).

    Source: Rajamanoharan et al. (2024), arXiv 2407.14435, eq. 11.
    """
    return _Jump.apply(pre, threshold[..., None, :], bandwidth[..., None, None], 1, through)


def step(pre: Tensor, threshold: Tensor, bandwidth: Tensor, *, through: bool = False) -> Float[Tensor, "*s n m"]:
    """1[pre > threshold] with d/dthreshold estimated by -1/bandwidth inside the band; see `jump` (eq. 12)."""
    return _Jump.apply(pre, threshold[..., None, :], bandwidth[..., None, None], 0, through)


def soft_threshold(u: Tensor, threshold: Tensor | float | int, nonnegative: bool = False) -> Tensor:
    """sign(u) max(|u| - threshold, 0), or max(u - threshold, 0) where nonnegative: an entry shrinks or is 0.

    argmin_z |z - u|^2 / 2 + threshold |z|_1, over z >= 0 where nonnegative (a ReLU with its bias lowered).

    Args:
        u: anything.
        threshold: at least 0, broadcast against u.
        nonnegative: rule out negative values.

    Source: Daubechies, Defrise, De Mol (2004); ISTA.
    """
    return (u - threshold).relu() if nonnegative else (u - threshold).relu() - (-u - threshold).relu()


def hard_threshold(u: Tensor, threshold: Tensor | float | int, nonnegative: bool = False) -> Tensor:
    """u where |u| > threshold, or where u > threshold if nonnegative, else 0: JumpReLU, two-sided or not.

    argmin_z |z - u|^2 / 2 + threshold^2 / 2 |z|_0, over z >= 0 where nonnegative. No gradient to the threshold: see
    `jump` for an estimate.

    Args:
        u: anything.
        threshold: at least 0, broadcast against u.
        nonnegative: rule out negative values.

    Source: Blumensath and Davies (2008), iterative hard thresholding.
    """
    return torch.where((u if nonnegative else u.abs()) > threshold, u, 0.0)


def group_soft_threshold(u: Float[Tensor, "*b m"], threshold: Tensor | float | int, size: int) -> Float[Tensor, "*b m"]:
    """u_g max(1 - threshold / |u_g|, 0) for each group u_g of `size` consecutive entries: a group shrinks or is 0.

    argmin_z |z - u|^2 / 2 + threshold sum_g |z_g|.

    Args:
        u: m a multiple of `size`.
        threshold: at least 0, broadcast against the groups' norms (*b, m / size).
        size: entries of a group; 1 makes it `soft_threshold`.

    Source: Yuan and Lin (2006), group lasso.
    """
    must(size >= 1 and u.shape[-1] % size == 0, "group_soft_threshold.size", "a divisor of m", size, "pad or regroup")
    groups = u.unflatten(-1, (-1, size))
    norm = groups.norm(dim=-1)
    kept = (norm - threshold).relu() / norm.clamp_min(torch.finfo(u.dtype).tiny)
    return (groups * kept[..., None]).flatten(-2)


@torch.no_grad()
def norm_match(
    contributions: Float[Tensor, "*b m"],
    target: Float[Tensor, "*b"],
    *,
    rule: Literal["norm", "square", "reach"] = "norm",
    sentinel: float | None = None,
    least: int | Int[Tensor, "..."] = 1,
    most: int | Int[Tensor, "..."] | None = None,
) -> Bool[Tensor, "*b m"]:
    """Mask of the k* largest positive contributions of each row, k* chosen so that their norm comes nearest a target.

    With C_k the norm of the k largest, C_0 = 0: k* = the first k with the least |C_k - target| (rule "norm") or
    |C_k² - target²| ("square"), or the first with C_k >= target, else all ("reach"); then between `least` and `most`.

    Args:
        contributions: nonnegative sizes, latent times row norm.
        target: norm to come near.
        rule: what nearest means.
        sentinel: stands in for C_m, the norm of all m, so that all are kept only where the target is nearer to it.
        least: smallest k*, the same or one a row; 0 allows silent rows.
        most: largest k*, likewise; None for m.

    Source: Lee et al. (2025), arXiv 2503.24277 and its reference code (rule "norm", sentinel 1e4, least 1).
    """
    size = contributions.to(torch.promote_types(contributions.dtype, torch.float32))
    goal = target.to(size.dtype)[..., None]
    ordered = _falling(size)
    squares = torch.cat((torch.zeros_like(goal), ordered.square().cumsum(-1)), -1)
    if sentinel is not None:
        squares[..., -1] = sentinel**2
    if rule == "reach":
        enough = squares.sqrt() >= goal
        count = torch.where(enough.any(-1), enough.int().argmax(-1), size.shape[-1])
    elif rule == "norm":
        count = (squares.sqrt() - goal).abs().argmin(-1)
    else:  # a few roundings of goal² apart is a tie
        gap = (squares - goal.square()).abs()
        tie = gap.amin(-1, keepdim=True) + 8 * torch.finfo(size.dtype).eps * goal.square()
        count = (gap <= tie).int().argmax(-1)
    low, high = (torch.as_tensor(v, device=size.device) for v in (least, size.shape[-1] if most is None else most))
    count = torch.minimum(torch.maximum(count, low), high)[..., None]
    cut = ordered.gather(-1, (count - 1).clamp_min(0))
    mask = (size >= cut) & (size > 0) & (count > 0)
    if kernels.transformed() or bool(
        (mask.sum(-1, keepdim=True) > count).any()
    ):  # equal contributions at the cut: the first ones are kept
        rank = size.sort(dim=-1, descending=True, stable=True).indices.argsort(-1)
        mask = (rank < count) & (size > 0)
    return mask | size.isnan()


def _falling(rows: Float[Tensor, "*b m"]) -> Float[Tensor, "*b m"]:
    """Entries of each row from largest to smallest; numpy's sort is 10 to 25 times the faster one on a CPU."""
    if rows.device.type == "cpu" and not kernels.transformed():
        return -torch.from_numpy(np.sort(-rows.numpy(), axis=-1))
    return rows.sort(-1, descending=True).values
