"""A world whose features interact: products, AND or XOR of features add directions of their own."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from synthetic.base.defaults import torch_defaults
from synthetic.base.errors import must
from synthetic.base.storage import knob
from synthetic.base.streams import stream
from synthetic.laws.directions import Rows, gaussian, unit
from synthetic.laws.magnitudes import ConstantMagnitude, Drawn
from synthetic.mixture import SparseMixture
from synthetic.source import Batch, GroundTruth, Products


@knob
@dataclass(frozen=True)
class Interactions:
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

    inner: SparseMixture
    members: tuple[tuple[int, ...], ...] = ((0, 1),)
    """features of each interaction"""
    gain: float = 1.0
    logic: Literal["product", "and", "xor"] = "product"
    targets: Literal["outside", "inside"] = "outside"

    def __post_init__(self) -> None:
        n_true = self.inner.n_true
        must(self.members, "Interactions.members", "at least one set", self.members, "use the mixture itself")
        for group in self.members:
            distinct = len(set(group)) == len(group) >= 2 and min(group) >= 0 and max(group) < n_true
            rule = f"sets of two or more distinct features below {n_true}"
            must(distinct, "Interactions.members", rule, group, "renumber")
            pair = self.logic != "xor" or len(group) == 2
            must(pair, "Interactions.members", "pairs for 'xor'", group, "use 'and' or 'product' for more")

    @cached_property
    @torch_defaults()
    def tensors(self) -> Drawn:
        """What the mixture draws once, and the targets."""
        return {**self.inner.tensors, "targets": self._draw_targets(self.inner.tensors["features"].double()).float()}

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

    @cached_property
    def _mixture(self) -> SparseMixture:
        """The mixture with these tensors, also where they were loaded."""
        self.inner.__dict__["tensors"] = {name: value for name, value in self.tensors.items() if name != "targets"}
        return self.inner

    @property
    def d(self) -> int:
        """Dimension of the activations."""
        return self.inner.d

    def terms(self, h: Float[Tensor, "n n_true"]) -> Float[Tensor, "n t"]:
        """t_q(h) of each sample."""
        fires = (h != 0).float()
        if self.logic == "product":
            return torch.stack([h[:, list(group)].prod(1) for group in self.members], 1)
        if self.logic == "and":
            return torch.stack([fires[:, list(group)].prod(1) for group in self.members], 1)
        return torch.stack([(fires[:, i] - fires[:, j]).abs() for i, j in self.members], 1)

    @torch_defaults()
    def sample(self, n: int, rng: torch.Generator) -> Batch:
        """Draw from the mixture, then add what its features do together."""
        batch = self._mixture.sample(n, rng)
        targets = self.tensors["targets"].to(batch.x)
        return Batch(batch.x + self.gain * self.terms(batch.h.dense()) @ targets, batch.h)

    @property
    def truth(self) -> GroundTruth:
        """The parts' directions, rates and moments, and the products; E[x] closed for pairs, Cov[x] open."""
        return self._truth

    @cached_property
    @torch_defaults()
    def _truth(self) -> GroundTruth:
        inner = self._mixture.truth
        reasons = {**inner.open, "covariance": "products bring in moments of h of order three and four"}
        shift = self._mean_term()
        if shift is None:
            reasons["mean"] = "moments of h of order three and more, or an open law of firing"
            mean = torch.full_like(inner.mean, torch.nan)
        else:
            mean = inner.mean + self.gain * shift @ self.tensors["targets"].double()
        return replace(inner, mean=mean, covariance=None, open=reasons, products=self._products())

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
        mixture, law = self._mixture, self._mixture._law
        statistics = mixture.firing.statistics(mixture._part("firing"), law)
        which: Any = statistics.second if self.logic == "product" else statistics.cofiring
        if which is None:
            return None
        both = torch.stack([which(torch.tensor(pair))[0, 1] for pair in self.members])
        if self.logic == "xor":
            return torch.stack([statistics.rates[list(pair)].sum() for pair in self.members]) - 2 * both
        return both * (law.gain_square if self.logic == "product" else 1.0)
