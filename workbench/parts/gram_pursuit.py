"""Matching pursuit whose correlations are updated by rows of the Gram matrix, a block of samples at a time."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from workbench import kernels


class Rule(NamedTuple):
    """Which atom a step takes, and when a row has taken its last one."""

    select: str
    """abs, relu or max"""
    tol: float
    stop_on_repeat: bool


REFRESH = 32
"""steps after which correlations that Gram rows have updated are taken anew from the residual"""
BLOCK = 1 << 18
"""numbers in a block of correlations: its loop runs in cache, and few calls are made"""


def best(c: Float[Tensor, "*s n m"], signed: bool) -> tuple[Int[Tensor, "*s n"], Float[Tensor, "*s n"]]:
    """Place and value of each row's entry of largest value, or largest magnitude; the first of equal ones."""
    if kernels.transformed() or c.device.type != "cpu" or c.dtype not in (torch.float32, torch.float64):
        j = (c if signed else c.abs()).argmax(-1)
        return j, c.gather(-1, j[..., None]).squeeze(-1)
    array = c.detach().numpy().reshape(-1, c.shape[-1])  # numpy's search is a vectorised pass, torch's is not
    at = np.arange(len(array))
    high = array.argmax(1)
    top = array[at, high]
    if not signed:  # two searches cost less than an array of magnitudes
        low = array.argmin(1)
        bottom = array[at, low]
        size = -bottom
        other = (size > top) | ((size == top) & (low < high))
        high, top = np.where(other, low, high), np.where(other, bottom, top)
    return torch.from_numpy(high).view(c.shape[:-1]), torch.from_numpy(top).view(c.shape[:-1])


def stop(now: Bool[Tensor, "*s n"], why: int, alive: Bool[Tensor, "*s n"], stopped: Int[Tensor, "*s n"]) -> None:
    """Take rows out of a loop, in place, and note why."""
    stopped.masked_fill_(now, why)
    alive &= ~now


def by_gram(
    x: Float[Tensor, "n d"],
    W: Float[Tensor, "m d"],
    G: Float[Tensor, "m m"],
    floor: Float[Tensor, " n"],
    limit: int,
    most: int,
    rule: Rule,
) -> tuple[Tensor, ...]:
    """Indices, values, residual, steps and reasons of one member; at most `limit` steps, `most` slots.

    `floor` is the size of correlations that are round-off. See `workbench.parts.pursuit.matching_pursuit`.
    """
    size = max(8, BLOCK // len(W)) if x.device.type == "cpu" else max(len(x), 1)
    buffer = x.new_empty(min(size, len(x)), len(W))
    parts = zip(x.split(size), floor.split(size), strict=True)
    blocks = [_block(part, W, G, low, buffer, limit, most, rule) for part, low in parts]
    indices, values, taken, stopped = (torch.cat(part) for part in zip(*blocks, strict=True))
    return indices, values, x - kernels.chosen(W).gather_sum(indices, values, W), taken, stopped


def _block(
    x: Tensor, W: Tensor, G: Tensor, floor: Tensor, buffer: Tensor, limit: int, most: int, rule: Rule
) -> tuple[Tensor, ...]:
    """The same for a few rows, without their residual."""
    select, tol, stop_on_repeat = rule
    c, r, gram_rows = x @ W.T, x, buffer[: len(x)]
    indices, values = torch.zeros(most, len(x), dtype=torch.long, device=x.device), x.new_zeros(most, len(x))
    alive = torch.ones(len(x), dtype=torch.bool, device=x.device)
    taken, stopped = torch.zeros_like(indices[0]), torch.zeros_like(indices[0])
    whole = True
    for t in range(limit):
        if t and t % REFRESH == 0:
            left = r if tol else x - kernels.chosen(W).gather_sum(indices.T, values.T, W)
            torch.mm(left, W.T, out=c)
        j, a = best(c, select != "abs")
        lost = (a if select == "relu" else a.abs()) <= floor
        if bool(lost.any()):
            stop(alive & lost, 3, alive, stopped)
            whole = False
        if not whole:
            if not bool(alive.any()):
                break
            a = a * alive.to(a.dtype)
        indices[t], values[t] = j, a
        taken += alive
        if stop_on_repeat and t:
            stop(alive & ((indices[:t] == j) & (values[:t] != 0)).any(0), 2, alive, stopped)
            whole = False
        if tol:
            r = torch.addcmul(r, a[:, None], W.index_select(0, j), value=-1)
            stop(alive & (r.norm(dim=-1) < tol), 1, alive, stopped)
            whole = False
        if t + 1 < limit:
            torch.index_select(G, 0, j, out=gram_rows)
            c.addcmul_(a[:, None], gram_rows, value=-1)
    return indices.T, values.T, taken, stopped
