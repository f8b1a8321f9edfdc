"""MP-1: what a step of pursuit does to the energy of the residual, for rows of any norm."""

from proofs_check.claim import LOOPS, Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most, equal
from proofs_check.claims.pursuit.cases import Greedy, leaning, pursued, scaled
from proofs_check.engines import smt, symbolic
from proofs_check.instances.draw import numbers
from proofs_check.instances.inductions import STEPPED
from workbench.theory import coherence
from workbench.theory import pursuit as theory

WHOLE_STEP = Hypothesis("the increment is the correlation", lambda case: abs(case.share - 1))
SHORT = Hypothesis("rows with |w|² ≤ 2", lambda case: (case.rows.square().sum(1).max() - 2).clamp_min(0))


def _conclusion(case: Greedy) -> dict[str, Part]:
    a, w = case.picked
    before, unit = case.energies[:, :-1], case.per_step(case.size)
    after = (case.residuals[:, :-1] - case.share * a[..., None] * w).square().sum(2)
    return {
        "|r'|²": equal(after.flatten(), theory.energy_after(before, a, w.square().sum(2)).flatten(), unit=unit),
        "never rises": at_most(after.flatten(), before.flatten(), unit=unit),
        "what the path returns": equal(case.path.residual.square().sum(1), case.energies[:, -1], unit=case.size),
    }


def _expand(symbols, ops):
    for d in (1, 2, 3, 4):
        r, w = symbols(f"r:{d}"), symbols(f"w:{d}")
        a = sum(p * q for p, q in zip(r, w, strict=True))
        after = coherence.square_norm([p - a * q for p, q in zip(r, w, strict=True)])
        yield after, theory.energy_after(coherence.square_norm(r), a, coherence.square_norm(w))


def _by_products(unknowns, ops):
    """|r - a w|² = |r|² - 2 a <w, r> + a² |w|² with <w, r> = a."""
    r2, a, w2 = unknowns("r2 a w2")
    return [r2 >= 0, w2 >= 0], [r2 - 2 * a * a + a * a * w2 == theory.energy_after(r2, a, w2)]


def _sign(unknowns, ops):
    r2, a, w2 = unknowns("r2 a w2")
    after = theory.energy_after(r2, a, w2)
    falls = ops.where(after < r2, 1, 0)
    rises = ops.where(after > r2, 1, 0)
    moves = ops.where(a == 0, 0, 1)
    return [w2 >= 0], [falls == ops.where(w2 < 2, moves, 0), rises == ops.where(w2 > 2, moves, 0)]


CLAIM = Claim(
    id="MP-1",
    statement=(
        "A step of matching pursuit along a row w of any norm, a = ⟨w, r⟩, leaves |r − aw|² = |r|² − a²(2 − |w|²). So "
        "the energy falls at every step with a ≠ 0 if |w|² < 2, and rises if |w|² > 2."
    ),
    tex=r"\|r-aw\|^2=\|r\|^2-a^2\,(2-\|w\|^2)",
    source="ours, expand the square; Mallat and Zhang (1993) for unit rows",
    kind="identity",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(WHOLE_STEP, SHORT),
    instances=pursued(norms=(0.0, 1.41)),
    conclusion=_conclusion,
    controls=(
        Control(WHOLE_STEP.name, numbers(1.01, 2).flatmap(lambda share: leaning([1.0, 1], share=share)), "too far"),
        Control(SHORT.name, scaled(1.42, 2), "rows of norm above √2: the energy rises"),
    ),
    proofs={
        LOOPS: symbolic.identity("coordinate by coordinate", "d = 1..4", _expand),
        ("|r'|²", "never rises"): (
            STEPPED,
            smt.implies("|r − aw|² by inner products", "all d, any norm", _by_products),
        ),
        "never rises": smt.implies(
            "falls just where |w|² < 2, rises just where |w|² > 2", "all a ≠ 0, any norm", _sign
        ),
    },
    kernel={"|r'|²": "pursuit.energy_after"},
    mutants=(
        Mutant("a unit row's", theory.energy_after, lambda r2, a, w2: r2 - a * a),
        Mutant("twice the norm", theory.energy_after, lambda r2, a, w2: r2 - a * a * (2 - 2 * w2)),
    ),
)
