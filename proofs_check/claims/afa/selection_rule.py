"""AFA-12: the algebra of the top-AFA rule."""

from dataclasses import dataclass, field, replace

import torch
from hypothesis import strategies as st
from torch import Tensor

from proofs_check.claim import BESIDE as ALONGSIDE
from proofs_check.claim import LOOPS, Claim, Control, Mutant, Part, Verdict, at_most, equal
from proofs_check.claims.afa.inductions import NEAREST, PASS, VECTORISED, moves
from proofs_check.engines import smt
from proofs_check.instances.draw import selections
from proofs_check.instances.selection import BESIDE, WITHIN, Selection
from workbench.theory import top_afa
from workbench.theory.ops import FLOAT


@dataclass(frozen=True, eq=False)
class Staircase(Selection):
    """A selection, with a larger target, a factor and a relabelling to compare it with."""

    later: Tensor = field(default_factory=lambda: torch.zeros(0))
    factor: float = 1.0
    order: Tensor = field(default_factory=lambda: torch.zeros(0))


def _by_loop(case: Staircase, tau: Tensor) -> list[int]:
    return [
        min(top_afa.nearest_prefix(top_afa.prefix_norms(row), goal), sum(v > 0 for v in row))
        for row, goal in zip(case.ordered.tolist(), tau.tolist(), strict=True)
    ]


def _conclusion(case: Staircase) -> dict[str, Part]:
    mark, by = case.sentinel, case.factor
    scaled = replace(case, contributions=by * case.contributions, tau=by * case.tau, sentinel=mark and by * mark)
    relabelled = replace(case, contributions=case.contributions[:, case.order])
    later = replace(case, tau=case.later)
    below, above = case.around  # C_j, C_{j+1}
    bound = torch.tensor([top_afa.half_gap_bound(*ab) for ab in case.ordered[:, :2].tolist()], dtype=torch.float64)
    return {
        "vectorised = loop": equal(case.count, _by_loop(case, case.tau)),
        "monotone in τ": at_most(case.count, later.count),
        "scale": equal(scaled.count, case.count),
        "relabelling": equal(relabelled.f_norm, case.f_norm, unit=case.tau),
        "half gap": at_most((case.f_norm - case.tau).abs(), top_afa.half_gap(below, above), unit=case.tau),
        "half gap ≤ a₂²/(2(C₁ + C₂))": at_most(top_afa.half_gap(below, above), bound, unit=case.tau),
        "≤ a₂/4": at_most(bound, case.ordered[:, 1] / 4, unit=case.tau),
    }


def _next_prefix(unknowns, ops):
    """Of `passed` prefixes the pass for tau holds the i-th, of norm a, that for the later target the j-th, of b."""
    a, b, last, new, tau, later, i, j, passed = unknowns("a b last new tau later i j passed")
    says = [a <= b, b <= last, i <= j, j <= passed, ops.abs(a - tau) <= ops.abs(b - tau)]
    first, second = moves(a, new, tau, ops), moves(b, new, later, ops)
    after = {"a": ops.where(first, new, a), "b": ops.where(second, new, b), "last": new, "passed": passed + 1}
    after |= {"i": ops.where(first, passed + 1, i), "j": ops.where(second, passed + 1, j)}
    start = {"a": new, "b": new, "last": new, "passed": 1, "i": 1, "j": 1}
    return smt.Invariant(says, after, start, [tau <= later, last <= new])


def _next_scaled(unknowns, ops):
    """One pass holds the i-th prefix, of norm a; that of what is scaled the j-th, of norm b."""
    a, b, i, j, new, tau, factor, count = unknowns("a b i j new tau factor count")
    first, second = moves(a, new, tau, ops), moves(b, factor * new, factor * tau, ops)
    after = {"a": ops.where(first, new, a), "b": ops.where(second, factor * new, b)}
    after |= {"i": ops.where(first, count, i), "j": ops.where(second, count, j)}
    start = {"a": new, "b": factor * new, "i": 1, "j": 1}
    return smt.Invariant([b == factor * a, i == j], after, start, [factor > 0])


def _half_gap(unknowns, ops):
    """What is kept is as near as both ends of the gap."""
    kept, below, above, tau = unknowns("kept below above tau")
    miss = ops.abs(kept - tau)
    given = [below <= tau, tau <= above, miss <= ops.abs(below - tau), miss <= ops.abs(above - tau)]
    return given, [miss <= top_afa.half_gap(below, above)]


def _bound(unknowns, ops):
    """C_j >= C_1 = a_1 >= a_2 >= a_{j+1}, so C_{j+1} - C_j = a_{j+1}² / (C_j + C_{j+1}) is largest at j = 1."""
    first, second, later, below = unknowns("first second later below")
    above = ops.sqrt(below * below + later * later)
    bound = top_afa.half_gap_bound(first, second, ops=ops)
    given = [first > 0, first >= second, second >= later, later >= 0, below >= first]
    return given, [top_afa.half_gap(below, above) <= bound, bound <= second / 4]


@st.composite
def _staircases(draw, inside=True, sentinel=False):
    """With `sentinel`, one that replaces the norm of all; else one that replaces a zero, or none."""
    case = draw(selections((2, 12), inside=inside))
    row = case.contributions
    mark = 1e4 if sentinel or draw(st.booleans()) else None
    if mark:
        row = row.clamp_min(0.5) if sentinel else torch.cat((row, torch.zeros(1, 1, dtype=row.dtype)), 1)
    tau = Selection(row, case.tau, case.tau, 0.0).norms[:, -1] if sentinel else case.tau
    later = tau + draw(st.floats(0, 1)) * (case.norms[:, -1] - tau).clamp_min(0)
    order = torch.tensor(draw(st.permutations(range(row.shape[1]))))
    return Staircase(row, tau, tau, 0.0, mark, later, draw(st.sampled_from([0.25, 2.0, 1024.0])), order)


@st.composite
def _halfway(draw):
    case = draw(_staircases())
    tau = case.norms[:, :2].mean(1)
    return replace(case, tau=tau, later=tau)


def _tie():
    """Contributions 4 and 3, norms 4 and 5, target 4.5."""
    row, tau = torch.tensor([[4.0, 3.0]], dtype=torch.float64), torch.tensor([4.5], dtype=torch.float64)
    return st.just(Staircase(row, tau, tau, 0.0, None, tau, 2.0, torch.tensor([0, 1])))


def _last_on_ties(norms, tau, *, ops=FLOAT):
    return max(range(len(norms)), key=lambda i: (-abs(norms[i] - tau), i)) + 1


def _first_to_reach(norms, tau, *, ops=FLOAT):
    return next((i for i, norm in enumerate(norms, 1) if norm >= tau), len(norms))


CLAIM = Claim(
    id="AFA-12",
    statement=(
        "With C_k the norm of the k largest contributions, the rule keeps the first k with the least |C_k − τ|. It "
        "keeps no fewer for a larger τ, does not depend on scale or labels, and for C_1 ≤ τ ≤ C_m misses τ by at "
        "most half the gap it falls into, which is at most a₂²/(2(C₁ + C₂)) ≤ a₂/4. The reference's sentinel must "
        "have an inactive latent to replace."
    ),
    tex=r"\left|\|f\|-\tau\right|\leq\frac{C_{j+1}-C_j}{2}\leq\frac{a_{(2)}^2}{2(C_1+C_2)}\leq\frac{a_{(2)}}{4}",
    source="rule: Lee et al. (2025), arXiv 2503.24277, reference code; properties: ours",
    stated="ours",
    kind="tight",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(WITHIN, BESIDE),
    instances=_staircases(),
    conclusion=_conclusion,
    extremal={"half gap": _halfway(), "half gap ≤ a₂²/(2(C₁ + C₂))": _halfway()},
    controls=(
        Control(WITHIN.name, _staircases(inside=False), "τ below C_1 or above C_m: the miss has no bound"),
        Control(BESIDE.name, _staircases(sentinel=True), "the sentinel takes the place of C_m itself"),
    ),
    proofs={
        LOOPS: (PASS, VECTORISED),
        "monotone in τ": smt.induction(
            "no fewer for a larger target", "all numbers of prefixes: induction", _next_prefix
        ),
        "scale": smt.induction(
            "scaling changes no choice of the pass", "all numbers of prefixes: induction", _next_scaled
        ),
        "half gap": (NEAREST, smt.implies("so within half the gap", "all gaps", _half_gap)),
        ("half gap ≤ a₂²/(2(C₁ + C₂))", "≤ a₂/4"): smt.implies("the first gap bounds all", "all j", _bound),
    },
    kernel={
        ALONGSIDE: "selection.nearest_prefix_first",
    },
    mutants=(
        Mutant("last k on ties", top_afa.nearest_prefix, _last_on_ties, _tie()),
        Mutant("first to reach τ", top_afa.nearest_prefix, _first_to_reach),
        Mutant("sums for norms", top_afa.prefix_norms, lambda a, *, ops=None: [sum(a[: i + 1]) for i in range(len(a))]),
        Mutant("a quarter of the gap", top_afa.half_gap, lambda below, above: (above - below) / 4),
        Mutant("C₁ for C₁ + C₂", top_afa.half_gap_bound, lambda a, b, *, ops=None: b * b / (4 * a)),
        Mutant("half the bound", top_afa.half_gap_bound, lambda a, b, *, ops=None: b * b / (8 * a)),
    ),
    note=(
        "The proofs are of the rule as a loop over norms; that the vectorised one, which the SAE runs, keeps the same "
        "is tried at a few draws up to m = 65 and sampled at smaller m. That labels do not matter to it is sampled."
    ),
    shown_by="experiments/afa/rule.py",
)
