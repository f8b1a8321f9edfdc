"""Latent concept models: numbers worked by hand, each law of priors, contexts and tokens, and worlds made of them."""

import itertools
import math

import pytest
import torch

import synthetic as S
from synthetic.concepts.activations import centred
from synthetic.concepts.model import configurations
from synthetic.concepts.priors import UNIFORM, dirichlet
from synthetic.folder import load_world, save_world

SIZES = (2, 2)
PRIOR = [0.4, 0.1, 0.2, 0.3]
CONTEXTS = [[0.4, 0.3, 0.1, 0.1, 0.1], [0.1, 0.4, 0.3, 0.1, 0.1], [0.1, 0.1, 0.4, 0.3, 0.1], [0.1, 0.1, 0.1, 0.3, 0.4]]


def tensor(values):
    return torch.tensor(values, dtype=torch.float64)


def close(got, wanted, tol=1e-6):
    torch.testing.assert_close(got, tensor(wanted), rtol=0, atol=tol)


def by_hand(tokens):
    return S.ConceptModel.of(SIZES, tensor(PRIOR).log(), tensor(CONTEXTS).log(), tokens)


def drawn(tokens, sizes=SIZES, seed=0):
    return tokens.draw(sizes, S.stream(seed, "test"))


def test_posteriors_and_predictions_by_hand():
    model = by_hand(drawn(S.ConceptTyped()))
    close(model.weights, [0.22, 0.21, 0.18, 0.20, 0.19])
    close(model.log_posterior[0].exp(), [0.727273, 0.045455, 0.090909, 0.136364])
    close(model.log_next[0], [-0.950976, -2.174752, -0.893818, -2.397895])
    close(model.log_odds[0], [-1.223775, -1.504077])
    assert model.values == [(0, 0), (0, 1), (1, 0), (1, 1)]
    close(model.log_prior.exp(), PRIOR)
    difference = model.token_posterior[1:] - model.token_posterior[0]
    close(torch.linalg.svdvals(difference.T), [1.521719, 0.508192, 0.0])
    torch.testing.assert_close(model.log_events, model.log_marginals)


def test_the_identity_of_prediction_by_hand():
    share = tensor([0.5, 0.2, 0.1, 0.3])
    model = by_hand(torch.stack((share, 1 - share), 1))
    w = model.token_posterior[0]
    linear, entropy = w @ model.log_posterior[0], -(w * w.log()).sum()
    close(linear, -1.069055)
    close((w * share.log()).sum() + entropy, 0.012114)
    close(-entropy - model.residual[0, 0], 0.195914)
    close(model.log_next[0, 0], -0.861028)
    torch.testing.assert_close(model.log_posterior_given(0).logsumexp(1), torch.zeros(5, dtype=torch.float64))


def test_ambiguities_by_hand():
    model = by_hand(drawn(S.JointRevealing()))
    assert model.ambiguity == pytest.approx(0, abs=1e-12)
    assert model.token_ambiguity == pytest.approx(0, abs=1e-12)
    blind = by_hand(torch.full((4, 2), 0.5, dtype=torch.float64))
    assert blind.token_ambiguity == pytest.approx(1 - 0.4)
    joint = tensor(PRIOR)[:, None] * tensor(CONTEXTS)
    assert blind.ambiguity == pytest.approx(1 - float(joint.amax(0).sum()))


PRIORS = (S.ErDag(1.0), S.Potts(1.0), S.IndependentPrior(), S.TreePrior())


@pytest.mark.parametrize("prior", PRIORS)
def test_priors_are_finite_laws(prior):
    log_p = prior.draw((3, 2, 2), S.stream(0, "test"))
    assert log_p.shape == (12,)
    assert log_p.isfinite().all()
    assert float(log_p.exp().sum()) == pytest.approx(1)


def product_of_marginals(p, sizes):
    table = p.reshape(sizes)
    whole = torch.ones_like(table)
    for k in range(len(sizes)):
        others = [i for i in range(len(sizes)) if i != k]
        whole = whole * table.sum(others, keepdim=True)
    return whole.flatten()


@pytest.mark.parametrize("prior", [S.IndependentPrior(), S.ErDag(0.0), S.Potts(0.0)])
def test_priors_without_edges_are_products(prior):
    p = prior.draw((3, 2, 2), S.stream(1, "test")).exp()
    if not isinstance(prior, S.IndependentPrior):
        p = (p - UNIFORM / 12) / (1 - UNIFORM)
    torch.testing.assert_close(p, product_of_marginals(p, (3, 2, 2)))


def test_edges_make_concepts_depend():
    for prior in (S.ErDag(2.0), S.Potts(2.0)):
        p = prior.draw((2, 2), S.stream(0, "test")).exp()
        assert float((p - product_of_marginals(p, (2, 2))).abs().max()) > 0.01


def test_a_tree_forbids_children_without_their_parent():
    p = S.TreePrior().draw((2, 2, 2), S.stream(0, "test")).exp()
    c = configurations((2, 2, 2))
    forbidden = (c[:, 0] == 0) & (c[:, 1:].amax(1) > 0)
    close(p[forbidden], [UNIFORM / 8] * 3, 1e-12)
    assert float(p[~forbidden].min()) > UNIFORM / 8


def test_uniform_potts():
    close(S.Potts(0.0, 0.0).draw((2, 2), S.stream(0, "test")).exp(), [0.25] * 4)


def test_dirichlet_rows_have_its_moments():
    rows = dirichlet((20_000, 3), 0.5, S.stream(0, "test"))
    close(rows.sum(1).amax(), 1.0)
    close(rows.mean(0), [1 / 3] * 3, 0.01)
    close(rows.var(0), [(1 / 3) * (2 / 3) / 2.5] * 3, 0.005)


@pytest.mark.parametrize(
    "contexts", [S.Table(20), S.Observations(3, 4), S.Energy(20, 2.0), S.Energy(20, 2.0, factorised=True)]
)
def test_contexts_are_laws_with_the_count_they_say(contexts):
    log_prior = tensor(PRIOR).log()
    log_joint = contexts.draw(SIZES, log_prior, S.stream(0, "test"))
    assert log_joint.shape == (contexts.count, 4)
    assert float(log_joint.exp().sum()) == pytest.approx(1)
    if not isinstance(contexts, S.Energy):
        torch.testing.assert_close(log_joint.logsumexp(0), log_prior)
    else:
        torch.testing.assert_close(log_joint.logsumexp(1), torch.full((20,), -math.log(20), dtype=torch.float64))


def test_observations_are_sequences_counted():
    contexts, log_prior = S.Observations(3, 3), tensor(PRIOR).log()
    log_joint = contexts.draw(SIZES, log_prior, S.stream(0, "test"))
    single = S.Observations(1, 3).draw(SIZES, log_prior, S.stream(0, "test"))  # the same emissions
    emission = {tuple(row): e for row, e in zip(torch.eye(3).long().tolist(), (single - log_prior).exp(), strict=True)}
    each = list(emission.values())
    order = sorted({tuple(sorted(s)) for s in itertools.product(range(3), repeat=3)})
    whole = {key: sum(math.prod(each[i] for i in s) for s in set(itertools.permutations(key))) for key in order}
    found = torch.stack(list(whole.values())) * log_prior.exp()
    torch.testing.assert_close(log_joint.exp().sort(0).values, found.sort(0).values)


def test_factorised_contexts_leave_products_products():
    prior = S.IndependentPrior().draw((2, 3), S.stream(0, "test"))
    for factorised in (True, False):
        log_joint = S.Energy(6, 2.0, factorised).draw((2, 3), prior, S.stream(0, "test"))
        off = max(float((p - product_of_marginals(p, (2, 3))).abs().max()) for p in log_joint.softmax(1))
        assert (off < 1e-12) == factorised


def test_tokens_keep_their_definitions():
    close(drawn(S.JointRevealing()), torch.eye(4).tolist())
    double = drawn(S.JointRevealing(2))
    assert ((double > 0).sum(0) == 1).all()
    close(
        drawn(S.ConceptTyped((1.0, 3.0))),
        [[0.25, 0, 0.75, 0], [0.25, 0, 0, 0.75], [0, 0.25, 0.75, 0], [0, 0.25, 0, 0.75]],
    )
    assert drawn(S.ConceptTyped((1.0, 0.0))).shape == (4, 2)
    homonyms = drawn(S.Homonyms(3, 2), (2, 2, 2))
    assert ((homonyms > 0).sum(0) == 2).all()
    assert torch.equal(homonyms.where(homonyms > 0, torch.inf).amin(0), homonyms.amax(0))
    weak, weaker = drawn(S.Weak(0.5, 6)), drawn(S.Weak(0.25, 6))
    q = 2 * weaker - weak
    torch.testing.assert_close((weak / q - 1).abs().max(), tensor(0.5))
    torch.testing.assert_close(weak - q, 2 * (weaker - q))
    leak = drawn(S.Leak(0.2))
    assert (leak.diagonal() >= 0.8).all()
    assert (leak > 0).all()
    for law in (S.Generic(5), S.Weak(), S.Homonyms(), S.Leak(0.1), S.JointRevealing(3)):
        close(drawn(law).sum(1), [1.0] * 4, 1e-12)


@pytest.mark.parametrize("tokens", [S.ConceptTyped(), S.Generic(9), S.JointRevealing(2)])
def test_exact_activations_predict_exactly_in_any_gauge(tokens):
    model = S.LatentConcepts(contexts=S.Energy(60, 1.0), tokens=tokens).model
    plain, turned = S.exact_activations(model), S.exact_activations(model, S.stream(0, "gauge"))
    for readout in (plain, turned):
        torch.testing.assert_close(readout.logits.log_softmax(1), model.log_next, atol=1e-9, rtol=0)
        torch.testing.assert_close(readout.logits, centred(model.log_next), atol=1e-9, rtol=0)
    assert plain.x.shape == turned.x.shape
    assert float((plain.x - turned.x).abs().max()) > 0.1
    assert plain.x.shape[1] == {S.ConceptTyped: 5, S.Generic: 8, S.JointRevealing: 8}[type(tokens)]


def test_streams_of_prior_contexts_and_tokens_are_apart():
    one = S.LatentConcepts(contexts=S.Energy(40, 1.0))
    other = S.LatentConcepts(contexts=S.Energy(40, 1.0), tokens=S.ConceptTyped((1.0, 2.0, 3.0)))
    assert torch.equal(one.model.log_joint, other.model.log_joint)
    assert not torch.equal(one.model.log_joint, S.LatentConcepts(contexts=S.Energy(40, 1.0), seed=1).model.log_joint)


@pytest.mark.parametrize("form", ["softplus", "logit", "surprisal", "prob", "exact"])
def test_worlds_are_their_tables(form, tmp_path):
    concepts = S.LatentConcepts(prior=S.Potts(1.0), contexts=S.Energy(60, 1.0))
    world = S.ConceptWorld(concepts=concepts, form=form)
    truth, batch = world.truth, world.sample(40_000, S.stream(0, "test"))
    h = batch.h.dense()
    torch.testing.assert_close(batch.x, h @ truth.features, atol=1e-4, rtol=0)
    assert truth.n_true == {"softplus": 3, "logit": 3}.get(form, 6)
    assert world.d == {"exact": 5}.get(form, truth.n_true)
    spread = truth.covariance.diagonal().sqrt()
    error = (batch.x.double().mean(0) - truth.mean).abs() / spread
    assert float(error.max()) < 5 / 200  # standard errors
    scale = torch.outer(spread, spread)
    assert float(((torch.cov(batch.x.double().T) - truth.covariance) / scale).abs().max()) < 0.05
    torch.testing.assert_close(truth.cofiring(torch.arange(2)).diagonal(), truth.rates[:2])
    assert float((h >= 0).double().mean()) == 1
    again = load_world(save_world(world, tmp_path / "world"))
    assert torch.equal(again.sample(50, S.stream(1, "test")).x, world.sample(50, S.stream(1, "test")).x)
    assert torch.equal(again.model.log_joint, world.model.log_joint)


def test_forms_of_coefficients_by_hand():
    concepts = S.LatentConcepts(contexts=S.Energy(60, 1.0))
    odds, marginals = concepts.model.log_odds, concepts.model.log_marginals

    def h(form):
        return S.ConceptWorld(concepts=concepts, form=form).coefficients.double()

    torch.testing.assert_close(h("softplus"), -marginals[:, ::2], atol=1e-6, rtol=0)  # -log p(c_k = 0)
    torch.testing.assert_close(h("logit"), odds - odds.amin(0), atol=1e-5, rtol=0)
    torch.testing.assert_close(h("surprisal"), -marginals, atol=1e-6, rtol=0)
    torch.testing.assert_close(h("prob"), marginals.exp(), atol=1e-6, rtol=0)


def test_the_exact_form_is_a_perfect_predictor():
    world = S.ConceptWorld(concepts=S.LatentConcepts(contexts=S.Energy(60, 1.0)), form="exact")
    x, exact = world.activations.double(), S.exact_activations(world.model).x
    off = (x - x.mean(0)) - (exact - exact.mean(0))
    assert float(off.abs().max()) < 1e-4
