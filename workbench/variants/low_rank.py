"""SAE with a low-rank pass-through: what is dense goes through a thin linear map, what is sparse through latents."""

from workbench.parts.decoders import Rows
from workbench.parts.encoders import PlusLowRank
from workbench.parts.objectives import SquaredError
from workbench.parts.selections import BatchTopK
from workbench.sae import SAE, Stack, variant
from workbench.settings import Count, MeanCount, Real


@variant("low_rank")
def low_rank(stack: Stack, k: MeanCount = 4.0, rank: Count = 1, threshold_rate: Real = 0.05) -> SAE:
    """x_hat = f W_dec + b_dec + (x - b_dec) P Q, f BatchTopK's latents, P Q of rank at most `rank`; no term on P Q.

    For a given sparse part the best P Q is the reduced-rank regression of x - b_dec - f W_dec on x - b_dec. What
    `decode` gives lacks it, since no latent carries it; the SAE itself (`sae(x)`) has it. Rows are determined up to
    what the map passes on: without a dense part in the data, cosines to features average about sqrt(1 - rank / d).

    Args:
        stack: what it is made for.
        k: mean active latents a sample.
        rank: of the pass-through, at most; the same for all members.
        threshold_rate: weight of the newest batch in the running threshold.

    Source: Deng et al. (2026), arXiv 2606.14040, as reported by readers. Differs: one b_dec for both parts.
    """
    encoder = PlusLowRank(stack, BatchTopK(stack, k, threshold_rate), rank, "residual")
    return stack.sae(encoder, Rows(stack), SquaredError())
