"""BA-8: what one adaptation may do to a bias, whatever was measured."""

import torch
from hypothesis import strategies as st

from proofs_check.claim import LOOPS, Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most, equal
from proofs_check.claims.bias import adaptation_cases as adaptations
from proofs_check.claims.bias.adaptation_cases import Adaptation
from proofs_check.engines import smt
from proofs_check.instances.draw import mostly, numbers
from workbench.parts import bias_control
from workbench.theory.ops import FLOAT


def _conclusion(case: Adaptation) -> dict[str, Part]:
    new, b, rate = case.moved(), case.b, case.rate
    high, low = rate > case.ceiling, rate < case.floor
    mean = bias_control.group_mean(case.peak, case.group, int(case.group.max()) + 1)
    given = zip(b.tolist(), rate.tolist(), case.peak.tolist(), mean.tolist(), strict=True)
    scalars = [
        adaptations.written_out(v, q, case.ceiling, case.floor, case.down * r, case.up * s, case.lowest, FLOAT)
        for v, q, r, s in given
    ]
    by_hand = [
        sum(p for p, g in zip(case.peak.tolist(), case.group.tolist(), strict=True) if g == own and p > 0)
        / max(1, int(((case.group == own) & (case.peak > 0)).sum()))
        for own in case.group.tolist()
    ]
    silent = torch.where(high & (case.peak == 0), new - b, 0.0)
    return {
        "at least lowest": at_most(case.lowest, new),
        "at most 0": at_most(new, 0.0),
        "q > p: no rise": at_most(torch.where(high, new - b, 0.0), 0.0),
        "q < floor: no fall": at_most(torch.where(low, b - new, 0.0), 0.0),
        "between: nothing": equal(torch.where(high | low, 0.0, new - b), 0.0),
        "a step no longer than its share": at_most(
            (new - b).abs(), torch.maximum(case.down * case.peak, case.up * mean)
        ),
        "no peak, no fall": equal(silent, 0.0),
        "relabelled": equal(case.moved(case.order), new[case.order]),
        "mean of the positive peaks, else 0": equal(mean, torch.tensor(by_hand, dtype=torch.float64)),
        "as written out": equal(new, torch.tensor(scalars, dtype=torch.float64)),
    }


def _cases(unknowns, ops):
    """The share of a peak of 0 is 0, so that no peak, no fall."""
    b, q, p, floor, fallen, raised, lowest = unknowns("b q p floor fallen raised lowest")
    new = adaptations.written_out(b, q, p, floor, fallen, raised, lowest, ops)
    given = [lowest <= b, b <= 0, floor <= p, fallen >= 0, raised >= 0]
    moved, zero = new - b, ops.num("0")
    between = ops.where(q > p, zero, ops.where(q < floor, zero, moved))
    moves = [ops.where(q > p, moved, zero) <= 0, ops.where(q < floor, moved, zero) >= 0, between == 0]
    silent = ops.where((q > p) & (fallen == 0), moved, zero)
    return given, [lowest <= new, new <= 0, *moves, ops.abs(moved) <= ops.larger(fallen, raised), silent == 0]


@st.composite
def _adaptations(draw, outside=0.0, backwards=False):
    m = draw(mostly(st.integers(2, 6), st.integers(1, 6)))
    lowest = -draw(numbers(0.1, 2))
    share = st.sampled_from([0.5, 0.0, 1.0]) | numbers(0, 1)

    def many(value, kind=torch.float64):
        return torch.tensor(draw(st.lists(value, min_size=m, max_size=m)), dtype=kind)

    ceiling = draw(mostly(st.sampled_from([0.5, 0.05]), st.sampled_from([0.5, 0.05, 0.0, 1.0])))
    floor = draw(st.sampled_from([0.0, 1e-6, ceiling, ceiling / 2]).filter(lambda v: v <= ceiling))
    step = mostly(st.sampled_from([0.05, 1.0]), st.sampled_from([0.05, 1.0, 0.0]))
    return Adaptation(
        b=many(mostly(st.just(0.5) | numbers(0.1, 0.9), share)) * lowest + outside * (1.0 - lowest),
        rate=many(st.sampled_from([min(1.0, ceiling + 0.1), 0.0, 1.0, ceiling, floor]) | numbers(0, 1)),
        peak=many(st.sampled_from([1.0, 0.0, 0.3]) | numbers(0, 3)),
        group=many(st.integers(0, 2), torch.long),
        ceiling=ceiling,
        floor=floor,
        down=-0.5 if backwards else draw(step),
        up=draw(step),
        lowest=lowest,
        order=torch.tensor(draw(st.permutations(range(m)))),
    )


def _single(peak, floor):
    """One latent that fires in half of the rows, at p = 1/5."""
    b, rate, peak, first = (torch.tensor([v], dtype=torch.float64) for v in (-0.5, 0.5, peak, 0))
    return Adaptation(b, rate, peak, first.long(), 0.2, floor, 0.1, 0.1, -1.0, first.long())


def _literal(b, rate, ceiling, floor, fallen, raised, lowest):
    risen = (b + raised).clamp_min(0.0)
    return torch.where(rate > ceiling, torch.maximum(b - fallen, lowest), torch.where(rate < floor, risen, b))


def _unclamped(b, rate, ceiling, floor, fallen, raised, lowest):
    return torch.where(rate > ceiling, b - fallen, torch.where(rate < floor, (b + raised).clamp_max(0.0), b))


def _set_point(b, rate, ceiling, floor, fallen, raised, lowest):
    risen = (b + raised).clamp_max(0.0)
    return torch.where(rate > ceiling, torch.maximum(b - fallen, lowest), torch.where(rate < ceiling, risen, b))


def _mean_of_all(peak, group, groups):
    total, count = (peak.new_zeros(groups).scatter_add(0, group, v) for v in (peak, torch.ones_like(peak)))
    return (total / count.clamp_min(1))[group]


def _without_guard(peak, group, groups):
    total, count = (peak.new_zeros(groups).scatter_add(0, group, v) for v in (peak, (peak > 0).double()))
    return (total / count)[group]


INSIDE = Hypothesis("b in [lowest, 0]", lambda case: torch.maximum(case.b, case.lowest - case.b).clamp_min(0).max())
FORWARD = Hypothesis("steps at least 0", lambda case: max(0.0, -case.down, -case.up))
ORDERED = Hypothesis("floor at most the ceiling", lambda case: max(0.0, case.floor - case.ceiling))


CLAIM = Claim(
    id="BA-8",
    statement=(
        "One adaptation keeps b in [lowest, 0]; b does not rise where q > p, does not fall where q < floor, and stays "
        "where floor ≤ q ≤ p. It moves by at most γ₋ r_j or γ₊ r̄_k, so not at all at γ = 0; r̄_k is the mean of the "
        "group's positive peaks, 0 where all are dead; relabelling latents relabels b."
    ),
    tex=(
        r"b_j\leftarrow\max(b_j-\gamma_-r_j,\underline b)\ \text{if}\ q_j>p_k,\quad "
        r"\min(b_j+\gamma_+\bar r_k,0)\ \text{if}\ q_j<\epsilon"
    ),
    source="Chen et al. (2025), arXiv 2506.14002, algorithm 2, min(·, 0) for its printed max(·, 0); laws ours",
    stated="ours",
    kind="identity",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(INSIDE, FORWARD, ORDERED),
    instances=_adaptations(),
    nontrivial=lambda case: len(case.b) > 1 and (case.moved() != case.b).any(),
    conclusion=_conclusion,
    controls=(
        Control(INSIDE.name, _adaptations(outside=1.0), "b above 0 stays there between floor and ceiling"),
        Control(FORWARD.name, _adaptations(backwards=True), "γ₋ < 0: a latent that fires too often is raised"),
        Control(
            ORDERED.name,
            numbers(0.55, 0.9).map(lambda floor: _single(1.0, floor)),
            "p < q < floor: both rules apply, and the first wins",
        ),
    ),
    proofs={
        (
            "at least lowest",
            "at most 0",
            "q > p: no rise",
            "q < floor: no fall",
            "between: nothing",
            "a step no longer than its share",
            "no peak, no fall",
        ): smt.implies("range, directions, rest and size of a move, written out", "all reals", _cases),
        LOOPS: adaptations.WRITTEN_OUT,
    },
    mutants=(
        Mutant("max(b + γr, 0), as printed", bias_control.adapted, _literal),
        Mutant("no lowest bias", bias_control.adapted, _unclamped),
        Mutant("set-point", bias_control.adapted, _set_point),
        Mutant("mean over all of a group", bias_control.group_mean, _mean_of_all),
        Mutant("0/0 in a dead group", bias_control.group_mean, _without_guard, st.just(_single(0.0, 0.0))),
    ),
    note=(
        "The proof is of the formula written out on scalars. That the shipped tensor code equals it is tried exactly "
        "on whole numbers, and sampled; so are the group means and relabelling."
    ),
)
