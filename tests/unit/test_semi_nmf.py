"""Semi-NMF: each step against its optimum, what fits reach and what they cannot say, and the dictionary made of it."""

from itertools import product

import pytest
import torch
from torch.testing import assert_close

import synthetic as S
import workbench as W
from workbench.metrics import evaluate
from workbench.metrics.matching import match
from workbench.parts.semi_nmf import (
    Factors,
    Tree,
    best_codes,
    code_step,
    decoder_step,
    fit,
    fit_recursive,
    refined,
    refitted,
    winner_take_all,
)
from workbench.variants.semi_nmf import of_factors


def normal(*shape, name="0"):
    return torch.randn(*shape, generator=S.stream(0, f"tests/semi_nmf/{name}"), dtype=torch.float64)


def positive(*shape, name="0"):
    return torch.rand(*shape, generator=S.stream(0, f"tests/semi_nmf/{name}"), dtype=torch.float64)


def loss(x, f, rows):
    return float((x - f @ rows).detach().square().sum())


def disjoint(seed=0, m=6, s=5, n=400):
    """Rows on s neurons each, none shared; codes at random."""
    rng = S.stream(seed, "tests/semi_nmf/disjoint")
    rows = torch.zeros(m, m * s, dtype=torch.float64)
    for i in range(m):
        rows[i, i * s : (i + 1) * s] = torch.randn(s, generator=rng, dtype=torch.float64)
    h = torch.rand(n, m, generator=rng, dtype=torch.float64) * (torch.rand(n, m, generator=rng) < 0.3)
    return h @ rows, rows


# --- steps -----------------------------------------------------------------------------------------------------------


def test_the_code_step_by_hand():
    x, f = torch.tensor([[2.0, -1.0]]).double(), torch.tensor([[1.0, 2.0]]).double()
    rows = torch.tensor([[1.0, 1.0], [-1.0, 2.0]]).double()
    # P = (1, -4), Q = ((2, 1), (1, 5)): up (1, 0), down (2 + 2, 4 + 1 + 10)
    assert_close(code_step(x, f, rows), torch.tensor([[0.25**0.5, 0.0]]).double())


def test_neither_step_raises_the_loss_nor_does_their_alternation():
    for i in range(5):
        x, f = normal(30, 8, name=f"x{i}") + 0.5 * i, positive(30, 5, name=f"f{i}")
        before = torch.inf
        for _ in range(60):
            rows = decoder_step(x, f)
            middle = loss(x, f, rows)
            f = code_step(x, f, rows)
            after = loss(x, f, rows)
            assert after <= middle + 1e-9 <= before + 2e-9
            before = after
        assert bool((f >= 0).all())


def test_steps_work_on_stacks():
    x, f, rows = normal(2, 9, 4), positive(2, 9, 3), normal(2, 3, 4, name="rows")
    for i in range(2):
        assert_close(code_step(x, f, rows)[i], code_step(x[i], f[i], rows[i]))
        assert_close(decoder_step(x, f)[i], decoder_step(x[i], f[i]))


@pytest.mark.parametrize("ridge", [0.0, 0.7])
def test_the_decoder_step_is_stationary(ridge):
    x, f = normal(20, 6), positive(20, 4)
    rows = decoder_step(x, f, ridge)
    assert_close(f.T @ (f @ rows - x) + ridge * rows, torch.zeros(4, 6, dtype=torch.float64), atol=1e-10, rtol=0)
    twice = torch.cat((f, f[:, :1]), 1)  # no full rank: the shortest solution
    found = decoder_step(x, twice)
    assert_close(loss(x, twice, found), loss(x, f, decoder_step(x, f)))
    assert_close(found[0], found[4])


def test_a_silent_row_leaves_its_codes():
    rows = torch.zeros(2, 3, dtype=torch.float64)
    rows[0] = 1.0
    f = positive(4, 2)
    assert_close(code_step(normal(4, 3), f, rows)[:, 1], f[:, 1])


def test_winners_are_the_nearest_sparse_row():
    rows = torch.tensor([[1.0, -3.0, 2.0, 0.5, 2.0]])
    assert winner_take_all(rows, 0.4).tolist() == [[0.0, -3.0, 2.0, 0.0, 0.0]]
    assert winner_take_all(rows, 0.41).tolist() == [[0.0, -3.0, 2.0, 0.0, 2.0]]
    assert torch.equal(winner_take_all(rows, 1.0), rows)
    wide = normal(3, 120)
    assert (winner_take_all(wide, 0.1) != 0).sum(-1).tolist() == [12] * 3  # float32 shares too
    stack = winner_take_all(wide.expand(2, 3, 120), torch.tensor([0.1, 0.05]))
    assert (stack != 0).sum(-1).tolist() == [[12] * 3, [6] * 3]


def test_refitting_is_least_squares_on_the_mask():
    x, f = normal(30, 7), positive(30, 4)
    mask = normal(4, 7, name="mask") > 0
    found = refitted(x, f, mask)
    assert not bool(found[~mask].any())
    slope = f.T @ (f @ found - x)
    assert_close(slope[mask], torch.zeros_like(slope[mask]), atol=1e-10, rtol=0)
    assert loss(x, f, found) < loss(x, f, decoder_step(x, f) * mask)


# --- codes of new data -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("l1", [0.0, 0.8])
@pytest.mark.parametrize(("m", "d"), [(4, 6), (6, 4), (6, 2)])  # by Gram matrix or by rows
def test_codes_are_as_good_as_the_best_support(l1, m, d):
    x, rows = normal(25, d), normal(m, d, name="rows")
    f = best_codes(x @ rows.T, rows, l1=l1, iterations=20_000)
    assert bool((f >= 0).all())
    found = (x - f @ rows).square().sum(1) / 2 + l1 * f.sum(1)
    best = x.square().sum(1) / 2
    for support in product((False, True), repeat=m):
        own = rows[torch.tensor(support)]
        if 0 < len(own) <= d:
            z = torch.linalg.solve(own @ own.T, own @ x.T - l1).T
            value = (x - z @ own).square().sum(1) / 2 + l1 * z.sum(1)
            best = torch.where((z >= 0).all(1) & (value < best), value, best)
    assert_close(found, best, rtol=1e-6, atol=1e-8)


def test_members_of_a_stack_keep_their_own_weight_and_budget():
    x, rows = normal(2, 9, 4), normal(2, 6, 4, name="rows")
    l1, iterations = torch.tensor([0.1, 0.9]), torch.tensor([7, 400])
    found = best_codes(x @ rows.mT, rows, l1=l1, iterations=iterations)
    for i in range(2):
        assert_close(found[i], best_codes(x[i] @ rows[i].T, rows[i], l1=l1[i], iterations=iterations[i]))


# --- fits ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("init", ["random", "svd", "kmeans"])
def test_a_fit_reaches_the_svd_where_activations_share_a_mean(init):
    """Nonnegativity of the codes alone costs nothing there; [a; -a] with one row pays |a|^2."""
    x = normal(60, 8) + 3
    floor = float(torch.linalg.svdvals(x)[3:].square().sum())
    found = fit(x, 3, init=init, iterations=6000, tolerance=1e-7, patience=300)
    assert floor * (1 - 1e-9) <= float(found.losses.min()) <= floor * 1.02
    assert_close(loss(x, found.codes, found.rows), float(found.losses.min()))
    assert_close(found.codes.norm(dim=0), torch.ones(3, dtype=torch.float64))
    assert bool((found.losses.diff() <= 1e-9 * found.losses[0]).all())


def test_opposite_rows_cost_what_they_must():
    a = normal(1, 5)
    assert fit(torch.cat((a, -a)), 1).losses.min() == pytest.approx(float(a.square().sum()), rel=1e-6)


def test_the_mask_finds_rows_that_share_nothing_and_plain_fits_do_not():
    scores = {None: [], 1 / 6: []}
    for seed in range(4):
        x, rows = disjoint(seed)
        for share, found in scores.items():
            made = fit(x, 6, share=share, seed=seed, iterations=600)
            found.append(match(made.rows.float(), rows.float()).mean_matched)
            if share:
                assert int((made.rows != 0).sum(1).max()) == 5
            else:  # a fit that good says nothing
                assert float(made.losses.min()) < 0.01 * float(x.square().sum())
    assert sum(score > 0.995 for score in scores[1 / 6]) >= 2
    assert max(scores[None]) < 0.95


def test_masking_may_raise_the_loss_and_the_best_pair_is_kept():
    x = normal(80, 20)
    rises = {}
    for refit in (False, True):
        found = fit(x, 6, share=0.1, refit=refit, iterations=250, patience=250)
        rises[refit] = int((found.losses.diff() > 1e-9 * found.losses[0]).sum())
        assert_close(loss(x, found.codes, found.rows), float(found.losses.min()))
    assert rises[False] > 20 > rises[True]


def test_patience_ends_a_fit():
    x = normal(40, 6)
    assert len(fit(x, 3, patience=5, tolerance=0.5).losses) <= 12
    assert len(fit(x, 3, iterations=17).losses) == 17


def test_same_seed_same_factors():
    x = normal(40, 6)
    one, two, other = (fit(x, 3, iterations=20, init="kmeans", seed=seed) for seed in (0, 0, 1))
    assert torch.equal(one.rows, two.rows)
    assert not torch.equal(one.rows, other.rows)


def test_a_tree_gathers_leaves_of_one_core():
    """Two families of three rows that share a core: the second level has one row for each."""
    rng = S.stream(1, "tests/semi_nmf/tree")
    rows = torch.zeros(6, 40, dtype=torch.float64)
    core = torch.randn(2, 10, generator=rng, dtype=torch.float64)
    for i in range(6):
        family = i // 3
        rows[i, 10 * family : 10 * family + 10] = core[family]
        rows[i, 20 + 3 * i : 23 + 3 * i] = torch.randn(3, generator=rng, dtype=torch.float64)
    tree = fit_recursive(rows, [6, 2], iterations=500, seed=1)
    top = fit_recursive(rows, [2], iterations=500, seed=1)
    assert tree.codes.shape == (6, 2)
    assert bool((tree.codes >= 0).all())
    assert loss(rows, tree.codes, tree.levels[1].rows) >= float(torch.linalg.svdvals(rows)[2:].square().sum()) - 1e-9
    family = (top.levels[0].codes * top.levels[0].rows.norm(dim=1)).argmax(1).tolist()
    assert family in ([0, 0, 0, 1, 1, 1], [1, 1, 1, 0, 0, 0])


def test_a_parent_is_what_makes_most_of_a_row_whatever_the_scale_of_its_codes():
    fine = Factors(positive(4, 3), torch.eye(3, 5, dtype=torch.float64), torch.zeros(1, dtype=torch.float64))
    codes = torch.tensor([[0.9, 0.1], [0.2, 0.1], [0.1, 0.3]], dtype=torch.float64)
    rows = torch.tensor([[0.6, 0.8], [0.0, 5.0]], dtype=torch.float64)
    tree = Tree((fine, Factors(codes, rows, fine.losses)))
    assert_close(tree.weights(0), torch.tensor([[0.9, 0.5], [0.2, 0.5], [0.1, 1.5]], dtype=torch.float64))
    assert tree.parents(0).tolist() == [0, 1, 1]
    assert tree.children(0, 0) == [0, 1]
    assert tree.children(0, 1) == [2, 0, 1]
    assert tree.children(0, 1, share=0.5) == [2]


def layered(seed=0, noise=0.0, mask=None):
    """X = f1 f2 W2 of 80 samples, 6 rows made of 2, all codes nonnegative; rows 0 off the mask."""
    rng = S.stream(seed, "tests/semi_nmf/layered")
    fine, coarse = (torch.rand(*shape, generator=rng, dtype=torch.float64) for shape in ((80, 6), (6, 2)))
    rows = torch.randn(2, 12, generator=rng, dtype=torch.float64)
    rows = rows if mask is None else rows * mask
    return fine**3 @ coarse**3 @ rows + noise * torch.randn(80, 12, generator=rng, dtype=torch.float64)


def test_a_step_beneath_finer_codes_is_one_of_the_codes_and_never_raises_the_loss():
    for seed in range(5):
        x, finer = normal(30, 8, name=f"x{seed}"), positive(30, 5, name=f"g{seed}")
        f, rows = positive(5, 3, name=f"f{seed}"), normal(3, 8, name=f"w{seed}")
        none = torch.eye(30, dtype=torch.float64)
        assert_close(code_step(x, finer @ f, rows, none), code_step(x, finer @ f, rows))
        for _ in range(40):
            before, f = loss(x, finer @ f, rows), code_step(x, f, rows, finer)
            assert loss(x, finer @ f, rows) <= before + 1e-9
            assert bool((f >= 0).all())


@pytest.mark.parametrize("share", [None, 0.5, (0.5, None), (None, 0.25)])
def test_joint_refinement_never_raises_the_loss(share):
    for seed in range(3):
        x = layered(seed, noise=0.3)
        tree = fit_recursive(x, [6, 2], share=share, iterations=30, seed=seed)
        found = refined(x, tree, 60)
        history = found.levels[0].losses
        assert bool((history.diff() <= 1e-9 * history[0]).all())
        assert_close(float(history[0]), loss(x, tree.codes, tree.levels[-1].rows))
        assert_close(float(history[-1]), loss(x, found.codes, found.levels[-1].rows))
        assert_close(found.levels[0].rows, found.levels[1].codes @ found.levels[1].rows)
        for level, old in zip(found.levels, tree.levels, strict=True):
            assert bool((level.codes >= 0).all())
            assert level.codes.shape == old.codes.shape
            assert_close(level.codes.norm(dim=0), torch.ones(level.codes.shape[1]).double())
        assert torch.equal(found.levels[-1].rows != 0, tree.levels[-1].rows != 0)


def test_joint_refinement_finds_two_layers_that_one_after_the_other_miss():
    """A mask on the first level costs the second, which the levels together make up for; without noise."""
    x = layered()
    for seed in range(3):
        tree = fit_recursive(x, [6, 2], share=(0.5, None), iterations=200, seed=seed)
        found = refined(x, tree, 200)
        before, after = (loss(x, each.codes, each.levels[-1].rows) for each in (tree, found))
        assert before > 0.05 * float(x.square().sum())
        assert after < 0.7 * before


def test_a_recursion_is_refined_where_asked():
    x = layered(noise=0.3)
    options: list[dict[str, int]] = [{}, {"joint": 0}, {"joint": 9}]
    plain, none, joint = (fit_recursive(x, [6, 3, 2], iterations=30, **more) for more in options)
    for one, other, wanted in zip(none.levels, plain.levels, joint.levels, strict=True):
        assert torch.equal(one.codes, other.codes)
        assert torch.equal(one.rows, other.rows)
        assert not torch.equal(wanted.rows, other.rows)
    again = refined(x, plain, 9)
    assert all(torch.equal(a.codes, b.codes) for a, b in zip(joint.levels, again.levels, strict=True))
    with pytest.raises(ValueError, match=r"semi_nmf.fit_recursive.joint must be at least 0; got -1"):
        fit_recursive(x, [6, 2], joint=-1)


@pytest.mark.parametrize(
    ("more", "rule"),
    [
        ({"m": 0}, "m must be at least 1"),
        ({"share": 0.0}, r"share must be in \(0, 1\]"),
        ({"refit": True}, "refit must be False"),
        ({"m": 9, "init": "svd"}, "start at random"),
        ({"m": 21, "init": "kmeans"}, "start at random"),
    ],
)
def test_what_cannot_be_is_refused(more, rule):
    with pytest.raises(ValueError, match=rule):
        fit(normal(20, 6), **({"m": 2} | more))
    with pytest.raises(ValueError, match="finest level first"):
        fit_recursive(normal(20, 6), [2, 3])


# --- the variant -----------------------------------------------------------------------------------------------------


def test_the_dictionary_of_a_fit_is_scored_like_any_sae():
    x, rows = disjoint()
    sae = of_factors(fit(x, 6, share=1 / 6, iterations=600))
    assert match(sae.W_dec, rows.float()).mean_matched > 0.99
    assert_close(sae.W_dec.norm(dim=1), torch.ones(6))
    assert loss(x.float(), sae.encode(x.float()), sae.W_dec) < 1e-4 * float(x.square().sum())
    world = S.SparseMixture(n_true=6, d=30)
    assert 0 <= evaluate(sae, world, 200)["fvu"] < 2


def test_steps_keep_the_largest_entries_at_norm_1():
    world = S.SparseMixture(n_true=8, d=20)
    sae = W.create("semi_nmf", 20, 8, share=[0.0, 0.25])
    W.train(sae, world, W.TrainConfig(steps=5, batch=32))
    assert (sae.W_dec != 0).sum(-1).tolist() == [[20] * 8, [5] * 8]
    assert_close(sae.W_dec.norm(dim=-1), torch.ones(2, 8))
    assert not bool(sae.b_dec.any())


def test_a_lone_row_shrinks_by_half_the_weight():
    """argmin |x - f w|^2 + l1 f over f >= 0 is max(<x, w> - l1 / 2, 0), in the SAE's own units."""
    sae, x = W.create("semi_nmf", 5, 1, l1=0.8), normal(20, 5).float()
    sae.scale.fill_(2.0)
    assert_close(sae.encode(x), (2 * x @ sae.W_dec.mT - 0.4).relu() / 2)
    out = sae.trace(x)
    terms = sae.loss(out)
    assert_close(terms["l1"], 0.8 * out.dense().sum(-1).mean())


def test_a_smaller_weight_means_more_latents():
    sae = W.create("semi_nmf", 5, 9, l1=[0.1, 3.0])
    fired = (sae.encode(normal(50, 5).float()) > 0).sum((-1, -2))
    assert fired[0] > fired[1] > 0
