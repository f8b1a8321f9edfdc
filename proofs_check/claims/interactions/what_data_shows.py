"""PO-15: samples say nothing of the interaction of two latents that never fire together; the rank alone does."""

from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import combinations_with_replacement
from math import prod

import torch
from hypothesis import strategies as st
from torch import Tensor

from proofs_check.claim import LOOPS, Claim, Control, Hypothesis, Mutant, Part, Verdict, digits, edited, equal
from proofs_check.claims.interactions.cases import Polynomial, polynomials
from proofs_check.claims.interactions.expansion import EXPANSION, SUMMED
from proofs_check.engines import smt, symbolic
from proofs_check.instances.draw import numbers
from proofs_check.instances.loops import evaluated
from proofs_check.kernel.evaluations import EXACT, Draw, Pairs
from workbench.theory import interactions as theory


@dataclass(frozen=True, eq=False)
class Unseen:
    """A decoder of degree 2, three latents of which the first two are the pair, and a change t (d,) of its B_ij."""

    decoder: Polynomial
    latents: tuple[int, int, int]
    t: Tensor

    def __str__(self) -> str:
        return f"{self.decoder}; latents {self.latents}, t {digits(self.t)}"

    @property
    def together(self) -> float:
        """The smaller size of the pair in the code."""
        return float(self.decoder.f[list(self.latents[:2])].abs().min())


def _conclusion(case: Unseen) -> dict[str, Part]:
    f, U, C, scales, bias = case.decoder.lists
    (i, j, other), unit = case.latents, case.decoder.size
    fired, x_hat = [k for k, v in enumerate(f) if v], list(bias)
    for q, (matrix, scale) in enumerate(zip(C, scales, strict=True), 1):
        for members in combinations_with_replacement(fired, q):
            part = prod(f[k] for k in members)
            x_hat = [a + part * b for a, b in zip(x_hat, theory.monomial(members, U, matrix, scale), strict=True)]
    longer, changed = theory.with_pair(U, C, (i, j), case.t.tolist())
    before, after = (theory.monomial((i, j), u, c, scales[1]) for u, c in ((U, C[1]), (longer, changed[1])))
    column, line = [row[:1] for row in U], [row[:1] for row in C[1]]
    B = {pair: theory.monomial(pair, column, line) for pair in ((i, j), (other, other), (i, other), (other, j))}
    first = [U[i][0], U[j][0]]
    single, pair = ([theory.power_sum([1] * n, first[:n], q) for q in (1, 2, 3)] for n in (1, 2))
    return {
        "x̂ from what fires": equal(x_hat, case.decoder.x_hat, unit=unit),
        "t is not seen": equal(theory.decode(f, longer, changed, scales, bias), case.decoder.x_hat, unit=unit),
        "B_ij is another": equal(after, [b + scales[1] * t for b, t in zip(before, case.t.tolist(), strict=True)]),
        "one column: 2B_ij B_ll = B_il B_lj": equal(
            [2 * a * b for a, b in zip(B[i, j], B[other, other], strict=True)],
            [a * b for a, b in zip(B[i, other], B[other, j], strict=True)],
        ),
        "pairs take two, triples three": equal(
            [theory.pure_square(*single[:2]), theory.pure_cube(*single), theory.pure_cube(*pair)], 0.0, unit=unit**2
        ),
    }


def _silent(unknowns, ops):
    """A monomial with a latent at 0 adds nothing."""
    f, h, u, v, c, scale = unknowns("f h u v c l")
    part = h * f * theory.monomial((0, 1), [[u], [v]], [[c]], scale)[0]
    return [f == 0], [part == 0, f * theory.monomial((0,), [[u]], [[c]])[0] == 0]


def _added(symbols, ops):
    """What the two columns add, and to B_ij; at the other latents they are 0."""
    f, t, scale = symbols("f:2"), symbols("t"), symbols("l")
    U, C = theory.with_pair([[], []], [[[]], [[]]], (0, 1), [t], ops=ops)
    yield theory.decode(f, U, C, [1, scale], [0])[0], scale * f[0] * f[1] * t
    yield theory.monomial((0, 1), U, C[1], scale)[0], scale * t


def _never(unknowns, ops):
    one, other, t, scale = unknowns("one other t l")
    return [(one == 0) | (other == 0)], [scale * one * other * t == 0]


def _one_column(symbols, ops):
    U, c, scale = [[u] for u in symbols("u:3")], [[symbols("c")]], symbols("l")
    B = {pair: theory.monomial(pair, U, c, scale)[0] for pair in ((0, 1), (2, 2), (0, 2), (2, 1))}
    yield 2 * B[0, 1] * B[2, 2], B[0, 2] * B[2, 1]


def _few(symbols, ops):
    f, u = symbols("f:2"), symbols("u:2")
    one, two = ([theory.power_sum(f[:n], u[:n], q) for q in (1, 2, 3)] for n in (1, 2))
    yield theory.pure_square(*one[:2]), 0
    yield theory.pure_cube(*one), 0
    yield theory.pure_cube(*two), 0


def _longer(draw: Draw) -> Pairs:
    """The decoder with two columns more, any number for the root; sums of powers without latents at 0."""
    n, r, ops = draw.n, 5, replace(EXACT, sqrt=lambda _: Fraction(7, 5))
    f, U, scale = draw.vector(n, 999), draw.rows(n, r, 999), draw.number(99)
    C, t = [draw.rows(2, r, 999), draw.rows(2, 3, 999)], [Fraction(v) for v in draw.vector(2)]
    i, j = n // 3, n - 1
    longer, changed = theory.with_pair(U, C, (i, j), t, ops=ops)
    by = Fraction(5, 7) ** 2 * 2 * scale
    old, new = (theory.decode(f, u, c, [1, scale], [0, 0]) for u, c in ((U, C), (longer, changed)))
    yield new, [a + by * f[i] * f[j] * v for a, v in zip(old, t, strict=True)]
    old, new = (theory.monomial((i, j), u, c, scale) for u, c in ((U, C[1]), (longer, changed[1])))
    yield new, [a + by * v for a, v in zip(old, t, strict=True)]
    few, u = [0] * n, [row[0] for row in U]
    few[i], few[j] = f[i], f[j]
    for q in (1, 2, 3):
        yield theory.power_sum(few, u, q), theory.power_sum([f[i], f[j]], [u[i], u[j]], q)


APART = Hypothesis("i and j do not fire together", lambda case: case.together)


@st.composite
def _unseen(draw, together=False):
    """Any code but for the pair, of which one latent is silent, or both."""
    decoder = draw(polynomials((3, 5), order=2, dense=together))
    i, j, other = draw(st.permutations(range(len(decoder.f))))[:3]
    if not together:
        decoder.f[list(draw(st.sampled_from([(i,), (j,), (i, j)])))] = 0.0
    d = len(decoder.bias)
    t = torch.tensor(draw(st.lists(numbers(0.2, 2), min_size=d, max_size=d)), dtype=torch.float64)
    return Unseen(decoder, (i, j, other), t)


CLAIM = Claim(
    id="PO-15",
    statement=(
        "x̂ up to degree 2 is a sum over latents that fire, alone and in pairs. So on samples in which i and j never "
        "fire together a decoder of two columns more, whose B_ij differs by any λ2 t, is the same: only the rank of C2 "
        "can fix B_ij. One column gives 2B_ij B_ll = B_il B_lj, entry by entry. What is beyond self terms takes two "
        "latents that fire in a square, three in a cube."
    ),
    tex=r"f_if_j=0\Rightarrow\hat x_{B_{ij}+\lambda_2t}(f)=\hat x_{B_{ij}}(f),\qquad "
    r"R_2=1\Rightarrow B_{ij}=\frac{B_{il}B_{lj}}{2B_{ll}}",
    source="ours, of the decoder of Koromilas et al. (2026), arXiv 2602.01322",
    kind="identity",
    promised=Verdict.PROVED,
    hypotheses=(APART,),
    instances=_unseen(),
    nontrivial=lambda case: case.decoder.nontrivial,
    conclusion=_conclusion,
    controls=(Control(APART.name, _unseen(together=True), "both fire: t is seen"),),
    proofs={
        LOOPS: (SUMMED, evaluated("two columns more; sums of powers", _longer)),
        "x̂ from what fires": (*EXPANSION, smt.implies("silent latents add nothing", "all m", _silent)),
        ("t is not seen", "B_ij is another"): symbolic.identity("what two columns add", "all m, R1, R2, d", _added),
        "t is not seen": smt.implies("it is 0 where one is silent", "all m, R1, R2, d", _never),
        "one column: 2B_ij B_ll = B_il B_lj": symbolic.identity("of one column", "all m, d", _one_column),
        "pairs take two, triples three": symbolic.identity("one and two latents", "all m", _few),
    },
    mutants=(
        edited("no factor", theory.monomial, lambda f: lambda members, U, C, by=1: f(members[:1], U, C, by)),
        edited("t twice", theory.with_pair, lambda f: lambda U, C, pair, t, **ops: f(U, C, pair, [2 * v for v in t])),
        Mutant("one self term left", theory.pure_square, lambda p1, p2: p1 * p1 - p2 / 2),
        Mutant("p3 once", theory.pure_cube, lambda p1, p2, p3: p1**3 - 3 * p1 * p2 + p3),
    ),
    note="What a decoder of low rank says of pairs that never fired together is extrapolation, right or wrong.",
)
