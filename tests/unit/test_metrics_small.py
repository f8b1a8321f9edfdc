"""Metrics against values worked by hand: latents and coefficients are tables, features mostly the axes."""

import math

import pytest
import torch
from replay import Replay, Table, check, scores
from torch.testing import assert_close

import synthetic as S
import workbench as W
from synthetic.source import Codes
from workbench.metrics.matching import match, random_geometries

ROOT = math.sqrt(0.5)


def on(rows, n):
    """A 0/1 column that is 1 in the given rows."""
    return [float(i in rows) for i in range(n)]


def columns(*columns):
    return [list(row) for row in zip(*columns, strict=True)]


# --- directions ------------------------------------------------------------------------------------------------------

TURNED = [[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.5, math.sqrt(0.75)], [0.0, 2.0, 0.0]]
"""e2, -e1, 30 degrees off e3, twice e2"""
BUSY = [[1.0, 1.0, 1.0, 1.0]] * 2
ALL = [[1.0, 1.0, 1.0], [2.0, 1.0, 1.0]]


def test_directions_on_three_axes():
    found = scores(TURNED, BUSY, ALL)
    check(
        found,
        mcc=(2 + math.sqrt(0.75)) / 3,
        saelens_mcc=(2 + math.sqrt(0.75)) / 3,
        mmcs_features=(2 + math.sqrt(0.75)) / 3,
        mmcs_latents=(3 + math.sqrt(0.75)) / 4,
        uniqueness=1.0,  # three features for at most three
        saelens_uniqueness=3 / 4,  # SAELens divides by latents
    )
    check(found, **{"recall@.9": 1 / 3, "recall@.8": 2 / 3})  # e1 is met from behind only


def test_recall_ignores_signs_only_where_the_world_has_none():
    found = scores(TURNED, BUSY, ALL, symmetries=("permutation", "sign"))
    check(found, **{"recall@.9": 2 / 3, "recall@.8": 1.0})


def test_assignment_is_optimal_not_greedy():
    def at(degrees):
        return [math.cos(math.radians(degrees)), math.sin(math.radians(degrees))]

    rows = torch.tensor([at(20), at(-25)], dtype=torch.float64)
    features = torch.tensor([at(0), at(60)], dtype=torch.float64)
    geometry = match(rows, features)  # greedy would pair 20 with 0 (.940) and leave -25 with 60 (.087)
    assert geometry.latent_of.tolist() == [1, 0]
    assert geometry.mean_matched == pytest.approx((math.cos(math.radians(25)) + math.cos(math.radians(40))) / 2)


def test_unmatched_features_do_not_enter_mcc_but_score_no_f1():
    h = columns(on({0, 1}, 4), on({2}, 4), on({3}, 4))
    found = scores([[1.0, 0.0, 0.0]], columns(on({0, 1}, 4)), h)
    check(found, mcc=1.0, f1=1 / 3, magnitude_pearson=1 / 3, **{"recall@.9": 1 / 3})


def test_dead_latents_point_nowhere():
    latents = [[1.0, 0.0, 0.0, 1.0]] * 2  # e2 and its copy fire
    check(scores(TURNED, latents, ALL), uniqueness=1 / 2, saelens_uniqueness=3 / 4, dead=1 / 2)
    nothing = scores(TURNED, [[0.0] * 4] * 2, ALL)
    check(nothing, uniqueness=0.0, dead=1.0, merging=0.0, f1=0.0, magnitude_r2=0.0, l0=0.0, saelens_dead_latents=4.0)


def test_one_feature_on_a_plane_has_the_arcsine_law_as_null():
    """E|cos| = 2/pi, sd of |cos| = sqrt(1/2 - 4/pi^2) = .308; 16 draws, false alarm at 4 standard errors 6e-5."""
    found = scores([[1.0, 0.0]], [[1.0]], [[1.0]], [[1.0, 0.0]])
    spread = math.sqrt(0.5 - 4 / math.pi**2)
    assert abs(found["mcc_null"] - 2 / math.pi) < 4 * spread / 4
    assert abs(found["mcc_null_sd"] - spread) < 0.5 * spread
    assert found["mmcs_features_null"] == pytest.approx(found["mcc_null"])


def test_correction_puts_chance_at_0_and_perfection_at_1():
    found = scores(TURNED, BUSY, ALL)
    null = found["mcc_null"]
    check(found, mcc_corrected=(found["mcc"] - null) / (1 - null))
    check(scores(torch.eye(3).tolist(), [[1.0] * 3] * 2, ALL), mcc_corrected=1.0)
    geometries = random_geometries(4, torch.eye(3))
    assert null == pytest.approx(sum(g.mean_matched for g in geometries) / 16)


def test_null_geometries_of_dictionaries_that_share_a_prefix_stay_apart():
    small, large = S.SparseMixture(n_true=256, d=64), S.SparseMixture(n_true=512, d=64)
    assert torch.equal(small.truth.features, large.truth.features[:256])
    assert len(random_geometries(4, small.truth.features)[0].latent_of) == 256
    assert len(random_geometries(4, large.truth.features)[0].latent_of) == 512


def test_null_geometries_are_kept():
    features = torch.eye(5)
    assert random_geometries(2, features)[0] is random_geometries(2, features.clone())[0]


# --- detection -------------------------------------------------------------------------------------------------------

# Feature 4 never fires; the third latent leans on e1 but is left for e4; feature 3 stays without a latent.
ROWS = [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.9, 0.0, 0.0, 0.4358899]]
H = columns(on({0, 1, 2, 3}, 8), on({0, 4}, 8), on({5}, 8), on(set(), 8))
F = columns(on({0, 1, 2, 4}, 8), on({0}, 8), on({0, 7}, 8))


def test_detection_counts_each_feature_by_its_own_latent():
    check(
        scores(ROWS, F, H),
        detection_precision=(3 / 4 + 1 + 0) / 3,
        detection_recall=(3 / 4 + 1 / 2 + 0) / 3,
        f1=(3 / 4 + 2 / 3 + 0) / 3,
        f1_null=(2 * 0.5 * 0.5 / 1 + 2 * (1 / 8) * (2 / 8) / (3 / 8)) / 3,
        features_unseen=1.0,
    )


def test_saelens_detection_counts_each_latent_by_its_nearest_feature():
    check(
        scores(ROWS, F, H),
        saelens_precision=(3 / 4 + 1 + 1 / 2) / 3,
        saelens_recall=(3 / 4 + 1 / 2 + 1 / 4) / 3,
        saelens_f1=(3 / 4 + 2 / 3 + 1 / 3) / 3,
        saelens_accuracy=(6 / 8 + 7 / 8 + 4 / 8) / 3,
    )


def test_quarters_go_from_rare_to_frequent():
    """Five seen features, rates given out of order: quarters of 2, 1, 1, 1 features, by the world's rates."""
    fires = [{0}, {1}, {2}, {3}, {4}, set()]
    h = columns(*(on(rows, 8) for rows in fires))
    wrong = [{0}, {5}, {2}, {6}, {7}, {7}]  # latents of features 1, 3 and 4 miss
    found = scores(
        torch.eye(6).tolist(), columns(*(on(rows, 8) for rows in wrong)), h, rates=[0.5, 0.1, 0.2, 0.4, 0.3, 0.9]
    )
    check(found, f1=2 / 5, f1_q1=1 / 2, f1_q2=0.0, f1_q3=0.0, f1_q4=1.0)


def test_sparsity_counts():
    found = scores(ROWS, F, H, rates=[0.5, 0.25, 0.125, 0.01])
    check(found, l0=7 / 8, true_l0=7 / 8, expected_l0=0.885, dead=0.0, saelens_dead_latents=0.0)
    check(scores(ROWS, columns(on({1}, 8), on(set(), 8), on(set(), 8)), H), l0=1 / 8, dead=2 / 3)


def test_negative_latents_fire():
    negative = [[-v for v in row] for row in F]
    check(scores(ROWS, negative, H), l0=7 / 8, f1=(3 / 4 + 2 / 3) / 3)


# --- fidelity and magnitude ------------------------------------------------------------------------------------------


def test_fidelity_on_a_line():
    """x = 1, 3, 0 and x_hat = .5, 2.5, 0: residual .5 of 10 - 16/3; the sample at 0 has no ratio."""
    found = scores([[1.0]], [[0.5], [2.5], [0.0]], [[1.0], [3.0], [0.0]])
    fvu = 0.5 / (10 - 16 / 3)
    check(
        found,
        fvu=fvu,
        explained_variance=1 - fvu,
        saelens_explained_variance=1 - fvu,
        shrinkage=(0.25 + 6.25) / (0.5 + 7.5),
        saelens_shrinkage=(0.5 + 2.5 / 3) / 2,
    )


@pytest.mark.parametrize("h", [[[2.0]], [[0.3]] * 5, [[0.0]] * 3], ids=["one sample", "equal ones", "zeros"])
@pytest.mark.parametrize("share", [1.0, 0.5])
def test_without_variance_there_is_no_share_of_it(h, share):
    found = scores([[1.0]], [[share * row[0]] for row in h], h)
    undefined = ("fvu", "explained_variance", "magnitude_r2", "magnitude_pearson")
    assert all(math.isnan(found[name]) for name in undefined)
    silent = h[0][0] == 0
    check(found, saelens_explained_variance=float(silent or share == 1.0), saelens_shrinkage=0.0 if silent else share)
    assert math.isnan(found["shrinkage"]) if silent else found["shrinkage"] == pytest.approx(share)


def test_b_dec_alone_explains_nothing_but_the_mean():
    sae = Table([[1.0]], [[0.0], [0.0]])
    sae.b_dec.data += 2.0
    found = W.evaluate(sae, Replay([[1.0], [3.0]]), n=2)
    check(found, fvu=1.0, explained_variance=0.0)


MAGNITUDES = [[0.0], [1.0], [2.0], [3.0]]  # sum 6, squares 14, so 14 - 36/4 = 5 about the mean


def test_magnitude_takes_row_norm_and_sign_into_account():
    check(scores([[-2.0]], [[0.0], [-0.5], [-1.0], [-1.5]], MAGNITUDES), magnitude_r2=1.0, magnitude_pearson=1.0)


def test_shrinkage_lowers_r2_but_not_correlation():
    halved = [[v / 2 for v in row] for row in MAGNITUDES]
    check(scores([[1.0]], halved, MAGNITUDES), magnitude_r2=1 - 3.5 / 5, magnitude_pearson=1.0)


def test_an_anticorrelated_latent_has_r_minus_1_and_no_negative_r2():
    opposite = [[3.0 - v for v in row] for row in MAGNITUDES]
    check(scores([[1.0]], opposite, MAGNITUDES), magnitude_r2=0.0, magnitude_pearson=-1.0)


def test_a_constant_latent_carries_no_magnitude():
    check(scores([[1.0]], [[1.5]] * 4, MAGNITUDES), magnitude_r2=0.0, magnitude_pearson=0.0)


# --- hierarchy -------------------------------------------------------------------------------------------------------

FOREST = S.Forest(S.Independent(S.Linear(0.6, 0.3)), trees=1, branching=1, depth=1)


def family(*, parent_reads, parent_writes, child_reads, child_writes):
    """Scores of a planted ReLU SAE on a parent e1 and a child e2, both of magnitude 1."""
    world = S.SparseMixture(
        n_true=2, d=2, directions=S.Given(((1.0, 0.0), (0.0, 1.0))), firing=FOREST, magnitudes=S.ConstantMagnitude()
    )
    sae = W.create("relu", 2, 2)
    with torch.no_grad():
        sae.W_enc.copy_(torch.tensor([parent_reads, child_reads]).T)
        sae.W_dec.copy_(torch.tensor([parent_writes, child_writes]))
    return W.evaluate(sae, world, n=2000)


def test_a_clean_family_neither_absorbs_nor_hedges():
    found = family(parent_reads=[1.0, 0.0], parent_writes=[1.0, 0.0], child_reads=[0.0, 1.0], child_writes=[0.0, 1.0])
    check(found, absorption=0.0, hedging=0.0, child_tilt=0.0, edges_scored=1.0, fvu=0.0, f1=1.0)


def test_an_absorbing_family_reconstructs_perfectly_and_is_seen():
    """The child's latent writes both, the parent's falls silent under the child."""
    found = family(
        parent_reads=[1.0, -1.0], parent_writes=[1.0, 0.0], child_reads=[0.0, 2**0.5], child_writes=[ROOT, ROOT]
    )
    check(found, absorption=1.0, hedging=0.0, child_tilt=0.5, edges_scored=1.0, fvu=0.0)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_hedging_parent_carries_a_third_of_its_child(sign):
    found = family(
        parent_reads=[1.0, 0.0], parent_writes=[sign, 0.5 * sign], child_reads=[0.0, 1.0], child_writes=[0.0, 1.0]
    )
    check(found, absorption=0.0, hedging=1 / 3, child_tilt=0.0)


def test_hedging_away_from_the_child_is_negative():
    found = family(parent_reads=[1.0, 0.0], parent_writes=[1.0, -0.5], child_reads=[0.0, 1.0], child_writes=[0.0, 1.0])
    check(found, hedging=-1 / 3)


# Parent in rows 0-7, child in rows 0-3.
FAMILY = columns(on(range(8), 10), on(range(4), 10))


def test_absorption_is_the_rise_in_the_parents_misses():
    latents = columns(on({0, 4, 5, 6}, 10), on(range(4), 10))  # misses 3/4 with the child, 1/4 without
    found = scores(torch.eye(2).tolist(), latents, FAMILY, parents=[-1, 0])
    check(found, absorption=3 / 4 - 1 / 4, edges_scored=1.0)


def test_a_latent_that_misses_at_random_does_not_absorb():
    latents = columns(on({0, 1, 4, 5}, 10), on(range(4), 10))
    check(scores(torch.eye(2).tolist(), latents, FAMILY, parents=[-1, 0]), absorption=0.0)


def test_edges_without_evidence_are_left_out():
    always = columns(on(range(8), 10), on(range(8), 10))  # the parent never fires alone
    found = scores(torch.eye(2).tolist(), always, always, parents=[-1, 0])
    check(found, edges_scored=0.0)
    assert all(found[name] != found[name] for name in ("absorption", "hedging", "child_tilt"))
    one = scores([[1.0, 0.0]], columns(on(range(8), 10)), FAMILY, parents=[-1, 0])
    check(one, edges_scored=0.0)


def test_means_are_over_edges():
    """Two children, the first of which is absorbed."""
    h = columns(on(range(9), 10), on({0, 1, 2}, 10), on({3, 4, 5}, 10))
    latents = columns(on({3, 4, 5, 6, 7, 8}, 10), on({0, 1, 2}, 10), on({3, 4, 5}, 10))
    found = scores(torch.eye(3).tolist(), latents, h, parents=[-1, 0, 0])
    first = 3 / 3 - 0 / 6  # silent in rows 0, 1, 2: with the first child always, without it never
    second = 0 / 3 - 3 / 6  # with the second child never, without it in three of six
    check(found, edges_scored=1.0, absorption=(first + second) / 2)


def test_parts_are_taken_out_of_overlapping_features():
    """cos(parent, child) = .6, yet a latent along the parent holds nothing of the child."""
    features = [[1.0, 0.0], [0.6, 0.8]]
    latents = columns(on(range(8), 10), on(range(4), 10))
    check(scores(features, latents, FAMILY, features, parents=[-1, 0]), hedging=0.0, child_tilt=0.0, tol=1e-5)


def test_worlds_without_concepts_have_no_absorption():
    assert "absorption" not in scores(ROWS, F, H)


# --- splitting and merging -------------------------------------------------------------------------------------------

ONCE = [[1.0] * 3]


def test_splitting_counts_features_with_two_live_followers():
    rows = [[1.0, 0.0, 0.0], [0.8, 0.0, 0.6], [0.0, 1.0, 0.0]]
    check(scores(rows, ONCE, ONCE), splitting=1 / 3)
    check(scores(rows, [[1.0, 0.0, 1.0]], ONCE), splitting=0.0)  # the follower is dead
    rows[1] = [0.69, 0.51, 0.51]
    check(scores(rows, ONCE, ONCE), splitting=0.0)  # cos .69 tracks nothing


def test_merging_counts_rows_with_a_quarter_of_a_second_feature():
    rows = [[2.0, 1.0, 0.0], [0.0, 4.0, 1.0], [0.0, 0.0, 1.0]]
    check(scores(rows, ONCE, ONCE), merging=1 / 3)
    check(scores(rows, [[0.0, 1.0, 1.0]], ONCE), merging=0.0)  # the mixture is dead


@pytest.mark.parametrize(("i", "j"), [(i, j) for j in range(4) for i in range(j)])
def test_an_even_mixture_is_a_mixture_whichever_the_two(i, j):
    rows = torch.zeros(1, 4)
    rows[0, [i, j]] = 1.0
    check(scores(rows.tolist(), [[1.0]], [[1.0] * 4]), merging=1.0)


def test_a_single_feature_cannot_be_merged():
    check(scores([[1.0, 1.0]], [[1.0]], [[1.0]], [[1.0, 0.0]]), merging=0.0)


# --- consistency -----------------------------------------------------------------------------------------------------


def stack(decoders, **settings):
    sae = W.create("topk", 2, 2, **{"k": 1, **settings})
    sae.W_dec.data = torch.tensor(decoders).view_as(sae.W_dec)
    return sae


AXES, LEANING, SWAPPED = [[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [ROOT, ROOT]], [[0.0, -1.0], [1.0, 0.0]]


def test_consistency_is_the_mean_agreement_with_other_seeds():
    found = W.evaluate(stack([AXES, LEANING, SWAPPED], seed=[0, 1, 2]), Replay([[1.0, 1.0]]), n=1)
    pair = (1 + ROOT) / 2
    assert_close(torch.from_numpy(found["consistency"]), torch.tensor([(pair + 1) / 2, pair, (pair + 1) / 2]).double())


def test_consistency_compares_equal_settings_only():
    found = W.evaluate(stack([AXES, LEANING, SWAPPED, AXES], seed=[[0], [1]], k=[1, 2]), Replay([[1.0, 1.0]]), n=1)
    pair = (1 + ROOT) / 2  # members (seed 0, k 1) with (seed 1, k 1) and (seed 0, k 2) with (seed 1, k 2)
    assert_close(torch.from_numpy(found["consistency"]), torch.tensor([[1.0, pair], [1.0, pair]]).double())


def test_a_lone_seed_has_no_consistency():
    assert "consistency" not in W.evaluate(stack([AXES, SWAPPED], k=[1, 2]), Replay([[1.0, 1.0]]), n=1)


# --- a whole pass against brute force --------------------------------------------------------------------------------


@pytest.mark.parametrize("m", [24, 600])  # dense latents and sparse ones
def test_two_chunks_of_a_stack_equal_dense_sums(m):
    world = S.SparseMixture(n_true=14, d=10, firing=FOREST, bias_norm=0.5)
    sae = W.create("topk", 10, m, seed=[0, 1], k=[[2], [5]])
    sae.scale.fill_(1.7)
    found = W.evaluate(sae, world, n=5000, seed=3)
    batches = [world.sample(n, S.stream(3, "evaluate", i)) for i, n in enumerate([1024] * 4 + [904])]
    x, h = torch.cat([b.x for b in batches]).double(), torch.cat([b.h.dense() for b in batches]).double()
    codes = sae.encode(x.float())
    f = (codes.dense() if isinstance(codes, Codes) else codes).detach().double()
    x_hat = sae(x.float()).detach().double()
    for at in [(0, 0), (0, 1), (1, 0), (1, 1)]:
        rows = sae.W_dec[at].detach().double()
        latent = match(rows, world.truth.features).latent_of
        cos = torch.nn.functional.cosine_similarity(rows[latent], world.truth.features.double())
        mine, fires, true = f[at][:, latent], f[at][:, latent] != 0, h != 0
        seen = true.any(0)
        f1 = 2 * (fires & true).sum(0) / (fires.sum(0) + true.sum(0)).clamp_min(1)
        r = torch.corrcoef(torch.cat((mine * cos.sign(), h), 1).T)[:14, 14:].diagonal().nan_to_num(0.0)
        expected = {
            "f1": f1[seen].mean(),
            "magnitude_pearson": r[seen].mean(),
            "l0": (f[at] != 0).double().sum(1).mean(),
            "true_l0": true.double().sum(1).mean(),
            "dead": (~(f[at] != 0).any(0)).double().mean(),
            "fvu": (x - x_hat[at]).square().sum() / (x - x.mean(0)).square().sum(),
        }
        for name, value in expected.items():
            assert found[name][at] == pytest.approx(float(value), abs=1e-5), (name, at)


# --- null ------------------------------------------------------------------------------------------------------------

WORLD = S.SparseMixture(n_true=16, d=12, firing=S.Independent(S.Constant(0.15)), bias_norm=1.0)


@pytest.mark.parametrize("name", ["topk", "batch_topk"])
def test_null_is_an_untrained_sae_of_the_same_sparsity(name):
    sae = W.create(name, 12, 16, k=[3, 5], seed=[0, 0])
    before = {k: v.clone() for k, v in sae.state_dict().items()}
    found = W.null(sae, WORLD, n=2000)
    assert found.keys() == W.evaluate(W.create(name, 12, 16, k=3, seed=[0, 1]), WORLD, n=10).keys()
    assert found["l0"][0] == pytest.approx(3, rel=0.15)  # of the first member
    assert found["true_l0"] == (pytest.approx(16 * 0.15, rel=0.05), pytest.approx(0.0, abs=1e-12))
    mean, sd = found["mcc"]
    exact = W.evaluate(sae, WORLD, n=10)["mcc_null"][0]
    assert abs(mean - exact) < 4 * sd
    assert sd > 0
    assert found == W.null(sae, WORLD, n=2000)
    for key, value in sae.state_dict().items():
        assert torch.equal(value, before[key])


def test_null_does_not_depend_on_the_weights_and_knows_the_mean():
    trained, fresh = W.create("topk", 12, 16, k=3), W.create("topk", 12, 16, k=3)
    trained.W_dec.data[:, 0] += 3.0
    assert W.null(trained, WORLD, n=500) == W.null(fresh, WORLD, n=500)
    silent = W.create("jumprelu", 12, 16, start=100.0)
    assert W.null(silent, WORLD, n=2000)["fvu"][0] == pytest.approx(1.0, abs=0.01)  # b_dec = E[x], nothing fires


def test_null_says_how_much_the_draws_differ():
    spread = W.null(W.create("topk", 12, 16, k=3), WORLD, n=500, draws=3)["mcc"]
    members = W.evaluate(W.create("topk", 12, 16, k=3, seed=[10_000, 10_001, 10_002]), WORLD, n=500)["mcc"]
    assert spread == (pytest.approx(members.mean()), pytest.approx(members.std()))


# --- known traps -----------------------------------------------------------------------------------------------------


def test_64_copies_of_one_detector_look_perfect_to_saelens_only():
    axes = torch.eye(64)
    world = S.SparseMixture(n_true=64, d=64, directions=S.Given(tuple(map(tuple, axes.tolist()))), firing=S.ExactlyK(1))
    sae = W.create("relu", 64, 64)
    with torch.no_grad():
        sae.W_dec.copy_(axes[:1].expand(64, 64))
        sae.W_enc.copy_(sae.W_dec.mT)
    found = W.evaluate(sae, world, n=8000)
    check(found, saelens_f1=1.0, saelens_precision=1.0, saelens_recall=1.0, saelens_accuracy=1.0)
    check(found, mcc=1 / 64, saelens_mcc=1 / 64, f1=1 / 64, detection_recall=1 / 64, uniqueness=1 / 64)
    check(found, splitting=1 / 64, saelens_uniqueness=1 / 64, magnitude_r2=1 / 64, features_unseen=0.0)
    assert found["mcc_corrected"] < 0


def test_random_rows_get_mcc_27_and_nothing_after_correction():
    world = S.SparseMixture(n_true=4096, d=192, firing=S.ExactlyK(1))
    found = W.evaluate(W.create("topk", 192, 1024, k=1, seed=5), world, n=64)
    check(found, tol=0.005, mcc=0.270, saelens_mcc=0.270, mcc_null=0.270)
    check(found, tol=0.002, mcc_corrected=0.0)
    check(found, **{"recall@.8": 0.0})


# --- errors ----------------------------------------------------------------------------------------------------------


def test_evaluate_says_what_to_do():
    world, sae = Replay(H), Table(ROWS, F)
    with pytest.raises(ValueError, match=r"evaluate\.n must be at least 1; got 0: draw some samples"):
        W.evaluate(sae, world, n=0)
    with pytest.raises(ValueError, match=r"of dimension 3, the SAE's; got 4: pass the SAE's own world"):
        W.evaluate(Table([[1.0, 0.0, 0.0]], [[1.0]]), world, n=8)
    sae.W_dec.data[0, 0] = math.nan
    with pytest.raises(ValueError, match=r"evaluate\.sae\.W_dec must be finite.*load an earlier checkpoint"):
        W.evaluate(sae, world, n=8)


def test_evaluation_leaves_the_mode_alone():
    sae = W.create("batch_topk", 12, 16)
    for mode in (True, False):
        sae.train(mode)
        W.evaluate(sae, WORLD, n=50)
        assert sae.training is mode
