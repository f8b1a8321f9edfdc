"""Adam for a stack: gradient clipping and learning rates of each member's own."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.adam import adam

from synthetic.base.errors import must
from workbench.sae import SAE
from workbench.training.config import TrainConfig


class Adam:
    """Adam (Kingma and Ba 2015) as torch has it, fused, on the parameters' memory: transposed ones would be copied.

    `torch.optim.Adam` loads torch's compiler, a second of every process.
    """

    def __init__(
        self, parameters: Sequence[nn.Parameter], lr: float, betas: tuple[float, float] = (0.9, 0.999)
    ) -> None:
        self.parameters, self.lr, self.betas = list(parameters), lr, betas
        self.state: dict[Tensor, dict[str, Tensor]] = {}
        """of each parameter that had a gradient: the number of steps and both moments, of its shape and layout"""

    @torch.no_grad()
    def step(self) -> None:
        """One step of the parameters that have a gradient."""
        moved = [p for p in self.parameters if p.grad is not None]
        for p in moved:
            if p not in self.state:
                moments = {name: torch.zeros_like(p) for name in ("exp_avg", "exp_avg_sq")}
                self.state[p] = {"step": torch.zeros((), dtype=torch.float32, device=p.device), **moments}
        if moved:
            own = [[p, p.grad, self.state[p]["exp_avg"], self.state[p]["exp_avg_sq"]] for p in moved]
            values, gradients, means, squares = map(list, zip(*map(_in_memory_order, own), strict=True))
            steps, (beta1, beta2) = [self.state[p]["step"] for p in moved], self.betas
            how: Any = {"lr": self.lr, "beta1": beta1, "beta2": beta2, "eps": 1e-8, "weight_decay": 0.0}
            adam(values, gradients, means, squares, [], steps, fused=True, amsgrad=False, maximize=False, **how)


def _in_memory_order(tensors: Sequence[Tensor]) -> list[Tensor]:
    """A parameter and what belongs to it, transposed where that is how the parameter lies in memory."""
    turned = tensors[0].ndim > 1 and not tensors[0].is_contiguous()
    return [t.detach().mT if turned else t.detach() for t in tensors]


class Optimiser:
    """Adam over the parameters that are not frozen.

    Adam's moments do not depend on its rate, so members with smaller rates take their share of a common step.
    """

    def __init__(self, sae: SAE, config: TrainConfig) -> None:
        rates = rates_of(config.lr, sae.shape)
        self.sae, self.config, self.rate = sae, config, float(rates.max())
        self.parameters = [p for p in sae.parameters() if p.requires_grad]
        self.adam = Adam(self.parameters, self.rate, config.betas)
        own = torch.tensor(rates / rates.max(), dtype=torch.float32, device=sae.W_dec.device)
        self.own = own if np.ptp(rates) else None
        self.rates = rates.ravel().tolist() if np.ptp(rates) else None
        """learning rates of the members, where they differ"""

    @torch.no_grad()
    def step(self, share: float) -> None:
        """One step at `share` of the learning rate, then no gradients."""
        self.sae.decoder.before_step()
        if self.config.clip is not None:
            clip_gradients(self.parameters, self.config.clip, len(self.sae.shape))
        before = None if self.own is None else [p.clone() for p in self.parameters]
        self.adam.lr = self.rate * share
        self.adam.step()
        for p in self.parameters:
            p.grad = None
        if self.own is not None and before is not None:
            for p, old in zip(self.parameters, before, strict=True):
                p.copy_(old.lerp(p, spread(self.own, p)))


def rates_of(lr: float | tuple[float, ...], shape: tuple[int, ...]) -> np.ndarray:
    """The learning rate of each member; a tuple goes along the last stack axis.

    Raises:
        ValueError: a tuple of another length than that axis.
    """
    given = np.asarray(lr, dtype=np.float64)
    given = given.reshape(()) if given.size == 1 else given
    fits = not given.ndim or (bool(shape) and given.shape == (shape[-1],))
    several = f"or {math.prod(shape[-1:])} of them, one for each along the last axis of the stack {tuple(shape)}"
    advice = "give as many, or nest the other lists so that the last axis is that of the rates"
    must(fits, "TrainConfig.lr", f"one number, {several}" if shape else "one number for a single SAE", lr, advice)
    return np.broadcast_to(given, shape)


def clip_gradients(parameters: Sequence[Tensor], limit: float, stack_axes: int) -> None:
    """Scale each member's gradient, over all its parameters, to norm at most `limit`."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    axes = [tuple(range(stack_axes, g.ndim)) for g in gradients]
    norms = [torch.linalg.vector_norm(g, dim=own) if own else g.abs() for g, own in zip(gradients, axes, strict=True)]
    factor = (limit / (torch.linalg.vector_norm(torch.stack(norms), dim=0) + 1e-6)).clamp_max(1.0)
    if bool((factor < 1).any()):
        for g in gradients:
            g *= spread(factor, g)


def spread(per_member: Tensor, like: Tensor) -> Tensor:
    """One number a member, shaped to multiply a parameter."""
    return per_member.view(*per_member.shape, *[1] * (like.ndim - per_member.ndim))
