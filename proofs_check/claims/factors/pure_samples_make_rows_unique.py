"""SN-12: that pure samples make the features unique, as they do for nonnegative rows."""

import torch
from hypothesis import strategies as st

from proofs_check.claim import Claim, Control, Hypothesis, Part, Verdict, edited, equal
from proofs_check.claims.factors.cases import Factors
from workbench.metrics.matching import match
from workbench.theory import factors as theory


def _conclusion(case: Factors) -> dict[str, Part]:
    codes, rows = theory.sheared(case.codes.tolist(), case.rows.tolist(), case.amount)
    found = match(torch.tensor(rows, dtype=torch.float64), case.rows)
    return {
        "explains the data": equal(case.error(codes, rows), 0.0, unit=case.size),
        "rows are the features": equal(found.cosine_of, 1.0),
    }


def _inseparable(case: Factors) -> float:
    """Features that never fire alone, and what codes fall below 0."""
    single = (case.codes != 0).sum(1) == 1
    return float(len(case.rows) - (case.codes[single] > 0).any(0).sum() + (-case.codes.min()).clamp_min(0))


def _below(case: Factors) -> float:
    codes, _ = theory.sheared(case.codes.tolist(), case.rows.tolist(), case.amount)
    return max(0.0, -min(map(min, codes)))


PURE = Hypothesis("h ≥ 0, and each feature fires alone in some sample", _inseparable)
OTHER = Hypothesis("codes f of the other factorisation at least 0", _below)


def _cases(codes, a):
    rows = (((1, 0), (0, 1)), ((1, 0), (0.6, 0.8)), ((0, 1), (1, 0)))
    return st.sampled_from([Factors.exact(codes, pair, a) for pair in rows])


PURELY = [[1, 0], [0, 1], [1, 2]]
TOGETHER = [[1, 1], [2, 1], [1, 2]]

CLAIM = Claim(
    id="SN-12",
    statement=(
        "Carried over from NMF: if each feature fires alone in some sample, any exact factorisation with codes ≥ 0 has "
        "the features as its rows. It has not: rows of any sign may leave the cone of the data."
    ),
    tex=r"X=hV=fW,\ f\geq0,\ h\ \text{separable}\ \Rightarrow\ W=V",
    source="uniqueness of NMF: Donoho and Stodden (2004), where W ≥ 0; the extension is refuted here, ours",
    kind="refuted",
    promised=Verdict.REFUTED,
    hypotheses=(PURE, OTHER),
    instances=_cases(PURELY, 1.0),
    conclusion=_conclusion,
    controls=(
        Control(PURE.name, _cases(TOGETHER, -0.5), "both features in every sample: a may be below 0, and W ≥ 0"),
        Control(OTHER.name, _cases(PURELY, -0.5), "the same a where samples are pure: a code of −1/2"),
    ),
    mutants=(
        edited(
            "codes alone", theory.sheared, lambda true: lambda f, w, a: (true(f, w, 1.0)[0], w), _cases(PURELY, 0.0)
        ),
    ),
    note="The shear of SN-5 with a = 1. What does make rows unique: sparse rows on disjoint supports, SN-6.",
)
