"""PO-2: what each monomial of the latents gets, and that powers of projections always hold powers of single latents."""

from itertools import combinations_with_replacement
from math import prod

import torch

from proofs_check.claim import Claim, Control, Hypothesis, Mutant, Part, Verdict, edited, equal
from proofs_check.claims.interactions.cases import Polynomial, polynomials
from proofs_check.engines import symbolic
from workbench.parts.polynomial import coefficients
from workbench.theory import interactions as theory


def _conclusion(case: Polynomial) -> dict[str, Part]:
    f, U, C, scales, bias = case.lists
    m, unit = len(f), case.size
    total = list(bias)
    for q, (matrix, scale) in enumerate(zip(C, scales, strict=True), 1):
        for members in combinations_with_replacement(range(m), q):
            part = prod(f[i] for i in members)
            total = [a + part * b for a, b in zip(total, theory.monomial(members, U, matrix, scale), strict=True)]
    pair = (0, m - 1)

    def at(s: float, t: float) -> list[float]:
        code = [0.0] * m
        code[0], code[-1] = s, t
        return theory.decode(code, U, C, scales, bias)

    mixed = [a - b - c + o for a, b, c, o in zip(at(1, 1), at(1, 0), at(0, 1), at(0, 0), strict=True)]
    alone = [a - o for a, o in zip(at(1, 0), at(0, 0), strict=True)]
    selves = [
        theory.monomial((0,) * q, U, matrix, scale) for q, (matrix, scale) in enumerate(zip(C, scales, strict=True), 1)
    ]
    members = torch.tensor([pair])
    shipped = scales[1] * coefficients(members, case.U[:, : case.C[1].shape[1]], case.C[1].T, 2, "full")[0]
    return {
        "expansion": equal(total, case.x_hat, unit=unit),
        "mixed difference": equal(mixed, theory.monomial(pair, U, C[1], scales[1]), unit=unit),
        "one latent alone": equal(alone, [sum(parts) for parts in zip(*selves, strict=True)], unit=unit),
        "shipped": equal(shipped, theory.monomial(pair, U, C[1], scales[1]), unit=unit),
    }


def _expand(symbols, ops, q, m, r):
    f, scale = symbols(f"f:{m}"), symbols("l")
    U, C = [symbols(f"u{i}_:{r}") for i in range(m)], [symbols(f"c:{r}")]
    members = combinations_with_replacement(range(m), q)
    total = sum(prod(f[i] for i in chosen) * theory.monomial(chosen, U, C, scale)[0] for chosen in members)
    yield theory.degree_part(f, U, C, q, scale)[0], total


def _mixed(symbols, ops):
    """For degree 2 the mixed second difference is B_ij at every pair of steps."""
    s, t = symbols("s t")
    U, C, scale = [symbols("u0_:2"), symbols("u1_:2")], [symbols("c:2")], symbols("l")

    def at(a, b):
        return theory.degree_part([a, b], U, C, 2, scale)[0]

    yield at(s, t) - at(s, 0) - at(0, t) + at(0, 0), s * t * theory.monomial((0, 1), U, C, scale)[0]


QUADRATIC = Hypothesis("no cubic term", lambda case: float(len(case.C) > 2))


CLAIM = Claim(
    id="PO-2",
    statement=(
        "A monomial's coefficient in λ_q C_q a^q is q!/∏(powers!) λ_q Σ_r ∏ U_ir c_r: 2 for f_i f_j, 1 for f_i², 6 for "
        "f_i f_j f_l, 3 for f_i² f_j. So degree 2 is not interactions alone: one latent gives a curve. Up to degree 2 "
        "the mixed second difference of x̂ is B_ij."
    ),
    tex=r"B_{ij}=2\lambda_2\textstyle\sum_rU_{ir}U_{jr}c_r,\quad B_{ii}=\lambda_2\sum_rU_{ir}^2c_r",
    source="ours, multinomial theorem; B_ij as in Koromilas et al. (2026), arXiv 2602.01322",
    kind="identity",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(QUADRATIC,),
    instances=polynomials(order=2),
    conclusion=_conclusion,
    controls=(Control(QUADRATIC.name, polynomials(order=3), "f_i² f_j and f_i f_j² enter the mixed difference"),),
    proofs={
        "expansion": (
            *(
                symbolic.identity(
                    "expansion of the shipped power", f"degree {q}: m = {m}, {r} columns", _expand, q=q, m=m, r=r
                )
                for q, m, r in ((2, 2, 2), (2, 4, 1), (3, 3, 1), (3, 2, 2), (3, 4, 1))
            ),
        ),
        "mixed difference": symbolic.identity(
            "mixed second difference", "degree 2: all steps, column by column", _mixed
        ),
    },
    mutants=(
        Mutant("no factor", theory.monomial, lambda members, U, C, by=1: _without_ways(members, U, C, by)),
        Mutant("sums of powers", theory.degree_part, lambda f, U, C, q, by=1: _powers(f, U, C, q, by)),
        edited("absolute values", theory.projections, lambda true: lambda f, U: [abs(a) for a in true(f, U)]),
    ),
)


def _without_ways(members, U, C, by):
    return [by * sum(c * prod(U[i][r] for i in members) for r, c in enumerate(row)) for row in C]


def _powers(f, U, C, q, by):
    sums = [theory.power_sum(f, column, q) for column in zip(*U, strict=True)]
    return [by * sum(c * p for c, p in zip(row, sums, strict=False)) for row in C]
