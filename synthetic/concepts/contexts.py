"""What a context tells of the concepts: laws of p(s, c) given the prior."""

import itertools
import math
from dataclasses import dataclass
from typing import Annotated, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from synthetic.base.annotations import above, at_least
from synthetic.base.errors import must
from synthetic.base.storage import knob
from synthetic.concepts.model import configurations
from synthetic.concepts.priors import dirichlet

LARGEST = 100_000
"""contexts that are enumerated, at most"""


@runtime_checkable
class Contexts(Protocol):
    """A law of p(s, c)."""

    @property
    def count(self) -> int:
        """Number of contexts."""
        ...

    def draw(
        self, sizes: tuple[int, ...], log_prior: Float[Tensor, " l"], rng: torch.Generator
    ) -> Float[Tensor, "s l"]:
        """log p(s, c), float64, finite, summing to 1 in probability."""
        ...


def _must_be_few(where: str, count: int) -> None:
    must(1 <= count <= LARGEST, where, f"at least 1 and at most {LARGEST}", count, "every context is enumerated")


@knob
@dataclass(frozen=True)
class Table:
    """p(s|c): a Dirichlet(concentration) row for each configuration, plus 1e-4 before it is normalised.

    Source: ours.
    """

    contexts: int = 64
    concentration: Annotated[float, above(0, "1 is uniform")] = 0.5

    def __post_init__(self) -> None:
        _must_be_few("Table.contexts", self.contexts)

    @property
    def count(self) -> int:
        return self.contexts

    def draw(
        self, sizes: tuple[int, ...], log_prior: Float[Tensor, " l"], rng: torch.Generator
    ) -> Float[Tensor, "s l"]:
        rows = dirichlet((len(log_prior), self.contexts), self.concentration, rng) + 1e-4
        return (rows / rows.sum(1, keepdim=True)).log().T + log_prior


@knob
@dataclass(frozen=True)
class Observations:
    """s is what `length` observed tokens say, independent given c; emission rows are Dirichlet(concentration).

    Only the counts of tokens matter, so contexts are all C(length + vocabulary - 1, length) count vectors with their
    multinomial probabilities. The longer, the sharper p(c|s).

    Source: Liu et al. (2025), arXiv 2503.08980, observations as the measure of invertibility; counts are ours.
    """

    length: Annotated[int, at_least(1, "observe a token")] = 4
    vocabulary: Annotated[int, at_least(2, "one says nothing")] = 4
    concentration: Annotated[float, above(0, "1 is uniform")] = 1.0

    def __post_init__(self) -> None:
        _must_be_few("Observations' count vectors", self.count)

    @property
    def count(self) -> int:
        return math.comb(self.length + self.vocabulary - 1, self.length)

    def draw(
        self, sizes: tuple[int, ...], log_prior: Float[Tensor, " l"], rng: torch.Generator
    ) -> Float[Tensor, "s l"]:
        emission = dirichlet((len(log_prior), self.vocabulary), self.concentration, rng).clamp_min(1e-9)
        emission = emission / emission.sum(1, keepdim=True)
        bars = torch.tensor(list(itertools.combinations(range(self.length + self.vocabulary - 1), self.vocabulary - 1)))
        ends = torch.full((len(bars), 1), self.length + self.vocabulary - 1)
        counts = torch.cat((bars, ends), 1).diff(dim=1, prepend=torch.full((len(bars), 1), -1)).double() - 1
        ways = torch.lgamma(torch.tensor(self.length + 1.0).double()) - torch.lgamma(counts + 1).sum(1)
        return ways[:, None] + counts @ emission.log().T + log_prior


@knob
@dataclass(frozen=True)
class Energy:
    """p(c|s) ~ p(c) exp(sharpness W_sc), W ~ N(0, 1), all contexts equally likely: a dial of sharpness.

    `factorised`: W_sc = sum_k w_k[s, c_k], so that p(c|s) is a product where p(c) is one. The prior of the model that
    comes out is the mean of p(c|s), not the one put in.

    Source: ours.
    """

    contexts: int = 64
    sharpness: Annotated[float, at_least(0, "0 says nothing of c")] = 1.0
    factorised: bool = False

    def __post_init__(self) -> None:
        _must_be_few("Energy.contexts", self.contexts)

    @property
    def count(self) -> int:
        return self.contexts

    def draw(
        self, sizes: tuple[int, ...], log_prior: Float[Tensor, " l"], rng: torch.Generator
    ) -> Float[Tensor, "s l"]:
        c = configurations(sizes)
        if self.factorised:
            own = [torch.randn(self.contexts, n, generator=rng, dtype=torch.float64) for n in sizes]
            w = torch.stack([table[:, c[:, k]] for k, table in enumerate(own)]).sum(0)
        else:
            w = torch.randn(self.contexts, len(c), generator=rng, dtype=torch.float64)
        return (log_prior + self.sharpness * w).log_softmax(1) - math.log(self.contexts)
