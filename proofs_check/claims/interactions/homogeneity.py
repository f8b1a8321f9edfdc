"""PO-3: Euler's identity by degree, and a latent's effective atom, which depends on what else is active."""

import sympy
import torch

from proofs_check.claim import Claim, Control, Hypothesis, Mutant, Part, Verdict, edited, equal
from proofs_check.claims.interactions.cases import Polynomial, polynomials
from proofs_check.engines import symbolic
from workbench.parts.polynomial import power_terms
from workbench.theory import interactions as theory


def _conclusion(case: Polynomial) -> dict[str, Part]:
    f, U, C, scales, _ = case.lists
    code, d = case.f.clone().requires_grad_(), len(case.bias)
    shipped = [_shipped(code[None], case, q) for q in (1, 2, 3)]
    jacobian = torch.stack([_derivative(part, code) for part in shipped]).sum(0)  # (d, m)
    parts = [theory.degree_part(f, U, C[q - 1], q, scales[q - 1]) for q in (1, 2, 3)]
    tripled = [theory.degree_part([3 * v for v in f], U, C[q - 1], q, scales[q - 1]) for q in (1, 2, 3)]
    told: dict[str, Part] = {
        f"y_{q}(3f) = 3^{q} y_{q}(f)": equal(tripled[q - 1], [3**q * v for v in parts[q - 1]], unit=27 * case.size)
        for q in (1, 2, 3)
    }
    along = [sum(q * parts[q - 1][c] for q in (1, 2, 3)) for c in range(d)]
    return told | {
        "⟨f, ∇y_q⟩ = q y_q": equal(jacobian @ case.f, along, unit=case.size),
        "x̂ is the sum of its degrees": equal(case.x_hat, torch.stack(shipped).detach().sum(0), unit=case.size),
        "effective atom": equal(
            jacobian[:, 0], theory.effective_atom(U[0], theory.projections(f, U), C, scales), unit=case.size
        ),
    }


def _shipped(f, case, q):
    C = case.C[q - 1]
    terms = f @ case.U if q == 1 else power_terms(f, case.U[:, : C.shape[1]], q, "full")
    return case.scales[q - 1] * (terms[..., : C.shape[1]] @ C.T)[0]


def _derivative(y, f):
    return torch.stack([torch.autograd.grad(v, f, retain_graph=True)[0] for v in y])


def _euler(symbols, ops):
    for m, r, q in ((1, 1, 1), (2, 2, 2), (3, 1, 2), (2, 2, 3), (3, 1, 3)):
        f, t, scale = symbols(f"f:{m}"), symbols("t"), symbols("l")
        U, C = [symbols(f"u{i}_:{r}") for i in range(m)], [symbols(f"c:{r}")]
        y = theory.degree_part(f, U, C, q, scale)[0]
        yield theory.degree_part([t * v for v in f], U, C, q, scale)[0], t**q * y
        yield sum(v * sympy.diff(y, v) for v in f), q * y


def _atom(symbols, ops):
    for m, ranks in ((2, (2, 1, 1)), (2, (2, 2, 2)), (3, (2, 2, 1))):
        f, b = symbols(f"f:{m}"), symbols("b:1")
        U = [symbols(f"u{i}_:{ranks[0]}") for i in range(m)]
        C = [[symbols(f"c{q}_:{r}")] for q, r in enumerate(ranks)]
        scales = [1, *symbols("l2 l3")]
        y = theory.decode(f, U, C, scales, b)[0]
        a = theory.projections(f, U)
        yield from ((sympy.diff(y, f[i]), theory.effective_atom(U[i], a, C, scales)[0]) for i in range(m))


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
        "⟨f, ∇y_q⟩ = q y_q": symbolic.identity("Euler's identity", "m ≤ 3, 2 columns, q ≤ 3", _euler),
        "effective atom": symbolic.identity(
            "the effective atom is the derivative of decode", "m ≤ 3, ranks (2, 2, 2)", _atom
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
