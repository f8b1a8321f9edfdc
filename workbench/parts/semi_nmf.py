"""Semi-nonnegative matrix factorisation X ~ f W, f >= 0, W of any sign: the estimator, its steps, its recursion.

J = |X - f W|^2. f and W alternate: W by least squares, f by a multiplicative step, and J never rises. W may then keep
only its largest entries row by row ("winner takes all"), which may raise J, so that the best pair seen is returned.

J says nothing of the rows: (f M, M^-1 W) is as good for any invertible M >= 0, and where activations share a mean J can
be as low as the SVD's. Only the mask on W, if rows of the truth do not share their entries, makes W unique.

Source: Ding, Li, Jordan (2010), Convex and semi-nonnegative matrix factorizations; Shafran, Geiger, Geva (2025), arXiv
2506.10920, and its code. Differs: float64, a relative tolerance, no epsilon in the code step, ties at a mask's cut are
broken; `refit` and the exact codes are ours.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from synthetic.base.errors import must, pick
from synthetic.base.streams import stream
from workbench.ratios import ratio

Init = Literal["random", "svd", "kmeans"]
_FLOOR = 1e-12
"""codes of 0 would stay there"""


@dataclass(frozen=True)
class Factors:
    """X ~ codes rows; float64."""

    codes: Float[Tensor, "n m"]
    """nonnegative, columns of norm 1"""
    rows: Float[Tensor, "m d"]
    losses: Float[Tensor, " t"]
    """J after each iteration; that of codes and rows is the least"""


def code_step(
    x: Float[Tensor, "*b n d"],
    f: Float[Tensor, "*s k m"],
    W: Float[Tensor, "*s m d"],
    finer: Float[Tensor, "*s n k"] | None = None,
) -> Float[Tensor, "*s k m"]:
    """One multiplicative step, f sqrt((P+ + f Q-) / (P- + f Q+)), P = x W^T, Q = W W^T: J never rises, zeros stay.

    The step minimises a separable upper bound of J(f) that touches it at the old codes. At rest f (f Q - P) = 0, yet
    f Q - P >= 0 at zeros is not enforced. A row W_j = 0 leaves its codes.

    With nonnegative codes g of a finer level, x ~ g f W, it is g^T P for P and g^T g f for the f that meets Q: the same
    bound holds, since g^T g has no entry below 0.
    """
    P, Q, met = x @ W.mT, W @ W.mT, f
    if finer is not None:
        P, met = finer.mT @ P, finer.mT @ (finer @ f)
    up = P.relu() + met @ (-Q).relu()
    down = (-P).relu() + met @ Q.relu()
    return f * torch.where(down > 0, up / down.where(down > 0, 1.0), 1.0).sqrt()


def decoder_step(x: Float[Tensor, "*b n d"], f: Float[Tensor, "*s n m"], ridge: float = 0.0) -> Tensor:
    """The W (*s, m, d) that minimises |x - f W|^2 + ridge |W|^2; where many do at ridge 0, the shortest."""
    if not ridge:
        driver = "gelsd" if f.device.type == "cpu" else None  # "gelsy" gives other bits from call to call
        return torch.linalg.lstsq(f, x.expand(*f.shape[:-1], -1), driver=driver)[0]
    gram = f.mT @ f + ridge * torch.eye(f.shape[-1], dtype=f.dtype, device=f.device)
    return torch.linalg.solve(gram, f.mT @ x)


def winner_take_all(W: Float[Tensor, "*s m d"], share: float | Float[Tensor, "*s"]) -> Float[Tensor, "*s m d"]:
    """Each row with its ceil(share d) entries of largest magnitude, the others 0: the nearest row with so few."""
    d = W.shape[-1]
    count = (torch.as_tensor(share, device=W.device).double() * d * (1 - 1e-6)).ceil()  # float32 shares round up
    rank = W.abs().sort(dim=-1, descending=True, stable=True).indices.argsort(-1)
    return torch.where(rank < count[..., None, None], W, 0.0)


def refitted(x: Float[Tensor, "n d"], f: Float[Tensor, "n m"], mask: Tensor) -> Float[Tensor, "m d"]:
    """The W that minimises |x - f W|^2 among those that are 0 off the mask (m, d), a column of W at a time."""
    gram, product = f.T @ f, f.T @ x
    columns = []
    for kept, own in zip(mask.T.to(f.dtype).split(256), product.T.split(256), strict=True):
        each = gram * kept[:, :, None] * kept[:, None, :] + torch.diag_embed(1 - kept)
        columns.append(torch.linalg.lstsq(each, (own * kept)[..., None], driver="gelsd")[0].squeeze(-1) * kept)
    return torch.cat(columns).T


@torch.no_grad()
def best_codes(
    p: Float[Tensor, "*s n m"],
    W: Float[Tensor, "*s m d"],
    *,
    l1: Tensor | float | int = 0.0,
    iterations: Tensor | int = 1000,
) -> Float[Tensor, "*s n m"]:
    """argmin_f |x - f W|^2 / 2 + l1 |f|_1 over f >= 0, given p = x W^T: the codes of new data. Each row on its own.

    Accelerated projected gradient from f = 0 with a restart wherever the momentum turns uphill, in float64, until the
    residual of the optimality conditions is `eps` of the row's largest |p| (eps of p's own dtype, 1e-12 for float64).
    Where codes are not unique, those it comes to first.

    Args:
        p: products.
        W: rows.
        l1: at least 0, (*s).
        iterations: at most so many, (*s).

    Source: Beck and Teboulle (2009), FISTA; O'Donoghue and Candes (2015), adaptive restart.
    """
    (m, d), given, W = W.shape[-2:], p, W.double()
    gram = W @ W.mT if m <= 2 * d else None
    length = torch.linalg.eigvalsh(W @ W.mT if m < d else W.mT @ W)[..., -1:, None].clamp_min(1e-300)
    limit = torch.as_tensor(iterations, device=p.device)[..., None, None]
    p = p.double() - torch.as_tensor(l1, device=p.device)[..., None, None]
    enough = max(torch.finfo(given.dtype).eps, 1e-12) * given.abs().amax(-1, keepdim=True)
    f, ahead = torch.zeros_like(p), torch.zeros_like(p)
    t, open_ = torch.ones_like(p[..., :1]), torch.ones_like(p[..., :1], dtype=torch.bool)
    for step in range(int(limit.max())):
        open_ = open_ & (step < limit)
        if not bool(open_.any()):
            break
        slope = (ahead @ gram if gram is not None else ahead @ W @ W.mT) - p
        new = (ahead - slope / length).relu()
        uphill = ((ahead - new) * (new - f)).sum(-1, keepdim=True) > 0
        t = torch.where(uphill, 1.0, t)
        later = (1 + (1 + 4 * t.square()).sqrt()) / 2
        momentum = torch.where(uphill, 0.0, (t - 1) / later)
        still = (ahead - new).abs().amax(-1, keepdim=True) * length > enough
        f, ahead = torch.where(open_, new, f), torch.where(open_, new + momentum * (new - f), ahead)
        t, open_ = later, open_ & still
    return f.to(given.dtype)


def fit(
    x: Float[Tensor, "n d"],
    m: int,
    *,
    share: float | None = None,
    refit: bool = False,
    iterations: int = 2000,
    patience: int = 200,
    tolerance: float = 1e-6,
    init: Init = "random",
    ridge: float = 0.0,
    seed: int = 0,
) -> Factors:
    """Semi-NMF of x with m rows: W by least squares, masked where `share` is given, then one step of the codes.

    Args:
        x: one activation a row.
        m: rows of W.
        share: of each row's entries that are kept; None for all.
        refit: least squares on the kept entries after masking, so that J rises at changes of the mask alone.
        iterations: at most so many.
        patience: stop after so many without a gain in J.
        tolerance: gain that counts, relative to J.
        init: of the codes: "random" from U(0, 1), "svd" from the left singular vectors' positive parts (signs are
            arbitrary: half is lost), "kmeans" from the clusters.
        ridge: see `decoder_step`; above 0 J alone may rise.
        seed: of the start.

    Returns:
        The best pair seen, and the history of J.

    Raises:
        ValueError: an argument out of range.
    """
    must(m >= 1, "semi_nmf.fit.m", "at least 1", m, "ask for some rows")
    must(share is None or 0 < share <= 1, "semi_nmf.fit.share", "in (0, 1] or None", share, "None keeps all entries")
    must(not refit or share is not None, "semi_nmf.fit.refit", "False without a share", refit, "give a share")
    must(bool(x.isfinite().all()), "semi_nmf.fit.x", "finite", "NaN or infinity", "clean the activations")
    x = x.double()
    f = _start(x, m, init, seed)
    losses: list[float] = []
    best, kept, mark, since = math.inf, (f, x.new_zeros(m, x.shape[1])), math.inf, 0
    for _ in range(iterations):
        W = decoder_step(x, f, ridge)
        if share is not None:
            W = winner_take_all(W, share)
            W = refitted(x, f, W != 0) if refit else W
        size = f.norm(dim=0).clamp_min(1e-8)  # f / c, c W is the same product
        f, W = f / size, W * size[:, None]
        f = code_step(x, f, W).clamp_min(_FLOOR)
        losses.append(float((x - f @ W).square().sum()))
        if losses[-1] < best:
            best, kept = losses[-1], (f, W)
        mark, since = (best, 0) if best < mark * (1 - tolerance) else (mark, since + 1)
        if since >= patience or best == 0:
            break
    size = kept[0].norm(dim=0).clamp_min(1e-8)
    return Factors(kept[0] / size, kept[1] * size[:, None], torch.tensor(losses, dtype=torch.float64, device="cpu"))


def _start(x: Float[Tensor, "n d"], m: int, init: Init, seed: int) -> Float[Tensor, "n m"]:
    rng = stream(seed, "semi_nmf/init", 0, x.device)
    made = {
        "random": lambda: torch.rand(len(x), m, generator=rng, dtype=x.dtype, device=x.device),
        "svd": lambda: _svd_start(x, m),
        "kmeans": lambda: torch.nn.functional.one_hot(_clusters(x, m, rng), m).to(x.dtype),
    }
    return made[pick(init, made, "semi_nmf.fit.init")]().clamp_min(1e-6)


def _svd_start(x: Float[Tensor, "n d"], m: int) -> Float[Tensor, "n m"]:
    U, s, _ = torch.linalg.svd(x, full_matrices=False)
    must(m <= len(s), "semi_nmf.fit.m", f"at most {len(s)}, the rank, with init 'svd'", m, "start at random")
    return U[:, :m] * ratio(s[:m], s[0], 0.0).sqrt()


def _clusters(x: Float[Tensor, "n d"], m: int, rng: torch.Generator, steps: int = 15) -> Int[Tensor, " n"]:
    """Lloyd's k-means from rows of x; a cluster that loses its last row starts again at a random one."""
    must(m <= len(x), "semi_nmf.fit.m", f"at most n={len(x)} with init 'kmeans'", m, "start at random")
    centres = x[torch.randperm(len(x), generator=rng, device=x.device)[:m]]
    for _ in range(steps):
        label = torch.cdist(x, centres).argmin(1)
        count = torch.bincount(label, minlength=m)[:, None]
        fresh = x[torch.randint(len(x), (m,), generator=rng, device=x.device)]
        sums = torch.zeros_like(centres).index_add_(0, label, x)
        centres = torch.where(count > 0, sums / count.clamp_min(1), fresh)
    return torch.cdist(x, centres).argmin(1)


@dataclass(frozen=True)
class Tree:
    """Levels X ~ f1 W1, W1 ~ f2 W2, ...: as a whole one semi-NMF X ~ f1 f2 ... fL WL, so depth buys no fit."""

    levels: tuple[Factors, ...]

    @property
    def codes(self) -> Float[Tensor, "n m_last"]:
        """The product f1 ... fL, nonnegative."""
        return _product([level.codes for level in self.levels])

    def weights(self, level: int) -> Float[Tensor, "m_fine m_coarse"]:
        """How much of each row of a level (0 the finest) the rows of the next one make: f_ij |w_j|."""
        coarse = self.levels[level + 1]
        return coarse.codes * coarse.rows.norm(dim=1)

    def parents(self, level: int) -> Int[Tensor, " m_fine"]:
        """The row of the next level that makes most of each row of this one."""
        return self.weights(level).argmax(1)

    def children(self, level: int, parent: int, *, share: float = 0.15, most: int = 4) -> list[int]:
        """Rows of a level that a row of the next one makes, from `share` of the largest weight, at most so many."""
        weight = self.weights(level)[:, parent]
        order = weight.argsort(descending=True)[:most]
        return order[weight[order] >= share * weight.max()].tolist()


def fit_recursive(
    x: Float[Tensor, "n d"],
    sizes: Sequence[int],
    *,
    share: float | Sequence[float | None] | None = None,
    joint: int = 0,
    **more: Any,
) -> Tree:
    """Semi-NMF of x, then of its rows, then of theirs, with ever fewer rows.

    Args:
        x: one activation a row.
        sizes: rows of each level, falling.
        share: of entries kept, for all levels or for each.
        joint: rounds of `refined` afterwards.
        more: passed to `fit`.

    Source: Shafran, Geiger, Geva (2025). Differs: their joint gradient descent afterwards leaves f < 0 and W dense.
    """
    falling = len(sizes) >= 1 and all(a > b for a, b in pairwise(sizes))
    must(falling, "semi_nmf.fit_recursive.sizes", "falling", list(sizes), "give the finest level first")
    shares = list(share) if isinstance(share, Sequence) else [share] * len(sizes)
    must(len(shares) == len(sizes), "semi_nmf.fit_recursive.share", "one a level", shares, "give as many as sizes")
    must(joint >= 0, "semi_nmf.fit_recursive.joint", "at least 0", joint, "0 leaves the levels as they were fitted")
    levels: list[Factors] = []
    for m, own in zip(sizes, shares, strict=True):
        levels.append(fit(levels[-1].rows if levels else x, m, share=own, **more))
    return refined(x, Tree(tuple(levels)), joint) if joint else Tree(tuple(levels))


def refined(x: Float[Tensor, "n d"], tree: Tree, rounds: int) -> Tree:
    """All levels together for |x - f1 ... fL WL|^2, which never rises: a step of each level's codes, then WL.

    WL is least squares on the entries that it had. Rows of the finer levels become what the coarser ones make of them,
    f_l+1 ... fL WL, which is dense wherever two rows with different entries are mixed.

    Args:
        x: what the tree was fitted to.
        tree: where to start.
        rounds: of steps.

    Returns:
        The best tree seen; its first level has the history of the loss, the others reproduce their rows.

    Source: ours, after Trigeorgis, Bousmalis, Zafeiriou, Schuller (2014), A deep semi-NMF model.
    """
    x, codes, W = x.double(), [level.codes for level in tree.levels], tree.levels[-1].rows
    mask = W != 0
    losses = [float((x - tree.codes @ W).square().sum())]
    best = (codes, W)
    for _ in range(rounds):
        codes = list(codes)
        for i, f in enumerate(codes):
            finer = _product(codes[:i]) if i else None
            codes[i] = code_step(x, f, _product([*codes[i + 1 :], W]), finer).clamp_min(_FLOOR)
        whole = _product(codes)
        W = decoder_step(x, whole) if bool(mask.all()) else refitted(x, whole, mask)
        losses.append(float((x - whole @ W).square().sum()))
        best = (codes, W) if losses[-1] <= min(losses) else best
    return _tree(*best, torch.tensor(losses, dtype=torch.float64))


def _product(matrices: Sequence[Tensor]) -> Tensor:
    return torch.linalg.multi_dot(list(matrices)) if len(matrices) > 1 else matrices[0]


def _tree(codes: Sequence[Tensor], W: Tensor, losses: Tensor) -> Tree:
    """Levels of norm 1, from the finest on: the scale of each goes to the next, and so to the rows."""
    scaled: list[Tensor] = []
    size = None
    for f in codes:
        f = f if size is None else size[:, None] * f
        size = f.norm(dim=0).clamp_min(1e-300)
        scaled.append(f / size)
    W = W if size is None else size[:, None] * W
    rows = [_product([*scaled[i + 1 :], W]) for i in range(len(scaled))]
    told = [losses, *[torch.zeros(1, dtype=torch.float64)] * (len(rows) - 1)]
    return Tree(tuple(Factors(*parts) for parts in zip(scaled, rows, told, strict=True)))


def leaf_accuracy(parents: Int[Tensor, " n"], family: Int[Tensor, " n"]) -> float:
    """Share of leaves whose parent is that of their family, parents named by the best one-to-one assignment.

    Chance is above one over the families, since names are chosen after the fact.
    """
    size = int(max(parents.max(), family.max())) + 1
    table = torch.zeros(size, size, dtype=torch.int64)
    table.index_put_((parents, family), torch.ones_like(parents), accumulate=True)
    return float(table.numpy()[linear_sum_assignment(-table.numpy())].sum()) / len(parents)
