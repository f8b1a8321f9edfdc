"""How many latents fire, how many features do, how many latents never do."""

from workbench.metrics.evidence import Evidence
from workbench.metrics.shelf import Values, metric


@metric(l0=None, true_l0=None, expected_l0=None, dead=0.0)
def sparsity(evidence: Evidence) -> Values:
    """l0: mean nonzero latents a sample; true_l0: mean nonzero features; expected_l0: its exact expectation.

    dead: share of latents that never fire in the evaluation draw. A random SAE of the same rates has the same values.
    """
    return {
        "l0": float(evidence.fires.sum()) / evidence.n,
        "true_l0": float(evidence.true_fires.sum()) / evidence.n,
        "expected_l0": evidence.truth.expected_l0,
        "dead": float((~evidence.live).double().mean()),
    }
