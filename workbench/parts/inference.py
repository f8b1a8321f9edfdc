"""The best codes that given rows allow: what an encoder's codes are measured against.

x ~ f W with unit rows W and residual r = x - f W. All in float64, row by row of x, without gradient.
"""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from synthetic.base.errors import must, pick
from synthetic.source import Codes
from workbench.parts.base import Latents
from workbench.parts.pursuit import orthogonal_matching_pursuit
from workbench.ratios import ratio

_ROUND_OFF = 1e-11
"""share of |x| below which a correlation counts as 0"""
_BLOCK = 2**24
"""numbers in the largest array at once"""


@torch.no_grad()
def omp(x: Float[Tensor, "n d"], rows: Float[Tensor, "m d"], k: int, tol: float = 0.0) -> Codes:
    """Orthogonal matching pursuit with at most k rows, stopped at |r| < tol; codes of either sign."""
    return orthogonal_matching_pursuit(x, rows, k, tol=tol).codes(len(rows))


@torch.no_grad()
def nn_omp(x: Float[Tensor, "n d"], rows: Float[Tensor, "m d"], k: int | Int[Tensor, " n"], tol: float = 0.0) -> Codes:
    """Repeat: add argmax_j <w_j, r> > 0 of the rows not in S, then f_S = nonnegative least squares of x on S.

    Args:
        x: activations without their bias.
        rows: unit rows.
        k: most picks, one number or one for each x.
        tol: stop at |r| <= tol, as noise of sd s a coordinate allows, s sqrt(d).

    Source: Bruckstein, Elad, Zibulevsky (2008), arXiv 0804.4666, with the refit of Lawson and Hanson (1974).
    """
    n, m = len(x), len(rows)
    limits = torch.as_tensor(k, device=x.device).expand(n)
    slots = max(1, min(int(limits.max()), m)) if n else 1
    indices, values = torch.zeros(n, slots, dtype=torch.long, device=x.device), x.new_zeros(n, slots)
    picked, r, floor = torch.zeros_like(indices, dtype=torch.bool), x, _ROUND_OFF * x.norm(dim=1)
    for t in range(slots):
        c = r @ rows.T
        if t:
            c.scatter_(1, indices[:, :t], 0.0)
        top, j = c.max(1)
        more = ((top > floor) & (t < limits) & (r.norm(dim=1) > tol)).nonzero().squeeze(1)
        if not len(more):
            break
        indices[more, t], picked[more, t] = j[more], True
        atoms = rows[indices[more, : t + 1]]
        gram, target = atoms @ atoms.mT, (atoms @ x[more, :, None]).squeeze(2)
        f = _nonnegative(gram, target, picked[more, : t + 1], floor[more], values[more, : t + 1])
        values[more, : t + 1] = f
        r = r.index_copy(0, more, x[more] - (f[:, None] @ atoms).squeeze(1))
    return Codes(indices, values, m)


@torch.no_grad()
def nnls(x: Float[Tensor, "n d"], rows: Float[Tensor, "m d"], allowed: Tensor | None = None) -> Float[Tensor, "n m"]:
    """Least |x - f W| over f >= 0, with f_j = 0 where not `allowed`: not unique for more than about 2 d random rows.

    Source: Lawson and Hanson (1974), active sets, for all x at once.
    """
    return _program(x, rows @ rows.T, x @ rows.T, allowed, None)


@torch.no_grad()
def nn_lasso(
    x: Float[Tensor, "n d"],
    rows: Float[Tensor, "m d"],
    penalty: float,
    steps: int = 200,
    *,
    exact: bool = True,
    debias: bool = True,
) -> Float[Tensor, "n m"]:
    """argmin |x - f W|^2 / 2 + penalty |f|_1 over f >= 0, then least squares on its support (`debias`).

    FISTA finds most of the support, active sets the rest: the optimum is exact to round-off unless `exact` is False.

    Args:
        x: activations without their bias.
        rows: unit rows.
        penalty: in units of x.
        steps: of FISTA.
        exact: go on to the optimum.
        debias: undo the shrinkage by nonnegative least squares on the support.

    Source: Beck and Teboulle (2009), FISTA; the second stage is ours.
    """
    must(penalty > 0, "nn_lasso.penalty", "above 0", penalty, 'give a share of a usual magnitude, or use "nnls"')
    gram, dots = rows @ rows.T, x @ rows.T
    target = dots - penalty
    step = 1 / float(torch.linalg.eigvalsh(gram)[-1].clamp_min(1e-300))
    f = y = torch.zeros_like(target)
    t = 1.0
    for _ in range(steps):
        nearer, t_next = (y - step * (y @ gram - target)).relu(), (1 + (1 + 4 * t * t) ** 0.5) / 2
        y, f, t = nearer + (t - 1) / t_next * (nearer - f), nearer, t_next
    if exact:
        f = _program(x, gram, target, None, f)
    return _program(x, gram, dots, f > 0, None) if debias else f


@torch.no_grad()
def violation(
    x: Float[Tensor, "n d"],
    rows: Float[Tensor, "m d"],
    f: Float[Tensor, "n m"],
    penalty: float = 0.0,
    allowed: Bool[Tensor, "n m"] | None = None,
) -> Float[Tensor, " n"]:
    """How far f >= 0 is from the optimum of |x - f W|^2 / 2 + penalty |f|_1 on the rows allowed, over |x|.

    f is optimal iff <w_j, r> <= penalty for all j, with equality where f_j is not 0: the largest violation of either.
    """
    slack = (x - f @ rows) @ rows.T - penalty
    wrong = torch.where(f != 0, slack.abs(), slack.clamp_min(0))
    wrong = wrong if allowed is None else wrong.where(allowed, 0.0)
    return ratio(wrong.amax(1), x.norm(dim=1), 0.0)


def _program(
    x: Float[Tensor, "n d"], gram: Tensor, target: Tensor, allowed: Tensor | None, start: Tensor | None
) -> Float[Tensor, "n m"]:
    """argmin over f >= 0 of f G f / 2 - <target, f>, where allowed, in blocks of x."""
    m, every = len(gram), []
    size = max(1, _BLOCK // (m * min(m, 2 * x.shape[1])))
    for at in range(0, len(x), size):
        block = slice(at, at + size)
        c = target[block]
        free = torch.ones_like(c, dtype=torch.bool) if allowed is None else allowed[block]
        begin = torch.zeros_like(c) if start is None else start[block]
        floor = _ROUND_OFF * x[block].norm(dim=1)
        f = _nonnegative(gram, c, free, floor, begin)
        if start is not None:  # the start's support may have been dependent, which active sets never are
            slack = c - f @ gram
            off = torch.where(f > 0, slack.abs(), slack.clamp_min(0)).amax(1) > 100 * floor
            f[off] = _nonnegative(gram, c[off], free[off], floor[off], torch.zeros_like(c[off]))
        every.append(f)
    return torch.cat(every) if every else target


def _nonnegative(
    gram: Float[Tensor, "*n m m"],
    target: Float[Tensor, "n m"],
    allowed: Bool[Tensor, "n m"],
    floor: Float[Tensor, " n"],
    start: Float[Tensor, "n m"],
) -> Float[Tensor, "n m"]:
    """argmin over f >= 0 of f G f / 2 - <target, f>, f_j = 0 where not allowed: Lawson and Hanson's active sets.

    Each turn a row adds to its passive set P the j of steepest descent and solves G_PP s = target_P. While s has an
    entry below 0, it goes from f towards s only until an entry reaches 0, and drops that one from P.
    """
    m = target.shape[1]
    f = start.where(allowed, 0.0)
    passive = f > 0
    repairing = passive.any(1)
    barred = torch.zeros_like(passive)
    for _ in range(10 * m + 10):
        slope = target - (f[:, None] @ gram).squeeze(1)
        steep = slope.where(allowed & ~passive & ~barred, 0.0)
        top, j = steep.max(1)
        todo = (repairing | (top > floor)).nonzero().squeeze(1)
        if not len(todo):
            break
        fresh = todo[~repairing[todo]]
        passive[fresh, j[fresh]] = True
        s = _solved(gram if gram.ndim == 2 else gram[todo], target[todo], passive[todo])
        before, inside = f[todo], passive[todo]
        negative = inside & (s <= 0)
        bad = negative.any(1)
        share = torch.where(negative, ratio(before, before - s, 0.0), torch.inf).amin(1)
        moved = torch.where(bad[:, None], before + share[:, None].clamp_max(1.0) * (s - before), s)
        kept = inside & (moved > 0) & ~(negative & (ratio(before, before - s, 0.0) <= share[:, None]))
        stuck = (bad & (share == 0))[:, None] & inside & ~kept  # round-off let it in: it has to wait for another step
        barred[todo] = torch.where((share > 0)[:, None], False, barred[todo] | stuck)
        f[todo], passive[todo], repairing[todo] = moved.where(kept, 0.0), kept, bad & kept.any(1)
    return f


def _solved(gram: Tensor, target: Tensor, passive: Bool[Tensor, "n m"]) -> Float[Tensor, "n m"]:
    """G_PP^-1 target_P for each row's own P, 0 elsewhere."""
    most = max(int(passive.sum(1).max()), 1)
    place = torch.argsort(passive.long(), dim=1, descending=True, stable=True)[:, :most]
    inside = passive.gather(1, place)
    if gram.ndim == 2:
        small = gram[place[:, :, None], place[:, None, :]]
    else:
        small = gram.gather(1, place[:, :, None].expand(-1, -1, gram.shape[2])).gather(
            2, place[:, None, :].expand(-1, most, -1)
        )
    both = inside[:, :, None] & inside[:, None, :]
    eye = torch.eye(most, dtype=gram.dtype, device=gram.device)
    right = target.gather(1, place).where(inside, 0.0)
    matrix = torch.where(both, small, eye)
    factor, failed = torch.linalg.cholesky_ex(matrix)
    solved = torch.cholesky_solve(right[..., None], factor)
    dependent = failed > 0
    if bool(dependent.any()):  # a penalty may want one row more than d: far along the direction that G_PP does not see
        solved[dependent] = torch.linalg.solve(matrix[dependent] + 1e-9 * eye, right[dependent, :, None])
    solved = solved.squeeze(-1)
    return torch.zeros_like(target).scatter(1, place, solved.where(inside, 0.0))


INFERENCES: dict[str, Callable[..., Latents]] = {"omp": omp, "nn_omp": nn_omp, "nn_lasso": nn_lasso, "nnls": nnls}
"""by the names that `workbench.evaluate` takes"""


def inference(name: str, **budget: Any) -> Callable[[Tensor, Tensor], Latents]:
    """An inference with its budget: activations without their bias and unit rows -> codes.

    Raises:
        ValueError: no such inference, or not the budget that it takes.
    """
    function = INFERENCES[pick(name, INFERENCES, "encoder")]
    fields = list(inspect.signature(function).parameters.values())[2:]
    for given in budget:
        pick(given, [field.name for field in fields], f"setting of encoder {name!r}")
    needed = [field.name for field in fields if field.default is inspect.Parameter.empty and field.name not in budget]
    must(not needed, f"encoder {name!r}", f"given {', '.join(needed)}", "none", f"pass {name!r} and {needed[:1]}")
    k = budget.get("k")
    must(k is None or bool(torch.as_tensor(k).min() >= 1), "encoder.k", "at least 1", k, "raise it")
    return partial(function, **budget)
