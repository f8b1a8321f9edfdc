"""Worlds made of a sparse mixture: its samples changed, and its truth with them."""

from abc import abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from synthetic.base.annotations import above, at_least
from synthetic.base.errors import must
from synthetic.base.storage import knob
from synthetic.base.streams import stream, torch_defaults
from synthetic.laws.directions import Rows, gaussian, unit
from synthetic.laws.magnitudes import ConstantMagnitude, Drawn
from synthetic.laws.noise import NoNoise
from synthetic.mixture import SparseMixture
from synthetic.source import Batch, Codes, ExactWorld, GroundTruth, Products


@dataclass(frozen=True)
class Transformed(ExactWorld):
    """A mixture whose samples go through `transform`, and its truth through `transformed_truth`."""

    inner: SparseMixture

    extra: ClassVar[tuple[str, ...]] = ()
    """names of the tensors that are drawn beside the mixture's"""

    @abstractmethod
    def transform(self, batch: Batch) -> Batch:
        """What becomes of the mixture's samples."""

    @abstractmethod
    def transformed_truth(self, truth: GroundTruth) -> GroundTruth:
        """What is known then, from what is known of the mixture."""

    def draw_extra(self) -> Drawn:
        """The tensors that are drawn beside the mixture's."""
        return {}

    @cached_property
    @torch_defaults()
    def tensors(self) -> Drawn:
        """What the mixture draws once, and what is drawn beside it."""
        return {**self.inner.tensors, **self.draw_extra()}

    @cached_property
    def mixture(self) -> SparseMixture:
        """The mixture with these tensors, also where they were loaded."""
        vars(self.inner)["tensors"] = {k: v for k, v in self.tensors.items() if k not in self.extra}
        return self.inner

    @property
    def d(self) -> int:
        """Dimension of the activations."""
        return self.inner.d

    def closed_forms(self) -> GroundTruth:
        return self.transformed_truth(self.mixture.truth)

    @torch_defaults()
    def sample(self, n: int, rng: torch.Generator) -> Batch:
        """Draw from the mixture, then transform."""
        return self.transform(self.mixture.sample(n, rng))


@knob
@dataclass(frozen=True)
class SparseMap(Transformed):
    """Pairs (x, y): x of a mixture, and y = h U + dense x A of what fires in it.

    Row i of U is the unit sum of the output directions that feature i writes to: `fan` of `n_out` random unit rows in
    R^d_out. A (d, d_out) has orthonormal rows or columns. Truth is that of y: features are rows of U, h is what fires;
    a latent that finds feature i reads along its direction in x and writes along row i.

    Source: ours, for transcoders (Dunefsky et al. 2024, arXiv 2406.11944).
    """

    d_out: Annotated[int, at_least(1, "add dimensions")] = 24
    """width of y"""
    n_out: Annotated[int, at_least(1, "add some")] = 64
    fan: Annotated[int, at_least(1, "let each feature write somewhere")] = 2
    dense: Annotated[float, at_least(0, "give a weight")] = 0.0
    """weight of the linear map of x"""

    extra: ClassVar[tuple[str, ...]] = ("rows", "A")

    def __post_init__(self) -> None:
        must(self.fan <= self.n_out, "SparseMap.fan", f"at most n_out={self.n_out}", self.fan, "lower it")

    def draw_extra(self) -> Drawn:
        """U and A."""
        rng = stream(self.inner.seed, "world/sparse map")
        outputs = unit(gaussian(self.n_out, self.d_out, rng))
        chosen = torch.rand(self.inner.n_true, self.n_out, generator=rng, dtype=torch.float64).topk(self.fan).indices
        wide = gaussian(max(self.d, self.d_out), min(self.d, self.d_out), rng)
        basis = torch.linalg.qr(wide).Q
        A = basis if self.d >= self.d_out else basis.T
        return {"rows": unit(outputs[chosen].sum(1)).float(), "A": A.float()}

    def transform(self, batch: Batch) -> Batch:
        rows, A = self.tensors["rows"].to(batch.x), self.tensors["A"].to(batch.x)
        y = F.embedding_bag(batch.h.indices, rows, per_sample_weights=batch.h.values, mode="sum")
        return Batch(batch.x, batch.h, y + self.dense * batch.x @ A if self.dense else y)

    def transformed_truth(self, truth: GroundTruth) -> GroundTruth:
        """That of the mixture h U; Cov[y] is open where a linear map of x joins it."""
        rows, inner = self.tensors["rows"], self.mixture
        outputs = replace(inner, d=self.d_out, noise=NoNoise(), bias_norm=0.0)
        nothing = torch.zeros(self.d_out)
        own = {name: value for name, value in inner.tensors.items() if not name.startswith("noise.")}
        vars(outputs)["tensors"] = {**own, "features": rows, "bias": nothing}
        found = outputs.truth
        if not self.dense:
            return found
        mean = found.mean + self.dense * truth.mean @ self.tensors["A"].double()
        why = {**found.open, "covariance": "the linear map of x joins h U"}
        return replace(found, bias=nothing, mean=mean, covariance=None, open=why)


def _scaled(truth: GroundTruth, why: str, **known: Any) -> GroundTruth:
    """Truth of samples that are each divided by a number of their own: no moments."""
    return replace(
        truth,
        bias=torch.zeros_like(truth.bias),
        mean_h=torch.full_like(truth.mean_h, torch.nan),
        mean=torch.full_like(truth.mean, torch.nan),
        covariance=None,
        open={**truth.open, "mean": why, "covariance": why},
        **known,
    )


@knob
@dataclass(frozen=True)
class UnitNorm(Transformed):
    """Samples of a mixture, each divided by its norm; coefficients with it, and silent samples stay 0.

    Directions, and what fires how often, stay; moments have no closed form. Bias and noise are scaled with the sample.

    Source: "sample and normalise" of Chen et al. (2025), arXiv 2506.14002, algorithm 1.
    """

    def transform(self, batch: Batch) -> Batch:
        norm = batch.x.norm(dim=1, keepdim=True)
        norm = torch.where(norm > 0, norm, 1.0)
        return Batch(batch.x / norm, Codes(batch.h.indices, batch.h.values / norm, batch.h.width))

    def transformed_truth(self, truth: GroundTruth) -> GroundTruth:
        return _scaled(truth, "each sample is divided by its own norm")


@knob
@dataclass(frozen=True)
class Standardised(Transformed):
    """Samples of a mixture, each with its mean over dimensions subtracted and divided by s + eps.

    s is the sample's unbiased standard deviation, so that |x| = sqrt(d - 1) s / (s + eps), a constant but for eps. With
    c_i = v_i less its mean, a feature's direction becomes c_i / |c_i| and its coefficient h_i |c_i| / (s + eps). What
    fires, and how often, stays; moments have no closed form. Bias and noise of the mixture are standardised with it.

    Source: the input normalisation of Lee et al. (2025), arXiv 2503.24277, reference code (eps 1e-5).
    """

    eps: float = 1e-5

    @cached_property
    @torch_defaults()
    def _centred(self) -> Float[Tensor, "n_true d"]:
        """Directions less their means over dimensions, not scaled."""
        features = self.tensors["features"].double()
        return features - features.mean(1, keepdim=True)

    def transform(self, batch: Batch) -> Batch:
        spread = batch.x.std(-1, keepdim=True) + self.eps
        lengths = self._centred.norm(dim=1).to(batch.x)
        values = batch.h.values * lengths[batch.h.indices] / spread
        h = Codes(batch.h.indices, values, batch.h.width)
        return Batch((batch.x - batch.x.mean(-1, keepdim=True)) / spread, h)

    def transformed_truth(self, truth: GroundTruth) -> GroundTruth:
        return _scaled(
            truth, "each sample is divided by its own standard deviation", features=unit(self._centred).float()
        )


@knob
@dataclass(frozen=True)
class Nonlinear(Transformed):
    """x = GELU(r W), r a sample of the mixture and W (inner.d, width) with rows N(0, gain^2 / inner.d) an entry.

    No linear truth exists behind GELU. What `truth.features` holds is each feature's response: what the feature alone,
    at its nominal magnitude a_i, adds to the silent activations,

        responses_i = GELU((a_i v_i + b) W) - GELU(b W),    features_i = responses_i / |responses_i|,

    and `truth.bias` = GELU(b W). x is their sum only where one feature fires at a_i. Codes are the mixture's; the
    moments of x are open. A feature's neurons are the large entries of its response.

    Source: ours, after the MLP activations of Shafran et al. (2025), arXiv 2506.10920.
    """

    width: Annotated[int, at_least(1, "add neurons")] = 120
    """number of neurons"""
    gain: Annotated[float, above(0, "raise it")] = 1.0

    extra: ClassVar[tuple[str, ...]] = ("neurons",)

    def draw_extra(self) -> Drawn:
        rng = stream(self.inner.seed, "world/neurons")
        weights = torch.randn(self.inner.d, self.width, generator=rng) * (self.gain / self.inner.d**0.5)
        return {"neurons": weights}

    @property
    def d(self) -> int:
        return self.width

    def activations(self, r: Float[Tensor, "n d_in"]) -> Float[Tensor, "n width"]:
        """What the neurons make of r."""
        return F.gelu(r @ self.tensors["neurons"].to(r))

    @cached_property
    @torch_defaults()
    def responses(self) -> Float[Tensor, "n_true width"]:
        """What each feature alone, at its nominal magnitude, adds to the silent activations; float64."""
        mixture, truth = self.mixture, self.mixture.truth
        size, bias = mixture._law.nominal, truth.bias.double()
        nonzero = bool((size != 0).all())
        must(nonzero, "Nonlinear.inner.magnitudes", "of nonzero nominal mean", "a zero", "use MixedSigns for Signed")
        alone = size[:, None] * truth.features.double() + bias
        return self.activations(alone) - self.activations(bias[None])

    def transform(self, batch: Batch) -> Batch:
        return Batch(self.activations(batch.x), batch.h)

    def transformed_truth(self, truth: GroundTruth) -> GroundTruth:
        silent = self.activations(truth.bias.double()[None])[0]
        why = "GELU of a mixture has no closed moments"
        return replace(
            truth,
            features=unit(self.responses).float(),
            bias=silent.float(),
            mean=torch.full_like(silent, torch.nan),
            covariance=None,
            symmetries=("permutation",),
            requested={},
            realised={"E[L0]": truth.realised["E[L0]"]},
            open={**truth.open, "mean": why, "covariance": why},
        )


@knob
@dataclass(frozen=True)
class Interactions(Transformed):
    """x = (a mixture's x) + gain sum_q t_q(h) b_q over the listed members S_q; the codes and features stay the parts.

        "product": t = prod_{i in S} h_i.    "and": t = 1 if all of S fire.    "xor": t = 1 if one of two fires.

    Targets b_q: "outside", orthonormal and orthogonal to every v_i, which leaves the linear part alone and which one
    further atom a product can read; or "inside", random unit rows of span(V), where none can.

    `truth.products` holds the products of h in x: for "product" all of them, exactly. With ConstantMagnitude(a) and
    firing s_i = h_i / a, "and" is the product at gain / a^|S|; "xor" is s_i + s_j - 2 s_i s_j, its product stands at
    -2 gain / a^2, and the rest tilts the rows of both parts by gain / a b_q. For other magnitudes neither is a
    polynomial in h, and `products` is None.

    Source: ours; interactions of codes as in Koromilas et al. (2026), arXiv 2602.01322.
    """

    members: tuple[tuple[int, ...], ...] = ((0, 1),)
    """features of each interaction"""
    gain: float = 1.0
    logic: Literal["product", "and", "xor"] = "product"
    targets: Literal["outside", "inside"] = "outside"

    extra: ClassVar[tuple[str, ...]] = ("targets",)

    def __post_init__(self) -> None:
        n_true = self.inner.n_true
        must(self.members, "Interactions.members", "at least one set", self.members, "use the mixture itself")
        for group in self.members:
            distinct = len(set(group)) == len(group) >= 2 and min(group) >= 0 and max(group) < n_true
            rule = f"sets of two or more distinct features below {n_true}"
            must(distinct, "Interactions.members", rule, group, "renumber")
            pair = self.logic != "xor" or len(group) == 2
            must(pair, "Interactions.members", "pairs for 'xor'", group, "use 'and' or 'product' for more")

    def draw_extra(self) -> Drawn:
        return {"targets": self._draw_targets(self.inner.tensors["features"].double()).float()}

    def _draw_targets(self, features: Rows) -> Float[Tensor, "t d"]:
        rng = stream(self.inner.seed, "world/targets")
        count, d = len(self.members), self.inner.d
        _, singular, basis = torch.linalg.svd(features, full_matrices=False)
        basis = basis[singular > 1e-5 * singular[0]]
        if self.targets == "inside":
            return unit(gaussian(count, len(basis), rng) @ basis)
        must(
            count <= d - len(basis),
            "Interactions.members",
            f"at most d - rank V = {d - len(basis)} sets where targets lie outside span(V)",
            count,
            "raise d, drop some, or set targets='inside'",
        )
        rows = gaussian(count, d, rng)
        for _ in range(2):  # twice: orthogonal to rounding
            rows = rows - (rows @ basis.T) @ basis
            rows = torch.linalg.qr(rows.T).Q.T
        return rows

    def terms(self, h: Float[Tensor, "n n_true"]) -> Float[Tensor, "n t"]:
        """t_q(h) of each sample."""
        fires = (h != 0).float()
        if self.logic == "product":
            return torch.stack([h[:, list(group)].prod(1) for group in self.members], 1)
        if self.logic == "and":
            return torch.stack([fires[:, list(group)].prod(1) for group in self.members], 1)
        return torch.stack([(fires[:, i] - fires[:, j]).abs() for i, j in self.members], 1)

    def transform(self, batch: Batch) -> Batch:
        targets = self.tensors["targets"].to(batch.x)
        return Batch(batch.x + self.gain * self.terms(batch.h.dense()) @ targets, batch.h)

    def transformed_truth(self, truth: GroundTruth) -> GroundTruth:
        """The parts' directions, rates and moments, and the products; E[x] closed for pairs, Cov[x] open."""
        reasons = {**truth.open, "covariance": "products bring in moments of h of order three and four"}
        shift = self._mean_term()
        if shift is None:
            reasons["mean"] = "moments of h of order three and more, or an open law of firing"
            mean = torch.full_like(truth.mean, torch.nan)
        else:
            mean = truth.mean + self.gain * shift @ self.tensors["targets"].double()
        return replace(truth, mean=mean, covariance=None, open=reasons, products=self._products())

    def _products(self) -> Products | None:
        order = max(len(group) for group in self.members)
        sizes = torch.tensor([float(len(group)) for group in self.members])
        gains = torch.full_like(sizes, self.gain)
        if self.logic != "product":
            if not isinstance(self.inner.magnitudes, ConstantMagnitude):
                return None
            gains = gains / float(self.inner.magnitudes.value) ** sizes * (1 if self.logic == "and" else -2)
        padded = [[*group, *[-1] * (order - len(group))] for group in self.members]
        return Products(torch.tensor(padded), gains, self.tensors["targets"])

    def _mean_term(self) -> Float[Tensor, " t"] | None:
        """E[t_q], where pairs have closed moments."""
        if any(len(group) != 2 for group in self.members):
            return None
        mixture, law = self.mixture, self.mixture._law
        statistics = mixture.firing.statistics(mixture._part("firing"), law)
        which: Any = statistics.second if self.logic == "product" else statistics.cofiring
        if which is None:
            return None
        both = torch.stack([which(torch.tensor(pair))[0, 1] for pair in self.members])
        if self.logic == "xor":
            return torch.stack([statistics.rates[list(pair)].sum() for pair in self.members]) - 2 * both
        return both * (law.gain_square if self.logic == "product" else 1.0)
