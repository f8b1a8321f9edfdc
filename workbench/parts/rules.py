"""Rules: what training does beside descending the loss."""

# ruff: noqa: D102 (overrides inherit theirs)

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from synthetic.base.errors import must
from workbench.parts import bias_control
from workbench.parts.base import Decoder, Encoder, Pass, Rule, Sizes
from workbench.parts.selections import same_count
from workbench.parts.semi_nmf import winner_take_all
from workbench.settings import Count, LatentCount, Natural, NonNegative, Positive, PositiveShare, Share


class BiasControl(Rule):
    """Steers b_enc of a `Steered` encoder until latents fire rarely enough.

    Latents come in K groups of ceilings p_k on their firing rate. Over a buffer of rows q_j = P(y_j > 0),
    r_j = max(0, max y_j), r_k the mean positive r_j of a group:

        q_j > p_k: b_j falls by down r_j, to no less than -clamp |x|
        q_j < eps: b_j rises by up r_k, to no more than 0

    and between eps and the ceiling nothing happens; with control "set-point" biases rise wherever q_j < p_k.

    Source: Chen et al. (2025), arXiv 2506.14002, algorithms 1 and 2.
    """

    sparse = True
    counters = ("fires", "seen")
    groups: Tensor
    high: Tensor
    low: Tensor
    down: Tensor
    up: Tensor
    period: Tensor
    buffer: Tensor
    eps: Tensor
    clamp: Tensor
    control: Literal["ceiling", "set-point"]
    ceilings: Tensor
    group: Tensor
    fires: Tensor
    peak: Tensor
    seen: Tensor

    def __init__(
        self,
        stack: Sizes,
        groups: LatentCount,
        high: PositiveShare,
        low: PositiveShare,
        *,
        down: NonNegative,
        up: NonNegative,
        period: Count,
        buffer: Natural,
        eps: NonNegative,
        clamp: Positive,
        control: Literal["ceiling", "set-point"],
    ) -> None:
        super().__init__()
        self.keep(groups=stack.tensor(groups), high=stack.real(high), low=stack.real(low), eps=stack.real(eps))
        self.keep(down=stack.real(down), up=stack.real(up), clamp=stack.real(clamp), control=control)
        self.keep(period=stack.tensor(period), buffer=stack.tensor(buffer))
        falling = bool(((self.groups == 1) | (self.low <= self.high)).all())
        rule, given = "at most high where there are groups", stack.settings.get("low", low)
        must(falling, f"{stack.name}.low", rule, given, "change it")
        self.register_buffer("fires", stack.zeros(stack.m))
        self.register_buffer("peak", stack.zeros(stack.m))
        self.register_buffer("seen", stack.zeros(2))  # rows and steps since the last adaptation
        ceilings, group = bias_control.ceilings(stack.m, self.groups, self.high, self.low)
        self.register_buffer("ceilings", ceilings, persistent=False)
        self.register_buffer("group", group, persistent=False)

    @property
    def targets(self) -> Float[Tensor, "*s m"] | None:
        return self.ceilings

    def after_step(self, out: Pass) -> None:
        """Count the step's firings, of the weights and biases before it; adapt where enough is seen."""
        y, b_enc = out.evidence, out.encoder.b_enc
        self.fires += bias_control.positive(y).sum(-2)
        self.peak.copy_(torch.maximum(self.peak, y.amax(-2)))
        self.seen[..., 0] += y.shape[-2]
        self.seen[..., 1] += 1
        rows, steps = self.seen.unbind(-1)
        due = ((steps >= self.period) & (rows >= self.buffer))[..., None]
        if not bool(due.any()):
            return
        floor = self.ceilings if self.control == "set-point" else self.eps[..., None]
        mean = bias_control.group_mean(self.peak, self.group, int(self.groups.max()))
        lowest = -self.clamp[..., None] * out.x.square().sum(-1).mean(-1, keepdim=True).sqrt()
        rate, fallen, raised = self.fires / rows[..., None], self.down[..., None] * self.peak, self.up[..., None] * mean
        moved = bias_control.adapted(b_enc, rate, self.ceilings, floor, fallen, raised, lowest)
        b_enc.copy_(torch.where(due, moved, b_enc))
        for kept in (self.fires, self.peak, self.seen):
            kept.masked_fill_(due, 0.0)


class WinnerTakeAll(Rule):
    """Keeps the largest entries of each row of W_dec, a share of them; 0 keeps all."""

    share: Tensor

    def __init__(self, stack: Sizes, share: Share) -> None:
        super().__init__()
        self.keep(share=stack.real(share))

    def settle(self, encoder: Encoder, decoder: Decoder) -> None:
        """The largest entries, at norm 1 again unless rows have norms of their own."""
        rows = decoder.rows
        if rows.requires_grad and bool((self.share > 0).any()):
            kept = winner_take_all(rows, torch.where(self.share > 0, self.share, 1.0))
            rows.copy_(kept / kept.norm(dim=-1, keepdim=True).clamp_min(1e-8) if decoder.unit else kept)


def within_cone(
    rows: Float[Tensor, "*s m d"], axis: Float[Tensor, "*s m d"], cosine: Float[Tensor, "*s"]
) -> Float[Tensor, "*s m d"]:
    """Rows turned towards unit axes until their cosine is at least `cosine`, lengths kept; the nearest such rows."""
    norm = rows.norm(dim=-1, keepdim=True)
    along = (rows * axis).sum(-1, keepdim=True)
    across = rows - along * axis
    least = cosine[..., None, None]
    direction = across / across.norm(dim=-1, keepdim=True).clamp_min(1e-30)
    edge = norm * (least * axis + (1 - least.square()).clamp_min(0.0).sqrt() * direction)
    return torch.where(along >= least * norm, rows, edge)


class NearStart(Rule):
    """Rows keep a cosine of at least `cosine` to where they started, which folders hold; 1 lets none move."""

    confines = True
    cosine: Tensor
    start: Tensor

    def __init__(self, stack: Sizes, cosine: Share) -> None:
        super().__init__()
        self.keep(cosine=stack.real(cosine))
        self.register_buffer("start", stack.rows.clone())

    def settle(self, encoder: Encoder, decoder: Decoder) -> None:
        """Turn back rows that went too far, unless they are frozen."""
        rows = decoder.rows
        if rows.requires_grad:
            rows.copy_(within_cone(rows, self.start, self.cosine))


class Anchored(Rule):
    """Keeps the first `anchors` rows of W_dec, and their columns of W_enc, at directions that are given.

    Rows without a direction are free. Directions are a buffer, which folders and checkpoints hold.

    Source: arXiv 2512.05534, feature anchoring, as reported by readers. Differs: rows and columns are set back after
    each step; whether the paper pins both is not known.
    """

    directions: Tensor
    """unit vectors, or 0 where a row is free"""
    columns: bool

    def __init__(self, stack: Sizes, anchors: LatentCount, *, columns: bool) -> None:
        super().__init__()
        self.columns, count = columns, stack.tensor(anchors)
        self.register_buffer("directions", stack.zeros(same_count(stack, "anchors", count), stack.d))

    @torch.no_grad()
    def settle(self, encoder: Encoder, decoder: Decoder) -> None:
        """Put rows and columns where directions say, unless they are frozen."""
        held = [decoder.rows, encoder.columns(decoder).mT] if self.columns else [decoder.rows]
        count = self.directions.shape[-2]
        for place in held:
            if place.requires_grad:
                first = place[..., :count, :]
                first.copy_(torch.where((self.directions != 0).any(-1, keepdim=True), self.directions, first))
