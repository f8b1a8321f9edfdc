"""MP-3: the error falls with every step of one pursuit, by the square of the increment."""

import torch

from proofs_check.claim import BESIDE, LOOPS, Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most, equal
from proofs_check.claims.pursuit.cases import UNIT, Greedy, leaning, pursued, scaled
from proofs_check.engines import smt, symbolic
from proofs_check.instances.inductions import STEPPED
from workbench.theory import coherence
from workbench.theory import pursuit as theory


def _off_step(case: Greedy) -> float:
    """Largest |a_t - <w_t, r_{t-1}>| of rows taken, a share of |x|."""
    a, w = case.picked
    off = (a - (w * case.residuals[:, :-1]).sum(2)).abs() / case.size.sqrt()[:, None]
    return float(torch.where(a != 0, off, 0.0).max())


STEPWISE = Hypothesis("coefficients taken one after the other", _off_step)


def _conclusion(case: Greedy) -> dict[str, Part]:
    a, left = case.picked[0], case.energies
    return {
        "never rises": at_most(left[:, 1:].flatten(), left[:, :-1].flatten(), unit=case.per_step(case.size)),
        "|r_T|² = |x|² − Σa²": equal(left[:, -1], theory.energy_left(left[:, 0], a.unbind(1)), unit=case.size),
    }


def _step(unknowns, ops):
    """One more unit row; what the steps so far took is carried as its root."""
    x2, left, spent, more, a = unknowns("x2 left spent more a")
    after = theory.energy_after(left, a, 1)
    also = [after <= left, theory.energy_left(x2, [spent, a]) == theory.energy_left(x2, [more])]
    moved = {"left": after, "spent": more}
    start, given = {"left": theory.energy_left(x2, [])}, [more * more == spent * spent + a * a]
    return smt.Invariant([left == theory.energy_left(x2, [spent])], moved, start, given, also)


def _three_steps(symbols, ops):
    """Three unit rows in a plane, by the shipped sum: angles given by their half-angle tangents."""
    x = symbols("x:2")
    angles = symbols("t:3")
    rows = [((1 - t * t) / (1 + t * t), 2 * t / (1 + t * t)) for t in angles]
    r, increments = list(x), []
    for w in rows:
        a = r[0] * w[0] + r[1] * w[1]
        r, increments = [p - a * q for p, q in zip(r, w, strict=True)], [*increments, a]
        yield coherence.square_norm(r), theory.energy_left(coherence.square_norm(x), increments)


CLAIM = Claim(
    id="MP-3",
    statement=(
        "With unit rows and any rule of picking, |r_T|² = |x|² − Σ_t a_t², so the error never rises with the number of "
        "steps. The sum runs over steps: where a row is picked twice it is not |f|². A one-shot code, such as top-k "
        "read with another k, has no such law."
    ),
    tex=r"\|r_T\|^2=\|x\|^2-\sum_{t\leq T}a_t^2",
    source="Mallat and Zhang (1993); Costa et al. (2025), arXiv 2506.03093, proposition C.2",
    stated="equivalent",
    kind="identity",
    promised=Verdict.PROVED,
    hypotheses=(UNIT, STEPWISE),
    instances=pursued(),
    conclusion=_conclusion,
    controls=(
        Control("unit rows", scaled(1.45, 2), "norms above √2"),
        Control(
            STEPWISE.name,
            leaning([1.0, 0], steps=2, one_shot=True),
            "tied top-k read with k = 2 in place of 1: the error rises from 0",
        ),
    ),
    proofs={
        ("never rises", "|r_T|² = |x|² − Σa²"): (
            STEPPED,
            smt.induction("|r_T|² = |x|² − Σa² and no step raises it", "all T, d, any rule: induction", _step),
        ),
        LOOPS: symbolic.identity("the shipped sum, step by step", "T = 3 in d = 2, all rows", _three_steps),
    },
    kernel={"|r_T|² = |x|² − Σa²": "pursuit.energy_left", BESIDE: "pursuit.energy_after"},
    mutants=(
        Mutant("the square of the sum", theory.energy_left, lambda x2, a: x2 - sum(a) ** 2),
        Mutant("the last step alone", theory.energy_left, lambda x2, a: x2 - (a[-1] ** 2 if len(a) else 0)),
    ),
)
