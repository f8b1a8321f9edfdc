"""AFA-13: how many entries of a true code the top-AFA rule keeps."""

import torch
from hypothesis import strategies as st

from proofs_check.claim import BESIDE as ALONGSIDE
from proofs_check.claim import LOOPS, Claim, Control, Mutant, Part, Verdict, Void, at_most, equal
from proofs_check.claims.afa.inductions import NEAREST, PASS, VECTORISED, moves
from proofs_check.engines import smt
from proofs_check.instances.draw import mixtures
from proofs_check.instances.selection import BESIDE, Selection
from workbench.tensors import TENSOR
from workbench.theory import top_afa


def _conclusion(case: Selection) -> dict[str, Part]:
    positive = (case.contributions > 0).sum(1)
    full = case.norms[:, -1]
    before = case.norms.gather(1, (positive - 2).clamp_min(0)[:, None]).squeeze(1)
    edge = top_afa.exact_count_above(before, full)
    least = torch.where(case.contributions > 0, case.contributions, torch.inf).amin(1)
    bound = top_afa.missed_at_most(full**2, case.tau**2, least**2, ops=TENSOR)
    on_edge = bool(((case.tau - edge).abs() <= 1e-9 * full).any())
    exact = equal((case.count == positive).double(), (case.tau > edge).double())
    return {
        "K kept iff τ above the midpoint": Void("τ within rounding of the midpoint") if on_edge else exact,
        "never more than K": at_most(case.count, positive),
        "missed": at_most(positive - case.count, bound),
    }


def _exact(unknowns, ops):
    """K entries and a zero beside them, so that the last prefix appears twice: the shipped loop, ties included."""
    norms, tau = unknowns("C1 C2 C3 C4"), unknowns("tau")
    rising = [a < b for a, b in zip([0, *norms], norms, strict=False)]
    found = []
    for count in (2, 3, 4):
        kept = top_afa.nearest_prefix([*norms[:count], norms[count - 1]], tau, ops=ops)
        edge = top_afa.exact_count_above(norms[count - 2], norms[count - 1])
        found += [(kept == count) == (tau > edge), kept <= count]
    return rising, found


def _at_the_last(unknowns, ops):
    """Of the K - 1 prefixes up to `before` the nearest is held; then comes `full`."""
    held, before, full, tau = unknowns("held before full tau")
    given = [held <= before, before < full, ops.abs(held - tau) <= ops.abs(before - tau)]
    return given, [moves(held, full, tau, ops) == (tau > top_afa.exact_count_above(before, full))]


def _past_the_last(unknowns, ops):
    """A zero more leaves the norm at `full`, which was passed."""
    held, full, tau = unknowns("held full tau")
    return [ops.abs(held - tau) <= ops.abs(full - tau)], [~moves(held, full, tau, ops)]


def _entry(unknowns, ops):
    """C² after one more entry of at least h_min."""
    square, following, after, least2, h2 = unknowns("square following2 after least2 h2")
    start = {"square": following, "after": 0}
    return smt.Invariant(
        [square >= following + after * least2], {"square": square + h2, "after": after + 1}, start, [h2 >= least2]
    )


def _missed(unknowns, ops):
    """The rule stops at k with tau no farther from C_k than from C_{k+1}; `after` entries of at least h_min follow."""
    kept, following, full, tau, after, least = unknowns("kept following full tau after least")
    given = [kept >= 0, kept < following, following <= full, tau >= 0, least > 0, after >= 0]
    given += [ops.abs(kept - tau) <= ops.abs(following - tau)]
    given += [full * full >= following * following + after * least * least]
    return given, [after + 1 < top_afa.missed_at_most(full * full, tau * tau, least * least, ops=ops)]


@st.composite
def _codes(draw, beside=True):
    case = draw(mixtures(nonnegative=True, n=(2, 8), active=2))
    h = case.h[:, case.h[0] > 0]
    h = torch.cat((h, torch.zeros(1, 1, dtype=h.dtype)), 1) if beside else h
    tau = case.x2.sqrt() if beside else h.norm(dim=1)
    return Selection(h, tau, tau, 0.0, sentinel=1e4)


CLAIM = Claim(
    id="AFA-13",
    statement=(
        "Given a true code h ≥ 0 with K ≥ 2 entries and τ = |hV|, the rule keeps all K iff τ > (C_{K−1} + C_K)/2, "
        "never more than K, and misses fewer than 1 + max(0, |h|² − τ²)/min h_i². The reference's sentinel must "
        "have an inactive latent to replace."
    ),
    tex=r"k^\ast=K\ \Leftrightarrow\ 2\tau>C_{K-1}+C_K,\qquad K-k^\ast<1+\frac{(\|h\|^2-\tau^2)_+}{h_{\min}^2}",
    source="ours",
    kind="bound",
    promised=Verdict.PROVED,
    hypotheses=(BESIDE,),
    instances=_codes(),
    nontrivial=lambda case: (case.contributions > 0).sum() > 1 and case.tau > case.norms[:, 0],
    conclusion=_conclusion,
    controls=(Control(BESIDE.name, _codes(beside=False), "the reference's sentinel takes the place of C_K itself"),),
    proofs={
        LOOPS: (PASS, VECTORISED),
        ALONGSIDE: smt.implies("K kept iff τ above the midpoint, never more, shipped loop", "K = 2..4", _exact),
        ("K kept iff τ above the midpoint", "never more than K", "missed"): NEAREST,
        "K kept iff τ above the midpoint": smt.implies(
            "the pass moves to C_K iff τ is above the midpoint", "all K ≥ 2", _at_the_last
        ),
        ("K kept iff τ above the midpoint", "never more than K"): smt.implies(
            "the pass stays where the norm does", "all K", _past_the_last
        ),
        "missed": (
            smt.induction("entries after a prefix hold h_min² each", "all K: induction over entries", _entry),
            smt.implies("the bound on missed entries", "all K", _missed),
        ),
    },
    mutants=(
        Mutant("C_{K−1} for the midpoint", top_afa.exact_count_above, lambda before, full: before),
        Mutant(
            "without the 1", top_afa.missed_at_most, lambda h2, t2, l2, *, ops: ops.larger(ops.num("0"), h2 - t2) / l2
        ),
        Mutant(
            "a quarter of the missing energy",
            top_afa.missed_at_most,
            lambda h2, t2, l2, *, ops: 1 + ops.larger(ops.num("0"), h2 - t2) / (4 * l2),
        ),
    ),
    note=(
        "At the midpoint itself both prefixes are equally near and the first, K − 1, is kept: the condition is "
        "strict. The proofs are of the rule as a loop over norms; that the vectorised one keeps the same is tried at "
        "a few draws up to m = 65. With the deviation √(2/d) of AFA-7, flat codes would be counted exactly up to about "
        "K = √(d/8): an estimate, measured by the experiment, not part of what is proved."
    ),
    shown_by="experiments/afa/rule.py",
)
