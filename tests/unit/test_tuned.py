"""Training that suits an SAE: what its parts ask for, and that nothing said goes lost."""

from dataclasses import replace

import pytest
import torch

import synthetic as S
import workbench as W

WORLD12 = S.SparseMixture(n_true=12, d=12, firing=S.Independent(S.Constant(0.15)))
WORLD = S.SparseMixture(n_true=12, d=8, firing=S.Independent(S.Constant(0.15)))
AUX, SLOW = {"aux_k": 8, "aux_weight": 1.0}, {"k_anneal": 0.9}


@pytest.mark.parametrize(
    ("name", "settings", "rules"),
    [
        ("topk", {"k": 2}, {"k_start": 4.0, **SLOW, **AUX}),  # d/4
        ("batch_topk", {"k": [0.5, 1.0]}, {"k_start": (1.5, 3.0), **SLOW, **AUX}),  # each its own
        ("batch_topk", {"k": [[0.5], [5.0]], "seed": [0, 1]}, {"k_start": (1.5, 5.0), **SLOW, **AUX}),
        ("topk", {"k": [2, 3, 4]}, {"k_start": 4.0, **SLOW, **AUX}),
        ("topk", {"k": 4}, {"k_start": None, **AUX}),  # of d = 16 four are not few
        ("jumprelu", {"target_l0": 2.0}, AUX),
        ("groupmax", {"k": 2}, AUX),  # k groups of m/k: none can be more
        ("matching_pursuit", {"k": 2}, {}),  # no pre-activations
        ("frozen_decoder", {"k": 1}, {"k_start": 3.0, **SLOW}),
        ("matryoshka", {"k": 1.0}, {"k_start": 3.0, **AUX}),  # with prefixes, sooner
        ("ista", {"k": 1.0}, {"k_start": 3.0, **SLOW, **AUX}),
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


@pytest.mark.parametrize("name", ["topk", "batch_topk"])
def test_a_member_of_several_k_is_its_lone_self(name):
    stack = W.create(name, 12, 24, k=[[1], [2], [3]], seed=[0, 1])
    begun, seen = W.tuned(stack, steps=40, batch=32), []
    assert begun.k_start == 3.0
    begun = replace(begun, k_start=(2.0, 3.0, 3.0))  # by k, as the stack was made with
    W.train(stack, WORLD12, begun, on_step=lambda now: seen.append(stack.k.tolist()))
    assert seen[0] == [[2, 2], [3, 3], [3, 3]]
    for row, (k, start) in enumerate(((1, 2.0), (2, 3.0), (3, None))):
        alone = W.create(name, 12, 24, k=k, seed=1)
        W.train(alone, WORLD12, replace(begun, k_start=start))
        torch.testing.assert_close(stack.W_dec[row, 1], alone.W_dec, atol=1e-5, rtol=1e-4)
    by_member = W.create(name, 12, 24, k=[[1], [2], [3]], seed=[0, 1])
    W.train(by_member, WORLD12, replace(begun, k_start=(2.0, 2.0, 3.0, 3.0, 3.0, 3.0)))
    assert torch.equal(by_member.W_dec, stack.W_dec)


def test_as_many_starts_as_there_are_k():
    config = W.TrainConfig(steps=2, batch=8, k_start=(2.0, 3.0))
    rule = r"TrainConfig\.k_start must be one number, 3 for the k of topk as it was made, or 6 for its members; got \(2"
    with pytest.raises(ValueError, match=rule):
        W.train(W.create("topk", 8, 24, k=[[1], [2], [3]], seed=[0, 1]), WORLD, config)
    with pytest.raises(ValueError, match=r"TrainConfig\.k_start must be above 0; got \(2\.0, -1\.0\)"):
        W.TrainConfig(k_start=(2.0, -1.0))


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
