"""Activations in other units: a world, and an SAE that takes them."""

import copy
from dataclasses import dataclass, replace

import torch

from synthetic.source import Batch, Codes, GroundTruth, World
from workbench.sae import SAE

SMALL, LARGE = 2.0**-40, 2.0**40
"""about 1e-12 and 1e12; powers of two change no mantissa, so that figures must agree to the bit"""


@dataclass(frozen=True)
class InUnits:
    """Samples and coefficients of a world times `unit`; a product of k coefficients has its gain over unit^(k - 1)."""

    base: World
    unit: float

    @property
    def d(self) -> int:
        return self.base.d

    @property
    def truth(self) -> GroundTruth:
        truth, products = self.base.truth, self.base.truth.products
        if products is not None:
            order = (products.members >= 0).sum(1)
            products = replace(products, gains=products.gains / self.unit ** (order - 1))
        scaled = {name: getattr(truth, name) * self.unit for name in ("bias", "mean_h", "mean")}
        covariance = None if truth.covariance is None else truth.covariance * self.unit**2
        return replace(truth, **scaled, covariance=covariance, products=products)

    def sample(self, n: int, rng: torch.Generator) -> Batch:
        batch = self.base.sample(n, rng)
        h = Codes(batch.h.indices, batch.h.values * self.unit, batch.h.width)
        return Batch(batch.x * self.unit, h)


def in_units(sae: SAE, unit: float) -> SAE:
    """The same SAE for activations times `unit`."""
    other = copy.deepcopy(sae)
    with torch.no_grad():
        other.scale.div_(unit)
        if other.decoder.maps:
            other.scale_out.div_(unit)
    return other
