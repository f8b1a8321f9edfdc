"""Actions that steer latents linearly: x = g(M a + nu), and an outcome confounded with nu."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from synthetic.base.annotations import at_least, within
from synthetic.base.errors import must
from synthetic.base.storage import knob
from synthetic.base.streams import stream, torch_defaults
from synthetic.laws.directions import unit
from synthetic.laws.magnitudes import Drawn
from synthetic.source import Batch, Codes, ExactWorld, GroundTruth

Rows = tuple[tuple[float, ...], ...]
_SLOPE = 0.2
"""of the leaky ReLU below 0"""


@dataclass(frozen=True, eq=False)
class Steered:
    """Draws of an `Interventions` world, float64."""

    a: Float[Tensor, "n q"]
    """actions"""
    h: Float[Tensor, "n n_true"]
    """latents"""
    x: Float[Tensor, "n d"]
    """activations"""
    y: Float[Tensor, " n"]
    """outcome"""
    nu: Float[Tensor, "n n_true"]
    """noise of the latents"""


@knob
@dataclass(frozen=True, kw_only=True)
class Interventions(ExactWorld):
    """h = M t(a) + nu, x = g(h), y = h^T Q h + q . h + beta . nu + e, e ~ N(0, outcome_sd^2); do(a) keeps nu and e.

    Noise nu has covariance `noise`: Gaussian, or the same linear map of independent uniforms. Each latent is set to 0
    with probability `zero`. t(a) = (1 - bend) a + bend a^3. g is h V with unit rows V, or two invertible layers with
    leaky ReLU (condition numbers below 10) and then V. Actions are uniform on [-1, 1]^q, N(0, 1/3), or one of the q + 1
    corners (-1, ..., -1) and those with one entry 1, too few to tell an affine from another map.

    Source: Saengkyongam et al. (2024), arXiv 2310.04295, settings 1 and 2, as quoted by its reviewers. All numbers,
    `zero`, `bend` and `corners`, which break its hypotheses one by one, are ours.
    """

    effect: Rows = ((1.0, 0.5), (-0.3, 0.8))
    """M, one row a latent"""
    noise: Rows = ((0.6, 0.2), (0.2, 0.5))
    """Cov[nu]"""
    noise_law: Literal["gaussian", "uniform"] = "gaussian"
    action: Literal["uniform", "gaussian", "corners"] = "uniform"
    bend: Annotated[float, within(0, 1, "a share of a^3")] = 0.0
    """share of a^3 in t(a)"""
    zero: Annotated[float, within(0, 1, "a probability", "[)")] = 0.0
    """P(h_i = 0)"""
    mixing: Literal["linear", "leaky"] = "linear"
    d: int = 10
    """dimension of the activations"""
    confounding: tuple[float, ...] = (1.5, -0.7)
    """beta"""
    quadratic: Rows = ((0.5, 0.2), (0.2, -0.4))
    """Q"""
    linear: tuple[float, ...] = (1.0, -2.0)
    """q"""
    outcome_sd: Annotated[float, at_least(0, "give a deviation")] = 0.3
    seed: int = 0
    """of g"""

    @torch_defaults()
    def __post_init__(self) -> None:
        n, q = len(self.effect), len(self.effect[0]) if self.effect else 0
        must(n and q and all(len(row) == q for row in self.effect), "Interventions.effect", "rows of one length",
             self.effect, "give M row by row")  # fmt: skip
        for name in ("noise", "quadratic"):
            rows = getattr(self, name)
            square = len(rows) == n and all(len(row) == n for row in rows)
            must(square, f"Interventions.{name}", f"{n} rows of {n}", rows, "one for each row of effect")
            must(
                all(rows[i][j] == rows[j][i] for i in range(n) for j in range(i)),
                f"Interventions.{name}",
                "symmetric",
                rows,
                "mirror it",
            )
        for name in ("confounding", "linear"):
            numbers = getattr(self, name)
            must(len(numbers) == n, f"Interventions.{name}", f"{n} numbers", numbers, "give one for each latent")
        least = float(torch.linalg.eigvalsh(torch.tensor(self.noise, dtype=torch.float64)).min())
        must(least >= 0, "Interventions.noise", "a covariance", f"an eigenvalue {least:.3g}", "lower its off-diagonal")
        must(self.d >= n, "Interventions.d", f"at least {n}, the number of latents", self.d, "g must be injective")

    @property
    def n_true(self) -> int:
        """Number of latents."""
        return len(self.effect)

    @property
    def q(self) -> int:
        """Number of actions' entries."""
        return len(self.effect[0])

    @cached_property
    @torch_defaults()
    def _effect(self) -> Float[Tensor, "n_true q"]:
        return torch.tensor(self.effect, dtype=torch.float64)

    @cached_property
    @torch_defaults()
    def _root(self) -> Float[Tensor, "n_true n_true"]:
        """R with Cov[z R^T] = noise for white z."""
        values, vectors = torch.linalg.eigh(torch.tensor(self.noise, dtype=torch.float64))
        return vectors * values.clamp_min(0).sqrt()

    @cached_property
    @torch_defaults()
    def tensors(self) -> Drawn:
        """V, and the two layers before it, float64."""
        rng = stream(self.seed, "interventions")
        rows = torch.randn(self.n_true, self.d, generator=rng, dtype=torch.float64)
        turns = torch.randn(4, self.n_true, self.n_true, generator=rng, dtype=torch.float64)
        stretch = torch.rand(2, self.n_true, generator=rng, dtype=torch.float64) * 1.5 + 0.5
        left, right = torch.linalg.qr(turns).Q.view(2, 2, self.n_true, self.n_true)
        return {"features": unit(rows), "layers": left * stretch[:, None] @ right}

    def mix(self, h: Float[Tensor, "n n_true"]) -> Float[Tensor, "n d"]:
        """g(h)."""
        if self.mixing == "leaky":
            for layer in self.tensors["layers"].to(h):
                h = F.leaky_relu(h @ layer + 0.3, _SLOPE)
        return h @ self.tensors["features"].to(h)

    def steer(self, a: Float[Tensor, "n q"]) -> Float[Tensor, "n n_true"]:
        """M t(a), the mean of h under do(a) but for `zero`."""
        return ((1 - self.bend) * a + self.bend * a**3) @ self._effect.T.to(a)

    @property
    @torch_defaults()
    def corners(self) -> Float[Tensor, "q1 q"]:
        """The q + 1 affinely independent actions."""
        return torch.cat((torch.zeros(1, self.q), torch.eye(self.q))).double() * 2 - 1

    @torch_defaults()
    def actions(self, n: int, rng: torch.Generator) -> Float[Tensor, "n q"]:
        """Actions by their law."""
        if self.action == "corners":
            return self.corners[torch.randint(self.q + 1, (n,), generator=rng)]
        if self.action == "gaussian":
            return torch.randn(n, self.q, generator=rng, dtype=torch.float64) / math.sqrt(3)
        return torch.rand(n, self.q, generator=rng, dtype=torch.float64) * 2 - 1

    @torch_defaults()
    def draw(self, n: int, rng: torch.Generator, a: Float[Tensor, "n q"] | None = None) -> Steered:
        """Draw n samples; under do(a) where actions are given. On the CPU."""
        must(n >= 1, "Interventions.draw.n", "at least 1", n, "draw at least one sample")
        drawn = self.actions(n, rng)  # under do(a) too, so that nu and e are the same
        a = drawn if a is None else a
        shape = (n, self.n_true)
        if self.noise_law == "gaussian":
            white = torch.randn(shape, generator=rng, dtype=torch.float64)
        else:
            white = (torch.rand(shape, generator=rng, dtype=torch.float64) * 2 - 1) * math.sqrt(3)
        nu = white @ self._root.T
        on = torch.rand(shape, generator=rng, dtype=torch.float64) >= self.zero
        h = torch.where(on, self.steer(a) + nu, 0.0)
        e = self.outcome_sd * torch.randn(n, generator=rng, dtype=torch.float64)
        y = self.outcome(h) + nu @ torch.tensor(self.confounding, dtype=torch.float64) + e
        return Steered(a, h, self.mix(h), y, nu)

    @torch_defaults()
    def outcome(self, h: Float[Tensor, "n n_true"]) -> Float[Tensor, " n"]:
        """ell(h) = h^T Q h + q . h."""
        quadratic, linear = (torch.tensor(part, dtype=h.dtype) for part in (self.quadratic, self.linear))
        return (h @ quadratic * h).sum(1) + h @ linear

    @torch_defaults()
    def expected(self, a: Float[Tensor, "k q"]) -> Float[Tensor, " k"]:
        """E[y | do(a)], exactly: ell at the mean of h, and tr Q Cov[h]."""
        mean, noise = self.steer(a), torch.tensor(self.noise, dtype=torch.float64)
        quadratic, linear = (torch.tensor(part, dtype=torch.float64) for part in (self.quadratic, self.linear))
        second = mean[:, :, None] * mean[:, None] + noise
        alone = torch.eye(self.n_true, dtype=torch.float64)
        keep = 1 - self.zero
        second = second * (keep * alone + keep**2 * (1 - alone))
        return (second * quadratic).sum((1, 2)) + keep * mean @ linear

    @torch_defaults()
    def sample(self, n: int, rng: torch.Generator) -> Batch:
        """Activations and latents as a world's."""
        drawn = self.draw(n, rng)
        h = drawn.h.float()
        return Batch(drawn.x.float(), Codes(torch.arange(self.n_true).expand_as(h), h, self.n_true))

    def closed_forms(self) -> GroundTruth:
        """Exact statistics where mixing is linear; a leaky g has no directions, and is refused."""
        linear = self.mixing == "linear"
        must(linear, "Interventions.mixing", "'linear' for directions to exist", repr(self.mixing), "use draw()")
        return _linear_truth(self, *_moments(self))


def _linear_truth(world: Interventions, mean_t: Float[Tensor, " q"], second_t: Float[Tensor, "q q"]) -> GroundTruth:
    """The exact statistics of x = h V from E[t(a)] and E[t(a) t(a)^T]."""
    effect, noise = (torch.tensor(part, dtype=torch.float64) for part in (world.effect, world.noise))
    alone, on = torch.eye(world.n_true, dtype=torch.float64), 1 - world.zero
    both = on * alone + on**2 * (1 - alone)
    second = (effect @ second_t @ effect.T + noise) * both
    features, mean_h = world.tensors["features"], on * (effect @ mean_t)
    rates = torch.full((world.n_true,), on, dtype=torch.float64)
    return GroundTruth(
        features=features.float(),
        bias=torch.zeros(world.d),
        rates=rates,
        requested_rates=rates,
        rates_error=0.0,
        mean_h=mean_h,
        mean=mean_h @ features,
        covariance=features.T @ (second - torch.outer(mean_h, mean_h)) @ features,
        cofiring=lambda which: both[which][:, which],
        parents=torch.full((world.n_true,), -1),
        symmetries=("permutation", "sign") if float(mean_h.abs().max()) < 1e-12 else ("permutation",),
        realised={"E[L0]": float(rates.sum())},
    )


def _moments(world: Interventions) -> tuple[Float[Tensor, " q"], Float[Tensor, "q q"]]:
    """E[t(a)] and E[t(a) t(a)^T]."""
    q, bend = world.q, world.bend
    if world.action == "corners":  # where a^3 = a
        return world.corners.mean(0), world.corners.T @ world.corners / (q + 1)
    m2, m4, m6 = (1 / 3, 1 / 5, 1 / 7) if world.action == "uniform" else (1 / 3, 3 / 9, 15 / 27)
    square = (1 - bend) ** 2 * m2 + 2 * bend * (1 - bend) * m4 + bend**2 * m6
    return torch.zeros(q, dtype=torch.float64), square * torch.eye(q, dtype=torch.float64)
