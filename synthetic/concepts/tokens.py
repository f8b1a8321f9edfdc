"""What the next token tells of the concepts: laws of p(y|c). They decide what activations are linear in.

Source: ours, except where said; the regimes of Liu et al. (2025), arXiv 2503.08980, and Liu et al. (2026), 2601.20420.
"""

import math
from dataclasses import dataclass
from typing import Annotated, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from synthetic.base.annotations import above, at_least, within
from synthetic.base.errors import must
from synthetic.base.storage import knob
from synthetic.concepts.model import configurations
from synthetic.concepts.priors import dirichlet


@runtime_checkable
class NextTokens(Protocol):
    """A law of p(y|c)."""

    def draw(self, sizes: tuple[int, ...], rng: torch.Generator) -> Float[Tensor, "l t"]:
        """p(y|c), float64."""
        ...

    def regressors(self, sizes: tuple[int, ...]) -> int:
        """Numbers that activations of such tokens are compared with: l log-posteriors, or D log-marginals."""
        ...


@dataclass(frozen=True)
class _Joint:
    """Tokens whose activations are compared with the joint log-posterior."""

    def regressors(self, sizes: tuple[int, ...]) -> int:
        return math.prod(sizes)


@knob
@dataclass(frozen=True)
class JointRevealing(_Joint):
    """Every token belongs to one configuration, `copies` tokens to each: activations are affine in log p(c|s)."""

    copies: Annotated[int, at_least(1, "tokens of each configuration")] = 1

    def draw(self, sizes: tuple[int, ...], rng: torch.Generator) -> Float[Tensor, "l t"]:
        cells = math.prod(sizes)
        shares = dirichlet((cells, self.copies), 5.0, rng)
        return (torch.eye(cells, dtype=torch.float64)[:, :, None] * shares[:, None]).flatten(1)


@knob
@dataclass(frozen=True)
class ConceptTyped:
    """Token (k, v) says c_k = v: p(y|c) = a_k 1[c_k = v]; activations are affine in the log p(c_k = v | s).

    `weights` are the a_k, equal where None; a concept of weight 0 has no tokens.
    """

    weights: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        given = self.weights is None or (sum(self.weights) > 0 and min(self.weights) >= 0)
        must(given, "ConceptTyped.weights", "at least 0, not all 0", self.weights, "give one a concept")

    def regressors(self, sizes: tuple[int, ...]) -> int:
        return sum(sizes)

    def draw(self, sizes: tuple[int, ...], rng: torch.Generator) -> Float[Tensor, "l t"]:
        weights = self.weights or (1.0,) * len(sizes)
        one_each = f"one for each of {len(sizes)} concepts"
        must(len(weights) == len(sizes), "ConceptTyped.weights", one_each, weights, "match the sizes")
        c = configurations(sizes)
        known = [(k, n, w / sum(weights)) for k, (n, w) in enumerate(zip(sizes, weights, strict=True)) if w]
        typed = [share * torch.eye(n).double()[c[:, k]] for k, n, share in known]
        return torch.cat(typed, 1)


@knob
@dataclass(frozen=True)
class Homonyms(_Joint):
    """Tokens mean overlapping events: p(y|c) = a_g 1[c in E_y], each of `partitions` cutting configurations in blocks.

    Blocks of `block` configurations are random; activations are affine in log p(E_y|s), not in log p(c|s).
    """

    partitions: Annotated[int, at_least(1, "1 merges configurations")] = 2
    block: Annotated[int, at_least(1, "configurations of an event")] = 2

    def draw(self, sizes: tuple[int, ...], rng: torch.Generator) -> Float[Tensor, "l t"]:
        cells = math.prod(sizes)
        shares = dirichlet((self.partitions,), 5.0, rng)
        events = [torch.randperm(cells, generator=rng) // self.block for _ in range(self.partitions)]
        return torch.cat([a * torch.eye(int(e.max()) + 1).double()[e] for a, e in zip(shares, events, strict=True)], 1)


@knob
@dataclass(frozen=True)
class Weak(_Joint):
    """Tokens tell little: p(y|c) = q_y (1 + eta r_cy), sum_y q_y r_cy = 0, max |r| = 1; eta -> 0: linear in p(c|s)."""

    eta: Annotated[float, within(0, 1, "the share that c moves a token by", "()")] = 0.1
    tokens: Annotated[int, at_least(2, "add tokens")] = 16

    def draw(self, sizes: tuple[int, ...], rng: torch.Generator) -> Float[Tensor, "l t"]:
        q = dirichlet((self.tokens,), 5.0, rng)
        r = torch.randn(math.prod(sizes), self.tokens, generator=rng, dtype=torch.float64)
        r = r - r @ q[:, None]
        return q * (1 + self.eta * r / r.abs().max())


@knob
@dataclass(frozen=True)
class Generic(_Joint):
    """Rows are Dirichlet(concentration): the realistic case, where nothing is exactly linear."""

    tokens: Annotated[int, at_least(2, "add tokens")] = 16
    concentration: Annotated[float, above(0, "1 is uniform")] = 1.0

    def draw(self, sizes: tuple[int, ...], rng: torch.Generator) -> Float[Tensor, "l t"]:
        return dirichlet((math.prod(sizes), self.tokens), self.concentration, rng)


@knob
@dataclass(frozen=True)
class Leak(_Joint):
    """A token for each configuration that leaks: p(y|c) = (1 - eps) 1[y = c] + eps Dirichlet(1)."""

    eps: Annotated[float, within(0, 1, "0 reveals the configuration")] = 0.01

    def draw(self, sizes: tuple[int, ...], rng: torch.Generator) -> Float[Tensor, "l t"]:
        cells = math.prod(sizes)
        said = torch.eye(cells, dtype=torch.float64)
        return (1 - self.eps) * said + self.eps * dirichlet((cells, cells), 1.0, rng)
