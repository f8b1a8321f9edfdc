"""Top-AFA: the reference's selection word for word, its options, its losses, its start."""

import math

import pytest
import torch
from torch.testing import assert_close

import synthetic as S
import workbench as W
from workbench.parts import Affine, DeadGuess, ReLU, Rows
from workbench.parts.sparsifiers import norm_match
from workbench.sae import Stack
from workbench.theory import top_afa as theory

rng = S.stream(0, "tests/top_afa")
WORLD = S.SparseMixture(n_true=12, d=8, firing=S.Independent(S.Constant(0.15)), bias_norm=0.5)


def reference(a, rows, tau, sentinel=1e4):
    """The published code: sort squared contributions, overwrite the last prefix, nearest norm."""
    square = (a * rows.norm(dim=-1)) ** 2
    order = square.argsort(-1, descending=True)
    prefix = square.gather(-1, order).cumsum(-1)
    if sentinel is not None:
        prefix[..., -1] = sentinel**2
    count = (prefix.sqrt() - tau[..., None]).abs().argmin(-1, keepdim=True) + 1
    keep = torch.arange(a.shape[-1]) < count
    return torch.zeros_like(a, dtype=torch.bool).scatter(-1, order, keep)


# --- selection -------------------------------------------------------------------------------------------------------

ACTS = torch.tensor([[5.0, 4, 3], [1, 1, 1], [1, 10, 2]])
W_DEC = torch.tensor([[1.0, 2], [3, 4], [5, 6]])


def test_dead_latents_guess_from_centred_inputs():
    """Also of an encoder that keeps its input as it came."""
    stack = Stack("w", 3, 3)
    sae = stack.sae(Affine(stack, ReLU()), Rows(stack), DeadGuess(stack, 1.0, 3))
    term = sae.loss_terms["aux"]
    with torch.no_grad():
        sae.W_enc.copy_(torch.eye(3))
        sae.W_dec.copy_(torch.eye(3))
        sae.b_enc.fill_(-9.0)
        sae.b_dec.copy_(torch.tensor([1.0, 2.0, 3.0]))
        term.silent.fill_(10)
        assert_close(term(sae.trace(torch.tensor([[1.5, 2.5, 4.0]]))), torch.tensor(0.0))


def test_the_golden_numbers():
    """Tutorial of the reference code; its sentinel is 1e4 in squares, 100 in norms."""
    tau = (ACTS @ W_DEC).norm(dim=1)
    assert_close(tau, torch.tensor([54.41, 15.00, 67.80]), atol=5e-3, rtol=0)
    contributions = ACTS * W_DEC.norm(dim=1)
    mask = norm_match(contributions, tau, sentinel=100.0)
    assert (ACTS * mask).tolist() == [[0, 4, 3], [0, 1, 1], [0, 10, 2]]
    assert norm_match(contributions, tau).sum(1).tolist() == [3, 3, 3]


@pytest.mark.parametrize("sentinel", [1e4, None])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_selection_is_the_reference(dtype, sentinel):
    a = torch.randn(500, 40, generator=rng, dtype=dtype).relu()
    rows = torch.randn(40, 8, generator=rng, dtype=dtype)
    size = (a * rows.norm(dim=-1)).norm(dim=-1)
    tau = size * torch.rand(500, generator=rng, dtype=dtype) * 1.2
    found = norm_match(a * rows.norm(dim=-1), tau, sentinel=sentinel)
    expected = reference(a, rows, tau, sentinel) & (a > 0)
    assert torch.equal(found, expected)
    assert 50 < int((found.sum(1) < (a > 0).sum(1)).sum()) < 500  # both kinds of row are there


def test_selection_by_the_slow_loop():
    a = torch.randint(0, 5, (300, 6), generator=rng).double()
    a[a.sum(1) == 0, 0] = 1.0
    tau = 6 * torch.rand(300, generator=rng, dtype=torch.float64)
    for row, goal, kept in zip(a.tolist(), tau.tolist(), norm_match(a, tau), strict=True):
        ordered = sorted(row, reverse=True)
        count = theory.nearest_prefix(theory.prefix_norms(ordered), goal)
        values = [v for v in ordered[:count] if v > 0]
        assert sorted((torch.tensor(row).double() * kept)[kept].tolist(), reverse=True) == values


def test_ties_keep_the_first_and_no_more():
    ones = torch.ones(1, 5)
    kept = norm_match(ones, torch.tensor([math.sqrt(3.0)]))
    assert kept.tolist() == [[True, True, True, False, False]]


@pytest.mark.parametrize(
    ("rule", "square", "count"),
    [
        ("norm", 10.95, 2),  # C_1 = 3, C_2 = 3.606: the midpoint squared is 10.908
        ("square", 10.95, 1),  # 9 and 13: below their midpoint 11
        ("square", 11.0, 1),  # a tie: the first
        ("norm", 11.0, 2),
        ("square", 11.05, 2),
        ("norm", 9.1, 1),
        ("reach", 9.1, 2),
        ("reach", 9.0, 1),
        ("reach", 99.0, 4),
        ("norm", 99.0, 4),
    ],
)
def test_rules_differ(rule, square, count):
    a, tau = torch.tensor([[3.0, 2, 1, 0.5]], dtype=torch.float64), torch.tensor([square], dtype=torch.float64).sqrt()
    assert int(norm_match(a, tau, rule=rule).sum()) == count


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_tie_in_squares_survives_rounding(dtype):
    a = torch.tensor([[3.0, 2, 1, 0.5]], dtype=dtype)
    assert int(norm_match(a, torch.tensor([11.0], dtype=dtype).sqrt(), rule="square").sum()) == 1


def test_least_and_most_bound_the_count():
    a = torch.tensor([[3.0, 2, 1, 0.5]] * 2)
    tau = torch.tensor([1.0, 99.0])
    assert norm_match(a, tau).sum(1).tolist() == [1, 4]
    assert norm_match(a, tau, least=0).sum(1).tolist() == [0, 4]
    assert norm_match(a, tau, most=2).sum(1).tolist() == [1, 2]
    assert norm_match(a, tau, least=3).sum(1).tolist() == [3, 4]
    assert norm_match(a, tau, least=torch.tensor([0, 2]), most=torch.tensor([4, 3])).sum(1).tolist() == [0, 3]


def test_the_sentinel_takes_the_place_of_the_whole():
    a, tau = torch.tensor([[3.0, 2, 1]]), torch.tensor([3.7])
    assert int(norm_match(a, tau).sum()) == 3
    assert int(norm_match(a, tau, sentinel=1e4).sum()) == 2


def test_silent_rows_keep_nothing():
    assert not norm_match(torch.zeros(2, 3), torch.tensor([0.0, 5.0])).any()


def test_half_precision_is_summed_in_single():
    a = torch.ones(1, 400, dtype=torch.bfloat16)
    assert int(norm_match(a, torch.tensor([math.sqrt(300.0)], dtype=torch.bfloat16)).sum()) == pytest.approx(300, abs=3)


# --- the variant -----------------------------------------------------------------------------------------------------


def test_forward_is_the_reference_on_a_stack():
    sae = W.create("top_afa", 8, 20, seed=[0, 1], afa=[0.0, 0.5]).eval()
    with torch.no_grad():
        sae.b_dec += 0.1 * torch.randn(sae.b_dec.shape, generator=rng)
    x = WORLD.sample(60, rng).x
    out = sae.trace(x)
    for i in range(2):
        centred = x - sae.b_dec[i]
        a = (centred @ sae.W_enc[i]).relu()
        f = a * reference(a, sae.W_dec[i], centred.norm(dim=1))
        assert_close(out.dense()[i], f)
        assert_close(out.x_hat[i], f @ sae.W_dec[i] + sae.b_dec[i])


def test_the_start_is_kaimings():
    sae = W.create("top_afa", 50, 200, seed=[3, 4])
    limit = math.sqrt(6 / 200)
    assert 0.99 * limit < float(sae.W_enc.detach().abs().max()) <= limit
    assert float(sae.W_enc.detach().std()) == pytest.approx(limit / math.sqrt(3), rel=0.02)
    assert_close(sae.W_dec, (sae.W_enc / sae.W_enc.norm(dim=-2, keepdim=True)).mT)
    assert not torch.equal(sae.W_enc[0], sae.W_enc[1])
    assert torch.equal(sae.W_enc[1], W.create("top_afa", 50, 200, seed=4).W_enc)
    tied = W.create("top_afa", 50, 200, init="tied")
    assert_close(tied.W_enc, tied.W_dec.mT)
    assert "b_enc" not in dict(sae.named_parameters())


def test_half_of_all_inputs_start_saturated():
    """AFA-15 at d = 64, m = 1024: the contributions' energy is |x|² on average."""
    sae = W.create("top_afa", 64, 1024)
    x = torch.randn(2000, 64, generator=rng)
    energy = ((x @ sae.W_enc).relu() * sae.W_dec.norm(dim=1)).square().sum(1) / x.square().sum(1)
    # rows of W_dec are unit: contributions are the pre-activations
    assert float(energy.mean().detach()) == pytest.approx(1.0, abs=0.05)
    assert 0.3 < float((energy < 1).double().mean()) < 0.7


def test_loss_terms_by_hand():
    sae = W.create("top_afa", 8, 20, afa=0.25, aux=0.5, aux_latents=2)
    x = WORLD.sample(30, rng).x
    out = sae.trace(x)
    terms = sae.loss(out)
    gap = out.dense().norm(dim=1) - x.norm(dim=1)
    assert_close(terms["afa"], 8 * 0.25 * gap.square().mean())
    assert_close(terms["mse"], (x - out.x_hat).square().sum(1).mean())
    assert "aux" not in terms
    sae.tensor("silent")[:10] = 4.0  # with this batch five, where they stay silent
    sae.tensor("silent")[10:12] = 3.0  # not yet dead
    sae.W_enc.data[:, :4] = 0.0  # some that do
    out = sae.trace(x)
    fires = (out.dense() > 0).any(0)
    dead = ~fires & (torch.arange(20) < 10)
    assert 4 <= int(dead.sum()) < 10
    a = torch.where(dead, out.evidence.relu(), 0.0)
    values, index = a.topk(2, dim=1)
    guess = torch.zeros_like(a).scatter(1, index, values) @ sae.W_dec
    assert_close(sae.loss(out)["aux"], 0.5 * (x - out.x_hat - guess).square().sum(1).mean())


def test_aux_leaves_members_without_dead_latents_alone():
    sae = W.create("top_afa", 8, 20, seed=[0, 1])
    sae.tensor("silent")[1, :3] = 9.0
    sae.W_enc.data[1, :, :3] = 0.0  # silent in this batch too
    x = WORLD.sample(30, rng).x
    aux = sae.loss(sae.trace(x))["aux"].detach()
    assert float(aux[0]) == 0.0
    assert float(aux[1]) > 0.0


def test_silent_batches_are_counted():
    sae = W.create("top_afa", 8, 20, seed=[0, 1]).train()
    with torch.no_grad():
        sae.W_enc[0, :, 7] = 0.0  # never fires
    for _ in range(3):
        sae.finish_step(sae.trace(WORLD.sample(64, rng).x))
    assert float(sae.tensor("silent")[0, 7]) == 3.0
    assert float(sae.tensor("silent")[1].min()) == 0.0


def test_no_gradient_goes_through_the_choice():
    """f's gradient reaches W_enc at kept entries alone; b_dec's comes through x_hat and through the kept entries."""
    sae = W.create("top_afa", 8, 20).double()
    x = WORLD.sample(40, rng).x.double()
    out = sae.trace(x)
    out.x_hat.sum().backward()
    kept = (out.dense() > 0).double()
    inner = sae.W_dec.sum(1) * kept
    assert_close(sae.W_enc.grad, (x - sae.b_dec).T @ inner)
    assert_close(sae.b_dec.grad, 40.0 - (inner @ sae.W_enc.T).sum(0))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rule": "nearest"}, r"top_afa\.rule must be one of \('norm', 'square', 'reach'\); got 'nearest': choose one"),
        ({"target": "x"}, r"top_afa\.target must be one of \('centred', 'raw'\)"),
        ({"init": "he"}, r"top_afa\.init must be one of"),
        ({"afa": -1.0}, r"top_afa\.afa must be at least 0; got -1\.0: raise it"),
        ({"least": 5, "most": 3}, r"top_afa\.least must be at most `most`, and that at most m=8; got 5: lower both"),
        ({"most": 9}, r"top_afa\.least must be at most `most`, and that at most m=8"),
        ({"sentinel": [True, False]}, r"top_afa\.sentinel must be the same for all members"),
    ],
)
def test_settings_are_checked(settings, message):
    with pytest.raises(ValueError, match=message):
        W.create("top_afa", 4, 8, **settings)


@pytest.mark.parametrize("name", ["lista", "omp", "matching_pursuit"])
def test_the_loops_aux_k_is_refused_without_evidence(name):
    config = W.TrainConfig(steps=2, batch=8, aux_k=4)
    with pytest.raises(ValueError, match=rf"TrainConfig\.aux_k must be 0 for {name}, whose encoder gives no .*drop it"):
        W.train(W.create(name, 8, 20), WORLD, config)


def test_options_reach_the_rule():
    x = WORLD.sample(200, rng).x
    counts = {}
    for name, own in {"plain": {}, "raw": {"target": "raw"}, "few": {"most": 3}, "none": {"least": 0}}.items():
        sae = W.create("top_afa", 8, 40, **own).eval()
        with torch.no_grad():
            sae.b_dec += 0.5
        counts[name] = (sae.trace(x).dense() > 0).sum(1)
    assert int(counts["few"].max()) == 3
    assert int(counts["none"].min()) <= int(counts["plain"].min())
    assert not torch.equal(counts["raw"], counts["plain"])


def test_selection_in_float64_is_that_of_a_double_sae():
    x = WORLD.sample(2000, rng).x
    single, precise = (W.create("top_afa", 8, 40, precise=p).eval() for p in (False, True))
    exact = W.create("top_afa", 8, 40).double().eval()
    chosen = precise.trace(x).dense() > 0
    agree = (chosen == (exact.trace(x.double()).dense() > 0)).all(1).double().mean()
    assert float(agree) > 0.999  # latents themselves stay float32
    assert precise.trace(x).dense().dtype == torch.float32
    assert torch.equal((single.trace(x).dense() > 0).sum(1) > 0, chosen.sum(1) > 0)


def test_it_reconstructs_easy_features_without_finding_them():
    """12 orthonormal features, one firing: law C9 of the contract, which does not apply to it."""
    easy = S.SparseMixture(n_true=12, d=12, directions=S.Orthonormal(), firing=S.ExactlyK(1))
    sae = W.create("top_afa", 12, 24, seed=[0, 1])
    W.train(sae, easy, W.TrainConfig(steps=800, batch=128))
    scores = W.evaluate(sae, easy, n=1000)
    assert scores["fvu"].max() < 1e-3
    assert scores["recall@.9"].max() < 1.0


def test_the_trivial_optimum_is_one():
    """AFA-16 on the shipped class, float32, scaled and stacked: no loss at all with [A, -A]."""
    sae = W.create("top_afa", 8, 16, seed=[0, 1]).eval()
    basis = S.Orthonormal().draw(8, 8, rng).float()
    with torch.no_grad():
        sae.W_enc.copy_(torch.cat((basis, -basis), 1).expand_as(sae.W_enc))
        sae.W_dec.copy_(sae.W_enc.mT)
    x = WORLD.sample(100, rng).x
    terms = sae.loss(sae.trace(x))
    assert float(sum(terms.values()).detach().max()) < 1e-8
