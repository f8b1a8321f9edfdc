"""AUX-5: the best dense part of rank r beside a fixed sparse part is a reduced-rank regression."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor

from proofs_check.claim import LOOPS, Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most, digits, edited, equal
from proofs_check.engines import smt, symbolic
from proofs_check.instances.draw import numbers, rows_of
from proofs_check.instances.inductions import OFF_SPAN
from proofs_check.instances.loops import evaluated
from workbench.theory import auxiliary as theory
from workbench.theory import coherence


@dataclass(frozen=True, eq=False)
class Dense:
    """Samples (N, d), codes (N, m), rows (m, d), a rank r; another map of that rank and other rows to compare with."""

    x: Tensor
    codes: Tensor
    rows: Tensor
    rank: int
    rival: Tensor
    rival_rows: Tensor
    any_rows: Tensor
    """rows to compare with where these are free too"""

    def __str__(self) -> str:
        parts = f"f {digits(self.codes)}, rows {digits(self.rows)}, rank {self.rank}"
        return f"x {digits(self.x)}, {parts}, other map {digits(self.rival)}"

    @property
    def residual(self) -> Tensor:
        """What the sparse part leaves."""
        return self.x - self.codes @ self.rows

    @cached_property
    def regressed(self) -> tuple[Tensor, Tensor, list[float]]:
        """Coefficients of the full regression; singular vectors of its values, and their squared singular values."""
        full = solved(self.x, self.residual)
        _, values, right = torch.linalg.svd(self.x @ full, full_matrices=False)
        return full, right, values.square().tolist()

    @property
    def best(self) -> Tensor:
        """The dense part said to be best."""
        full, right, _ = self.regressed
        made = theory.reduced_rank(full.tolist(), right[: self.rank].tolist())
        return torch.tensor(made, dtype=torch.float64)

    @property
    def unit(self) -> float:
        """Size of the squared errors."""
        sizes = (self.x, self.residual, self.x @ self.rival, self.codes @ self.rival_rows, self.codes @ self.any_rows)
        return float(sum((part.square().sum() for part in sizes), torch.tensor(1e-9)))


def solved(x: Tensor, y: Tensor) -> Tensor:
    """Least squares of least norm."""
    return torch.linalg.lstsq(x, y, driver="gelsd", rcond=1e-10).solution


def _conclusion(case: Dense) -> dict[str, Part]:
    _, _, squares = case.regressed
    residual2, unit = float(case.residual.square().sum()), case.unit
    floor = theory.dense_floor(residual2, squares, case.rank)
    rival = case.x - case.codes @ case.rival_rows - case.x @ case.rival
    off = torch.stack([torch.tensor(_off(case.codes, z), dtype=torch.float64) for z in case.x.T.tolist()], 1)
    _, values, right = torch.linalg.svd(off, full_matrices=False)
    free = theory.dense_floor(float(off.square().sum()), values.square().tolist(), case.rank)
    axes = right[: case.rank].T @ right[: case.rank]
    left = case.x - case.x @ axes
    freed = (left - case.codes @ solved(case.codes, left)).square().sum()
    loose = (case.x - case.codes @ case.any_rows - case.x @ case.rival).square().sum()
    return {
        "reached": equal((case.residual - case.x @ case.best).square().sum(), floor, unit=unit),
        "never passed": at_most(floor, rival.square().sum(), unit=unit),
        "rows free: reached": equal(freed, free, unit=unit),
        "rows free: never passed": at_most(free, loose, unit=unit),
    }


def basis_of(x: Tensor) -> list[list[float]]:
    """An orthonormal basis of the columns."""
    left, values, _ = torch.linalg.svd(x, full_matrices=False)
    return left[:, values > 1e-10 * values.max().clamp_min(1e-300)].T.tolist()


def _off(codes: Tensor, z: list[float]) -> list[float]:
    return theory.off_span(z, basis_of(codes))


def _pythagoras(unknowns, ops):
    """R = P + O, any X B = Z: <O, P> = <O, Z> = 0 by the normal equations; |R - Z|² = |O|² + |P - Z|²."""
    r2, p2, o2, z2, pz, rz = unknowns("r2 p2 o2 z2 pz rz")
    given = [r2 == p2 + o2, rz == pz]
    return given, [r2 - 2 * rz + z2 == o2 + (p2 - 2 * pz + z2)]


def _normal(symbols, ops):
    """An orthonormal basis, by half-angle tangents: what `off_span` leaves is off every combination."""
    t, s = symbols("t s")
    c, w = (1 - t * t) / (1 + t * t), 2 * t / (1 + t * t)
    e, g = (1 - s * s) / (1 + s * s), 2 * s / (1 + s * s)
    basis = [[c * e, c * g, w], [-w * e, -w * g, c]]
    z = symbols("z:3")
    left = theory.off_span(z, basis)
    yield from ((sum(a * b for a, b in zip(left, q, strict=True)), 0) for q in basis)
    along = [sum(a * b for a, b in zip(z, q, strict=True)) for q in basis]
    yield coherence.square_norm(left), coherence.square_norm(z) - coherence.square_norm(along)


def _ky_fan(unknowns, ops):
    """Squares l_i, shares c_i in [0, 1] of an r-space: sum (l_i - l_r)(c_i - [i <= r]) <= 0, term by term."""
    total, square, share, last, inside = unknowns("total square share last inside")
    given = [share >= 0, share <= 1, last >= 0, square >= 0, inside * (inside - 1) == 0]
    given += [ops.where(inside == 1, square - last, last - square) >= 0]
    return smt.Invariant([total <= 0], {"total": total + (square - last) * (share - inside)}, given=given)


def _sample(unknowns, ops):
    left, all2, taken, mine, y2, share = unknowns("left all2 taken mine y2 share")
    after = {"left": left + mine, "all2": all2 + y2, "taken": taken + share}
    return smt.Invariant([left >= all2 - taken], after, given=[mine >= y2 - share])


def _fitted(unknowns, ops):
    left, all2, taken, mine, y2, share = unknowns("left all2 taken mine y2 share")
    after = {"left": left + mine, "all2": all2 + y2, "taken": taken + share}
    return smt.Invariant([left == all2 - taken], after, given=[mine == y2 - share])


def _floor(unknowns, ops):
    """With |R|² = |O|² + |P|² what is left of P by r squares is left of R with O."""
    r2, p2, o2, left, squares = unknowns("r2 p2 o2 left squares")
    return [r2 == p2 + o2, left == p2 - squares], [o2 + left == theory.dense_floor(r2, [squares], 1)]


def _basis(unknowns, ops):
    """A coordinate of what a basis leaves of y - z, of y and of z; along q the products subtract."""
    both, one, other, along, beside, q = unknowns("both one other along beside q")
    start = {"both": one - other, "one": one, "other": other}
    after = {"both": both - (along - beside) * q, "one": one - along * q, "other": other - beside * q}
    return smt.Invariant([both == one - other], after, start)


def _free_rows(unknowns, ops):
    """|X - X B - f D|² is at least what codes leave of X - X B, X' - X' B, X' what they leave of X; and so on."""
    loose, moved, all2, squares, best, freed = unknowns("loose moved all2 squares best freed")
    given = [loose >= moved, moved >= all2 - squares, best == all2 - squares, freed == best]
    floor = theory.dense_floor(all2, [squares], 1)
    return given, [floor <= loose, freed == floor]


def _pair(unknowns, ops):
    """sum_q |P b_q|² = sum_q sum_j l_j s_jq² = sum_j l_j c_j, pair by pair; c_j = sum_q s_jq²."""
    taken, held, square, before, s = unknowns("taken held square before s")
    more = before + s * s
    after = {"taken": taken + square * (s * s), "held": held - square * before + square * more}
    return smt.Invariant([taken == held], after)


def _axis(unknowns, ops):
    """sum_j c_j = sum_q sum_j s_jq², and sum_j s_jq² = |b_q|² = 1 over a basis: it is r."""
    shares, count, mine = unknowns("shares count mine")
    return smt.Invariant([shares == count], {"shares": shares + mine, "count": count + 1}, given=[mine == 1])


def _at_most_one(unknowns, ops):
    """c = sum_q <v, b_q>² of a unit v is at most 1: what is left of v is 1 - c."""
    left, v2, c = unknowns("left v2 c")
    return [left == v2 - c, left >= 0, v2 == 1], [c <= 1]


def _square(unknowns, ops):
    """The sum of Ky Fan's step, written out."""
    total, held, top, shares, count, last = unknowns("total held top shares count last")
    square, share, inside = unknowns("square share inside")
    after = {"total": total + (square - last) * (share - inside), "held": held + square * share}
    after |= {"top": top + square * inside, "shares": shares + share, "count": count + inside}
    return smt.Invariant([total == held - top - last * (shares - count)], after)


def _no_more(unknowns, ops):
    """r of the squares are inside, and r is the sum of shares: no r-space holds more than the r largest."""
    total, held, top, shares, count, last, left, all2 = unknowns("total held top shares count last left all2")
    given = [total <= 0, total == held - top - last * (shares - count), shares == count, left >= all2 - held]
    return given, [held <= top, left >= all2 - top]


def _shares(unknowns, ops):
    """sum c_i = r, so sum l_i c_i - sum_{i<=r} l_i = sum (l_i - l_r)(c_i - [i <= r]) <= 0: two and two more squares."""
    a, b, x, y, p, q, s = unknowns("a b x y p q s")
    given = [a >= b, b >= x, x >= y, y >= 0]
    shares = [p, q, s, 2 - p - q - s]
    given += [share >= 0 for share in shares] + [share <= 1 for share in shares]
    seen = sum((v * c for v, c in zip([b, x, y], shares[1:], strict=True)), a * p)
    total = a + b + x + y
    return given, [theory.dense_floor(total, [a, b, x, y], 2) <= total - seen]


def _reached(symbols, ops):
    """Values Y with orthogonal rows' products: |Y - Y V V^T|² = |Y|² - sum |Y v|² for orthonormal v, in three dims."""
    t, s = symbols("t s")
    c, w = (1 - t * t) / (1 + t * t), 2 * t / (1 + t * t)
    e, g = (1 - s * s) / (1 + s * s), 2 * s / (1 + s * s)
    x, full = symbols("x:2"), [symbols(f"b{i}_:3") for i in range(2)]
    for directions in ([[c * e, c * g, w]], [[c * e, c * g, w], [-w * e, -w * g, c]]):
        y = symbols("y:3")
        (kept,) = theory.reduced_rank([y], directions)
        squares = [sum(a * b for a, b in zip(y, v, strict=True)) ** 2 for v in directions]
        y2 = coherence.square_norm(y)
        left = coherence.square_norm([a - b for a, b in zip(y, kept, strict=True)])
        yield left, theory.dense_floor(y2, [*squares, symbols("more")], len(directions))
        best = theory.reduced_rank(full, directions)
        values = [sum(a * row[c] for a, row in zip(x, full, strict=True)) for c in range(3)]
        made = [sum(a * row[c] for a, row in zip(x, best, strict=True)) for c in range(3)]
        yield from zip(made, theory.reduced_rank([values], directions)[0], strict=True)


def _long(draw):
    """A basis need not be orthonormal for its sums to be those of the definition."""
    n, rank = draw.n, draw.n // 2
    z, basis, squares, b = draw.vector(n, 99), draw.rows(rank, n, 99), draw.vector(n), draw.rows(9, n, 99)
    taken = [_dot(q, z) for q in basis]
    left = [z[c] - sum(a * q[c] for a, q in zip(taken, basis, strict=True)) for c in range(n)]
    along = [[_dot(row, v) for v in basis] for row in b]
    kept = [[sum(a * v[c] for a, v in zip(of, basis, strict=True)) for c in range(n)] for of in along]
    yield theory.reduced_rank(b, basis), kept
    yield theory.off_span(z, basis), left
    yield theory.dense_floor(7, squares, rank), 7 - sum(squares[i] for i in range(rank))


def _dot(a, b):
    return sum(p * q for p, q in zip(a, b, strict=True))


def _excess(case: Dense) -> float:
    values = torch.linalg.svdvals(case.rival)
    return float(values[case.rank :].sum() / (1 + values.max()))


RANK = Hypothesis("the other map has rank at most r", _excess)
SAME = Hypothesis("beside the same sparse part", lambda case: (case.rival_rows - case.rows).abs().max())


@st.composite
def _dense(draw):
    """N > d; the other map is random, the best for a copy with noise, or the regression cut along its own axes."""
    d = draw(st.integers(2, 3))
    n, m, rank = draw(st.integers(d + 2, 8)), draw(st.integers(3, 5)), draw(st.integers(1, d - 1))
    value = st.integers(-3, 3)
    x = draw(rows_of(value, n, d))
    codes, rows = draw(rows_of(st.integers(0, 3), n, m)), draw(rows_of(value, m, d))
    case = Dense(x, codes, rows, rank, torch.zeros(d, d, dtype=torch.float64), rows, draw(rows_of(value, m, d)))
    match draw(st.sampled_from(["random", "own axes", "near"])):
        case "random":
            rival = draw(rows_of(value, d, rank)) @ draw(rows_of(value, rank, d))
        case "own axes":
            _, _, right = torch.linalg.svd(case.regressed[0])
            rival = case.regressed[0] @ right[:rank].T @ right[:rank]
        case _:
            rival = case.best * draw(numbers(0.5, 1.5))
    return replace(case, rival=rival)


def _tensor(values: Any) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


X, CODES, ROWS = _tensor([[1, 0], [0, 2], [1, 1]]), _tensor([[1, 1], [1, 0], [0, 1]]), _tensor([[3, 0], [0, 3]])
CASE = Dense(X, CODES, ROWS, 1, 0 * ROWS, ROWS, ROWS)


CLAIM = Claim(
    id="AUX-5",
    statement=(
        "Beside a fixed sparse part, R = X − fD, P R the projection of R onto the columns of X, σ_i its singular "
        "values and V its r first right singular vectors: the least |R − XB|² over rank B ≤ r is |R|² − Σ_{i≤r} σ_i², "
        "at B = X⁺R V Vᵀ. With the codes alone fixed and rows free, the same of X projected off the codes: its "
        "principal axes."
    ),
    tex=r"\min_{\mathrm{rank}B\leq r}\|R-XB\|^2=\|R\|^2-\sum_{i\leq r}\sigma_i(PR)^2",
    source="Izenman (1975); Eckart and Young (1936); as the optimum beside codes: ours, for arXiv 2606.14040",
    kind="identity",
    promised=Verdict.PROVED,
    hypotheses=(RANK, SAME),
    instances=_dense(),
    nontrivial=lambda case: (case.rival - case.best).abs().max() > 1e-6,
    conclusion=_conclusion,
    controls=(
        Control(
            RANK.name,
            _dense().map(lambda case: replace(case, rival=case.regressed[0])),
            "the full regression passes the floor of rank r",
        ),
        Control(
            SAME.name,
            _dense().map(lambda case: replace(case, rival=0 * case.rival, rival_rows=solved(case.codes, case.x))),
            "the best rows for those codes leave less",
        ),
    ),
    proofs={
        ("reached", "never passed"): (
            *OFF_SPAN,
            smt.implies("|R − XB|² splits at the projection", "all sizes: from the normal equations", _pythagoras),
            smt.implies("the floors of R and of P", "all r: the sum of r squares as one", _floor),
        ),
        ("reached", "rows free: reached"): smt.induction(
            "the same summed, with the best", "all N: over samples", _fitted
        ),
        ("rows free: reached", "rows free: never passed"): (
            *OFF_SPAN,
            smt.induction("what a basis leaves is linear", "all N, m: over a basis of the codes", _basis),
            smt.implies("beside the best rows, the same of X off the codes", "all sizes", _free_rows),
        ),
        ("never passed", "rows free: never passed"): (
            smt.induction("the same summed", "all N: over samples", _sample),
            smt.induction("Σ_q|P b_q|² = Σ l_j c_j", "all d, r: over pairs", _pair),
            smt.induction("Σ c_j = r", "all r: over directions", _axis),
            smt.implies("c_j ≤ 1", "all d, r", _at_most_one),
            smt.induction("Σ(l_i − l_r)(c_i − [i ≤ r]) ≤ 0", "all d, r: term by term", _ky_fan),
            smt.induction("which is Σ l_i c_i − Σ_{i≤r} l_i where Σ c_i = r", "all d, r", _square),
            smt.implies("so no space of dimension r holds more: Eckart–Young", "all d, r, N", _no_more),
        ),
        LOOPS: (
            symbolic.identity(
                "the shipped projection, by a basis", "two vectors of three samples, all angles but one", _normal
            ),
            symbolic.identity("B V Vᵀ reaches the floor, X B V Vᵀ", "one sample, d = 3, r = 1, 2", _reached),
            smt.implies("the shipped floor is not passed", "d = 4, r = 2", _shares),
            evaluated("off_span, reduced_rank and dense_floor, as defined", _long),
        ),
    },
    mutants=(
        Mutant("the r last", theory.dense_floor, lambda r2, squares, rank: r2 - sum(squares[-rank:])),
        Mutant("of every rank", theory.dense_floor, lambda r2, squares, rank: r2 - sum(squares)),
        edited(
            "half of the squares", theory.dense_floor, lambda f: lambda r2, s, rank: f(r2, [v / 2 for v in s], rank)
        ),
        Mutant("one direction less", theory.reduced_rank, lambda b, v: _reduced(b, v[:-1])),
        Mutant(
            "the projection itself",
            theory.off_span,
            lambda z, q: [a - b for a, b in zip(z, _off_span(z, q), strict=True)],
        ),
    ),
    note=(
        "'Beside fixed codes' must fix their rows too for the residual to be fixed; with free rows the dense part is "
        "a principal component analysis of what codes do not predict linearly. Cutting the regression X⁺R along its "
        "own axes, not those of its values, is worse unless X is white. The proofs take rank and singular values as "
        "they are measured, by orthonormal vectors. It speaks of the low-rank dense part."
    ),
)

_reduced, _off_span = theory.reduced_rank, theory.off_span
