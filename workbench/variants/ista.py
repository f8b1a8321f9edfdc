"""ISTA SAE: the encoder looks at what its first guess leaves over, and selects again."""

from workbench.parts.decoders import Rows
from workbench.parts.encoders import TwoLooks
from workbench.parts.objectives import Detach, Nested
from workbench.parts.selections import BatchTopK
from workbench.sae import SAE, Stack, variant
from workbench.settings import MeanCount, NonNegative, Real


@variant("ista")
def ista(
    stack: Stack,
    k: MeanCount = 4.0,
    eta: NonNegative = 0.3,
    prefixes: tuple[float, ...] = (1.0,),
    detach: Detach = "none",
    by_frequency: bool = False,
    inner_weight: NonNegative = 1.0,
    threshold_rate: Real = 0.05,
) -> SAE:
    """z0 = (x - b_dec) W_enc + b_enc, f0 = select(z0), z1 = z0 + eta (x - b_dec - f0 W_dec) W_enc, f = select(z1).

    `select` is BatchTopK's, one threshold a selection, and the proximal map of a bound on the number of latents: one
    step of (L)ISTA. Here the step starts from z0 instead of f0, so that a latent passed over at first keeps its
    evidence.

    Args:
        stack: what it is made for.
        k: mean active latents a sample.
        eta: length of the step.
        prefixes: prefixes that must reconstruct alone, as fractions of m, increasing, the last 1.
        detach: losses that spare shorter prefixes' latents: "inner" those of proper prefixes, "all" the full one too.
        by_frequency: prefixes of the latents that fire most often, by a running mean, in place of the first ones.
        inner_weight: weight of each proper prefix, the full one having 1.
        threshold_rate: weight of the newest batch in the running thresholds.

    Source: Gregor and LeCun (2010), LISTA; the SAE encoder of the LISTA-Matryoshka recipe, github.com/chanind/
    claude-auto-research-synthsaebench (eta .3).
    """
    first, second = (BatchTopK(stack, k, threshold_rate, name=name) for name in ("guess_threshold", "threshold"))
    loss = Nested(stack, prefixes, detach, by_frequency=by_frequency, inner_weight=inner_weight)
    return stack.sae(TwoLooks(stack, first, second, eta), Rows(stack), loss)
