"""PolySAE: its polynomial by differences of `decode`, its frame, its start, and what it owes the training loop."""

import pytest
import torch
from torch.testing import assert_close

import synthetic as S
import workbench as W
from workbench import kernels
from workbench.parts.objectives import aux_k_loss
from workbench.parts.polynomial import coefficients, orthonormal, power_terms
from workbench.training.ceiling import oracle

D, M = 7, 11
ALL = ("full", "pure", "self")
WORLD = S.SparseMixture(n_true=10, d=D)


def rng(name="0"):
    return S.stream(0, f"tests/polysae/{name}")


def made(terms="full", *, scale=1.7, seed=0, **settings):
    """Away from the start, in float64."""
    ranks = {"rank2": 3, "rank3": 2, "k": 4} | settings
    sae = W.create("polysae", D, M, terms=terms, seed=seed, **ranks).double().eval()
    with torch.no_grad():
        for p in (sae.tensor("C2"), sae.tensor("C3"), sae.b_dec):
            if p is not None:
                p.copy_(torch.randn(p.shape, generator=rng(), dtype=torch.float64))
        sae.scale.fill_(scale)
    return sae


@pytest.mark.parametrize("terms", ALL)
@pytest.mark.parametrize("q", [2, 3])
def test_powers_hold_the_monomials_they_should(terms, q):
    """By summing over all index tuples."""
    f, U = (
        torch.rand(5, 4, generator=rng(), dtype=torch.float64),
        torch.randn(4, 3, generator=rng(), dtype=torch.float64),
    )
    expected = torch.zeros(5, 3, dtype=torch.float64)
    for index in torch.cartesian_prod(*[torch.arange(4)] * q):
        different = len(set(index.tolist()))
        if terms == "full" or different == {"pure": q, "self": 1}[terms]:
            expected += torch.stack([f[:, i, None] * U[i] for i in index]).prod(0)
    assert_close(power_terms(f, U, q, terms), expected)
    indices = torch.arange(4).expand(5, 4)
    with kernels.using(sparse=True):
        assert_close(power_terms(W.sae.Codes(indices, f, 4), U, q, terms), expected)


@pytest.mark.parametrize("terms", ALL)
def test_interactions_are_the_mixed_differences_of_decode(terms):
    """Finite differences of a polynomial of degree 3 are exact: each coefficient, in raw units."""
    sae = made(terms)
    base = sae.decode(torch.zeros(1, M, dtype=torch.float64))

    def at(**f):
        row = torch.zeros(1, M, dtype=torch.float64)
        for i, value in f.items():
            row[0, int(i[1:])] = value
        return (sae.decode(row) - base)[0]

    def triple(a, b, c):  # d^3 / df_1 df_5 df_9 by differences, then the pair's
        return at(_1=a, _5=b, _9=c)

    mixed = triple(1, 1, 1) - triple(1, 1, 0) - triple(1, 0, 1) - triple(0, 1, 1)
    mixed += triple(1, 0, 0) + triple(0, 1, 0) + triple(0, 0, 1)
    h = 1e-3
    pair = (triple(h, h, 0) - triple(h, -h, 0) - triple(-h, h, 0) + triple(-h, -h, 0)) / (4 * h * h)
    found = sae.interactions(torch.tensor([[1, 5, 9], [1, 5, -1], [5, 1, -1], [-1, 5, 1], [5, 5, -1]])).detach()
    assert_close(found[0], mixed.detach())
    assert_close(found[1], pair.detach(), rtol=1e-6, atol=1e-6)
    assert torch.equal(found[1], found[2])
    assert torch.equal(found[1], found[3])
    square = (at(_5=h) + at(_5=-h)) / (2 * h * h)
    assert_close(found[4], square.detach(), rtol=1e-6, atol=1e-6)
    assert bool((found[:2] == 0).all()) is (terms == "self")
    assert bool((found[4] == 0).all()) is (terms == "pure")


def test_coefficients_count_repeated_latents():
    U, C = torch.ones(3, 1), torch.ones(1, 1)
    members = torch.tensor([[0, 1, 2], [0, 0, 2], [2, 0, 2], [1, 1, 1], [0, 1, -1]])
    found = {terms: coefficients(members, U, C, 3, terms).squeeze(1).tolist() for terms in ALL}
    assert found == {"full": [6, 3, 3, 1, 0], "pure": [6, 0, 0, 0, 0], "self": [0, 0, 0, 1, 0]}


@pytest.mark.parametrize("terms", ALL)
def test_a_lone_latent_is_a_ray_only_without_its_own_powers(terms):
    sae = made(terms)
    f = torch.zeros(3, M, dtype=torch.float64)
    f[:, 2] = torch.tensor([0.0, 1.0, 2.0])
    start, once, twice = sae.decode(f)
    assert torch.allclose(twice - start, 2 * (once - start)) is (terms == "pure")
    if terms == "pure":
        assert_close(once - start, sae.W_dec[2])


@pytest.mark.parametrize("seed", [0, [0, 4]])
@pytest.mark.parametrize("terms", ALL)
def test_decode_undoes_encode_whatever_the_scale(terms, seed):
    sae = made(terms, seed=seed)
    x = torch.randn(6, D, generator=rng("x"), dtype=torch.float64)
    assert_close(sae.decode(sae.encode(x)), sae(x))
    whole = made(terms, seed=seed, scale=1.0)
    assert_close(sae(x), whole(1.7 * x) / 1.7)
    assert not torch.allclose(sae(x), whole(x))


@pytest.mark.parametrize("terms", ALL)
@pytest.mark.parametrize("stack", [0, [3, 4]])
def test_wide_codes_decode_as_dense_ones_do_with_their_gradients(terms, stack):
    sae = made(terms, seed=stack).train()
    x = torch.randn(9, D, generator=rng("x"), dtype=torch.float64)
    found = []
    for sparse in (True, False):
        sae.zero_grad(set_to_none=True)
        with kernels.using(sparse=sparse):
            sae.trace(x).x_hat.square().sum().backward()
        found.append([p.grad for p in sae.parameters()])
    assert_close(*found)


def test_it_starts_as_topk_does_and_stays_so_without_powers():
    """The seed's rows, factored; ranks 0 leave a linear decoder."""
    x = torch.randn(20, D, generator=rng("x"))
    topk = W.create("topk", D, M, k=3)
    for settings in ({}, {"rank2": 0}, {"rank2": 3, "rank3": 3}):
        sae = W.create("polysae", D, M, k=3, **settings)
        assert_close(sae.W_dec, topk.W_dec)
        assert_close(sae(x), topk(x))
    low = W.create("polysae", D, M, rank1=2)
    assert torch.linalg.matrix_rank(low.W_dec) == 2


def test_the_frame_is_qr_with_a_positive_diagonal():
    U = torch.randn(3, 9, 4, generator=rng(), dtype=torch.float64)
    for own in (U, torch.linalg.qr(U).Q + 0.01 * torch.randn(U.shape, generator=rng(), dtype=torch.float64)):
        Q, R = torch.linalg.qr(own)
        expected = Q * R.diagonal(dim1=-2, dim2=-1).sign()[:, None]
        assert_close(orthonormal(own), expected)
    crooked = U.clone()
    crooked[1, :, 3] = crooked[1, :, 0]  # no rank 4: Cholesky fails
    Q = orthonormal(crooked)
    assert_close(Q.mT @ Q, torch.eye(4, dtype=torch.float64).expand(3, 4, 4))
    R = Q.mT @ crooked
    assert_close(R, R.triu())
    assert bool((R.diagonal(dim1=-2, dim2=-1) > -1e-12).all())


@pytest.mark.parametrize("seed", [0, [0, 1]])
def test_training_keeps_the_frame_revives_and_resamples(seed):
    sae = W.create("polysae", D, 24, seed=seed, k=2, rank2=4, rank3=2)
    config = W.TrainConfig(steps=30, batch=32, lr=1e-2, dead_after=2, aux_k=4, resample_every=10)
    W.train(sae, WORLD, config)
    eye = torch.eye(D).expand(*sae.shape, D, D)
    assert_close(sae.tensor("U").mT @ sae.tensor("U"), eye, atol=1e-5, rtol=0)
    assert bool((sae.tensor("C2") != 0).any())
    assert bool((sae.tensor("C3") != 0).any())


def test_aux_k_explains_the_residual_by_the_polynomial_without_its_bias():
    sae = made(k=1).train()
    x = torch.randn(8, D, generator=rng("x"), dtype=torch.float64)
    out = sae.trace(x)
    dead = torch.zeros(M, dtype=torch.bool)
    dead[[2, 5, 8]] = True
    f = torch.where(dead, out.evidence, -torch.inf).topk(2)
    f = torch.zeros(8, M, dtype=torch.float64).scatter(1, f.indices, f.values.relu())
    expected = (x - out.x_hat - (sae.decode(f / sae.scale) * sae.scale - sae.b_dec)).square().sum(1).mean()
    assert_close(aux_k_loss(out, dead, 2), expected)


def test_the_oracle_holds_the_truth_and_learns_the_rest():
    sae = oracle("polysae", WORLD, k=2)
    assert_close(sae.W_dec, WORLD.truth.features)
    assert set(sae.frozen) == {"C1", "b_dec"}
    frame = sae.tensor("U").detach().clone()
    W.train(sae, WORLD, W.TrainConfig(steps=30, batch=8, normalise=False))
    assert_close(sae.W_dec, WORLD.truth.features, atol=1e-5, rtol=0)
    assert_close(sae.tensor("U").mT @ sae.tensor("U"), torch.eye(sae.tensor("U").shape[1]), atol=1e-5, rtol=0)
    assert bool((sae.tensor("C2") != 0).any())
    assert float((sae.tensor("U") - frame).detach().abs().max()) > 0.01


def test_the_oracle_of_more_features_than_dimensions_holds_the_truth_too():
    world = S.SparseMixture(n_true=12, d=5, firing=S.ExactlyK(2))
    sae = oracle("polysae", world, k=2)
    W.train(sae, world, W.TrainConfig(steps=10, batch=8, lr=1e-2, normalise=False))
    assert_close(sae.W_dec, world.truth.features, atol=1e-5, rtol=0)


@pytest.mark.parametrize("settings", [{"k": 0}, {"rank2": -1}, {"rank1": [2, 3]}, {"rank2": [1, 2]}, {"rank1": -1}])
def test_what_cannot_be_is_refused(settings):
    with pytest.raises(ValueError, match=r"polysae\.(k|rank[123]) must be"):
        W.create("polysae", D, M, **settings)
