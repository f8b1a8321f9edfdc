"""DC-21: that probes parallel to mean differences show these to be directions of the concept."""

from proofs_check.claim import Claim, Control, Hypothesis, Part, Verdict, at_most, edited
from proofs_check.claims.concepts.probe_cases import Labelled, labelled
from workbench.theory import concept_probes as theory


def _conclusion(case: Labelled) -> dict[str, Part]:
    return {"held-out accuracy": at_most(0.8, case.held_out)}


PARALLEL = Hypothesis("cos(probe, mean difference) ≥ .99", lambda case: max(0.0, 0.99 - abs(case.cosine(case.C))))

CLAIM = Claim(
    id="DC-21",
    statement=(
        "As said: that A_s W_s is near the identity, probes parallel to differences of class means, shows concepts to "
        "have these directions. Random labels give the same diagonal at the penalty of the public code, and directions "
        "that tell nothing of fresh samples. What would show it: held-out pairs, beside permuted labels."
    ),
    tex=r"A_sW_s\approx I\ \Rightarrow\ \text{directions generalise}",
    source="a reading of Liu et al. (2025), arXiv 2503.08980, corollary 4.3 and its test; refuted here, ours: DC-15",
    kind="refuted",
    promised=Verdict.REFUTED,
    hypotheses=(PARALLEL,),
    instances=labelled(C=1e-5),
    conclusion=_conclusion,
    controls=(Control(PARALLEL.name, labelled(C=1.0), "C = 1: not parallel, and no better"),),
    mutants=(edited("labels exchanged", theory.pull, lambda f: lambda y, x: -f(y, x), labelled(C=1e-5, real=True)),),
    note="60 samples, 50 dimensions; the random labels are half ones.",
)
