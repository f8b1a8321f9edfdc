"""AT-2: AbsTopK is odd, homogeneous, idempotent and the best k-term approximation; TopK neither odd nor best."""

import torch

from proofs_check.claim import BESIDE, LOOPS, Claim, Control, Mutant, Part, Verdict, at_most, edited, equal
from proofs_check.claims.signed.cases import AS_IS, NO_TIES, Activation, activations
from proofs_check.engines import smt
from proofs_check.instances.draw import numbers
from proofs_check.instances.inductions import OVER_ENTRIES, same_rank
from workbench.parts.sparsifiers import abs_top_k
from workbench.theory import signed as theory


def _conclusion(case: Activation) -> dict[str, Part]:
    kept = theory.abs_top_k(case.seen, case.k)
    turned = tuple(reversed(case.seen))
    gap = theory.gap_square(case.u, kept)
    shipped = abs_top_k(torch.tensor([case.seen], dtype=torch.float64), torch.tensor(case.k))
    dense = shipped if isinstance(shipped, torch.Tensor) else shipped.dense()
    return {
        _scaling(case.c): equal(_of(case, case.c), [case.c * v for v in kept], unit=1 + abs(case.c)),
        "idempotent": equal(theory.abs_top_k(kept, case.k), kept),
        "relabelling": equal(list(reversed(theory.abs_top_k(turned, case.k))), kept),
        "best with k terms": at_most(gap, theory.gap_square(case.u, case.z), unit=case.square),
        "no farther than TopK": at_most(gap, theory.gap_square(case.u, theory.top_k(case.u, case.k)), unit=case.square),
        "shipped": equal(dense[0], kept),
    }


def _scaling(c: float) -> str:
    """What A(cu) = cA(u) is called."""
    return "odd" if c == -1 else f"homogeneous, c {'<' if c < 0 else '>'} 0"


def _of(case: Activation, factor: float) -> list[float]:
    """The map of factor u, rectified where the case says so."""
    u = [factor * v for v in case.u]
    return theory.abs_top_k([max(v, 0.0) for v in u] if case.rectified else u, case.k)


def _algebra(unknowns, ops, m, k):
    """Odd and homogeneous for all reals, ties included: the first of equal sizes stays the first."""
    u, c = [unknowns(f"u{i}") for i in range(m)], unknowns("c")
    kept = theory.abs_top_k(u, k, ops=ops)
    odd = zip(theory.abs_top_k([-v for v in u], k, ops=ops), kept, strict=True)
    once = zip(theory.abs_top_k(kept, k, ops=ops), kept, strict=True)
    size = [c > 0]  # c < 0: odd
    scaled = zip(theory.abs_top_k([c * v for v in u], k, ops=ops), kept, strict=True)
    same = [a == -b for a, b in odd] + [a == b for a, b in once]
    return size, same + [a == c * b for a, b in scaled]


def _kept_by_relu(unknowns, ops, m, k):
    """What holds of TopK too: homogeneous for c > 0, idempotent."""
    u, c = [unknowns(f"u{i}") for i in range(m)], unknowns("c")
    kept = theory.top_k(u, k, ops=ops)
    scaled = zip(theory.top_k([c * v for v in u], k, ops=ops), kept, strict=True)
    once = zip(theory.top_k(kept, k, ops=ops), kept, strict=True)
    return [c > 0], [a == c * b for a, b in scaled] + [a == b for a, b in once]


def _relabelled(unknowns, ops):
    """Two entries change places: so do their values, where no sizes are equal; with a ReLU first too."""
    a, b, other = unknowns("a b c")
    size, then = ops.abs, []
    given = [size(a) != size(b), size(b) != size(other), size(a) != size(other)]
    for rule in (lambda u, k: theory.abs_top_k(u, k, ops=ops), lambda u, k: theory.top_k(u, k, ops=ops)):
        for k in (1, 2):
            one, two = rule([a, b, other], k), rule([b, a, other], k)
            then += [one[0] == two[1], one[1] == two[0], one[2] == two[2]]
    return given, then


def _any_place(unknowns, ops):
    t, v = unknowns("t v")
    return [ops.abs(t) != ops.abs(v)], (t, v), (t, v)


def _same_value(unknowns, ops):
    """The entry is kept at its new place as at the old one: the two ranks are one."""
    v, rank, same, k = unknowns("v rank same k")
    return [rank == same], [ops.where(rank < k, v, 0) == ops.where(same < k, v, 0)]


def _nearer(unknowns, ops, m, k):
    u = [unknowns(f"u{i}") for i in range(m)]
    gap = theory.gap_square(u, theory.abs_top_k(u, k, ops=ops))
    return [], [gap <= theory.gap_square(u, theory.top_k(u, k, ops=ops))]


NEARER = smt.implies("no farther than TopK", "m = 2, k = 1", _nearer, m=2, k=1)
BELOW = numbers(1.1, 4).map(lambda t: Activation((1.0, -t), (0.0, -t), 1, c=2.0, rectified=True))
TIED = numbers(0.1, 4).map(lambda t: Activation((t, -t), (0.0, 0.0), 1))

CLAIM = Claim(
    id="AT-2",
    statement=(
        "A(u) = AbsTopK_k(u): A(−u) = −A(u), A(cu) = cA(u) for all c, A(A(u)) = A(u), A commutes with relabelling, and "
        "|u − A(u)| ≤ |u − z| for all z with at most k nonzeros, TopK_k(u) among them. A ReLU first (TopK) undoes "
        "oddness, A(cu) = cA(u) for c < 0 and the best k terms; c > 0, idempotence and relabelling it keeps."
    ),
    tex=r"A(cu)=cA(u),\quad\|u-A(u)\|\leq\|u-z\|\;\;\forall\,\|z\|_0\leq k",
    source="ours; best k-term approximation, Blumensath and Davies (2009)",
    kind="bound",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(AS_IS, NO_TIES),
    instances=activations(ties=False),
    conclusion=_conclusion,
    controls=(
        Control(AS_IS.name, activations(ties=False, rectified=True, c=-1.0), "TopK: odd nowhere"),
        Control(AS_IS.name, activations(ties=False, rectified=True, c=-0.5), "TopK: nor homogeneous for c < 0"),
        Control(AS_IS.name, BELOW, "TopK: all but the best k terms, −2 of (1, −2)"),
        Control(NO_TIES.name, TIED, "which of two equal sizes stays depends on their order"),
    ),
    proofs={
        ("odd", "idempotent", "homogeneous, c > 0", "homogeneous, c < 0"): (
            *(
                smt.implies("odd, homogeneous, idempotent", f"m = {m}, k = {k}", _algebra, m=m, k=k)
                for m, k in ((2, 1), (3, 1), (3, 2))
            ),
        ),
        "relabelling": (
            same_rank("ranks do not depend on places", OVER_ENTRIES, _any_place, anywhere=True),
            smt.implies("nor does what is kept", "all m, k", _same_value),
        ),
        LOOPS: smt.implies("commutes with an exchange", "m = 3", _relabelled),
        BESIDE: (
            *(
                smt.implies("TopK: homogeneous for c > 0, idempotent", f"m = {m}, k = {k}", _kept_by_relu, m=m, k=k)
                for m, k in ((2, 1), (3, 2))
            ),
        ),
        "no farther than TopK": NEARER,
    },
    kernel={
        "odd": "selection.abs_top_k_scaled",
        "homogeneous, c > 0": "selection.abs_top_k_scaled",
        "homogeneous, c < 0": "selection.abs_top_k_scaled",
        "idempotent": "selection.abs_top_k_twice",
        "best with k terms": ("selection.abs_top_k_sparse", "selection.abs_top_k_nearest"),
        "no farther than TopK": ("selection.abs_top_k_sparse", "selection.abs_top_k_nearest"),
    },
    mutants=(
        edited("ReLU first", theory.abs_top_k, lambda f: lambda u, k, *, ops=None: f([max(v, 0.0) for v in u], k)),
        Mutant("absolute values", theory.abs_top_k, lambda u, k, *, ops=None: [abs(v) for v in u]),
        Mutant("signed maximum", theory.abs_top_k, lambda u, k, *, ops=None: [v * (v == max(u)) for v in u]),
    ),
    note="Best among all z with k nonzeros: proved in AT-1. A is not continuous: it jumps where two sizes cross.",
)
