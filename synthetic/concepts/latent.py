"""LatentConcepts: a latent discrete concept model put together from a prior, contexts and next tokens."""

from dataclasses import dataclass
from functools import cached_property

from synthetic.base.errors import must
from synthetic.base.storage import knob
from synthetic.base.streams import stream, torch_defaults
from synthetic.concepts.contexts import Contexts, Energy
from synthetic.concepts.model import ConceptModel, configurations
from synthetic.concepts.priors import IndependentPrior, Prior
from synthetic.concepts.tokens import ConceptTyped, NextTokens

ENOUGH = 4
"""contexts for each number that activations are regressed on, at least: with as many as numbers any target fits"""


@knob
@dataclass(frozen=True, kw_only=True)
class LatentConcepts:
    """Settings of a `ConceptModel`; prior, contexts and tokens each have a random stream of their own.

    Source: Liu et al. (2025), arXiv 2503.08980, as reported by its readers; the knobs cite their own.
    """

    sizes: tuple[int, ...] = (2, 2, 2)
    """number of values of each concept"""
    prior: Prior = IndependentPrior()  # noqa: RUF009 (frozen)
    contexts: Contexts = Energy()  # noqa: RUF009 (frozen)
    tokens: NextTokens = ConceptTyped()  # noqa: RUF009 (frozen)
    seed: int = 0
    """of everything"""

    def __post_init__(self) -> None:
        configurations(self.sizes)
        least = ENOUGH * self.tokens.regressors(self.sizes)
        few = f"at least {least}, {ENOUGH} for each number that activations are compared with"
        must(self.contexts.count >= least, "LatentConcepts.contexts", few, self.contexts.count, "add contexts")

    @cached_property
    @torch_defaults()
    def model(self) -> ConceptModel:
        """All tables."""
        rng = {name: stream(self.seed, f"concepts/{name}") for name in ("prior", "contexts", "tokens")}
        log_prior = self.prior.draw(self.sizes, rng["prior"])
        log_joint = self.contexts.draw(self.sizes, log_prior, rng["contexts"])
        return ConceptModel(self.sizes, log_joint.contiguous(), self.tokens.draw(self.sizes, rng["tokens"]))
