"""Worlds against their own declared truth.

False alarms: see `workbench.check_world`, whose comparisons these are. The profile `ci` repeats its draws, so there a
test fails always or never; `nightly` draws 4,000 worlds, one false alarm in about 250 nights.
"""

from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from strategies import FIRING, SEEDS, falling_rates, forests, phi_copulas, phi_range, rates, values, worlds

import synthetic as S
from synthetic.laws.copula import joint_rate, latent_from_phi, threshold
from synthetic.laws.firing import bernoulli_hits
from workbench.check_world import ALPHA, binomial_tails, tails_of

# beartype looks at a random item of each tuple a world is built with
pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")
SAMPLES = 20_000


def check_against_truth(world, n, seed):
    """Compare a sample with `world.truth`: rates, E[L0], E[h], E[x], Cov[x] and cofiring, as far as they are closed."""
    truth = world.truth
    tails = tails_of(world, truth, n, seed)
    allowed = ALPHA / sum(p.size for p in tails.values())
    off = {name: float(p.min()) for name, p in tails.items() if p.size and p.min() < allowed}
    assert not off, f"p-values {off} below {allowed:.2g} for {world}"
    assert ("covariance" in truth.open) == (truth.covariance is None)
    assert ("cofiring" in truth.open) == (truth.cofiring is None)


@pytest.mark.parametrize("law", FIRING)
@given(data=st.data(), seed=SEEDS)
def test_samples_agree_with_the_declared_truth(law, data, seed):
    """False-alarm rate: 1e-6 a world, by Bonferroni (see the head of this file)."""
    check_against_truth(data.draw(worlds(FIRING[law])), SAMPLES, seed)


MAGNITUDES = [
    S.ConstantMagnitude(2.0),
    S.Uniform(0.0, 2.0),
    S.FoldedNormal(0.5, 1.0),
    S.Exponential(0.7),
    S.LogNormal(1.0, 0.4),
    S.PerFeature(0.5, 1.5, 1.0, 0.5),
    S.GaussianRows(4, 0.7),
]
WRAPPERS = {
    "bare": lambda inner: inner,
    "signed": S.Signed,
    "shared gain": S.SharedGain,
    "both": lambda inner: S.SharedGain(S.Signed(inner)),
}


@pytest.mark.parametrize("plain", MAGNITUDES, ids=lambda plain: type(plain).__name__)
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_every_magnitude_agrees_with_its_declared_truth(plain, wrapper):
    """False-alarm rate: 1e-6 a law, by Bonferroni; seeds are fixed."""
    firing = S.Exclusive(S.Linear(0.4, 0.1), 2)
    world = S.SparseMixture(n_true=6, d=4, firing=firing, magnitudes=WRAPPERS[wrapper](plain))
    check_against_truth(world, SAMPLES, seed=2)


@pytest.mark.parametrize("compensation", ["exact", "none", "synthsaebench"])
@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("scaled", [False, True])
def test_every_kind_of_forest_agrees_with_its_declared_truth(compensation, exclusive, scaled):
    """With magnitudes that are cut off at 0 and silence a whole subtree. False-alarm rate: 1e-6 a forest."""
    shape = {"trees": 1, "branching": 2, "depth": 2, "exclusive": exclusive, "scale_by_parent": scaled}
    firing = S.Forest(S.Independent(S.Zipf(0.8, 1.0)), compensation=compensation, **shape)
    world = S.SparseMixture(n_true=8, d=8, directions=S.Orthonormal(), firing=firing, magnitudes=MAGNITUDES[-1])
    check_against_truth(world, SAMPLES, seed=3)


def test_the_check_notices_a_wrong_truth():
    """Each quantity, moved by 5 to 30 %, is reported."""
    world = S.SparseMixture(n_true=8, d=4, firing=S.Copula(S.Constant(0.2), S.Phi(0.3, group=2)))
    truth = world.truth
    wrong = {
        "rates": {"rates": truth.rates * 1.1, "cofiring": None},
        "E[L0]": {"rates": truth.rates * 1.05, "cofiring": None},
        "E[h]": {"mean_h": truth.mean_h * 1.1},
        "E[x]": {"mean": truth.mean * 1.2},
        "Cov[x]": {"covariance": truth.covariance * 1.15},
        "cofiring": {"cofiring": lambda index: truth.cofiring(index) * (1.3 - 0.3 * torch.eye(len(index)))},
    }
    for quantity, fields in wrong.items():
        assert tails_of(world, replace(truth, **fields), SAMPLES, seed=1)[quantity].min() < 1e-9, quantity
    tails = tails_of(world, truth, SAMPLES, seed=1)
    assert sorted(tails) == sorted(wrong)
    assert min(p.min() for p in tails.values()) > 1e-5


# --- closed forms ----------------------------------------------------------------------------------------------------


def bivariate_normal(r, s, rho):
    """P(both) by SciPy's bivariate normal distribution function."""
    edges = threshold(torch.tensor([r, s], dtype=torch.float64)).numpy()
    return float(stats.multivariate_normal([0, 0], [[1, rho], [rho, 1]]).cdf(-edges))


def one(*numbers):
    return (torch.tensor([number], dtype=torch.float64) for number in numbers)


@given(st.floats(1e-4, 0.999), st.floats(1e-4, 0.999), st.floats(-0.99, 0.99))
def test_joint_rate_is_the_bivariate_normal_integral(r, s, rho):
    assert float(joint_rate(*one(r, s, rho))) == pytest.approx(bivariate_normal(r, s, rho), abs=1e-10)


@given(st.floats(1e-4, 1.0), st.floats(-0.9999, 0.9999))
def test_a_sure_feature_joins_every_firing_of_the_other(r, rho):
    assert float(joint_rate(*one(1.0, r, rho))) == pytest.approx(r, abs=1e-12)


def test_phi_is_inverted_to_the_latent_correlation():
    """On a grid of rates and of shares of what they allow, against SciPy's bivariate normal."""
    grid = [0.005, 0.02, 0.1, 0.35, 0.5, 0.8, 0.99]
    shares = [-0.95, -0.4, 0.01, 0.3, 0.7, 0.95]
    cases = []
    for r, s, share in product(grid, grid, shares):
        least, most = phi_range(r, s)
        cases.append((r, s, share * most if share > 0 else -share * least))
    latent = latent_from_phi(*torch.tensor(cases, dtype=torch.float64).T)
    for (r, s, phi), rho in zip(cases, latent.tolist(), strict=True):
        got = (bivariate_normal(r, s, rho) - r * s) / (r * (1 - r) * s * (1 - s)) ** 0.5
        assert got == pytest.approx(phi, abs=1e-7), (r, s)


@given(worlds(phi_copulas(), zeros=False))
def test_a_phi_copula_declares_the_phi_that_was_asked_for(world):
    n, dependence = world.n_true, world.firing.dependence
    asked = torch.eye(n, dtype=torch.float64)
    if dependence.pairs:
        for i, j, phi in dependence.pairs:
            asked[i, j] = asked[j, i] = phi
    elif dependence.group:
        group = torch.arange(n) // dependence.group
        asked = torch.where(group[:, None] == group, dependence.value, 0.0).double().fill_diagonal_(1)
    rate = world.truth.rates
    torch.testing.assert_close(rate, values(world.firing.rates, n))
    spread = (rate * (1 - rate)).sqrt()
    got = (world.truth.cofiring(torch.arange(n)) - torch.outer(rate, rate)) / torch.outer(spread, spread)
    torch.testing.assert_close(got, asked, atol=1e-7, rtol=0)


# --- independent firings ---------------------------------------------------------------------------------------------


@given(st.data(), st.integers(1, 12), SEEDS)
def test_bernoulli_hits_are_independent_cells_of_the_given_rates(data, columns, seed):
    """Exact binomial tails for each column, each pair in a row and each pair across rows 2t and 2t+1; 1e-6 in all."""
    rate = values(data.draw(falling_rates(columns, low=1e-3, high=1.0)), columns)
    rate = rate[torch.tensor(data.draw(st.permutations(range(columns))))]
    n = 4000
    row, column = bernoulli_hits(rate, n, S.stream(seed, "hits"))
    cells = torch.zeros(n, columns, dtype=torch.float64).index_put((row, column), torch.tensor(1.0).double(), True)
    assert cells.max() <= 1  # no cell is listed twice
    i, j = torch.triu_indices(columns, columns, 1)
    even, odd = cells[::2], cells[1::2]
    tails = [
        binomial_tails(cells.sum(0), n, rate),
        binomial_tails((cells.T @ cells)[i, j], n, (rate[i] * rate[j])),
        binomial_tails(even.T @ odd, n // 2, torch.outer(rate, rate)).ravel(),
    ]
    tails = np.concatenate(tails)
    assert tails.min() > ALPHA / tails.size


@pytest.mark.parametrize("rate", [1e-12, 1e-30, 0.25, 1.0])
def test_bernoulli_hits_at_extreme_rates(rate):
    """P(any of 400 cells at 1e-12) = 4e-10: no false alarm worth a count."""
    row, column = bernoulli_hits(torch.full((4,), rate, dtype=torch.float64), 100, S.stream(0, "hits"))
    if rate == 1.0:
        assert len(set(zip(row.tolist(), column.tolist(), strict=True))) == 400
    elif rate < 1e-6:
        assert len(row) == 0
    else:
        assert stats.binomtest(len(row), 400, rate).pvalue > 1e-6


# --- forests ---------------------------------------------------------------------------------------------------------


@given(worlds(forests()), SEEDS)
def test_a_child_fires_only_beside_its_parent_and_exclusive_siblings_never_together(world, seed):
    fires = world.sample(2000, S.stream(seed, "forest")).h.dense() != 0
    parents = world.truth.parents
    child = (parents >= 0).nonzero().squeeze(1)
    orphans = fires[:, child] & ~fires[:, parents[child]]
    assert not orphans.any()
    families = torch.zeros(2000, world.n_true, dtype=torch.long)
    families.index_add_(1, parents[child], fires[:, child].long())
    if world.firing.exclusive:
        assert families.max() <= 1


@given(worlds(forests()))
def test_parents_form_the_forest_that_was_asked_for(world):
    firing, parents = world.firing, world.truth.parents
    nodes = firing.trees * sum(firing.branching**level for level in range(firing.depth + 1))
    assert (parents[: firing.trees] == -1).all()
    assert (parents[nodes:] == -1).all()
    below = torch.bincount(parents[parents >= 0], minlength=world.n_true)
    inner = nodes - firing.trees * firing.branching**firing.depth
    assert (below[:inner] == firing.branching).all()
    assert (below[inner:] == 0).all()


@given(worlds(forests("exact"), zeros=False))
def test_exact_compensation_realises_the_requested_rates(world):
    torch.testing.assert_close(world.truth.rates, world.truth.requested_rates, rtol=1e-12, atol=0)
    torch.testing.assert_close(world.truth.requested_rates, values(world.firing.base.rates, world.n_true))
    assert world.truth.rates_error == 0


@given(st.data(), st.integers(1, 3), st.integers(1, 2), st.booleans())
def test_without_compensation_rates_are_products_along_the_path(data, branching, depth, exclusive):
    """And exclusive twins of coins p, q keep p (1 - q) + p q / 2."""
    n = sum(branching**level for level in range(depth + 1))
    profile = data.draw(rates(n).filter(lambda r: not isinstance(r, S.RandomRates)))
    shape = {"trees": 1, "branching": branching, "depth": depth, "exclusive": exclusive}
    forest = S.Forest(S.Independent(profile), compensation="none", **shape)
    truth = S.SparseMixture(n_true=n, d=2, firing=forest).truth
    coin, got = values(profile, n).tolist(), [0.0] * n
    for i, parent in enumerate(truth.parents.tolist()):
        others = [coin[j] for j in range(n) if truth.parents[j] == parent and j != i]
        keep = sum(weight / (1 + rivals) for rivals, weight in enumerate(_winners(others))) if exclusive else 1.0
        got[i] = coin[i] if parent < 0 else got[parent] * coin[i] * keep
    torch.testing.assert_close(truth.rates, torch.tensor(got, dtype=torch.float64))


def _winners(coins):
    """P(number of wins = 0, 1, ...) of independent coins, by convolution."""
    law = [1.0]
    for p in coins:
        law = [(1 - p) * a + p * b for a, b in zip([*law, 0.0], [0.0, *law], strict=True)]
    return law


def test_the_quadrature_over_the_shared_factor_is_accurate():
    """One factor: the 2,048 quasi-random points against 200-point Gauss-Hermite, to 2e-4 a rate."""
    base = S.LowRankCopula(S.Linear(0.5, 0.1), rank=1, scale=0.4)
    forest = S.Forest(base, trees=1, branching=2, depth=2, exclusive=True, compensation="none")
    world = S.SparseMixture(n_true=7, d=2, firing=forest)
    factor = world.tensors["firing.factor"].double().squeeze(1)
    node, weight = (torch.from_numpy(a) for a in np.polynomial.hermite_e.hermegauss(200))
    coin = torch.special.ndtr((node[:, None] * factor - threshold(values(base.rates, 7))) / (1 - factor**2).sqrt())
    rate = coin.clone()
    for i, (parent, twin) in enumerate([(0, 2), (0, 1), (1, 4), (1, 3), (2, 6), (2, 5)], 1):
        rate[:, i] = rate[:, parent] * coin[:, i] * (1 - coin[:, twin] / 2)
    expected = (weight[:, None] * rate).sum(0) / weight.sum()
    torch.testing.assert_close(world.truth.rates, expected, atol=2e-4, rtol=0)


def test_the_16k_world_at_full_size_realises_the_published_sums():
    """Requested sum 59.1; exclusion leaves 34.5, level by level. No sampling, no directions: the firing law alone."""
    world = S.worlds()["synthsaebench_16k"]()
    drawn = world.firing.init(world.n_true, S.stream(world.seed, "world/firing"))
    magnitudes = world.magnitudes.init(world.n_true, S.stream(world.seed, "world/magnitudes"))
    got = world.firing.statistics(drawn, world.magnitudes.law(magnitudes, world.n_true)).rates
    asked = drawn["requested"]
    assert len(asked) == 16384
    assert float(asked.sum()) == pytest.approx(59.1, abs=0.05)
    assert float(got.sum()) == pytest.approx(34.5, abs=0.15)
    edges = np.cumsum([0, 128, 512, 2048, 8192])
    kept = [float(got[a:b].sum() / asked[a:b].sum()) for a, b in pairwise(edges)]
    assert kept == pytest.approx([1.00, 0.74, 0.46, 0.35], abs=0.01)
