"""AT-16: trained on signed axes at m = 2n, AbsTopK leaves more latents dead than TopK does."""

from dataclasses import replace

from proofs_check.claim import Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most
from proofs_check.claims.signed import runs
from proofs_check.instances.stack import SEEDS, Trained
from workbench.theory import signed as theory


def _conclusion(case: Trained) -> dict[str, Part]:
    signed = replace(case, m=theory.latents_for_axes(case.stack.place.truth.n_true, signed=False))
    return {"more dead": at_most(0.15, runs.more_dead(signed, replace(signed, variant="topk")))}


SIGNED = Hypothesis("axes with both signs", lambda case: float(case.world != "bidirectional"))
TRAINED = Hypothesis("trained", lambda case: max(0, Trained().steps - case.steps))

CLAIM = Claim(
    id="AT-16",
    statement=(
        "On 24 signed axes in 32 dimensions, three at a time, with 2n latents: AbsTopK leaves at least .15 more of its "
        "latents dead than TopK does, for n of them do the work of TopK's 2n."
    ),
    tex=r"\mathrm{dead}_{\mathrm{Abs}}(k,2n)\geq\mathrm{dead}_{\mathrm{TopK}}(k,2n)+.15",
    source="ours; theory: AT-7",
    kind="trained",
    calibrated_on=SEEDS,
    promised=Verdict.SUPPORTED,
    hypotheses=(SIGNED, TRAINED),
    instances=Trained.fresh(),
    conclusion=_conclusion,
    controls=(
        Control(
            SIGNED.name,
            Trained.alone(world="unipolar_sparse"),
            "one sign: both leave about n dead, and .13 is the most between them",
        ),
        Control(TRAINED.name, Trained.alone(steps=3), "three steps"),
    ),
    mutants=(Mutant("n for both", theory.latents_for_axes, lambda axes, *, signed: axes),),
    note=(
        "Measured, not proved: 800 steps of 256, four seeds. .38-.42 of AbsTopK's latents against .06-.15; on unipolar "
        "features .42-.44 against .29-.44. At m = 96 .62-.69 against .42-.48, with AuxK .70 against .50. So gradients "
        "of both signs (AT-15) do not mean fewer dead latents; and no loss comes of them, AbsTopK's FVU is 0."
    ),
)
