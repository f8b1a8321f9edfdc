"""Our saelens_* metrics equal SAELens's own functions on the same features, codes, rows and latents."""

import json

import pytest
import torch
from make_saelens_golden import CASES, METRICS, inputs, measure, sums

import workbench as W
from synthetic.source import Batch, Codes, GroundTruth
from workbench.parts import Coded, Encoder, Rows, SquaredError
from workbench.sae import Stack

GOLDEN = json.loads(METRICS.read_text())


class Replay:
    """A world that hands out the rows of a table in order."""

    def __init__(self, x, h, features):
        self.x, self.h, self.at = x, h, 0
        rates = (h != 0).double().mean(0)
        self.truth = GroundTruth(
            features=features,
            bias=torch.zeros(features.shape[1]),
            rates=rates,
            requested_rates=rates,
            rates_error=0.0,
            mean_h=h.double().mean(0),
            mean=x.double().mean(0),
            covariance=None,
            cofiring=None,
            parents=torch.full((len(features),), -1),
            symmetries=("permutation",),
        )

    @property
    def d(self):
        return self.x.shape[1]

    def sample(self, n, rng):
        rows = slice(self.at, self.at + n)
        self.at += n
        return Batch(self.x[rows], Codes(torch.arange(self.h.shape[1]).expand(n, -1), self.h[rows], self.h.shape[1]))


class Read(Encoder):
    """Hands out given latents in order."""

    def __init__(self, latents):
        super().__init__()
        self.latents, self.at = latents, 0

    def forward(self, x, decoder):
        rows = slice(self.at, self.at + len(x))
        self.at += len(x)
        return Coded(self.latents[rows], None, x)


def table(decoder, b_dec, latents, scale):
    """An SAE with given rows and latents, in its own units where x is scaled."""
    stack = Stack("table", decoder.shape[1], decoder.shape[0])
    sae = stack.sae(Read(latents * scale), Rows(stack, start=decoder), SquaredError())
    sae.b_dec.data = b_dec * scale
    sae.scale.fill_(scale)
    return sae


@pytest.mark.parametrize("scale", [1.0, 2.5])
@pytest.mark.parametrize("case", sorted(CASES))
def test_metrics_equal_saelens(case, scale):
    golden, t = GOLDEN["cases"][case], inputs(case)
    assert sums(t) == pytest.approx(golden["sums"], rel=1e-6), "numpy draws other inputs: run make_saelens_golden.py"
    sae = table(t["decoder"], t["b_dec"], t["latents"], scale)
    found = W.evaluate(sae, Replay(t["x"], t["h"], t["features"]), n=len(t["x"]))
    for name, expected in golden["metrics"].items():
        assert found[name] == pytest.approx(expected, abs=1e-6), name


def test_the_cases_differ_where_definitions_could():
    """Dead latents, copies, negative R^2 and imperfect scores all occur, so a constant cannot pass."""
    metrics = {case: golden["metrics"] for case, golden in GOLDEN["cases"].items()}
    assert metrics["copies"]["saelens_dead_latents"] == 4
    assert metrics["copies"]["saelens_uniqueness"] < 0.3 < metrics["copies"]["saelens_f1"]
    assert metrics["random"]["saelens_explained_variance"] < 0 < metrics["trained"]["saelens_explained_variance"] < 0.9
    for name in ("saelens_mcc", "saelens_precision", "saelens_recall", "saelens_f1", "saelens_accuracy"):
        assert len({round(m[name], 3) for m in metrics.values()}) >= 3, name


@pytest.mark.parametrize("case", sorted(CASES))
def test_the_stored_numbers_are_those_of_the_installed_saelens(case):
    pytest.importorskip("sae_lens", reason="compares with SAELens itself: pip install sae-lens")
    assert measure(inputs(case)) == pytest.approx(GOLDEN["cases"][case]["metrics"], abs=1e-9)
