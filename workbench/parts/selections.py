"""Selections: which pre-activations become latents, and with what value."""

# ruff: noqa: D102 (overrides inherit theirs)

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from synthetic.base.errors import must
from synthetic.source import Codes
from workbench import kernels
from workbench.parts.base import Latents, Part, Renewed, Sizes
from workbench.parts.sparsifiers import above, abs_top_k, batch_top_k, jump, step, top_k, track_smallest
from workbench.settings import LatentCount, NonNegative, Positive, Real


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
        return ("threshold",)

    def forward(self, pre: Float[Tensor, "*s n m"]) -> Latents:
        return jump(pre, self.threshold, self.bandwidth, through=self.through)

    def open(self, pre: Float[Tensor, "*s n m"]) -> Float[Tensor, "*s n m"]:
        return step(pre, self.threshold, self.bandwidth, through=self.through)

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
