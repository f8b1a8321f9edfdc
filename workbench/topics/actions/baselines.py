"""What actions alone predict of an outcome: y ~ a, by a network or a polynomial."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from synthetic.base.streams import stream
from workbench.topics.actions.autoencoder import Mlp
from workbench.topics.actions.control_function import monomials

Predictor = Callable[[Tensor], Tensor]
"""actions (k, q) -> outcomes (k,), float64"""


def fit_network(
    a: Float[Tensor, "n q"], y: Float[Tensor, " n"], *, seed: int = 0, steps: int = 800, lr: float = 5e-3
) -> Predictor:
    """Two hidden layers of 32 on batches of 256: right where actions were seen, and no further."""
    made, size = Mlp((a.shape[1], 32, 32, 1), (seed,), "network"), y.std()
    a, target = a.float(), (y / size).float()
    adam = torch.optim.Adam(made.parameters(), lr=lr)
    half = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
    for step in range(steps):
        which = torch.randint(len(a), (256,), generator=stream(seed, "interventions/network", step))
        adam.zero_grad(set_to_none=True)
        F.mse_loss(made(a[which])[0, :, 0], target[which]).backward()
        adam.step()
        half.step()
    return lambda at: made(at.float()).detach()[0, :, 0].double() * size


def fit_polynomial(a: Float[Tensor, "n q"], y: Float[Tensor, " n"], *, degree: int = 2) -> Predictor:
    """Least squares on all monomials: exact wherever E[y | do(a)] is such a polynomial, and no code needed."""
    basis = monomials(a.double(), degree)
    centre, mean = basis.mean(0), y.double().mean()
    fit = torch.linalg.lstsq(basis - centre, (y.double() - mean)[:, None], driver="gelsd").solution[:, 0]
    return lambda at: (monomials(at.double(), degree) - centre) @ fit + mean
