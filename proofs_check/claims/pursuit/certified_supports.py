"""MP-17: where a code's recovery certificate is below 1, OMP returns its support; the dual certificate follows."""

import math

import torch
from hypothesis import strategies as st
from torch import Tensor

import workbench.metrics.certificates as shipped
from proofs_check.claim import LOOPS, Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most, equal
from proofs_check.claims.pursuit.cases import SHORT, below_bound, dense, from_gram, omp, outside
from proofs_check.claims.pursuit.inductions import GROWN, HOELDER, LEAST_SQUARES, NEW_PICK, TRANSPOSED
from proofs_check.instances.draw import mixtures, mostly, numbers, usually
from proofs_check.instances.inductions import STEPPED
from proofs_check.instances.mixture import EXACT, UNIT_ROWS, Mixture
from synthetic.laws.directions import unit
from workbench.parts import pursuit


def _certificates(case: Mixture) -> tuple[Tensor, Tensor]:
    """The shipped recovery and dual values, sample by sample, on rows scaled to 1 as there; 0 where h = 0."""
    rows = unit(case.rows)
    found = torch.zeros(len(case.h), 2, dtype=torch.float64)
    for i, h in enumerate(case.h):
        if bool((h != 0).any()):
            values = shipped.conditions(rows[h != 0], rows[h == 0], h[h != 0].sign())
            found[i] = torch.tensor(values, dtype=torch.float64)
    recovery, dual = found.unbind(1)
    return recovery, dual


def _by_definition(case: Mixture) -> tuple[Tensor, Tensor]:
    """Max over j outside S of |D^+ w_j|_1, and of |<w_j, y>| for the least y with <w_i, y> = sign h_i in S."""
    rows, found = unit(case.rows), torch.zeros(len(case.h), 2, dtype=torch.float64)
    for i, h in enumerate(case.h):
        on = h != 0
        if bool(on.any()) and not bool(on.all()):
            back = torch.linalg.pinv(rows[on])
            found[i, 0] = (rows[~on] @ back).abs().sum(1).max()
            found[i, 1] = (rows[~on] @ (back @ h[on].sign())).abs().max()
    recovery, dual = found.unbind(1)
    return recovery, dual


def _conclusion(case: Mixture) -> dict[str, Part]:
    (recovery, dual), (share, value), c = (
        case.of_codes(_certificates),
        _by_definition(case),
        (case.x @ case.rows.T).abs(),
    )
    inside, off = (torch.where(at, c, 0.0).amax(1) for at in (case.h != 0, case.h == 0))
    path, size = omp(case, "abs"), case.h.abs().amax(1).clamp_min(1e-300)
    condition = 1 / (1 + case.spectrum[0].clamp_max(0)).clamp_min(1e-12)  # of G_S: how far x's rounding goes in h
    return {
        "OMP in S": at_most(outside(case, path), 0.0),
        "OMP finds h": at_most((dense(path, case.m) - case.h).abs().amax(1), 0.0, unit=condition * size),
        "outside ≤ recovery · inside": at_most(off, recovery * inside, unit=condition * inside.clamp_min(1e-300)),
        "dual ≤ recovery": at_most(dual, recovery, unit=condition),
        "recovery = max|D⁺w_j|₁": equal(recovery, share, unit=condition),
        "dual = max|⟨w_j, y⟩|": equal(dual, value, unit=condition),
    }


def _uncertified(case: Mixture) -> Tensor:
    """Whether the certificate is 1 or more: rows nearest to x are asked first, since one is enough to say so."""
    rows = unit(case.rows)
    found = torch.zeros(len(case.h), dtype=torch.float64)
    for i, (h, near) in enumerate(zip(case.h, (case.x_hat @ rows.T).abs(), strict=True)):
        on = h != 0
        others = near.masked_fill(on, -1.0).argsort(descending=True)[: int((~on).sum())]
        for some in (others[:_FIRST], others[_FIRST:]):
            if bool(on.any()) and not found[i]:
                found[i] = float(shipped.conditions(rows[on], rows[some], h[on].sign())[0] >= 1)
    return found


_FIRST = 128
"""rows asked first"""
CERTIFIED = Hypothesis("recovery certificate below 1", lambda case: case.of_codes(_uncertified))


@st.composite
def _certified(draw):
    """Any rows; entries of h are taken out, from the last, until the certificate is below 1: few are left, or none."""
    case = draw(mixtures(d=(4, 6)))
    h = case.h[0].clone()
    while float(_certificates(Mixture.exact(case.rows, h))[0]) > 1 - 1e-6:
        h[h.nonzero()[-1]] = 0.0
    return (
        draw(below_bound(crowded=True))
        if int(h.count_nonzero()) < 2 and draw(usually())
        else Mixture.exact(case.rows, h)
    )


EYE = [[1.0, 0, 0], [0, 1, 0], [0, 0, 1]]
LEFT = numbers(1.2, 3).map(
    lambda t: Mixture(*(torch.tensor(v, dtype=torch.float64) for v in (EYE, [[1.0, 0, 0]], [[1.0, t, 0]])))
)
"""x = w_0 + t w_1, h = (1, 0, 0): the first pick is row 1"""
BETWEEN = numbers(0.3, 1.2).map(
    lambda angle: Mixture.exact([[1.0, 0], [0, 1], [math.cos(angle), math.sin(angle)]], [[1.0, 1, 0]])
)
"""|D^+ w_2|_1 is 1.4 at cosine .6, and w_2 correlates with w_0 + w_1 more than either"""
OPPOSED = Mixture.exact(
    from_gram(torch.tensor([[1.0, 0.2, -0.2], [0.2, 1, 0.2], [-0.2, 0.2, 1]], dtype=torch.float64)), [[1.0, -1, 0]]
)
"""dual .5; of codes of one sign it would be 0"""
_conditions, _omp = shipped.conditions, pursuit.orthogonal_matching_pursuit


def _euclidean(inside: Tensor, outside: Tensor, sign: Tensor) -> tuple[float, float]:
    recovery, dual = _conditions(inside, outside, sign)
    if not 0 < recovery < float("inf"):
        return recovery, dual
    return float((outside @ torch.linalg.pinv(inside)).norm(dim=1).max()), dual


def _unsigned(inside: Tensor, outside: Tensor, sign: Tensor) -> tuple[float, float]:
    return _conditions(inside, outside, sign.abs())


CLAIM = Claim(
    id="MP-17",
    statement=(
        "For unit rows and x = hV whose recovery certificate max_{j∉S}|W_S⁺w_j|₁ is below 1, orthogonal matching "
        "pursuit picks the support S of h alone and finds h. The dual certificate max_{j∉S}|⟨w_j, y⟩|, y least with "
        "W_S y = sign h_S, is never larger, so that it is below 1 too. Both are those of the metrics."
    ),
    tex=r"\max_{j\notin S}|\langle w_j,y\rangle|\leq\max_{j\notin S}\|W_S^+w_j\|_1<1\;\Rightarrow\;\text{OMP finds }S",
    source="Tropp (2004), Greed is good, theorem 3.1; Fuchs (2004), theorem 2; that one bounds the other: ours",
    kind="bound",
    promised=Verdict.SUPPORTED,
    hypotheses=(UNIT_ROWS, EXACT, CERTIFIED),
    instances=mostly(below_bound(crowded=True), _certified()),
    conclusion=_conclusion,
    controls=(
        Control("unit rows", SHORT, "a row of norm below .6"),
        Control("exact: x = hV", LEFT, "V = I, x = w_0 + 2w_1, h = (1, 0, 0): row 1 comes first"),
        Control(CERTIFIED.name, BETWEEN, "w_2 = (.6, .8) between e_0 and e_1: 1.4, and it is picked first"),
    ),
    proofs={
        ("OMP in S", "outside ≤ recovery · inside", "dual ≤ recovery"): (TRANSPOSED, HOELDER),
        "OMP in S": (STEPPED, LEAST_SQUARES, *NEW_PICK),
        LOOPS: GROWN,
    },
    mutants=(
        Mutant("|D⁺w_j|₂", shipped.conditions, _euclidean),
        Mutant("signs left out", shipped.conditions, _unsigned, st.just(OPPOSED)),
        Mutant(
            "one step too few", pursuit.orthogonal_matching_pursuit, lambda x, w, t, **s: _omp(x, w, max(1, t - 1), **s)
        ),
    ),
    note=(
        "With u = W_S⁺w_j, ⟨w_j, Db⟩ = ⟨u, W_S Db⟩ ≤ |u|₁ max|W_S Db|: b of a residual gives the picks, and of y = Db, "
        "W_S y = sign h, the dual certificate. Asks less than MP-5, and of one support. No proof runs the shipped "
        "certificates: that they are these quantities is sampled."
    ),
    reads=Mixture,
)
