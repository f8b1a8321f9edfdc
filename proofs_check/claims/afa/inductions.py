"""Inductions over the prefixes that the top-AFA rule passes, for all reals.

The rule passes norms C_1 <= C_2 <= ... and holds the nearest to tau so far. That the shipped loop is this pass, by its
own choice between two, is `PASS`; that the vectorised rule keeps what the loop does is tried by `VECTORISED`.
"""

import torch

from proofs_check.engines import smt
from proofs_check.instances.loops import evaluated
from proofs_check.instances.selection import Selection
from workbench.theory import top_afa


def moves(held, new, tau, ops):
    """Whether the shipped rule gives up the norm it holds for the next one."""
    return top_afa.nearest_prefix([held, new], tau, ops=ops) == 2


def _pass(unknowns, ops):
    norms, tau = unknowns("C1 C2 C3 C4"), unknowns("tau")
    held, place = norms[0], 1
    for count, norm in enumerate(norms[1:], 2):
        moved = moves(held, norm, tau, ops)
        held, place = ops.where(moved, norm, held), ops.where(moved, count, place)
        yield top_afa.nearest_prefix(norms[:count], tau, ops=ops) == place


def _next_norm(unknowns, ops):
    """`norm` is any that may come: once it was `seen`, the norm held is as near to tau; `last` is the last of them."""
    held, norm, last, new, tau, seen, here = unknowns("held norm last new tau seen here")
    zero, one = ops.num("0"), ops.num("1")
    nearer = ops.abs(held - tau) <= ops.abs(norm - tau)
    after = {"held": ops.where(moves(held, new, tau, ops), new, held), "last": new}
    after["seen"] = ops.where(here == 1, one, seen)
    start = {"held": new, "last": new, "seen": ops.where(here == 1, one, zero)}
    given = [last <= new, (here == 0) | ((here == 1) & (new == norm))]
    return smt.Invariant([(seen == 0) | nearer, held <= last], after, start, given)


def _kept(draw):
    """Squares are whole; roots are taken in float64, for targets off the midpoints of norms."""
    row = [abs(value) for value in draw.vector(draw.n, 1000)]
    falling = sorted(row, reverse=True)
    norms = top_afa.prefix_norms(falling)
    yield [round(norm * norm) for norm in norms], [sum(v * v for v in falling[: i + 1]) for i in range(draw.n)]
    for place in range(0, draw.n, 3):
        tau = norms[place] * (1 + draw.number(1000) / 50000)
        gaps = [abs(norm - tau) for norm in norms]
        count = gaps.index(min(gaps)) + 1
        yield top_afa.nearest_prefix(norms, tau), count
        for more, sentinel in (((), None), ((0,), None), ((0,), 1e8)):
            goal = torch.tensor([tau], dtype=torch.float64)
            case = Selection(torch.tensor([[*more, *row]], dtype=torch.float64), goal, goal, 0.0, sentinel)
            yield sorted(case.contributions[case.mask].tolist(), reverse=True), falling[:count]


PASS = smt.implies(
    "the shipped loop passes from norm to norm", "2 to 4 prefixes", lambda unknowns, ops: ([], _pass(unknowns, ops))
)
VECTORISED = evaluated("the vectorised rule and the loop keep the first nearest prefix", _kept)
NEAREST = smt.induction("the norm held is as near as any passed", "all numbers of prefixes: induction", _next_norm)
