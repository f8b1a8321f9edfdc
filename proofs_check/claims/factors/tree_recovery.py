"""SN-10: recursive semi-NMF finds families of features that share a core, more often than chance and not reliably."""

from proofs_check.claim import Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most
from proofs_check.claims.factors.tree_cases import Orchard, orchards
from workbench.parts import semi_nmf


def _conclusion(case: Orchard) -> dict[str, Part]:
    accuracy, shuffled, cosine = case.scores
    return {
        "leaves under their parent": at_most(shuffled + LEAST, accuracy),
        "leaves found": at_most(0.7, cosine),
        "but not all": at_most(accuracy, 0.9),
    }


LEAST = 1 / 48
"""one leaf of three worlds"""


def _unnamed(parents, family):
    return float((parents == family).double().mean())


CORE = Hypothesis("leaves of a family share a core", lambda case: float(case.core == 0))
MASK = Hypothesis("winner-take-all at the true sizes", lambda case: case.beyond)
TRUE = Hypothesis("families are the true ones", lambda case: case.strangers)

CLAIM = Claim(
    id="SN-10",
    statement=(
        "4 families of 4 leaves, 12 core and 6 exclusive neurons: winner-take-all at the true sizes, 16 then 4 rows, "
        "puts more leaves under their family's parent than under that of shuffled families, on the same fits: above 95 "
        "of 100 shuffles, but less than nine in ten leaves. Leaves are found at a mean |cos| above .7. Means over "
        "three worlds."
    ),
    tex=r"q_{.95}(A_{\mathrm{shuffled}})<A<\tfrac9{10},\quad A=\text{share of leaves under their parent}",
    stated="ours",
    source="the recursion of Shafran, Geiger, Geva (2025), arXiv 2506.10920; world and thresholds ours",
    kind="bound",
    promised=Verdict.SUPPORTED,
    hypotheses=(CORE, MASK, TRUE),
    instances=orchards(0, 3, 6),
    nontrivial=lambda case: case.worlds > 1,
    conclusion=_conclusion,
    controls=(
        Control(CORE.name, orchards(3, 6, core=0), "no core: nothing to find, measured .42"),
        Control(MASK.name, orchards(3, 6, masked=False), "dense rows: .46, and leaves at .63"),
        Control(TRUE.name, orchards(3, 6, shuffled=True), "families drawn at random: .46"),
    ),
    mutants=(
        Mutant("nothing masked", semi_nmf.winner_take_all, lambda rows, share: rows),
        Mutant("parents unnamed", semi_nmf.leaf_accuracy, _unnamed),
    ),
    note=(
        "Measured, 900 samples, 250 rounds, means over three worlds each: .54, .73, .67, .65, .60, .69; leaves at .77 "
        "to .88. One start a world; the best parent has cosine √(C/(C + E/L)) with its core (SN-14). No proof: the "
        "rows are not identified here (SN-13)."
    ),
    shown_by="experiments/factors/study.py",
)
