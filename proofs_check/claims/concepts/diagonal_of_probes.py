"""DC-21: that probes parallel to mean differences show these to be directions of the concept."""

from proofs_check.claim import Claim, Control, Hypothesis, Part, Sentence, Verdict, at_most, edited
from proofs_check.claims.concepts.probe_cases import Labelled, labelled
from workbench.theory import concept_probes as theory


def _conclusion(case: Labelled) -> dict[str, Part]:
    return {"held-out accuracy": at_most(0.8, case.held_out)}


PARALLEL = Hypothesis("cos(probe, mean difference) ≥ .99", lambda case: max(0.0, 0.99 - abs(case.cosine(case.C))))

CLAIM = Claim(
    id="DC-21",
    statement=(
        "A reading: that A_s W_s is near the identity, probes parallel to differences of class means, shows that "
        "concepts have these directions. Random labels give the same diagonal at the penalty of the public code, and "
        "directions that tell nothing of fresh samples. What would show it: held-out pairs, beside permuted labels."
    ),
    tex=r"A_sW_s\approx I\ \Rightarrow\ \text{directions generalise}",
    source="ours, by DC-15, of the test in the public code of arXiv 2503.08980",
    kind="refuted",
    promised=Verdict.FAILS,
    refutes=Sentence(
        words="A_s W_s near the identity shows that concepts have the directions of differences of class means",
        version="public code, read; corollary 4.3 as reported by readers; the paper offers it as consistent evidence",
        against="reading",
    ),
    hypotheses=(PARALLEL,),
    instances=labelled(C=1e-5),
    conclusion=_conclusion,
    controls=(Control(PARALLEL.name, labelled(C=1.0), "C = 1: not parallel, and no better"),),
    mutants=(edited("labels exchanged", theory.pull, lambda f: lambda y, x: -f(y, x), labelled(C=1e-5, real=True)),),
    note="60 samples, 50 dimensions; the random labels are half ones.",
)
