"""PO-1: the linear SAE is the polynomial one without higher terms; a low first rank costs a tail of variance."""

import sympy
import torch
from hypothesis import strategies as st
from torch import Tensor

from proofs_check.claim import Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most, equal
from proofs_check.claims.interactions.cases import Factored, orthonormal
from proofs_check.engines import smt, symbolic
from proofs_check.instances.draw import SEEDS, numbers, rows_of
from workbench import create
from workbench.theory import interactions as theory


def _conclusion(case: Factored) -> dict[str, Part]:
    U, C1 = case.factors
    d, r = case.W.shape[1], min(case.rank, U.shape[1])
    square = torch.ones(d, r, dtype=torch.float64)
    C, scales = [C1.tolist(), square.tolist()], [1.0, case.scale]
    bias = [0.5] * d
    linear, unit = case.f @ case.W + 0.5, 1 + float(case.f.norm() * case.W.norm())
    left = case.samples - case.samples @ case.image @ case.image.T
    return {
        "W = U C1ᵀ": equal(
            torch.tensor(theory.linear_atoms(U.tolist(), C1.tolist()), dtype=torch.float64).flatten(),
            case.W.flatten(),
            unit=unit,
        ),
        "orthonormal": equal((U.T @ U).flatten(), torch.eye(r).double().flatten()),
        "x̂ = fW + b": equal(theory.decode(case.f.tolist(), U.tolist(), C, scales, bias), linear, unit=unit),
        "shipped": at_most(_shipped(case), 1e-5),
        "tail": at_most(
            theory.variance_tail(case.variances.tolist(), case.rank), left.square().sum(1).mean(), unit=unit
        ),
    }


def _shipped(case: Factored) -> Tensor:
    """How far a fresh PolySAE, drawn in float32, decodes f from the rows that TopK starts at."""
    m, d = case.W.shape
    poly, plain = (create(name, d, m, k=1) for name in ("polysae", "topk"))
    f = case.f[None].float()
    with torch.no_grad():
        return (poly.decoder(f) - f @ plain.W_dec).norm() / f.norm()


def _linear(symbols, ops):
    """Decode at scales 0 is f W + b, for every U, C1, C2, C3."""
    for m, d, ranks in ((2, 1, (1, 1, 1)), (3, 2, (2, 2, 1)), (2, 2, (2, 1, 1))):
        f, b = symbols(f"f:{m}"), symbols(f"b:{d}")
        U = [symbols(f"u{i}_:{ranks[0]}") for i in range(m)]
        C = [[symbols(f"c{q}{c}_:{r}") for c in range(d)] for q, r in enumerate(ranks)]
        W = theory.linear_atoms(U, C[0])
        made = theory.decode(f, U, C, [1, 0, 0], b)
        yield from ((made[c], b[c] + sum(f[i] * W[i][c] for i in range(m))) for c in range(d))


def _factored(symbols, ops):
    """U by Gram-Schmidt of W's columns, C1 = W^T U: orthonormal, and U C1^T = W; two columns, three rows."""
    W = [list(symbols("p q", positive=True)), [sympy.Integer(1), symbols("r", positive=True)], [0, sympy.Integer(2)]]
    columns = theory.gram_schmidt(list(zip(*W, strict=True)), ops=ops)
    U = [list(row) for row in zip(*columns, strict=True)]
    C1 = [[sum(W[i][c] * U[i][r] for i in range(3)) for r in range(2)] for c in range(2)]
    yield from (
        (a, b) for made, row in zip(theory.linear_atoms(U, C1), W, strict=True) for a, b in zip(made, row, strict=True)
    )
    for r in range(2):
        yield from ((sum(U[i][r] * U[i][s] for i in range(3)), int(r == s)) for s in range(2))


def _tail(unknowns, ops, n, rank):
    """Sum v_i (1 - p_i) with 0 <= p_i <= 1, sum p_i <= rank: what a projection leaves, p_i of principal axis i."""
    v, p = [unknowns(f"v{i}") for i in range(n)], [unknowns(f"p{i}") for i in range(n)]
    given = [value >= 0 for value in v] + [sum(p) <= rank]
    given += [bound for share in p for bound in (share >= 0, share <= 1)]
    left = theory.variance_tail(v, rank, ops=ops)
    return given, [left <= sum(a * (1 - b) for a, b in zip(v, p, strict=True))]


ENOUGH = Hypothesis("R1 ≥ rank of W", lambda case: max(0, int(torch.linalg.matrix_rank(case.W)) - case.rank))
ALONE = Hypothesis("λ2 = λ3 = 0", lambda case: abs(case.scale))


@st.composite
def _matrices(draw, short=0, scale=0.0, best=False):
    """An image of principal axes, the largest, loses just the tail; `best`: only such."""
    m, d = draw(st.integers(1 + short, 5)), draw(st.integers(1 + short, 4))
    W = draw(rows_of(st.integers(-3, 3), m, d))
    if short:
        W[:, :] = torch.eye(m, d)
    rank = min(m, d) - short
    f = torch.tensor(draw(st.lists(numbers(0.2, 3), min_size=m, max_size=m)), dtype=torch.float64).clamp_min(0.2)
    drawn, sizes = orthonormal(8, d, draw(SEEDS)), torch.tensor(draw(st.permutations(range(1, d + 1)))).double()
    samples = torch.linalg.qr(drawn - drawn.mean(0)).Q * sizes
    aligned = torch.eye(d).double()[:, sizes.argsort(descending=True)[:rank]]
    return Factored(W, rank, scale, f, samples, aligned if best or draw(st.booleans()) else orthonormal(d, rank, 0))


CLAIM = Claim(
    id="PO-1",
    statement=(
        "With λ2 = λ3 = 0 the decoder is linear with rows W = U C1ᵀ; every W of rank ≤ R1 is such a product with "
        "UᵀU = I (QR: U = Q, C1 = Rᵀ). The linear part of an R1 below d leaves at least the variance beyond R1 "
        "principal axes."
    ),
    tex=r"\hat x=b+fUC_1^\top,\quad\mathbb{E}\|x-\hat x\|^2\geq\sum_{i>R_1}\lambda_i",
    source="ours, of Koromilas et al. (2026), arXiv 2602.01322; Eckart and Young (1936)",
    kind="bound",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(ENOUGH, ALONE),
    instances=_matrices(),
    conclusion=_conclusion,
    extremal={"tail": _matrices(best=True)},
    controls=(
        Control(ENOUGH.name, _matrices(short=1), "one column too few"),
        Control(ALONE.name, _matrices(scale=0.5), "λ2 = ½: x̂ is no longer linear"),
    ),
    proofs={
        "x̂ = fW + b": symbolic.identity("λ2 = λ3 = 0: linear", "m ≤ 3, d ≤ 2", _linear),
        ("W = U C1ᵀ", "orthonormal"): symbolic.identity("U orthonormal and U C1ᵀ = W", "3 × 2", _factored),
        "tail": (
            *(
                smt.implies("tail", f"n = {n}, R1 = {r}", _tail, n=n, rank=r)
                for n, r in ((2, 1), (3, 1), (3, 2), (4, 2))
            ),
        ),
    },
    mutants=(
        Mutant("rows of C1", theory.linear_atoms, lambda U, C1: [[2 * sum(row)] * len(C1) for row in U]),
        Mutant(
            "largest variances",
            theory.variance_tail,
            lambda v, r, *, ops=None: sum(sorted(v, reverse=True)[: len(v) - r]),
        ),
    ),
    note="Shipped: a fresh PolySAE equals the linear decoder of its W_dec, which equals the rows TopK starts at.",
)
