"""AT-8: two exclusive features of one size, one of them always on, become one signed latent without error."""

from dataclasses import dataclass
from fractions import Fraction

import torch
from hypothesis import strategies as st
from torch import Tensor

from proofs_check.claim import LOOPS, Claim, Control, Hypothesis, Mutant, Part, Verdict, digits, equal
from proofs_check.engines import smt, symbolic
from proofs_check.instances.draw import numbers, unit_rows
from proofs_check.instances.loops import evaluated
from proofs_check.instances.mixture import UNIT_ROWS, overlapping
from proofs_check.kernel.evaluations import Draw
from proofs_check.kernel.evaluations import Pairs as Coordinates
from synthetic.laws.directions import overlaps
from workbench.theory import signed as theory
from workbench.theory.ops import FLOAT


@dataclass(frozen=True, eq=False)
class Pairs:
    """P pairs of exclusive features (rows 2q, 2q + 1), coefficients h (N, 2P) >= 0, the size of each pair."""

    rows: Tensor
    h: Tensor
    sizes: tuple[float, ...]

    def __str__(self) -> str:
        return f"rows {digits(self.rows)}, h {digits(self.h)}, sizes {self.sizes}"

    @property
    def merged(self) -> tuple[Tensor, Tensor, Tensor]:
        """Signed codes (N, P) of +-1, rows and bias."""
        pairs = zip(self.rows[::2].tolist(), self.rows[1::2].tolist(), self.sizes, strict=True)
        found = [theory.merged_pair(v, w, size) for v, w, size in pairs]
        bias = torch.tensor([b for b, _ in found], dtype=torch.float64).sum(0)
        rows = torch.tensor([row for _, row in found], dtype=torch.float64)
        return (self.h[:, ::2] - self.h[:, 1::2]).sign(), rows, bias


def _conclusion(case: Pairs) -> dict[str, Part]:
    x, (codes, rows, bias) = case.h @ case.rows, case.merged
    error = (x - codes @ rows - bias).norm(dim=1).max()
    first = case.rows[::2]
    cosine = ((rows / rows.norm(dim=1, keepdim=True)) * first).sum(1).abs()
    product = (first * case.rows[1::2]).sum(1)
    signs = [(float((c > 0).double().mean()), float((c < 0).double().mean())) for c in codes.unbind(1)]
    rates = (case.h != 0).double().mean(0).tolist()
    used = [2 * min(pair) for pair in zip(rates[::2], rates[1::2], strict=True)]
    return {
        "exact": equal(error, 0.0, unit=max(case.sizes)),
        "cosine with either": equal(cosine, [theory.merged_cosine(v) for v in product.tolist()]),
        "bipolarity": equal([theory.bipolarity(p, q) if p + q else 0.0 for p, q in signs], used),
    }


def _merge(symbols, ops):
    """bias + row = size v, bias - row = size w, and the squared cosine of row and v for unit rows."""
    size = symbols("a", positive=True)
    for d in (1, 2, 3):
        v, w = symbols(f"v:{d}"), symbols(f"w:{d}")
        bias, row = theory.merged_pair(v, w, size)
        yield from ((b + r, size * p) for b, r, p in zip(bias, row, v, strict=True))
        yield from ((b - r, size * p) for b, r, p in zip(bias, row, w, strict=True))
    g = symbols("g")
    dot, length2 = size * (1 - g) / 2, size**2 * (2 - 2 * g) / 4  # <row, v>, |row|²
    yield dot**2 / length2, theory.merged_cosine(g, ops=ops) ** 2


def _many_coordinates(draw: Draw) -> Coordinates:
    v, w = ([Fraction(p) for p in draw.vector(draw.d)] for _ in range(2))
    size = draw.number()
    bias, row = theory.merged_pair(v, w, size)
    yield len(bias), draw.d
    yield [b + r for b, r in zip(bias, row, strict=True)], [size * p for p in v]
    yield [b - r for b, r in zip(bias, row, strict=True)], [size * p for p in w]


def _pair(unknowns, ops):
    """One more pair at one coordinate: its first feature is on where the sign is 1, its second where it is -1."""
    x, x_hat, v, w, size, sign = unknowns("x x_hat v w size sign")
    (bias,), (row,) = theory.merged_pair([v], [w], size)
    after = {"x": x + ops.where(sign == 1, size * v, size * w), "x_hat": x_hat + bias + sign * row}
    return smt.Invariant([x == x_hat], after, given=[(sign == 1) | (sign == -1)])


def _coordinate(unknowns, ops):
    """<row, v>, <row, w> and |row|² by products of v and w, one coordinate more."""
    v, w, size = unknowns("v w size")
    (row,) = theory.merged_pair([v], [w], size)[1]
    first, second, length2, vv, vw, ww = unknowns("first second length2 vv vw ww")
    says = [2 * first == size * (vv - vw), 2 * second == size * (vw - ww)]
    says += [4 * length2 == size * size * (vv - 2 * vw + ww)]
    after = {"first": first + row * v, "second": second + row * w, "length2": length2 + row * row}
    return smt.Invariant(says, {**after, "vv": vv + v * v, "vw": vw + v * w, "ww": ww + w * w})


def _cosine(unknowns, ops):
    """At |v| = |w| = 1: |<row, v>| = |<row, w>| = cos |row|."""
    first, second, length2, product, size = unknowns("first second length2 product size")
    given = [
        size > 0,
        product < 1,
        product >= -1,
        2 * first == size * (1 - product),
        2 * second == size * (product - 1),
    ]
    given += [4 * length2 == size * size * (2 - 2 * product)]
    cosine = theory.merged_cosine(product, ops=ops)
    return given, [ops.abs(along) == cosine * ops.sqrt(length2) for along in (first, second)]


def _usage(unknowns, ops):
    """For a pair always on, P(first) + P(second) = 1: bipolarity is 2 min, 1 at even odds."""
    p, q = unknowns("p q")
    return [p >= 0, q >= 0, p + q == 1], [theory.bipolarity(p, q, ops=ops) == 2 * ops.where(p <= q, p, q)]


def _active(case: Pairs) -> Tensor:
    return (case.h != 0).double().unflatten(1, (-1, 2)).sum(2)


EXCLUSIVE = Hypothesis("never both", lambda case: (_active(case) - 1).clamp_min(0).amax(1))
ALWAYS = Hypothesis("always one of them", lambda case: (1 - _active(case)).clamp_min(0).amax(1))
FIXED = Hypothesis("one size a pair", lambda case: _spread(case))


def _several(case: Pairs) -> bool:
    """Two pairs or more, not at right angles, and both features of one fire."""
    both = (case.h.amax(0).view(-1, 2) > 0).all(1)
    return len(case.sizes) > 1 and overlapping(case.rows) and bool(both.any())


def _spread(case: Pairs) -> Tensor:
    sizes = torch.tensor(case.sizes, dtype=torch.float64).repeat_interleave(2)
    return torch.where(case.h != 0, (case.h - sizes).abs(), 0.0).amax(1)


@st.composite
def _pairs(draw, on=True, both=False, varied=False, length=1.0):
    count, extra = draw(st.integers(1, 3)), draw(st.integers(0, 2))
    rows = draw(unit_rows(2 * count, count + 1 + extra))
    if float(overlaps(rows).max()) > 1 - 1e-9:
        rows = torch.eye(2 * count, dtype=torch.float64)
    sizes = tuple(max(v, 0.1) for v in draw(st.lists(numbers(0.1, 3), min_size=count, max_size=count)))
    choices = draw(st.lists(st.lists(st.booleans(), min_size=count, max_size=count), min_size=1, max_size=6))
    h = torch.zeros(len(choices), 2 * count, dtype=torch.float64)
    for n, row in enumerate(choices):
        for q, second in enumerate(row):
            h[n, 2 * q + second] = sizes[q]
    if not on:
        h = torch.cat((h, torch.zeros_like(h[:1])))
    if both:
        h[0, :2] = sizes[0]
    if varied:
        h[0] *= 1.5
    return Pairs(length * rows, h, sizes)


CLAIM = Claim(
    id="AT-8",
    statement=(
        "Two features, never both on, always one, at one size a: x = a(v + w)/2 ± a(v − w)/2, so b_dec and one signed "
        "latent code them without error: 2P features in P latents. Its cosine with either is √((1 − ⟨v, w⟩)/2) and its "
        "bipolarity 2 min(p, 1 − p): both signs in use is no evidence of a signed axis."
    ),
    tex=r"x=\tfrac a2(v+w)\pm\tfrac a2(v-w)",
    source="ours; the converse of the story of Zhu, Khalili, Zhu (2025), arXiv 2510.00404",
    kind="identity",
    promised=Verdict.PROVED,
    hypotheses=(EXCLUSIVE, ALWAYS, FIXED, UNIT_ROWS),
    instances=_pairs(),
    nontrivial=_several,
    conclusion=_conclusion,
    controls=(
        Control(EXCLUSIVE.name, _pairs(both=True), "both at once"),
        Control(ALWAYS.name, _pairs(on=False), "silent in one sample: b_dec alone is too much"),
        Control(FIXED.name, _pairs(varied=True), "half as much again in one sample"),
        Control("unit rows", _pairs(length=2.0), "rows of length 2: the cosine's formula"),
    ),
    proofs={
        "exact": smt.induction("x = Σ (bias ± row)", "all P, d: induction over pairs, coordinate by coordinate", _pair),
        "cosine with either": (
            smt.induction("⟨row, v⟩, ⟨row, w⟩, |row|²", "all d: induction over coordinates", _coordinate),
            smt.implies("the cosine with either", "all ⟨v, w⟩ < 1", _cosine),
        ),
        "bipolarity": smt.implies("bipolarity of a pair always on", "all rates", _usage),
        LOOPS: (
            symbolic.identity("the two values, and the cosine", "d = 1..3", _merge),
            evaluated("the two values, coordinate by coordinate", _many_coordinates),
        ),
    },
    mutants=(
        Mutant("whole differences", theory.merged_pair, lambda v, w, a: _whole(v, w, a)),
        Mutant("cosine of the mean", theory.merged_cosine, lambda g, *, ops=FLOAT: ops.sqrt((1 + g) / 2)),
        Mutant("min without 2", theory.bipolarity, lambda p, q, *, ops=FLOAT: ops.smaller(p, q) / (p + q)),
    ),
    note="If the pair is not always on, a(v + w)/2 costs a latent of its own, and k decides.",
)


def _whole(v, w, a):
    return [a * (x + y) / 2 for x, y in zip(v, w, strict=True)], [a * (x - y) for x, y in zip(v, w, strict=True)]
