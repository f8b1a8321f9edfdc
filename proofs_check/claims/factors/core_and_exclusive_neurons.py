"""SN-13: features that share a core of neurons are not identified by winner-take-all at their true size."""

import torch
from hypothesis import strategies as st

from proofs_check.claim import LOOPS, Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most, edited, equal
from proofs_check.claims.factors.cases import CODES, Factors, exact
from proofs_check.claims.factors.never_unique import NONNEGATIVE, SHEARED
from proofs_check.engines import smt
from proofs_check.instances.draw import mostly, numbers, rows_of
from proofs_check.instances.loops import evaluated
from proofs_check.kernel.evaluations import EXACT
from workbench.metrics.matching import cosines
from workbench.parts import semi_nmf
from workbench.theory import factors as theory


def _conclusion(case: Factors) -> dict[str, Part]:
    """Sheared by the ratio of their cores, which cancels."""
    codes, rows = theory.sheared(case.codes.tolist(), case.rows.tolist(), case.amount)
    new, size = torch.tensor(rows, dtype=torch.float64), int((case.rows[0] != 0).sum())
    own = float(((case.rows[0] != 0) & (case.rows[1] == 0)).sum())
    return {
        "same product": equal(case.error(codes, rows), 0.0, unit=case.size),
        "f ≥ 0": at_most(0.0, min(map(min, codes))),
        "its nonzeros": equal(theory.nonzeros(rows[0]), theory.difference_nonzeros(own)),
        "no more than before": at_most(theory.nonzeros(rows[0]), size),
        "kept by the mask": equal(semi_nmf.winner_take_all(new[:1], size / new.shape[1])[0], new[0]),
        "another feature": at_most(float(cosines(new[:1], case.rows).abs().max()), 1 - 1e-3),
    }


def _column(unknowns, ops):
    """A neuron of the core more, or of the first feature, or of the second: all nonzero entries, any a."""
    count, own, v, a, core, first = unknowns("count own v a core first")
    found = _left([a * v], [v], a, ops), _left([v], [0], a, ops), _left([0], [v], a, ops)
    added = ops.where(core == 1, found[0], ops.where(first == 1, found[1], found[2]))
    after = {"count": count + added, "own": own + ops.where(core == 1, ops.num("0"), ops.num("1"))}
    return smt.Invariant([count == own], after, given=[v != 0, a > 0])


def _left(one, other, a, ops):
    """Nonzeros of the first row, sheared."""
    return theory.nonzeros(theory.sheared([[0, 0]], [one, other], a)[1][0], ops=ops)


def _twice(unknowns, ops):
    count, own = unknowns("count own")
    return [count == own + own], [count == theory.difference_nonzeros(own)]


def _counted(draw):
    """Nonzeros add up neuron by neuron."""
    row = [v * (i % 3 > 0) for i, v in enumerate(draw.vector(draw.d))]
    yield theory.nonzeros(row, ops=EXACT), sum(theory.nonzeros([v], ops=EXACT) for v in row)


def _counting(unknowns, ops):
    core, own = unknowns("core own")
    return [own >= 1, core >= own], [theory.difference_nonzeros(own) <= core + own]


def _shared(case: Factors) -> float:
    both = (case.rows[0] != 0) & (case.rows[1] != 0)
    return float((case.rows[0] - case.amount * case.rows[1])[both].abs().max()) if bool(both.any()) else 1.0


def _surplus(case: Factors) -> float:
    both, first = (case.rows[0] != 0) & (case.rows[1] != 0), (case.rows[0] != 0) & (case.rows[1] == 0)
    return max(0.0, float(first.sum() - both.sum()))


SHARED = Hypothesis("one core, up to scale", _shared)
LARGE = Hypothesis("the core has at least as many neurons as each exclusive part", _surplus)


@st.composite
def _cases(draw):
    own = draw(st.integers(1, 2))
    core = draw(st.integers(own, 4))
    entry = st.sampled_from([1.0, -1.0, 2.0, -3.0])
    shared, first, second = (draw(rows_of(entry, 1, n))[0] for n in (core, own, own))
    a, none = draw(st.sampled_from([1.0, 0.5, 2.0])), torch.zeros(own, dtype=torch.float64)
    rows = torch.stack((torch.cat((a * shared, first, none)), torch.cat((shared, none, second))))
    code, count = mostly(st.integers(1, 3), st.integers(0, 3)), draw(st.integers(1, 3))
    return Factors.exact(draw(rows_of(code, count, 2)), rows, a)


COUNT = (
    smt.induction("the core cancels, the rest stays", "all C, E: induction over neurons", _column),
    smt.implies("E and E make the count", "all E", _twice),
)
CODE, T = [[1, 1]], numbers(0.5, 3)

CLAIM = Claim(
    id="SN-13",
    statement=(
        "Let two features share a core of C neurons and have E ≤ C neurons each of their own. With a their cores' "
        "ratio, the rows v_0 − av_1 and v_1 explain the same data with codes ≥ 0, and v_0 − av_1 has 2E ≤ C + E "
        "nonzeros: winner-take-all at the true size keeps it whole, though it is no feature."
    ),
    tex=r"\|v_0-av_1\|_0=2E\leq C+E",
    source="ours; the core and exclusive neurons are those of Shafran, Geiger, Geva (2025), arXiv 2506.10920",
    kind="identity",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(CODES, SHARED, LARGE),
    instances=_cases(),
    nontrivial=lambda case: (case.codes > 0).all(1).any(),
    conclusion=_conclusion,
    controls=(
        Control(
            CODES.name, T.flatmap(lambda t: exact([[-t, 0]], [[1, 1, 0], [1, 0, 1]])), "a code below 0 stays below"
        ),
        Control(
            SHARED.name,
            numbers(1.5, 3).flatmap(lambda t: exact(CODE, [[1, t, 1, 0], [1, 1, 0, 1]])),
            "cores that are not parallel do not cancel",
        ),
        Control(
            LARGE.name,
            T.flatmap(lambda t: exact(CODE, [[1, 1, t, 0, 0], [1, 0, 0, 1, t]])),
            "E > C: the difference is less sparse",
        ),
    ),
    proofs={
        LOOPS: (SHEARED, evaluated("nonzeros neuron by neuron", _counted)),
        "f ≥ 0": NONNEGATIVE,
        "its nonzeros": COUNT,
        "no more than before": (*COUNT, smt.implies("2E ≤ C + E", "all C ≥ E", _counting)),
    },
    kernel={"same product": "factors.shear_gauge"},
    mutants=(
        edited("the core stays", theory.sheared, lambda true: lambda f, w, a: true(f, w, -a)),
        Mutant("exclusive ones once", theory.difference_nonzeros, lambda own: own),
        Mutant("zeros counted", theory.nonzeros, lambda row, *, ops=None: len(row)),
    ),
    note=(
        "Sampled: that the shipped mask keeps it, and its distance from the features. So the reported case, cores "
        "larger than exclusive groups, is where the method has no guarantee; SN-6's has."
    ),
    shown_by="experiments/factors/study.py",
)
