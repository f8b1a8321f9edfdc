"""BA-1: products of activations are products of codes, to within coherence."""

import torch
from hypothesis import strategies as st

from proofs_check.claim import LOOPS, Claim, Control, Mutant, Part, Verdict, at_most, equal
from proofs_check.engines import smt, symbolic
from proofs_check.instances.draw import codes, mixtures, numbers
from proofs_check.instances.inductions import BILINEAR
from proofs_check.instances.loops import evaluated
from proofs_check.instances.mixture import EXACT, UNIT_ROWS, Mixture
from synthetic.base.streams import stream
from synthetic.laws.directions import Cone
from workbench.theory import bias as theory
from workbench.theory import coherence


def _conclusion(case: Mixture) -> dict[str, Part]:
    (h, other), (x, y) = case.h, case.x
    l1, other_l1 = case.l1
    gap = x @ y - h @ other
    size = torch.where(l1 * other_l1 > 0, l1 * other_l1, 1.0)
    products = (case.rows @ case.rows.T).tolist()
    return {
        "l1 form": at_most(gap.abs(), theory.gram_gap(l1, other_l1, case.coherence), unit=size),
        "distinct pairs": at_most(
            gap.abs(), theory.gram_gap(l1, other_l1, case.coherence, shared=(h * other).abs().sum()), unit=size
        ),
        "sum": equal(gap, theory.cross_interference(h.tolist(), other.tolist(), products), unit=size),
    }


def _expansion(symbols, ops):
    """Unit rows enter as <v_i, v_i> = 1: the gap is the sum over distinct pairs, plus what the lengths add."""
    for n, d in ((2, 1), (2, 2), (3, 2), (4, 3)):
        rows = [symbols(f"v{i}_:{d}") for i in range(n)]
        h, other = symbols(f"h:{n}"), symbols(f"k:{n}")
        x, y = ([sum(a * v[c] for a, v in zip(code, rows, strict=True)) for c in range(d)] for code in (h, other))
        g = coherence.gram(rows)
        lengths = sum(h[i] * other[i] * (g[i][i] - 1) for i in range(n))
        gap = sum(a * b for a, b in zip(x, y, strict=True)) - sum(a * b for a, b in zip(h, other, strict=True))
        yield gap, theory.cross_interference(h, other, g) + lengths


def _row(unknowns, ops):
    """One more row v of unit length, with entries t and s: <x + tv, y + sv> less the codes' product, and the sum.

    g and k are the products of v with x and y.
    """
    xy, codes, total, g, k, t, s, v2 = unknowns("xy codes total g k t s v2")
    after = {"xy": xy + t * k + s * g + t * s * v2, "codes": codes + t * s, "total": total + t * k + s * g}
    return smt.Invariant([xy - codes == total], after, given=[v2 == 1])


def _grown(symbols, ops):
    """The shipped sum grows by t k + s g with a row of entries t and s, and by h'_j g_j with each entry of h'."""
    for n in (1, 2, 3):
        h, other = symbols(f"h:{n + 1}"), symbols(f"k:{n + 1}")
        g = [[symbols(f"g{max(i, j)}{min(i, j)}") for j in range(n + 1)] for i in range(n + 1)]
        shorter = theory.cross_interference(h[:n], other[:n], g)
        along = [sum(code[i] * g[i][n] for i in range(n)) for code in (h, other)]
        yield theory.cross_interference(h, other, g) - shorter, h[n] * along[1] + other[n] * along[0]
    for n in (2, 3, 4):
        h, other = symbols(f"h:{n}"), symbols(f"k:{n}")
        g = [[symbols(f"g{max(i, j)}{min(i, j)}") for j in range(n)] for i in range(n)]
        for j in range(n):
            before, after = [*other[:j], *[0] * (n - j)], [*other[: j + 1], *[0] * (n - j - 1)]
            grown = theory.cross_interference(h, after, g) - theory.cross_interference(h, before, g)
            yield grown, other[j] * sum(h[i] * g[i][j] for i in range(n) if i != j)


def _long(draw):
    h, other, rows = draw.vector(draw.n), draw.vector(draw.n), draw.rows(draw.n, draw.d)
    x, y = ([sum(a * v[c] for a, v in zip(code, rows, strict=True)) for c in range(draw.d)] for code in (h, other))
    g = coherence.gram(rows)
    own = sum(a * b * g[i][i] for i, (a, b) in enumerate(zip(h, other, strict=True)))
    yield theory.cross_interference(h, other, g), sum(a * b for a, b in zip(x, y, strict=True)) - own


def _product(unknowns, ops):
    """One more row i != j: |g_j| <= mu (|h|_1 - |h_j|) stays true."""
    g, rest, t, product, mu = unknowns("g rest t product mu")
    size = ops.abs
    after = {"g": g + t * product, "rest": rest + size(t)}
    return smt.Invariant([size(g) <= mu * rest], after, given=[mu >= 0, size(product) <= mu])


def _entry(unknowns, ops):
    """One more entry h'_j: its share is at most |h'_j| mu (|h|_1 - |h_j|)."""
    gap, l1, other, shared, mine, t, g, mu = unknowns("gap l1 other shared mine t g mu")
    size = ops.abs
    given = [mu >= 0, l1 >= size(mine), size(g) <= mu * (l1 - size(mine))]
    after = {"gap": gap + t * g, "other": other + size(t), "shared": shared + size(mine * t)}
    return smt.Invariant([size(gap) <= theory.gram_gap(l1, other, mu, shared=shared)], after, given=given)


def _looser(unknowns, ops):
    l1, other, shared, mu = unknowns("l1 other shared mu")
    tight = theory.gram_gap(l1, other, mu, shared=shared)
    return [mu >= 0, shared >= 0], [tight <= theory.gram_gap(l1, other, mu)]


@st.composite
def _pairs(draw):
    """Two samples of one dictionary, the second at times equal to the first."""
    first = draw(mixtures((1, 6), (1, 5)))
    second = draw(st.just(first.h[0]) | codes(first.m))
    return Mixture.exact(first.rows, torch.stack((first.h[0], second)))


@st.composite
def _cones(draw, apart):
    """Nonnegative codes on a cone, with supports apart."""
    n = draw(st.integers(2, 6))
    rows = Cone(draw(numbers(0.01, 0.95))).draw(n, n, stream(0, "cone"))
    h = torch.stack([draw(codes(n, nonnegative=True, active=2)) for _ in range(2)])
    if apart:
        h[0, 0] = h[1, -1] = 1.0
        h[0, 1:] = h[1, :1] = 0.0
    return Mixture.exact(rows, h)


def _witness(length=1.0, more=0.0):
    """V a multiple of I, and twice h = (1, 1), with something beside the second."""
    case = Mixture.exact(length * torch.eye(2), [[1.0, 1], [1, 1]])
    return Mixture(case.rows, case.h, case.x + case.x.new_tensor([[0, 0], [0, more]]))


CLAIM = Claim(
    id="BA-1",
    statement=(
        "For unit rows of coherence μ and any two samples x = hV, x' = h'V: |⟨x, x'⟩ − ⟨h, h'⟩| ≤ μ(|h|₁|h'|₁ − "
        "Σ|h_i h'_i|) ≤ μ|h|₁|h'|₁, whatever the signs. Cones attain both, as drawn, the "
        "second by disjoint supports."
    ),
    tex=r"|\langle x,x'\rangle-\langle h,h'\rangle|\leq\mu\,\|h\|_1\|h'\|_1",
    source="ours; behind the identifiability theorem 5.3 of Chen et al. (2025), arXiv 2506.14002",
    kind="tight",
    promised=Verdict.PROVED,
    hypotheses=(UNIT_ROWS, EXACT),
    instances=_pairs(),
    conclusion=_conclusion,
    extremal={"l1 form": _cones(apart=True), "distinct pairs": _cones(apart=False)},
    controls=(
        Control("unit rows", numbers(1.5, 3).map(_witness), "V = 2I: all products of distinct rows are 0"),
        Control("exact: x = hV", numbers(0.1, 2).map(lambda t: _witness(more=t)), "V = I, x = h + ρ"),
    ),
    proofs={
        ("l1 form", "distinct pairs", "sum"): (
            BILINEAR,
            smt.induction("⟨x, x'⟩ − ⟨h, h'⟩ is the sum over distinct pairs", "all n: induction over rows", _row),
        ),
        LOOPS: (
            symbolic.identity("the shipped sum grows by a row's share, by an entry's", "n = 1..4", _grown),
            symbolic.identity("it is the gap, coordinate by coordinate", "(n, d) up to (4, 3)", _expansion),
            evaluated("cross_interference, as the gap less what lengths add", _long),
        ),
        ("l1 form", "distinct pairs"): (
            smt.induction("|g_j| ≤ μ(|h|₁ − |h_j|)", "all n: induction over rows", _product),
            smt.induction("|gap| ≤ μ(|h|₁|h'|₁ − Σ|h_i h'_i|)", "all n: induction over entries of h'", _entry),
        ),
        "l1 form": smt.implies("the l1 form is looser", "all n", _looser),
    },
    kernel={"distinct pairs": "coherence.two_codes"},
    mutants=(
        Mutant("half", theory.gram_gap, lambda a, b, mu, *, shared=0: mu * (a * b - shared) / 2),
        Mutant("shared part twice", theory.gram_gap, lambda a, b, mu, *, shared=0: mu * (a * b - 2 * shared)),
        Mutant(
            "each pair once",
            theory.cross_interference,
            lambda h, k, g: sum(h[i] * k[j] * g[i][j] for i in range(len(h)) for j in range(i)),
        ),
    ),
    note="Two decompositions of one data set so share HHᵀ to within μ|h|₁|h'|₁ + μ'|k|₁|k'|₁. H ≥ 0 is not needed.",
)
