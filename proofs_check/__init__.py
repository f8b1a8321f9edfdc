"""The ledger of claims: theorems drawn, attacked, proved by a machine, or refuted with a witness."""

from synthetic.base.lazy import attach

__getattr__, __dir__ = attach(
    __name__,
    {
        "proofs_check.claim": (
            "Check",
            "Claim",
            "Control",
            "Finding",
            "Hypothesis",
            "Mutant",
            "Relation",
            "Verdict",
            "Void",
            "at_most",
            "equal",
        ),
        "proofs_check.instances.inequalities": ("inequality",),
        "proofs_check.ledger": ("judge",),
        "proofs_check.shelf": ("claims",),
        "proofs_check.instances.mixture": ("EXACT", "NONNEGATIVE", "OVERCOMPLETE", "UNIT_ROWS", "Mixture"),
        "proofs_check.instances.witnesses": ("orthonormal_with_rest", "twice_the_identity"),
        "proofs_check.instances.draw": ("codes", "cones", "mixtures", "numbers", "unit_rows"),
        "proofs_check.auditor.audit": ("audit",),
    },
)
