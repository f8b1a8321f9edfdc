"""Feature-choice SAE: every latent has a budget of samples, where TopK gives every sample a budget of latents."""

from workbench.parts.decoders import Rows
from workbench.parts.encoders import Affine
from workbench.parts.objectives import SquaredError
from workbench.parts.selections import FeatureChoice
from workbench.sae import SAE, Stack, variant
from workbench.settings import MeanCount, Real


@variant("feature_choice")
def feature_choice(stack: Stack, k: MeanCount = 4.0, threshold_rate: Real = 0.05) -> SAE:
    """Training keeps the round(n k / m) largest pre-activations of each latent over a batch of n, one at least.

    Inference keeps those above thresholds, one a latent, which follow the smallest value kept in training with rate
    `threshold_rate`. No latent can die; all fire equally often, whatever the features do.

    Args:
        stack: what it is made for.
        k: mean active latents a sample.
        threshold_rate: weight of the newest batch in the running thresholds.

    Source: Ayonrinde (2024), arXiv 2411.02124. Differs: budgets are equal (the paper also has ones that fall off by
    Zipf's law); the thresholds are ours.
    """
    return stack.sae(Affine(stack, FeatureChoice(stack, k, threshold_rate)), Rows(stack), SquaredError())
