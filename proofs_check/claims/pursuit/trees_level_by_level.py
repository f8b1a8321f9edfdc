"""MP-7: on a tree of orthogonal levels pursuit is exact however alike siblings are; one top-k is not."""

from dataclasses import replace

import torch

from proofs_check.claim import LOOPS, Claim, Control, Mutant, Part, Verdict, Void, at_most, equal
from proofs_check.claims.pursuit.cases import UNIT, dense, outside
from proofs_check.claims.pursuit.loops import SIX_STEPS, STEPS
from proofs_check.claims.pursuit.tree_cases import APART, EXCLUSIVE, LEVELS, POSITIVE, Tree, tree, trees
from proofs_check.engines import smt
from proofs_check.instances.draw import numbers
from proofs_check.instances.inductions import OVERTAKEN, TOP
from workbench.parts import pursuit
from workbench.theory import pursuit as theory


def _conclusion(case: Tree) -> dict[str, Part]:
    active = int((case.h != 0).sum())
    g, size, h = float(case.within.abs().max()), case.h.abs().max(), case.h[case.h != 0]
    found: dict[str, Part] = {}
    for rule in ("relu", "abs"):
        path = pursuit.matching_pursuit(case.x, case.rows, active, select=rule)
        found[f"{rule}: f = h"] = equal((dense(path, case.m) - case.h).abs().max() / size, 0.0)
    if g < 1 and float(h.min()) > theory.tree_noise_floor(g, float((case.noise @ case.rows.T).abs().max())):
        noisy = replace(case, x=case.x + case.noise)
        path = pursuit.matching_pursuit(noisy.x, case.rows, active, select="abs")
        found["picks under noise"] = at_most(outside(noisy, path), 0.0)
    else:
        found["picks under noise"] = Void("noise above its floor")
    same = case.level[:, None] == case.level
    products = case.within[same & ~torch.eye(case.m, dtype=torch.bool)]
    if not len(products) or float((products - products.mean()).abs().max()) > 1e-9 or float(products.mean()) <= 0:
        return found | {"one shot": Void("products in a level differ, or are not above 0")}
    c = (case.x @ case.rows.T)[0]
    left = theory.one_shot_margin(h.min(), h.max(), products.mean())
    kept = set(c.topk(active).indices.tolist()) == set(case.h[0].nonzero().flatten().tolist())
    said = float(left > 0) if abs(float(left)) > 1e-9 else float(kept)  # a tie may go either way
    return found | {
        "one shot": equal(c[case.h[0] != 0].min() - c[case.h[0] == 0].max(), left, unit=size),
        "one shot keeps S just where the margin is above 0": equal(float(kept), said),
    }


def _largest_first(unknowns, ops):
    """A level has left what its row's h lacks of its code f: all of it, or nothing once it was picked.

    What is picked is the level with the most left, h; `other` is what another has. The row of the largest is ahead of
    its sibling, of another level's row and of that one's sibling.
    """
    f, left, whole, done, picked = unknowns("f left whole done picked")
    h, other, g, g2, size = unknowns("h other g g2 size")
    given = [h > 0, other >= 0, other <= h, size < 1, ops.abs(g) <= size, ops.abs(g2) <= size]
    ahead = [h > ops.abs(h * g), h >= other, h > ops.abs(other * g2)]
    stays = [theory.correlation_after(h * g, h, g) == 0, theory.correlation_after(other * g2, h, 0) == other * g2]
    alone = theory.correlation_after(left, left, 1), theory.correlation_after(left, h, 0)
    after = {"f": ops.where(picked == 1, f + left, f), "left": ops.where(picked == 1, *alone)}
    after["done"] = ops.where(picked == 1, ops.num("1"), done)
    says = [f + left == whole, ops.where(done == 1, left, ops.num("0")) == 0]
    return smt.Invariant(says, after, {"left": whole}, given, [*ahead, *stays])


def _add_level(unknowns, ops):
    """Of active levels: the least c of their rows, the largest of siblings, by the least and the largest h."""
    low, idle, least, largest, new, g = unknowns("low idle least largest new g")
    says = [low - idle == theory.one_shot_margin(least, largest, g), low == least, idle == g * largest]
    after = {"low": ops.smaller(low, new), "idle": ops.larger(idle, g * new)}
    after |= {"least": ops.smaller(least, new), "largest": ops.larger(largest, new)}
    start = {"low": new, "idle": ops.larger(g * new, 0), "least": new, "largest": new}
    return smt.Invariant(says, after, start, [new > 0, g > 0])


def _noise(unknowns, ops):
    """e_j = <w_j, e> within ±n. Unfinished level: h + e_l against g h + e_j. Finished: e_j - g (h + e_l) + g h."""
    h, g, n, own, sibling, done, beside = unknowns("h g n own sibling done beside")
    size, bound = ops.abs, unknowns("bound")
    given = [size(v) <= n for v in (own, sibling, done, beside)] + [bound >= 0, bound < 1, size(g) <= bound]
    given += [h > theory.tree_noise_floor(bound, n)]
    finished = theory.correlation_after(h * g + beside, h + done, g)
    return given, [h + own > size(h * g + sibling), h + own > size(finished)]


def _competing(unknowns, ops):
    """A pick of size |c| against the active rows of two unfinished levels; `off` is 1 where it is none of such rows.

    It is then a sibling in an unfinished level, or a row of a finished or silent one: of a silent one `done` is 0, of
    the row picked in a finished one nothing is left.
    """
    c, h, own, level, lead, g, g2, beside, sibling, done, n, bound = unknowns(
        "c h own level lead g g2 beside sibling done n bound"
    )
    size, floor = ops.abs, theory.tree_noise_floor(bound, n)
    given = [size(v) <= n for v in (own, lead, sibling, beside, done)] + [bound >= 0, bound < 1]
    given += [size(g) <= bound, size(g2) <= bound, h > floor, level > floor]
    given += [size(c) >= size(h + own), size(c) >= size(level + lead)]
    finished = theory.correlation_after(h * g + beside, h + done, g)
    return given, c, (c == level * g2 + sibling, c == finished, c == theory.correlation_after(h + done, h + done, 1))


def _noisy(unknowns, ops):
    """So far no pick off the active rows of unfinished levels; other levels have no product with the row picked."""
    given, c, (sibling, finished, taken) = _competing(unknowns, ops)
    wrong, off, idle, n, other, a = unknowns("wrong off idle n other a")
    given += [(off == 0) | (off == 1), ops.abs(idle) <= n, (off == 0) | sibling | finished | taken | (c == idle)]
    also = [theory.correlation_after(other, a, 0) == other]
    return smt.Invariant([wrong == 0], {"wrong": wrong + off}, given=given, also=also)


def _two_levels(of):
    """Trees of a row a level, by a number in [.1, .9]."""

    def made(t):
        rows, h = of(t)
        return tree(rows, [h], [0, 1])

    return numbers(0.1, 0.9).map(made)


def _siblings(t):
    return tree([[1.0, 0, 0], [t, (1 - t * t) ** 0.5, 0], [0, 0, 1]], [[1.0, 1, 0]], [0, 0, 1])


CLAIM = Claim(
    id="MP-7",
    statement=(
        "If levels are orthogonal, |products| in a level at most g < 1, h ≥ 0 and at most one row of a level active, "
        "matching pursuit finds h in as many steps as rows are active; under noise e it finds the rows where min h > "
        "2/(1 − g) max|We|. Tied top-k, all products in levels g > 0, does just where min h > g max h."
    ),
    tex=r"|\langle w,w'\rangle|\leq g<1\;\Rightarrow\;f=h;\qquad\mathrm{TopK}:\ \min h>g\max h",
    source="ours; the setting is that of Costa et al. (2025), arXiv 2506.03093",
    kind="bound",
    promised=Verdict.PROVED,
    hypotheses=(UNIT, LEVELS, EXCLUSIVE, POSITIVE, APART),
    instances=trees() | trees(alike=True),
    conclusion=_conclusion,
    controls=(
        Control("unit rows", _two_levels(lambda t: ([[t, 0], [0, t]], [1.0, 1])), "rows of norm below 1"),
        Control(LEVELS.name, _two_levels(lambda t: ([[1.0, 0], [t, (1 - t * t) ** 0.5]], [1.0, 1])), "levels leak"),
        Control(EXCLUSIVE.name, numbers(0.1, 0.9).map(_siblings), "two siblings at once"),
        Control(POSITIVE.name, _two_levels(lambda t: (torch.eye(2), [1.0, -t])), "relu never takes −t"),
        Control(
            APART.name,
            numbers(0.1, 3).map(lambda t: tree([[1.0, 0], [1.0, 0]], [[0.0, t]], [0, 0])),
            "two equal siblings",
        ),
    ),
    proofs={
        ("relu: f = h", "abs: f = h"): smt.induction(
            "the level of the largest h goes first, and whole",
            "all levels, sizes, g: induction over steps",
            _largest_first,
        ),
        ("one shot", "one shot keeps S just where the margin is above 0"): smt.induction(
            "min h − g max h", "all levels: induction", _add_level
        ),
        "one shot keeps S just where the margin is above 0": (*TOP, OVERTAKEN),
        "picks under noise": (
            smt.implies("under noise, finished and unfinished levels", "all g, h, e", _noise),
            smt.induction(
                "each pick is the active row of a level not yet finished",
                "all levels, g, h, e: induction over steps",
                _noisy,
            ),
        ),
        LOOPS: STEPS,
    },
    mutants=(
        Mutant("sum for difference", theory.one_shot_margin, lambda least, largest, g: least + g * largest),
        Mutant("1/(1 − g)", theory.tree_noise_floor, lambda g, n: n / (1 - g)),
        Mutant("2 alone", theory.tree_noise_floor, lambda g, n: 2 * n),
        SIX_STEPS,
    ),
)
