"""AT-15: a kept entry below 0 learns under AbsTopK, and none does under TopK."""

import itertools
from functools import partial

import torch

from proofs_check.claim import LOOPS, Claim, Control, Mutant, Part, Verdict, equal
from proofs_check.claims.signed.cases import AS_IS, NO_TIES, Activation, activations
from proofs_check.engines import smt
from proofs_check.instances.draw import numbers
from proofs_check.instances.inductions import OVER_ENTRIES, same_rank
from workbench.parts.sparsifiers import abs_top_k, top_k
from workbench.theory import signed as theory
from workbench.theory.ops import FLOAT


def _slope(activation, case: Activation) -> list[float]:
    """Of the sum of what the shipped activation keeps, by u."""
    u = torch.tensor([case.u], dtype=torch.float64, requires_grad=True)
    kept = activation(u.clamp_min(0) if case.rectified else u, torch.tensor(case.k))
    (kept if isinstance(kept, torch.Tensor) else kept.dense()).sum().backward()
    return [0.0] * len(case.u) if u.grad is None else u.grad[0].tolist()


def _conclusion(case: Activation) -> dict[str, Part]:
    rectified = [max(v, 0.0) for v in case.u]
    signed = theory.gradient_mask(case.u, case.k)
    plain = [a * (v > 0) for a, v in zip(theory.gradient_mask(rectified, case.k), case.u, strict=True)]
    return {
        "AbsTopK": equal(_slope(abs_top_k, case), signed),
        "TopK": equal(_slope(top_k, case), plain),
        "AbsTopK moves": equal(_moves(theory.abs_top_k, case), [_step(case) * v for v in signed] * 2),
        "TopK moves": equal(_moves(theory.top_k, case), [_step(case) * v for v in plain] * 2),
    }


def _step(case: Activation) -> float:
    """A third of the least distance between two sizes, or of a size from 0; where there is none, of 1."""
    size = sorted({0.0, *map(abs, case.u)})
    ties = len(size) <= len(case.u)
    return (1.0 if ties else min(b - a for a, b in itertools.pairwise(size))) / 3


def _moves(rule, case: Activation) -> list[float]:
    """How far the sum of what a rule keeps goes with each u_i, a step down and a step up."""
    t, seen = _step(case), [max(v, 0.0) if case.rectified else v for v in case.u]
    before = float(sum(rule(seen, case.k)))

    def after(i, by):
        return float(sum(rule([v + by if j == i else v for j, v in enumerate(seen)], case.k)))

    down = [before - after(i, -t) for i in range(len(seen))]
    return down + [after(i, t) - before for i in range(len(seen))]


def _quotient(unknowns, ops, m, k, rectified):
    """f(u + e_i t) - f(u) = t mask_i e_i, for all t that leave no tie between: sizes apart by more than |t|."""
    u, t = [unknowns(f"u{i}") for i in range(m)], unknowns("t")
    size, none = ops.abs, ops.num("0")
    seen = [ops.larger(v, none) for v in u] if rectified else u
    rule = theory.top_k if rectified else theory.abs_top_k
    mask, before = theory.gradient_mask(seen, k, ops=ops), rule(u, k, ops=ops)
    given = [size(v) > size(t) for v in u]
    given += [size(size(u[i]) - size(u[j])) > size(t) for i in range(m) for j in range(i)]
    then = []
    for i in range(m):
        after = rule([v + t if j == i else v for j, v in enumerate(u)], k, ops=ops)
        slope = ops.where(u[i] > 0, mask[i], none) if rectified else mask[i]
        then += [after[j] - before[j] == (t * slope if j == i else none) for j in range(m)]
    return given, then


def _apart(unknowns, ops, rectified):
    """An entry v that moves by t, and any other: sizes apart by more than |t|, as the rule sees them."""
    v, other, t = unknowns("v other t")
    size, none = ops.abs, ops.num("0")
    given = [size(v) > size(t), size(other) > size(t), size(size(v) - size(other)) > size(t)]
    return given, *((ops.larger(u, none) if rectified else u) for u in (v, v + t, other))


def _own_rank(unknowns, ops, rectified):
    given, before, after, other = _apart(unknowns, ops, rectified)
    return given, (other, before), (other, after)


def _other_rank(unknowns, ops, rectified):
    given, before, after, other = _apart(unknowns, ops, rectified)
    return given, (before, other), (after, other)


def _moved(unknowns, ops, rectified):
    """The entry is kept at one place where it was at the other, and so are others: the ranks are the same."""
    v, t, rank, k = unknowns("v t rank k")
    none, one = ops.num("0"), ops.num("1")
    before, after = (ops.larger(u, none) if rectified else u for u in (v, v + t))
    mask = ops.where(rank < k, one, none)
    slope = ops.where(v > 0, mask, none) if rectified else mask
    return [ops.abs(v) > ops.abs(t)], [
        ops.where(rank < k, after, none) - ops.where(rank < k, before, none) == t * slope
    ]


def _by_ranks(rectified):
    return (
        same_rank("a small move leaves the entry's rank", OVER_ENTRIES, partial(_own_rank, rectified=rectified)),
        same_rank("a small move leaves the others' ranks", OVER_ENTRIES, partial(_other_rank, rectified=rectified)),
        smt.implies("so the entry alone moves, as the mask says", "all m, k", _moved, rectified=rectified),
    )


def _largest(u, k, *, ops=FLOAT):
    """How many are above an entry decides, whatever their sizes."""
    above = [sum(ops.where(other > value, 1, 0) for other in u) for value in u]
    return [ops.where(rank < k, 1, 0) for rank in above]


CLAIM = Claim(
    id="AT-15",
    statement=(
        "Away from ties and 0 the gradient of AbsTopK_k by u_i is 1 at the k entries of largest size, whatever their "
        "sign, else 0; of TopK_k the same for max(u, 0), and 0 wherever u_i < 0: no latent below 0 learns from x̂."
    ),
    tex=r"\partial_i\mathrm{AbsTopK}_k(u)_i=1[i\in S_k(|u|)],\;\partial_i\mathrm{TopK}_k(u)_i=1[i\in S_k(u_+),u_i>0]",
    source="Zhu, Khalili, Zhu (2025), arXiv 2510.00404, gradients of the two activations; derivative away from ties",
    kind="identity",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(AS_IS, NO_TIES),
    instances=activations(ties=False),
    conclusion=_conclusion,
    controls=(
        Control(AS_IS.name, activations(ties=False, rectified=True), "a ReLU first: entries below 0 get no gradient"),
        Control(
            NO_TIES.name,
            numbers(0.1, 4).map(lambda t: Activation((t, -t), (0.0, 0.0), 1)),
            "1 and −1: a step down, and the other is kept",
        ),
    ),
    proofs={
        "AbsTopK moves": _by_ranks(rectified=False),
        "TopK moves": _by_ranks(rectified=True),
        LOOPS: tuple(
            smt.implies(f"{name} moves as the mask says", f"m = {m}, k = {k}", _quotient, m=m, k=k, rectified=rectified)
            for name, rectified in (("AbsTopK", False), ("TopK", True))
            for m, k in ((2, 1), (3, 1), (3, 2))
        ),
    },
    mutants=(Mutant("the largest values", theory.gradient_mask, _largest),),
    note="A mask says where a latent learns, not that fewer are dead: on signed axes more are (AT-16).",
)
