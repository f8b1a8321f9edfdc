"""Selections: which pre-activations become latents, and with what value."""

# ruff: noqa: D102 (overrides inherit theirs)

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from synthetic.base.errors import must
from synthetic.source import Codes
from workbench import kernels
from workbench.parts.base import Latents, Part, Renewed, Sizes
from workbench.parts.sparsifiers import above, abs_top_k, batch_top_k, jump, masked, step, top_k, track_smallest
from workbench.settings import Count, LatentCount, MeanCount, NonNegative, Positive, Real


class Selection(Part):
    """Latents from pre-activations."""

    nonnegative: bool = True
    """latents are never negative"""
    rowwise: bool = True
    """in eval mode a row's latents depend on that row alone"""
    compares: bool = False
    """entries are compared with one another or with a number they share"""
    keeps_entries: bool = False
    """latents are entries of the pre-activations, kept or 0, and the loss needs those alone"""
    positional: bool = False
    """latents stand in groups by their place"""

    def forward(self, pre: Float[Tensor, "*s n m"]) -> Latents:
        """The latents."""
        raise NotImplementedError

    def search(
        self, centred: Float[Tensor, "*b n d"], W_enc: Float[Tensor, "*s d m"], b_enc: Float[Tensor, "*s m"]
    ) -> tuple[Tensor, Codes] | None:
        """Pre-activations and latents without gradient, where one call gives both."""
        return None

    def open(self, pre: Float[Tensor, "*s n m"]) -> Float[Tensor, "*s n m"] | None:
        """1 where a latent fires, else 0, with the estimate of its gradient that this selection is trained by."""
        return None

    def felt(self, pre: Float[Tensor, "*s n m"]) -> Bool[Tensor, "*s n m"] | None:
        """Entries that pass on a gradient, also where their latents are 0; None where latents that fire do alone."""
        return None

    def follow(self, latents: Latents) -> None:
        """Update buffers after an optimiser step, without gradient."""

    def scaled(self) -> dict[str, Tensor]:
        """Thresholds, in units of latents, by their names in folders."""
        return {}

    def renewed(self, dead: Bool[Tensor, "*s m"]) -> Renewed:
        """What resampling puts into dead latents' thresholds."""
        return {}


class ReLU(Selection):
    """max(pre, 0)."""

    def forward(self, pre: Float[Tensor, "*s n m"]) -> Latents:
        return pre.relu()


class TopK(Selection):
    """The k largest entries of each row where positive; others 0."""

    sparse = compares = keeps_entries = True
    k: Tensor

    def __init__(self, stack: Sizes, k: LatentCount) -> None:
        super().__init__()
        self.keep(k=stack.tensor(k))

    def forward(self, pre: Float[Tensor, "*s n m"]) -> Latents:
        return top_k(pre, self.k.long())

    def search(
        self, centred: Float[Tensor, "*b n d"], W_enc: Float[Tensor, "*s d m"], b_enc: Float[Tensor, "*s m"]
    ) -> tuple[Tensor, Codes] | None:
        if bool((self.k != self.k.view(-1)[0]).any()):
            return None
        return kernels.encode_top_k(centred, W_enc, b_enc, int(self.k.view(-1)[0]))


class AbsTopK(Selection):
    """The k entries of largest magnitude of each row, signs kept; others 0."""

    sparse = compares = keeps_entries = True
    nonnegative = False
    k: Tensor

    def __init__(self, stack: Sizes, k: LatentCount) -> None:
        super().__init__()
        self.keep(k=stack.tensor(k))

    def forward(self, pre: Float[Tensor, "*s n m"]) -> Latents:
        return abs_top_k(pre, self.k.long())


class BatchTopK(Selection):
    """In training the n k largest entries of a batch of n; at inference those above a running threshold.

    The threshold follows the smallest value kept in training with rate `rate`; the first batch sets it.
    """

    sparse = compares = keeps_entries = True
    k: Tensor
    rate: Tensor
    threshold: Tensor

    def __init__(self, stack: Sizes, k: Real, rate: Real = 0.05, *, name: str = "threshold") -> None:
        super().__init__()
        self.keep(k=stack.real(k), rate=stack.real(rate))
        self.register_buffer("threshold", stack.zeros())
        self.names = {"threshold": name}

    def forward(self, pre: Float[Tensor, "*s n m"]) -> Latents:
        return batch_top_k(pre, self.k) if self.training else above(pre, self.threshold[..., None, None])

    def follow(self, latents: Latents) -> None:
        track_smallest(self.threshold, latents, self.rate)

    def scaled(self) -> dict[str, Tensor]:
        return {self.names["threshold"]: self.threshold}


class Jump(Selection):
    """pre 1[pre > threshold] with learned thresholds, whose gradient is estimated by a rectangle kernel."""

    threshold: nn.Parameter
    bandwidth: Tensor
    through: bool

    def __init__(self, stack: Sizes, start: NonNegative, bandwidth: Positive, *, through: bool = False) -> None:
        super().__init__()
        self.keep(bandwidth=stack.real(bandwidth), through=through)
        self.threshold = nn.Parameter(stack.real(start)[..., None].expand(*stack.shape, stack.m).clone())

    @property
    def surrogate(self) -> tuple[str, ...]:
        return ("threshold", *("W_enc", "b_enc", "b_dec") * self.through)

    def forward(self, pre: Float[Tensor, "*s n m"]) -> Latents:
        return jump(pre, self.threshold, self.bandwidth, through=self.through)

    def open(self, pre: Float[Tensor, "*s n m"]) -> Float[Tensor, "*s n m"]:
        return step(pre, self.threshold, self.bandwidth, through=self.through)

    def felt(self, pre: Float[Tensor, "*s n m"]) -> Bool[Tensor, "*s n m"]:
        """Those inside the kernel."""
        return (pre - self.threshold[..., None, :]).abs() < self.bandwidth[..., None, None] / 2

    def follow(self, latents: Latents) -> None:
        """Keep thresholds nonnegative: below 0 the gate would pass negative values."""
        self.threshold.clamp_(min=0.0)

    def scaled(self) -> dict[str, Tensor]:
        return {"threshold": self.threshold}

    def renewed(self, dead: Bool[Tensor, "*s m"]) -> Renewed:
        """The mean of the live ones."""
        live = torch.where(dead, 0.0, self.threshold).sum(-1, keepdim=True)
        mean = live / (~dead).sum(-1, keepdim=True).clamp_min(1)
        return {self.threshold: (dead, mean.expand_as(self.threshold))}


def must_be_same(stack: Sizes, name: str, value: Tensor, rule: str = "the same for all members") -> None:
    """Refuse a setting that differs between members."""
    one = bool((value == value.flatten()[0]).all())
    must(one, f"{stack.name}.{name}", rule, stack.settings.get(name, value.tolist()), "make a stack for each")


def same_count(stack: Sizes, name: str, value: int | Tensor) -> int:
    """A whole number that all members share."""
    made = stack.tensor(value)
    must_be_same(stack, name, made)
    return int(made.flatten()[0])


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
        self.each = same_count(stack, "size", self.size)
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
