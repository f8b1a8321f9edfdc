"""SN-1: least-squares rows and multiplicative codes, in turn, never raise the loss."""

from dataclasses import replace

import torch
from hypothesis import strategies as st

from proofs_check.claim import BESIDE, LOOPS, Claim, Control, Mutant, Part, Verdict
from proofs_check.claims.factors.alternation_cases import (
    COUNTED,
    LEAST_SQUARES,
    POSITIVE_START,
    UNMASKED,
    Alternation,
    alternations,
    start,
)
from proofs_check.claims.factors.auxiliary_function import LOSS, SEPARATE, SHARES
from proofs_check.engines import smt
from proofs_check.instances.draw import numbers
from synthetic.worlds.factors import disjoint_factors
from workbench.parts import semi_nmf
from workbench.theory import factors as theory


def _conclusion(case: Alternation) -> dict[str, Part]:
    return case.falls() | (case.by_formula() if case.codes.min() >= 0 else {})


def _without_root(x, f, rows):
    return _code_step(x, f, rows) ** 2 / f


def _signs_lost(x, f, rows):
    return f * ((x @ rows.T).abs() / (f @ rows @ rows.T).abs().clamp_min(1e-12)).sqrt()


def _half_way(x, f, ridge=0.0):
    return 2 * _decoder_step(x, f, ridge)


def _masked():
    """Factors with neurons of their own, from random codes; each row keeps a tenth of its entries."""
    cases = []
    for seed in (0, 1, 2):
        drawn = torch.Generator().manual_seed(seed)
        x = disjoint_factors(n_true=4, d=16, size=4, noise=0.05, seed=seed).sample(60, drawn).x.double()
        codes = torch.rand(60, 4, generator=drawn, dtype=torch.float64)
        cases.append(Alternation(x, codes, share=0.1, rounds=40))
    return st.sampled_from(cases)


def _falls(unknowns, ops):
    """With log t <= t - 1 at t = down / up; a code whose pull up is 0 falls by f' down."""
    g, up, down, log = unknowns("g up down log")
    given = [g > 0, up >= 0, down > 0, -log * up <= down - up]
    return given, [theory.least_drop(g, up, down, ops=replace(ops, log=lambda _: log)) >= 0]


_code_step, _decoder_step = semi_nmf.code_step, semi_nmf.decoder_step

CLAIM = Claim(
    id="SN-1",
    statement=(
        "From f ≥ 0 on, W by least squares (with ridge r) and one multiplicative step of f, in turn, never raise "
        "J + r|W|². With r = 0 that is J itself."
    ),
    tex=r"J(f_{t+1},W_{t+1})+r\|W_{t+1}\|^2\leq J(f_t,W_t)+r\|W_t\|^2",
    stated="equivalent",
    source="Ding, Li, Jordan (2010); the ridge is that of the code of Shafran et al. (2025), arXiv 2506.10920",
    kind="bound",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(POSITIVE_START, UNMASKED, COUNTED),
    instances=alternations(),
    nontrivial=lambda case: case.codes.shape[1] > 1,
    conclusion=_conclusion,
    controls=(
        Control(
            POSITIVE_START.name,
            numbers(0.5, 2).flatmap(lambda t: start([[0], [-t]], [[-1], [-2]], rounds=2)),
            "codes below 0",
        ),
        Control(
            UNMASKED.name,
            start([[-2, 0], [2, 2], [-2, -2]], [[3, 3], [2, 2], [3, 2]], share=0.5) | _masked(),
            "winner-take-all at a half and a tenth of the entries: the masked rows are no minimiser",
        ),
        Control(
            COUNTED.name,
            numbers(0.5, 2).flatmap(lambda t: start([[1], [1]], [[1], [1]], ridge=t)),
            "J alone under a ridge",
        ),
    ),
    proofs={
        LOOPS: (SHARES, SEPARATE),
        "codes by the formula": (
            *LOSS,
            smt.implies("no code's fall is below 0", "all m: code by code", _falls),
        ),
        BESIDE: LEAST_SQUARES,
    },
    mutants=(
        Mutant("the formula without its root", theory.multiplicative, lambda f, up, down, *, ops=None: f * up / down),
        Mutant("without the root", semi_nmf.code_step, _without_root),
        Mutant("the update of NMF", semi_nmf.code_step, _signs_lost),
        Mutant("twice the rows", semi_nmf.decoder_step, _half_way),
        Mutant("the transposed formula", semi_nmf.code_step, lambda x, f, rows: f / (_code_step(x, f, rows) / f)),
    ),
    note=(
        "Codes of 0 stay 0; the step there is the limit. Proved is the formula's step, in exact arithmetic; that the "
        "shipped tensor step is the formula, and that the shipped rows solve their normal equations, is sampled: "
        "rows that do are least. J says nothing of the features (SN-4, SN-5). With winner-take-all J rises in many "
        "steps: the public code returns the best pair seen, and so does ours. Least squares on a mask that stays "
        "never raises J (SN-9)."
    ),
    shown_by="experiments/factors/study.py",
)
