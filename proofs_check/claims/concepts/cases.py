"""Latent concept models that claims are judged on, drawn by their settings."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import torch
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from jaxtyping import Float
from torch import Tensor

import synthetic as S
from proofs_check.claim import Check
from proofs_check.engines import smt
from proofs_check.instances.inequalities import inequality
from synthetic.concepts.activations import centred, exact_activations
from synthetic.concepts.contexts import Contexts
from synthetic.concepts.model import ConceptModel
from synthetic.concepts.priors import Prior
from synthetic.concepts.tokens import NextTokens
from workbench.theory.ops import Ops
from workbench.topics.concepts.regression import r_squared, unexplained

SMALL = st.integers(0, 10_000)
"""seeds"""


@dataclass(frozen=True)
class Predicted:
    """A latent concept model and the activations of a perfect predictor of its tokens."""

    concepts: S.LatentConcepts

    def __str__(self) -> str:
        c = self.concepts
        return f"sizes {c.sizes}, {c.prior}, {c.contexts}, {c.tokens}, seed {c.seed}"

    @property
    def nontrivial(self) -> bool:
        """Concepts depend on each other, given some context."""
        apart = self.model.log_marginals @ self.model.has_value.double()
        return bool((self.model.log_posterior - apart).abs().max() > 1e-6)

    @property
    def model(self) -> ConceptModel:
        """Its tables."""
        return _made(self.concepts)[0]

    @property
    def x(self) -> Float[Tensor, "s d"]:
        """Activations."""
        return _made(self.concepts)[1]

    @property
    def u(self) -> Float[Tensor, "t d"]:
        """Unembedding."""
        return _made(self.concepts)[2]

    def r2(self, regressors: Tensor, targets: Tensor) -> float:
        """R^2 under p(s)."""
        return r_squared(regressors, targets, self.model.weights)

    @property
    def logits(self) -> Float[Tensor, "s t"]:
        """Token-centred log p(y|s): free of the gauge of x, on which R^2 depends where short of 1."""
        return centred(self.model.log_next)

    @property
    def log_r2(self) -> float:
        """R^2 of logits ~ log p(c|s)."""
        return self.r2(self.model.log_posterior, self.logits)

    @property
    def probability_r2(self) -> float:
        """R^2 of logits ~ p(c|s)."""
        return self.r2(self.model.log_posterior.exp(), self.logits)

    def left(self, regressors: Tensor, targets: Tensor) -> Float[Tensor, " q"]:
        """1 - R^2 of each target."""
        return unexplained(regressors, targets, self.model.weights)


@lru_cache(maxsize=512)
def _made(concepts: S.LatentConcepts) -> tuple[ConceptModel, Tensor, Tensor]:
    model = S.LatentConcepts.model.func(concepts)  # type: ignore[attr-defined]
    readout = exact_activations(model, S.stream(concepts.seed, "claim"))
    return model, readout.x, readout.u


PRIORS: tuple[Prior, ...] = (S.ErDag(1.0), S.ErDag(2.0), S.Potts(1.0), S.IndependentPrior(), S.TreePrior())


@st.composite
def predicted(
    draw: st.DrawFn,
    tokens: NextTokens | SearchStrategy[NextTokens],
    contexts: Contexts | SearchStrategy[Contexts] | None = None,
    *,
    priors: Sequence[Prior] = PRIORS,
    sizes: Sequence[tuple[int, ...]] = ((2, 2), (3, 2), (2, 2, 2), (3, 3)),
    seeds: SearchStrategy[int] = SMALL,
) -> Predicted:
    """A model with these tokens and contexts (moderate ones where None), any prior and sizes of the lists."""

    def of(what: Any) -> Any:
        return draw(what) if isinstance(what, SearchStrategy) else what

    shape = draw(st.sampled_from(list(sizes)))
    moderate: Any = st.sampled_from([S.Table(64), S.Energy(64, 0.5), S.Energy(64, 2.0), S.Observations(5, 4)])
    return Predicted(
        S.LatentConcepts(
            sizes=shape,
            prior=draw(st.sampled_from(list(priors))),
            contexts=of(moderate if contexts is None else contexts),
            tokens=of(tokens),
            seed=draw(seeds),
        )
    )


@dataclass(frozen=True, eq=False)
class Tables:
    """Distributions of one token in one context, many models at once: a row a model. float64."""

    posterior: Float[Tensor, "n l"]
    emission: Float[Tensor, "n l"]
    """p(y|c)"""
    weights: Float[Tensor, "n l"]
    other: Float[Tensor, "n l"] | None = None
    """weights of the KL part, where they are not `weights`"""

    def __str__(self) -> str:
        return f"{len(self.posterior)} models of {self.posterior.shape[1]} configurations"

    @property
    def of_divergence(self) -> Float[Tensor, "n l"]:
        """Weights of the KL part."""
        return self.weights if self.other is None else self.other


@st.composite
def tables(draw: st.DrawFn, n: int = 32, *, mixed: bool = False) -> Tables:
    """n models with one context and token each, concentrations of all sizes; weights p(c|y), p(c), or any others.

    `mixed`: the KL part has other weights than the rest.
    """
    rng = S.stream(draw(st.integers(0, 2**32 - 1)), "claim")
    cells = draw(st.integers(2, 12))
    spread = draw(st.sampled_from([0.3, 1.0, 3.0]))

    def rows() -> Tensor:
        return (spread * torch.randn(n, cells, generator=rng, dtype=torch.float64)).softmax(1)

    prior, emission = rows(), torch.rand(n, cells, generator=rng, dtype=torch.float64).clamp_min(1e-3)
    told = prior * emission / (prior * emission).sum(1, keepdim=True)
    which = draw(st.sampled_from(["p(c|y)", "p(c)", "any"]))
    weights = {"p(c|y)": told, "p(c)": prior, "any": rows()}[which]
    return Tables(rows(), emission, weights, rows() if mixed else None)


def _mean(unknowns, ops):
    low, high, whole, mean, p, r = unknowns("low high whole mean p r")
    says = [low * whole <= mean, mean <= high * whole]
    return smt.Invariant(says, {"whole": whole + p, "mean": mean + p * r}, given=[p >= 0, low <= r, r <= high])


MEANS = smt.induction("a mean under p(c|s) is in the range of its values", "all l: over configurations", _mean)


def named_logarithms(ops: Ops, values: Sequence[Any], logarithms: Sequence[Any]) -> Ops:
    """Operations that know the logarithms of these unknowns, as unknowns."""
    of = {id(value): found for value, found in zip(values, logarithms, strict=True)}
    return replace(ops, log=lambda value: of[id(value)])


def _below(shows: str, unknown: str, left: Any, right: Any) -> Check:
    claim = inequality(shows, shows, box={unknown: ("1", None)}, left=left, right=right)
    return replace(next(iter(claim.checks)), shows=shows, decides=None)


LOGARITHM = (
    _below("log z ≤ z − 1", "z", lambda z, ops: ops.log(z), lambda z: z - 1),
    _below("log z ≤ z − 1 at z = 1/y", "y", lambda y, ops: -ops.log(y), lambda y: 1 / y - 1),
)
