"""PO-1: the linear SAE is the polynomial one without higher terms; a low first rank costs a tail of variance."""

import sympy
import torch
from hypothesis import strategies as st
from torch import Tensor

from proofs_check.claim import BESIDE, LOOPS, Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most, equal
from proofs_check.claims.interactions.cases import Factored, orthonormal
from proofs_check.engines import smt, symbolic
from proofs_check.instances.draw import SEEDS, numbers, rows_of
from proofs_check.instances.loops import evaluated
from proofs_check.kernel.evaluations import EXACT
from workbench import create
from workbench.theory import interactions as theory


def _conclusion(case: Factored) -> dict[str, Part]:
    U, C1 = case.factors
    d, r = case.W.shape[1], min(case.rank, U.shape[1])
    square = torch.ones(d, r, dtype=torch.float64)
    C, scales = [C1.tolist(), square.tolist()], [1.0, case.scale]
    bias = [0.5] * d
    atoms, unit = theory.linear_atoms(U.tolist(), C1.tolist()), 1 + float(case.f.norm() * case.W.norm())
    linear = [0.5 + sum(f * row[c] for f, row in zip(case.f.tolist(), atoms, strict=True)) for c in range(d)]
    left = case.samples - case.samples @ case.image @ case.image.T
    variances, shares = case.shares
    kept = (variances * (1 - shares)).sum()
    return {
        "W = U C1ᵀ": equal(torch.tensor(atoms, dtype=torch.float64).flatten(), case.W.flatten(), unit=unit),
        "orthonormal": equal((U.T @ U).flatten(), torch.eye(r).double().flatten()),
        "x̂ = fW + b": equal(theory.decode(case.f.tolist(), U.tolist(), C, scales, bias), linear, unit=unit),
        "shipped": at_most(_shipped(case), 1e-5),
        "what is left, by principal axes": equal(left.square().sum(1).mean(), kept, unit=unit),
        "their shares": at_most(torch.stack((-shares.min(), shares.max() - 1, shares.sum() - case.rank)), 0.0),
        "tail": at_most(theory.variance_tail(variances.tolist(), case.rank), kept, unit=unit),
    }


def _shipped(case: Factored) -> Tensor:
    """How far a fresh PolySAE, drawn in float32, decodes f from the rows that TopK starts at."""
    m, d = case.W.shape
    poly, plain = (create(name, d, m, k=1) for name in ("polysae", "topk"))
    f = case.f[None].float()
    with torch.no_grad():
        return (poly.decoder(f) - f @ plain.W_dec).norm() / f.norm()


def _column(unknowns, ops):
    """One latent's share of a coordinate, a column more."""
    made, atom, f, u, c = unknowns("made atom f u c")
    more = theory.degree_part([f], [[u]], [[c]], 1)[0], theory.linear_atoms([[u]], [[c]])[0][0]
    return smt.Invariant([made == f * atom], {"made": made + more[0], "atom": atom + more[1]})


def _latent(unknowns, ops):
    made, linear, share, f, atom, b = unknowns("made linear share f atom b")
    after = {"made": made + share, "linear": linear + f * atom}
    return smt.Invariant([made == linear], after, {"made": b, "linear": b}, [share == f * atom])


def _linear(draw):
    """Decode at scales 0 adds up latents and columns; so do the atoms."""
    n, d, ranks = draw.n, 9, (9, 5, 2)
    f, b, U = draw.vector(n), draw.vector(d), draw.rows(n, ranks[0])
    C = [draw.rows(d, r) for r in ranks]
    parts = [
        [[theory.degree_part([v], [[u]], [[c]], 1)[0] for u, c in zip(row, line, strict=True)] for line in C[0]]
        for v, row in zip(f, U, strict=True)
    ]
    made = theory.decode(f, U, C, [1, 0, 0], b)
    yield made, [b[c] + sum(sum(latent[c]) for latent in parts) for c in range(d)]
    single = [
        [sum(theory.linear_atoms([[u]], [[v]])[0][0] for u, v in zip(row, line, strict=True)) for line in C[0]]
        for row in U
    ]
    yield theory.linear_atoms(U, C[0]), single


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


def _axis(unknowns, ops):
    """S: the least variance kept. What a projection holds beyond the kept ones is at most S (sum of shares - kept)."""
    held, kept, shares, count, v, share, least = unknowns("held kept shares count v share least")
    among = ops.where(v >= least, v, 0), ops.where(v >= least, ops.num("1"), ops.num("0"))
    after = {"held": held + v * share, "kept": kept + among[0], "shares": shares + share, "count": count + among[1]}
    tied = ops.where(v == least, held + v * share - kept - least * (shares + share - count), 0) <= 0
    given = [least >= 0, v >= 0, share >= 0, share <= 1]
    return smt.Invariant([held - kept <= least * (shares - count)], after, given=given, also=[tied])


def _tail(unknowns, ops):
    """With as many kept as there are columns."""
    held, kept, shares, rank, least, total = unknowns("held kept shares rank least total")
    given = [least >= 0, held - kept <= least * (shares - rank), shares <= rank]
    return given, [total - kept <= total - held]


def _largest(draw):
    """The shipped tail is all but the largest variances, ties or not."""
    for top in (2**31, 4):
        v = [abs(value) for value in draw.vector(draw.n, top)]
        for rank in (1, draw.n // 2, draw.n - 1):
            yield theory.variance_tail(v, rank, ops=EXACT), sum(sorted(v)[: draw.n - rank])


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
    nontrivial=lambda case: torch.linalg.matrix_rank(case.W) > 1,
    conclusion=_conclusion,
    extremal={"tail": _matrices(best=True)},
    controls=(
        Control(ENOUGH.name, _matrices(short=1), "one column too few"),
        Control(ALONE.name, _matrices(scale=0.5), "λ2 = ½: x̂ is no longer linear"),
    ),
    proofs={
        LOOPS: (
            evaluated("decode and atoms, latent by latent, column by column", _linear),
            evaluated("the tail", _largest),
        ),
        "x̂ = fW + b": (
            smt.induction("a latent gives f times its atom", "all R1: induction over columns", _column),
            smt.induction("x̂ = b + Σ f_i w_i", "all m: induction over latents", _latent),
        ),
        "tail": (
            smt.induction("what is held beyond the kept", "all d: induction over axes", _axis),
            smt.implies("the tail is left", "all d, R1", _tail),
        ),
        BESIDE: symbolic.identity("U orthonormal and U C1ᵀ = W, by Gram and Schmidt", "3 × 2, W of a kind", _factored),
    },
    mutants=(
        Mutant("rows of C1", theory.linear_atoms, lambda U, C1: [[2 * sum(row)] * len(C1) for row in U]),
        Mutant(
            "largest variances",
            theory.variance_tail,
            lambda v, r, *, ops=None: sum(sorted(v, reverse=True)[: len(v) - r]),
        ),
    ),
    note=(
        "Sampled: the QR itself; that what an image leaves is Σ v_i(1 − p_i) with shares p_i of principal axes in "
        "[0, 1] that sum to R1 at most. Shipped: a fresh PolySAE equals the linear decoder of its W_dec, which "
        "equals the rows TopK starts at."
    ),
)
