"""AFA-10: what norms alone say of a dictionary's coherence, from the weakest bound to the best."""

import torch
from torch import Tensor

from proofs_check.claim import BESIDE, LOOPS, Claim, Control, Mutant, Part, Verdict, at_most, equal
from proofs_check.engines import smt, symbolic
from proofs_check.instances.draw import cones, mixtures
from proofs_check.instances.inductions import CAUCHY_SCHWARZ, ENERGY, L1_FORM, UNROLL
from proofs_check.instances.loops import evaluated
from proofs_check.instances.mixture import EXACT, UNIT_ROWS, Mixture
from proofs_check.instances.witnesses import orthonormal_with_rest, twice_the_identity
from synthetic.laws import directions
from workbench.tensors import TENSOR
from workbench.theory import afa, coherence


def _conclusion(case: Mixture) -> dict[str, Part]:
    x2, h2, mu = case.x2, case.h2, case.support_coherence

    def spoken(values: Tensor) -> Tensor:
        """The bounds of samples with two active rows or more; 0 for the others, of which norms say nothing."""
        return torch.where(case.k >= 2, values, 0.0)

    dense = spoken(afa.lbo_dense(x2, h2, case.m, ops=TENSOR))
    by_k, by_l1 = spoken(afa.lbo_k(x2, h2, case.k, ops=TENSOR)), spoken(afa.lbo_1(x2, h2, case.l1, ops=TENSOR))
    padded = spoken(afa.lbo_dense(x2, h2, 3 * case.m, ops=TENSOR))  # as if two dead rows stood beside each
    return {
        "dense ≤ k": at_most(dense, by_k),
        "k ≤ 1": at_most(by_k, by_l1),
        "1 ≤ μ": at_most(by_l1, mu),
        "μ ≤ ε": at_most(mu, case.coherence),
        "dead rows shrink it": equal(padded * (3 * case.m - 1), dense * (case.m - 1)),
    }


def _chain(unknowns, ops):
    x2, f2, l1, k, m, mu = unknowns("x2 f2 l1 k m mu")
    given = [f2 > 0, x2 >= 0, l1 >= 0, l1 * l1 > f2, l1 * l1 <= k * f2, k >= 2, m >= k, mu >= 0]
    given += [ops.abs(x2 - f2) <= coherence.l1_gap(l1, f2, mu)]
    dense, by_k, by_l1 = (
        afa.lbo_dense(x2, f2, m, ops=ops),
        afa.lbo_k(x2, f2, k, ops=ops),
        afa.lbo_1(x2, f2, l1, ops=ops),
    )
    return given, [dense <= by_k, by_k <= by_l1, by_l1 <= mu]


def _more_rows(unknowns, ops):
    l1, h2, t, a, b = unknowns("l1 h2 t a b")
    after = {"l1": l1 + ops.abs(t), "h2": h2 + t * t}
    start = {"l1": ops.abs(a) + ops.abs(b), "h2": a * a + b * b}
    return smt.Invariant([l1 * l1 > h2, l1 >= 0], after, start, [a != 0, b != 0])


def _pair(unknowns, ops):
    """Each pair counts for eps, and for mu if both of its rows are active."""
    mu, eps, product, active = unknowns("mu eps product active")
    size = ops.abs(product)
    of_support = ops.where(active == 1, ops.larger(mu, size), mu)
    return smt.Invariant([mu <= eps], {"mu": of_support, "eps": ops.larger(eps, size)})


def _largest(draw):
    """The measured mu and eps at whole numbers."""
    rows, h = draw.rows(draw.n, draw.d, 1000), [i % 3 and draw.number(1000) for i in range(draw.n)]
    case = Mixture.exact(rows, h)
    size = {(i, j): abs(g) for i, row in enumerate(coherence.gram(rows)) for j, g in enumerate(row[:i])}
    yield case.coherence, max(size.values())
    yield float(case.support_coherence[0]), max(g for (i, j), g in size.items() if h[i] and h[j])


def _invariances(symbols, ops):
    x2, f2, l1, c, m, more = symbols("x2 f2 l1 c m more", positive=True)
    k = 1 + m
    for form, last in ((afa.lbo_dense, 1 + m), (afa.lbo_k, k), (afa.lbo_1, None)):
        one = form(x2, f2, l1 if last is None else last, ops=ops)
        yield form(c**2 * x2, c**2 * f2, c * l1 if last is None else last, ops=ops), one
    narrow, wide = afa.lbo_dense(x2, f2, 1 + m, ops=ops), afa.lbo_dense(x2, f2, 1 + m + more, ops=ops)
    yield wide * (m + more), narrow * m
    yield afa.log_mismatch(x2, f2, ops=ops), afa.log_mismatch(f2, x2, ops=ops)
    yield afa.log_mismatch(x2, 4 * x2, ops=ops), ops.log(2)


CLAIM = Claim(
    id="AFA-10",
    statement=(
        "For unit rows, x = hV and k ≥ 2 active rows, with r = ||x|²/|h|² − 1|: r/(m − 1) ≤ r/(k − 1) ≤ ||x|² − "
        "|h|²|/(L² − N) ≤ μ ≤ ε. The published eps_LBO is the first: dead rows shrink it at will. The third "
        "equals μ where that is drawn: h > 0 on rows of equal products, on the deficit side with μ ≤ 1/(k − 1)."
    ),
    tex=r"\frac{r}{m-1}\leq\frac{r}{k-1}\leq\frac{|\|x\|^2-\|h\|^2|}{\|h\|_1^2-\|h\|^2}\leq\mu_S\leq\varepsilon",
    source="eps_LBO: Lee et al. (2025), arXiv 2503.24277; the others ours, AFA-3 divided",
    stated="ours",
    kind="tight",
    promised=Verdict.PROVED,
    hypotheses=(UNIT_ROWS, EXACT),
    instances=mixtures() | mixtures(overcomplete=True, active=2),
    conclusion=_conclusion,
    extremal={"1 ≤ μ": cones() | cones(negative=True), "k ≤ 1": cones(flat=True), "dense ≤ k": cones(flat=True)},
    controls=(
        Control("exact: x = hV", orthonormal_with_rest(), "an orthonormal dictionary with a residual: μ = 0 < LBO"),
        Control("unit rows", twice_the_identity(), "V = 2I"),
    ),
    proofs={
        LOOPS: (UNROLL, evaluated("μ and ε are the largest |⟨v_i, v_j⟩|", _largest)),
        "1 ≤ μ": ENERGY,
        ("dense ≤ k", "k ≤ 1", "1 ≤ μ"): (
            *L1_FORM,
            CAUCHY_SCHWARZ,
            smt.induction("L² > N", "all k ≥ 2: induction over rows", _more_rows),
            smt.implies("the chain, from |q| ≤ μ(L² − N) and L² ≤ kN", "all k ≥ 2, m ≥ k", _chain),
        ),
        "μ ≤ ε": smt.induction("a maximum over more pairs", "all n: induction over pairs", _pair),
        "dead rows shrink it": symbolic.identity(
            "invariance to scale; padding; symmetry of the log form", "all sizes", _invariances
        ),
    },
    kernel={
        "1 ≤ μ": "coherence.lower_bound",
        BESIDE: ("coherence.sparse_l1", "coherence.cone_attains"),
    },
    mutants=(
        Mutant("log of squares", afa.log_mismatch, lambda x2, f2, *, ops: ops.abs(ops.log(f2 / x2))),
        Mutant("k for k − 1", afa.lbo_k, lambda x2, f2, k, *, ops: ops.abs(x2 / f2 - 1) / k),
        Mutant("m − 2 for m − 1", afa.lbo_dense, lambda x2, f2, m, *, ops: ops.abs(x2 / f2 - 1) / (m - 2)),
        Mutant("L² for L² − N", afa.lbo_1, lambda x2, f2, l1, *, ops: ops.abs(x2 - f2) / (l1 * l1)),
        Mutant("ratio without − 1", afa.norm_mismatch, lambda x2, f2, *, ops: x2 / f2),
        Mutant("signed maximum", directions.overlaps, lambda rows: (rows @ rows.T).fill_diagonal_(0).amax(1)),
    ),
    note="LBO = 0 says nothing: f = |x| e_1 has it with any reconstruction error.",
    reads=Mixture,
    shown_by="experiments/afa/bounds.py",
)
