"""PO-3: Euler's identity by degree, and a latent's effective atom, which depends on what else is active."""

import sympy
import torch

from proofs_check.claim import LOOPS, Claim, Control, Hypothesis, Mutant, Part, Verdict, edited, equal
from proofs_check.claims.interactions.cases import Polynomial, polynomials
from proofs_check.engines import smt, symbolic
from proofs_check.instances.loops import evaluated
from workbench.parts.polynomial import power_terms
from workbench.theory import interactions as theory


def _conclusion(case: Polynomial) -> dict[str, Part]:
    f, U, C, scales, bias = case.lists
    d, size = len(case.bias), case.size
    shipped = torch.stack([_shipped(case.f[None], case, q) for q in (1, 2, 3)]).sum(0)
    parts = [theory.degree_part(f, U, C[q - 1], q, scales[q - 1]) for q in (1, 2, 3)]
    tripled = [theory.degree_part([3 * v for v in f], U, C[q - 1], q, scales[q - 1]) for q in (1, 2, 3)]
    told: dict[str, Part] = {
        f"y_{q}(3f) = 3^{q} y_{q}(f)": equal(tripled[q - 1], [3**q * v for v in parts[q - 1]], unit=27 * size)
        for q in (1, 2, 3)
    }
    a = theory.projections(f, U)
    atoms = [theory.effective_atom(row, a, C, scales) for row in U]
    along = [sum(v * atom[c] for v, atom in zip(f, atoms, strict=True)) for c in range(d)]
    return told | {
        "⟨f, ∇y_q⟩ = q y_q": equal(along, [sum(q * parts[q - 1][c] for q in (1, 2, 3)) for c in range(d)], unit=size),
        "x̂ is the sum of its degrees": equal(case.x_hat, [sum(part[c] for part in parts) for c in range(d)], unit=size),
        "shipped": equal(case.x_hat, shipped, unit=size),
        "effective atom": equal(_gradient(f, U, C, scales, bias), atoms[0], unit=size),
    }


def _shipped(f, case, q):
    C = case.C[q - 1]
    terms = f @ case.U if q == 1 else power_terms(f, case.U[:, : C.shape[1]], q, "full")
    return case.scales[q - 1] * (terms[..., : C.shape[1]] @ C.T)[0]


def _gradient(f, U, C, scales, bias):
    """Of decode along the first latent, by automatic differentiation."""
    first = torch.tensor(f[0], dtype=torch.float64, requires_grad=True)
    made = theory.decode([first, *f[1:]], U, C, scales, bias)
    return [float(torch.autograd.grad(v, first, retain_graph=True)[0]) for v in made]


def _latent(unknowns, ops):
    a_new, a, f, u, t = unknowns("a_new a f u t")
    more = theory.projections([t * f], [[u]])[0], theory.projections([f], [[u]])[0]
    return smt.Invariant([a_new == t * a], {"a_new": a_new + more[0], "a": a + more[1]})


def _column(unknowns, ops):
    """A column more with projection a: the parts of degree 1, 2 and 3."""
    a, t, c, scale = unknowns("a t c l")
    names = [(f"new{q}", f"old{q}", q) for q in (1, 2, 3)]
    after = {new: unknowns(new) + _part(t * a, c, q, scale) for new, _, q in names}
    after |= {old: unknowns(old) + _part(a, c, q, scale) for _, old, q in names}
    return smt.Invariant([unknowns(new) == t**q * unknowns(old) for new, old, q in names], after)


def _part(a, c, q, scale):
    return theory.degree_part([a], [[1]], [[c]], q, scale)[0]


def _share(unknowns, ops):
    """A latent more, at the projection a of all of them: `so_far` of it."""
    found, so_far, a, f, u, c, e, g, l2, l3 = unknowns("found so_far a f u c e g l2 l3")
    after = {"found": found + f * _atom(u, a, c, e, g, l2, l3), "so_far": so_far + f * u}
    return smt.Invariant([found == _degrees(so_far, a, c, e, g, l2, l3)], after)


def _whole(unknowns, ops):
    """At so_far = a these are q y_q, summed."""
    a, c, e, g, l2, l3 = unknowns("a c e g l2 l3")
    parts = [q * _part(a, v, q, scale) for q, (v, scale) in enumerate(((c, 1), (e, l2), (g, l3)), 1)]
    return [], [_degrees(a, a, c, e, g, l2, l3) == sum(parts)]


def _atom(u, a, c, e, g, l2, l3):
    return theory.effective_atom([u], [a], [[[c]], [[e]], [[g]]], [1, l2, l3])[0]


def _degrees(so_far, a, c, e, g, l2, l3):
    return so_far * (c + 2 * l2 * a * e + 3 * l3 * a * a * g)


def _derivative(symbols, ops):
    """A latent moves each projection by its entry, and a column's share of x_hat by the atom's."""
    f, u, rest, c, e, g, l2, l3, b = symbols("f u rest c e g l2 l3 b")
    made = theory.decode([f, 1], [[u], [rest]], [[[c]], [[e]], [[g]]], [1, l2, l3], [b])[0]
    yield sympy.diff(made, f), _atom(u, f * u + rest, c, e, g, l2, l3)


def _more_degrees(unknowns, ops):
    made, total, a, c, e, g, l2, l3, b = unknowns("made total a c e g l2 l3 b")
    after = {"made": made + _decoded(a, c, e, g, l2, l3, 0), "total": total + _graded(a, c, e, g, l2, l3)}
    start = {"made": _decoded(a, c, e, g, l2, l3, b), "total": b + _graded(a, c, e, g, l2, l3)}
    return smt.Invariant([made == total], after, start)


def _decoded(a, c, e, g, l2, l3, b):
    return theory.decode([a], [[1]], [[[c]], [[e]], [[g]]], [1, l2, l3], [b])[0]


def _graded(a, c, e, g, l2, l3):
    return sum(_part(a, v, q, scale) for q, (v, scale) in enumerate(((c, 1), (e, l2), (g, l3)), 1))


def _columns(draw):
    """Decode, degrees and atoms add up columns, and projections latents."""
    n, d, ranks, scales = draw.n, 9, (11, 10, 9), [1, draw.number(99), draw.number(99)]
    f, U = draw.vector(n, 999), draw.rows(n, ranks[0], 999)
    C, b = [draw.rows(d, r, 999) for r in ranks], draw.vector(d)
    a = theory.projections(f, U)
    yield a, [sum(theory.projections([v], [[row[r]]])[0] for v, row in zip(f, U, strict=True)) for r in range(ranks[0])]
    parts = [theory.degree_part(f, U, C[q - 1], q, scales[q - 1]) for q in (1, 2, 3)]
    for q, part in enumerate(parts, 1):
        yield part, [sum(_part(x, c, q, scales[q - 1]) for x, c in zip(a, line, strict=False)) for line in C[q - 1]]
    alone = [
        theory.decode(
            [x],
            [[1]],
            [[[line[r]] for line in M] for M in C if r < len(M[0])],
            scales[: sum(r < k for k in ranks)],
            [0] * d,
        )
        for r, x in enumerate(a)
    ]
    yield theory.decode(f, U, C, scales, b), [b[c] + sum(column[c] for column in alone) for c in range(d)]
    padded = [[[*line, *[0] * (ranks[0] - len(line))] for line in matrix] for matrix in C]
    own = [
        sum(_atom(U[1][r], a[r], *(matrix[c][r] for matrix in padded), *scales[1:]) for r in range(ranks[0]))
        for c in range(d)
    ]
    yield theory.effective_atom(U[1], a, C, scales), own


NO_BIAS = Hypothesis("b_dec = 0", lambda case: case.bias.abs().max())

CLAIM = Claim(
    id="PO-3",
    statement=(
        "The part of degree q is homogeneous: y_q(tf) = t^q y_q(f) and ⟨f, ∇y_q⟩ = q y_q; x̂ is their sum. A latent's "
        "effective atom is Σ_r U_ir(c¹_r + 2λ2 a_r c²_r + 3λ3 a_r² c³_r): it depends on all that are active."
    ),
    tex=r"\langle f,\nabla y_q\rangle=qy_q,\quad\partial_i\hat x=\textstyle\sum_rU_{ir}\sum_qq\lambda_qa_r^{q-1}c^q_r",
    source="ours; Euler's identity",
    kind="identity",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(NO_BIAS,),
    instances=polynomials(bias=False),
    conclusion=_conclusion,
    controls=(Control(NO_BIAS.name, polynomials(bias=True), "b_dec is of degree 0"),),
    proofs={
        LOOPS: evaluated("x̂, degrees and atoms, column by column", _columns),
        tuple(f"y_{q}(3f) = 3^{q} y_{q}(f)" for q in (1, 2, 3)): (
            smt.induction("projections of tf", "all m: induction over latents", _latent),
            smt.induction("y_q(tf) = t^q y_q(f)", "all R_q, q ≤ 3: induction over columns", _column),
        ),
        "⟨f, ∇y_q⟩ = q y_q": (
            smt.induction("f times the atoms, in a column", "all m: induction over latents", _share),
            smt.implies("these are q y_q", "all R_q: column by column", _whole),
        ),
        "x̂ is the sum of its degrees": smt.induction("x̂ = b + Σ y_q", "all R_q: induction over columns", _more_degrees),
        "effective atom": symbolic.identity(
            "the effective atom is the derivative of decode", "all m, R_q: column by column", _derivative
        ),
    },
    mutants=(
        Mutant("the linear atom", theory.effective_atom, lambda row, a, C, s: _atom_alone(row, C)),
        Mutant("without the bias's own place", theory.decode, lambda f, U, C, s, b: theory.degree_part(f, U, C[0], 1)),
        edited(
            "one degree less", theory.degree_part, lambda true: lambda f, U, C, q, s=1: true(f, U, C, max(q - 1, 1), s)
        ),
    ),
)


def _atom_alone(row, C):
    return [sum(c * u for c, u in zip(line, row, strict=True)) for line in C[0]]
