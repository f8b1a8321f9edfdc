"""Orthogonal-matching-pursuit SAE: latents are picked one after another and all fitted again by least squares."""

from typing import Literal

from workbench.parts.decoders import Rows
from workbench.parts.encoders import OrthogonalPursuit
from workbench.parts.objectives import SquaredError
from workbench.sae import SAE, Stack, variant
from workbench.settings import LatentCount


@variant("omp")
def omp(stack: Stack, k: LatentCount = 4, select: Literal["abs", "positive"] = "abs") -> SAE:
    """k steps of OMP on x - b_dec; f = least squares on the picked rows, so that the residual is orthogonal to them.

    loss = |x - x_hat|^2. Its gradient is taken with f held fixed, which is exact: f minimises the loss over codes on
    its support, so a change of f, however W_dec and b_dec cause it, has no first-order effect (envelope theorem). The
    support is piecewise constant. W_enc is W_dec^T and there is no b_enc; latents have both signs.

    With unit rows of coherence mu, "abs" finds the support of any x = f W with fewer than (1 + 1/mu) / 2 latents, and
    "positive" that of any with f >= 0.

    Args:
        stack: what it is made for.
        k: steps; `sae.encoder.steps` takes their place at inference.
        select: what makes a row best: |<w, r>|, or <w, r> where positive.

    Source: Pati, Rezaiifar, Krishnaprasad (1993); as an SAE the `overcomplete` package and Costa et al. (2025),
    arXiv 2506.03093. Differs: theirs takes nonnegative least squares by ten gradient steps.
    """
    return stack.sae(OrthogonalPursuit(stack, k, select), Rows(stack), SquaredError())
