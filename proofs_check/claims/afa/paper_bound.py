"""AFA-2: the published bound, |x|² / (1 + c) <= |h|² <= |x|² / (1 - c) with c = eps (n - 1)."""

from hypothesis import strategies as st

from proofs_check.claim import LOOPS, Claim, Control, Mutant, Part, Verdict, Void, at_most
from proofs_check.engines import smt
from proofs_check.instances.draw import codes, cones, mixtures
from proofs_check.instances.inductions import ENERGY, K_FORM, L1_FORM, UNROLL
from proofs_check.instances.mixture import EXACT, NEARLY, UNIT_ROWS, Mixture
from proofs_check.instances.witnesses import (
    one_oblique,
    orthonormal_with_bias,
    orthonormal_with_rest,
    twice_the_identity,
)
from synthetic.laws import directions
from workbench.theory import afa, coherence


def _conclusion(case: Mixture) -> dict[str, Part]:
    c = coherence.norm_gap(1.0, case.coherence, case.m)
    found: dict[str, Part] = {
        "gap": at_most((case.x2 - case.h2).abs(), coherence.norm_gap(case.h2, case.coherence, case.m), unit=case.unit),
        "lower side": at_most(afa.afa_floor(case.x2, c), case.h2, unit=case.unit),
    }
    if c >= 1 - 1e-6:
        why = Void(f"c = ε(n − 1) = {c:.4g} ≥ 1: see AFA-5")
        return found | {"upper side": why, "norms": why}
    size = case.x2.sqrt()
    return found | {
        "upper side": at_most(case.h2, afa.afa_ceiling(case.x2, c), unit=case.unit),
        "norms": at_most((case.h2.sqrt() - size).abs(), size * afa.norm_error(c), unit=case.unit.sqrt()),
    }


def _floor(unknowns, ops):
    x2, h2, eps, n = unknowns("x2 h2 eps n")
    gap = ops.abs(x2 - h2) <= coherence.norm_gap(h2, eps, n)
    return [gap, x2 >= 0, h2 >= 0, n >= 1, eps >= 0], [afa.afa_floor(x2, coherence.norm_gap(1, eps, n)) <= h2]


def _ceiling(unknowns, ops):
    x2, h2, eps, n = unknowns("x2 h2 eps n")
    c = coherence.norm_gap(1, eps, n)
    gap = ops.abs(x2 - h2) <= coherence.norm_gap(h2, eps, n)
    return [gap, x2 >= 0, h2 >= 0, n >= 1, eps >= 0, c < 1], [h2 <= afa.afa_ceiling(x2, c)]


def _slopes(unknowns, ops):
    x, h, c = unknowns("x h c")
    low, high = afa.zf_slopes(c, ops=ops)
    given = [c >= 0, c < 1, x >= 0, h >= 0, afa.afa_floor(x * x, c) <= h * h, h * h <= afa.afa_ceiling(x * x, c)]
    return given, [low * x <= h, h <= high * x]


def _norms(unknowns, ops):
    """The upper slope is the farther from 1, so it bounds both sides."""
    x, h, c = unknowns("x h c")
    low, high = afa.zf_slopes(c, ops=ops)
    given = [c >= 0, c < 1, x >= 0, h >= 0, low * x <= h, h <= high * x]
    return given, [1 - low <= high - 1, ops.abs(h - x) <= x * afa.norm_error(c, ops=ops)]


def _mean_product(rows):
    return (rows @ rows.T).fill_diagonal_(0).abs().mean().repeat(len(rows)) * len(rows) / max(len(rows) - 1, 1)


def _signed_maximum(rows):
    return (rows @ rows.T).fill_diagonal_(0).amax(1)


@st.composite
def _incoherent(draw):
    """Rows of one product, below 0 mostly of ε(n − 1) < 1, and any code."""
    rows = draw(cones(negative=True) | cones()).rows
    return Mixture.exact(rows, draw(codes(len(rows), active=2)))


CLAIM = Claim(
    id="AFA-2",
    statement=(
        "For unit rows of coherence ε, x = hV and c = ε(n − 1): |x|²/(1 + c) ≤ |h|², and |h|² ≤ |x|²/(1 − c) where "
        "c < 1. Then ||h| − |x|| ≤ |x| (1/√(1 − c) − 1)."
    ),
    tex=r"\frac{\|x\|^2}{1+c}\leq\|h\|^2\leq\frac{\|x\|^2}{1-c},\quad c=\varepsilon(n-1)<1",
    source="Lee et al. (2025), arXiv 2503.24277, the AFA theorem; proof re-derived",
    promised=Verdict.PROVED,
    hypotheses=(UNIT_ROWS, EXACT),
    instances=mixtures() | _incoherent(),
    nontrivial=lambda case: case.support_coherence.max() > NEARLY,
    conclusion=_conclusion,
    controls=(
        Control("unit rows", twice_the_identity(), "V = 2I: all cosines 0; repair: h_i → h_i |v_i|"),
        Control("exact: x = hV", orthonormal_with_rest(), "V = I, x = h + ρ; repair: AFA-11"),
        Control("exact: x = hV", orthonormal_with_bias(), "V = I, x = h + b; repair: b/|b| as one more row"),
    ),
    proofs={
        LOOPS: UNROLL,
        ("gap", "lower side", "upper side", "norms"): (*ENERGY, *L1_FORM, *K_FORM),
        ("lower side", "norms"): smt.implies("the gap gives the lower side", "all n, ε", _floor),
        ("upper side", "norms"): smt.implies("the gap gives the upper side", "all n, ε with c < 1", _ceiling),
        "norms": (
            smt.implies("the sides give the slopes", "all c < 1", _slopes),
            smt.implies("the slopes give the norms", "all c < 1", _norms),
        ),
    },
    kernel={
        "gap": ("coherence.interference_identity", "coherence.count_form"),
        "lower side": "coherence.paper_bound",
        "upper side": "coherence.paper_bound",
    },
    mutants=(
        Mutant("n − 2 in place of n − 1", coherence.norm_gap, lambda h2, mu, k: mu * (k - 2) * h2),
        Mutant("half the gap", coherence.norm_gap, lambda h2, mu, k: mu * (k - 1) * h2 / 2),
        Mutant("c / 2 in the floor", afa.afa_floor, lambda x2, c: x2 / (1 + c / 2)),
        Mutant("sides exchanged", afa.afa_ceiling, lambda x2, c: x2 / (1 + c)),
        Mutant(
            "slopes without roots, c / 2 above", afa.zf_slopes, lambda c, *, ops=None: (1 / (1 + c), 1 / (1 - c / 2))
        ),
        Mutant("c / 4 for the norms", afa.norm_error, lambda c, *, ops=None: c / 4),
        Mutant("mean cosine for the largest", directions.overlaps, _mean_product, one_oblique()),
        Mutant("signed maximum", directions.overlaps, _signed_maximum),
    ),
    note="How often c < 1: never under superposition, AFA-5.",
    reads=Mixture,
    shown_by="experiments/afa/bounds.py",
)
