"""AT-14: trained on signed axes, n signed latents do what 2n nonnegative ones do, and n of those do not."""

from dataclasses import replace

from proofs_check.claim import Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most
from proofs_check.claims.signed.runs import split
from proofs_check.instances.stack import SEEDS, Trained
from workbench.theory import signed as theory


def _conclusion(case: Trained) -> dict[str, Part]:
    n = case.stack.place.truth.n_true
    signed = replace(case, m=theory.latents_for_axes(n, signed=True))
    plain = replace(signed, variant="topk")
    doubled = replace(plain, m=theory.latents_for_axes(n, signed=False))
    return {
        "n signed as 2n": at_most(abs(signed.fvu - doubled.fvu), 0.1),
        "n nonnegative leave .1 more": at_most(signed.fvu + 0.1, plain.fvu),
        "2n split the axes": at_most(0.4, split(doubled)),
        "signed keep them whole": at_most(split(signed), 0.0),
    }


SIGNED = Hypothesis("axes with both signs", lambda case: float(case.world != "bidirectional"))
SPARSE = Hypothesis("k < n: axes not always on", lambda case: max(0, case.k + 1 - dict(case.knobs).get("n_true", 24)))

CLAIM = Claim(
    id="AT-14",
    statement=(
        "On 24 signed axes in 32 dimensions, three at a time: AbsTopK with n latents and TopK with 2n have the same "
        "FVU to within .1, TopK with n at least .1 more; TopK's 2n split at least .4 of the axes, AbsTopK none."
    ),
    tex=r"\mathrm{FVU}_{\mathrm{Abs}}(n)\approx\mathrm{FVU}_{\mathrm{TopK}}(2n)\leq\mathrm{FVU}_{\mathrm{TopK}}(n)-.1",
    source="ours, of Zhu, Khalili, Zhu (2025), arXiv 2510.00404, who have no synthetic data; theory: AT-7",
    kind="trained",
    calibrated_on=SEEDS,
    promised=Verdict.SUPPORTED,
    hypotheses=(SIGNED, SPARSE),
    instances=Trained.fresh(),
    conclusion=_conclusion,
    controls=(
        Control(SIGNED.name, Trained.alone(world="unipolar_sparse"), "one sign: n nonnegative latents do as well"),
        Control(
            SPARSE.name,
            Trained.alone(knobs=(("n_true", 6), ("k", 6), ("sd", 0.0)), k=6),
            "always on with two values: b_dec takes up one, and n nonnegative latents the other",
        ),
    ),
    mutants=(Mutant("n for both", theory.latents_for_axes, lambda axes, *, signed: axes),),
    note=(
        "Measured, not proved: 800 steps of 256, seeds 0-2. FVU: AbsTopK n .04-.13, TopK n .31-.32, TopK 2n .05-.09 "
        "with .54-.75 of the axes split. MCC .84-.93, .77 and .99: signed codes save latents, and find fewer axes than "
        "2n nonnegative ones do. 1500 steps: FVU .04-.09, .30-.31, .06."
    ),
)
