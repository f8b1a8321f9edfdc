"""Metrics of structure against values worked by hand: levels, edges, signed axes, products, certificates."""

import math

import pytest
import torch
from replay import Replay, Table, check, scores
from torch import Tensor

import synthetic as S
import workbench as W
from synthetic.source import Products
from workbench.metrics import collect
from workbench.metrics.certificates import certificates, shuffled
from workbench.metrics.samples import Samples, first_samples
from workbench.parts import Rows

EYE = torch.eye(4).tolist()
ON = [[1.0, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, 1.0, 0], [0, 0, 0, 1.0]]


def turned(a, b, degrees, d=4):
    """Unit row at an angle from axis a towards axis b."""
    row = [0.0] * d
    row[a], row[b] = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return row


def test_an_axis_split_into_both_ends_is_counted_and_one_kept_whole_is_not():
    rows = [EYE[0], [-1.0, 0, 0, 0], EYE[1], turned(2, 3, 20), [-v for v in turned(2, 3, 20)], turned(3, 0, 30)]
    f = torch.zeros(4, 6).tolist()
    check(scores(rows, f, ON), fragmentation=2 / 4)  # the third at cos 20° = .94; the fourth has no opposite end
    rows[1] = [-math.cos(math.radians(27)), math.sin(math.radians(27)), 0, 0]  # cos .89
    check(scores(rows, f, ON), fragmentation=1 / 4)


def test_a_feature_whose_opposite_is_a_feature_is_no_split_axis():
    features = [[1.0, 0], [-1.0, 0], [0, 1.0]]
    rows = [*features, [0, -1.0]]
    check(scores(rows, torch.zeros(3, 4).tolist(), torch.eye(3).tolist(), features), fragmentation=1.0)
    check(scores(features, torch.zeros(3, 3).tolist(), torch.eye(3).tolist(), features), fragmentation=0.0)


def test_signs_of_live_latents():
    f = [[1.0, 2.0, 0.0], [-1.0, 2.0, 0.0], [-1.0, 2.0, 0.0], [-1.0, 0.0, 0.0]]
    found = scores(EYE[:3], f, ON)
    check(found, bipolarity=2 * (1 / 4) / 2, two_signed=1 / 2)  # the dead latent does not count
    check(scores(EYE[:3], torch.zeros(4, 3).tolist(), ON), bipolarity=0.0, two_signed=0.0)
    one = [[1.0 if i else -1.0] for i in range(21)]
    h = [[1.0, 0, 0, 0]] * 21
    check(scores(EYE[:1], one, h), two_signed=0.0)  # one firing in 21 is under 5 %
    check(scores(EYE[:1], one[:20], h[:20]), two_signed=1.0)


LEVELS = {"levels": torch.tensor([0, 0, 1, 1]), "parents": [-1, -1, 0, 0]}


def test_levels_found_and_left_orthogonal():
    rows = [EYE[0], EYE[1], turned(2, 0, 30), EYE[3]]
    found = scores(rows, torch.zeros(4, 4).tolist(), ON, **LEVELS)
    check(found, **{"worst_level_recall@.9": 0.5, "flat_mse": 0.0, "hier_mse": 0.25 / 4})
    check(found, **{"edge_recall@.9": 0.5, "absorption_cosine": 0.5 / 2})
    within = scores([turned(0, 1, 30), *EYE[1:]], torch.zeros(4, 4).tolist(), ON, **LEVELS)
    check(within, flat_mse=0.25 / 2, hier_mse=0.0)


def test_levels_do_not_depend_on_the_signs_of_rows_and_leave_unmatched_features_out():
    rows = [[-v for v in EYE[0]], EYE[1], [-v for v in turned(2, 0, 30)]]
    found = scores(rows, torch.zeros(4, 3).tolist(), ON, **LEVELS)
    check(found, hier_mse=0.25 / 2, flat_mse=0.0)
    check(found, **{"worst_level_recall@.9": 0.0, "absorption_cosine": 0.5, "edge_recall@.9": 0.0})


def test_true_correlations_inside_and_across_levels_are_no_error():
    features = [turned(0, 1, 40), EYE[0], turned(2, 0, 60), EYE[3]]
    found = scores(features, torch.zeros(4, 4).tolist(), ON, features, **LEVELS)
    check(found, flat_mse=0.0, hier_mse=0.0, absorption_cosine=0.0)
    flipped = [[-v for v in features[0]], *features[1:]]
    check(scores(flipped, torch.zeros(4, 4).tolist(), ON, features, **LEVELS), flat_mse=0.0, hier_mse=0.0)


def test_a_child_of_two_parents_counts_once_for_each():
    edges = torch.tensor([[0, 2], [1, 2]])
    rows = [EYE[0], EYE[1], turned(2, 0, 60), EYE[3]]
    found = scores(rows, torch.zeros(4, 4).tolist(), ON, edges=edges)
    check(found, absorption_cosine=math.cos(math.radians(30)) / 2, **{"edge_recall@.9": 0.0})


class Multiplied(Rows):
    """Coefficient 2 (i + 1)(j + 1) e_3 on f_i f_j, nothing on (2, 3)."""

    linear = False

    def interactions(self, members: Tensor, scale: Tensor) -> Tensor:
        assert bool((members < len(self.rows)).all())
        strength = torch.where(members >= 0, members + 1.0, 1.0).prod(1)
        return 2 * (strength * (strength != 12))[:, None] * torch.eye(4)[3]


def Polynomial(rows, latents):  # noqa: N802
    return Table(rows, latents, Multiplied)


PRODUCTS = Products(torch.tensor([[0, 1], [2, 3]]), torch.tensor([4.0, 1.0]), torch.tensor([EYE[3], EYE[3]]))


def test_products_against_a_decoder_that_has_them():
    h = torch.eye(4).tolist()
    found = W.evaluate(Polynomial(EYE, h), Replay(h, products=PRODUCTS), n=4)
    check(found, product_error=1 / 17, product_cosine=0.5, compound_atoms=1.0)
    check(found, product_auroc=0.0)  # 4 and 0 against 6, 8, 12, 16


def test_products_are_per_unit_of_the_coefficients_and_blind_to_signs():
    rows = [[-2.0, 0, 0, 0], [0, 3.0, 0, 0], *EYE[2:]]
    f = [[-0.5, 0, 0, 0], [0, 1 / 3, 0, 0], [0, 0, 1.0, 0], [0, 0, 0, 1.0]]
    h = torch.eye(4).tolist()
    one = Products(torch.tensor([[0, 1]]), torch.tensor([1.0]), torch.tensor([EYE[3]]))
    found = W.evaluate(Polynomial(rows, f), Replay(h, products=one), n=4)
    check(found, product_error=(-4 / 6 - 1) ** 2, product_cosine=-1.0)


def test_a_feature_without_a_latent_has_no_product():
    h = torch.eye(4).tolist()
    found = W.evaluate(Polynomial(EYE[:1], [[row[0]] for row in h]), Replay(h, products=PRODUCTS), n=4)
    check(found, product_error=1.0, product_cosine=0.0, product_auroc=0.5, compound_atoms=0.0)


def test_triples_are_read_with_padding():
    h = torch.eye(4).tolist()
    three = Products(torch.tensor([[0, 1, 2], [0, 1, -1]]), torch.tensor([12.0, 4.0]), torch.tensor([EYE[3]] * 2))
    found = W.evaluate(Polynomial(EYE, h), Replay(h, products=three), n=4)
    check(found, product_error=0.0, product_cosine=1.0)
    longer = [[3.0, 0, 0, 0], *EYE[1:]]
    f = [[1 / 3, 0, 0, 0], *EYE[1:]]
    check(W.evaluate(Polynomial(longer, f), Replay(h, products=three), n=4), product_error=(64 + 64 / 9) / 160)


def test_a_linear_decoder_has_atoms_alone():
    h = torch.eye(4).tolist()
    found = W.evaluate(Table(EYE[:3], [row[:3] for row in h]), Replay(h, products=PRODUCTS), n=4)
    check(found, compound_atoms=0.0)
    assert "product_error" not in found


def samples(rows: Tensor, f: Tensor, x: Tensor | None = None) -> Samples:
    return Samples(f @ rows if x is None else x, f @ rows, f, rows)


def test_certificates_by_brute_force_on_random_dictionaries():
    rng = S.stream(0, "test")
    rows = torch.randn(9, 5, generator=rng, dtype=torch.float64)
    f = torch.randn(40, 9, generator=rng, dtype=torch.float64)
    f = torch.where(f.abs() >= f.abs().topk(2).values[:, -1:], f, 0.0)
    found = certificates(samples(rows, f))
    unit = rows / rows.norm(dim=1, keepdim=True)
    for i, code in enumerate(f):
        on = code != 0
        shares = torch.linalg.pinv(unit[on].T) @ unit[~on].T
        assert found.recovery[i] == pytest.approx(float(shares.abs().sum(0).max()), rel=1e-9)
        y = torch.linalg.lstsq(unit[on], code[on].sign()[:, None]).solution[:, 0]
        assert found.dual[i] == pytest.approx(float((unit[~on] @ y).abs().max()), rel=1e-9)
    assert 0 < int((found.recovery < 1).sum()) < 40
    assert float(found.kkt.max()) < 1e-12
    assert bool((found.dual <= found.recovery + 1e-12).all())


def test_kkt_is_nothing_for_a_lasso_solution_and_what_is_missing_for_others():
    rows = torch.eye(3, dtype=torch.float64)
    x = torch.tensor([[3.0, -2.0, 0.5]], dtype=torch.float64)
    lasso = torch.tensor([[2.0, -1.0, 0.0]], dtype=torch.float64)  # soft threshold at 1
    assert float(certificates(samples(rows, lasso, x)).kkt) == pytest.approx(0.0)
    missing = torch.tensor([[3.0, 0.0, 0.5]], dtype=torch.float64)  # least squares on a support that lacks the second
    assert float(certificates(samples(rows, missing, x)).kkt) == pytest.approx(2 / float(x.norm()))
    uneven = torch.tensor([[2.0, -2.0, 0.0]], dtype=torch.float64)  # shrunk by 1 and by 0: lam = 1/2
    assert float(certificates(samples(rows, uneven, x)).kkt) == pytest.approx(0.5 / float(x.norm()))


def test_dependent_supports_are_not_certified_and_silent_samples_left_out():
    rows = torch.tensor([[1.0, 0], [0, 1], [0.6, 0.8]], dtype=torch.float64)
    f = torch.tensor([[1.0, 1, 1], [0, 0, 0], [1, 1, 0]], dtype=torch.float64)
    found = certificates(samples(rows, f))
    assert len(found.kkt) == 2
    assert found.recovery.tolist() == [math.inf, pytest.approx(1.4)]
    everyone = certificates(samples(rows, torch.ones(1, 3, dtype=torch.float64)))
    assert everyone.recovery.tolist() == everyone.dual.tolist() == [math.inf]
    alone = certificates(samples(rows[:2], torch.ones(1, 2, dtype=torch.float64)))
    assert alone.recovery.tolist() == alone.dual.tolist() == [0.0]
    twice = torch.tensor([[1.0, 0], [1, 0], [0, 1]], dtype=torch.float64)
    assert certificates(samples(twice, f[2:])).recovery.tolist() == [math.inf]


def test_shares_of_certified_codes_on_the_shelf():
    rows = [[1.0, 0, 0], [0, 1, 0], [0.6, 0.8, 0]]
    h = [[1.0, 1, 0], [1.0, 0, 0], [0, 0, 0]]
    found = scores(rows, h, h, torch.eye(3).tolist())
    check(found, kkt=0.0, recovery_condition=0.5, dual_certificate=0.5)
    check(
        scores(rows, [[0.0] * 3] * 3, h, torch.eye(3).tolist()), kkt=1.0, recovery_condition=0.0, dual_certificate=0.0
    )


def test_each_member_of_a_stack_keeps_its_own_samples():
    sae = W.create("relu", 32, 40, seed=[0, 1])
    with torch.no_grad():
        sae.b_dec.copy_(torch.tensor([[1.0], [2.0]]).expand(2, 32))
        sae.scale.fill_(2.0)
    world = S.SparseMixture()
    for i, found in enumerate(collect(sae, world, 100, 1)):
        x = world.sample(100, S.stream(1, "evaluate", 0)).x[:64].double()
        torch.testing.assert_close(found.first.x, x - (i + 1) / 2)
        torch.testing.assert_close(found.first.x_hat, found.first.f @ found.first.rows, atol=1e-5, rtol=0)


def test_chance_of_certificates_keeps_the_number_of_signs_and_is_blind_to_labels():
    f = torch.zeros(50, 20, dtype=torch.float64)
    f[:, :2], f[:, 2] = 3.0, -1.0
    one = samples(torch.randn(20, 24, generator=S.stream(0, "test"), dtype=torch.float64), f)
    chance = shuffled(one)
    assert bool(((chance.f == 1).sum(1) == 2).all())
    assert bool(((chance.f == -1).sum(1) == 1).all())
    assert len(chance.f.abs().unique(dim=0)) > 40
    turned = samples(one.rows.flip(0), f.flip(1))
    assert torch.equal(shuffled(turned).f, chance.f)
    found = certificates(chance).recovery
    assert 0 < float((found < 1).double().mean()) < 1


def test_nothing_found_is_no_perfect_score():
    h = torch.eye(4).tolist()
    found = scores(EYE[:1], [[row[0]] for row in h], h, levels=torch.tensor([0, 0, 1, 1]), parents=[-1, -1, 0, 1])
    assert all(math.isnan(found[name]) for name in ("flat_mse", "hier_mse", "absorption_cosine"))
    pair = Products(torch.tensor([[0, 1]]), torch.tensor([1.0]), torch.tensor([[0.0, 0, 1]]))
    two = Replay([[1.0, 1.0]], [[1.0, 0, 0], [0, 1, 0]], products=pair)
    found = W.evaluate(Table([[1.0, 0, 0], [0, 1, 0]], [[1.0, 1.0]], Pairs), two, n=1)
    assert math.isnan(found["product_auroc"])
    assert found["product_error"] == pytest.approx(0.0)


class Pairs(Rows):
    """e_3 on every product."""

    linear = False

    def interactions(self, members: Tensor, scale: Tensor) -> Tensor:
        return torch.tensor([0.0, 0, 1]).expand(len(members), 3)


def test_first_samples_are_centred_and_dense():
    x = torch.arange(200.0).view(100, 2)
    entries = (torch.tensor([0, 0, 63, 64]), torch.tensor([2, 1, 0, 0]), torch.tensor([1.0, -2, 3, 4]))
    bias = torch.tensor([1.0, 1.0], dtype=torch.float64)
    kept = first_samples(x, x + 1, entries, torch.zeros(3, 2, dtype=torch.float64), bias)
    assert kept.f.shape == (64, 3)
    assert kept.f[0].tolist() == [0.0, -2.0, 1.0]
    assert float(kept.f.sum()) == 2.0
    assert kept.residual.unique().tolist() == [-1.0]
    assert kept.x[0].tolist() == [-1.0, 0.0]
