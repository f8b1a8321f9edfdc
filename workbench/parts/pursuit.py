"""Matching pursuit and orthogonal matching pursuit of a batch of rows, over stacks of dictionaries.

Steps are kept as (index, increment) pairs; no array of the size of dense latents is kept a step.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from synthetic.base.errors import must, pick
from synthetic.source import Codes
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


REASONS = ("steps", "tolerance", "repeat", "nothing left", "dependent")
"""why a row stopped: all steps taken; |r| < tol; a step that left the support as it was; no atom the rule would take;
the chosen atom depends linearly on earlier ones (OMP)"""


@dataclass(frozen=True)
class Path:
    """What a pursuit of each row of x has picked, in order: x = sum_t values_t w_(indices_t) + residual."""

    indices: Int[Tensor, "*s n t"]
    values: Float[Tensor, "*s n t"]
    """increments (matching pursuit) or final coefficients (OMP); 0 in slots that were not needed"""
    residual: Float[Tensor, "*s n d"]
    steps: Int[Tensor, "*s n"]
    """steps taken"""
    stopped: Int[Tensor, "*s n"]
    """why each row took no more of them, an index into `REASONS`"""

    def codes(self, m: int) -> Codes:
        """Sparse latents. The increments of an atom that was picked again are added up in its first slot."""
        ordered, order = self.indices.sort(dim=-1, stable=True)
        repeated = ordered[..., 1:] == ordered[..., :-1]
        if kernels.transformed() or not bool(repeated.any()):  # a dense form adds them up too
            return Codes(self.indices, self.values, m)
        place = torch.arange(1, ordered.shape[-1], device=ordered.device).expand_as(repeated)
        run = torch.where(repeated, 0, place).cummax(-1).values
        first = order.gather(-1, torch.cat((torch.zeros_like(order[..., :1]), run), -1))
        sums = torch.zeros_like(self.values).scatter_add(-1, first, self.values.gather(-1, order))
        return Codes(self.indices, sums, m)


def matching_pursuit(
    x: Float[Tensor, "*b n d"],
    rows: Float[Tensor, "*s m d"],
    steps: int | Int[Tensor, "*s"],
    *,
    select: Literal["abs", "relu", "max"] = "abs",
    tol: float = 0.0,
    stop_on_repeat: bool = False,
    gram: Float[Tensor, "*s m m"] | None = None,
) -> Path:
    """Repeat for each row r, from r = x: j = best atom for r, a = <w_j, r>, f_j += a, r -= a w_j.

    Energy falls by a^2 (2 - |w_j|^2) a step, exactly. With unit atoms and `abs`, |r|^2 falls at least by the factor
    1 - lam / m a step, lam the smallest nonzero eigenvalue of W^T W, to the part of x outside their span; `relu` and
    `max` may stall before. The gradient, with picks held fixed, is that of r_T = (I - w_T w_T^T) ... (I - w_1 w_1^T) x.

    Args:
        x: rows to decompose, of one stack or shared by all its members.
        rows: atoms w_j; where |w_j|^2 > 2 a step raises the error.
        steps: at most so many, the same for all members or one number each.
        select: best is the largest |<w_j, r>|, or <w_j, r> as far as positive, or <w_j, r> of whatever sign.
        tol: a row stops once |r| < tol.
        stop_on_repeat: a row stops after a step that picked an atom it already had, as the authors' code does. With
            correlated atoms that is long before the residual is small.
        gram: W W^T; correlations are then updated by its rows, O(m) a step and row in place of O(m d), and taken anew
            from the residual every 32 steps. Without gradient.

    Returns:
        The path; its codes and residual carry gradients to x and rows where `gram` is None.

    Raises:
        ValueError: steps below 1, tol below 0, no such rule, or a Gram matrix of another size.

    Source: Mallat and Zhang (1993); as an encoder Costa et al. (2025), arXiv 2506.03093.
    """
    pick(select, ("abs", "relu", "max"), "matching_pursuit.select")
    limits = _checked("matching_pursuit", x, rows, steps, tol)
    if gram is None:
        return _by_residual(x, rows, limits, select, tol, stop_on_repeat)
    *stack, m, d = rows.shape
    must(gram.shape == (*stack, m, m), "matching_pursuit.gram", f"rows rows^T, {m} x {m}", tuple(gram.shape), "make it")
    with torch.no_grad():
        each = x.expand(*stack, *x.shape[-2:]).reshape(-1, x.shape[-2], d)
        low = _floor(x.expand(*stack, *x.shape[-2:]), rows).reshape(-1, x.shape[-2])
        per = zip(each, rows.reshape(-1, m, d), gram.reshape(-1, m, m), low, limits.flatten().tolist(), strict=True)
        rule = Rule(select, tol, stop_on_repeat)
        members = [by_gram(*member, int(limits.max()), rule) for member in per]
    parts = [torch.stack(part).view(*stack, *part[0].shape) for part in zip(*members, strict=True)]
    return Path(*parts)


def _checked(owner: str, x: Tensor, rows: Tensor, steps: int | Tensor, tol: float) -> Int[Tensor, "*s"]:
    """Number of steps of each member."""
    must(x.shape[-1] == rows.shape[-1], f"{owner}.x", f"of width {rows.shape[-1]}", tuple(x.shape), "transpose it")
    must(tol >= 0, f"{owner}.tol", "at least 0", tol, "use 0 for a fixed number of steps")
    limits = torch.as_tensor(steps, device=x.device).expand(rows.shape[:-2])
    must(bool((limits >= 1).all()), f"{owner}.steps", "at least 1", limits.tolist(), "raise it")
    return limits


def _floor(x: Tensor, rows: Tensor) -> Float[Tensor, "*s n"]:
    """Correlations that are round-off."""
    return 4 * torch.finfo(x.dtype).eps * x.norm(dim=-1) * rows.norm(dim=-1).amax(-1)[..., None]


def _rows_at(rows: Float[Tensor, "*s m d"], j: Int[Tensor, "*s n"]) -> Float[Tensor, "*s n d"]:
    """The atom picked for each row, differentiable."""
    *stack, m, d = rows.shape
    if stack:
        members = j[..., 0].numel()
        j = j + torch.arange(0, m * members, m, device=j.device).view(*stack, 1)
    return rows.reshape(-1, d).index_select(0, j.flatten()).view(*j.shape, d)


def _by_residual(x: Tensor, rows: Tensor, limits: Tensor, select: str, tol: float, stop_on_repeat: bool) -> Path:
    """One product r W^T a step."""
    *stack, _, _ = rows.shape
    r = x.expand(*stack, *x.shape[-2:])
    with torch.no_grad():
        floor = _floor(r, rows)
    stopped = torch.zeros_like(r[..., 0], dtype=torch.long)
    taken, alive = torch.zeros_like(stopped), torch.ones_like(stopped, dtype=torch.bool)
    indices: list[Tensor] = []
    values: list[Tensor] = []
    for t in range(int(limits.max())):
        with torch.no_grad():
            j, c = best(r.detach() @ rows.detach().mT, select != "abs")
            alive &= t < limits[..., None]
            stop(alive & ((c if select == "relu" else c.abs()) <= floor), 3, alive, stopped)  # NaN goes on, and shows
        if not kernels.transformed() and not bool(alive.any()):
            break
        w = _rows_at(rows, j)
        a = (r * w).sum(-1) * alive.to(r.dtype)
        if select == "relu":
            a = a.relu()
        r = r - a[..., None] * w
        taken += alive
        with torch.no_grad():
            if stop_on_repeat and indices:
                again = torch.stack([(i == j) & (v != 0) for i, v in zip(indices, values, strict=True)]).any(0)
                stop(alive & again, 2, alive, stopped)
            if tol > 0:
                stop(alive & (r.norm(dim=-1) < tol), 1, alive, stopped)
        indices.append(j)
        values.append(a)
    if not indices:
        indices, values = [torch.zeros_like(taken)], [torch.zeros_like(r[..., 0])]
    return Path(torch.stack(indices, -1), torch.stack(values, -1), r, taken, stopped)


@torch.no_grad()
def clear_picks(
    x: Float[Tensor, "n d"], rows: Float[Tensor, "m d"], steps: int, gap: float = 1e-5
) -> Bool[Tensor, " n"]:
    """Rows of x at none of whose steps the two largest |<w_j, r>| are within `gap`: round-off changes no pick there."""
    r, rows, clear = x.double(), rows.double(), torch.ones(len(x), dtype=torch.bool, device=x.device)
    for _ in range(steps):
        c = r @ rows.T
        (first, second), j = c.abs().topk(2).values.T, best(c, signed=False)[0][:, None]
        clear &= first - second > gap
        r = r - c.gather(1, j) * rows[j.squeeze(1)]
    return clear


@torch.no_grad()
def orthogonal_matching_pursuit(
    x: Float[Tensor, "*b n d"],
    rows: Float[Tensor, "*s m d"],
    steps: int | Int[Tensor, "*s"],
    *,
    select: Literal["abs", "positive"] = "abs",
    tol: float = 0.0,
) -> Path:
    """Repeat for each row: add the best new atom to S, f = least squares of x on S; r = x - f W_S is orthogonal to S.

    An orthonormal basis of the picked atoms grows by one vector a step, and with it the Cholesky factor L of their Gram
    matrix by one row; f = L^-T L^-1 W_S x is solved once at the end. Without gradient.

    With unit atoms and coherence mu, `abs` finds every support of k < (1 + 1/mu) / 2 atoms in k steps, `positive`
    every one with positive coefficients.

    Args:
        x: rows to decompose, of one stack or shared by all its members.
        rows: atoms, of any norm.
        steps: at most so many, the same for all members or one number each.
        select: best is the largest |<w_j, r>|, or the largest <w_j, r> > 0; least squares may give either sign.
        tol: a row stops once |r| < tol.

    Raises:
        ValueError: steps below 1, tol below 0, or no such rule.

    Source: Pati, Rezaiifar, Krishnaprasad (1993); Rubinstein, Zibulevsky, Elad (2008), batch-OMP.
    Differs: correlations are a product r W^T a step, which costs no more than t Gram rows a sample do.
    """
    pick(select, ("abs", "positive"), "orthogonal_matching_pursuit.select")
    limits = _checked("orthogonal_matching_pursuit", x, rows, steps, tol)
    *stack, m, d = rows.shape
    r = x.expand(*stack, *x.shape[-2:])
    floor, shape = _floor(r, rows), r.shape[:-1]
    slots = min(int(limits.max()), m, d)
    indices, basis = torch.zeros(*shape, slots, dtype=torch.long, device=x.device), _Basis(r, slots)
    stopped = torch.zeros(shape, dtype=torch.long, device=x.device)
    taken, alive = torch.zeros_like(stopped), torch.ones_like(stopped, dtype=torch.bool)
    for t in range(slots):
        c = r @ rows.mT
        if t:
            c.scatter_(-1, indices[..., :t], 0.0)
        j, top = best(c, select == "positive")
        alive &= t < limits[..., None]
        stop(alive & ((top if select == "positive" else top.abs()) <= floor), 3, alive, stopped)
        w = _rows_at(rows, j)
        v, q = basis.split(w, t)
        height = q.norm(dim=-1)
        stop(alive & (height <= torch.finfo(x.dtype).eps ** 0.5 * w.norm(dim=-1)), 4, alive, stopped)
        if not bool(alive.any()):
            break
        indices[..., t] = j
        r = basis.grown(t, v, q, torch.where(alive, height, 1.0), alive.to(x.dtype)[..., None], r)
        taken += alive
        if tol > 0:
            stop(alive & (r.norm(dim=-1) < tol), 1, alive, stopped)
    return Path(indices, basis.coefficients(), r, taken, stopped)


class _Basis:
    """Orthonormal rows Q that grow with the atoms W_S of a support, L with W_S = L Q, and z = Q x."""

    def __init__(self, x: Float[Tensor, "*s n d"], slots: int) -> None:
        shape, d = x.shape[:-1], x.shape[-1]
        self.Q, self.L, self.z = (x.new_zeros(*shape, slots, *width) for width in ((d,), (slots,), ()))
        self.L.diagonal(dim1=-2, dim2=-1).fill_(1.0)

    def split(self, w: Float[Tensor, "*s n d"], t: int) -> tuple[Tensor, Tensor]:
        """v and q of w = v Q + q, q orthogonal to the first t rows; taken twice, against round-off."""
        Q = self.Q[..., :t, :]
        v = (Q @ w[..., None]).squeeze(-1)
        q = w - (v[..., None, :] @ Q).squeeze(-2)
        again = (Q @ q[..., None]).squeeze(-1)
        return v + again, q - (again[..., None, :] @ Q).squeeze(-2)

    def grown(self, t: int, v: Tensor, q: Tensor, height: Tensor, live: Tensor, r: Tensor) -> Float[Tensor, "*s n d"]:
        """Add q / height as row t where a sample is live (1 or 0); the residual that it leaves of r."""
        q = live * q / height[..., None]
        self.z[..., t] = (q * r).sum(-1)
        self.Q[..., t, :], self.L[..., t, :t], self.L[..., t, t] = q, live * v, height
        return r - self.z[..., t, None] * q

    def coefficients(self) -> Float[Tensor, "*s n t"]:
        """f with f W_S the projection of x: f = z L^-1."""
        return torch.linalg.solve_triangular(self.L.mT, self.z[..., None], upper=True).squeeze(-1)
