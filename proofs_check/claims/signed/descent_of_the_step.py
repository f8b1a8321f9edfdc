"""AT-6: a proximal gradient step under "at most k nonzeros" never raises the error if its size is at most 1/L."""

import itertools

import torch

from proofs_check.claim import LOOPS, Claim, Control, Mutant, Part, Verdict, at_most, equal
from proofs_check.claims.signed.descent_cases import SHORT, SPARSE, Descent, descents
from proofs_check.claims.signed.proximal_cases import PROXIMAL
from proofs_check.claims.signed.proximal_maps import NEAREST
from proofs_check.engines import smt, symbolic
from proofs_check.instances.draw import numbers
from proofs_check.instances.inductions import STEPPED
from proofs_check.instances.loops import evaluated
from proofs_check.instances.mixture import UNIT_ROWS
from proofs_check.kernel.evaluations import EXACT
from workbench.theory import coherence
from workbench.theory import signed as theory


def _conclusion(case: Descent) -> dict[str, Part]:
    path, losses, unit = case.path, case.losses, case.unit
    gains = [theory.step_gain(theory.gap_square(a, b), case.curvature, case.size) for a, b in itertools.pairwise(path)]
    falls = [a - b for a, b in itertools.pairwise(losses)]
    z = torch.tensor([path[0]], dtype=torch.float64)
    count = PROXIMAL["count"]
    moved = z - case.size * (z @ case.rows - case.x) @ case.rows.T
    shipped = count.objective(count.prox(moved, count.after(case.k, case.size)), moved, case.k)
    written = theory.gap_square(moved[0].tolist(), path[1]) / 2
    m, d = case.rows.shape
    return {
        "fall": at_most(gains, falls, unit=unit),
        "no rise": at_most(0.0, torch.tensor(gains), unit=unit),
        "L ≥ m/d": at_most(coherence.dense_energy(m, d), case.curvature),
        "shipped": equal(shipped, written, unit=unit),
    }


def _long(draw):
    n, d, size = draw.n, draw.d, draw.number(99)
    z, x, rows = draw.vector(n), draw.vector(d), draw.rows(n, d)
    left = [x[c] - sum(z[i] * rows[i][c] for i in range(n)) for c in range(d)]
    slope = [-sum(left[c] * row[c] for c in range(d)) for row in rows]
    yield theory.coding_slope(z, x, rows), slope
    moved = theory.abs_top_k([z[i] - size * slope[i] for i in range(n)], n // 2, ops=EXACT)
    yield theory.thresholded_step(z, x, rows, size, n // 2, ops=EXACT), moved


def _expansion(symbols, ops):
    """F(z') = F(z) + <grad, z' - z> + |(z' - z) W|²/2."""
    for m, d in ((1, 1), (2, 2), (3, 2)):
        x, z, new = symbols(f"x:{d}"), symbols(f"z:{m}"), symbols(f"y:{m}")
        rows = [symbols(f"w{i}_:{d}") for i in range(m)]
        moved = [a - b for a, b in zip(new, z, strict=True)]
        slope = sum(a * b for a, b in zip(moved, theory.coding_slope(z, x, rows), strict=True))
        start = theory.coding_loss(z, x, rows)
        yield theory.coding_loss(new, x, rows), start + slope + coherence.energy(moved, rows) / 2


def _latent(unknowns, ops):
    """<left, δW> = sum δ_i <left, w_i>: one more latent moves."""
    along, total, move, slope = unknowns("along total move slope")
    return smt.Invariant([along == total], {"along": along + slope * move, "total": total + move * slope})


def _fall(unknowns, ops):
    """F = |left|²/2, left' = left - δW; nearest to z - s grad, |δ + s grad|² <= |s grad|², slope = <δ, grad>."""
    left, slope, square, moved, gradient, curvature, size = unknowns("left slope square moved gradient L s")
    given = [size > 0, square >= 0, moved <= curvature * square]
    given += [square + 2 * size * slope + size * size * gradient <= size * size * gradient]
    before, after = left / 2, (left + 2 * slope + moved) / 2
    return given, [theory.step_gain(square, curvature, size) <= before - after]


def _no_rise(unknowns, ops):
    square, curvature, size = unknowns("square L s")
    return [square >= 0, size > 0, size * curvature <= 1], [theory.step_gain(square, curvature, size) >= 0]


def _column(unknowns, ops):
    """Z = a column of W, |z|² = n: zW has n at its own place and `rest` elsewhere, and |zW|² <= L |z|²."""
    n, rest, largest = unknowns("n rest L")
    return [n >= 0, rest >= 0, largest >= 0, n * n + rest <= largest * n], [n <= largest]


def _columns(unknowns, ops):
    n, total, d, largest = unknowns("n total d L")
    return smt.Invariant([total <= d * largest], {"total": total + n, "d": d + 1}, given=[n <= largest])


def _units(unknowns, ops):
    """All squares of W summed, by rows of length 1."""
    total, m, w2 = unknowns("total m w2")
    return smt.Invariant([total == m], {"total": total + w2, "m": m + 1}, given=[w2 == 1])


def _trace(unknowns, ops):
    m, d, total, largest = unknowns("m d total L")
    return [d > 0, total == m, total <= d * largest], [coherence.dense_energy(m, d) <= largest]


ONE = torch.ones(1, dtype=torch.float64)


def _shrunk(t: float) -> Descent:
    return Descent(t * ONE[:, None], ONE, ONE, 1, 1.0)


CLAIM = Claim(
    id="AT-6",
    statement=(
        "F(z) = |x − zW|²/2, L = max |zW|²/|z|², the largest eigenvalue of WWᵀ, z' = AbsTopK_k(z − s∇F) from a z with "
        "at most k nonzeros: F(z) − F(z') ≥ (1/s − L)/2 · |z' − z|², so s ≤ 1/L never raises the error. For unit rows "
        "L ≥ m/d."
    ),
    tex=r"F(z)-F(z')\geq\tfrac12\left(\tfrac1s-L\right)\|z'-z\|^2,\quad L\geq m/d",
    source="ours, majorise and minimise; Blumensath and Davies (2008) for iterative hard thresholding",
    kind="bound",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(SHORT, SPARSE, UNIT_ROWS),
    instances=descents(),
    nontrivial=lambda case: len(case.rows) > case.rows.shape[1] and case.k > 1,
    conclusion=_conclusion,
    controls=(
        Control(SHORT.name, descents(unit=True), "s = 1 at m/d ≥ 4, all latents allowed: steps like an encoder's"),
        Control(SPARSE.name, descents(dense=True), "a denser start has less to lose"),
        Control("unit rows", numbers(0.05, 0.9).map(_shrunk), "one row of length below 1: L < m/d"),
    ),
    proofs={
        "fall": (
            STEPPED,
            smt.induction("⟨left, δW⟩ = ⟨δ, left Wᵀ⟩", "all m: induction over latents", _latent),
            *NEAREST,
            smt.implies("the fall", "all m, d, k, s > 0: from |δW|² ≤ L|δ|²", _fall),
        ),
        "no rise": smt.implies("(1/s − L)/2 ≥ 0", "all s ≤ 1/L", _no_rise),
        "L ≥ m/d": (
            smt.implies("L is at least the square of any column", "all m, d", _column),
            smt.induction("the columns' squares sum to dL at most", "all d: induction", _columns),
            smt.induction("the rows' squares sum to m", "all m: induction", _units),
            smt.implies("so L ≥ m/d", "all m, d", _trace),
        ),
        LOOPS: (
            symbolic.identity("F is quadratic", "m ≤ 3, d ≤ 2", _expansion),
            evaluated("F's gradient and the step, as defined", _long),
        ),
    },
    mutants=(
        Mutant("1/s − L/2", theory.step_gain, lambda square, L, s: (1 / s - L / 2) * square),
        Mutant("the wrong way", theory.thresholded_step, lambda z, x, rows, s, k, *, ops=None: _back(z, x, rows, s, k)),
        Mutant("slope of x alone", theory.coding_slope, lambda z, x, rows: [-v for v in _products(x, rows)]),
        Mutant("|x − zW|²", theory.coding_loss, lambda z, x, rows: 2 * _loss(z, x, rows)),
    ),
    note=(
        "That AbsTopK_k is the nearest point is shown for m = 2, 3 here, and for all m by the kernel in AT-1. A single "
        "step of size 1 from z = 0 is an encoder. More of them are no solver: at m/d = 8 with random rows L is about "
        "(1 + √8)² = 14.7, and the error grows without bound from the second step on."
    ),
)

_loss, _slope, _kept = theory.coding_loss, theory.coding_slope, theory.abs_top_k


def _products(x, rows):
    return [sum(a * b for a, b in zip(x, row, strict=True)) for row in rows]


def _back(z, x, rows, size, k):
    return _kept([a + size * b for a, b in zip(z, _slope(z, x, rows), strict=True)], k)
