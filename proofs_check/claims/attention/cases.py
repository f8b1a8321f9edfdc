"""A layer of attention heads and an SAE on its concatenated outputs: what the claims on attribution are about."""

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import torch
from hypothesis import strategies as st
from jaxtyping import Float
from torch import Tensor

import synthetic as S
from proofs_check.claim import digits
from proofs_check.instances.draw import SEEDS, numbers
from proofs_check.instances.loops import evaluated
from proofs_check.kernel.evaluations import EXACT
from workbench import SAE, create
from workbench.metrics import attribution
from workbench.parts.base import dense
from workbench.parts.encoders import Affine
from workbench.theory import attention as theory


@dataclass(frozen=True, eq=False)
class Layer:
    """One sequence and an SAE with random weights. All float64."""

    patterns: Float[Tensor, "heads t t"]
    values: Float[Tensor, "heads t d_head"]
    W_enc: Float[Tensor, "d m"]
    b_enc: Float[Tensor, " m"]
    b_dec: Float[Tensor, " d"]
    scale: float = 1.0
    k: int = 0
    """latents kept a sample; 0 for all of ReLU"""
    dropped: int = 0
    """last sources left out of the sum"""
    sharper: float = 1.0
    """power to which the patterns are taken after the parts were"""
    selects_again: bool = False
    """TopK chooses anew after an ablation"""

    def __str__(self) -> str:
        (heads, length, _), d_head = self.patterns.shape, self.values.shape[-1]
        kind = f"TopK {self.k}{', chosen anew' if self.selects_again else ''}" if self.k else "ReLU"
        more = f", {self.dropped} sources left out" if self.dropped else ""
        more += f", patterns to the power {self.sharper:g}" if self.sharper != 1 else ""
        return f"{heads} heads of width {d_head}, {length} positions, {kind}{more}, pre {digits(self.pre)}"

    @property
    def nontrivial(self) -> bool:
        """Two heads or more, and two positions."""
        return self.heads > 1 and self.patterns.shape[1] > 1

    @property
    def heads(self) -> int:
        """H."""
        return len(self.patterns)

    @cached_property
    def z(self) -> Float[Tensor, "t d"]:
        """Concatenated heads, with the patterns as they are now."""
        sharp = self.patterns**self.sharper
        return ((sharp / sharp.sum(-1, keepdim=True)) @ self.values).transpose(0, 1).flatten(1)

    @cached_property
    def sae(self) -> SAE:
        """The shipped one."""
        sae = create("topk", *self.W_enc.shape, k=self.k) if self.k else create("relu", *self.W_enc.shape)
        sae = sae.double().eval()
        with torch.no_grad():
            for name in ("W_enc", "b_enc", "b_dec"):
                getattr(sae, name).copy_(getattr(self, name))
            sae.scale.fill_(self.scale)
        return sae

    @cached_property
    def pre(self) -> Float[Tensor, "t m"]:
        """Pre-activations of the shipped SAE, in its own units."""
        with torch.no_grad():
            return self.sae.trace(self.z * self.scale).evidence

    def latents(self, pre: Float[Tensor, "*n m"]) -> Float[Tensor, "*n m"]:
        """What the shipped SAE keeps of pre-activations."""
        encoder = self.sae.encoder
        if not isinstance(encoder, Affine):
            raise TypeError(encoder)
        with torch.no_grad():
            return dense(encoder.selection(pre.flatten(0, -2))).view(pre.shape)

    @cached_property
    def parts(self) -> Float[Tensor, "t heads m"]:
        """The shipped attribution to heads."""
        return attribution.by_head(self.z, self.W_enc, self.heads, self.scale)

    @cached_property
    def ablated(self) -> Float[Tensor, "heads t m"]:
        """Pre-activations with z_h at 0, one head at a time."""
        blocks = self.z.view(len(self.z), self.heads, -1)
        kept = 1 - torch.eye(self.heads, dtype=torch.float64)
        with torch.no_grad():
            z = (blocks * kept[:, None, :, None]).flatten(2) * self.scale
            return self.sae.trace(z.flatten(0, 1)).evidence.view(*z.shape[:2], -1)

    @cached_property
    def swapped(self) -> float:
        """Latents that TopK keeps before an ablation but not after, or the other way round, though above 0."""
        if not (self.k and self.selects_again):
            return 0.0
        before, after = self.latents(self.pre) > 0, self.latents(self.ablated) > 0
        return float(((self.ablated > 0) & (self.pre > 0) & (before != after)).sum())

    @cached_property
    def effects(self) -> Float[Tensor, "heads t m"]:
        """By how much latents fall when z_h is set to 0."""
        before = self.latents(self.pre)
        if self.selects_again or not self.k:
            return before - self.latents(self.ablated)
        return before - torch.where(before > 0, self.ablated.clamp_min(0), 0.0)


@st.composite
def layers(draw: st.DrawFn, *, topk: bool = False, **settings: Any) -> Layer:
    """A layer of any shape with causal patterns, and an SAE with a scale; every other one TopK where asked for."""
    heads, length, d_head, m = (draw(st.integers(1, most)) for most in (4, 5, 4, 6))
    rng = S.stream(draw(SEEDS), "layer")

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=rng, dtype=torch.float64)

    causal = torch.ones(length, length).tril() > 0
    patterns = normal(heads, length, length).masked_fill(~causal, -torch.inf).softmax(-1)
    weights = (normal(heads * d_head, m), normal(m), normal(heads * d_head))
    k = draw(st.integers(0, m)) if topk else 0
    return Layer(patterns, normal(heads, length, d_head), *weights, draw(numbers(0.1, 4)), k, **settings)


def _whole(draw, k=0):
    """Small whole numbers, which float64 adds up exactly: n heads of width 2 at two positions, d latents."""

    def numbers(*shape):
        return torch.tensor(draw.vector(math.prod(shape), 1000), dtype=torch.float64).view(shape)

    patterns = torch.tensor([[1.0, 0.0], [0.5, 0.5]], dtype=torch.float64).expand(draw.n, 2, 2)
    wide = 2 * draw.n
    return Layer(patterns, 2 * numbers(draw.n, 2, 2), numbers(wide, draw.d), numbers(draw.d), numbers(wide), k=k)


def _attributed(draw):
    """The shipped attribution, by hand."""
    case = _whole(draw)
    columns = case.W_enc.T.tolist()
    fixed = [theory.constant_part(b, case.b_dec.tolist(), w) for b, w in zip(case.b_enc.tolist(), columns, strict=True)]
    yield attribution.constant(case.W_enc, case.b_enc, case.b_dec).tolist(), fixed
    by_source = attribution.by_source(case.patterns, case.values, case.W_enc, case.scale)
    for h, (pattern, values) in enumerate(zip(case.patterns.tolist(), case.values.tolist(), strict=True)):
        blocks = [w[2 * h : 2 * h + 2] for w in columns]
        for t, weights in enumerate(pattern):
            shares = [
                [theory.source_part(a, v, block) for block in blocks] for a, v in zip(weights, values, strict=True)
            ]
            yield by_source[h, t].tolist(), shares
            yield case.parts[t, h].tolist(), [theory.head_part(weights, values, block) for block in blocks]
    yield case.pre.tolist(), (case.parts.sum(1) + torch.tensor(fixed)).tolist()


def _ablated(draw):
    """By how much the shipped SAEs' latents fall, by the formula; of TopK those that were kept."""
    for k in (0, draw.d // 2):
        case = _whole(draw, k)
        largest = case.pre >= case.pre.topk(k or draw.d).values[:, -1:]
        kept = largest & (case.pre > 0) if k else largest
        yield (case.latents(case.pre) > 0).tolist(), (largest & (case.pre > 0)).tolist()
        parts = attribution.by_head(case.z, case.W_enc, case.heads).transpose(0, 1)
        for part, effect in zip(parts, case.effects, strict=True):
            pairs = zip(case.pre[kept].tolist(), part[kept].tolist(), strict=True)
            yield effect[kept].tolist(), [theory.ablation_effect(pre, share, ops=EXACT) for pre, share in pairs]


def _shared(draw):
    """Blocks of whole norms: with the last entry v and the others' square 2v + 1 the norm is v + 1."""
    blocks = draw.rows(draw.n, draw.d, 100)
    for block in blocks:
        block.append(1 + sum(a * a for a in block) % 2)
        block.append((sum(a * a for a in block) - 1) // 2)
    norms = [block[-1] + 1 for block in blocks]
    wanted = [Fraction(norm, sum(norms)) for norm in norms]
    yield theory.head_share([[Fraction(a) for a in block] for block in blocks], ops=EXACT), wanted
    row = torch.tensor(blocks, dtype=torch.float64).flatten()[None]
    yield attribution.head_share(row, draw.n)[0].tolist(), [float(share) for share in wanted]


ATTRIBUTED = evaluated("the vectorised attribution is that by hand, and sums to pre", _attributed)
ABLATED = evaluated("the latents of the SAEs fall by the formula", _ablated)
SHARED = evaluated("the vectorised shares are those by hand", _shared)
