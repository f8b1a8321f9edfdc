"""What the claims on trained signed codes measure."""

from proofs_check.instances.stack import Trained
from workbench.metrics import axes


def more_dead(signed: Trained, plain: Trained) -> float:
    """Share of dead latents of signed codes less that of nonnegative ones."""
    return signed.dead - plain.dead


def gain(signed: Trained, plain: Trained) -> float:
    """MCC of signed codes less that of nonnegative ones."""
    return signed.mcc - plain.mcc


def split(case: Trained) -> float:
    """Share of axes with a latent at both ends."""
    return float(axes.fragmentation(case.evidence)["fragmentation"])


def two_signed(case: Trained) -> float:
    """Share of live latents that use both signs."""
    return float(axes.bipolarity(case.evidence)["two_signed"] or 0.0)
