"""How many latents fire, how many features do, how many latents never do."""

from workbench.metrics.evidence import Evidence
from workbench.metrics.shelf import Values, anywhere, metric


@metric(l0=None, true_l0=None, expected_l0=None, dead=0.0)
@anywhere
def sparsity(evidence: Evidence) -> Values:
    """l0: mean nonzero latents a sample; true_l0: mean nonzero features; expected_l0: its exact expectation; on worlds.

    dead: share of latents that never fire in the evaluation draw. A random SAE of the same rates has the same values.
    """
    values = {"l0": evidence.l0}
    if evidence.on_world is not None:
        values["true_l0"] = float(evidence.features.fires.sum()) / evidence.n
        values["expected_l0"] = evidence.truth.expected_l0
    return values | {"dead": evidence.dead}
