"""Samples with labels, and changes of evidence, that claims on probes and directions are judged on."""

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch
from hypothesis import strategies as st
from jaxtyping import Float
from torch import Tensor

import synthetic as S
from proofs_check.claims.concepts.cases import SMALL
from synthetic.concepts.activations import exact_activations, numerical_rank
from synthetic.concepts.model import ConceptModel, configurations
from workbench.theory import concept_probes as theory
from workbench.topics.concepts import probes


@dataclass(frozen=True)
class Labelled:
    """60 samples in 50 dimensions with labels: random ones, or those of a direction."""

    seed: int
    C: float = 1e-6
    """inverse penalty of the logistic fit, scikit-learn's"""
    real: bool = False
    """labels follow the first coordinate, by a gap"""

    def __str__(self) -> str:
        return f"seed {self.seed}, C = {self.C:g}, {'real' if self.real else 'random'} labels"

    @property
    def nontrivial(self) -> bool:
        """Both labels occur."""
        labels = self.sample("train")[1]
        return bool(labels.min() < labels.max())

    def sample(self, name: str) -> tuple[Float[Tensor, "n d"], Float[Tensor, " n"]]:
        """Samples and labels, as many of each."""
        rng = S.stream(self.seed, f"claim/{name}")
        x = torch.randn(60, 50, generator=rng, dtype=torch.float64)
        y = (torch.randperm(60, generator=rng) < 30).double()
        if self.real:
            x[:, 0] += 6 * (2 * y - 1)
        return x, y

    @property
    def direction(self) -> Float[Tensor, " d"]:
        """Difference of class means, up to length, by the shipped formula."""
        x, y = self.sample("train")
        labels = y.int().tolist()
        return torch.tensor([theory.pull(labels, column) for column in x.T.tolist()], dtype=torch.float64)

    def probe(self, C: float) -> Float[Tensor, " d"]:
        """Weights of the logistic fit."""
        return _fitted(Labelled(self.seed, real=self.real), C)

    def cosine(self, C: float) -> float:
        """cos of the two."""
        return float(torch.cosine_similarity(self.probe(C), self.direction, dim=0))

    @property
    def held_out(self) -> float:
        """Share of fresh samples whose labels the direction tells."""
        x, y = self.sample("test")
        train, _ = self.sample("train")
        predicted = (x - train.mean(0)) @ self.direction > 0
        return float((predicted == (y > 0)).double().mean())


@lru_cache(maxsize=4096)
def _fitted(of: Labelled, C: float) -> Tensor:
    x, y = of.sample("train")
    n = len(x)
    return probes.logistic(x, y, torch.full((n,), 1 / n, dtype=torch.float64), ridge=1 / (C * n))[:-1]


def labelled(**settings) -> st.SearchStrategy[Labelled]:
    """Any seed."""
    return SMALL.map(lambda seed: Labelled(seed, **settings))


@dataclass(frozen=True)
class Evidence:
    """Pairs of contexts that differ in evidence on one concept: p(c|s') ~ p(c|s) w(c_k)."""

    seed: int
    values: int = 2
    """of the concept; another has 2, a third 3"""
    revealing: bool = True
    """tokens reveal configurations, else each value has one"""
    factorised: bool = False
    second: bool = False
    """evidence on the second concept as well"""

    @cached_property
    def pairs(self) -> tuple[Tensor, Tensor, ConceptModel]:
        """Forty pairs: log p(c|s) before and after, up to a constant each, and the model of all these contexts."""
        sizes = (self.values, 2, 3)
        cells, pairs = math.prod(sizes), 40
        rng = S.stream(self.seed, "claim/evidence")

        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=rng, dtype=torch.float64)

        c = configurations(sizes)
        effects = [normal(pairs, n)[:, c[:, k]] for k, n in enumerate(sizes)]
        before = torch.stack(effects).sum(0) + (0.0 if self.factorised else normal(pairs, cells))
        after = before + normal(pairs, self.values)[:, c[:, 0]]
        after = after + (normal(pairs, 2)[:, c[:, 1]] if self.second else 0.0)
        log_joint = torch.cat((before, after)).log_softmax(1) - math.log(2 * pairs)
        tokens = S.JointRevealing() if self.revealing else S.ConceptTyped()
        return before, after, ConceptModel(sizes, log_joint, tokens.draw(sizes, rng))

    @property
    def rank(self) -> int:
        """Of the activations' changes."""
        first, last = exact_activations(self.pairs[2]).x.chunk(2)
        return numerical_rank(torch.linalg.svdvals(last - first))

    @property
    def beside(self) -> float:
        """By how much evidence differs between configurations with one value of the concept."""
        before, after, model = self.pairs
        groups = (after - before).T[configurations(model.sizes)[:, 0].argsort()].view(self.values, -1, len(before))
        return float((groups.amax(1) - groups.amin(1)).max())

    @property
    def entangled(self) -> float:
        """How far some p(c|s) is from the product of its marginals, where a token leaves c open; else 0."""
        model = self.pairs[2]
        apart = model.log_marginals @ model.has_value.double()
        return min(model.token_ambiguity, float((model.log_posterior - apart).abs().max()))
