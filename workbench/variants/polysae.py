"""PolySAE: a TopK encoder and a decoder that also adds products of latents, through one shared low-rank projection."""

from dataclasses import dataclass
from typing import Any

from jaxtyping import Float, Int
from torch import Tensor, nn

from synthetic.base.errors import must
from workbench import kernels
from workbench.parts.polynomial import Terms, coefficients, common_ranks, orthonormal, power_terms
from workbench.parts.sparsifiers import top_k
from workbench.sae import SAE, Latents, Pass, register


@register("polysae")
class PolySAE(SAE):
    """x_hat = b_dec + a C1 + a^2 C2 + a^3 C3, powers entry by entry, of a = f U: its first rank2 and rank3 entries.

    f as in TopK; U (*s, m, rank1) with U^T U = I, restored after each step; Cq (*s, rank_q, d). W_dec is the linear
    part U C1, rows of any norm. C2, C3 start at 0, U C1 at the rows a seed gives other variants: training starts as
    TopK's. Weights before C2, C3 would only rescale them. A product costs two columns of U, see also `power_terms`.

    Source: Koromilas et al. (2026), arXiv 2602.01322; terms "pure" and "self" are ours. Differs: C2, C3 start at 0,
    where theirs have signed weights before them; AuxK explains the residual without b_dec.
    """

    @dataclass(frozen=True)
    class Settings:
        """Hyperparameters; ranks are the same for all members."""

        k: int = 4
        """active latents a sample"""
        rank1: int = 0
        """columns of U, at most min(d, m), or 0 for that many"""
        rank2: int = 8
        """first columns of U whose squares enter, or all where there are fewer"""
        rank3: int = 0
        """first columns whose cubes enter, likewise"""
        terms: Terms = "full"
        """all monomials, products of different latents alone, or powers of single ones alone (a control)"""

    unit_decoder = False
    selects = True
    k: Tensor
    rank1: Tensor
    rank2: Tensor
    rank3: Tensor
    terms: Terms
    _planted: tuple[Tensor, Tensor] | None = None

    def setup(self) -> None:
        """Check settings; factor the drawn rows."""
        good = bool(((self.k >= 1) & (self.k <= self.m)).all())
        must(good, "PolySAE.k", f"in [1, m={self.m}]", self.settings["k"], "lower k or raise m")
        ranks = common_ranks("PolySAE", (self.rank1, self.rank2, self.rank3), min(self.d, self.m))
        rows = self.W_dec.detach()
        del self.W_dec
        self.U = nn.Parameter(orthonormal(rows[..., : ranks[0]]))
        self.C1 = nn.Parameter(self.U.detach().mT @ rows)
        for q, rank in ((2, ranks[1]), (3, ranks[2])):
            self.register_parameter(f"C{q}", nn.Parameter(rows.new_zeros(*self.shape, rank, self.d)) if rank else None)

    def __getattr__(self, name: str) -> Any:
        """W_dec, made of its factors."""
        factors = self.__dict__.get("_parameters", {})
        made = name == "W_dec" and name not in factors and "C1" in factors
        return factors["U"] @ factors["C1"] if made else super().__getattr__(name)

    def plant(self, rows: Float[Tensor, "m d"]) -> None:
        """Put the linear part to given rows and keep it there; the frame may still turn inside their span."""
        self._planted = orthonormal(rows[:, : self.U.shape[-1]]), rows
        self.U.copy_(self._planted[0])
        self.C1.copy_(self.U.mT @ rows)
        self.frozen = ("C1",)

    def activate(self, pre: Tensor) -> Latents:
        """Keep the k largest."""
        return top_k(pre, self.k.long())

    def combine(self, codes: Latents) -> Float[Tensor, "*s n d"]:
        """The polynomial, of latents in the SAE's own units: its degrees scale differently."""
        out = kernels.decode(codes, self.U) @ self.C1
        for q, C in ((2, self.C2), (3, self.C3)):
            if C is not None:
                out = out + power_terms(codes, self.U[..., : C.shape[-2]], q, self.terms) @ C
        return out

    def interactions(self, members: Int[Tensor, "t order"]) -> Float[Tensor, "*s t d"]:
        """Coefficients in `decode(f)` of products of 2 or 3 latents a row, -1 for none.

        For f of `encode`: scale 2 sum_r U_ir U_jr c_r for i, j; scale^2 6 sum_r U_ir U_jr U_lr c_r for i, j, l;
        0 for different latents with terms "self". For contributions f_i |w_i| along unit rows divide by the norms.
        """
        out = self.b_dec.new_zeros(*self.shape, len(members), self.d)
        for q, C in ((2, self.C2), (3, self.C3)):
            if C is not None:
                out = out + self.scale ** (q - 1) * coefficients(members, self.U[..., : C.shape[-2]], C, q, self.terms)
        return out

    def after_step(self, out: Pass) -> None:
        """Back to U^T U = I."""
        if "U" in self.frozen:
            return
        frame, rows = self._planted or (None, None)
        self.U.copy_(orthonormal(self.U if frame is None else frame @ (frame.mT @ self.U)))
        if rows is not None:
            self.C1.copy_(self.U.mT @ rows)
