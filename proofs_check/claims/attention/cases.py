"""A layer of attention heads and an SAE on its concatenated outputs: what the claims on attribution are about."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from hypothesis import strategies as st
from jaxtyping import Float
from torch import Tensor

import synthetic as S
from proofs_check.claim import digits
from proofs_check.instances.draw import SEEDS, numbers
from workbench import SAE, create
from workbench.metrics import attribution
from workbench.parts.base import dense
from workbench.parts.encoders import Affine


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
