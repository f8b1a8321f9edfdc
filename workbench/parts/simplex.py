"""Codes on the simplex: the projection of distances to prototypes."""

# ruff: noqa: D102 (overrides inherit theirs)

import torch
from jaxtyping import Float
from torch import Tensor, nn

from workbench.parts.base import Coded, Decoder, Pass, Sizes, Term
from workbench.parts.encoders import Linear, centred
from workbench.parts.objectives import objective
from workbench.settings import NonNegative


def onto_simplex(z: Float[Tensor, "*b m"]) -> Float[Tensor, "*b m"]:
    """max(z - tau, 0), tau such that the entries sum to 1: argmin_f |f - z|^2 over f >= 0 with sum f = 1.

    Source: Martins and Astudillo (2016), sparsemax; Held, Wolfe, Crowder (1974).
    """
    falling = z.sort(dim=-1, descending=True).values
    excess = falling.cumsum(-1) - 1
    count = torch.arange(1, z.shape[-1] + 1, device=z.device)
    support = (count * falling > excess).sum(-1, keepdim=True).clamp_min(1)
    return (z - excess.gather(-1, support - 1) / support).relu()


class Prototypes(Linear):
    """f = the projection of -lambda |x - b_dec - p_i|^2 onto the simplex; prototypes p_i are the columns of W_enc.

    |x - b_dec|^2 moves all entries alike and the projection not at all, so evidence is lambda (2 <x - b_dec, p_i> -
    |p_i|^2), linear in x. lambda > 0 is trained by its logarithm.

    Source: Hindupur, Lubana, Fel, Ba (2025), SpaDE, arXiv 2503.01822, and its reference code. Differs: the logarithm in
    place of an inverse softplus.
    """

    compares = True

    def __init__(self, stack: Sizes, start: NonNegative) -> None:
        super().__init__(stack)
        self.W_enc.data.mul_(stack.d**0.5)
        sharpness = stack.real(start)
        sharpness = torch.where(sharpness > 0, sharpness, 1 / (2 * stack.d))
        self.log_sharpness = nn.Parameter(sharpness.log()[..., None].clone())

    def forward(self, x: Float[Tensor, "*b n d"], decoder: Decoder) -> Coded:
        near = 2 * centred(x, decoder) @ self.W_enc - self.W_enc.square().sum(-2)[..., None, :]
        evidence = self.log_sharpness.exp()[..., None] * near
        return Coded(onto_simplex(evidence), evidence, x)

    def scaled(self) -> dict[str, Tensor] | None:
        """Nothing: latents sum to 1."""
        return None


@objective("distances")
class Distances(Term):
    """gamma sum_i f_i |x - b_dec - e_i|^2, mean over rows: codes use prototypes, columns of W_enc, that are near.

    Source: Tasissa et al. (2023), K-deep simplex, arXiv 2012.02134, whose atoms are those of the decoder; an option in
    SpaDE's reference code, with weight .1.
    """

    name = "distances"
    warmed = True
    gamma: Tensor

    def __init__(self, stack: Sizes, gamma: NonNegative = 0.1) -> None:
        super().__init__()
        self.keep(gamma=stack.real(gamma))

    def forward(self, out: Pass) -> Float[Tensor, "*s"]:
        f, x, columns = out.dense(), centred(out.x, out.decoder), out.encoder.columns(out.decoder)
        squares = x.square().sum(-1, keepdim=True) - 2 * x @ columns + columns.square().sum(-2)[..., None, :]
        return self.gamma * (f * squares).sum(-1).mean(-1)
