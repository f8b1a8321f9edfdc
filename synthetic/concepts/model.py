"""Latent discrete concept models: a context and its next token meet only through concepts; everything is enumerated."""

import itertools
import math
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from synthetic.base.errors import must

LARGEST = 4096
"""configurations that are enumerated, at most"""


def configurations(sizes: tuple[int, ...]) -> Int[Tensor, "l concepts"]:
    """All values (c_1, ..., c_K), the last concept fastest."""
    good = bool(sizes) and all(n >= 2 for n in sizes) and math.prod(sizes) <= LARGEST
    must(good, "concepts.sizes", f"values of each concept, 2 or more, at most {LARGEST} in product", sizes, "change it")
    return torch.tensor(list(itertools.product(*(range(n) for n in sizes))), device="cpu")


@dataclass(frozen=True, eq=False)
class ConceptModel:
    """p(s, y) = sum_c p(s, c) p(y|c): contexts s, concepts c = (c_1, ..., c_K), next tokens y. float64, in log space.

    Rows are contexts, columns configurations of the concepts or tokens. Every p(c|s) is positive.

    Source: Liu et al. (2025), arXiv 2503.08980, the generative model, as reported by its readers; tables are ours.
    """

    sizes: tuple[int, ...]
    """number of values of each concept"""
    log_joint: Float[Tensor, "s l"]
    """log p(s, c)"""
    tokens: Float[Tensor, "l t"]
    """p(y|c)"""

    def __post_init__(self) -> None:
        cells, shapes = len(configurations(self.sizes)), (tuple(self.log_joint.shape), tuple(self.tokens.shape))
        fits = shapes[0][1:] == (cells,) and shapes[1][:1] == (cells,) and min(*shapes[0], *shapes[1]) >= 1
        wanted = f"of shapes (contexts, {cells}) and ({cells}, tokens)"
        must(fits, "ConceptModel.log_joint, tokens", wanted, shapes, "match them")
        double = self.log_joint.dtype == self.tokens.dtype == torch.float64
        must(double, "ConceptModel.log_joint, tokens", "float64", (self.log_joint.dtype, self.tokens.dtype), "convert")
        must(bool(self.log_joint.isfinite().all()), "ConceptModel.log_joint", "finite", "-inf or NaN", "mix with 1 %")
        total = float(self.log_joint.logsumexp((0, 1)).exp())
        must(abs(total - 1) < 1e-6, "ConceptModel.log_joint", "that of probabilities with sum 1", total, "normalise")
        off = float((self.tokens.sum(1) - 1).abs().max())
        good = off < 1e-6 and bool((self.tokens >= 0).all())
        must(good, "ConceptModel.tokens", "a distribution in each row", f"a row off by {off:.2g}", "normalise rows")
        must(bool((self.tokens.sum(0) > 0).all()), "ConceptModel.tokens", "without empty columns", "one", "drop it")

    @classmethod
    def of(
        cls,
        sizes: tuple[int, ...],
        log_prior: Float[Tensor, " l"],
        log_contexts: Float[Tensor, "l s"],
        tokens: Float[Tensor, "l t"],
    ) -> "ConceptModel":
        """The model with p(c), p(s|c) and p(y|c)."""
        return cls(sizes, (log_prior[:, None] + log_contexts).T.contiguous(), tokens)

    # sizes -------------------------------------------------------------------------------------------------------

    @property
    def n_contexts(self) -> int:
        """Number of contexts."""
        return len(self.log_joint)

    @property
    def n_configurations(self) -> int:
        """Number of configurations, the product of `sizes`."""
        return self.log_joint.shape[1]

    @property
    def n_tokens(self) -> int:
        """Number of tokens."""
        return self.tokens.shape[1]

    @property
    def values(self) -> list[tuple[int, int]]:
        """The pairs (k, v) that columns of marginals stand for, concept by concept."""
        return [(k, v) for k, n in enumerate(self.sizes) for v in range(n)]

    @cached_property
    def has_value(self) -> Bool[Tensor, "values l"]:
        """Whether c_k = v in a configuration, one row for each (k, v)."""
        c = configurations(self.sizes)
        return torch.stack([c[:, k] == v for k, v in self.values])

    # contexts ----------------------------------------------------------------------------------------------------

    @cached_property
    def log_contexts(self) -> Float[Tensor, " s"]:
        """log p(s)."""
        return self.log_joint.logsumexp(1)

    @cached_property
    def weights(self) -> Float[Tensor, " s"]:
        """p(s), which weighs every mean over contexts."""
        return self.log_contexts.exp()

    @cached_property
    def log_prior(self) -> Float[Tensor, " l"]:
        """log p(c)."""
        return self.log_joint.logsumexp(0)

    @cached_property
    def log_posterior(self) -> Float[Tensor, "s l"]:
        """log p(c|s)."""
        return self.log_joint - self.log_contexts[:, None]

    @cached_property
    def log_marginals(self) -> Float[Tensor, "s values"]:
        """log p(c_k = v | s)."""
        return torch.stack([self.log_posterior[:, own].logsumexp(1) for own in self.has_value], 1)

    @cached_property
    def log_odds(self) -> Float[Tensor, "s binary"]:
        """log p(c_k = 1 | s) / p(c_k = 0 | s) of the binary concepts, in order."""
        at = [i for i, (k, v) in enumerate(self.values) if v == 1 and self.sizes[k] == 2]
        return self.log_marginals[:, at] - self.log_marginals[:, [i - 1 for i in at]]

    # tokens ------------------------------------------------------------------------------------------------------

    @cached_property
    def log_tokens(self) -> Float[Tensor, "l t"]:
        """log p(y|c), -inf where it is 0."""
        return self.tokens.log()

    @cached_property
    def log_next(self) -> Float[Tensor, "s t"]:
        """log p(y|s), what a language model is trained on."""
        blocks = self.log_posterior.split(max(1, 2**24 // self.tokens.numel()))
        return torch.cat([(rows[:, :, None] + self.log_tokens).logsumexp(1) for rows in blocks])

    @cached_property
    def token_posterior(self) -> Float[Tensor, "t l"]:
        """p(c|y)."""
        return (self.log_prior[:, None] + self.log_tokens).softmax(0).T.contiguous()

    @cached_property
    def log_events(self) -> Float[Tensor, "s t"]:
        """log p(E_y|s), E_y the configurations with p(y|c) > 0."""
        return torch.stack([self.log_posterior[:, own].logsumexp(1) for own in (self.tokens > 0).T], 1)

    def log_posterior_given(self, token: int) -> Float[Tensor, "s l"]:
        """log p(c|s, y) of one token y, -inf outside its event."""
        return self.log_posterior + self.log_tokens[:, token] - self.log_next[:, token, None]

    @cached_property
    def residual(self) -> Float[Tensor, "s t"]:
        """h_y(s) = sum_c p(c|y) log p(c|s, y): what log p(y|s) has beyond a linear function of log p(c|s)."""
        columns = []
        for token, share in enumerate(self.token_posterior):
            own = share > 0
            columns.append(self.log_posterior_given(token)[:, own] @ share[own])
        return torch.stack(columns, 1)

    @property
    def ambiguity(self) -> float:
        """E[1 - max_c p(c|s, y)] over contexts and tokens: the "error of non-invertibility"."""
        best = [self.log_posterior_given(token).amax(1) for token in range(self.n_tokens)]
        seen = (self.log_contexts[:, None] + self.log_next).exp()
        return float(1 - (seen * torch.stack(best, 1).exp()).sum())

    @property
    def token_ambiguity(self) -> float:
        """E[1 - max_c p(c|y)]: what a token alone leaves open."""
        seen = self.log_prior.exp() @ self.tokens
        return float(1 - (seen * self.token_posterior.amax(1)).sum())
