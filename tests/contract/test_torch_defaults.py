"""Worlds draw, know and score the same whatever dtype, device and gradient mode their user has made torch's default."""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch

import synthetic as S
import workbench
from synthetic import stream
from synthetic.base.streams import torch_defaults
from synthetic.folder import load_world, save_world
from synthetic.source import has_targets


def small(name: str) -> S.World:
    """A named world with fewer trees, and directions that no optimiser works on for long."""
    world: Any = S.worlds.worlds()[name]()
    if not isinstance(world, S.SparseMixture):
        return world
    if isinstance(world.firing, S.Forest):
        trees = dataclasses.replace(world.firing, trees=2)
        world = dataclasses.replace(world, firing=trees, n_true=min(world.n_true, 180), d=8)
    if isinstance(world.firing, S.Copula):
        world = dataclasses.replace(world, n_true=8, d=8)
    if isinstance(world.directions, S.Orthogonalised | S.LowCoherence):
        world = dataclasses.replace(world, directions=S.Orthogonalised(steps=2))
    return world


PLAIN = S.SparseMixture(n_true=8, d=6, bias_norm=0.3)
WORLDS: dict[str, Callable[[], S.World]] = {name: lambda name=name: small(name) for name in S.worlds.worlds()}
WORLDS["low coherence"] = lambda: S.SparseMixture(n_true=8, d=6, directions=S.LowCoherence(0.4))


@contextmanager
def users_torch() -> Iterator[None]:
    """Float64, a device that holds no numbers, inference mode."""
    try:
        torch.set_default_dtype(torch.float64)
        torch.set_default_device("meta")
        with torch.inference_mode():
            yield
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_default_device(None)


def tensors_of(world: S.World, sae: workbench.SAE) -> tuple[list[torch.Tensor], dict[str, Any]]:
    """All that a world draws and knows, and an SAE's scores on it."""
    batch, truth = world.sample(16, stream(1, "defaults")), world.truth
    found = [batch.x, batch.h.values, batch.h.indices]
    found += [value for value in vars(truth).values() if isinstance(value, torch.Tensor)]
    found += [] if truth.cofiring is None else [truth.cofiring(torch.arange(2, device="cpu"))]
    return found, workbench.evaluate(sae, world, 16)


@pytest.mark.parametrize("name", WORLDS)
def test_a_world_is_the_same_under_any_defaults(name) -> None:
    world = WORLDS[name]()
    sae = workbench.create("transcoder" if has_targets(world) else "topk", world, 6)
    with users_torch():
        found, scores = tensors_of(WORLDS[name](), sae)
        assert not found[0].is_inference()  # an SAE can be trained on it
        assert torch.is_inference_mode_enabled()
        assert torch.get_default_dtype() == torch.float64
    expected, known = tensors_of(WORLDS[name](), sae)
    assert len(found) == len(expected)
    for got, wanted in zip(found, expected, strict=True):
        assert got.dtype == wanted.dtype
        assert torch.equal(got.nan_to_num(), wanted.nan_to_num())
    np.testing.assert_equal(scores, known)


def test_chance_and_saved_worlds_are_the_same_under_any_defaults(tmp_path) -> None:
    sae = workbench.create("topk", PLAIN.d, 6)
    with users_torch():
        chance = workbench.metrics.null(sae, dataclasses.replace(PLAIN), n=16, draws=1)
        again = load_world(save_world(dataclasses.replace(PLAIN), tmp_path))
        x = again.sample(4, stream(1, "x")).x
    np.testing.assert_equal(chance, workbench.metrics.null(sae, PLAIN, n=16, draws=1))
    assert torch.equal(x, PLAIN.sample(4, stream(1, "x")).x)


def test_defaults_come_back_after_an_error() -> None:
    @torch_defaults()
    def fails() -> None:
        assert torch.get_default_dtype() == torch.float32
        assert torch.zeros(1).device.type == "cpu"
        assert torch.is_grad_enabled()
        raise KeyError

    with users_torch():
        with pytest.raises(KeyError):
            fails()
        assert torch.get_default_dtype() == torch.float64
        assert torch.get_default_device().type == "meta"
        assert torch.is_inference_mode_enabled()
    assert torch.get_default_dtype() == torch.float32
