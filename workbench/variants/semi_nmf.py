"""Semi-NMF as a dictionary: nonnegative codes by optimisation in place of an encoder, rows learned from batches."""

import torch

from workbench.parts.decoders import Rows
from workbench.parts.encoders import LeastSquares
from workbench.parts.objectives import L1, SquaredError
from workbench.parts.rules import WinnerTakeAll
from workbench.parts.semi_nmf import Factors
from workbench.ratios import unit_rows
from workbench.sae import SAE, VARIANTS, Stack, variant
from workbench.settings import Count, NonNegative, Share


@variant("semi_nmf")
def semi_nmf(stack: Stack, share: Share = 0.0, l1: NonNegative = 0.3, iterations: Count = 1000) -> SAE:
    """f = argmin_{f >= 0} |x - f W|^2 + l1 |f|_1, x_hat = f W; no bias, unit rows w. W_dec alone is learned.

    The gradient of that minimum in W is the gradient at fixed optimal codes (Danskin), so that steps on batches are
    online semi-NMF. `share` keeps the largest entries of each row after each step, as `parts.semi_nmf.fit` does.

    With l1 = 0, semi-NMF as published, nothing prefers sparse codes, nor any rows over (f M, M^-1 W), M >= 0: a fit
    that says nothing of the rows, with codes that at m > d are not unique and slow to find. Hence the default.

    Args:
        stack: what it is made for.
        share: of each row's entries that are kept after a step; 0 for all.
        l1: weight of |f|_1, in units where E|x|^2 = d; 0 for none.
        iterations: steps of projected gradient behind the codes, at most.

    Source: Ding, Li, Jordan (2010); Shafran, Geiger, Geva (2025), arXiv 2506.10920. Differs: batches, exact codes, l1.
    """
    encoder, decoder = LeastSquares(stack, l1, iterations), Rows(stack, bias=False)
    return stack.sae(encoder, decoder, SquaredError(), L1(stack, l1, warmed=False), WinnerTakeAll(stack, share))


def of_factors(factors: Factors) -> SAE:
    """The dictionary with the rows of a fit, at norm 1, and plain least-squares codes."""
    rows = factors.rows.float()
    sae = VARIANTS["semi_nmf"](rows.shape[1], len(rows), l1=0.0)
    with torch.no_grad():
        sae.W_dec.copy_(unit_rows(rows))
    sae.fresh = False
    return sae.eval()
