"""Top-AFA SAE: each sample keeps as many latents as it takes for their norm to come nearest that of the input."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool
from torch import Tensor

from synthetic.base.errors import must
from workbench import kernels
from workbench.parts.sparsifiers import fired, masked, norm_match, top_k
from workbench.sae import SAE, Latents, Pass, register, squared_error


@register("top_afa")
class TopAFA(SAE):
    """f = the k* largest a_i |w_i| of a = relu((x - b_dec) W_enc), their norm nearest |x - b_dec|; no b_enc.

    loss = |x - x_hat|² + d afa (|f| - |x|)² + aux |x - x_hat - guess by dead latents|², d times the reference's.

    Nothing in it prefers sparse codes: [A, -A] with orthogonal A is a global optimum on all data (claim AFA-16).

    Source: Lee et al. (2025), arXiv 2503.24277, and its reference code. Differs: decoder rows are renormalised after
    each step, not before the next.
    """

    @dataclass(frozen=True)
    class Settings:
        """Hyperparameters."""

        afa: float = 1 / 32
        """weight of (|f| - |x|)², beside a squared error averaged over dimensions"""
        aux: float = 1 / 32
        """weight of the residual's reconstruction by latents silent for 5 batches"""
        aux_latents: int = 512
        """most of them used for a sample"""
        rule: Literal["norm", "square", "reach"] = "norm"
        """nearest in norm or squared norm, or the first norm to reach the target"""
        target: Literal["centred", "raw"] = "centred"
        """|x - b_dec| or |x|"""
        sentinel: bool = True
        """let 1e4 stand in for the norm of all m latents, as the reference does"""
        least: int = 1
        """fewest latents kept; 0 allows silence"""
        most: int = 0
        """most latents kept; 0 for no limit"""
        init: Literal["kaiming", "tied"] = "kaiming"
        """encoder uniform on +-sqrt(6/m), as the reference, or the transposed decoder"""
        precise: bool = False
        """select in float64"""

    linear_pre = False
    latent_scale = ("W_enc",)
    sparse_objective = False
    afa: Tensor
    aux: Tensor
    aux_latents: Tensor
    rule: Literal["norm", "square", "reach"]
    least: Tensor
    most: Tensor
    silent: Tensor

    @torch.no_grad()
    def setup(self) -> None:
        """Check settings, draw the reference's encoder, count silent batches; there is no b_enc."""
        for name in ("afa", "aux", "aux_latents", "least", "most"):
            good = bool((getattr(self, name) >= 0).all())
            must(good, f"TopAFA.{name}", "at least 0", self.settings[name], "raise it")
        limit = torch.where(self.most > 0, self.most, self.m)
        fits = bool(((self.least <= limit) & (limit <= self.m)).all())
        must(fits, "TopAFA.least", f"at most `most`, and that at most m={self.m}", self.settings["least"], "lower both")
        del self.b_enc
        self.register_buffer("silent", torch.zeros(*self.shape, self.m))
        if self.init == "kaiming":
            unit = self.drawn(
                "init/kaiming", lambda rng: torch.rand(self.d, self.m, generator=rng, dtype=torch.float32)
            )
            self.W_enc.copy_((6 / self.m) ** 0.5 * (2 * unit - 1))
            self.W_dec.copy_(self.W_enc.mT / self.W_enc.mT.norm(dim=-1, keepdim=True))

    def pre(self, x: Tensor) -> Tensor:
        """Centred inputs x - b_dec: selection needs their norm."""
        return x - self.b_dec[..., None, :]

    def saturated(self, pre: Tensor) -> Bool[Tensor, "*s n"]:
        """Samples whose latents together fall short of the target, so that none is left out."""
        size = (pre @ self.W_enc).relu() * self.W_dec.norm(dim=-1)[..., None, :]
        return size.norm(dim=-1) < self._whole(pre).norm(dim=-1)

    def _whole(self, pre: Tensor) -> Tensor:
        """What the norm of the latents is to match that of."""
        return pre if self.target == "centred" else pre + self.b_dec[..., None, :]

    def activate(self, pre: Tensor) -> Latents:
        """Keep contributions until their norm comes nearest the input's; no gradient through the choice."""
        a = (pre @ self.W_enc).relu()
        exact = torch.Tensor.double if self.precise else torch.Tensor.detach
        size, tau = (
            exact(a.detach()) * exact(self.W_dec.norm(dim=-1))[..., None, :],
            exact(self._whole(pre)).norm(dim=-1),
        )
        most = torch.where(self.most > 0, self.most, self.m)[..., None]
        mark = 1e4 if self.sentinel else None
        return masked(a, norm_match(size, tau, rule=self.rule, sentinel=mark, least=self.least[..., None], most=most))

    def loss(self, x: Tensor, out: Pass) -> dict[str, Tensor]:
        """Squared error, norm matching, and the dead latents' share in the residual."""
        values = out.codes if isinstance(out.codes, Tensor) else out.codes.values
        gap = values.norm(dim=-1) - x.norm(dim=-1)
        terms = {"mse": squared_error(x, out.x_hat), "afa": self.d * self.afa * gap.square().mean(-1)}
        if bool((dead := self._silent(out) >= 5).any()):
            a = torch.where(dead[..., None, :], out.pre @ self.W_enc, 0.0)
            k = torch.minimum(dead.sum(-1), self.aux_latents).clamp_min(1)
            guess = kernels.decode(top_k(a, k), self.W_dec)
            terms["aux"] = self.aux * squared_error(x - out.x_hat, guess) * dead.any(-1)
        return terms

    def _silent(self, out: Pass) -> Tensor:
        """Batches since each latent fired, this one counted."""
        return torch.where(fired(out.codes, self.m), 0.0, self.silent + 1)

    def after_step(self, out: Pass) -> None:
        """Keep the count."""
        self.silent.copy_(self._silent(out))
