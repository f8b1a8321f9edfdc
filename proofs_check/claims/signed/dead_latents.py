"""AT-10: signed codes do not have fewer dead latents, though gradients reach both signs."""

from dataclasses import dataclass, replace

from hypothesis import strategies as st

from proofs_check.claim import Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most
from proofs_check.claims.signed import runs
from proofs_check.instances.stack import SEEDS, Trained


@dataclass(frozen=True)
class Compared:
    """An AbsTopK SAE, and the TopK SAE it is set against."""

    signed: Trained
    plain: Trained

    def __str__(self) -> str:
        return f"{self.signed} against {self.plain}"


def _conclusion(case: Compared) -> dict[str, Part]:
    return {"no more dead than TopK": at_most(runs.more_dead(case.signed, case.plain), 0.0)}


def _pair(signed: Trained, **changes) -> Compared:
    return Compared(replace(signed, **changes), replace(signed, variant="topk"))


WIDTH = Hypothesis("the same m", lambda case: abs(case.signed.m - case.plain.m))
COUNT = Hypothesis("the same k", lambda case: abs(case.signed.k - case.plain.k))
NEEDED = Trained(knobs=(("n_true", 6),), k=12, m=12, steps=50)
"""all latents active, so that none is dead: here the reading holds"""


CLAIM = Claim(
    id="AT-10",
    statement=(
        "Reading: as a selected latent below 0 learns under AbsTopK and not under TopK (AT-15), at the same k, m and "
        "steps fewer latents are dead. On signed axes more are (AT-16): n latents do the work of 2n, and the others "
        "never reach the k largest."
    ),
    tex=r"\mathrm{dead}_{\mathrm{Abs}}(k,m)\leq\mathrm{dead}_{\mathrm{TopK}}(k,m)",
    source="a reading of Zhu, Khalili, Zhu (2025), arXiv 2510.00404, gradients of the two activations",
    kind="trained",
    calibrated_on=SEEDS,
    promised=Verdict.REFUTED,
    hypotheses=(WIDTH, COUNT),
    instances=Trained.each_seed(m=48).map(_pair),
    conclusion=_conclusion,
    controls=(
        Control(WIDTH.name, st.just(_pair(NEEDED, m=48)), "four times the latents, where at the same m none is dead"),
        Control(COUNT.name, st.just(_pair(NEEDED, k=1)), "one active latent, where at the same k none is dead"),
    ),
    mutants=(Mutant("live for dead", runs.more_dead, lambda a, b: 1 - a.dead - b.dead, st.just(_pair(NEEDED))),),
    note=(
        "Measured: 24 signed axes, k = 3, 800 steps, three seeds. Dead at m = 48: .38-.42 against .06-.15, at m = 96 "
        ".62-.69 against .42-.48, with AuxK .70 against .50. On unipolar features at m = 48 alike (.42-.44 and "
        ".38-.44; a fourth seed .42 and .29). A dead latent is no loss here: AbsTopK's FVU is 0."
    ),
)
