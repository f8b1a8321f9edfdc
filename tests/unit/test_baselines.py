"""Frozen baselines and the low-rank pass-through: what stays, what moves how far, what decode lacks."""

import pytest
import torch
from torch.testing import assert_close

import synthetic as S
import workbench as W
from experiments import recovery
from experiments.settings import Recovery
from workbench.parts.rules import within_cone
from workbench.training.ceiling import trained_oracle


def trained(name, steps=60, **settings):
    """After some steps on the toy world at a large rate."""
    world = W.find_source("toy")
    sae = W.create(name, world.d, 32, **settings)
    W.train(sae, world, W.TrainConfig(steps=steps, batch=64, lr=1e-2))
    return sae, W.create(name, world.d, 32, **settings)


@pytest.mark.parametrize(
    ("name", "still"), [("frozen_decoder", {"W_dec"}), ("frozen_encoder", {"W_enc", "b_enc"}), ("topk", set())]
)
def test_what_is_frozen_stays_and_the_rest_moves(name, still, tmp_path):
    sae, start = trained(name)
    equal = {n for n, p in sae.named_parameters() if torch.equal(p, start.tensor(n))}
    assert equal == still
    again = W.load(sae.save(tmp_path / "sae"))
    assert set(again.frozen) == still


def test_a_cone_by_hand():
    axis = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    rows = torch.tensor([[0.0, 2.0], [0.96, 0.28], [-0.6, -0.8], [0.0, 3.0]])
    wanted = torch.tensor([[1.6, 1.2], [0.96, 0.28], [0.8, -0.6], [0.0, 3.0]])
    assert_close(within_cone(rows, axis, torch.tensor(0.8)), wanted)
    assert_close(within_cone(rows, axis, torch.tensor(1.0)), rows.norm(dim=-1, keepdim=True) * axis)


def test_soft_frozen_rows_turn_as_far_as_they_may(tmp_path):
    sae, start = trained("soft_frozen_decoder", cosine=[0.8, 1.0])
    cosines = (sae.W_dec * start.W_dec).sum(-1).detach()
    assert float(cosines[0].min()) == pytest.approx(0.8, abs=1e-5)
    assert_close(cosines[1], torch.ones(32))
    assert_close(sae.W_dec.norm(dim=-1), torch.ones(2, 32))
    again = W.load(sae.save(tmp_path / "sae"))
    assert_close(again.tensor("start"), start.W_dec.detach())


def test_the_ceiling_of_a_soft_frozen_decoder_has_the_true_rows():
    world = W.find_source("toy")
    config = W.TrainConfig(steps=20, batch=64, normalise=False)
    assert W.ceiling("soft_frozen_decoder", world, config, n=500, k=2)["mcc"] == pytest.approx(1.0, abs=1e-5)


def test_the_ceiling_of_a_frozen_encoder_has_its_random_columns():
    world = W.find_source("toy")
    m = world.truth.features.shape[0]
    drawn, sae = W.create("frozen_encoder", world, m, k=3), trained_oracle("frozen_encoder", world, k=3)
    assert torch.equal(sae.W_enc, drawn.W_enc)
    assert torch.equal(sae.W_dec, world.truth.features)
    assert set(sae.frozen) == {"W_enc", "b_enc", "W_dec", "b_dec"}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "spade",
            r"oracle\.name must be a variant with unit rows, .*; got spade, whose rows have lengths of their own",
        ),
        ("frozen_encoder", r"ceiling\.name must be .* encoder is trained; got frozen_encoder, whose W_enc is frozen"),
    ],
)
def test_a_ceiling_that_is_none_is_refused(name, message):
    """Trained for 600 steps, SpaDE has fvu .12 and its oracle .78, a frozen encoder .60 and its oracle 1.13."""
    with pytest.raises(ValueError, match=message):
        W.ceiling(name, "toy")


def test_pairs_are_refused_at_once_where_a_variant_does_not_map():
    rule = "must be activations alone for topk; got pairs with targets: create a transcoder for them"
    with pytest.raises(ValueError, match=rf"oracle\.world {rule}"):
        W.oracle("topk", "sparse_map")
    settings = Recovery(world=("sparse_map",), variants=("transcoder", "topk"), axis=("samples",))
    with pytest.raises(ValueError, match=rf"--world {rule}"):
        recovery.STUDY.units(settings)


def test_recovery_has_no_ceiling_where_there_is_none():
    settings = Recovery(world=("toy",), variants=("topk", "spade", "frozen_encoder"), axis=("samples",))
    assert [unit.label for unit in recovery.ceilings(settings)] == ["base/topk/ceiling"]
    (place,) = recovery.varied(settings)[0]
    assert recovery.halves(W.create("spade", 16, 16), place, settings) == {}


def test_the_pass_through_is_a_linear_map_of_its_rank_that_decode_lacks():
    sae, _ = trained("low_rank", rank=2, k=2.0)
    x = W.find_source("toy").sample(50, S.stream(0, "tests/baselines")).x
    missing = (sae(x) - sae.decode(sae.encode(x))).detach()
    through = (x - sae.b_dec / sae.scale) @ sae.tensor("P") @ sae.tensor("Q")
    assert_close(missing, through.detach(), atol=1e-4, rtol=1e-4)
    assert int(torch.linalg.matrix_rank(missing, rtol=1e-4)) == 2


def test_a_trained_pass_through_is_the_reduced_rank_regression_of_the_residual():
    # x has a dense normal coefficient of (1, 1, 1, 1) / 2, and one feature at a time beside it
    dense = torch.full((4,), 0.5)

    def draw(n, name):
        rng = S.stream(0, name)
        sparse = torch.nn.functional.one_hot(torch.randint(4, (n,), generator=rng), 4) * torch.rand(n, 1, generator=rng)
        return sparse + 3 * torch.randn(n, 1, generator=rng) * dense

    sae = W.create("low_rank", 4, 8, k=1.0, rank=1)
    W.train(sae, W.rows(draw(20_000, "tests/low_rank")), W.TrainConfig(steps=400, batch=128, lr=1e-2))
    x = draw(4000, "tests/low_rank/evaluation")
    centred, residual = x - x.mean(0), (x - sae.decode(sae.encode(x)).detach())
    residual = residual - residual.mean(0)
    best = torch.linalg.lstsq(centred, residual).solution
    basis = torch.linalg.svd(centred @ best, full_matrices=False).Vh[:1]
    least = (residual - centred @ best @ basis.T @ basis).square().sum()
    achieved = (x - sae(x).detach()).square().sum()
    assert float(achieved) < 1.02 * float(least)
