"""Interventions: worlds against their closed forms, the moment restriction, control functions, autoencoders."""

from dataclasses import replace

import pytest
import torch

import synthetic as S
from synthetic.actions import Interventions
from workbench.topics.actions import autoencoder
from workbench.topics.actions.autoencoder import AutoencoderConfig, chosen, fit_autoencoder
from workbench.topics.actions.baselines import fit_network, fit_polynomial
from workbench.topics.actions.control_function import ControlFunction, monomials
from workbench.topics.actions.mmr import linear_part, median_width, mmr, relative_mmr
from workbench.topics.concepts.regression import r_squared

PLAIN = Interventions(action="gaussian")
AT = torch.tensor([[0.5, 0.5], [3.0, 3.0], [-4.0, 2.0]], dtype=torch.float64)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=S.stream(seed, "test"), dtype=torch.float64)


@pytest.mark.parametrize(
    "world",
    [
        Interventions(),
        Interventions(zero=0.4),
        Interventions(bend=0.5, noise_law="uniform"),
        Interventions(action="corners", zero=0.2, bend=0.3),
        Interventions(action="gaussian", bend=0.4),
    ],
)
def test_worlds_keep_their_closed_forms(world):
    n = 60_000
    for a in (torch.tensor([0.5, -1.0]).double(), torch.tensor([2.0, 1.5]).double()):
        y = world.draw(n, S.stream(0, "do"), a.expand(n, 2)).y
        assert abs(float(y.mean() - world.expected(a[None])[0])) < 5 * float(y.std()) / n**0.5
    x, truth = world.sample(n, S.stream(1, "test")).x.double(), world.truth
    spread = truth.covariance.diagonal().sqrt()
    assert float(((x.mean(0) - truth.mean).abs() / spread).max()) < 5 / n**0.5
    assert float(((torch.cov(x.T) - truth.covariance) / torch.outer(spread, spread)).abs().max()) < 0.05
    h = world.sample(1000, S.stream(2, "test")).h.dense()
    assert float((h == 0).double().mean()) == pytest.approx(world.zero, abs=0.06)


def test_actions_by_law():
    assert Interventions(action="corners").corners.tolist() == [[-1, -1], [1, -1], [-1, 1]]
    assert float(Interventions().actions(2000, S.stream(0, "a")).abs().max()) <= 1
    gaussian = PLAIN.actions(20_000, S.stream(0, "a"))
    assert float(gaussian.var()) == pytest.approx(1 / 3, abs=0.01)


def test_confounding_and_do():
    data = PLAIN.draw(40_000, S.stream(0, "test"))
    torch.testing.assert_close(data.h, data.a @ torch.tensor(PLAIN.effect).double().T + data.nu)
    rest = data.y - PLAIN.outcome(data.h)
    expected = data.nu @ torch.tensor([1.5, -0.7]).double()
    assert float((rest - expected).std()) == pytest.approx(0.3, abs=0.01)
    same = PLAIN.draw(40_000, S.stream(0, "test"), a=torch.zeros(40_000, 2).double())
    torch.testing.assert_close(same.nu, data.nu)  # noise is kept under do
    torch.testing.assert_close(same.h, data.nu)


def test_leaky_mixing_is_injective_and_has_no_directions():
    world = Interventions(mixing="leaky")
    assert float(torch.linalg.cond(world.tensors["layers"]).max()) < 10
    h = normal(200, 2)
    x = world.mix(h)
    distance, moved = torch.pdist(h), torch.pdist(x)
    assert float((moved / distance).min()) > 0.01
    assert r_squared(x, h, torch.full((200,), 1 / 200).double()) < 0.999
    with pytest.raises(ValueError, match=r"Interventions.mixing must be 'linear' for directions to exist; got 'leaky'"):
        _ = world.truth


def test_the_restriction_by_hand():
    a, r = torch.tensor([[0.0], [1.0]]).double(), torch.tensor([[2.0], [-3.0]]).double()
    near = torch.exp(torch.tensor(-0.5).double())
    torch.testing.assert_close(mmr(r, a, 1.0), (4 + 9 - 12 * near) / 4)
    torch.testing.assert_close(mmr(r, a, 1.0, unbiased=True), -12 * near / 2)
    assert median_width(torch.tensor([[0.0], [1.0], [3.0]])) == 2.0


def test_the_restriction_of_a_fit_is_0_on_average_where_codes_are_affine():
    """Skewed noise of unequal sizes on few samples; a false alarm is beyond 7 standard errors, below 1e-11.

    Without `fitted` the mean is -E|noise|^2 tr(H K_0) / n (n - 1), here 30 times the correction's error.
    """
    n, repeats = 25, 20_000
    a, spread = normal(n, 2), torch.tensor([0.3, 2.0]).double()
    noise = (torch.rand(repeats, n, 2, generator=S.stream(1, "test"), dtype=torch.float64) ** 3 - 0.25) * spread
    residual = linear_part(a @ normal(2, 2, seed=2) + 5 + noise, a)[2]
    plain, corrected = (mmr(residual, a, 1.0, unbiased=True, fitted=fitted) for fitted in (False, True))
    error = 7 * float(corrected.std()) / repeats**0.5
    assert abs(float(corrected.mean())) < error
    near = torch.exp(-torch.cdist(a, a).square() / 2).fill_diagonal_(0)
    design = torch.cat((a, torch.ones(n, 1).double()), 1)
    lost = float((design @ torch.linalg.solve(design.T @ design, design.T) * near).sum())
    variance = float((spread**2).sum()) * (1 / 7 - 1 / 16)
    assert float(plain.mean()) == pytest.approx(-variance * lost / (n * (n - 1)), rel=0.05)
    assert abs(float(plain.mean())) > 30 * error
    torch.testing.assert_close(
        relative_mmr(5 + noise[0], a, 1.0, unbiased=True),
        mmr(linear_part(noise[0], a)[2], a, 1.0, unbiased=True, fitted=True) / noise[0].var(0, correction=0).sum(),
    )
    with pytest.raises(ValueError, match=r"mmr.fitted must be False without `unbiased`; got True: give both"):
        mmr(residual, a, 1.0, fitted=True)


def test_training_takes_the_restriction_of_a_fit(monkeypatch):
    """The restriction of a batch knows that W and alpha were fitted to the batch."""
    seen = []
    true = autoencoder.mmr.mmr

    def watched(residual, a, width, **how):
        seen.append(how)
        return true(residual, a, width, **how)

    monkeypatch.setattr(autoencoder.mmr, "mmr", watched)
    fitted((0,), (1.0,), steps=2)
    assert seen == [{"unbiased": True, "fitted": True}] * 2


def test_linear_parts_are_least_squares_and_differentiable():
    a, z = normal(50, 2), normal(50, 3, seed=1).requires_grad_(True)
    W, alpha, rest = linear_part(z, a)
    torch.testing.assert_close(rest, z - a @ W - alpha)
    torch.testing.assert_close(rest.mean(0), torch.zeros(3).double(), atol=1e-12, rtol=0)
    torch.testing.assert_close(a.T @ rest, torch.zeros(2, 3).double(), atol=1e-10, rtol=0)
    mmr(rest, a, 1.0).backward()
    assert z.grad is not None
    assert float(z.grad.abs().max()) > 0
    with pytest.raises(ValueError, match=r"linear_part.a must be more than 3 samples; got 3"):
        linear_part(z.detach()[:3], a[:3])


def test_restrictions_of_affine_bent_and_shrunk_codes():
    data = replace(PLAIN, action="uniform", noise=((0.01, 0.0), (0.0, 0.01))).draw(2000, S.stream(0, "test"))
    affine = data.h @ torch.tensor([[2.0, 1.0], [0.0, -1.0]]).double() + 3
    bent = torch.stack((data.h[:, 0], data.h[:, 1] + data.h[:, 0] ** 2), 1)
    for unbiased in (False, True):
        flat, curved = (float(relative_mmr(z, data.a, 0.5, unbiased=unbiased)) for z in (affine, bent))
        assert abs(flat) < 1e-3
        assert curved > 20 * abs(flat)
    residual = linear_part(bent, data.a)[2]
    torch.testing.assert_close(mmr(3 * residual, data.a, 0.5), 9 * mmr(residual, data.a, 0.5))
    torch.testing.assert_close(relative_mmr(3 * bent, data.a, 0.5), relative_mmr(bent, data.a, 0.5))


def test_monomials_by_hand():
    z = torch.tensor([[2.0, 3.0]]).double()
    assert monomials(z, 2).tolist() == [[2, 3, 4, 6, 9]]


@pytest.fixture(scope="module")
def sample():
    return PLAIN.draw(40_000, S.stream(0, "fit"))


def test_control_functions_do_not_see_affine_maps(sample):
    plain = ControlFunction.fit(sample.h, sample.a, sample.y).predict(AT)
    moved = sample.h @ torch.tensor([[2.0, 1.0], [0.5, -1.0]]).double() + torch.tensor([3.0, -1.0]).double()
    torch.testing.assert_close(ControlFunction.fit(moved, sample.a, sample.y).predict(AT), plain, atol=1e-7, rtol=0)
    bent = torch.stack((sample.h[:, 0], sample.h[:, 1] + 0.6 * sample.h[:, 0] ** 2), 1)
    assert float((ControlFunction.fit(bent, sample.a, sample.y).predict(AT) - plain).abs().max()) > 1


def test_predictions_beyond_the_actions_seen(sample):
    made = ControlFunction.fit(sample.h, sample.a, sample.y)
    torch.testing.assert_close(made.predict(AT), PLAIN.expected(AT), atol=0.4, rtol=0)
    naive = ControlFunction.fit(sample.h, sample.a, sample.y, control=False)
    M, noise = (torch.tensor(rows).double() for rows in (PLAIN.effect, PLAIN.noise))
    pulled = torch.linalg.solve(M @ M.T / 3 + noise, M @ AT.T)
    bias = torch.tensor(PLAIN.confounding).double() @ noise @ pulled
    torch.testing.assert_close(naive.predict(AT) - PLAIN.expected(AT), bias, atol=0.4, rtol=0.05)
    assert float(bias.abs().min()) > 0.5
    few = [made.effective_samples(row) for row in AT]
    assert few[0] > 1000 > few[1]


def test_predictions_for_a_sample_seen(sample):
    made = ControlFunction.fit(sample.h, sample.a, sample.y)
    a = torch.tensor([1.0, -2.0]).double()
    fresh = PLAIN.draw(30_000, S.stream(5, "fit"), a.expand(30_000, 2))
    said = made.predict_given(fresh.h, a)
    assert float((fresh.y - said).std()) == pytest.approx(0.3, abs=0.02)
    assert abs(float((fresh.y - said).mean())) < 0.15
    with pytest.raises(ValueError, match=r"ControlFunction.degree must be at least 1; got 0"):
        ControlFunction.fit(sample.h, sample.a, sample.y, degree=0)
    with pytest.raises(ValueError, match=r"ControlFunction.z must be at least 40 samples; got 20"):
        ControlFunction.fit(sample.h[:20], sample.a[:20], sample.y[:20])


def test_baselines_on_actions(sample):
    quadratic = fit_polynomial(sample.a, sample.y)
    torch.testing.assert_close(quadratic(AT), PLAIN.expected(AT), atol=1.0, rtol=0)
    network = fit_network(sample.a, sample.y, steps=400)
    inside = torch.tensor([[0.3, 0.2], [-0.5, 0.1]]).double()
    torch.testing.assert_close(network(inside), PLAIN.expected(inside), atol=0.3, rtol=0)
    assert float((network(AT[1:]) - PLAIN.expected(AT[1:])).abs().max()) > 3


SHORT = AutoencoderConfig(steps=60, batch=64)


def fitted(seeds, penalties, steps=60):
    data = Interventions(mixing="leaky").draw(500, S.stream(0, "test"))
    config = replace(SHORT, steps=steps)
    return fit_autoencoder(data.x, data.a, 2, config, seeds=seeds, penalties=penalties), data


def test_members_of_a_stack_are_what_they_are_alone():
    stack, data = fitted((0, 1), (0.0, 10.0))
    alone, _ = fitted((1,), (10.0,))
    again, _ = fitted((0, 1), (0.0, 10.0))
    assert torch.equal(stack.encode(data.x), again.encode(data.x))
    torch.testing.assert_close(stack.encode(data.x)[1], alone.encode(data.x)[0], atol=1e-4, rtol=1e-4)


def test_training_reconstructs_and_the_restriction_restricts():
    steps = []
    data = Interventions(mixing="leaky", noise=((0.05, 0.0), (0.0, 0.05))).draw(4000, S.stream(0, "test"))
    made = fit_autoencoder(
        data.x, data.a, 2, AutoencoderConfig(steps=400, batch=256, lr=5e-3), seeds=(0, 0), penalties=(0.0, 30.0),
        on_step=steps.append,
    )  # fmt: skip
    assert steps[-1] == 400
    assert float(made.error(data.x).max()) < 0.05
    free, held = relative_mmr(made.encode(data.x)[:, :2000].detach(), data.a[:2000].float(), 0.8)
    assert held < 0.5 * free


def test_the_largest_penalty_that_costs_nothing_is_chosen():
    assert chosen([0.01, 0.0104, 0.02], [0.0, 1.0, 10.0]) == 1
    assert chosen([1e-5, 9e-4, 2e-3], [0.0, 1.0, 10.0]) == 1
    with pytest.raises(ValueError, match=r"chosen.penalties must be with a 0 to compare with"):
        chosen([0.1], [1.0])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AutoencoderConfig(steps=0), "AutoencoderConfig.steps must be at least 1; got 0"),
        (lambda: AutoencoderConfig(batch=8), "AutoencoderConfig.batch must be at least 32; got 8"),
        (lambda: AutoencoderConfig(lr=0.0), "AutoencoderConfig.lr must be above 0; got 0.0"),
        (lambda: fitted((0, 1), (1.0,)), "InvariantAutoencoder.penalties must be one for each of 2 seeds; got 1"),
        (lambda: fitted((0,), (-1.0,)), "InvariantAutoencoder.penalties must be at least 0"),
        (lambda: fit_autoencoder(normal(40, 2), normal(40, 2), 3, SHORT), "n_latents must be in [1, d=2]; got 3"),
        (
            lambda: fit_autoencoder(normal(40, 2) / 0, normal(40, 2), 1, SHORT),
            "fit_autoencoder.x must be finite, one row",
        ),
    ],
)
def test_refusals(make, message):
    with pytest.raises(ValueError) as refusal:  # noqa: PT011
        make()
    assert message in str(refusal.value)


def test_both_parts_of_a_control_function_by_hand():
    a, nu = normal(400, 1), normal(400, 1, seed=1)
    z = a + nu
    v = linear_part(z, a)[2]
    made = ControlFunction.fit(z, a, (z**2 + 3 * v**2 + 7)[:, 0])
    at = torch.tensor([2.0]).double()
    torch.testing.assert_close(
        made.predict_given(z, at), (z**2 + 3 * (z - at @ made.W - made.alpha) ** 2 + 7)[:, 0], atol=1e-8, rtol=0
    )
    moved = (at @ made.W + made.alpha + v) ** 2
    torch.testing.assert_close(made.predict(at[None])[0], moved.mean() + 3 * (v**2).mean() + 7, atol=1e-8, rtol=0)


def test_effective_samples_are_kish_of_gaussian_densities():
    a, nu = normal(500, 2), normal(500, 2, seed=1)
    made = ControlFunction.fit(a + nu, a, a[:, 0])
    at = torch.tensor([0.5, -1.0]).double()
    seen, there = (
        torch.distributions.MultivariateNormal(cloud.mean(0), torch.cov(cloud.T)) for cloud in (made.z, made.moved(at))
    )
    w = (there.log_prob(made.z) - seen.log_prob(made.z)).exp()
    assert made.effective_samples(at) == pytest.approx(float(w.sum() ** 2 / (w**2).sum()))


def test_a_polynomial_of_actions_keeps_its_constant():
    a = normal(60, 2)
    y = 5 + a[:, 0] - 2 * a[:, 0] * a[:, 1]
    torch.testing.assert_close(fit_polynomial(a, y)(AT), 5 + AT[:, 0] - 2 * AT[:, 0] * AT[:, 1], atol=1e-8, rtol=0)
