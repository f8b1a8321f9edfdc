"""Inductions over the prefixes that the top-AFA rule passes, for all reals.

The rule passes norms C_1 <= C_2 <= ... and holds the nearest to tau so far. That the shipped loop is this pass, by its
own choice between two, is `PASS`.
"""

from proofs_check.engines import smt
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


def _first_norm(unknowns, ops):
    held, norm, tau = unknowns("held norm tau")
    return [held == norm], [ops.abs(held - tau) <= ops.abs(norm - tau), held <= norm]


def _next_norm(unknowns, ops):
    """`norm` is any that was passed, `last` the last of them."""
    held, norm, last, new, tau = unknowns("held norm last new tau")
    kept = ops.where(moves(held, new, tau, ops), new, held)
    given = [ops.abs(held - tau) <= ops.abs(norm - tau), held <= last, last <= new]
    return given, [ops.abs(kept - tau) <= ops.abs(norm - tau), ops.abs(kept - tau) <= ops.abs(new - tau), kept <= new]


PASS = smt.implies(
    "the shipped loop passes from norm to norm", "2 to 4 prefixes", lambda unknowns, ops: ([], _pass(unknowns, ops))
)
NEAREST = smt.induction(
    "the norm held is as near as any passed", "all numbers of prefixes: induction", _first_norm, _next_norm
)
