"""A planted attention layer against its truth; attribution to heads and sources by hand and over the shelf."""

import math
from dataclasses import replace

import pytest
import torch

from proofs_check.claims.attention.cases import Layer
from synthetic.attention.layer import PlantedAttention
from synthetic.attention.parts import causal_patterns, conditioned
from synthetic.base.streams import stream
from synthetic.folder import load_world, save_world
from workbench import create, variant_shelf
from workbench.metrics.attribution import by_head, by_source, constant, has_one_role, head_share, top_features
from workbench.theory import attention as theory

WORLD = PlantedAttention()
WORLDS = {
    "default": WORLD,
    "mixed": PlantedAttention(mixing=100.0, n_true=12, length=4),
    "one writer, a pattern a head": PlantedAttention(patterns=8, split=(1.0,)),
    "all sources": PlantedAttention(sources=8, rate=0.3, uneven=0.0, heads=3, patterns=1),
}


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=stream(seed, "test"), dtype=torch.float64)


# --- the world -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WORLDS)
def test_samples_agree_with_the_declared_truth(name):
    """Five standard errors, of fixed seeds: rates, cofiring, E[h], E[x], Cov[x]."""
    world, n = WORLDS[name], 60_000
    batch, truth = world.sample(n, stream(0, "test")), world.truth
    h, x = batch.h.dense().double(), batch.x.double()
    torch.testing.assert_close(x, h @ truth.features.double(), atol=1e-5, rtol=0)
    fires = (h != 0).double()
    expected = truth.cofiring(torch.arange(world.n_true))
    torch.testing.assert_close(expected.diagonal(), truth.rates)
    error = (expected * (1 - expected) / n).sqrt()
    assert float(((fires.T @ fires / n - expected).abs() / error).max()) < 5
    assert float(((h.mean(0) - truth.mean_h).abs() / h.std(0)).max()) < 5 / n**0.5
    spread = truth.covariance.diagonal().sqrt()
    assert float(((x.mean(0) - truth.mean).abs() / spread).max()) < 5 / n**0.5
    assert float(((torch.cov(x.T) - truth.covariance) / torch.outer(spread, spread)).abs().max()) < 0.1


@pytest.mark.parametrize("name", WORLDS)
def test_sequences_are_assembled_exactly(name):
    world = WORLDS[name]
    seen = world.attend(30, stream(1, "test"))
    blocks = torch.einsum("hts,nhsk->nthk", seen.patterns, seen.values)
    torch.testing.assert_close(seen.z, blocks.flatten(2), atol=1e-12, rtol=0)
    torch.testing.assert_close(seen.z, seen.h @ world.planted, atol=1e-12, rtol=0)
    torch.testing.assert_close(seen.x, world.mix(seen.z))
    torch.testing.assert_close(seen.patterns.sum(-1), torch.ones(world.heads, world.length).double())
    assert not seen.patterns.triu(1).any()
    counts = (seen.patterns > 0).sum(-1)
    assert (counts == torch.arange(1, world.length + 1).clamp_max(world.sources)).all()
    torch.testing.assert_close(seen.h.mean((0, 1)), world.truth.mean_h / world._shown[1], atol=0.2, rtol=0)


def test_writers_are_owners_and_others_of_their_pattern():
    world = PlantedAttention(n_true=80, split=(0.5, 0.3, 0.2), seed=4)
    assert world.writers.sum(1).bincount().tolist() == [0, 40, 24, 16]
    assert world.writers[torch.arange(80), world.owners].all()
    for h in range(8):  # every owner has the same mix
        assert world.writers[world.owners == h].sum(1).bincount().tolist() == [0, 5, 3, 2]
    other = torch.arange(8) % world.patterns != (world.owners % world.patterns)[:, None]
    assert not (world.writers & other).any()
    torch.testing.assert_close(world.amplitudes.square().sum(1), torch.ones(80).double())
    norms = world.planted.view(80, 8, 8).norm(dim=2)
    torch.testing.assert_close(norms, world.amplitudes)
    ratio = world.amplitudes.where(world.writers, 1.0).amin(1) / world.amplitudes.amax(1)
    assert float(ratio.min()) >= 1 / 3  # uneven = .5: from .5 to 1.5
    even = replace(world, uneven=0.0).amplitudes
    torch.testing.assert_close(
        even[even > 0], (1 / world.writers.sum(1).double().sqrt())[:, None].expand(-1, 8)[even > 0]
    )


def test_mixings_have_their_condition_and_keep_the_mean_square():
    for condition in (1.0, 50.0):
        values = torch.linalg.svdvals(conditioned(12, condition, stream(0, "test")))
        assert float(values[0] / values[-1]) == pytest.approx(condition)
        assert float(values.square().mean()) == pytest.approx(1)
    turned = PlantedAttention(mixing=1.0)
    torch.testing.assert_close(
        turned.truth.features @ turned.truth.features.T, (WORLD.planted @ WORLD.planted.T).float()
    )
    assert causal_patterns(1, 1, 1, stream(0, "test")).tolist() == [[[1.0]]]


def test_a_layer_comes_back_from_disk(tmp_path):
    world = WORLDS["mixed"]
    again = load_world(save_world(world, tmp_path))
    assert again == world
    assert sorted(again.tensors) == ["amplitudes", "mixing", "patterns", "planted"]
    one, other = (w.sample(50, stream(1, "test")) for w in (world, again))
    assert torch.equal(one.x, other.x)
    assert torch.equal(one.h.values, other.h.values)


# --- attribution -----------------------------------------------------------------------------------------------------


def test_shares_by_hand():
    rows = torch.tensor([[3.0, 4, 0, 15], [0, 2, 0, 0], [0, 0, 0, 0]])
    assert head_share(rows, 2).tolist() == [[0.25, 0.75], [1, 0], [0, 0]]
    assert head_share(rows[None].expand(3, -1, -1), 4).shape == (3, 3, 4)
    assert theory.head_share([[3.0, 4.0], [0.0, 15.0]]) == [0.25, 0.75]


def test_top_features_by_hand():
    share = torch.tensor([[0.2, 0.8], [0.9, 0.1], [0.9, 0.1], [0.5, 0.5]])
    assert top_features(share, 0, 3).tolist() == [1, 2, 3]  # of equals the first
    assert top_features(share[None], 1, 2).tolist() == [[0, 3]]
    assert has_one_role(share, torch.tensor([1, 0, 0, 2]), 2).tolist() == [True, False]
    assert has_one_role(share, torch.tensor([1, 0, 0, 1]), 2).tolist() == [True, True]
    assert has_one_role(share, torch.tensor([1, 0, 0, 0]), 3).tolist() == [True, False]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: head_share(torch.ones(2, 6), 4), "attribution.heads must be a divisor of d=6; got 4: give the number"),
        (lambda: head_share(torch.ones(2, 6), 0), "attribution.heads must be a divisor of d=6; got 0"),
        (
            lambda: top_features(torch.ones(3, 2), 2),
            r"top_features.head must be in \[0, 2\); got 2: count heads from 0",
        ),
        (lambda: top_features(torch.ones(3, 2), 0), r"top_features.count must be in \[1, m=3\]; got 10: ask for fewer"),
        (
            lambda: by_source(torch.ones(4, 2, 2), torch.ones(2, 2, 3), torch.ones(6, 1)),
            "by_source.values must be of 4 heads, as patterns; got 2: repeat shared key-value heads",
        ),
        (
            lambda: by_source(torch.ones(2, 2, 2), torch.ones(2, 2, 3), torch.ones(5, 1)),
            "by_source.W_enc must be of 6 rows; got 5: pass the encoder of concatenated heads",
        ),
    ],
)
def test_bad_shapes_are_refused(call, message):
    from jaxtyping import config

    before = config.jaxtyping_disable
    config.update("jaxtyping_disable", True)
    try:
        with pytest.raises(ValueError, match=message):
            call()
    finally:
        config.update("jaxtyping_disable", before)


def test_attribution_by_hand():
    z = torch.tensor([[1.0, 2.0, 3.0, 4.0]])
    W = torch.tensor([[1.0, 0], [1, 0], [0, 1], [0, -1]])
    assert by_head(z, W, 2).tolist() == [[[3, 0], [0, -1]]]
    assert by_head(z, W, 2, 2.0).tolist() == [[[6, 0], [0, -2]]]
    assert constant(W, torch.tensor([5.0, 5]), torch.tensor([1.0, 0, 0, 1])).tolist() == [4, 6]
    patterns, values = torch.tensor([[[1.0, 0], [0.25, 0.75]]] * 2), torch.arange(8.0).view(2, 2, 2)
    found = by_source(patterns, values, W)
    assert found.shape == (2, 2, 2, 2)
    assert found[0, 1].tolist() == [[0.25 * 1, 0], [0.75 * 5, 0]]
    assert found[1, 1].tolist() == [[0, 0.25 * -1], [0, 0.75 * -1]]
    torch.testing.assert_close(by_source(patterns[:, 1:], values, W, 3.0), 3 * found[:, 1:])  # chosen destinations


def test_attribution_of_batches_and_stacks():
    z, W = normal(2, 5, 12), normal(3, 12, 7, seed=1)
    one = by_head(z, W[0], 4)
    assert one.shape == (2, 5, 4, 7)
    torch.testing.assert_close(one.sum(-2), z @ W[0])
    stack = by_head(z[0], W, 4)
    assert stack.shape == (3, 5, 4, 7)
    torch.testing.assert_close(stack[0], one[0])
    assert constant(W, normal(3, 7), normal(3, 12)).shape == (3, 7)


def test_sources_of_a_planted_layer_with_shared_values():
    """Grouped-query attention: four heads on two sets of values, repeated by the caller."""
    patterns = causal_patterns(4, 6, 3, stream(0, "test")).expand(2, -1, -1, -1)
    values, W = normal(2, 2, 6, 3).repeat_interleave(2, 1), normal(12, 5, seed=1)
    z = (patterns @ values).transpose(1, 2).flatten(2)
    found = by_source(patterns, values, W, 0.5)
    torch.testing.assert_close(found.sum(-2).transpose(1, 2), by_head(z, W, 4, 0.5))
    torch.testing.assert_close(found.sum((1, 3)), 0.5 * z @ W)


LINEAR = [name for name, kind in variant_shelf().items() if kind(8, 8).has_evidence and name != "spade"]
"""variants with pre-activations; those of spade are of distances"""


@pytest.mark.parametrize("name", LINEAR)
def test_parts_sum_to_the_pre_activations_of_every_linear_variant(name):
    seen = WORLD.attend(3, stream(2, "test"))
    sae = create(name, WORLD.d, 80).double().eval()
    b_enc = sae.b_enc if hasattr(sae, "b_enc") else torch.zeros(80).double()
    with torch.no_grad():
        sae.scale.fill_(1.7)
        for parameter in (b_enc, sae.b_dec):
            parameter.copy_(normal(*parameter.shape))
        b_enc = b_enc if hasattr(sae, "b_enc") else torch.zeros(80).double()
        z = seen.z.flatten(0, 1)
        coded = sae.coded(z * sae.scale)
        total = by_head(z, sae.W_enc, WORLD.heads, sae.scale).sum(-2) + constant(sae.W_enc, b_enc, sae.decoder.centre)
    linear = name != "ista"  # whose second look is not linear
    pre = coded.evidence if linear else sae.encoder.product(z * sae.scale, sae.decoder)
    torch.testing.assert_close(total, pre)
    assert torch.equal(coded.evidence, pre) == linear


# --- theory ----------------------------------------------------------------------------------------------------------


def test_formulas_by_hand():
    assert theory.head_part([0.5, 0.5], [[1.0, 2.0], [3.0, 4.0]], [1.0, 1.0]) == 5.0
    assert theory.constant_part(2.0, [1.0, 1.0], [3.0, 4.0]) == -5.0
    assert [theory.ablation_effect(2.0, part) for part in (1.0, 3.0, -1.0)] == [1.0, 2.0, -1.0]
    assert [theory.ablation_effect(-2.0, part) for part in (1.0, -1.0, -3.0)] == [0.0, 0.0, -1.0]
    assert theory.output_error([1.0, 2.0], [[1.0, 0.0], [0.0, 3.0]]) == 37.0
    assert theory.ranking_cosine(1.0) == pytest.approx(math.sqrt(0.5))
    assert theory.one_role_chance([20, 1, 1]) == pytest.approx(1 - 0.7143, abs=1e-4)
    assert theory.one_role_chance([3, 2], 4) == 0
    assert theory.one_role_chance([2, 2], 3, sure=1) == pytest.approx(1 / 6)
    assert theory.one_role_chance([2, 2], 3, sure=3) == 1


def test_a_case_runs_through_the_shipped_sae():
    one, none = torch.ones(2, 1, 1).double(), torch.zeros(2).double()
    layer = Layer(one, one, torch.tensor([[2.0, 0], [1, 2]]).double(), none, none, scale=0.5)
    assert layer.pre.tolist() == [[1.5, 1.0]]
    assert layer.parts.tolist() == [[[1.0, 0.0], [0.5, 1.0]]]
    assert layer.effects.tolist() == [[[1.0, 0.0]], [[0.5, 1.0]]]
    again = replace(layer, k=1, selects_again=True)
    assert again.effects.tolist() == [[[1.5, -1.0]], [[0.5, 0.0]]]
    assert again.swapped == 2  # one falls out, one comes in
