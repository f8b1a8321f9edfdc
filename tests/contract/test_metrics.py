"""Every metric on the shelf: defined, bounded by its best value at the truth, blind to relabelling and to the unit of
activations, with a null."""

from functools import lru_cache

import numpy as np
import pytest
import torch
from units import LARGE, SMALL, InUnits, in_units

import synthetic
import workbench
from synthetic import stream
from synthetic.worlds.hierarchy import concept_tree, hierarchical
from workbench.interop.saelens import architecture_of
from workbench.metrics import METRICS, Evidence, Metric, collect, evaluate, null
from workbench.variants import variant_shelf

WORLD = hierarchical(d=64, n_true=104, directions=synthetic.LowCoherence(0.35))
RICH = synthetic.Interactions(concept_tree(rho=0.3, d=24), members=((0, 11), (0, 12)))
"""a world with levels, edges and products of features"""
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
    for name, world in (("topk", WORLD), ("group_bias_adaptation", WORLD), ("polysae", RICH)):
        chance = null(workbench.create(name, world.d, 64, seed=[0, 1]), world, n=1000, draws=2) | chance
    assert set(chance) == set(names())
    undefined = {"absorption", "hedging", "child_tilt"}  # no edge is tracked by chance
    assert chance["edges_scored"][0] == 0
    assert all(np.isfinite(mean) and sd >= 0 for name, (mean, sd) in chance.items() if name not in undefined)


@pytest.mark.parametrize("kind", METRICS, ids=lambda kind: kind.names[0])
def test_relabelling_latents_changes_no_score(kind) -> None:
    steered = "above_target" in kind.names
    rich = bool({"edge_recall@.9", "worst_level_recall@.9", "compound_atoms", "product_error"} & set(kind.names))
    world = RICH if rich else WORLD
    sae = workbench.create(
        "group_bias_adaptation" if steered else "polysae" if rich else "topk", world.d, 48, seed=[0, 1]
    )
    before = evaluate(sae, world, 1000)
    order = torch.randperm(48, generator=stream(0, "order"))
    with torch.no_grad():
        for value in [*sae.parameters(), *sae.buffers()]:
            for axis in range(value.ndim):
                if value.shape[axis] == 48:
                    value.copy_(value.index_select(axis, order))
    after = evaluate(sae, world, 1000)
    for name in kind.names:
        np.testing.assert_allclose(after[name], before[name], atol=1e-6 if rich else 1e-9)


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


# --- units of activations --------------------------------------------------------------------------------------------

FEW = 32
"""samples that say whether a score depends on the unit of x"""


@lru_cache
def evidence_in(unit: float) -> list[Evidence]:
    """Evidence of stacks that between them have every score of the shelf, on activations times `unit`."""
    stacks = (workbench.create(name, RICH.d, 16, seed=[0, 1]) for name in ("group_bias_adaptation", "polysae"))
    return [own for sae in stacks for own in collect(in_units(sae, unit), InUnits(RICH, unit), FEW, seed=1)]


def must_be_the_same_in_any_unit(kind: Metric) -> None:
    defined = [place for place, own in enumerate(evidence_in(1.0)) if kind.needs(own)]
    assert defined
    for unit in (SMALL, LARGE):
        for place in defined:
            here, there = (kind.measure(evidence_in(u)[place]) for u in (1.0, unit))
            assert here.keys() == there.keys() == set(kind.names)
            np.testing.assert_array_equal([there[name] for name in kind.names], [here[name] for name in kind.names])


@pytest.mark.parametrize("kind", METRICS, ids=lambda kind: kind.names[0])
def test_no_score_depends_on_the_unit_of_activations(kind) -> None:
    must_be_the_same_in_any_unit(kind)


def test_an_absolute_floor_is_caught() -> None:
    def floored(evidence: Evidence) -> dict[str, float]:
        return {"floored": evidence.energy.residual / max(evidence.energy.spread, 1e-12)}

    with pytest.raises(AssertionError):
        must_be_the_same_in_any_unit(Metric(("floored",), "", {}, floored, lambda evidence: True))


def trained(name: str, world: synthetic.World) -> workbench.SAE:
    sae = workbench.create(name, world.d, 16)
    workbench.train(sae, world, workbench.TrainConfig(steps=3, batch=32))
    return sae


@pytest.mark.parametrize("name", variant_shelf())
def test_no_variant_learns_or_scores_differently_in_another_unit(name) -> None:
    sae = trained(name, RICH)
    scores = evaluate(sae, RICH, FEW)
    small, large = InUnits(RICH, SMALL), InUnits(RICH, LARGE)
    np.testing.assert_equal(evaluate(trained(name, small), small, FEW), scores)
    np.testing.assert_equal(evaluate(in_units(sae, LARGE), large, FEW), scores)


@pytest.mark.parametrize("unit", [1e-12, 1e12])
def test_units_that_round_change_scores_by_rounding_alone(unit) -> None:
    sae, world = trained("topk", RICH), InUnits(RICH, unit)
    scores = evaluate(sae, RICH, FEW)
    for other in (in_units(sae, unit), trained("topk", world)):
        found = evaluate(other, world, FEW)
        np.testing.assert_allclose(list(found.values()), list(scores.values()), rtol=1e-4, atol=1e-4)


FOLDED = [name for name, variant in variant_shelf().items() if architecture_of(variant(8, 8))]


@pytest.mark.parametrize("name", FOLDED)
def test_a_unit_folded_into_weights_changes_no_score(name, tmp_path) -> None:
    """What a SAELens folder holds: inputs are raw, biases and thresholds divided by the scale."""
    sae, scores = trained(name, RICH), {}
    for unit in (1.0, SMALL):
        folder = in_units(sae, unit).save(tmp_path / str(unit))
        (folder / "workbench.json").unlink()
        folded = workbench.load(folder)
        assert float(folded.scale) == 1
        scores[unit] = evaluate(folded, InUnits(RICH, unit), FEW)
    np.testing.assert_equal(scores[SMALL], scores[1.0])
    whole = evaluate(sae, RICH, FEW)
    np.testing.assert_allclose([scores[1.0][k] for k in whole], list(whole.values()), rtol=1e-4, atol=1e-4)
