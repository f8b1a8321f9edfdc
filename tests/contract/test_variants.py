"""Every variant on the shelf keeps every law of the contract; nothing is listed by hand."""

import pytest
import torch
from torch import Tensor

from workbench.check import LAWS, check_variant
from workbench.sae import SAE, Pass, register, squared_error
from workbench.variants import variant_shelf


@pytest.mark.parametrize("name", variant_shelf())
def test_variant_keeps_the_contract(name: str) -> None:
    outcomes = list(check_variant(variant_shelf()[name]))
    assert len(outcomes) == len(LAWS) == 11
    assert not [f"{o.law}: {o.said}" for o in outcomes if not o.passed]


class Crooked(SAE):
    """Breaks as many laws as it can: a batch mean leaks in, a bias is unused, latents go negative."""

    def setup(self) -> None:
        self.unused = torch.nn.Parameter(torch.zeros(*self.shape, self.m))

    def activate(self, pre: Tensor) -> Tensor:
        return pre - pre.mean(-2, keepdim=True)

    def loss(self, x: Tensor, out: Pass) -> dict[str, Tensor]:
        return {"mse": squared_error(x, out.x_hat).mean()}


def test_check_catches_a_variant_that_breaks_laws() -> None:
    from workbench import sae as module

    try:
        register("crooked")(Crooked)
        broken = {o.law.split()[0]: o.said for o in check_variant(Crooked) if not o.passed}
    finally:
        module.VARIANTS.pop("crooked", None)
    assert {"C2", "C3", "C4", "C5"} <= set(broken)
    assert "shape ()" in broken["C2"]
    assert "gradient of" in broken["C5"]


class Forgetful(SAE):
    """Says that its loss needs kept latents alone, and penalises all pre-activations."""

    selects = True

    def activate(self, pre: Tensor) -> Tensor:
        return pre * (pre > 0.5)

    def loss(self, x: Tensor, out: Pass) -> dict[str, Tensor]:
        return {"mse": squared_error(x, out.x_hat) + out.evidence.square().sum(-1).mean(-1)}


def test_check_catches_a_false_selects() -> None:
    from workbench import sae as module

    try:
        register("forgetful")(Forgetful)
        broken = {o.law.split()[0]: o.said for o in check_variant(Forgetful) if not o.passed}
    finally:
        module.VARIANTS.pop("forgetful", None)
    assert "through the kept latents alone and through all differ" in broken["C5"]
