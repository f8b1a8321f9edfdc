"""Matryoshka BatchTopK SAE: every prefix of the dictionary must reconstruct on its own."""

from workbench.parts.decoders import Rows
from workbench.parts.encoders import Affine
from workbench.parts.objectives import Detach, Nested
from workbench.parts.selections import BatchTopK
from workbench.sae import SAE, Stack, variant
from workbench.settings import MeanCount, NonNegative, Real


@variant("matryoshka")
def matryoshka(
    stack: Stack,
    k: MeanCount = 4.0,
    prefixes: tuple[float, ...] = (1 / 16, 1 / 4, 1 / 2, 1.0),
    detach: Detach = "none",
    by_frequency: bool = False,
    inner_weight: NonNegative = 1.0,
    threshold_rate: Real = 0.05,
) -> SAE:
    """BatchTopK latents; loss = mean over prefixes of |x - b_dec - f[:w] W_dec[:w]|^2, see `parts.objectives`.

    Args:
        stack: what it is made for.
        k: mean active latents a sample.
        prefixes: prefix widths as fractions of m, increasing, the last 1.
        detach: losses that spare shorter prefixes' latents: "inner" those of proper prefixes, "all" the full one too.
        by_frequency: prefixes of the latents that fire most often, by a running mean, in place of the first ones.
        inner_weight: weight of each proper prefix, the full one having 1.
        threshold_rate: weight of the newest batch in the running threshold.

    Source: Bussmann et al. (2025), arXiv 2503.17547; Nabeshima (2024). Differs: fixed prefixes, averaged not summed.
    """
    loss = Nested(stack, prefixes, detach, by_frequency=by_frequency, inner_weight=inner_weight)
    return stack.sae(Affine(stack, BatchTopK(stack, k, threshold_rate)), Rows(stack), loss)
