"""Training that suits an SAE: what its parts ask for, and that nothing said goes lost."""

import pytest
import torch

import synthetic as S
import workbench as W

WORLD = S.SparseMixture(n_true=12, d=8, firing=S.Independent(S.Constant(0.15)))
AUX = {"aux_k": 8, "aux_weight": 1.0}


@pytest.mark.parametrize(
    ("name", "settings", "rules"),
    [
        ("topk", {"k": 2}, {"k_start": 4.0, **AUX}),  # d/4
        ("batch_topk", {"k": [0.5, 1.0]}, {"k_start": 3.0, **AUX}),
        ("topk", {"k": 4}, {"k_start": None, **AUX}),  # of d = 16 four are not few
        ("jumprelu", {"target_l0": 2.0}, AUX),
        ("groupmax", {"k": 2}, AUX),  # k groups of m/k: none can be more
        ("matching_pursuit", {"k": 2}, {}),  # no pre-activations
        ("frozen_decoder", {"k": 1}, {"k_start": 3.0}),
        ("top_afa", {}, {}),  # a term of its own looks after dead latents
        ("group_bias_adaptation", {}, {}),  # so does its controller
    ],
)
def test_the_rules_of_parts(name, settings, rules):
    made = W.tuned(W.create(name, 16, 24, **settings), batch=100)
    assert made == W.TrainConfig(batch=100, dead_after=12, **rules)  # 50 x 24 samples


def test_what_is_said_stands():
    said = {"k_start": None, "aux_k": 0, "aux_weight": 0.5, "dead_after": 7, "steps": 9}
    assert W.tuned(W.create("topk", 8, 24), **said) == W.TrainConfig(**said)


def test_training_without_a_config_is_tuned():
    plain, made = (W.create("batch_topk", 8, 24, k=1.0, seed=3) for _ in range(2))
    short = W.tuned(plain, steps=30, batch=32)
    assert (short.dead_after, short.k_start) == (38, 2.0)
    seen = []

    def stop(now):
        seen.append(float(made.k))
        if now.step == 30:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        W.train(made, WORLD, on_step=stop)
    assert seen[0] == pytest.approx(2.0)
    assert float(made.k) == 1.0
    assert not torch.equal(made.W_dec, plain.W_dec)
