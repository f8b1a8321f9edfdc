"""SN-11: that the loss goes on falling when rows keep only their largest entries."""

from dataclasses import replace

import torch
from hypothesis import strategies as st

from proofs_check.claim import Claim, Control, Part, Verdict, edited
from proofs_check.claims.factors.alternation_cases import POSITIVE_START, Alternation, start
from synthetic.worlds.factors import disjoint_factors
from workbench.parts import semi_nmf


def _conclusion(case: Alternation) -> dict[str, Part]:
    return case.falls()


def _worlds(share: float, rounds: int = 40):
    """Factors with neurons of their own, from random codes."""
    cases = []
    for seed in (0, 1, 2):
        x = (
            disjoint_factors(n_true=4, d=16, size=4, noise=0.05, seed=seed)
            .sample(60, torch.Generator().manual_seed(seed))
            .x
        )
        codes = torch.rand(60, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        cases.append(Alternation(x.double(), codes, share=share, rounds=rounds))
    return st.sampled_from(cases).map(replace)  # a copy: what is computed of an instance stays with it


PAIR = {"x": [[-2, 0], [2, 2], [-2, -2]], "codes": [[3, 3], [2, 2], [3, 2]], "share": 0.5}

CLAIM = Claim(
    id="SN-11",
    statement=(
        "Carried over from semi-NMF: the alternation goes on lowering J where each row keeps only its largest "
        "entries. It does not: the masked rows are no minimiser, and J rises in many steps."
    ),
    tex=r"J(f_{t+1},\mathrm{wta}(W_{t+1}))\leq J(f_t,\mathrm{wta}(W_t))",
    source="the guarantee of Ding, Li, Jordan (2010) read into the method of Shafran et al. (2025), arXiv 2506.10920",
    kind="refuted",
    promised=Verdict.REFUTED,
    hypotheses=(POSITIVE_START,),
    instances=start(**PAIR) | _worlds(0.1),
    conclusion=_conclusion,
    controls=(Control(POSITIVE_START.name, start([[0], [-1]], [[-1], [-2]], rounds=2), "codes below 0, no mask"),),
    mutants=(
        edited(
            "the code's step upside down",
            semi_nmf.code_step,
            lambda true: lambda x, f, rows: f * f / true(x, f, rows),
            _worlds(1.0, 3),
        ),
    ),
    note=(
        "Without the mask J falls (SN-1); for a mask that stays, least squares on it never raises J (SN-9); the "
        "published code returns the best pair seen, and so does ours."
    ),
    shown_by="experiments/factors/study.py",
)
