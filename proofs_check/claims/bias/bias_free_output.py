"""BA-12: a latent must pass on its product without its bias; with ReLU the loss is lower and nothing is recovered."""

from dataclasses import replace

from proofs_check.claim import Claim, Control, Part, Verdict, at_most
from proofs_check.claims.bias.runs import ADAPTS, IN_BAND, LENIENT, Bench
from proofs_check.instances.stack import SEEDS


def _conclusion(case: Bench) -> dict[str, Part]:
    shrunk = replace(case, output="relu")
    return {
        "gap in FRR": at_most(0.5, case.frr - shrunk.frr),
        "ReLU recovers nothing": at_most(shrunk.frr, 0.1),
        "at a lower loss": at_most(shrunk.fvu, case.fvu),
    }


CLAIM = Claim(
    id="BA-12",
    statement=(
        "Under the same controller, seed and data, u 1[u > t] recovers at least .5 more of the features than ReLU(u − "
        "t), which recovers at most .1 and yet ends at the lower loss."
    ),
    tex=r"\mathrm{FRR}_{u1[u>t]}\geq\mathrm{FRR}_{(u-t)_+}+.5,\qquad \mathrm{FVU}_{(u-t)_+}\leq\mathrm{FVU}_{u1[u>t]}",
    source="Chen et al. (2025), arXiv 2506.14002, bias-free JumpReLU; thresholds ours",
    kind="trained",
    calibrated_on=SEEDS,
    promised=Verdict.SUPPORTED,
    hypotheses=(IN_BAND, ADAPTS),
    instances=Bench.fresh(steps=1000),
    conclusion=_conclusion,
    controls=(
        Control(IN_BAND.name, Bench.alone(ratio=8.0), "at 8 f neither output recovers anything"),
        Control(ADAPTS.name, Bench.alone(step=0.0), "biases stay 0, and the two outputs are one"),
    ),
    mutants=(LENIENT,),
    note=(
        "Measured, not proved: n = 64, d = 32, s = 2, m = 128, 1000 steps, seeds 0-2: FRR 1.0 against 0, FVU "
        ".052-.053 against .040-.045. ReLU's loss is still the higher one after 500 steps: weights must grow to undo "
        "the shrinkage."
    ),
    shown_by="experiments/bias/gba.py",
)
