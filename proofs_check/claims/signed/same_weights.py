"""AT-13: with the same weights AbsTopK may reconstruct x worse than TopK."""

import torch
from hypothesis import strategies as st

from proofs_check.claim import Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most, edited
from proofs_check.claims.signed.order_of_errors import TIED, Tied, opposed
from proofs_check.instances.draw import SEEDS
from synthetic.base.streams import stream
from workbench.theory import signed as theory


def _conclusion(case: Tied) -> dict[str, Part]:
    signed, positive = (rule(case.u, case.k) for rule in (theory.abs_top_k, theory.top_k))
    return {"x-error": at_most(case.error(signed), case.error(positive), unit=float(case.x @ case.x) or 1.0)}


UNIT = Hypothesis("unit rows", lambda case: (case.rows.norm(dim=1) - 1).abs().max())


@st.composite
def _overcomplete(draw):
    """An opposed pair; or random unit rows, m = 12 in d = 4, k = 3."""
    if not draw(st.booleans()):
        return opposed(float(draw(st.integers(1, 3))))
    rng = stream(draw(SEEDS), "claim")
    rows = torch.randn(12, 4, generator=rng, dtype=torch.float64)
    x = torch.randn(4, generator=rng, dtype=torch.float64)
    return Tied(rows / rows.norm(dim=1, keepdim=True), x, 3, torch.zeros(12, dtype=torch.float64))


@st.composite
def _identity(draw, length=1.0, added=0.0, positive=False):
    x = torch.tensor(draw(st.permutations([1.0, 2.0 if positive else -2.0, 3.0])), dtype=torch.float64)
    return Tied(length * torch.eye(3, dtype=torch.float64), x, 2, torch.full((3,), added, dtype=torch.float64))


CLAIM = Claim(
    id="AT-13",
    statement=(
        "Reading: as AbsTopK_k(u) is nearer to u than TopK_k(u), its reconstruction with the same tied unit rows is "
        "never worse. False for overcomplete rows: two opposed rows both enter, and what they share counts twice."
    ),
    tex=r"\|x-\mathrm{AbsTopK}_k(xW^\top)W\|\leq\|x-\mathrm{TopK}_k(xW^\top)W\|",
    source="ours, a reading of Zhu, Khalili, Zhu (2025), arXiv 2510.00404; corrected in AT-3",
    kind="refuted",
    promised=Verdict.REFUTED,
    hypotheses=(UNIT, TIED),
    instances=_overcomplete(),
    conclusion=_conclusion,
    controls=(
        Control("unit rows", _identity(length=2.0), "orthogonal rows of length 2 overshoot"),
        Control(TIED.name, _identity(added=-4.0), "an encoder bias of −4"),
    ),
    mutants=(
        edited(
            "signs lost", theory.abs_top_k, lambda f: lambda u, k, *, ops=None: [abs(v) for v in f(u, k)], _identity()
        ),
        Mutant(
            "ReLU alone for TopK",
            theory.top_k,
            lambda u, k, *, ops=None: [max(v, 0.0) for v in u],
            _identity(positive=True),
        ),
    ),
    note=(
        "Random rows, m = 12, d = 4, k = 3, 2000 draws: AbsTopK has the larger error in 70% of them. What signed "
        "codes buy must come from training."
    ),
)
