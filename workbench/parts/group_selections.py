"""Selections that choose among groups: of latents, in a row, or of rows, for a latent."""

# ruff: noqa: D102 (overrides inherit theirs)

import torch
from jaxtyping import Float
from torch import Tensor

from synthetic.base.errors import must
from synthetic.source import Codes
from workbench import kernels
from workbench.parts.base import Latents, Pass, Sizes, Term
from workbench.parts.nuclear_norm import nuclear_norm
from workbench.parts.objectives import objective
from workbench.parts.selections import Selection, must_be_same
from workbench.parts.sparsifiers import above, masked
from workbench.settings import Count, LatentCount, MeanCount, NonNegative, Real


class GroupMax(Selection):
    """The largest entry of each of k groups of consecutive latents, where positive; others 0.

    Latent i of m is in group floor(i k / m), so groups are equal where k divides m, else one apart. A search costs a
    pass over the entries in place of a sort, and loses features that share a group: of k features in groups at random
    a share 1 - (1 - 1/k)^k is kept on average.

    Source: EleutherAI's sparsify, activation "groupmax". Differs: k need not divide m.
    """

    sparse = compares = keeps_entries = positional = True
    k: Tensor

    def __init__(self, stack: Sizes, k: LatentCount) -> None:
        super().__init__()
        self.keep(k=stack.tensor(k))

    def forward(self, pre: Float[Tensor, "*s n m"]) -> Latents:
        """The first largest entry of each group."""
        m, most, seen = pre.shape[-1], int(self.k.max()), pre.detach()
        latents = torch.arange(m, device=pre.device)
        group = (latents * self.k[..., None] // m)[..., None, :].expand_as(pre)
        slots = (*pre.shape[:-1], most)
        largest = seen.new_full(slots, -torch.inf).scatter_reduce(-1, group, seen, "amax")
        at = torch.where((seen == largest.gather(-1, group)) | seen.isnan(), latents, m)  # NaN shows a diverged run
        first = torch.full(slots, m, device=pre.device).scatter_reduce(-1, group, at, "amin")
        indices = first.clamp_max(m - 1)  # of members with fewer groups
        codes = Codes(indices, pre.gather(-1, indices).relu() * (first < m), m)
        return codes if kernels.sparse_pays(m) else codes.dense()


class BlockTopK(Selection):
    """The k blocks of `size` consecutive latents of largest norm in each row, whole and with their signs; others 0.

    Latents of a block hold a point of a subspace; rows may turn inside it together with columns of W_enc.

    Source: Dalili and Mahdavi (2026), subspace-aware SAE, arXiv 2606.06333.
    """

    nonnegative = False
    compares = keeps_entries = positional = True
    blocks: Tensor
    size: Tensor

    def __init__(self, stack: Sizes, blocks: Count, size: Count) -> None:
        super().__init__()
        self.keep(blocks=stack.tensor(blocks), size=stack.tensor(size))
        must_be_same(stack, "size", self.size)
        self.each = int(self.size.reshape(-1)[0])
        whole, settings = stack.m % self.each == 0, stack.settings
        must(whole, f"{stack.name}.size", f"a divisor of m={stack.m}", settings.get("size", size), "change m or it")
        fits, there = bool((self.blocks <= stack.m // self.each).all()), settings.get("blocks", blocks)
        must(fits, f"{stack.name}.blocks", f"at most the {stack.m // self.each} that there are", there, "lower it")

    def forward(self, pre: Float[Tensor, "*s n m"]) -> Latents:
        norms, most = pre.detach().unflatten(-1, (-1, self.each)).norm(dim=-1), int(self.blocks.max())
        rank = torch.arange(most, device=pre.device).expand(*norms.shape[:-1], most)
        largest = norms.topk(most, dim=-1).indices
        chosen = torch.zeros_like(norms, dtype=torch.bool)
        chosen = chosen.scatter(-1, largest, rank < self.blocks[..., None, None])
        return masked(pre, chosen.repeat_interleave(self.each, dim=-1))


@objective("block_nuclear")
class BlockNuclear(Term):
    """gamma times the mean over blocks of |W_enc[:, block] W_dec[block]|_*, which lowers the rank of a block's map.

    Source: Dalili and Mahdavi (2026), arXiv 2606.06333, as reported by readers: a nuclear norm on each block's map.
    """

    name = "nuclear"
    warmed = True
    gamma: Tensor
    size: Tensor

    def __init__(self, stack: Sizes, gamma: NonNegative = 1.0, size: Count = 2) -> None:
        super().__init__()
        self.keep(gamma=stack.real(gamma), size=stack.tensor(size))
        must_be_same(stack, "size", self.size)
        self.each = int(self.size.reshape(-1)[0])
        must(stack.m % self.each == 0, "block_nuclear.size", f"a divisor of m={stack.m}", self.each, "change m or it")

    def forward(self, out: Pass) -> Float[Tensor, "*s"]:
        blocks = (-1, self.each)
        columns, rows = (w.unflatten(-2, blocks) for w in (out.encoder.columns(out.decoder).mT, out.decoder.rows))
        return self.gamma * nuclear_norm(columns.mT, rows).mean(-1)


class FeatureChoice(Selection):
    """In training each latent keeps its round(n k / m) largest entries over a batch of n, one at least, where positive.

    At inference it keeps those above a threshold of its own, which follows the smallest entry it kept in training with
    rate `rate`; the first batch that it fires in sets it. It is BatchTopK with a budget for each latent in place of one
    for all, so that none can die or fire always.

    Source: Ayonrinde (2024), Feature Choice, arXiv 2411.02124. Differs: budgets are equal (the paper also has ones that
    fall off by Zipf's law); the threshold is ours.
    """

    keeps_entries = True  # but not sparse: latents that are more than features have to share them
    k: Tensor
    rate: Tensor
    threshold: Tensor

    def __init__(self, stack: Sizes, k: MeanCount, rate: Real = 0.05) -> None:
        super().__init__()
        self.keep(k=stack.real(k), rate=stack.real(rate))
        self.register_buffer("threshold", stack.zeros(stack.m))

    def forward(self, pre: Float[Tensor, "*s n m"]) -> Latents:
        if not self.training:
            return above(pre, self.threshold[..., None, :])
        n, m = pre.shape[-2:]
        seen, budget = pre.detach(), (self.k * (n / m)).round().long().clamp(1, n)
        most = int(budget.max())
        largest = seen.topk(most, dim=-2).indices
        rank = torch.arange(most, device=pre.device)[:, None].expand(*largest.shape)
        chosen = torch.zeros_like(seen, dtype=torch.bool).scatter(-2, largest, rank < budget[..., None, None])
        return masked(pre, chosen & ~(seen <= 0))  # NaN is kept, so that a diverged run shows

    def follow(self, latents: Latents) -> None:
        """Thresholds follow the smallest entry that each latent kept."""
        f = latents.dense() if isinstance(latents, Codes) else latents
        smallest = torch.where(f > 0, f, torch.inf).amin(-2)
        fires = smallest.isfinite()
        rate = torch.where(self.threshold == 0, 1.0, self.rate[..., None])
        moved = self.threshold.lerp(smallest.where(fires, 0.0), rate)
        self.threshold.copy_(torch.where(fires, moved, self.threshold))

    def scaled(self) -> dict[str, Tensor]:
        return {"threshold": self.threshold}
