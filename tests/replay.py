"""SAEs and worlds that are tables: what metrics make of latents and coefficients written by hand."""

import pytest
import torch

import workbench as W
from synthetic.source import Batch, Codes, GroundTruth
from workbench.parts import Coded, Encoder, Rows, SquaredError
from workbench.sae import Stack


class Replay:
    """A world that replays a table of coefficients, once a call."""

    def __init__(self, h, features=None, *, rates=None, parents=None, symmetries=("permutation",), **structure):
        self.h = torch.tensor(h, dtype=torch.float32)
        n_true = self.h.shape[1]
        self.features = torch.eye(n_true) if features is None else torch.tensor(features, dtype=torch.float32)
        fired = (self.h != 0).double().mean(0)
        self.truth = GroundTruth(
            features=self.features,
            bias=torch.zeros(self.d),
            rates=fired if rates is None else torch.tensor(rates, dtype=torch.float64),
            requested_rates=fired,
            rates_error=0.0,
            mean_h=self.h.double().mean(0),
            mean=(self.h @ self.features).double().mean(0),
            covariance=None,
            cofiring=None,
            parents=torch.full((n_true,), -1) if parents is None else torch.tensor(parents),
            symmetries=symmetries,
            **structure,
        )

    @property
    def d(self):
        return self.features.shape[1]

    def sample(self, n, rng):
        assert n == len(self.h)
        indices = torch.arange(self.h.shape[1]).expand_as(self.h)
        return Batch(self.h @ self.features, Codes(indices, self.h, self.h.shape[1]))


class Read(Encoder):
    """Latents read from a table whatever the input."""

    def __init__(self, latents):
        super().__init__()
        self.latents = latents

    def forward(self, x, decoder):
        return Coded(self.latents, None, x)


def Table(rows, latents, decoder=Rows):  # noqa: N802
    """An SAE whose latents are a table; b_dec is 0."""
    rows = torch.tensor(rows, dtype=torch.float32)
    stack = Stack("table", rows.shape[1], rows.shape[0])
    return stack.sae(Read(torch.tensor(latents, dtype=torch.float32)), decoder(stack, start=rows), SquaredError())


def scores(rows, latents, h, features=None, **truth):
    return W.evaluate(Table(rows, latents), Replay(h, features, **truth), n=len(h))


def check(found, tol=1e-6, **expected):
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=tol), name
