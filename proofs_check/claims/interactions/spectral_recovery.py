"""PO-7: the quadratic map gives back the columns of U, up to sign and order, where their vectors differ."""

from dataclasses import dataclass

import torch
from hypothesis import strategies as st
from torch import Tensor

from proofs_check.claim import (
    BESIDE,
    LOOPS,
    Claim,
    Control,
    Hypothesis,
    Mutant,
    Part,
    Verdict,
    Void,
    digits,
    edited,
    equal,
)
from proofs_check.claims.interactions.cases import ORTHONORMAL, orthonormal
from proofs_check.claims.interactions.exact import rational_orthonormal
from proofs_check.engines import smt, symbolic
from proofs_check.instances.draw import SEEDS
from proofs_check.instances.loops import evaluated
from synthetic.base.streams import stream
from workbench.theory import interactions as theory


@dataclass(frozen=True, eq=False)
class Quadratic:
    """U (m, R), C2 (d, R), a covector phi (d,)."""

    U: Tensor
    C2: Tensor
    phi: Tensor

    def __str__(self) -> str:
        return f"U {digits(self.U)}, C2 {digits(self.C2)}, φ {digits(self.phi)}"

    @property
    def weights(self) -> Tensor:
        """<phi, c_r>."""
        return self.phi @ self.C2


def _conclusion(case: Quadratic) -> dict[str, Part]:
    given = (case.U.tolist(), case.C2.tolist(), case.phi.tolist())
    form = torch.tensor(theory.contracted_form(*given), dtype=torch.float64)
    values, vectors = torch.linalg.eigh(form)
    size = 1 + float(case.weights.abs().sum())
    there = values.abs() > 1e-6 * size
    overlap = (case.U.T @ vectors[:, there]).abs()
    f = torch.linspace(1, 2, len(case.U), dtype=torch.float64)
    y = torch.tensor(theory.degree_part(f.tolist(), case.U.tolist(), case.C2.tolist(), 2), dtype=torch.float64)
    return {
        "columns are eigenvectors": equal((form @ case.U).flatten(), (case.U * case.weights).flatten(), unit=size),
        "all that have values other than 0": equal(overlap.amax(0), 1.0) if bool(there.any()) else Void("M is 0"),
        "as many": equal(float(there.sum()), case.U.shape[1]),
        "along φ": equal(case.phi @ y, f @ form @ f, unit=1 + float(case.weights.abs().sum()) * float(f @ f)),
    }


def _weight(unknowns, ops):
    """In one column: a coordinate of x more; w = <phi, c> so far."""
    along, w, phi, c, a = unknowns("along w phi c a")
    more = phi * theory.degree_part([a], [[1]], [[c]], 2)[0]
    return smt.Invariant([along == w * a**2], {"along": along + more, "w": w + phi * c})


def _latent(unknowns, ops):
    """A latent more in one column: f M f gains its own entry and twice `pairs`, those with the latents before."""
    value, pairs, a, f, u, w = unknowns("value pairs a f u w")
    own = f * f * theory.contracted_form([[u]], [[w]], [1])[0][0]
    after = {"value": value + 2 * pairs + own, "a": a + f * u}
    return smt.Invariant([value == w * a**2], after, given=[pairs == w * a * f * u])


def _partner(unknowns, ops):
    a, pairs, f, u, h, v, w = unknowns("a pairs f u h v w")
    more = h * f * theory.contracted_form([[v], [u]], [[w]], [1])[0][1]
    return smt.Invariant([pairs == w * a * f * u], {"pairs": pairs + more, "a": a + h * v})


def _columns(draw):
    """The shipped form adds up columns, symmetric; the square along phi is that of the form."""
    n, d, r = min(draw.n, 33), 9, 10
    f, U, C2, phi = draw.vector(n, 999), draw.rows(n, r, 999), draw.rows(d, r, 999), draw.vector(d, 999)
    form = theory.contracted_form(U, C2, phi)
    weights = [sum(p * line[k] for p, line in zip(phi, C2, strict=True)) for k in range(r)]
    columns = [theory.contracted_form([[row[k]] for row in U], [[weights[k]]], [1]) for k in range(r)]
    yield form, [[sum(column[i][j] for column in columns) for j in range(n)] for i in range(n)]
    yield form, [list(column) for column in zip(*form, strict=True)]
    along = sum(p * y for p, y in zip(phi, theory.degree_part(f, U, C2, 2), strict=True))
    yield along, sum(f[i] * f[j] * form[i][j] for i in range(n) for j in range(n))


def _product(unknowns, ops):
    """One column's part of (M v)_i, M_ij v_j of another latent j or of i itself: it is w u_i p, p = <u, v>."""
    total, p, u, h, v, w, own = unknowns("total p u h v w own")
    form = theory.contracted_form([[u], [h]], [[w]], [1])
    start = {"total": form[0][0] * own, "p": u * own}
    return smt.Invariant([total == w * u * p], {"total": total + form[0][1] * v, "p": p + h * v}, start)


def _other(unknowns, ops):
    """Columns r other than s, g = <u_s, u_r>; x is u_ir, or <u_r, v>."""
    total, w, g, x = unknowns("total w g x")
    return smt.Invariant([total == 0], {"total": total + w * g * x}, given=[g == 0])


def _own(unknowns, ops):
    total, w, g, x = unknowns("total w g x")
    return [total == 0, g == 1], [total + w * g * x == w * x]


def _split(unknowns, ops):
    """Sum_r w_r p_r g_r, one latent more with x = u_is (or v_i) and (M v)_i: column by column."""
    longer, shorter, entry, w, p, g, x, u = unknowns("longer shorter entry w p g x u")
    after = {"longer": longer + w * p * (g + x * u), "shorter": shorter + w * p * g, "entry": entry + w * p * u}
    return smt.Invariant([longer == shorter + x * entry], after)


def _value(unknowns, ops):
    """An eigenvector, (M v)_i = value v_i: so sum_r w_r p_r g_r is value <x, v>, x = u_s or v."""
    total, p, x, entry, value, v = unknowns("total p x entry value v")
    after = {"total": total + x * entry, "p": p + x * v}
    return smt.Invariant([total == value * p], after, given=[entry == value * v])


def _rest(unknowns, ops):
    total, p, own, w = unknowns("total p own w")
    return smt.Invariant([total == 0], {"total": total + w * p * p}, given=[own != 0, p * own == 0])


def _none_yet(unknowns, ops):
    """Without any p the value, sum_r w_r p_r², is 0."""
    total, w, p = unknowns("total w p")
    return smt.Invariant([total == 0], {"total": total + w * p * p}, given=[p == 0])


def _apart(unknowns, ops):
    """Value p = w p for each column."""
    value, p, q, w, x = unknowns("value p q w x")
    return [value * p == w * p, value * q == x * q, w != x], [p * q == 0]


def _unit(unknowns, ops):
    value, p, w, rest = unknowns("value p w rest")
    return [p != 0, w != 0, value * p == w * p, rest == 0, value == rest + w * p * p], [p * p == 1]


def _equal_columns(symbols, ops):
    """Two equal c: rotating the two columns changes nothing, along any phi."""
    t, c, phi = symbols("t"), symbols("c"), symbols("p")
    U = [list(symbols(f"u{i}_:2")) for i in range(2)]
    turn = rational_orthonormal(t)
    turned = [[sum(row[k] * turn[k][r] for k in range(2)) for r in range(2)] for row in U]
    plain = theory.contracted_form(U, [[c, c]], [phi])
    other = theory.contracted_form(turned, [[c, c]], [phi])
    yield from ((a, b) for one, two in zip(plain, other, strict=True) for a, b in zip(one, two, strict=True))


DISTINCT = Hypothesis("c_r pairwise distinct along φ", lambda case: max(0.0, 1e-3 - _gap(case.weights)))
NONZERO = Hypothesis("c_r not 0 along φ", lambda case: max(0.0, 1e-3 - float(case.weights.abs().min())))


def _gap(weights: Tensor) -> float:
    return float(weights.sort().values.diff().min()) if len(weights) > 1 else 1.0


@st.composite
def _quadratics(draw, equal_columns=False, unused=False, skew=False):
    columns, spare = draw(st.integers(2, 4)), draw(st.integers(1, 2))
    rng = stream(draw(SEEDS), "claim")
    U = orthonormal(columns + spare, columns, draw(SEEDS))
    d = draw(st.integers(1, 3))
    order = torch.tensor(draw(st.permutations([1.0, -2.0, 3.0, -4.5][:columns])), dtype=torch.float64)
    C2 = torch.ones(d, 1, dtype=torch.float64) * order + 0.02 * torch.rand(d, columns, generator=rng).double()
    if equal_columns:
        C2[:, 1] = C2[:, 0]
    if unused:
        C2[:, : draw(st.integers(1, 2))] = 0.0
    if skew:
        U = U + 0.5 * U[:, :1]
        U = U / U.norm(dim=0)
    return Quadratic(U, C2, torch.ones(d, dtype=torch.float64))


IMAGE = (smt.induction("(Mv)_i = Σ w_r u_ir ⟨u_r, v⟩", "all m: induction over latents", _product),)
ORTHOGONAL = (
    smt.induction("columns at right angles add nothing", "all R: induction over columns", _other),
    smt.implies("the column itself adds its own", "all R", _own),
)

CLAIM = Claim(
    id="PO-7",
    statement=(
        "With UᵀU = I the quadratic map determines u_1..u_R2 up to sign and order if the c_r are not 0 and pairwise "
        "distinct: along a generic φ it is Σ⟨φ, c_r⟩u_r u_rᵀ, with these as eigenvectors. Columns with equal c_r "
        "rotate freely, and so do those beyond R2."
    ),
    tex=r"\langle\varphi,\mathcal B\rangle=\textstyle\sum_r\langle\varphi,c_r\rangle\,u_ru_r^\top",
    source="ours; spectral theorem",
    kind="identity",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(ORTHONORMAL, DISTINCT, NONZERO),
    instances=_quadratics(),
    nontrivial=lambda case: case.U.shape[1] > 1,
    conclusion=_conclusion,
    controls=(
        Control(ORTHONORMAL.name, _quadratics(skew=True), "a common part in all columns"),
        Control(DISTINCT.name, _quadratics(equal_columns=True), "two equal columns"),
        Control(NONZERO.name, _quadratics(unused=True), "no square, as beyond R2: UᵀU = I does not fix such columns"),
    ),
    proofs={
        LOOPS: evaluated("the form, column by column", _columns),
        "columns are eigenvectors": (*IMAGE, *ORTHOGONAL),
        "all that have values other than 0": (
            *IMAGE,
            *ORTHOGONAL,
            smt.induction("products with Mv, column by column", "all R: induction over columns", _split),
            smt.induction("of an eigenvector they are its value's", "all m: induction over latents", _value),
            smt.induction("without any p the value is 0", "all R: induction over columns", _none_yet),
            smt.implies("where one p is there no other is", "all R: pair by pair", _apart),
            smt.induction("others add nothing", "all R: induction over columns", _rest),
            smt.implies("so p² = 1 for one column", "all R", _unit),
        ),
        "along φ": (
            smt.induction("φ of a column's square", "all d: induction over coordinates", _weight),
            smt.induction("pairs with a new latent", "all m: induction over latents", _partner),
            smt.induction("a column's form", "all m: induction over latents", _latent),
        ),
        BESIDE: symbolic.identity("equal columns rotate", "m = 2, all angles but π", _equal_columns),
    },
    mutants=(
        edited(
            "squares of weights",
            theory.contracted_form,
            lambda f: lambda U, C2, phi: f(U, [[c * c for c in row] for row in C2], phi),
        ),
        Mutant("sum of powers", theory.degree_part, lambda f, U, C, q, scale=1: [0.0 for _ in C]),
    ),
    note=(
        "Sampled: that there are as many eigenvectors as columns. All of it given f. That (f, U, C) are "
        "identifiable together is open, and no easier than for a linear SAE."
    ),
)
