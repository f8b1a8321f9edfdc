"""Reports on concepts: regressions and refusals, probes, gauges, predictors, model files."""

import itertools
import json

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch.nn import functional as F
from toys import run

import synthetic as S
from workbench import __main__ as front
from workbench.topics.concepts import probes
from workbench.topics.concepts.diversity import conditions, distinct_contexts
from workbench.topics.concepts.gauge import align, differences, gauge
from workbench.topics.concepts.model_file import load_model
from workbench.topics.concepts.regression import NotIdentifiable, affine_fit, r_squared, unexplained
from workbench.topics.concepts.report import concept_report, residual_size
from workbench.topics.concepts.trained import PredictorConfig, train_predictor


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=S.stream(seed, "test"), dtype=torch.float64)


def model_of(tokens, contexts=None, prior=None, sizes=(2, 2), seed=0):
    settings = {"prior": prior or S.Potts(1.0), "contexts": contexts or S.Energy(40, 1.0)}
    return S.LatentConcepts(sizes=sizes, tokens=tokens, seed=seed, **settings).model


def test_r_squared_is_weighted_least_squares():
    x, y, w = normal(30, 3), normal(30, 2, seed=1), torch.rand(30, generator=S.stream(2, "test"), dtype=torch.float64)
    root = np.sqrt(w.numpy())[:, None]
    design = np.column_stack([x.numpy(), np.ones(30)])
    beta = np.linalg.lstsq(root * design, root * y.numpy(), rcond=None)[0]
    left = (root * (y.numpy() - design @ beta)) ** 2
    total = (root * (y.numpy() - np.average(y.numpy(), axis=0, weights=w.numpy()))) ** 2
    assert r_squared(x, y, w) == pytest.approx(1 - left.sum() / total.sum())
    np.testing.assert_allclose(unexplained(x, y, w), left.sum(0) / total.sum(0))
    a, b = affine_fit(x, y, w)
    np.testing.assert_allclose(np.vstack([a, b]), beta, atol=1e-12)


def test_too_few_contexts_are_refused():
    w = torch.ones(11, dtype=torch.float64)
    with pytest.raises(NotIdentifiable, match=r"at least 4 contexts for each of 3 regressors; got 11 contexts: add"):
        r_squared(normal(11, 3), normal(11, 1), w)
    assert float(unexplained(normal(4, 3), normal(4, 1, seed=1), w[:4])) < 1e-12  # any target fits
    with pytest.raises(ValueError, match=r"targets must be of some variance"):
        r_squared(normal(11, 1), torch.ones(11, 1, dtype=torch.float64), w)


EXACT = {
    S.JointRevealing(): "R² x ~ log p(c|s)",
    S.ConceptTyped(): "R² x ~ log p(c_k|s)",
    S.Homonyms(2, 2): "R² x ~ log p(E_y|s)",
}


@pytest.mark.parametrize("tokens", EXACT)
def test_each_regime_has_its_exact_form(tokens):
    report = concept_report(
        model_of(tokens, S.Energy(40, 2.0), sizes=(2, 2, 2) if isinstance(tokens, S.Homonyms) else (2, 2))
    )
    assert report[EXACT[tokens]] == pytest.approx(1, abs=1e-10)
    assert report["R² logits ~ x"] == pytest.approx(1, abs=1e-10)
    assert report["max |softmax(xU) - p(y|s)|"] < 1e-12
    if not isinstance(tokens, S.JointRevealing):
        assert report["R² x ~ log p(c|s)"] < 0.99
    else:
        assert report["R² log-odds ~ x"] == pytest.approx(1, abs=1e-10)
        assert report["R² log p(c|s) ~ x"] < 0.999  # the normaliser


def test_probes_of_a_report_beside_bayes():
    report = concept_report(model_of(S.ConceptTyped()))
    assert report["probe log-loss"] == pytest.approx(report["Bayes log-loss"], abs=1e-10)
    assert report["probe accuracy"] == pytest.approx(report["Bayes accuracy"])
    loose = concept_report(model_of(S.Generic(4), S.Energy(40, 3.0)))
    assert loose["probe log-loss"] > loose["Bayes log-loss"] + 1e-3


def test_a_report_refuses_number_by_number():
    three = S.ConceptModel((2, 2, 2), *_tables(30, 8))
    report = concept_report(three)
    with pytest.raises(NotIdentifiable, match=r"log p\(c\|s\) must be taken over at least 4 contexts for each of 8"):
        _ = report["R² x ~ log p(c|s)"]
    assert 0 < report["R² x ~ log p(c_k|s)"] <= 1
    assert not report.refused_all
    assert report.to_json()["numbers"]["R² x ~ log p(c|s)"] is None
    sharp = concept_report(model_of(S.Generic(5), S.Energy(40, 60.0)))
    with pytest.raises(NotIdentifiable, match=r"must have log p\(c\|s\) >= log 1e-12; got -"):
        _ = sharp["R² x ~ log p(c|s)"]
    assert 0 < sharp["R² x ~ p(c|s)"] <= 1


def _tables(contexts, cells, seed=0):
    log_joint = normal(contexts, cells, seed=seed)
    return log_joint - log_joint.logsumexp((0, 1)), normal(cells, 7, seed=seed + 1).softmax(1)


def test_copies_of_contexts_say_nothing_new():
    log_joint, tokens = _tables(8, 4)
    copied = S.ConceptModel((2, 2), torch.cat([log_joint] * 5) - np.log(5), tokens)
    assert copied.n_contexts == 40
    assert distinct_contexts(copied) == 8
    assert concept_report(copied).refused_all


def test_a_report_on_activations_of_ones_own():
    model = model_of(S.JointRevealing())
    exact = S.exact_activations(model)
    noisy = S.Readout(exact.x + 0.3 * normal(*exact.x.shape), exact.u)
    report = concept_report(model, noisy)
    assert 0.3 < report["R² x ~ log p(c|s)"] < 0.99
    assert report["max |softmax(xU) - p(y|s)|"] > 0.01
    with pytest.raises(ValueError, match=r"readout.x must be one row for each of 40 contexts; got 3"):
        concept_report(model, S.Readout(exact.x[:3], exact.u))


def test_conditions_name_what_is_met():
    met = {c.name: c.met for c in conditions(model_of(S.JointRevealing()))}
    assert not met["L invertible, l x l (as published)"]
    assert met["tokens tell configurations apart: rank L = l - 1"]
    assert not met["a token for each value c_k = v"]
    met = {c.name: c.met for c in conditions(model_of(S.ConceptTyped(), S.Energy(16, 40.0)))}
    assert met["a token for each value c_k = v"]
    assert not met["tokens tell configurations apart: rank L = l - 1"]
    assert not met["log p(c|s) at least log 1e-12"]
    assert differences(torch.eye(3).double()).tolist() == [[-1, -1], [1, 0], [0, 1]]


def test_the_size_of_the_residual_by_hand():
    model = model_of(S.JointRevealing())
    assert residual_size(model) == pytest.approx(0, abs=1e-12)


def test_logistic_fits_as_an_optimiser_does():
    x, w = normal(40, 2), torch.full((40,), 1 / 40, dtype=torch.float64)
    p = (x[:, 0] - 0.5 * x[:, 1] ** 2).sigmoid()

    def loss(beta):
        t = x.numpy() @ beta[:2] + beta[2]
        return float(np.mean(np.logaddexp(0, t) - p.numpy() * t) + 0.1 * (beta[:2] ** 2).sum() / 2)

    found = minimize(loss, np.zeros(3), tol=1e-12).x
    np.testing.assert_allclose(probes.logistic(x, p, w, ridge=0.1), found, atol=1e-5)
    stacked = probes.logistic(torch.stack((x, 2 * x + 3)), p, w)
    torch.testing.assert_close(probes.logits(x, stacked[0]), probes.logits(2 * x + 3, stacked[1]))
    dead = probes.logistic(torch.zeros(40, 1, dtype=torch.float64), p, w)
    torch.testing.assert_close(dead, torch.stack((torch.zeros(()), (w @ p / (1 - w @ p)).log())).double())


def test_scores_of_latents_by_counting_pairs():
    p, w = torch.tensor([0.9, 0.2, 0.5, 0.5]).double(), torch.tensor([0.1, 0.2, 0.3, 0.4]).double()
    f = torch.tensor([[3.0, 1.0, 2.0, 2.0]]).double().T
    ones, zeros = w * p, w * (1 - p)
    count = sum(
        ones[i] * zeros[j] * ((f[i] > f[j]) + (f[i] == f[j]) / 2) for i, j in itertools.product(range(4), repeat=2)
    )
    assert float(probes.auroc(f, p, w)) == pytest.approx(float(count / (ones.sum() * zeros.sum())))
    assert float(probes.accuracy(f[:, 0] - 1.5, p, w)) == pytest.approx(0.09 + 0.16 + 0.15 + 0.2)
    t = f[:, 0] - 2
    assert float(probes.log_loss(t, p, w)) == pytest.approx(
        float((w * F.binary_cross_entropy_with_logits(t, p, reduction="none")).sum())
    )
    wanted = np.corrcoef(np.repeat(f[:, 0], [1, 2, 3, 4]), np.repeat(p, [1, 2, 3, 4]))[0, 1]
    assert float(probes.correlation(f, p[:, None], w)) == pytest.approx(wanted)
    assert float(probes.correlation(torch.ones(4, 1).double(), p[:, None], w)) == 0


def test_the_log_odds_are_the_best_latent():
    model = model_of(S.ConceptTyped())
    found, best = probes.best_latents(model, torch.cat((model.log_odds, normal(40, 3)), 1)), probes.bayes(model)
    np.testing.assert_allclose(found.log_loss, best.log_loss, atol=1e-10)
    np.testing.assert_allclose(found.correlation, 1)
    np.testing.assert_allclose(found.auroc, best.auroc)
    weak = probes.best_latents(model, normal(40, 3))
    assert all(a > b for a, b in zip(weak.log_loss, best.log_loss, strict=True))
    assert max(weak.correlation) < 0.9


def test_gauges_are_found_and_refused():
    model = model_of(S.ConceptTyped())
    one, other = (S.exact_activations(model, S.stream(seed, "gauge")) for seed in (0, 1))
    found = align(one, other, model.weights)
    assert found.error < 1e-8
    assert found.forward == pytest.approx(1, abs=1e-10)
    assert found.backward == pytest.approx(1, abs=1e-10)
    wide = torch.cat((one.u, torch.zeros(4, 1).double()), 1)
    with pytest.raises(
        NotIdentifiable, match=r"first model's unembeddings must have differences of rank d=4; got rank 3"
    ):
        gauge(wide, other.u)


def test_a_trained_predictor_reaches_the_exact_optimum():
    model = model_of(S.JointRevealing(), S.Energy(20, 1.0))
    readout, loss = train_predictor(model, PredictorConfig(d=3, adam=1500, polish=400))
    assert loss < 1e-7
    assert r_squared(model.log_posterior, readout.x, model.weights) > 0.9999
    again, _ = train_predictor(model, PredictorConfig(d=3, adam=3, polish=1), seed=0)
    same, _ = train_predictor(model, PredictorConfig(d=3, adam=3, polish=1), seed=0)
    assert torch.equal(again.x, same.x)
    with pytest.raises(ValueError, match=r"PredictorConfig.d must be at least 1; got 0: raise it"):
        PredictorConfig(d=0)


def test_the_example_file_gives_numbers(monkeypatch, capsys):
    code, said = run(monkeypatch, capsys, front, "identify", "docs/concepts.json", "--json")
    assert code == 0
    numbers = json.loads(said)["numbers"]
    assert numbers["R² x ~ log p(c_k|s)"] == pytest.approx(1, abs=1e-10)
    code, said = run(monkeypatch, capsys, front, "identify", "docs/concepts.json")
    assert code == 0
    assert "R² x ~ log p(c|s)" in said


GOOD = {"sizes": [2], "prior": [0.5, 0.5], "contexts": [[0.5, 0.5], [0.3, 0.7]], "tokens": [[1, 0, 0], [0, 1, 0]]}
WRONG = {
    "model.json must be a JSON object; got []: see docs/concepts.json": [],
    "model: prior must be a list, each entry a finite number; got none: see": {"sizes": [2]},
    "perhaps you meant 'sizes'": {"sise": [2]},
    "model: sizes must be a list, each entry a whole number of at least 2; got [2.5]": GOOD | {"sizes": [2.5]},
    "concepts.sizes must be values of each concept": GOOD | {"sizes": [2] * 13},
    "model.prior must be numbers of shape (2,); got (3,)": GOOD | {"prior": [0.2, 0.3, 0.5]},
    "model: prior must be a list, each entry a finite number; got ['a', 'b']": GOOD | {"prior": ["a", "b"]},
    "model.prior must be probabilities with sum 1 in each row; got a sum off by 0.1": GOOD | {"prior": [0.5, 0.6]},
    "model.prior must be at least 0; got -0.5": GOOD | {"prior": [1.5, -0.5]},
    "model.prior and contexts must be above 0; got 1 zeros": GOOD | {"prior": [1, 0]},
    "model.tokens must be numbers of shape (2, tokens); got rows of lengths [1, 2]": GOOD | {"tokens": [[1], [0, 1]]},
    "model.activations must be given with unembedding": GOOD | {"activations": [[1], [2]]},
    "model.activations must be numbers of shape (2, d); got (1, 1)": GOOD
    | {"activations": [[1]], "unembedding": [[1]] * 3},
    "model.unembedding must be numbers of shape (3, 1)": GOOD | {"activations": [[1], [2]], "unembedding": [[1]]},
    "nothing can be said of linearity": GOOD,
}


@pytest.mark.parametrize("message", WRONG)
def test_files_that_are_no_model_are_refused(monkeypatch, capsys, tmp_path, message):
    path = tmp_path / "model.json"
    path.write_text(json.dumps(WRONG[message]))
    code, said = run(monkeypatch, capsys, front, "identify", path)
    assert code == 2
    assert message in said


def test_files_that_cannot_be_read_are_refused(monkeypatch, capsys, tmp_path):
    code, said = run(monkeypatch, capsys, front, "identify", tmp_path / "none.json")
    assert code == 2
    assert "none.json" in said
    (tmp_path / "half.json").write_text('{"sizes": [2')
    code, said = run(monkeypatch, capsys, front, "identify", tmp_path / "half.json")
    assert code == 2
    assert "half.json" in said


def test_activations_of_a_file_are_taken(tmp_path):
    path = tmp_path / "model.json"
    path.write_text(json.dumps(GOOD | {"activations": [[1.0], [2.0]], "unembedding": [[1.0], [0.0], [5.0]]}))
    model, readout = load_model(path)
    assert model.n_tokens == 2  # a token that never comes is dropped
    assert readout.u.tolist() == [[1.0], [0.0]]
    assert readout.x.tolist() == [[1.0], [2.0]]
