"""How concepts depend on one another: laws of the prior p(c) over all configurations."""

from dataclasses import dataclass
from typing import Annotated, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from scipy.special import gammaincinv
from torch import Tensor

from synthetic.base.annotations import above, at_least
from synthetic.base.storage import knob
from synthetic.concepts.model import configurations

UNIFORM = 0.01
"""share of the uniform law in priors that could leave a configuration without mass"""


@runtime_checkable
class Prior(Protocol):
    """A law of p(c)."""

    def draw(self, sizes: tuple[int, ...], rng: torch.Generator) -> Float[Tensor, " l"]:
        """log p(c) in the order of `configurations`, float64, finite."""
        ...


def dirichlet(shape: tuple[int, ...], concentration: float, rng: torch.Generator) -> Float[Tensor, "*rows n"]:
    """Rows from the symmetric Dirichlet law, float64."""
    uniform = torch.rand(shape, generator=rng, dtype=torch.float64)
    gamma = torch.from_numpy(gammaincinv(concentration, uniform.numpy())).clamp_min(1e-300)
    return gamma / gamma.sum(-1, keepdim=True)


def _mixed(log_p: Float[Tensor, " l"]) -> Float[Tensor, " l"]:
    return ((1 - UNIFORM) * log_p.softmax(0) + UNIFORM / len(log_p)).log()


@knob
@dataclass(frozen=True)
class ErDag:
    """A random DAG: in a random order each earlier concept is a parent with probability min(1, 2 degree / (K - 1)).

    degree K edges are expected ("ER-1" and so on); the rows of the conditional tables are Dirichlet(concentration), and
    p(c) is mixed with 1 % of the uniform law.

    Source: Liu et al. (2025), arXiv 2503.08980, simulations, as reported by their readers.
    """

    degree: Annotated[float, at_least(0, "expected parents a concept")] = 2.0
    concentration: Annotated[float, above(0, "1 is uniform")] = 1.0

    def draw(self, sizes: tuple[int, ...], rng: torch.Generator) -> Float[Tensor, " l"]:
        c, order = configurations(sizes), torch.randperm(len(sizes), generator=rng).tolist()
        share = min(1.0, 2 * self.degree / max(len(sizes) - 1, 1))
        log_p = torch.zeros(len(c), dtype=torch.float64)
        for place, k in enumerate(order):
            edges = torch.rand(place, generator=rng) < share
            row = torch.zeros(len(c), dtype=torch.long)  # of the table of c_k given its parents
            rows = 1
            for j, edge in zip(order[:place], edges.tolist(), strict=True):
                if edge:
                    row, rows = row * sizes[j] + c[:, j], rows * sizes[j]
            table = dirichlet((rows, sizes[k]), self.concentration, rng)
            log_p += table.log()[row, c[:, k]]
        return _mixed(log_p)


@knob
@dataclass(frozen=True)
class Potts:
    """p(c) ~ exp(sum_k a_k[c_k] + sum_{j<k} B_jk[c_j, c_k]), a ~ N(0, field^2), B ~ N(0, strength^2); 1 % uniform.

    At strength 0 the mixture with the uniform law alone couples concepts; at field 0 too, p(c) is uniform.

    Source: ours; the Potts model of statistical physics.
    """

    strength: Annotated[float, at_least(0, "the sd of the couplings")] = 1.0
    field: Annotated[float, at_least(0, "the sd of the fields")] = 1.0

    def draw(self, sizes: tuple[int, ...], rng: torch.Generator) -> Float[Tensor, " l"]:
        c = configurations(sizes)
        log_p = torch.zeros(len(c), dtype=torch.float64)
        for k, n in enumerate(sizes):
            log_p += self.field * torch.randn(n, generator=rng, dtype=torch.float64)[c[:, k]]
            for j in range(k):
                pair = torch.randn(sizes[j], n, generator=rng, dtype=torch.float64)
                log_p += self.strength * pair[c[:, j], c[:, k]]
        return _mixed(log_p)


@knob
@dataclass(frozen=True)
class IndependentPrior:
    """A product of Dirichlet(concentration) marginals, exactly: no uniform part, which would couple concepts.

    Source: ours.
    """

    concentration: Annotated[float, above(0, "1 is uniform")] = 2.0

    def draw(self, sizes: tuple[int, ...], rng: torch.Generator) -> Float[Tensor, " l"]:
        c = configurations(sizes)
        own = [dirichlet((n,), self.concentration, rng).log()[c[:, k]] for k, n in enumerate(sizes)]
        return torch.stack(own).sum(0)


@knob
@dataclass(frozen=True)
class TreePrior:
    """Concepts in a heap of `branching` children each: a child has value 0 where its parent has; else it is drawn.

    Concept k > 0 has the parent (k - 1) // branching; values where the parent is not 0, and the root's, are
    Dirichlet(concentration). 1 % uniform gives the forbidden configurations a little mass.

    Source: hierarchical concepts; the form is ours.
    """

    branching: Annotated[int, at_least(1, "children of a concept")] = 2
    concentration: Annotated[float, above(0, "1 is uniform")] = 2.0

    def draw(self, sizes: tuple[int, ...], rng: torch.Generator) -> Float[Tensor, " l"]:
        c = configurations(sizes)
        log_p = torch.zeros(len(c), dtype=torch.float64)
        for k, n in enumerate(sizes):
            alive = c[:, (k - 1) // self.branching] > 0 if k else torch.ones(len(c), dtype=torch.bool)
            own = dirichlet((n,), self.concentration, rng).log()[c[:, k]]
            log_p += torch.where(alive, own, torch.where(c[:, k] == 0, 0.0, -torch.inf))
        return _mixed(log_p)
