"""Settings of the studies, light enough for --help."""

from dataclasses import dataclass, field
from typing import Literal

from synthetic.base.errors import must
from workbench.study.flags import RunFlags, TrainFlags
from workbench.training.config import TrainConfig


@dataclass(frozen=True)
class Concepts(RunFlags):
    """Settings of `python -m experiments concepts`."""

    sharpness: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
    """of contexts, p(c|s) ~ exp(t W)"""
    leaks: tuple[float, ...] = (1e-6, 1e-4, 1e-3, 1e-2, 1e-1)
    """share of tokens that do not reveal the configuration"""
    weak: tuple[float, ...] = (0.01, 0.03, 0.1, 0.3, 0.9)
    """how much a configuration moves a token's probability"""
    observed: tuple[int, ...] = (7, 8, 10, 12)
    """observed tokens of a context, of 6 kinds, with seven concepts"""
    strength: tuple[float, ...] = (0.0, 0.5, 1.0, 2.0)
    """of a Potts prior"""
    tokens: int = 4
    """next tokens where they are generic"""
    contexts: int = 200
    """contexts where their number is free"""
    seeds: int = 20
    """random models of each kind; of those over observed tokens at most 6"""
    trained: int = 3
    """of them, those that predictors are trained on"""
    polish: int = 2000
    """steps of L-BFGS behind Adam's, at most"""

    adds = ("seeds", "trained", "sharpness", "leaks", "weak", "observed", "strength")
    least_seeds = 2
    positive = ("trained", "polish")

    def check(self) -> None:
        """Refuse impossible settings before any work."""
        for name in ("sharpness", "leaks", "weak", "observed", "strength"):
            value = getattr(self, name)
            must(value and list(value) == sorted(value), f"--{name}", "ascending, one at least", value, "sort them")
        must(self.sharpness[0] > 0, "--sharpness", "above 0", self.sharpness[0], "0 says nothing of c")
        must(self.leaks[0] > 0 and self.leaks[-1] <= 1, "--leaks", "in (0, 1]", self.leaks, "they are shares")
        must(self.strength[0] >= 0, "--strength", "at least 0", self.strength[0], "raise it")
        must(self.weak[0] > 0 and self.weak[-1] < 1, "--weak", "in (0, 1)", self.weak, "they are shares")
        good = self.observed[0] >= 7 and self.observed[-1] <= 24
        must(good, "--observed", "from 7, for contexts enough, to 24", self.observed, "change them")
        must(self.tokens >= 2, "--tokens", "at least 2", self.tokens, "add tokens")
        must(self.contexts >= 32, "--contexts", "at least 32, 4 a configuration", self.contexts, "add contexts")


@dataclass(frozen=True)
class ConceptSae(TrainFlags):
    """Settings of `python -m experiments concept_sae`."""

    strength: tuple[float, ...] = (0.0, 0.5, 1.0, 2.0)
    """of the Potts couplings between concepts"""
    forms: tuple[Literal["exact", "softplus"], ...] = ("exact", "softplus")
    """activations of a perfect predictor; a dictionary of concepts in as many dimensions, at strength 1 alone"""
    concepts: int = 6
    """binary concepts; half as many latents are active"""
    contexts: int = 1024
    """contexts of the predictor"""
    sharpness: float = 2.0
    """of contexts"""
    m: int = 24
    """latents"""
    l1: tuple[float, ...] = (0.03, 0.1, 0.2, 0.3, 1.0)
    """penalties tried where a variant has one"""
    gamma: float = 0.1
    """weight of the low-rank part's nuclear norm"""
    train: TrainConfig = field(default_factory=lambda: TrainConfig(steps=1500, batch=256, lr=3e-3))
    """training; p falls from a third of the steps on"""
    over: Literal["weights", "worlds"] = "worlds"
    """what seeds differ in: world, samples and weights; or weights alone"""

    adds = ("seeds", "strength", "forms")
    least_seeds = 2
    positive = ("m",)

    def check(self) -> None:
        """Refuse impossible settings before any work."""
        must(self.forms, "--forms", "one or more", "none", "name one")
        steps = self.train.steps
        must(steps >= 30, "--train.steps", "at least 30, for nine changes of p", steps, "raise it")
        must(2 <= self.concepts <= 10, "--concepts", "from 2 to 10", self.concepts, "all configurations are enumerated")
        must(self.m >= self.concepts // 2, "--m", "at least half the concepts", self.m, "raise it")
        least = 8 * self.concepts
        must(self.contexts >= least, "--contexts", f"at least {least}", self.contexts, "4 for each log-marginal")
        must(self.strength and min(self.strength) >= 0, "--strength", "at least 0", self.strength, "change it")
        must(self.l1 and min(self.l1) > 0, "--l1", "above 0", self.l1, "a penalty is needed")
        for name in ("gamma", "sharpness"):
            must(getattr(self, name) > 0, f"--{name}", "above 0", getattr(self, name), "raise it")


FLAGS = {"concepts": Concepts, "concept_sae": ConceptSae}
