"""AT-2: AbsTopK is odd, homogeneous, idempotent and the best k-term approximation; TopK is none of the first."""

import torch
from hypothesis import strategies as st

from proofs_check.claim import Claim, Control, Mutant, Part, Verdict, at_most, equal
from proofs_check.engines import smt
from proofs_check.proximal_cases import AS_IS, NO_TIES, Activation, activations
from workbench.sparsifiers import abs_top_k
from workbench.theory import proximal as theory


def _conclusion(case: Activation) -> dict[str, Part]:
    kept = theory.abs_top_k(case.seen, case.k)
    turned = tuple(reversed(case.seen))
    gap = theory.gap_square(case.u, kept)
    shipped = abs_top_k(torch.tensor([case.seen], dtype=torch.float64), torch.tensor(case.k))
    dense = shipped if isinstance(shipped, torch.Tensor) else shipped.dense()
    return {
        "odd": equal(_of(case, -1.0), [-v for v in kept]),
        "homogeneous": equal(_of(case, case.c), [case.c * v for v in kept], unit=1 + abs(case.c)),
        "idempotent": equal(theory.abs_top_k(kept, case.k), kept),
        "relabelling": equal(list(reversed(theory.abs_top_k(turned, case.k))), kept),
        "best with k terms": at_most(gap, theory.gap_square(case.u, case.z), unit=case.square),
        "no farther than TopK": at_most(gap, theory.gap_square(case.u, theory.top_k(case.u, case.k)), unit=case.square),
        "shipped": equal(dense[0], kept),
    }


def _of(case: Activation, factor: float) -> list[float]:
    """The map of factor u, rectified where the case says so."""
    u = [factor * v for v in case.u]
    return theory.abs_top_k([max(v, 0.0) for v in u] if case.rectified else u, case.k)


def _algebra(m, k):
    """Odd and homogeneous for all reals, ties included: the first of equal sizes stays the first."""

    def problem(unknowns, ops):
        u, c = [unknowns(f"u{i}") for i in range(m)], unknowns("c")
        kept = theory.abs_top_k(u, k, ops=ops)
        odd = zip(theory.abs_top_k([-v for v in u], k, ops=ops), kept, strict=True)
        once = zip(theory.abs_top_k(kept, k, ops=ops), kept, strict=True)
        size = [c > 0]  # c < 0: odd
        scaled = zip(theory.abs_top_k([c * v for v in u], k, ops=ops), kept, strict=True)
        same = [a == -b for a, b in odd] + [a == b for a, b in once]
        return size, same + [a == c * b for a, b in scaled]

    return problem


def _relabelled(unknowns, ops):
    """Two entries change places: so do their values, where no sizes are equal."""
    a, b, other = unknowns("a b c")
    size = ops.absolute
    given = [size(a) != size(b), size(b) != size(other), size(a) != size(other)]
    one = theory.abs_top_k([a, b, other], 1, ops=ops) + theory.abs_top_k([a, b, other], 2, ops=ops)
    two = theory.abs_top_k([b, a, other], 1, ops=ops) + theory.abs_top_k([b, a, other], 2, ops=ops)
    return given, [one[0] == two[1], one[1] == two[0], one[2] == two[2], one[3] == two[4], one[5] == two[5]]


def _nearer(m, k):
    def problem(unknowns, ops):
        u = [unknowns(f"u{i}") for i in range(m)]
        gap = theory.gap_square(u, theory.abs_top_k(u, k, ops=ops))
        return [], [gap <= theory.gap_square(u, theory.top_k(u, k, ops=ops))]

    return problem


_signed = theory.abs_top_k


def _rectified(u, k, *, ops=None):
    return _signed([max(v, 0.0) for v in u], k)


TIED = Activation((1.0, -1.0), (0.0, 0.0), 1)

CLAIM = Claim(
    id="AT-2",
    statement=(
        "A(u) = AbsTopK_k(u): A(−u) = −A(u), A(cu) = cA(u) for all c, A(A(u)) = A(u), A commutes with relabelling, and "
        "|u − A(u)| ≤ |u − z| for all z with at most k nonzeros, TopK_k(u) among them. A ReLU first (TopK) undoes all."
    ),
    tex=r"A(cu)=cA(u),\quad\|u-A(u)\|\leq\|u-z\|\;\;\forall\,\|z\|_0\leq k",
    source="ours; best k-term approximation, Blumensath and Davies (2009)",
    kind="bound",
    promised=Verdict.PROVED,
    hypotheses=(AS_IS, NO_TIES),
    instances=activations(ties=False),
    conclusion=_conclusion,
    controls=(
        Control(AS_IS.name, activations(ties=False, rectified=True), "TopK: odd nowhere"),
        Control(NO_TIES.name, st.just(TIED), "which of two equal sizes stays depends on their order"),
    ),
    proofs=(
        *(
            smt.implies("odd, homogeneous, idempotent", f"algebra: m = {m}, k = {k}", _algebra(m, k))
            for m, k in ((2, 1), (3, 1), (3, 2))
        ),
        smt.implies("commutes with an exchange", "relabelling: m = 3", _relabelled),
        smt.implies("no farther than TopK", "against TopK: m = 2, k = 1", _nearer(2, 1)),
    ),
    mutants=(
        Mutant("ReLU first", theory.abs_top_k, _rectified),
        Mutant("absolute values", theory.abs_top_k, lambda u, k, *, ops=None: [abs(v) for v in u]),
        Mutant("signed maximum", theory.abs_top_k, lambda u, k, *, ops=None: [v * (v == max(u)) for v in u]),
    ),
    note="Best among all z with k nonzeros: proved in AT-1. A is not continuous: it jumps where two sizes cross.",
)
