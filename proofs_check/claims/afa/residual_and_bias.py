"""AFA-11: for an SAE the mismatch is interference, residual energy and shrinkage together."""

import torch

from proofs_check.claim import LOOPS, Claim, Control, Mutant, Part, Verdict, at_most, equal
from proofs_check.engines import smt, symbolic
from proofs_check.instances.draw import cones, with_rest
from proofs_check.instances.inductions import L1_FORM, UNROLL
from proofs_check.instances.mixture import UNIT_ROWS, Mixture
from proofs_check.instances.witnesses import twice_the_identity
from workbench.tensors import TENSOR
from workbench.theory import afa, coherence


def _conclusion(case: Mixture) -> dict[str, Part]:
    rest = case.x - case.x_hat
    x_hat2, mu = case.x_hat.square().sum(1), case.support_coherence
    sum_of_parts = afa.mismatch(case.interference, rest.square().sum(1), 2 * (case.x_hat * rest).sum(1))
    certified = torch.where(case.k >= 2, afa.lbo_1(x_hat2, case.h2, case.l1, ops=TENSOR), 0.0)
    size = case.unit + case.x2
    return {
        "decomposition": equal(case.x2 - case.h2, sum_of_parts, unit=size),
        "corrected bound": at_most(
            (case.x2 - case.h2).abs(),
            afa.residual_gap(case.l1, case.h2, mu, case.x2, x_hat2, ops=TENSOR),
            unit=size,
        ),
        "certified LBO ≤ μ": at_most(certified, mu),
    }


def _expand(symbols, ops):
    for d in (1, 2, 3):
        x_hat, rho, f2 = symbols(f"a:{d}"), symbols(f"r:{d}"), symbols("f2")
        cross = 2 * sum(a * r for a, r in zip(x_hat, rho, strict=True))
        x2 = coherence.square_norm([a + r for a, r in zip(x_hat, rho, strict=True)])
        q = coherence.square_norm(x_hat) - f2
        yield x2 - f2, afa.mismatch(q, coherence.square_norm(rho), cross)


def _bound(unknowns, ops):
    x2, x_hat2, f2, l1, mu = unknowns("x2 x_hat2 f2 l1 mu")
    given = [ops.abs(x_hat2 - f2) <= coherence.l1_gap(l1, f2, mu), l1 * l1 > f2, mu >= 0]
    gap = ops.abs(x2 - f2)
    return given, [gap <= afa.residual_gap(l1, f2, mu, x2, x_hat2, ops=ops), afa.lbo_1(x_hat2, f2, l1, ops=ops) <= mu]


CLAIM = Claim(
    id="AFA-11",
    statement=(
        "For unit rows and x = fV + ρ (a bias b counts as the row b/|b|): |x|² − |f|² = interference + |ρ|² + 2⟨x̂, "
        "ρ⟩, so ||x|² − |f|²| ≤ μ(L² − |f|²) + ||x|² − |x̂|²|, and LBO taken from x̂ never exceeds μ. Taken from x "
        "it may."
    ),
    tex=r"\|x\|^2-\|f\|^2=f E f^{T}+\|\rho\|^2+2\langle\hat x,\rho\rangle",
    source="ours: expand |x̂ + ρ|²",
    kind="tight",
    promised=Verdict.PROVED,
    hypotheses=(UNIT_ROWS,),
    instances=with_rest(),
    conclusion=_conclusion,
    extremal={"corrected bound": cones(), "certified LBO ≤ μ": cones()},
    controls=(Control("unit rows", twice_the_identity(), "V = 2I"),),
    proofs={
        LOOPS: UNROLL,
        ("corrected bound", "certified LBO ≤ μ"): (
            *L1_FORM,
            smt.implies("the corrected bound and the certified LBO, from |q| ≤ μ(L² − N)", "all k ≥ 2", _bound),
        ),
        "decomposition": symbolic.identity("expansion of |x̂ + ρ|²", "d = 1..3", _expand),
    },
    kernel={
        "decomposition": "coherence.residual_identity",
        "corrected bound": "coherence.residual_gap",
        "certified LBO ≤ μ": "coherence.lower_bound",
    },
    mutants=(
        Mutant("without shrinkage", afa.mismatch, lambda q, rho, cross: q + rho),
        Mutant("half the shrinkage", afa.mismatch, lambda q, rho, cross: q + rho + cross / 2),
        Mutant("without the residual", afa.residual_gap, lambda l1, f2, mu, x2, y2, *, ops: mu * (l1 * l1 - f2)),
    ),
    note="That LBO taken from x may exceed μ is AFA-10's control.",
    reads=Mixture,
    shown_by="experiments/afa/norms.py",
)
