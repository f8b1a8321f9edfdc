"""Next-token predictors trained on the enumerated table, without sampling noise."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from synthetic.base.errors import must
from synthetic.base.streams import stream
from synthetic.concepts.activations import Readout
from synthetic.concepts.model import ConceptModel


@dataclass(frozen=True)
class PredictorConfig:
    """How a predictor is trained."""

    d: int = 8
    """width of the activations"""
    adam: int = 2000
    """steps of Adam"""
    lr: float = 1e-2
    polish: int = 2000
    """steps of L-BFGS after them, at most"""
    enough: float = 1e-8
    """divergence at which training stops, nats"""

    def __post_init__(self) -> None:
        for name in ("d", "adam", "polish"):
            must(getattr(self, name) >= 1, f"PredictorConfig.{name}", "at least 1", getattr(self, name), "raise it")
        for name in ("lr", "enough"):
            must(getattr(self, name) > 0, f"PredictorConfig.{name}", "above 0", getattr(self, name), "raise it")


def train_predictor(model: ConceptModel, config: PredictorConfig, *, seed: int = 0) -> tuple[Readout, float]:
    """A table of activations and an unembedding that minimise sum_s p(s) KL(p(.|s) || softmax(x(s) U^T)), float64.

    Adam, then L-BFGS, until the divergence is below `enough`.

    Args:
        model: what to predict.
        config: settings.
        seed: of the weights.

    Returns:
        Activations and unembedding, and the divergence reached, nats.

    Source: ours; a table of activations is the network of unlimited capacity whose optimum the theory speaks of.
    """
    rng = stream(seed, "identifiability/predictor")
    x, u = (
        nn.Parameter(torch.randn(rows, config.d, generator=rng, dtype=torch.float64) / config.d**0.5)
        for rows in (model.n_contexts, model.n_tokens)
    )
    log_next, w = model.log_next.detach(), model.weights
    share = log_next.exp()

    def loss() -> Tensor:
        predicted = F.log_softmax(x @ u.T, dim=1)
        return w @ torch.where(share > 0, share * (log_next - predicted), 0.0).sum(1)

    divergence = _by_lbfgs(loss, (x, u), config, _by_adam(loss, (x, u), config))
    return Readout(x.detach(), u.detach()), divergence


def _by_adam(loss: Callable[[], Tensor], weights: Sequence[nn.Parameter], config: PredictorConfig) -> float:
    adam = torch.optim.Adam(weights, lr=config.lr)
    divergence = float("inf")
    for _ in range(config.adam):
        adam.zero_grad(set_to_none=True)
        value = loss()
        value.backward()
        adam.step()
        divergence = float(value.detach())
        if divergence < config.enough:
            break
    return divergence


def _by_lbfgs(
    loss: Callable[[], Tensor], weights: Sequence[nn.Parameter], config: PredictorConfig, divergence: float
) -> float:
    """Steps until the divergence, where Adam has left it, is small enough."""
    finish = torch.optim.LBFGS(weights, max_iter=100, history_size=50, line_search_fn="strong_wolfe",
                               tolerance_grad=1e-14, tolerance_change=1e-18)  # fmt: skip

    def closure() -> Tensor:
        finish.zero_grad(set_to_none=True)
        value = loss()
        value.backward()
        return value

    for _ in range(0, config.polish, 100):
        if divergence < config.enough:
            break
        finish.step(closure)
        divergence = float(loss().detach())
    return divergence
