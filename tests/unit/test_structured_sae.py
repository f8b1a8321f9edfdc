"""Structured and p-annealing SAEs: the annealed penalty, the nuclear norm and its surrogate, both readings by hand."""

import pytest
import torch

import synthetic as S
import workbench as W
from workbench.parts.objectives import RECENT, Power, balanced, factored_norm, nuclear_norm, power_sum
from workbench.sae import Stack

WORLD = S.SparseMixture(n_true=8, d=6, firing=S.ExactlyK(2))


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=S.stream(seed, "test"), dtype=torch.float64)


def test_powers_by_hand():
    f = torch.tensor([[4.0, 0.0, 1.0], [0.0, 0.0, 9.0]])
    assert float(power_sum(f, torch.tensor(0.5))) == pytest.approx((2 + 1 + 3) / 2)
    assert float(power_sum(f, torch.tensor(1.0))) == pytest.approx(14 / 2)
    f.requires_grad_(True)
    power_sum(f, torch.tensor(0.1)).backward()
    assert f.grad is not None
    assert f.grad.isfinite().all()
    assert float(f.grad[0, 1]) == 0


def annealed(weight=2.0, start=12, every=10):
    return Power(Stack("test", 2, 3, (1,)), torch.tensor([weight]), torch.tensor([start]), torch.tensor([every]))


def test_p_falls_by_tenths_and_the_penalty_keeps_its_size():
    penalty, seen = annealed(), []
    f = torch.tensor([[[0.01, 0.0, 0.04], [0.09, 0.16, 0.0]]])
    for step in range(12 + 10 * 12):
        before = float(penalty.weight * power_sum(f, penalty.p))
        penalty.advance(f)
        seen.append(round(float(penalty.p), 6))
        assert float(penalty.weight * power_sum(f, penalty.p)) == pytest.approx(before, rel=1e-5), (
            step
        )  # all batches are alike
    assert seen[10] == 1.0
    assert seen[11] == 0.9
    assert seen[20] == 0.9
    assert seen[21] == 0.8
    assert seen[11 + 80] == 0.1
    assert seen[-1] == 0.1


def test_the_weight_follows_the_last_ten_batches():
    penalty = annealed(start=20)
    for step in range(20):
        penalty.advance(torch.full((1, 1, 1), 4.0 if step < 10 else 0.25))
    assert float(penalty.p) == pytest.approx(0.9)
    assert float(penalty.weight) == pytest.approx(2 * 0.25 / 0.25**0.9, rel=1e-5)
    assert RECENT == 10


@pytest.mark.parametrize("variant", ["p_annealing", "structured"])
def test_resuming_keeps_the_bits_of_an_unbroken_run(variant, tmp_path):
    settings = {"start": 12, "every": 10}  # p falls at 12, 22, 32, 42; resumed at 26, amid ten batches

    def trained(steps, path, resume):
        sae = W.create(variant, 6, 12, seed=[0, 1], **settings)
        config = W.TrainConfig(steps=steps, batch=32, checkpoint_every=13, decay=0.0, warm_up=0.0, penalty_warm_up=0.0)
        W.train(sae, WORLD, config, checkpoint=path, resume=resume)
        return sae

    whole = trained(45, tmp_path / "whole", False)
    half = tmp_path / "half"

    class Enough(Exception):  # noqa: N818
        pass

    def stop(progress):
        if progress.step == 31:
            raise Enough

    sae = W.create(variant, 6, 12, seed=[0, 1], **settings)
    config = W.TrainConfig(steps=45, batch=32, checkpoint_every=13, decay=0.0, warm_up=0.0, penalty_warm_up=0.0)
    with pytest.raises(Enough):
        W.train(sae, WORLD, config, checkpoint=half, on_step=stop)
    again = trained(45, half, True)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
    assert float(whole.tensor("penalty.p")[0]) == pytest.approx(0.6)


@pytest.mark.parametrize("shape", [(7, 2, 5), (3, 4, 6), (1, 1, 1)])
def test_the_nuclear_norm_of_a_product(shape):
    n, r, m = shape
    left, right = normal(2, n, r), normal(2, r, m, seed=1)
    wanted = torch.linalg.svdvals(left @ right).sum(-1)
    torch.testing.assert_close(nuclear_norm(left, right), wanted)
    assert (factored_norm(left, right) >= wanted - 1e-12).all()
    a, b = balanced(left, right)
    torch.testing.assert_close(a @ b, left @ right)
    torch.testing.assert_close(factored_norm(a, b), wanted)


def test_its_gradient_is_that_of_the_singular_values():
    left, right = normal(6, 2).requires_grad_(True), normal(2, 5, seed=1)
    nuclear_norm(left, right).backward()
    mine = left.grad
    left.grad = None
    torch.linalg.svdvals(left @ right)[:2].sum().backward()
    torch.testing.assert_close(mine, left.grad)
    nothing = torch.zeros(4, 2, requires_grad=True)
    nuclear_norm(nothing, torch.ones(2, 3)).backward()
    assert nothing.grad is not None
    assert nothing.grad.isfinite().all()


def by_hand(**settings):
    sae = W.create("structured", 2, 2, rank=1, l1=1.0, gamma=0.5, **settings)
    with torch.no_grad():
        sae.W_enc.copy_(torch.eye(2))
        sae.W_dec.copy_(torch.eye(2))
        sae.tensor("P").copy_(torch.tensor([[1.0], [0.0]]))
        sae.tensor("Q").copy_(torch.tensor([[0.0, 2.0]]))
    return sae


def test_both_readings_by_hand():
    x = torch.tensor([[3.0, -1.0], [-4.0, 5.0]])  # S = relu(x) = (3, 0), (0, 5); R = (0, 6), (0, -8)
    sae = by_hand()
    assert sae.encode(x).tolist() == [[3.0, 6.0], [0.0, -3.0]]
    assert sae(x).tolist() == [[3.0, 6.0], [0.0, -3.0]]
    out = sae.trace(x)
    losses = {name: float(value.detach()) for name, value in sae.loss(out).items()}
    assert losses["mse"] == pytest.approx((49 + 16 + 64) / 2)
    assert losses["power"] == pytest.approx((3 + 5) / 2)
    assert losses["norm"] == pytest.approx(0.5 * 10 / 2**0.5)  # |R|_* = |(6, -8)|
    aside = by_hand(reading="residual")
    assert aside.encode(x).tolist() == [[3.0, 0.0], [0.0, 5.0]]
    assert aside(x).tolist() == [[3.0, 6.0], [0.0, -3.0]]
    factored = by_hand(norm="factored")
    assert float(factored.loss(factored.trace(x))["norm"].detach()) == pytest.approx(0.5 * (25 / 2 + 4) / 2)


def test_both_parts_look_from_b_dec():
    x, shift = torch.tensor([[3.0, -1.0], [-4.0, 5.0]]), torch.tensor([1.0, -2.0])
    for reading in ("latents", "residual"):
        sae = by_hand(reading=reading)
        with torch.no_grad():
            f, x_hat = sae.encode(x), sae(x)
            sae.b_dec.copy_(shift)
            torch.testing.assert_close(sae.encode(x + shift), f)
            torch.testing.assert_close(sae(x + shift), x_hat + shift)


def test_the_sparse_part_alone_sets_the_penalty():
    sae = by_hand()
    sae.finish_step(sae.trace(torch.tensor([[3.0, -1.0], [-4.0, 5.0]])))
    assert float(sae.tensor("penalty.recent")[0, 0]) == pytest.approx((3 + 5) / 2)  # of S + R it would be (9 + 3) / 2
    assert float(sae.tensor("penalty.recent")[0, 1]) == pytest.approx((3**0.9 + 5**0.9) / 2)


def test_the_penalty_goes_where_the_sae_goes():
    penalty = W.create("p_annealing", 4, 8, seed=[0, 1], start=[10, 20]).to("meta").objective["power"]
    assert {value.device.type for value in (penalty.start, penalty.every, *penalty.buffers())} == {"meta"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rank": 0}, "structured.rank must be at least 1; got 0"),
        ({"rank": [2, 4]}, "the same for all members; got [2, 4]"),
        ({"gamma": -1.0}, "structured.gamma must be at least 0; got -1.0"),
        ({"start": 3}, "structured.start must be at least 10; got 3"),
        ({"every": 1}, "structured.every must be at least 10; got 1"),
        ({"l1": -0.5}, "structured.l1 must be at least 0; got -0.5"),
        ({"reading": "both"}, "structured.reading must be one of"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError) as refusal:  # noqa: PT011
        W.create("structured", 4, 8, **settings)
    assert message in str(refusal.value)


def test_a_stack_varies_penalties():
    sae = W.create("p_annealing", 6, 12, l1=[0.01, 30.0], start=10, every=10)
    W.train(sae, WORLD, W.TrainConfig(steps=300, batch=64))
    l0 = W.evaluate(sae, WORLD, 1000)["l0"]
    assert l0[0] > 2 * l0[1]
