"""One forward pass: what encoder and decoder hand to objectives."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from synthetic.source import Codes

Latents = Codes | Tensor
"""latents of a batch, sparse or dense"""


@dataclass(frozen=True)
class Pass:
    """One forward pass, in the SAE's own units (inputs times `scale`)."""

    x: Float[Tensor, "*b n d"]
    pre: Tensor
    """what `SAE.pre` returned, usually pre-activations (*s, n, m); without gradient where the codes carry it"""
    codes: Latents
    x_hat: Float[Tensor, "*s n d"]
    seen: Tensor
    """what `SAE.inputs` returned, (*b, n, d) or (*s, n, d)"""

    def dense(self) -> Float[Tensor, "*s n m"]:
        """Latents as a dense array."""
        return self.codes.dense() if isinstance(self.codes, Codes) else self.codes


def squared_error(x: Tensor, x_hat: Tensor) -> Float[Tensor, "*s"]:
    """sum_d (x - x_hat)^2, mean over rows."""
    return (x_hat - x).square().sum(-1).mean(-1)
