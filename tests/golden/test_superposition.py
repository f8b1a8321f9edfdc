"""Seeded runs whose end is known: a change of these figures needs a reason in the commit."""

import pytest

import workbench
from synthetic.worlds.superposition import superposition


def test_topk_recovers_every_feature_of_the_superposition_world() -> None:
    world = superposition()
    sae = workbench.create("topk", 32, 128, k=4, seed=[0, 1])
    workbench.train(sae, world, workbench.TrainConfig(steps=1500, batch=256))
    scores = workbench.evaluate(sae, world, 20_000)
    assert (scores["recall@.9"] * 64).tolist() == [64, 64]
    assert scores["mcc"] == pytest.approx([0.997, 0.997], abs=0.002)
    assert scores["f1"] == pytest.approx([0.770, 0.770], abs=0.01)
    assert scores["fvu"] == pytest.approx([0.148, 0.148], abs=0.005)
