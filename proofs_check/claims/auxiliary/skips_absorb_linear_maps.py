"""AUX-6: where the target is linear in x, a transcoder's skip leaves its codes nothing to do."""

from dataclasses import dataclass

import torch
from hypothesis import strategies as st
from torch import Tensor

from proofs_check.claim import BESIDE, LOOPS, Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most, digits, equal
from proofs_check.engines import smt, symbolic
from proofs_check.instances.draw import rows_of
from proofs_check.instances.inductions import OFF_SPAN
from proofs_check.instances.loops import evaluated
from workbench.theory import auxiliary as theory
from workbench.theory import coherence


@dataclass(frozen=True, eq=False)
class Transcoded:
    """x (N, d), y = x A + beyond (N, p), codes (N, m), rows (m, p), a change C (d, p) of the skip, its rank at most."""

    x: Tensor
    A: Tensor
    beyond: Tensor
    codes: Tensor
    rows: Tensor
    change: Tensor
    rank: int

    def __str__(self) -> str:
        parts = f"A {digits(self.A)}, y − xA {digits(self.beyond)}, f {digits(self.codes)}, D {digits(self.rows)}"
        return f"x {digits(self.x)}, {parts}, skip of rank {self.rank}"

    @property
    def y(self) -> Tensor:
        """Targets."""
        return self.x @ self.A + self.beyond

    @property
    def sparse(self) -> Tensor:
        """f D."""
        return self.codes @ self.rows

    def loss(self, skip: Tensor, sparse: Tensor) -> float:
        """Summed over samples."""
        rows = zip(self.y.tolist(), self.x.tolist(), sparse.tolist(), strict=True)
        return sum(theory.transcoder_loss(y, x, skip.tolist(), s) for y, x, s in rows)

    def fitted(self, sparse: Tensor) -> Tensor:
        """The best skip of its rank beside a sparse part, by reduced-rank regression."""
        full = torch.linalg.lstsq(self.x, self.y - sparse, driver="gelsd", rcond=1e-10).solution
        right = torch.linalg.svd(self.x @ full, full_matrices=False)[2][: self.rank]
        return full @ right.T @ right

    def off(self, z: Tensor) -> float:
        """Squared norm of what is not linear in x."""
        left, values, _ = torch.linalg.svd(self.x, full_matrices=False)
        basis = left[:, values > 1e-10 * values.max()].T.tolist()
        return sum(v * v for column in z.T.tolist() for v in theory.off_span(column, basis))


def _conclusion(case: Transcoded) -> dict[str, Part]:
    none, sparse, linear = 0 * case.sparse, case.sparse, case.x @ case.change
    unit = float(1e-9 + case.y.square().sum() + sparse.square().sum() + linear.square().sum())
    least, beside = (case.loss(case.fitted(s), s) for s in (none, sparse))
    return {
        "f = 0": equal(least, 0.0, unit=unit),
        "best skip beside codes": equal(beside, case.off(sparse), unit=unit),
        "codes never help": at_most(least, beside, unit=unit),
        "W = A": equal(case.loss(case.A, sparse), sparse.square().sum(), unit=unit),
        "codes linear in x": equal(case.loss(case.A - case.change, linear), 0.0, unit=unit),
    }


def _absorbed(symbols, ops):
    """y = x A: at W = A the sparse part alone is left; beside s = x C the skip A - C leaves nothing."""
    for d, p in ((1, 2), (2, 2), (3, 1)):
        x, s = symbols(f"x:{d}"), symbols(f"s:{p}")
        A, C = ([symbols(f"{name}{i}_:{p}") for i in range(d)] for name in "ac")
        y, linear = (_times(x, M) for M in (A, C))
        yield theory.transcoder_loss(y, x, A, s), coherence.square_norm(s)
        less = [[a - b for a, b in zip(left, right, strict=True)] for left, right in zip(A, C, strict=True)]
        yield theory.transcoder_loss(y, x, less, linear), 0


def _input(unknowns, ops):
    """sum_i x_i (A_i - C_i) of one output, one more input."""
    less, along, other, x, a, c = unknowns("less along other x a c")
    after = {"less": less + x * (a - c), "along": along + x * a, "other": other + x * c}
    return smt.Invariant([less == along - other], after)


def _any_size(unknowns, ops):
    """One output: `along` is x A, the same sum in y and in the skip's part, `other` is x C, `less` x (A - C)."""
    along, s, other, less = unknowns("along s other less")
    at_map = theory.transcoder_loss([along], [along], [[1]], [s])
    changed = theory.transcoder_loss([along], [less], [[1]], [other])
    return [less == along - other], [at_map == s * s, changed + 0 * s == 0]


def _minimum(unknowns, ops):
    """A loss is a sum of squares; the least over skips is no more than at W = A, where f = 0 leaves nothing."""
    least, beside, along, skip, s = unknowns("least beside along skip s")
    some = theory.transcoder_loss([along], [skip], [[1]], [s])
    at_map = theory.transcoder_loss([along], [along], [[1]], [0])
    return [least >= 0, least <= at_map, beside >= 0], [some >= 0, least == 0, least <= beside]


def _best(unknowns, ops):
    """One output: x (A - W) runs over all sums of a basis. The least of |s - sum a b|² is some skip's, and no more than
    that of a = <s, b>.
    """
    least, reached, s2, taken = unknowns("least reached s2 taken")
    return [least >= s2 - taken, reached == s2 - taken, least <= reached], [least == s2 - taken]


def _columns(symbols, ops):
    """One output over three samples of one x, |x|² = 1 by half-angle tangents: the best skip leaves y - s off x."""
    t, u, w = symbols("t u w")
    c, b = (1 - t * t) / (1 + t * t), 2 * t / (1 + t * t)
    e, g = (1 - u * u) / (1 + u * u), 2 * u / (1 + u * u)
    x, s, a = [c * e, c * g, b], symbols("s:3"), symbols("a")
    y = [a * v for v in x]
    off = coherence.square_norm(theory.off_span(s, [x]))
    loss = sum(theory.transcoder_loss([p], [q], [[w]], [r]) for p, q, r in zip(y, x, s, strict=True))
    excess = (a - w - sum(p * q for p, q in zip(x, s, strict=True))) ** 2
    yield loss, off + excess


def _long(draw):
    d, p = draw.n, 9
    x, A, C, s = draw.vector(d), draw.rows(d, p), draw.rows(d, p), draw.vector(p)
    y, other = _times(x, A), _times(x, C)
    yield theory.transcoder_loss(y, x, C, s), sum((a - b - v) ** 2 for a, b, v in zip(y, other, s, strict=True))


def _times(x, M):
    return [sum(v * row[c] for v, row in zip(x, M, strict=True)) for c in range(len(M[0]))]


LINEAR = Hypothesis("y = xA", lambda case: case.beyond.abs().max())
FULL = Hypothesis("a skip of full rank", lambda case: max(0, min(case.A.shape) - case.rank))


@st.composite
def _transcoded(draw, beyond=0.0, rank=None):
    """N > d, so that not all codes are linear in x; two codes at least."""
    d, p = draw(st.integers(2, 3)), draw(st.integers(2, 3))
    n, m = draw(st.integers(d + 1, 6)), draw(st.integers(3, 5))
    value = st.integers(-3, 3)
    x, A, change = draw(rows_of(value, n, d)), draw(rows_of(value, d, p)), draw(rows_of(value, d, p))
    codes, rows = draw(rows_of(st.integers(0, 3), n, m)), draw(rows_of(value, m, p))
    rest = beyond * draw(rows_of(st.integers(-2, 2), n, p))
    return Transcoded(x, A, rest, codes, rows, change, rank or min(d, p))


CLAIM = Claim(
    id="AUX-6",
    statement=(
        "If y = xA, the loss |y − xW − fD|² with a free skip W has minimum 0 at f = 0, W = A, so no code lowers it. "
        "Beside a sparse part s the best skip leaves |s off the columns of x|²; codes linear in x, s = xC, also reach "
        "0, with W = A − C: what they say of A is not determined."
    ),
    tex=r"\min_W\|xA-xW-s\|^2=\|(I-P_x)s\|^2\geq0=\min_W\|xA-xW\|^2",
    source="ours, least squares; the skip: Paulo et al. (2025), arXiv 2501.18823, as reported by readers",
    kind="identity",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(LINEAR, FULL),
    instances=_transcoded(),
    nontrivial=lambda case: case.change.any() and case.sparse.any(),
    conclusion=_conclusion,
    controls=(
        Control(LINEAR.name, _transcoded(beyond=1.0), "targets beyond a linear map leave codes something"),
        Control(FULL.name, _transcoded(rank=1), "a skip of rank 1 beside a map of rank 2"),
    ),
    proofs={
        "codes linear in x": smt.induction("x(A − C) = xA − xC", "all d: induction over inputs", _input),
        ("W = A", "codes linear in x"): smt.implies(
            "one output, the sums xA and xC as unknowns", "all d, p, samples: output by output", _any_size
        ),
        LOOPS: (
            symbolic.identity("the shipped loss at W = A and W = A − C", "one sample, d ≤ 3, p ≤ 2", _absorbed),
            evaluated("transcoder_loss, as defined", _long),
        ),
        BESIDE: (
            smt.implies("the least of sums of squares", "all d, p, samples: output by output", _minimum),
            symbolic.identity("the best skip beside s", "three samples of one x, all angles but one", _columns),
            *OFF_SPAN,
            smt.implies("so of a skip, output by output", "all d, p, samples: over a basis of x", _best),
        ),
    },
    mutants=(
        Mutant("without the sparse part", theory.transcoder_loss, lambda y, x, W, s: _loss(y, x, W, [0] * len(s))),
        Mutant("the codes' sign", theory.transcoder_loss, lambda y, x, W, s: _loss(y, x, W, [-v for v in s])),
        Mutant("nothing projected off", theory.off_span, lambda z, basis: list(z)),
    ),
    note=(
        "That a regression finds the best skip is sampled. 'Codes carry nothing' is of the minimum: without a price on "
        "codes, those that are linear in x do no harm. With fewer samples than dimensions every target is linear in x. "
        "What holds beyond: the loss beside the best skip is that of y and fD with all that is linear in x projected "
        "off."
    ),
)

_loss = theory.transcoder_loss
