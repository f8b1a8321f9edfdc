"""PO-7: the quadratic map gives back the columns of U, up to sign and order, where their vectors differ."""

from dataclasses import dataclass

import torch
from hypothesis import strategies as st
from torch import Tensor

from proofs_check.claim import BESIDE, LOOPS, Claim, Control, Hypothesis, Mutant, Part, Verdict, digits, edited, equal
from proofs_check.claims.interactions.cases import ORTHONORMAL, orthonormal
from proofs_check.claims.interactions.exact import rational_orthonormal
from proofs_check.engines import smt, symbolic
from proofs_check.instances.draw import SEEDS
from proofs_check.instances.loops import loops
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
    kept = values.abs().topk(case.U.shape[1]).indices
    overlap = (case.U.T @ vectors[:, kept]).abs()
    f = torch.linspace(1, 2, len(case.U), dtype=torch.float64)
    y = torch.tensor(theory.degree_part(f.tolist(), case.U.tolist(), case.C2.tolist(), 2), dtype=torch.float64)
    return {
        "columns": equal(overlap.amax(1), 1.0),
        "each once": equal(overlap.amax(0), 1.0),
        "along φ": equal(case.phi @ y, f @ form @ f, unit=1 + float(case.weights.abs().sum()) * float(f @ f)),
    }


def _no_weight(unknowns, ops):
    phi, c, a = unknowns("phi c a")
    return [], [phi * theory.degree_part([a], [[1]], [[c]], 2)[0] == (phi * c) * a**2]


def _weight(unknowns, ops):
    """In one column: a coordinate of x more; w = <phi, c> so far."""
    along, w, phi, c, a = unknowns("along w phi c a")
    more = phi * theory.degree_part([a], [[1]], [[c]], 2)[0]
    return [along == w * a**2], [along + more == (w + phi * c) * a**2]


def _no_latent(unknowns, ops):
    f, u, w = unknowns("f u w")
    return [], [f * f * theory.contracted_form([[u]], [[w]], [1])[0][0] == w * (f * u) ** 2]


def _latent(unknowns, ops):
    """A latent more in one column: f M f gains its own entry and twice `pairs`, those with the latents before."""
    value, pairs, a, f, u, w = unknowns("value pairs a f u w")
    own = f * f * theory.contracted_form([[u]], [[w]], [1])[0][0]
    return [value == w * a**2, pairs == w * a * f * u], [value + 2 * pairs + own == w * (a + f * u) ** 2]


def _no_partner(unknowns, ops):
    f, u, h, v, w = unknowns("f u h v w")
    return [], [h * f * theory.contracted_form([[v], [u]], [[w]], [1])[0][1] == w * (h * v) * f * u]


def _partner(unknowns, ops):
    a, pairs, f, u, h, v, w = unknowns("a pairs f u h v w")
    more = h * f * theory.contracted_form([[v], [u]], [[w]], [1])[0][1]
    return [pairs == w * a * f * u], [pairs + more == w * (a + h * v) * f * u]


def _columns(draw):
    """The shipped form adds up columns, symmetric; the square along phi is that of the form."""
    n, d, r = min(draw.n, 33), 3, 5
    f, U, C2, phi = draw.vector(n, 999), draw.rows(n, r, 999), draw.rows(d, r, 999), draw.vector(d, 999)
    form = theory.contracted_form(U, C2, phi)
    weights = [sum(p * line[k] for p, line in zip(phi, C2, strict=True)) for k in range(r)]
    columns = [theory.contracted_form([[row[k]] for row in U], [[weights[k]]], [1]) for k in range(r)]
    yield form, [[sum(column[i][j] for column in columns) for j in range(n)] for i in range(n)]
    yield form, [list(column) for column in zip(*form, strict=True)]
    along = sum(p * y for p, y in zip(phi, theory.degree_part(f, U, C2, 2), strict=True))
    yield along, sum(f[i] * f[j] * form[i][j] for i in range(n) for j in range(n))


def _eigen(symbols, ops):
    """M u_s = sum_r w_r <u_r, u_s> u_r, for every U: w_s u_s where orthonormal."""
    for m, columns, d in ((2, 1, 1), (3, 2, 2), (2, 2, 1)):
        U = [symbols(f"u{i}_:{columns}") for i in range(m)]
        C2 = [symbols(f"c{c}_:{columns}") for c in range(d)]
        phi = symbols(f"p:{d}")
        form = theory.contracted_form(U, C2, phi)
        w = [sum(p * row[r] for p, row in zip(phi, C2, strict=True)) for r in range(columns)]
        for s in range(columns):
            inner = [sum(row[r] * row[s] for row in U) for r in range(columns)]
            for i in range(m):
                yield (
                    sum(form[i][j] * U[j][s] for j in range(m)),
                    sum(w[r] * inner[r] * U[i][r] for r in range(columns)),
                )


def _equal_columns(symbols, ops):
    """Two equal c: rotating the two columns changes nothing, along any phi."""
    t, c, phi = symbols("t"), symbols("c"), symbols("p")
    U = [list(symbols(f"u{i}_:2")) for i in range(2)]
    turn = rational_orthonormal(t)
    turned = [[sum(row[k] * turn[k][r] for k in range(2)) for r in range(2)] for row in U]
    plain = theory.contracted_form(U, [[c, c]], [phi])
    other = theory.contracted_form(turned, [[c, c]], [phi])
    yield from ((a, b) for one, two in zip(plain, other, strict=True) for a, b in zip(one, two, strict=True))


def _unique(unknowns, ops):
    """In the basis of the columns M is diagonal: an eigenvector has one coordinate, if weights differ and are not 0."""
    w = unknowns("w0 w1 w2")
    v, value = unknowns("v0 v1 v2"), unknowns("value")
    given = [w[0] != w[1], w[1] != w[2], w[0] != w[2], *(a * b == value * b for a, b in zip(w, v, strict=True))]
    return given, [v[i] * v[j] == 0 for i in range(3) for j in range(i)]


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
    conclusion=_conclusion,
    controls=(
        Control(ORTHONORMAL.name, _quadratics(skew=True), "a common part in all columns"),
        Control(DISTINCT.name, _quadratics(equal_columns=True), "two equal columns"),
        Control(NONZERO.name, _quadratics(unused=True), "no square, as beyond R2: UᵀU = I does not fix such columns"),
    ),
    proofs={
        LOOPS: loops("the form, column by column", _columns),
        "along φ": (
            smt.induction("φ of a column's square", "all d: induction over coordinates", _no_weight, _weight),
            smt.induction("pairs with a new latent", "all m: induction over latents", _no_partner, _partner),
            smt.induction("a column's form", "all m: induction over latents", _no_latent, _latent),
        ),
        BESIDE: (
            symbolic.identity("M u_s, for every U", "m ≤ 3, R ≤ 2, d ≤ 2", _eigen),
            smt.implies("no other eigenvectors", "R = 3 distinct weights", _unique),
            symbolic.identity("equal columns rotate", "m = 2, all angles but π", _equal_columns),
        ),
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
        "Sampled: that the eigenvectors are the columns. Proved at small sizes: M u_s = w_s u_s, and that a diagonal "
        "matrix of distinct entries has no other eigenvectors than the axes. All of it given f. That (f, U, C) are "
        "identifiable together is open, and no easier than for a linear SAE."
    ),
)
