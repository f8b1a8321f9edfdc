"""Worlds of the bias-adaptation papers and the conditions read off them."""

import pytest
import torch
from torch.testing import assert_close

import synthetic as S
from synthetic.assumptions import together
from workbench.metrics.matching import cosines


def test_samples_have_norm_1_and_their_coefficients_follow():
    world = S.worlds()["two_frequencies"](n_true=8, d=6, high=0.2, low=0.02)
    batch, truth = world.sample(400, S.stream(0, "t")), world.truth
    live = batch.h.values.abs().sum(1) > 0
    assert 0 < int(live.sum()) < 400
    assert_close(batch.x.norm(dim=1), live.float())
    assert_close(batch.h.dense() @ truth.features, batch.x, atol=1e-5, rtol=1e-4)
    assert_close(truth.rates, torch.tensor([0.2] * 4 + [0.02] * 4, dtype=torch.float64))
    assert truth.covariance is None
    assert bool(truth.mean.isnan().all())


def test_a_saved_one_comes_back_with_the_same_bits(tmp_path):
    world = S.worlds()["planted"](n_true=12, d=6)
    back = S.load_world(S.save_world(world, tmp_path / "world"))
    assert back == world
    assert torch.equal(back.sample(9, S.stream(2, "t")).x, world.sample(9, S.stream(2, "t")).x)
    assert all(back.inner.tensors[name] is value for name, value in back.tensors.items())


def test_gaussian_rows_are_those_of_independent_normals():
    world = S.worlds()["uniform"](n_true=2000, d=4, s=1).inner
    rows = world.tensors["features"].double() * world.tensors["magnitudes.length"][:, None]
    assert abs(float(rows.var()) * 4 - 1) < 0.06
    kurtosis = float((rows**4).mean() / rows.var() ** 2)  # 3 for normals; 6 standard errors
    assert abs(kurtosis - 3) < 6 * (96 / rows.numel()) ** 0.5


@pytest.mark.parametrize("rho", [0.0, 0.3, 2 / 3])
def test_the_requested_co_occurrence_is_realised(rho):
    world = S.worlds()["planted"](n_true=24, d=12, s=3, rho_2=rho)
    joint = together(world.sample(40_000, S.stream(1, "t")).h)
    partner = torch.arange(24) ^ 1
    share = joint[torch.arange(24), partner] / joint.diagonal()
    error = (rho * (1 - rho) / joint.diagonal()).sqrt()
    assert bool(((share - rho).abs() <= 5 * error + 1e-12).all())
    assert_close(joint.diagonal() / 40_000, torch.full((24,), 1 / 8, dtype=torch.float64), atol=0.009, rtol=0)
    got = S.conditions(world)
    assert got.rho_2 == pytest.approx(max(rho, float(world.truth.cofiring(torch.tensor([0, 2]))[0, 1]) * 8))


def test_conditions_are_the_figures_of_the_world():
    world = S.SparseMixture(
        n_true=3, d=2, directions=S.Given(((1.0, 0.0), (0.0, 1.0), (0.6, 0.8))), firing=S.ExactlyK(2)
    )
    got = S.conditions(world, n=4000)
    assert (got.s, got.n_true, got.nonnegative) == (2, 3, True)
    assert got.mu == pytest.approx(0.8)
    assert got.rho_2 == pytest.approx(0.5)
    assert abs(got.rho_2_drawn - 0.5) < 0.05
    assert 0.9 < got.balance <= 1
    assert set(got.failing(s=1)) == {"H1 row sparsity", "V1 incoherence"}
    assert set(got.failing(s=2, mu=0.9, rho_2=0.4)) == {"H3 low co-occurrence"}
    assert not got.failing(s=2, mu=0.9)  # 0.5 < 3^(-1/2)


def test_nested_supports_fail_h3_and_fit_two_decompositions():
    world = S.worlds()["nested"]()
    got = S.conditions(world)
    assert got.rho_2 == pytest.approx(1.0)
    assert "H3 low co-occurrence" in got.failing(s=16, mu=1.0)
    h, V = world.sample(500, S.stream(0, "t")).h.dense(), world.truth.features
    parents, children = h[:, :8], h[:, 8:]
    both = torch.minimum(parents, children)  # what can move to rows v_1 + v_2
    other = torch.cat((parents - both, children - both, both), 1)
    rows = torch.cat((V[:8], V[8:], V[:8] + V[8:]))
    assert_close(other @ rows, h @ V)
    assert float(cosines(rows[16:], V).max()) < 0.95  # and those rows are nobody's
