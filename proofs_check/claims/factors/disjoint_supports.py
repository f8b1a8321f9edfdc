"""SN-6: features on neurons of their own are the only directions so sparse, so that winner-take-all can find them."""

from fractions import Fraction
from itertools import combinations

import torch
from hypothesis import strategies as st

from proofs_check.claim import BESIDE, LOOPS, Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most, edited, equal
from proofs_check.claims.factors.cases import Factors, exact
from proofs_check.engines import smt
from proofs_check.instances.draw import mostly, numbers, rows_of
from proofs_check.instances.loops import evaluated
from proofs_check.kernel.evaluations import EXACT
from workbench.metrics.matching import cosines
from workbench.parts import semi_nmf
from workbench.theory import factors as theory


def sparse_directions(rows: list[list[Fraction]], most: int) -> list[list[Fraction]]:
    """Every direction of the span of two or three rows that is 0 where a coordinate (or two) forces it, if so sparse.

    Exact. Any direction with at most `most` nonzeros has one of these inside its support.
    """
    found: list[list[Fraction]] = []
    columns = list(zip(*rows, strict=True))
    for chosen in combinations(columns, len(rows) - 1):
        (a, b, c), (u, v, w) = (*chosen[0], 0)[:3], (*chosen[-1], 0)[:3]
        mix = [b, -a] if len(rows) == 2 else [b * w - c * v, c * u - a * w, a * v - b * u]
        if not any(mix):
            continue
        (row,) = theory.product([mix], rows)
        scale = next(value for value in row if value)
        row = [value / scale for value in row]
        if theory.nonzeros(row) <= most and row not in found:
            found.append(row)
    return found


def _conclusion(case: Factors) -> dict[str, Part]:
    rows = [[Fraction(v) for v in row] for row in case.rows.tolist()]
    m, d, most = len(rows), len(rows[0]), int(case.amount)
    found = sparse_directions(rows, most)
    same = cosines(torch.tensor([[float(v) for v in row] for row in found] or [[0.0] * d]), case.rows).abs().amax(1)
    sums = [theory.product([[Fraction(s) for s in signs]], rows)[0] for signs in _MIXTURES[m]]
    counts = [float(theory.nonzeros(row)) for row in sums]
    again = semi_nmf.winner_take_all(semi_nmf.decoder_step(case.x, case.codes), most / d)
    return {
        "as many directions as features": equal(len(found), m),
        "and these are the features": equal(same, 1.0),
        "mixtures have more nonzeros": at_most(most + 1, torch.tensor(counts)),
        "by the count": equal(counts, [theory.mixture_nonzeros(sum(map(bool, s)), most) for s in _MIXTURES[m]]),
        "a round leaves them": equal(again.flatten(), case.rows.flatten(), unit=1 + case.rows.abs().max()),
    }


_MIXTURES = {2: [(1, 1), (1, -1), (2, 1)], 3: [(1, 1, 0), (1, 0, -1), (1, 1, 1), (2, -1, 1)]}


def _neuron(unknowns, ops):
    """A neuron of the support more, on which the other rows are 0."""
    count, s, a, v = unknowns("count s a v")
    ((mixed,),) = theory.product([[a]], [[v]])
    after = {"count": count + theory.nonzeros([mixed], ops=ops), "s": s + 1}
    return smt.Invariant([count == s * theory.nonzeros([a], ops=ops)], after, given=[v != 0])


def _row(unknowns, ops):
    """A row more, whose support no other row meets."""
    count, terms, a, s, block = unknowns("count terms a s block")
    more = theory.nonzeros([a], ops=ops)
    after, given = {"count": count + block, "terms": terms + more}, [s >= 1, block == s * more]
    return smt.Invariant([count == theory.mixture_nonzeros(terms, s)], after, given=given)


def _counting(unknowns, ops):
    """Written out for any m and s: q terms of s nonzeros each."""
    q, s = unknowns("q s")
    return [s >= 1, q >= 2], [theory.mixture_nonzeros(q, s) >= s + 1]


def _blocks(draw):
    """The nonzeros of a mixture are those of its rows' blocks; and how many of a mixture are 0 in a row of zeros."""
    s, m = 9, draw.n // 4
    rows = [[v if j // s == i else 0 for j, v in enumerate(draw.vector(m * s))] for i in range(m)]
    a = [v * (i % 3 > 0) for i, v in enumerate(draw.vector(m))]
    (mixed,) = theory.product([a], rows)
    yield mixed, [a[j // s] * rows[j // s][j] for j in range(m * s)]
    yield theory.nonzeros(mixed, ops=EXACT), sum(theory.nonzeros([v], ops=EXACT) for v in mixed)
    yield theory.nonzeros(a, ops=EXACT), sum(i % 3 > 0 for i in range(m))


def _sign(unknowns, ops):
    """A row c v of W with its code h / c at least 0, and h above 0 somewhere: c > 0."""
    h, f, c = unknowns("h f c")
    return [h > 0, f >= 0, c != 0, f * c == h], [c > 0]


def _used(case: Factors) -> torch.Tensor:
    return (case.rows != 0).double().sum(0)


APART = Hypothesis("supports do not meet", lambda case: float(_used(case).max() - 1))
EXACTLY = Hypothesis(
    "each support has exactly as many neurons as are kept",
    lambda case: ((case.rows != 0).sum(1) - case.amount).abs().double(),
)
RANK = Hypothesis("codes of full rank", lambda case: len(case.rows) - int(torch.linalg.matrix_rank(case.codes)))


@st.composite
def _cases(draw):
    m, s = draw(st.integers(2, 3)), draw(mostly(st.integers(2, 3), st.integers(1, 3)))
    entry = st.sampled_from([1.0, -1.0, 2.0, -3.0])
    rows = torch.block_diag(*(draw(rows_of(entry, 1, s)) for _ in range(m)))
    rows = torch.cat((rows, torch.zeros(m, draw(st.integers(0, 2)), dtype=torch.float64)), 1)
    rows = rows[:, torch.tensor(draw(st.permutations(range(rows.shape[1]))))]
    codes = torch.eye(m, dtype=torch.float64) + draw(rows_of(st.integers(0, 2), m, m)).triu(1)
    return Factors.exact(torch.cat((codes, draw(rows_of(st.integers(0, 3), 2, m)))), rows, float(s))


COUNT = (
    smt.induction("a block has s nonzeros or none", "all s: induction over neurons", _neuron),
    smt.induction("a mixture of q rows has qs", "all m, s: induction over rows", _row),
)
T, EYE, PAIR = numbers(0.5, 3), [[1, 0], [0, 1]], [[1, 2, 0, 0], [0, 0, 3, -1]]

CLAIM = Claim(
    id="SN-6",
    statement=(
        "Let X = hV, h ≥ 0 of full rank, the rows of V on disjoint sets of exactly s neurons. Then X = fW with f ≥ 0 "
        "and at most s nonzeros in each of m rows only for W = V up to order and positive scale, since a mixture of q "
        "rows has qs nonzeros; and V stays where a round of the alternation with winner-take-all starts at it."
    ),
    tex=r"\|\textstyle\sum_ja_jv_j\|_0=s\,\|a\|_0",
    source="ours; what winner-take-all of Shafran et al. (2025), arXiv 2506.10920, can and cannot identify",
    kind="identity",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(APART, EXACTLY, RANK),
    instances=_cases(),
    nontrivial=lambda case: case.amount > 1,
    conclusion=_conclusion,
    controls=(
        Control(
            APART.name,
            T.flatmap(lambda t: exact(EYE, [[t, 1, 1, 0], [0, 1, 1, t]], 3.0)),
            "overlap, though samples are pure: v_0 − v_1 has two nonzeros; cores: SN-13",
        ),
        Control(
            EXACTLY.name,
            T.flatmap(lambda t: exact(EYE, [[1, t, 0, 0], [0, 0, 3, -t]], 4.0)),
            "twice as many kept: any mixture fits",
        ),
        Control(RANK.name, T.flatmap(lambda t: exact([[1, t]], PAIR, 2.0)), "two features that always fire alike"),
    ),
    proofs={
        LOOPS: evaluated("nonzeros of a mixture, block by block", _blocks),
        "by the count": COUNT,
        "mixtures have more nonzeros": (
            *COUNT,
            smt.implies("q ≥ 2 rows have s + 1 nonzeros at least", "all m, s: by the count", _counting),
        ),
        BESIDE: smt.implies("scales are positive", "all f ≥ 0", _sign),
    },
    mutants=(
        Mutant("terms alone", theory.mixture_nonzeros, lambda terms, size: terms),
        Mutant("entries above 0", theory.nonzeros, lambda row, *, ops=None: sum(v > 0 for v in row)),
        edited("smallest kept", semi_nmf.winner_take_all, lambda f: lambda rows, share: rows - f(rows, share)),
    ),
    note=(
        "Proved is the count. That W has the rows' span, that no direction of it is as sparse as a feature but the "
        "features (tried exactly, sample by sample), and the round are sampled. Whether the alternation comes there "
        "from a random start is another matter: see the experiment."
    ),
    shown_by="experiments/factors/study.py",
)
