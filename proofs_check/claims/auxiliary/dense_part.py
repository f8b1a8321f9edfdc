"""AUX-5: the best dense part of rank r beside a fixed sparse part is a reduced-rank regression."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor

from proofs_check.claim import Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most, digits, equal
from proofs_check.engines import smt, symbolic
from proofs_check.instances.draw import numbers, rows_of
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


def _no_direction(unknowns, ops):
    last = unknowns("last")
    return [last >= 0], [0 * last <= last * 0]


def _ky_fan(unknowns, ops):
    """Squares l_i, shares c_i in [0, 1] of an r-space: sum (l_i - l_r)(c_i - [i <= r]) <= 0, term by term."""
    total, square, share, last, inside = unknowns("total square share last inside")
    given = [total <= 0, share >= 0, share <= 1, last >= 0, square >= 0]
    given += [ops.where(inside == 1, square - last, last - square) >= 0, ops.where(inside == 1, 1, inside) == inside]
    given += [inside * (inside - 1) == 0]
    return given, [total + (square - last) * (share - inside) <= 0]


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
    t = symbols("t")
    c, w = (1 - t * t) / (1 + t * t), 2 * t / (1 + t * t)
    for directions in ([[c, w, 0]], [[c, w, 0], [0, 0, 1]]):
        y = symbols("y:3")
        (kept,) = theory.reduced_rank([y], directions)
        squares = [sum(a * b for a, b in zip(y, v, strict=True)) ** 2 for v in directions]
        y2 = coherence.square_norm(y)
        left = coherence.square_norm([a - b for a, b in zip(y, kept, strict=True)])
        yield left, theory.dense_floor(y2, squares, len(directions))


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
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(RANK, SAME),
    instances=_dense(),
    conclusion=_conclusion,
    controls=(
        Control(
            RANK.name,
            st.just(replace(CASE, rival=_tensor([[0, -3], [-1, 1]]))),
            "the full regression passes the floor of rank r",
        ),
        Control(
            SAME.name, st.just(replace(CASE, rival_rows=solved(CODES, X))), "the best rows for those codes leave less"
        ),
    ),
    proofs={
        ("reached", "never passed"): (
            smt.implies("|R − XB|² splits at the projection", "all sizes: from the normal equations", _pythagoras),
            symbolic.identity(
                "the projection, by a basis", "two vectors of three samples, all angles but one", _normal
            ),
        ),
        "never passed": (
            smt.induction("Σ(l_i − l_r)(c_i − [i ≤ r]) ≤ 0", "all d, r: term by term", _no_direction, _ky_fan),
            smt.implies("so no space of dimension r holds more: Eckart–Young", "shipped floor: d = 4, r = 2", _shares),
        ),
        "reached": symbolic.identity("B V Vᵀ reaches it", "one sample of d = 3, r = 1, 2", _reached),
    },
    mutants=(
        Mutant("the r last", theory.dense_floor, lambda r2, squares, rank: r2 - sum(squares[-rank:])),
        Mutant("of every rank", theory.dense_floor, lambda r2, squares, rank: r2 - sum(squares)),
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
        "own axes, not those of its values, is worse unless X is white. It speaks of the low-rank dense part."
    ),
)

_reduced, _off_span = theory.reduced_rank, theory.off_span
