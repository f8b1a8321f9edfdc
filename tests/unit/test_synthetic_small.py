"""Hand-worked values of the worlds' parts: moments, codes, packing, noise, small covariances."""

import math

import numpy as np
import pytest
import torch
from scipy import integrate, stats
from torch.testing import assert_close

import synthetic as S
from synthetic.mixture import pack


def doubles(values):
    return torch.tensor(values, dtype=torch.float64)


def profile(rates, n_true):
    return rates.draw(n_true, S.stream(0, "rates"))


# --- rates -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        (S.Constant(0.2), [0.2, 0.2, 0.2]),
        (S.Linear(0.3, 0.1), [0.3, 0.2, 0.1]),
        (S.Zipf(0.6, 1.0), [0.6, 0.3, 0.2]),
        (S.Zipf(0.5, 0.0), [0.5, 0.5, 0.5]),
        (S.StretchedZipf(1.0, 0.4, 0.1), [0.4, 0.1 + 0.3 * (1 / 2 - 1 / 3) / (1 - 1 / 3), 0.1]),
        (S.Scaled(S.Linear(0.3, 0.1), 0.5), [0.15, 0.1, 0.05]),
    ],
)
def test_rate_profiles(rates, expected):
    assert_close(profile(rates, 3), doubles(expected))


def test_random_rates_fill_their_interval():
    """Kolmogorov-Smirnov on 2,000 rates; false-alarm rate 1e-6."""
    got = profile(S.RandomRates(0.2, 0.6), 2000).numpy()
    assert stats.kstest(got, stats.uniform(0.2, 0.4).cdf).pvalue > 1e-6


# --- magnitudes ------------------------------------------------------------------------------------------------------

LAWS = {
    "uniform": (S.Uniform(0.5, 2.0), stats.uniform(0.5, 1.5)),
    "uniform from 0": (S.Uniform(0.0, 0.7), stats.uniform(0.0, 0.7)),
    "folded": (S.FoldedNormal(0.8, 0.5), stats.foldnorm(1.6, scale=0.5)),
    "folded at 0": (S.FoldedNormal(0.0, 2.0), stats.foldnorm(0.0, scale=2.0)),
    "folded, negative mean": (S.FoldedNormal(-0.8, 0.5), stats.foldnorm(1.6, scale=0.5)),
    "exponential": (S.Exponential(1.7), stats.expon(scale=1.7)),
    "lognormal": (S.LogNormal(1.3, 0.4), stats.lognorm(0.4, scale=1.3)),
}


def moment(density, power, low, high):
    return integrate.quad(lambda a: a**power * density(a), low, high, epsabs=1e-12, epsrel=1e-12)[0]


@pytest.mark.parametrize("name", LAWS)
def test_moments_are_the_integrals_of_the_density(name):
    magnitudes, reference = LAWS[name]
    law = magnitudes.law({}, 3)
    low, high = reference.support()
    for power, got in enumerate((law.positive, law.mean, law.square)):
        expected = moment(reference.pdf, power, low, min(high, 60.0))
        assert_close(got, torch.full((3,), expected, dtype=torch.float64), rtol=1e-8, atol=0)
    assert_close(law.nominal, law.mean, rtol=0, atol=0)
    assert law.gain_square == 1.0


@pytest.mark.parametrize("name", LAWS)
def test_draws_follow_the_density(name):
    """Kolmogorov-Smirnov on 20,000 draws; false-alarm rate 1e-6 a law."""
    magnitudes, reference = LAWS[name]
    drawn = magnitudes.draw({}, torch.zeros(20000, dtype=torch.long), S.stream(0, "magnitudes"))
    assert drawn.dtype == torch.float32
    assert stats.kstest(drawn.double().numpy(), reference.cdf).pvalue > 1e-6


def test_a_constant_magnitude():
    law = S.ConstantMagnitude(3.0).law({}, 2)
    assert_close(torch.stack((law.positive, law.mean, law.square)), doubles([[1, 1], [3, 3], [9, 9]]))


def test_per_feature_moments_are_those_of_a_rectified_normal():
    """Means 0.5 to 2; spreads from "never cut off" to "cut off nearly half the time", and none at all."""
    mean, sd = torch.tensor([0.5, 1.0, 1.5, 2.0]), torch.tensor([5.0, 1.0, 0.2, 0.0])
    law = S.PerFeature(0.5, 2.0).law({"mean": mean, "sd": sd}, 4)
    for i, (centre, spread) in enumerate(zip(mean.tolist(), sd.tolist(), strict=True)):
        expected = [1.0, centre, centre**2]
        if spread:
            density = stats.norm(centre, spread).pdf
            expected = [moment(density, power, 0.0, centre + 12 * spread) for power in range(3)]
        got = [float(part[i]) for part in (law.positive, law.mean, law.square)]
        assert got == pytest.approx(expected, rel=1e-9)
    assert_close(law.nominal, mean.double())


def test_per_feature_draws_what_it_says_once_and_per_firing():
    """Means run linearly; |N(1, 1)| spreads and rectified normal draws by Kolmogorov-Smirnov, false-alarm rate 2e-6."""
    magnitudes = S.PerFeature(3.0, 1.0, sd_mean=1.0, sd_sd=1.0)
    once = magnitudes.init(3001, S.stream(0, "once"))
    assert_close(once["mean"][[0, 1500, 3000]], torch.tensor([3.0, 2.0, 1.0]))
    assert stats.kstest(once["sd"].double().numpy(), stats.foldnorm(1.0).cdf).pvalue > 1e-6
    one = {"mean": torch.tensor([0.0, 1.0]), "sd": torch.tensor([9.0, 2.0])}
    drawn = magnitudes.draw(one, torch.ones(20000, dtype=torch.long), S.stream(0, "draw")).double().numpy()
    assert drawn.min() == 0
    cut = stats.norm(1, 2).cdf(0)
    assert stats.binomtest(int((drawn == 0).sum()), 20000, cut).pvalue > 1e-6
    positive = stats.truncnorm(-0.5, math.inf, 1, 2)
    assert stats.kstest(drawn[drawn > 0], positive.cdf).pvalue > 1e-6


def test_signs_are_fair_and_leave_the_size_alone():
    signed = S.Signed(S.Uniform(1.0, 2.0))
    law = signed.law({}, 2)
    assert_close(torch.stack((law.positive, law.mean, law.square)), doubles([[1, 1], [0, 0], [7 / 3, 7 / 3]]))
    drawn = signed.draw({}, torch.zeros(20000, dtype=torch.long), S.stream(0, "magnitudes"))
    assert float(drawn.abs().min()) >= 1
    assert stats.binomtest(int((drawn < 0).sum()), 20000, 0.5).pvalue > 1e-6


def test_a_shared_gain_has_mean_one_and_the_square_it_states():
    """log g ~ N(-spread^2 / 2, spread^2)."""
    gain, reference = S.SharedGain(S.ConstantMagnitude(), 0.4), stats.lognorm(0.4, scale=math.exp(-0.08))
    assert moment(reference.pdf, 1, 0.0, 60.0) == pytest.approx(1)
    assert gain.law({}, 1).gain_square == pytest.approx(moment(reference.pdf, 2, 0.0, 60.0))
    drawn = gain.gain(20000, S.stream(0, "gain")).double().numpy()
    assert stats.kstest(drawn, reference.cdf).pvalue > 1e-6


def test_a_shared_gain_is_one_number_a_sample():
    firing = S.Independent(S.Constant(1.0))
    world = S.SparseMixture(n_true=3, d=3, firing=firing, magnitudes=S.SharedGain(S.ConstantMagnitude(2.0), 0.5))
    h = world.sample(10, S.stream(0, "x")).h.dense()
    assert_close(h, h[:, :1].expand(10, 3))
    assert len(h[:, 0].unique()) == 10


# --- codes -----------------------------------------------------------------------------------------------------------


def test_dense_codes_with_padding_and_repeated_indices():
    """Slots of value 0 add nothing wherever they point; an index used twice counts with the sum."""
    codes = S.Codes(
        torch.tensor([[2, 0, 2], [0, 0, 0], [1, 3, 0]]), torch.tensor([[1.0, 0, 2], [0, 0, 0], [4, 5, 0]]), 4
    )
    expected = torch.tensor([[0, 0, 3.0, 0], [0, 0, 0, 0], [0, 4, 0, 5]])
    assert_close(codes.dense(), expected, rtol=0, atol=0)


def test_dense_codes_with_stack_axes():
    indices, values = torch.tensor([[[0], [1]], [[1], [1]]]), torch.tensor([[[1.0], [2]], [[3], [4]]])
    assert_close(S.Codes(indices, values, 2).dense(), torch.tensor([[[1.0, 0], [0, 2]], [[0, 3], [0, 4]]]))


def test_dense_codes_pass_gradients_to_the_values():
    values = torch.tensor([[1.0, 0.0, 2.0]], requires_grad=True)
    dense = S.Codes(torch.tensor([[2, 1, 2]]), values, 3).dense()
    (dense * torch.tensor([7.0, 5.0, 3.0])).sum().backward()
    assert_close(values.grad, torch.tensor([[3.0, 5.0, 3.0]]))


def test_pack_sorts_firings_into_rows():
    """Rows 2, 0, 2, 2 of four: row 2 keeps its order, rows 1 and 3 are empty, three slots hold all."""
    rows, features = torch.tensor([2, 0, 2, 2]), torch.tensor([5, 1, 0, 3])
    codes = pack(rows, features, torch.tensor([1.0, 2.0, 3.0, 4.0]), 4, 6)
    assert codes.indices.tolist() == [[1, 0, 0], [0, 0, 0], [5, 0, 3], [0, 0, 0]]
    assert codes.values.tolist() == [[2, 0, 0], [0, 0, 0], [1, 3, 4], [0, 0, 0]]
    assert codes.width == 6


def test_pack_of_nothing_keeps_one_empty_slot():
    none = torch.zeros(0, dtype=torch.long)
    codes = pack(none, none, torch.zeros(0), 3, 5)
    assert codes.dense().tolist() == [[0.0] * 5] * 3
    assert codes.values.shape == (3, 1)


# --- small worlds ----------------------------------------------------------------------------------------------------


def axes(n):
    """The first n axes as given directions."""
    return S.Given(tuple(tuple(float(i == j) for j in range(n)) for i in range(n)))


def test_activations_are_the_coefficients_times_the_features_plus_the_bias():
    world = S.SparseMixture(n_true=20, d=6, firing=S.Independent(S.Constant(0.3)), bias_norm=2.0)
    batch = world.sample(64, S.stream(0, "x"))
    assert_close(batch.x, batch.h.dense() @ world.truth.features + world.truth.bias)
    assert float(world.truth.bias.norm()) == pytest.approx(2.0)
    assert world.truth.realised["bias norm"] == pytest.approx(2.0)


def test_one_of_two_axes():
    """Either x = (2, 0) or (0, 2): mean (1, 1), covariance [[1, -1], [-1, 1]], never both."""
    fields = {"firing": S.ExactlyK(1), "magnitudes": S.ConstantMagnitude(2.0)}
    truth = S.SparseMixture(n_true=2, d=2, directions=axes(2), **fields).truth
    assert_close(truth.mean, doubles([1, 1]))
    assert_close(truth.covariance, doubles([[1, -1], [-1, 1]]))
    assert_close(truth.cofiring(torch.arange(2)), doubles([[0.5, 0], [0, 0.5]]))
    assert truth.expected_l0 == 1


def test_exactly_k_fires_exactly_k_different_features():
    h = S.SparseMixture(n_true=7, d=2, firing=S.ExactlyK(5)).sample(500, S.stream(0, "x")).h
    assert ((h.dense() != 0).sum(1) == 5).all()


def test_an_independent_pair_with_a_shared_gain():
    """E[h] = .5, E[h^2] = .5 E[g^2]; E[h1 h2] = .25 E[g^2] since the gain is shared: covariance .25 (E[g^2] - 1)."""
    gain = math.exp(0.25)
    fields = {"firing": S.Independent(S.Constant(0.5)), "magnitudes": S.SharedGain(S.ConstantMagnitude(), 0.5)}
    truth = S.SparseMixture(n_true=2, d=2, directions=axes(2), **fields).truth
    variance, across = 0.5 * gain - 0.25, 0.25 * gain - 0.25
    assert_close(truth.covariance, doubles([[variance, across], [across, variance]]))


FAMILY = {"trees": 1, "branching": 2, "depth": 1}


@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("scaled", [False, True])
def test_a_family_of_three(exclusive, scaled):
    """Root at .5, children at .2 each; magnitudes U(.5, 1.5), so E a = 1 and E a^2 = 13/12.

    Children meet with .5 (.4)^2 = .08, or never. With parent scaling E[h_child^2] = .2 (13/12)^2,
    E[h_root h_child] = .2 (13/12) and E[h_child h_twin] = .08 (13/12).
    """
    firing = S.Forest(
        S.Independent(S.StretchedZipf(50.0, 0.5, 0.2)), **FAMILY, exclusive=exclusive, scale_by_parent=scaled
    )
    truth = S.SparseMixture(n_true=3, d=3, directions=axes(3), firing=firing).truth
    twins, square = 0.0 if exclusive else 0.08, 13 / 12
    assert_close(truth.cofiring(torch.arange(3)), doubles([[0.5, 0.2, 0.2], [0.2, 0.2, twins], [0.2, twins, 0.2]]))
    gain = square if scaled else 1.0
    second = doubles(
        [
            [0.5 * square, 0.2 * gain, 0.2 * gain],
            [0.2 * gain, 0.2 * square * gain, twins * gain],
            [0.2 * gain, twins * gain, 0.2 * square * gain],
        ]
    )
    mean = doubles([0.5, 0.2, 0.2])
    assert_close(truth.mean_h, mean)
    assert_close(truth.covariance, second - torch.outer(mean, mean))
    assert truth.parents.tolist() == [-1, 0, 0]


@pytest.mark.parametrize(
    ("compensation", "exclusive", "child"),
    [
        ("exact", True, 0.2),
        ("exact", False, 0.2),
        ("none", False, 0.5 * 0.2),
        ("none", True, 0.5 * 0.2 * (1 - 0.2 / 2)),
        ("synthsaebench", False, 0.2),
        ("synthsaebench", True, 0.5 * 0.56 * (1 - 0.56 / 2)),
    ],
)
def test_realised_rates_of_a_family_under_each_compensation(compensation, exclusive, child):
    """Exclusive twins keep a win of coin p with 1 - p/2; SynthSAEBench's coin is .4 (1 + .4) = .56."""
    firing = S.Forest(
        S.Independent(S.StretchedZipf(50.0, 0.5, 0.2)), **FAMILY, exclusive=exclusive, compensation=compensation
    )
    truth = S.SparseMixture(n_true=3, d=3, firing=firing).truth
    assert_close(truth.rates, doubles([0.5, child, child]))
    assert_close(truth.requested_rates, doubles([0.5, 0.2, 0.2]))
    assert truth.requested["E[L0]"] == pytest.approx(0.9)
    assert truth.realised["E[L0]"] == pytest.approx(0.5 + 2 * child)


@pytest.mark.parametrize(
    ("firing", "expected"),
    [
        (S.Independent(S.Linear(0.3, 0.1)), [0.15, 0.1, 0.05]),
        (S.Exclusive(S.Constant(0.2), 3), [0.1, 0.1, 0.1]),
        (S.Copula(S.Constant(0.4)), [0.2, 0.2, 0.2]),
        (S.LowRankCopula(S.Constant(0.4)), [0.2, 0.2, 0.2]),
        (S.Forest(S.Independent(S.Constant(0.4)), **FAMILY), [0.2, 0.2, 0.2]),
        (S.ExactlyK(2), [1 / 3, 1 / 3, 1 / 3]),
        (S.ExactlyK(1), [1 / 3, 1 / 3, 1 / 3]),
    ],
)
def test_a_firing_law_scaled_to_half(firing, expected):
    """Requested rates halve; k halves too, but never below 1."""
    truth = S.SparseMixture(n_true=3, d=2, firing=firing.scaled(0.5)).truth
    assert_close(truth.requested_rates, doubles(expected))
    assert type(firing.scaled(0.5)) is type(firing)


def test_symmetries_name_the_sign_only_where_the_law_is_even():
    assert S.SparseMixture().truth.symmetries == ("permutation",)
    assert S.SparseMixture(magnitudes=S.Signed(S.Uniform())).truth.symmetries == ("permutation", "sign")


# --- noise -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("decibels", [-7.0, 0.0, 10.0, 30.0])
@pytest.mark.parametrize("kind", ["isotropic", "coloured"])
def test_the_signal_to_noise_ratio_is_realised_in_the_covariance(decibels, kind):
    """10 log10(tr Cov[signal] / tr Cov[noise]); noise roots are kept in 32 bits, hence 1e-5 dB."""
    noise = S.Isotropic(snr_db=decibels) if kind == "isotropic" else S.Coloured(snr_db=decibels, decay=1.5)
    magnitudes = S.SharedGain(S.PerFeature(2.0, 1.0), 0.3)
    quiet = S.SparseMixture(n_true=12, d=5, firing=S.Exclusive(S.Constant(0.2), 4), magnitudes=magnitudes)
    noisy = S.SparseMixture(n_true=12, d=5, firing=quiet.firing, magnitudes=magnitudes, noise=noise)
    signal = float(quiet.truth.covariance.trace())
    added = noisy.truth.covariance - quiet.truth.covariance
    assert 10 * math.log10(signal / float(added.trace())) == pytest.approx(decibels, abs=1e-5)


def test_isotropic_noise_is_the_same_in_every_direction():
    quiet, noisy = (S.SparseMixture(d=4, noise=noise).truth.covariance for noise in (S.NoNoise(), S.Isotropic(sd=0.5)))
    assert_close(noisy - quiet, 0.25 * torch.eye(4, dtype=torch.float64))


def test_coloured_noise_has_the_spectrum_it_states():
    """Eigenvalues j^-2 in d = 3, scaled to a total of d sd^2 = 0.12: 1, 1/4, 1/9 of 0.12 / (49/36)."""
    noise = S.Coloured(sd=0.2, decay=2.0)
    quiet, noisy = (S.SparseMixture(d=3, noise=noise).truth.covariance for noise in (S.NoNoise(), noise))
    expected = 0.12 / (49 / 36) * np.array([1 / 9, 1 / 4, 1])
    assert_close(torch.linalg.eigvalsh(noisy - quiet), torch.from_numpy(expected), rtol=1e-5, atol=0)
