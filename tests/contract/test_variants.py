"""Every variant on the shelf keeps every law of the contract; nothing is listed by hand."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from workbench.check import LAWS, check_objective, check_variant
from workbench.parts import Affine, Pass, Rows, Selection, Term, squared_error
from workbench.parts.objectives import OBJECTIVES
from workbench.sae import SAE, VARIANTS, Stack, variant
from workbench.variants import variant_shelf


@pytest.mark.parametrize("name", variant_shelf())
def test_variant_keeps_the_contract(name: str) -> None:
    outcomes = list(check_variant(variant_shelf()[name]))
    assert len(outcomes) == len(LAWS) == 11
    assert not [f"{o.law}: {o.said}" for o in outcomes if not o.passed]


class Leaky(Selection):
    """A batch mean leaks in, a parameter is unused, latents go negative."""

    def __init__(self, stack: Stack) -> None:
        super().__init__()
        self.unused = torch.nn.Parameter(stack.zeros(stack.m))

    def forward(self, pre: Tensor) -> Tensor:
        return pre - pre.mean(-2, keepdim=True)


class OverAll(Term):
    """One number for all members."""

    name = "mse"

    def forward(self, out: Pass) -> Tensor:
        return squared_error(out.x, out.x_hat).mean()


def crooked(stack: Stack) -> SAE:
    return stack.sae(Affine(stack, Leaky(stack)), Rows(stack), OverAll())


def broken(make: Callable[[Stack], SAE]) -> dict[str, str]:
    """What the contract says of a variant, by law."""
    try:
        variant(make.__name__)(make)
        found = check_variant(VARIANTS[make.__name__])
        return {o.law.split()[0]: o.said for o in found if not o.passed}
    finally:
        VARIANTS.pop(make.__name__, None)


def step_alone(stack: Stack) -> SAE:
    return variant_shelf()["jumprelu"].make(stack, through=False)


def test_jumprelu_of_gradients_by_its_step_alone_keeps_the_contract() -> None:
    """Its encoder's gradients are then exact, and looked at."""
    assert not broken(step_alone)


def test_check_catches_a_variant_that_breaks_laws() -> None:
    said = broken(crooked)
    assert {"C2", "C3", "C4", "C5"} <= set(said)
    assert "got ()" in said["C2"]
    assert "gradient of" in said["C5"]


class Threshold(Selection):
    """Says that the loss needs kept latents alone."""

    keeps_entries = True

    def forward(self, pre: Tensor) -> Tensor:
        return pre * (pre > 0.5)


class OfAll(Term):
    """Penalises all pre-activations."""

    name = "mse"

    def forward(self, out: Pass) -> Tensor:
        return squared_error(out.x, out.x_hat) + out.evidence.square().sum(-1).mean(-1)


def forgetful(stack: Stack) -> SAE:
    return stack.sae(Affine(stack, Threshold()), Rows(stack), OfAll())


def test_check_catches_a_loss_that_needs_more_than_the_entries_kept() -> None:
    assert "through the kept latents alone and through all differ" in broken(forgetful)["C5"]


@pytest.mark.parametrize("name", OBJECTIVES)
def test_an_objective_keeps_its_laws_on_four_encoders(name: str) -> None:
    outcomes = list(check_objective(OBJECTIVES[name]))
    assert len(outcomes) == 16
    assert not [f"{o.law}: {o.said}" for o in outcomes if not o.passed]
