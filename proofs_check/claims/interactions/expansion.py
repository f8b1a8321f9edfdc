"""PO-2: what each monomial of the latents gets, and that powers of projections always hold powers of single latents."""

from itertools import combinations_with_replacement
from math import prod

import torch

from proofs_check.claim import BESIDE, LOOPS, Claim, Control, Hypothesis, Mutant, Part, Verdict, edited, equal
from proofs_check.claims.interactions.cases import Polynomial, polynomials
from proofs_check.engines import smt, symbolic
from proofs_check.instances.loops import evaluated
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


def _decoder(symbols, m, ranks, d=1):
    U = [symbols(f"u{i}_:{ranks[0]}") for i in range(m)]
    C = [[symbols(f"c{q}{c}_:{r}") for c in range(d)] for q, r in enumerate(ranks)]
    return U, C, [1, *symbols("l:2")][: len(ranks)], symbols(f"b:{d}")


def _expand(symbols, ops, m, ranks):
    f, (U, C, scales, bias) = symbols(f"f:{m}"), _decoder(symbols, m, ranks)
    total = bias[0]
    for q, (matrix, scale) in enumerate(zip(C, scales, strict=True), 1):
        members = combinations_with_replacement(range(m), q)
        total += sum(prod(f[i] for i in chosen) * theory.monomial(chosen, U, matrix, scale)[0] for chosen in members)
    yield theory.decode(f, U, C, scales, bias)[0], total


def _difference(unknowns, ops):
    """A column more: each is the sum of the columns' (`_summed`)."""
    mixed, pair, alone, selves, s, t, u, v, c, e, scale, b = unknowns("mixed pair alone selves s t u v c e l b")
    more, own = _differences(s, t, u, v, c, e, scale, b)
    added = s * _of((0,), u, v, c, 1) + s * s * _of((0, 0), u, v, e, scale)
    after = {"mixed": mixed + more, "pair": pair + _of((0, 1), u, v, e, scale)}
    after |= {"alone": alone + own, "selves": selves + added}
    return smt.Invariant([mixed == s * t * pair, alone == selves], after)


def _differences(s, t, u, v, c, e, scale, b):
    """The mixed second difference of two latents in one column, and the first of one, of the shipped decoder."""

    def at(x, y):
        return theory.decode([x, y], [[u], [v]], [[[c]], [[e]]], [1, scale], [b])[0]

    return at(s, t) - at(s, 0) - at(0, t) + at(0, 0), at(s, 0) - at(0, 0)


def _of(members, u, v, c, scale):
    return theory.monomial(members, [[u], [v]], [[c]], scale)[0]


def _line(unknowns, ops):
    made, found, f, u, c = unknowns("made found f u c")
    more = theory.degree_part([f], [[u]], [[c]], 1)[0], f * theory.monomial((0,), [[u]], [[c]])[0]
    return smt.Invariant([made == found], {"made": made + more[0], "found": found + more[1]})


def _square(unknowns, ops):
    """A latent more in one column: its own monomial, and `pairs`, those with the latents before."""
    a, made, found, pairs, f, u, c, scale = unknowns("a made found pairs f u c l")
    own = f * f * theory.monomial((0, 0), [[u]], [[c]], scale)[0]
    now, then = (theory.degree_part([v], [[1]], [[c]], 2, scale)[0] for v in (a, a + f * u))
    after = {"a": a + f * u, "made": then, "found": found + pairs + own}
    return smt.Invariant([made == found, made == now], after, given=[pairs == 2 * scale * c * a * f * u])


def _partner(unknowns, ops):
    a, pairs, f, u, h, v, c, scale = unknowns("a pairs f u h v c l")
    more = h * f * theory.monomial((0, 1), [[v], [u]], [[c]], scale)[0]
    return smt.Invariant([pairs == 2 * scale * c * a * f * u], {"pairs": pairs + more, "a": a + h * v})


def _summed(draw):
    """The shipped decoder is the sum over monomials, over columns, and of what is not 0."""
    n, r, d, scales = min(draw.n, 17), 11, 9, [1, draw.number(99)]
    f, U, C, b = draw.vector(n, 999), draw.rows(n, r, 999), [draw.rows(d, r, 999), draw.rows(d, 9, 999)], draw.vector(d)
    made, total = theory.decode(f, U, C, scales, b), list(b)
    for members in [(i,) for i in range(n)] + [(i, j) for i in range(n) for j in range(i + 1)]:
        q = len(members)
        found = theory.monomial(members, U, C[q - 1], scales[q - 1])
        total = [a + prod(f[i] for i in members) * v for a, v in zip(total, found, strict=True)]
    yield made, total
    first = theory.monomial((0, 1), U, C[1], scales[1])
    made, found = [v - w for v, w in zip(made, b, strict=True)], [0] * d
    for k in range(r):
        column, own = [[row[k]] for row in U], [[[line[k]] for line in matrix] for matrix in C if k < len(matrix[0])]
        part = theory.decode(f, column, own, scales[: len(own)], [0] * d)
        made = [v - w for v, w in zip(made, part, strict=True)]
        if len(own) > 1:
            found = [v + w for v, w in zip(found, theory.monomial((0, 1), column, own[1], scales[1]), strict=True)]
    yield (made, first), ([0] * d, found)
    few = [f[0], *[0] * (n - 2), f[-1]]
    yield theory.decode(few, U, C, scales, b), theory.decode([f[0], f[-1]], [U[0], U[-1]], C, scales, b)


def _cubic(case: Polynomial) -> float:
    return max(
        (abs(by) * float(matrix.abs().max()) for by, matrix in zip(case.scales[2:], case.C[2:], strict=True)),
        default=0.0,
    )


QUADRATIC = Hypothesis("no cubic term", _cubic)
SUMMED = evaluated("monomial by monomial, column by column, without zeros", _summed)
EXPANSION = (
    smt.induction("degree 1", "all m, R1: induction over latents", _line),
    smt.induction("pairs with a new latent", "all m: induction over latents", _partner),
    smt.induction("a column's square is its monomials", "all m: induction over latents", _square),
)

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
        LOOPS: SUMMED,
        "expansion": EXPANSION,
        ("mixed difference", "one latent alone"): smt.induction(
            "differences of the shipped decoder", "all R1, R2: induction over columns", _difference
        ),
        BESIDE: tuple(
            symbolic.identity("expansion of the shipped decoder", f"m = {m}, ranks {ranks}", _expand, m=m, ranks=ranks)
            for m, ranks in ((2, (2, 2)), (4, (2, 1)), (3, (2, 2, 1)))
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
