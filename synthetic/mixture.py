"""SparseMixture: x = gain * h V + b + noise, a sparse mixture of monosemantic features."""

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from synthetic.base.annotations import at_least
from synthetic.base.errors import must
from synthetic.base.storage import knob
from synthetic.base.streams import stream, torch_defaults
from synthetic.laws.directions import Directions, LowCoherence, RandomSphere, overlaps, welch_bound
from synthetic.laws.firing import Firing, Independent, Statistics
from synthetic.laws.forest import Forest
from synthetic.laws.magnitudes import Drawn, Law, Magnitudes, SharedGain, Signed, Uniform
from synthetic.laws.noise import Noise, NoNoise
from synthetic.source import Batch, Codes, ExactWorld, GroundTruth, slot_numbers

_LARGEST_BLOCK = 4096  # dependent features whose joint moments are still written out
_NAMES = ("directions", "firing", "magnitudes", "noise")


@knob
@dataclass(frozen=True, kw_only=True)
class SparseMixture(ExactWorld):
    """Activations x = g h V + b + e of n_true features in d dimensions; see each knob for its law.

    The world itself (directions, rates, bias, ...) is drawn once from `seed`; `sample` only draws firings.
    Sampling costs one gather and d multiply-adds a firing feature; copula firing costs more (see copula.py).

    Source: linear representation with sparse coefficients, e.g. Elhage et al. 2022; the knobs cite their own.
    """

    n_true: Annotated[int, at_least(1, "add features")] = 64
    """number of true features"""
    d: Annotated[int, at_least(1, "add dimensions")] = 32
    """dimension of the activations"""
    directions: Directions = RandomSphere()  # noqa: RUF009 (frozen)
    firing: Firing = Independent()  # noqa: RUF009 (frozen)
    magnitudes: Magnitudes = Uniform()  # noqa: RUF009 (frozen)
    noise: Noise = NoNoise()  # noqa: RUF009 (frozen)
    bias_norm: Annotated[float, at_least(0, "give a norm")] = 0.0
    """norm of b, whose direction is random"""
    seed: int = 0
    """of everything that is drawn once"""

    def __post_init__(self) -> None:
        signed = isinstance(self.magnitudes, Signed) or isinstance(getattr(self.magnitudes, "inner", None), Signed)
        must(
            not (signed and isinstance(self.firing, Forest) and self.firing.scale_by_parent),
            "SparseMixture.magnitudes",
            "unsigned where children scale by their parent",
            "Signed",
            "drop Signed or scale_by_parent",
        )

    @cached_property
    @torch_defaults()
    def tensors(self) -> Drawn:
        """Everything drawn once, by name: what a saved world must hold."""
        rng = {name: stream(self.seed, f"world/{name}") for name in (*_NAMES, "bias")}
        features = self.directions.draw(self.n_true, self.d, rng["directions"])
        firing = self.firing.init(self.n_true, rng["firing"])
        magnitudes = self.magnitudes.init(self.n_true, rng["magnitudes"])

        def variance() -> float | None:
            law = self.magnitudes.law(magnitudes, self.n_true)
            signal = self._signal_covariance(features, self.firing.statistics(firing, law), law)
            return None if signal is None else float(signal.trace())

        root = self.noise.root(self.d, variance, rng["noise"])
        bias = torch.randn(self.d, generator=rng["bias"], dtype=torch.float64)
        return {
            "features": features.float(),
            "bias": (self.bias_norm * bias / bias.norm()).float(),
            **{f"firing.{k}": v for k, v in firing.items()},
            **{f"magnitudes.{k}": v for k, v in magnitudes.items()},
            **({} if root is None else {"noise.root": root}),
        }

    def _part(self, name: str, device: torch.device | str = "cpu") -> Drawn:
        prefix = f"{name}."
        return {k[len(prefix) :]: v.to(device) for k, v in self.tensors.items() if k.startswith(prefix)}

    @cached_property
    @torch_defaults()
    def _law(self) -> Law:
        return self.magnitudes.law(self._part("magnitudes"), self.n_true)

    @cached_property
    def _on(self) -> dict[torch.device, dict[str, Drawn]]:
        return {}

    def _parts(self, device: torch.device) -> dict[str, Drawn]:
        """Drawn tensors by knob on a device, copied there once."""
        if device not in self._on:
            parts = {name: self._part(name, device) for name in _NAMES}
            parts["firing"]["nominal"] = self._law.nominal.float().to(device)
            parts["world"] = {name: self.tensors[name].to(device) for name in ("features", "bias")}
            self._on[device] = parts
        return self._on[device]

    @torch_defaults()
    def coefficients(self, n: int, rng: torch.Generator) -> Codes:
        """True coefficients of n samples, gain included, without the activations."""
        parts = self._parts(rng.device)
        rows, features, values = self.firing.sample(
            parts["firing"], n, rng, lambda which: self.magnitudes.draw(parts["magnitudes"], which, rng)
        )
        if isinstance(self.magnitudes, SharedGain):
            values = values * self.magnitudes.gain(n, rng)[rows]
        return pack(rows, features, values, n, self.n_true)

    @torch_defaults()
    def sample(self, n: int, rng: torch.Generator) -> Batch:
        """Draw n activations and the coefficients behind them, on the generator's device."""
        must(n >= 1, "SparseMixture.sample.n", "at least 1", n, "draw at least one sample")
        parts = self._parts(rng.device)
        h = self.coefficients(n, rng)
        x = F.embedding_bag(h.indices, parts["world"]["features"], per_sample_weights=h.values, mode="sum")
        if self.bias_norm:
            x += parts["world"]["bias"]
        root = parts["noise"].get("root")
        if root is not None:
            noise = torch.randn(n, self.d, generator=rng, device=rng.device)
            x += noise * root if root.ndim == 1 else noise @ root
        return Batch(x, h)

    def closed_forms(self) -> GroundTruth:
        """Exact statistics, requested against realised; computed once."""
        features, bias = self.tensors["features"].double(), self.tensors["bias"].double()
        law, statistics = self._law, self.firing.statistics(self._part("firing"), self._law)
        covariance = self._signal_covariance(features, statistics, law)
        root = self._part("noise").get("root")
        if covariance is not None and root is not None:
            covariance = covariance + (torch.diag(root**2) if root.ndim == 1 else root.T @ root).double()
        requested = self._part("firing")["requested"]
        asked = {"E[L0]": float(requested.sum()), "bias norm": self.bias_norm}
        if isinstance(self.directions, LowCoherence):
            asked["coherence" if self.directions.kind == "max" else "mean-max overlap"] = self.directions.overlap
        got = {"E[L0]": float(statistics.rates.sum()), "bias norm": float(bias.norm())}
        nearest = overlaps(self.tensors["features"])
        got |= {"coherence": float(nearest.max()), "mean-max overlap": float(nearest.mean())}
        reasons = dict(statistics.open)
        if covariance is None and "covariance" not in reasons:
            reasons["covariance"] = f"more than {_LARGEST_BLOCK} features depend on one another"
        return GroundTruth(
            features=self.tensors["features"],
            bias=self.tensors["bias"],
            rates=statistics.rates,
            requested_rates=requested,
            rates_error=statistics.rates_error,
            mean_h=statistics.mean,
            mean=statistics.mean @ features + bias,
            covariance=covariance,
            cofiring=statistics.cofiring and torch_defaults()(statistics.cofiring),
            parents=self.firing.parents(self.n_true),
            symmetries=("permutation", "sign") if float(statistics.mean.abs().max()) == 0 else ("permutation",),
            requested=asked,
            realised=got | {"Welch bound": welch_bound(self.n_true, self.d)},
            open=reasons,
            **self.firing.structure(self.n_true),
        )

    def _signal_covariance(self, features: Tensor, statistics: Statistics, law: Law) -> Float[Tensor, "d d"] | None:
        """Cov[g h V] = V^T (E[g^2] (S - m m^T) + (E[g^2] - 1) m m^T) V, S = E[h h^T] block by block."""
        if statistics.second is None or any(len(block) > _LARGEST_BLOCK for block in statistics.blocks):
            return None
        mean = statistics.mean
        alone = statistics.square - mean**2
        total = features.new_zeros(self.d, self.d)
        for block in statistics.blocks:
            rows = features[block]
            total += rows.T @ (statistics.second(block) - torch.outer(mean[block], mean[block])) @ rows
            alone[block] = 0
        total += (features * alone[:, None]).T @ features
        centre = mean @ features
        return law.gain_square * total + (law.gain_square - 1) * torch.outer(centre, centre)


def pack(rows: Tensor, features: Tensor, values: Tensor, n: int, width: int) -> Codes:
    """Firings in any order as `Codes`, with as many slots as the fullest row needs."""
    rows, order = torch.sort(rows, stable=True)
    slot, slots = slot_numbers(rows, n)
    indices = torch.zeros(n, slots, dtype=torch.long, device=rows.device)
    packed = torch.zeros(n, slots, device=rows.device)
    indices[rows, slot] = features[order]
    packed[rows, slot] = values[order]
    return Codes(indices, packed, width)
