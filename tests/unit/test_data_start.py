"""Latents that start along activations: where they point, that members are their lone selves, what is left alone."""

import pytest
import torch
from torch.nn.functional import cosine_similarity
from torch.testing import assert_close

import synthetic as S
import workbench as W
from workbench.training.revival import OFF, start_at_data

WORLD = S.SparseMixture(n_true=12, d=8, firing=S.Independent(S.Constant(0.15)))
STILL = W.TrainConfig(steps=1, batch=8, lr=1e-12, data_start=True)


def started(name="topk", source=WORLD, **settings):
    sae = W.create(name, 8, 24, **settings)
    start_at_data(sae, S.rows.as_source(source), seed=5)
    return sae


def test_rows_and_columns_point_along_activations_and_keep_their_lengths():
    sae = W.create("relu", 8, 24, seed=3)
    with torch.no_grad():
        sae.W_enc.mul_(0.5)
        sae.b_dec.add_(0.25)
    start_at_data(sae, WORLD, seed=5)
    centred = WORLD.sample(48, S.stream(5, "start", 0)).x - 0.25
    cosines = cosine_similarity(sae.W_dec[:, None], centred, dim=-1).amax(-1)
    assert (cosines > (1 - OFF**2) ** 0.5 - 1e-5).all()  # the random part turns a row by arcsin OFF at most
    assert_close(sae.W_dec.norm(dim=-1), torch.ones(24))
    assert_close(sae.W_enc, sae.W_dec.mT / 2)


def test_members_are_their_lone_selves_and_differ():
    stack = started(seed=[0, 1], k=2)
    for i in (0, 1):
        assert torch.equal(stack.W_dec[i], started(seed=i, k=2).W_dec)
    assert not torch.equal(stack.W_dec[0], stack.W_dec[1])


def test_equal_activations_make_no_equal_latents_and_none_leave_rows_as_they_are():
    same = started(source=torch.ones(5, 8)).W_dec.detach()
    assert float((same @ same.mT - 2 * torch.eye(24)).max()) < 1 - 1e-4
    assert_close(started(source=torch.zeros(5, 8)).W_dec, W.create("topk", 8, 24).W_dec)


def test_columns_of_a_map_see_what_its_rows_answer():
    x = torch.randn(40, 8, generator=S.stream(0, "x"))
    sae = started("transcoder", source=S.pairs(x, x.flip(-1)), d_y=8)
    assert float(cosine_similarity(sae.W_enc.mT.flip(-1), sae.W_dec, dim=-1).min()) > 0.95


def test_training_starts_there_once_and_only_where_it_is_asked_to():
    sae, lone = W.create("topk", 8, 24, k=2), W.create("topk", 8, 24, k=2)
    W.train(sae, WORLD, STILL, seed=5)
    W.train(lone, WORLD, W.TrainConfig(steps=1, batch=8, lr=1e-12), seed=5)
    assert float(cosine_similarity(sae.W_dec, lone.W_dec, dim=-1).max()) < 0.99
    assert_close(lone.W_dec, W.create("topk", 8, 24).W_dec)
    trained = sae.W_dec.clone()
    W.train(sae, WORLD, STILL, seed=6)  # goes on from where it is
    assert_close(sae.W_dec, trained)


@pytest.mark.parametrize("name", ["frozen_decoder", "polysae", "soft_frozen_decoder"])
def test_what_cannot_be_turned_is_refused_each_time(name):
    sae = W.create(name, 8, 12)
    for _ in range(2):
        with pytest.raises(ValueError, match=f"TrainConfig.data_start must be False for {name}"):
            W.train(sae, WORLD, STILL)


def test_what_is_tuned_resumes_as_it_was_begun(tmp_path):
    x = torch.randn(300, 128, generator=S.stream(0, "x"))

    def pressed(now):
        if now.step == 3:
            raise KeyboardInterrupt

    def config(sae):
        return W.tuned(sae, steps=6, batch=16, checkpoint_every=2)

    unbroken, broken = (W.create("topk", 128, 130) for _ in range(2))
    W.train(unbroken, x, config(unbroken))
    with pytest.raises(KeyboardInterrupt):
        W.train(broken, x, config(broken), checkpoint=tmp_path / "c", on_step=pressed)
    assert not config(broken).data_start
    W.train(broken, x, config(broken), checkpoint=tmp_path / "c", resume=True)
    assert torch.equal(broken.W_dec, unbroken.W_dec)


def test_the_rule_is_for_wide_activations_and_latents_that_compete():
    assert W.tuned(W.create("topk", 128, 130)).data_start
    assert not W.tuned(W.create("topk", 127, 130)).data_start
    assert not W.tuned(W.create("relu", 128, 130)).data_start
    for name in ("W_dec", "W_enc"):
        planted = W.create("topk", 128, 130)
        with torch.no_grad():
            getattr(planted, name).mul_(-1)
        assert not W.tuned(planted).data_start
    assert W.tuned(W.create("topk", 128, 130).bfloat16()).data_start
    assert not W.tuned(W.create("frozen_decoder", 128, 130)).data_start
