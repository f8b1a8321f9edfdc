"""A planted attention layer: which heads write a feature is known, and every pattern and value behind z."""

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from synthetic.attention.parts import Attended, causal_patterns, conditioned, writer_sets
from synthetic.base.annotations import Count, within
from synthetic.base.errors import must
from synthetic.base.storage import knob
from synthetic.base.streams import stream, torch_defaults
from synthetic.laws.directions import unit
from synthetic.laws.magnitudes import Drawn
from synthetic.source import Batch, Codes, ExactWorld, GroundTruth

_MEAN, _SQUARE = 1.0, 13 / 12
"""moments of U(.5, 1.5), how strongly a feature is present at a source"""


@knob
@dataclass(frozen=True, kw_only=True)
class PlantedAttention(ExactWorld):
    """z(t) = concatenation over heads of sum_s A_h(t, s) v_h(s), with v_h(s) = sum_i c_i(s) V_i[block h]; x = z or z W.

    Feature i is present at a source with chance `rate`, at c_i ~ U(.5, 1.5), on its own. Heads S_i write it: its owner,
    i mod heads, and others; V_i is a random unit vector times an amplitude in each of their blocks, and 0 elsewhere.
    Heads h of one h mod `patterns` share a pattern, and S_i lies among them: otherwise a feature would have a direction
    a head instead of one. Then z = h V exactly, h_i(t) = sum_s A_i(t, s) c_i(s).

    Source: ours. The layer is that of Kissane et al. (2024), arXiv 2406.17759, attention frozen.
    """

    heads: Count = 8
    d_head: Count = 8
    n_true: Count = 32
    """number of features"""
    split: tuple[float, ...] = (0.5, 0.3, 0.2)
    """shares of the features that one, two, ... heads write, rounded; the same mix for every owner"""
    uneven: Annotated[float, within(0, 1, "use 0 for equal amplitudes", "[)")] = 0.5
    """amplitudes of a feature's writers are in proportion to U(1 - uneven, 1 + uneven): its owner's need not lead"""
    patterns: Count = 2
    """different attention patterns"""
    length: Count = 8
    """positions of a sequence"""
    sources: int = 2
    """positions that a head looks at, random ones up to its own, with weights by a softmax of standard normals"""
    rate: Annotated[float, within(0, 1, "a probability", "(]")] = 1 / 16
    """P(a feature is present at a source)"""
    mixing: float | None = None
    """condition number of a random W with E over z's sphere of |z W|^2 = 1; 1.0 rotates the heads into each other"""
    seed: int = 0
    """of patterns, directions and W"""

    def __post_init__(self) -> None:
        most = self.heads // self.patterns
        must(most * self.patterns == self.heads, "PlantedAttention.patterns", f"a divisor of heads={self.heads}",
             self.patterns, "change one of the two")  # fmt: skip
        shares = len(self.split) and min(self.split) >= 0 and abs(sum(self.split) - 1) < 1e-9
        must(shares, "PlantedAttention.split", "shares that sum to 1", self.split, "divide by their sum")
        must(len(self.split) <= most, "PlantedAttention.split", f"for at most {most} heads, those of one pattern",
             self.split, "lower patterns or add heads")  # fmt: skip
        fits = 1 <= self.sources <= self.length
        must(fits, "PlantedAttention.sources", f"in [1, length={self.length}]", self.sources, "change one of the two")
        must(self.mixing is None or self.mixing >= 1, "PlantedAttention.mixing", "at least 1, or None for x = z",
             self.mixing, "use 1.0 for a rotation")  # fmt: skip

    @property
    def d(self) -> int:
        """Dimension of the activations: heads times d_head."""
        return self.heads * self.d_head

    @property
    def owners(self) -> Int[Tensor, " n_true"]:
        """Owner of each feature, a head."""
        return torch.arange(self.n_true) % self.heads

    @property
    def amplitudes(self) -> Float[Tensor, "n_true heads"]:
        """Norms of the blocks of V_i: above 0 where a head writes the feature; squares sum to 1."""
        return self.tensors["amplitudes"]

    @property
    def writers(self) -> Bool[Tensor, "n_true heads"]:
        """The sets S_i."""
        return self.amplitudes > 0

    @property
    def planted(self) -> Float[Tensor, "n_true d"]:
        """V, the directions in z, unit rows, float64."""
        return self.tensors["planted"]

    @cached_property
    @torch_defaults()
    def tensors(self) -> Drawn:
        """Everything drawn once, float64."""
        among = writer_sets(self.n_true, self.heads, self.patterns, self.split, stream(self.seed, "attention/writers"))
        rng = stream(self.seed, "attention/directions")
        size = torch.rand(self.n_true, self.heads, generator=rng, dtype=torch.float64) * 2 - 1
        amplitudes = unit(among * (1 + self.uneven * size))
        blocks = torch.randn(self.n_true, self.heads, self.d_head, generator=rng, dtype=torch.float64)
        patterns = causal_patterns(self.patterns, self.length, self.sources, stream(self.seed, "attention/patterns"))
        drawn = {
            "amplitudes": amplitudes,
            "planted": (amplitudes[..., None] * unit(blocks)).flatten(1),
            "patterns": patterns.repeat(self.heads // self.patterns, 1, 1),
        }
        if self.mixing is None:
            return drawn
        return drawn | {"mixing": conditioned(self.d, self.mixing, stream(self.seed, "attention/mixing"))}

    def mix(self, z: Float[Tensor, "*n d"]) -> Float[Tensor, "*n d"]:
        """What the world shows of z."""
        return z if self.mixing is None else z @ self.tensors["mixing"].to(z)

    @cached_property
    @torch_defaults()
    def _shown(self) -> tuple[Float[Tensor, "n_true d"], Float[Tensor, " n_true"]]:
        """Directions in x, unit rows, and the norms of V W."""
        rows = self.mix(self.planted)
        return unit(rows), rows.norm(dim=1)

    @cached_property
    @torch_defaults()
    def _weights(self) -> Float[Tensor, "sources t n_true"]:
        """Weights of each feature's sources, by destination; 0 pads."""
        return self.tensors["patterns"][self.owners].topk(self.sources, dim=-1).values.permute(2, 1, 0).contiguous()

    @cached_property
    def _on(self) -> dict[torch.device, tuple[Tensor, Tensor, Tensor]]:
        return {}

    def _tables(self, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        """Weights, directions in x and norms of V W in float32 on a device, copied there once."""
        if device not in self._on:
            weights, rows, norms = (t.to(device, torch.float32) for t in (self._weights, *self._shown))
            self._on[device] = weights, rows, norms
        return self._on[device]

    def _present(self, shape: tuple[int, ...], rng: torch.Generator) -> Float[Tensor, "..."]:
        """c: 0 or U(.5, 1.5); a uniform below `rate` is, over `rate`, uniform in [0, 1)."""
        u = torch.rand(shape, generator=rng, device=rng.device)
        return torch.where(u < self.rate, u / self.rate + 0.5, 0.0)

    @torch_defaults()
    def attend(self, n: int, rng: torch.Generator) -> Attended:
        """Draw n whole sequences with all parts, on the CPU."""
        must(n >= 1, "PlantedAttention.attend.n", "at least 1", n, "draw at least one sequence")
        c, patterns = self._present((n, self.length, self.n_true), rng).double(), self.tensors["patterns"]
        values = (c @ self.planted).unflatten(-1, (self.heads, self.d_head)).transpose(1, 2)
        z = (patterns @ values).transpose(1, 2).flatten(2)
        h = torch.einsum("its,nsi->nti", patterns[self.owners], c)
        return Attended(patterns, values, z, self.mix(z), h)

    @torch_defaults()
    def sample(self, n: int, rng: torch.Generator) -> Batch:
        """Activations at n destinations, each uniform in a sequence of its own, on the generator's device."""
        must(n >= 1, "PlantedAttention.sample.n", "at least 1", n, "draw at least one sample")
        weights, rows, norms = self._tables(rng.device)
        at = torch.randint(self.length, (n,), generator=rng, device=rng.device)
        h = (weights[:, at] * self._present((self.sources, n, self.n_true), rng)).sum(0) * norms
        return Batch(h @ rows, Codes(torch.arange(self.n_true, device=rng.device).expand_as(h), h, self.n_true))

    def closed_forms(self) -> GroundTruth:
        """Exact statistics, mixtures over destinations."""
        (rows, norms), weights = self._shown, self._weights.permute(2, 1, 0)
        fires = 1 - (1 - self.rate) ** (weights > 0).sum(-1).double()
        rates, mean_h = fires.mean(1), torch.full((self.n_true,), self.rate * _MEAN, dtype=torch.float64) * norms
        variance = (self.rate * _SQUARE - (self.rate * _MEAN) ** 2) * weights.square().sum(-1).mean(1) * norms**2

        def cofiring(which: Int[Tensor, " k"]) -> Float[Tensor, "k k"]:
            both = fires[which] @ fires[which].T / self.length
            return both.fill_diagonal_(0) + torch.diag(rates[which])

        return GroundTruth(
            features=rows.float(),
            bias=torch.zeros(self.d),
            rates=rates,
            requested_rates=rates,
            rates_error=0.0,
            mean_h=mean_h,
            mean=mean_h @ rows,
            covariance=(rows * variance[:, None]).T @ rows,
            cofiring=cofiring,
            parents=torch.full((self.n_true,), -1),
            symmetries=("permutation",),
            realised={"E[L0]": float(rates.sum()), "E[writers]": float(self.writers.sum(1).double().mean())},
        )
