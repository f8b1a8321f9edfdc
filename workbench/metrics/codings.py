"""How activations become codes and reconstructions: by an SAE's encoder, or by an inference on given rows."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from synthetic.base.errors import must
from synthetic.source import Codes, Source
from workbench.metrics.matching import Geometry
from workbench.metrics.samples import Coefficients, products_of
from workbench.parts.base import Latents
from workbench.ratios import unit_rows
from workbench.sae import SAE, must_fit

Inference = Callable[[Tensor, Tensor], Latents]
"""activations (n, d) without their bias and unit rows (m, d) -> codes (n, m)"""


class Coding(ABC):
    """A stack of decoders, in raw units of x, and codes of activations on them."""

    def __init__(
        self, rows: Float[Tensor, "*s m d"], bias: Float[Tensor, "*s d"], device: torch.device, settings: dict[str, Any]
    ) -> None:
        self.shape, (self.m, width) = tuple(rows.shape[:-2]), rows.shape[-2:]
        self.rows = rows.detach().double().cpu().reshape(-1, self.m, width)
        self.bias = bias.detach().double().cpu().reshape(-1, width)
        self.device, self.settings = device, settings
        self.targets: Float[Tensor, "members m"] | None = None

    @abstractmethod
    def code(self, x: Float[Tensor, "n d"]) -> tuple[Latents, Float[Tensor, "members n w"]]:
        """Codes (*s, n, m) on `rows`, and reconstructions."""

    def must_fit(self, where: str, source: Source) -> None:
        """Refuse a source of another width."""
        width = self.rows.shape[-1]
        must(source.d == width, where, f"of dimension {width}, that of the rows", source.d, "pass another one")

    def groups(self) -> list[tuple[Any, ...]]:
        """A key for each member: what differs between members, without the seed."""
        varied = [v for name, v in self.settings.items() if name != "seed" and isinstance(v, np.ndarray)]
        return [tuple(v[index].item() for v in varied) for index in np.ndindex(self.shape)]

    def evaluating(self, on: bool) -> bool:
        """Turn evaluation mode on or off; whether it was off, as in training."""
        return False

    def products(self, member: int, geometry: Geometry) -> Coefficients | None:
        """What the decoder multiplies products of features by; None where it is linear."""
        return None


class OwnEncoder(Coding):
    """What an SAE makes of activations."""

    def __init__(self, sae: SAE) -> None:
        rows = sae.W_dec.detach().double().cpu() / float(sae.out_scale)
        bias = sae.b_dec.detach().double().cpu() / float(sae.out_scale)
        super().__init__(rows, bias, sae.W_dec.device, settings_of(sae))
        self.sae = sae
        targets = sae.targets
        self.targets = None if targets is None else targets.double().cpu().reshape(-1, sae.m)

    def code(self, x: Float[Tensor, "n d"]) -> tuple[Latents, Float[Tensor, "members n w"]]:
        """Codes and reconstructions of the SAE."""
        out = self.sae.trace(self.sae.own_units(x))
        x_hat = out.x_hat / self.sae.out_scale
        return out.codes, x_hat.reshape(len(self.rows), *x_hat.shape[-2:])

    def must_fit(self, where: str, source: Source) -> None:
        """Refuse a source of another width, or whose targets are not what the SAE reconstructs."""
        must_fit(where, source, self.sae)

    def evaluating(self, on: bool) -> bool:
        """Switch the SAE's mode; whether it was in training."""
        training = self.sae.training
        self.sae.train(not on)
        return training

    def products(self, member: int, geometry: Geometry) -> Coefficients | None:
        """Those of a polynomial decoder."""
        return products_of(self.sae, member, geometry)


class Inferred(Coding):
    """Codes that an inference finds on given rows, made unit, in float64."""

    def __init__(
        self,
        rows: Float[Tensor, "*s m d"],
        infer: Inference,
        bias: Float[Tensor, "*s d"] | None = None,
        settings: dict[str, Any] | None = None,
    ) -> None:
        must(rows.ndim >= 2, "evaluate.rows", "(..., m, d)", tuple(rows.shape), "pass a dictionary, a row an atom")
        bias = rows.new_zeros(*rows.shape[:-2], rows.shape[-1]) if bias is None else bias
        super().__init__(unit_rows(rows.detach().double()), bias, rows.device, settings or {})
        self.infer = infer

    def code(self, x: Float[Tensor, "n d"]) -> tuple[Latents, Float[Tensor, "members n w"]]:
        """Codes that the inference finds, member by member, and f W + b."""
        every, x_hats = [], []
        for rows, bias in zip(self.rows.to(self.device), self.bias.to(self.device), strict=True):
            codes = self.infer(x.to(self.device).double() - bias, rows)
            dense = codes.dense() if isinstance(codes, Codes) else codes
            every.append(dense)
            x_hats.append(dense @ rows + bias)
        return torch.stack(every), torch.stack(x_hats)


def settings_of(sae: SAE) -> dict[str, Any]:
    """Seed and settings by name: an array of the stack's shape where they differ between members, else a value.

    `lr` is among them where a stack was trained at several learning rates.
    """
    varied = {"seed": sae.seed, **sae.settings_now()}
    if sae.rates is not None:
        varied["lr"] = np.reshape(sae.rates, sae.shape).tolist()
    return {
        name: np.broadcast_to(np.asarray(value), sae.shape) if isinstance(value, list) and sae.shape else value
        for name, value in varied.items()
    }
