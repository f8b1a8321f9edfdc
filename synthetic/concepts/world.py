"""Activations over an enumerated latent concept model, as a world that SAEs train on."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from synthetic.base.errors import must
from synthetic.base.storage import knob
from synthetic.base.streams import stream, torch_defaults
from synthetic.concepts.activations import exact_activations
from synthetic.concepts.latent import LatentConcepts
from synthetic.concepts.model import ConceptModel
from synthetic.concepts.tokens import ConceptTyped
from synthetic.laws.directions import unit
from synthetic.laws.magnitudes import Drawn
from synthetic.source import Batch, Codes, ExactWorld, GroundTruth

Form = Literal["softplus", "logit", "surprisal", "prob", "exact"]


@knob
@dataclass(frozen=True, kw_only=True)
class ConceptWorld(ExactWorld):
    """x(s) of contexts s drawn from p(s): a dictionary of concepts, x = h V + b, or a perfect predictor's activations.

        softplus    h_k = log(1 + e^lam_k) = -log p(c_k = 0 | s), lam_k the log-odds of a binary concept: near 0
                    where the concept is absent, the natural nonnegative code
        logit       h_k = lam_k - min_s lam_k: dense
        surprisal   h_kv = -log p(c_k = v | s)
        prob        h_kv = p(c_k = v | s)
        exact       x is the optimum of next-token prediction with `ConceptTyped` tokens, d = D - 1: the surprisals once
                    more, times the norms of their directions, which prediction sets (D of them around a simplex)

    V has random unit rows but for "exact". Coefficients are positive almost everywhere: a feature fires in every
    sample, weakly where its concept is absent, so that scores of detection say little, those of directions much.

    Source: ours; log-posteriors as codes: Liu et al. (2025), arXiv 2503.08980; marginals: arXiv 2601.20420.
    """

    concepts: LatentConcepts = LatentConcepts()  # noqa: RUF009 (frozen)
    form: Form = "softplus"
    dim: int | None = None
    """dimension of the activations, n_true where None; "exact" has its own"""
    seed: int = 0
    """of V"""

    def __post_init__(self) -> None:
        sizes = self.concepts.sizes
        binary = all(n == 2 for n in sizes)
        must(binary or self.form not in ("softplus", "logit"), "ConceptWorld.form", "one for any number of values",
             f"{self.form!r} with sizes {sizes}", "use surprisal or prob, or binary concepts")  # fmt: skip
        must(self.dim is None or self.dim >= 1, "ConceptWorld.dim", "at least 1", self.dim, "add dimensions")
        if self.form == "exact":
            tokens = self.concepts.tokens
            linear = isinstance(tokens, ConceptTyped) and all(tokens.weights or (1.0,))
            must(linear, "ConceptWorld.concepts.tokens", "ConceptTyped, all weights above 0, for 'exact'",
                 tokens, "nothing else is linear in marginals")  # fmt: skip
            must(self.dim is None, "ConceptWorld.dim", "None where form is 'exact'", self.dim, "prediction sets it")

    @cached_property
    @torch_defaults()
    def tensors(self) -> Drawn:
        """The model's tables, activations and coefficients of each context, and the dictionary."""
        model = self.concepts.model
        if self.form == "exact":
            directions = -exact_activations(
                model
            ).u  # x = sum_kv log p(c_k = v|s) u_kv + b: u is orthonormal, and centred
            size = directions.norm(dim=1)
            h, v = -model.log_marginals * size, unit(directions)
        else:
            h = self._coefficients(model)
            rng = stream(self.seed, "concepts/directions")
            v = unit(torch.randn(h.shape[1], self.dim or h.shape[1], generator=rng, dtype=torch.float64))
        return {
            "features": v.float(),
            "h": h.float(),
            "x": (h @ v).float(),
            "log_joint": model.log_joint,
            "tokens": model.tokens,
        }

    def _coefficients(self, model: ConceptModel) -> Float[Tensor, "s n_true"]:
        match self.form:
            case "softplus":
                return F.softplus(model.log_odds)
            case "logit":
                return model.log_odds - model.log_odds.amin(0)
            case "surprisal":
                return -model.log_marginals
            case _:
                return model.log_marginals.exp()

    @cached_property
    @torch_defaults()
    def model(self) -> ConceptModel:
        """The tables behind it."""
        return ConceptModel(self.concepts.sizes, self.tensors["log_joint"], self.tensors["tokens"])

    @property
    def d(self) -> int:
        """Dimension of the activations."""
        return self.tensors["x"].shape[1]

    @property
    def activations(self) -> Float[Tensor, "s d"]:
        """x of each context."""
        return self.tensors["x"]

    @property
    def coefficients(self) -> Float[Tensor, "s n_true"]:
        """h of each context."""
        return self.tensors["h"]

    def closed_forms(self) -> GroundTruth:
        """Exact statistics: weighted sums over the contexts."""
        w, h, x = self.model.weights, self.coefficients.double(), self.activations.double()
        fires = (h != 0).double()
        rates, mean = w @ fires, w @ x
        return GroundTruth(
            features=self.tensors["features"],
            bias=torch.zeros(self.d),
            rates=rates,
            requested_rates=rates,
            rates_error=0.0,
            mean_h=w @ h,
            mean=mean,
            covariance=(x - mean).T @ ((x - mean) * w[:, None]),
            cofiring=lambda which: fires[:, which].T @ (fires[:, which] * w[:, None]),
            parents=torch.full((h.shape[1],), -1),
            symmetries=("permutation",),
            realised={"E[L0]": float(rates.sum())},
        )

    def draw(self, n: int, rng: torch.Generator) -> Int[Tensor, " n"]:
        """Numbers of n contexts from p(s)."""
        must(n >= 1, "ConceptWorld.sample.n", "at least 1", n, "draw at least one sample")
        return torch.multinomial(self.model.weights.to(rng.device), n, replacement=True, generator=rng)

    @torch_defaults()
    def sample(self, n: int, rng: torch.Generator) -> Batch:
        """Activations and coefficients of n contexts, on the generator's device."""
        s = self.draw(n, rng)
        h = self.coefficients.to(rng.device)[s]
        codes = Codes(torch.arange(h.shape[1], device=rng.device).expand_as(h), h, h.shape[1])
        return Batch(self.activations.to(rng.device)[s], codes)
