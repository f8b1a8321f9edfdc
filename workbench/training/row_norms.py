"""Lengths of decoder rows: moved into the encoder where that leaves every reconstruction as it is."""

import torch
from jaxtyping import Float
from torch import Tensor

from workbench.ratios import unit_rows
from workbench.sae import SAE

TOLERANCE = 1e-5
"""rows whose norm is nearer to 1 count as unit (in short floats, nearer than rounding brings them): to bring those to 1
moves no reconstruction by more than that share"""


@torch.no_grad()
def fold_row_norms(sae: SAE) -> bool:
    """Bring the rows of W_dec to norm 1, in place, if latents can grow by what rows lose: x_hat stays.

    Whether it can be done is the encoder's to say (`Encoder.scaled`, `Encoder.compares`): a latent's weights, biases
    and threshold are multiplied by its row's norm. Where latents are compared with one another or with a number that
    they share, all norms of a member have to be equal. Where nothing makes up for a norm, or what would is frozen, the
    SAE stays as it is and `sae.decoder.unit` becomes False: training then leaves the norms of its rows alone.

    A row of norm 0 becomes a unit row along its column of W_enc, and its latent silent.

    Returns:
        Whether the rows have norm 1 now; also True where training would not touch them, W_dec being frozen.
    """
    if not sae.decoder.unit:
        return False
    norms = sae.W_dec.double().norm(dim=-1)
    tolerance = max(TOLERANCE, 4 * torch.finfo(sae.W_dec.dtype).eps)
    if not sae.W_dec.requires_grad or bool(((norms - 1).abs() <= tolerance).all()):
        return True
    scaled, least = sae.encoder.scaled(), norms.amin(-1, keepdim=True)
    equal = bool((norms <= least * (1 + tolerance)).all()) and bool((least > 0).all())
    bound = sae.encoder.compares or (scaled is not None and "W_enc" not in scaled and bool((norms == 0).any()))
    if scaled is None or set(scaled) & set(sae.frozen) or (bound and not equal):
        sae.decoder.unit = False
        return False
    silent = (norms == 0)[..., None]
    sae.W_dec.copy_(torch.where(silent, _directions(sae.W_enc.mT, sae.d_out), sae.W_dec))
    sae.W_dec.copy_(sae.W_dec.double() / norms.where(norms > 0, 1.0)[..., None])
    sae.encoder.rescale(norms, sae.decoder)
    return True


def _directions(columns: Float[Tensor, "*s m d"], width: int) -> Float[Tensor, "*s m width"]:
    """Unit vectors along columns, along the first axis where a column is 0 or of another width."""
    first = columns.new_zeros(*columns.shape[:-1], width)
    first[..., 0] = 1
    if width != columns.shape[-1]:
        return first
    return torch.where(columns.norm(dim=-1, keepdim=True) > 0, unit_rows(columns), first)
