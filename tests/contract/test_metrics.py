"""Every metric on the shelf: defined, bounded by its best value at the truth, blind to relabelling, with a null."""

import numpy as np
import pytest
import torch

import synthetic
import workbench
from synthetic import presets, stream
from workbench.metrics import METRICS, evaluate, null

WORLD = presets.hierarchical(d=64, n_true=104, directions=synthetic.LowCoherence(0.35))
N = 4000


def planted(m: int = 104) -> workbench.SAE:
    """The true dictionary with a threshold that the tight world can be read off with."""
    sae = workbench.create("jumprelu", WORLD.d, m, start=0.3)
    truth = WORLD.truth
    with torch.no_grad():
        rows = truth.features
        gram = rows @ rows.T
        sae.W_dec.copy_(rows)
        sae.W_enc.copy_((torch.linalg.pinv(gram.double()).float() @ rows).T)
    return sae.eval()


def names() -> list[str]:
    return [name for kind in METRICS for name in kind.names]


def test_names_are_unique_and_definitions_are_there() -> None:
    assert len(names()) == len(set(names()))
    assert all(len(kind.definition) > 40 for kind in METRICS)


def test_every_metric_has_a_null() -> None:
    chance = {}
    for name in ("topk", "group_bias_adaptation"):
        chance |= null(workbench.create(name, WORLD.d, 64, seed=[0, 1]), WORLD, n=1000, draws=2)
    assert set(chance) == set(names())
    undefined = {"absorption", "hedging", "child_tilt"}  # no edge is tracked by chance
    assert chance["edges_scored"][0] == 0
    assert all(np.isfinite(mean) and sd >= 0 for name, (mean, sd) in chance.items() if name not in undefined)


@pytest.mark.parametrize("kind", METRICS, ids=lambda kind: kind.names[0])
def test_relabelling_latents_changes_no_score(kind) -> None:
    steered = "above_target" in kind.names
    sae = workbench.create("group_bias_adaptation" if steered else "topk", WORLD.d, 48, seed=[0, 1])
    before = evaluate(sae, WORLD, 1000)
    order = torch.randperm(48, generator=stream(0, "order"))
    with torch.no_grad():
        for kept in ("W_dec", "targets") if steered else ("W_dec", "W_enc"):
            axis = -2 if kept == "W_dec" else -1
            getattr(sae, kept).copy_(getattr(sae, kept).index_select(axis, order))
    after = evaluate(sae, WORLD, 1000)
    for name in kind.names:
        np.testing.assert_allclose(after[name], before[name], atol=1e-9)


def test_scores_of_the_truth_are_near_best_and_beat_chance() -> None:
    square = synthetic.SparseMixture(
        n_true=12,
        d=16,
        directions=synthetic.Orthonormal(),
        firing=synthetic.Forest(trees=4, branching=2, depth=1, base=synthetic.Independent(synthetic.Linear(0.4, 0.05))),
    )
    sae = workbench.create("jumprelu", 16, 12, start=1e-4)
    with torch.no_grad():
        sae.W_dec.copy_(square.truth.features)
        sae.W_enc.copy_(square.truth.features.T)
    scores = evaluate(sae.eval(), square, N)
    for kind in METRICS:
        for name, best in kind.best.items():
            if name in scores:
                assert scores[name] == pytest.approx(best, abs=1e-5), name


def test_an_untrained_sae_is_near_chance() -> None:
    sae = workbench.create("topk", WORLD.d, 104, k=3)
    scores, chance = evaluate(sae, WORLD, N), null(sae, WORLD, N, draws=3)
    for name in ("mcc", "recall@.9", "mmcs_features"):
        mean, sd = chance[name]
        assert abs(scores[name] - mean) <= 6 * sd + 0.02
