"""Decoders: what latents reconstruct."""

# ruff: noqa: D102 (overrides inherit theirs)

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from workbench import kernels
from workbench.parts.base import Decoder, Latents, Pass, Renewed, Sizes
from workbench.parts.polynomial import Terms, coefficients, common_ranks, orthonormal, power_terms
from workbench.settings import Natural


class Rows(Decoder):
    """f W_dec + b_dec, rows kept at norm 1 in training where `unit`."""

    W_dec: nn.Parameter

    def __init__(
        self, stack: Sizes, *, unit: bool = True, start: Float[Tensor, "*s m d"] | None = None, bias: bool = True
    ) -> None:
        """Args:
        stack: what it is made for.
        unit: keep rows at norm 1.
        start: rows at the start; random unit ones where None.
        bias: train b_dec; else it stays as it is set, 0 at first.
        """
        super().__init__(stack, None if start is None else start.shape[-1])
        self.unit = unit
        self.W_dec = nn.Parameter(stack.rows if start is None else start.detach().clone())
        self.b_dec.requires_grad_(bias)

    @property
    def rows(self) -> Float[Tensor, "*s m d"]:
        return self.W_dec

    def forward(self, latents: Latents) -> Float[Tensor, "*s n d"]:
        return kernels.decode(latents, self.W_dec)

    def plant(self, rows: Float[Tensor, "m d"]) -> tuple[str, ...]:
        self.W_dec.copy_(rows)
        return ("W_dec",)

    def renewed(self, dead: Bool[Tensor, "*s m"], rows: Float[Tensor, "*s m d"]) -> Renewed:
        if not self.unit:
            norms = self.W_dec.norm(dim=-1)
            mean = torch.where(dead, 0.0, norms).sum(-1, keepdim=True) / (~dead).sum(-1, keepdim=True).clamp_min(1)
            rows = rows * torch.where(mean > 0, mean, 1.0)[..., None]
        return {self.W_dec: (dead[..., None], rows)}

    @torch.no_grad()
    def before_step(self) -> None:
        """Drop the part of the gradient along its rows, which renormalising would undo."""
        if self.unit and self.W_dec.grad is not None:
            both = (self.W_dec.grad, self.W_dec)
            flat = all(t.is_contiguous() for t in both)  # then in parts whose products stay in cache
            parts = (t.view(-1, t.shape[-1]).split(1024) if flat else [t] for t in both)
            for gradient, rows in zip(*parts, strict=True):
                gradient.addcmul_((gradient * rows).sum(-1, keepdim=True), rows, value=-1)

    @torch.no_grad()
    def project(self) -> None:
        """Renormalise rows."""
        if self.unit and self.W_dec.requires_grad:
            self.W_dec.div_(self.W_dec.norm(dim=-1, keepdim=True).clamp_min(1e-8))


class Onto(Rows):
    """y_hat = f W_dec + b_dec (+ x W_skip) of targets y of another width or kind than x, both in units of their own.

    Encoders see x as it is, since b_dec is a mean of y. Rows start apart from the encoder's columns, W_skip at 0.

    Source: Dunefsky et al. (2024), arXiv 2406.11944; skip: Paulo et al. (2025), arXiv 2501.18823.
    """

    maps = True
    W_skip: nn.Parameter | None
    none: Tensor

    def __init__(self, stack: Sizes, d_out: int, *, skip: bool = False) -> None:
        """Args:
        stack: what it is made for.
        d_out: width of y.
        skip: add a linear map of x.
        """
        rows = stack.drawn(
            "rows of targets", lambda rng: torch.randn(stack.m, d_out, generator=rng, dtype=torch.float32)
        )
        super().__init__(stack, start=rows / rows.norm(dim=-1, keepdim=True))
        self.register_buffer("none", stack.zeros(stack.d), persistent=False)
        self.register_parameter("W_skip", nn.Parameter(stack.zeros(stack.d, d_out)) if skip else None)

    @property
    def centre(self) -> Float[Tensor, "*s d"]:
        """0."""
        return self.none

    def beside(self, x: Float[Tensor, "*b n d"]) -> Float[Tensor, "*s n d_out"] | None:
        return None if self.W_skip is None else x @ self.W_skip


class Polynomial(Decoder):
    """b_dec + a C1 + a^2 C2 + a^3 C3, powers entry by entry, of a = f U: its first rank2 and rank3 entries.

    U (*s, m, rank1) with U^T U = I, restored after each step; Cq (*s, rank_q, d). W_dec is the linear part U C1, rows
    of any norm. C2, C3 start at 0, U C1 at the rows a seed gives other variants. A product costs two columns of U, see
    also `power_terms`.

    Source: Koromilas et al. (2026), arXiv 2602.01322; terms "pure" and "self" are ours.
    """

    linear = False
    C2: nn.Parameter | None
    C3: nn.Parameter | None
    _planted: tuple[Tensor, Tensor] | None = None

    def __init__(self, stack: Sizes, rank1: Natural, rank2: Natural, rank3: Natural, terms: Terms = "full") -> None:
        super().__init__(stack)
        wanted = [stack.tensor(rank) for rank in (rank1, rank2, rank3)]
        ranks, rows = common_ranks(stack.name, wanted, min(stack.d, stack.m)), stack.rows
        self.terms: Terms = terms
        self.U = nn.Parameter(orthonormal(rows[..., : ranks[0]]))
        self.C1 = nn.Parameter(self.U.detach().mT @ rows)
        for q, rank in ((2, ranks[1]), (3, ranks[2])):
            self.register_parameter(f"C{q}", nn.Parameter(stack.zeros(rank, stack.d)) if rank else None)

    @property
    def rows(self) -> Float[Tensor, "*s m d"]:
        return self.U @ self.C1

    def forward(self, latents: Latents) -> Float[Tensor, "*s n d"]:
        """The polynomial, of latents in the SAE's own units: its degrees scale differently."""
        out = kernels.decode(latents, self.U) @ self.C1
        for q, C in ((2, self.C2), (3, self.C3)):
            if C is not None:
                out = out + power_terms(latents, self.U[..., : C.shape[-2]], q, self.terms) @ C
        return out

    def plant(self, rows: Float[Tensor, "m d"]) -> tuple[str, ...]:
        """Put the linear part to given rows and keep it there; the frame may still turn inside their span."""
        self._planted = orthonormal(rows[:, : self.U.shape[-1]]), rows
        self.U.copy_(self._planted[0])
        self.C1.copy_(self.U.mT @ rows)
        return ("C1",)

    def interactions(self, members: Int[Tensor, "t order"], scale: Tensor) -> Float[Tensor, "*s t d"]:
        """Coefficients in `SAE.decode(f)` of products of 2 or 3 latents a row, -1 for none.

        For f of `SAE.encode`: scale 2 sum_r U_ir U_jr c_r for i, j; scale^2 6 sum_r U_ir U_jr U_lr c_r for i, j, l;
        0 for different latents with terms "self". For contributions f_i |w_i| along unit rows divide by the norms.
        """
        out = super().interactions(members, scale)
        for q, C in ((2, self.C2), (3, self.C3)):
            if C is not None:
                out = out + scale ** (q - 1) * coefficients(members, self.U[..., : C.shape[-2]], C, q, self.terms)
        return out

    def after_step(self, out: Pass) -> None:
        """Back to U^T U = I."""
        if not self.U.requires_grad:
            return
        frame, rows = self._planted or (None, None)
        self.U.copy_(orthonormal(self.U if frame is None else frame @ (frame.mT @ self.U)))
        if rows is not None:
            self.C1.copy_(self.U.mT @ rows)
