"""MP-16: where pursuit by max c_j or relu stops for good."""

from proofs_check.claim import Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most, equal
from proofs_check.claims.pursuit.cases import UNIT, Greedy, dense, of
from proofs_check.claims.pursuit.released_rules_converge import cones
from proofs_check.engines import smt, symbolic
from proofs_check.instances.draw import numbers
from proofs_check.instances.mixture import Mixture, overlapping
from workbench.theory import coherence
from workbench.theory import pursuit as theory


def _passed_over(case: Greedy) -> float:
    """By how much the largest c is above the increment, over the steps; a share of |x|."""
    c = (case.residuals[:, :-1] @ case.rows.T).amax(2)
    return float(((c - case.picked[0]) / case.size.sqrt()[:, None]).max())


SIGNED = Hypothesis("the rule picks the largest c, not |c|", _passed_over)
SUM = Hypothesis("x = w₁ + e w₂", lambda case: abs(float(case.known.h[0, 0]) - 1) + float(case.known.residual.max()))
SMALL = Hypothesis("0 < e ≤ 1", lambda case: _beyond(float(case.known.h[0, 1])))
ACUTE = Hypothesis("rows at an acute angle", lambda case: max(0.0, -float(case.rows[0] @ case.rows[1])))


def _beyond(e: float) -> float:
    return e - 1 if e > 1 else 0.0 if e > 0 else 1.0


def _conclusion(case: Greedy) -> dict[str, Part]:
    c, e = float(case.rows[0] @ case.rows[1]), float(case.known.h[0, 1])
    code, size = dense(case.path, 2)[0], float(case.size.sqrt())
    best = (case.residuals[:, -1] @ case.rows.T).amax(1)
    return {
        "code": equal(code, theory.stalled_code(e, c)),
        "|r|": equal(case.energies[:, -1].sqrt(), theory.stalled_residual(e, c)),
        "max c ≤ 0 at the end": at_most(best, 0.0, unit=size),
    }


def _two_steps(symbols, ops):
    """Correlations and energy after a step along w_1 and one along w_2, by the shipped updates."""
    e, c = symbols("e", positive=True), symbols("c", positive=True)
    first = 1 + e * c
    second = theory.correlation_after(e + c, first, c)
    code = theory.stalled_code(e, c)
    yield from zip((first, second), code, strict=True)
    left = [1 - code[0], e - code[1]]
    energy = coherence.square_norm(left) + coherence.interference(left, [[1, c], [c, 1]])
    yield energy, theory.stalled_residual(e, c, ops=ops) ** 2
    yield energy, theory.energy_after(theory.energy_after(1 + e**2 + 2 * e * c, first, 1), second, 1)


def _stuck(unknowns, ops):
    """First w_1, then w_2; then c_1 < 0 and c_2 = 0, so neither rule moves."""
    e, c = unknowns("e c")
    first, second = theory.stalled_code(e, c)
    c1 = theory.correlation_after(theory.correlation_after(1 + e * c, first, 1), second, c)
    c2 = theory.correlation_after(theory.correlation_after(e + c, first, c), second, 1)
    return [e > 0, e <= 1, c > 0, c < 1], [1 + e * c >= e + c, second > 0, c1 < 0, c2 == 0]


def _line(unknowns, ops):
    """The stalled residual is above 0: e c √(1 − c²)."""
    e, c = unknowns("e c")
    return [e > 0, c > 0, c < 1], [theory.stalled_residual(e, c, ops=ops) > 0]


def _pair(row: list[float], h: tuple[float, float] = (1.0, 0.5)) -> Greedy:
    return of(Mixture.exact([[1.0, 0], row], [h]), 200, select="relu")


CLAIM = Claim(
    id="MP-16",
    statement=(
        "For x = w_1 + e w_2, unit rows with c = ⟨w_1, w_2⟩ in (0, 1), 0 < e ≤ 1, pursuit by max relu(c_j) or max c_j "
        "takes two steps and stops for good at the code (1 + ec, e(1 − c²)), |r| = ec√(1 − c²): .433e at 60 degrees. "
        "There one correlation is 0 and the other negative."
    ),
    tex=r"f=(1+ec,\ e(1-c^2)),\qquad\|r\|=ec\sqrt{1-c^2}",
    source="ours: two steps by hand",
    kind="identity",
    promised=Verdict.PROVED,
    hypotheses=(UNIT, SIGNED, SUM, SMALL, ACUTE),
    instances=cones(),
    nontrivial=lambda case: overlapping(case.rows),
    conclusion=_conclusion,
    controls=(
        Control(
            "unit rows",
            numbers(0.2, 0.9).map(lambda t: _pair([0.6 * t, 0.8 * t])),
            "|w₂| < 1",
        ),
        Control(SIGNED.name, cones().map(lambda case: of(case.known, 200)), "the largest |c| goes on to r = 0"),
        Control(SUM.name, numbers(1.2, 3).map(lambda t: _pair([0.6, 0.8], (t, 1.0))), "x = tw₁ + w₂"),
        Control(
            SMALL.name,
            (numbers(1.2, 3) | numbers(-0.9, -0.1)).map(lambda e: _pair([0.6, 0.8], (1.0, e))),
            "e above 1: w₂ comes first; below 0: one step is enough",
        ),
        Control(ACUTE.name, numbers(0.1, 0.9).map(lambda c: _pair([-c, (1 - c * c) ** 0.5])), "obtuse: it goes on"),
    ),
    proofs={
        ("code", "|r|"): symbolic.identity("code and energy after two steps", "all e, c", _two_steps),
        ("code", "|r|", "max c ≤ 0 at the end"): smt.implies(
            "w_1 first, then w_2, then none", "all 0 < e ≤ 1, 0 < c < 1", _stuck
        ),
        "|r|": smt.implies("|r| > 0", "all e > 0, 0 < c < 1", _line),
    },
    mutants=(
        Mutant("the true code", theory.stalled_code, lambda e, c: (1 + 0 * c, e)),
        Mutant("without the root", theory.stalled_residual, lambda e, c, *, ops=None: e * c * (1 - c * c)),
    ),
)
