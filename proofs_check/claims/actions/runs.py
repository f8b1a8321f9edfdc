"""Small autoencoders trained with and without the moment restriction."""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Self

import torch
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from torch import Tensor

from proofs_check.claim import Hypothesis
from proofs_check.instances.stack import FIRST, MEMBERS, Member
from proofs_check.trainings import Training, once
from synthetic.actions import Interventions, Rows, Steered
from synthetic.base.streams import stream
from workbench.topics.actions import autoencoder
from workbench.topics.actions.baselines import fit_polynomial
from workbench.topics.actions.control_function import ControlFunction
from workbench.topics.concepts.regression import r_squared

_SAMPLES = 20_000
_NOISE = ((0.6, 0.2), (0.2, 0.5))


@dataclass(frozen=True)
class Steering(Member):
    """One autoencoder of a stack, trained on a leaky mixing of two latents, and its twin without the restriction."""

    penalty: float = 30.0
    noise: float = 1 / 9
    """Cov[nu] over [[.6, .2], [.2, .5]]"""
    effect: Rows = ((1.0, 0.5), (-0.3, 0.8))
    action: str = "uniform"
    bend: float = 0.0
    """share of a³ in the effect"""
    mixed: int = 1
    """seed of g"""
    steps: int = 600
    sample: int = 0
    """seed of the data"""
    held: bool = True
    """the restricted autoencoder is what the claim is about, not its twin"""

    @property
    def world(self) -> Interventions:
        """Where its samples come from."""
        noise: Any = tuple(tuple(self.noise * v for v in row) for row in _NOISE)
        action: Any = self.action
        kind = {"effect": self.effect, "noise": noise, "action": action, "bend": self.bend, "seed": self.mixed}
        return Interventions(mixing="leaky", **kind)

    @property
    def data(self) -> Steered:
        """The sample it is trained on."""
        return _drawn(replace(self, seed=0, held=True))

    @property
    def codes(self) -> tuple[Tensor, Tensor]:
        """Of the sample: without the restriction, and with it where it is held."""
        codes = _trained(replace(self, seed=0, held=True), self.seeds)
        return codes[2 * self.index], codes[2 * self.index + self.held]

    @property
    def targets(self) -> tuple[Tensor, Tensor]:
        """Actions of a grid on [-3, 3]^q outside of [-1, 1]^q, and E[y | do(a)]."""
        line = torch.linspace(-3, 3, 7, dtype=torch.float64)
        grid = torch.cartesian_prod(*[line] * self.world.q).view(-1, self.world.q)
        grid = grid[grid.abs().amax(1) > 1]
        return grid, self.world.expected(grid)

    @classmethod
    def fresh(cls, first: int = FIRST, **changes: Any) -> SearchStrategy[Self]:
        """Members of which each has a mixing, a sample and initial weights of its own."""
        return st.sampled_from(
            [cls(seed=seed, mixed=seed, sample=seed, **changes) for seed in range(first, first + MEMBERS)]
        )

    def extrapolated(self, z: Tensor) -> float:
        """Squared error of the control function on z at the targets, over their variance."""
        made = ControlFunction.fit(z, self.data.a, self.data.y)
        return missed(made.predict(self.targets[0]), self.targets[1])

    @property
    def from_actions(self) -> float:
        """The same of y ~ a, a quadratic."""
        at, true = self.targets
        return missed(fit_polynomial(self.data.a, self.data.y)(at), true)


def explained(h: Tensor, z: Tensor) -> float:
    """R² of h on z, with a constant."""
    return r_squared(z.double(), h, torch.full((len(z),), 1 / len(z), dtype=torch.float64))


def missed(found: Tensor, true: Tensor) -> float:
    """Squared error over the variance of what was sought."""
    return float((found - true).square().mean() / (true - true.mean()).square().mean())


@lru_cache(maxsize=16)
def _drawn(run: Steering) -> Steered:
    return run.world.draw(_SAMPLES, stream(run.sample, "interventions/claims"))


def _training(run: Steering, seeds: tuple[int, ...]) -> Training:
    world = f"interventions(noise={run.noise:.3g}, effect={run.effect}, action={run.action}, bend={run.bend})"
    of = {"variant": f"autoencoder, MMR at 0 and {run.penalty:g}", "seeds": list(seeds), "steps": run.steps}
    return {"world": world, "world seed": run.mixed, **of, "batch": 512, "lr": 5e-3}


@once(_training)
def _trained(run: Steering, seeds: tuple[int, ...]) -> Tensor:
    """Codes of a stack: for each seed without the restriction and with it."""
    config = autoencoder.AutoencoderConfig(steps=run.steps, batch=512, lr=5e-3, width=32)
    members = {"seeds": [s for s in seeds for _ in (0, 1)], "penalties": [0.0, run.penalty] * len(seeds)}
    data = _drawn(replace(run, seed=0))
    made = autoencoder.fit_autoencoder(data.x, data.a, run.world.n_true, config, **members)
    return made.encode(data.x).detach().double()


HELD = Hypothesis("the restriction is trained", lambda case: float(not case.held))
