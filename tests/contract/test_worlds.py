"""Every named world keeps the contract, and the contract notices each way to break it."""

import random
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import synthetic as S
from synthetic.base import storage
from workbench.check_world import WORLD_LAWS, check_world

LARGE = {"n_true": 10880 + 100, "d": 32, "directions": S.RandomSphere()}
"""the 16k worlds with their whole forest, and little else"""


@pytest.mark.parametrize("name", S.worlds())
def test_a_named_world_keeps_the_contract(name):
    """False-alarm rate: 1e-6 a world; seeds are fixed."""
    make = S.worlds()[name]
    changes = LARGE if name.startswith("synthsaebench_16k") else {}
    found = list(check_world(lambda: make(**changes)))
    assert len(found) == len(WORLD_LAWS)
    assert not [outcome for outcome in found if not outcome.passed]
    assert not found[-1].said  # what we ship can be saved


@dataclass(frozen=True)
class Coins:
    """Three orthonormal features that fire with probability 1/4 at strength 2, and one drawback."""

    fault: str = ""
    calls: list = field(default_factory=list)

    d = 4

    def sample(self, n, rng):
        self.calls.append(n)
        draws = {
            "torch": lambda: torch.rand(n, 3),
            "numpy": lambda: torch.from_numpy(np.random.rand(n, 3)).float(),  # noqa: NPY002
            "python": lambda: torch.tensor([[random.random() for _ in range(3)] for _ in range(n)]),
            "own generator": lambda: torch.rand(n, 3, generator=S.stream(0, "mine")),
        }
        u = draws.get(self.fault, lambda: torch.rand(n, 3, generator=rng))()
        rate = 0.28 if self.fault == "rate" else 0.25
        fires = u < rate
        if self.fault == "together":
            fires[:, 1] = fires[:, 0]
        h = 2.0 * fires
        if self.fault == "magnitude":
            h = h * 1.05
        if self.fault == "state" and len(self.calls) > 3:
            h = h.flip(0)
        x = h @ torch.eye(3, 4) + (0.02 if self.fault == "mean" else 0.0)
        if self.fault == "spread":
            x = x + 0.2 * torch.randn(n, 4, generator=rng)
        if self.fault == "dtype":
            x = x.double()
        return S.Batch(x, S.Codes(torch.arange(3).expand(n, 3).contiguous(), h, 3))

    @property
    def truth(self):
        rates, half = torch.full((3,), 0.25, dtype=torch.float64), torch.eye(3, 4).double()
        features = torch.eye(3, 4) * (1.1 if self.fault == "norm" else 1.0)
        if self.fault == "features":
            features = torch.nn.functional.normalize(torch.randn(3, 4))
        joint = torch.full((3, 3), 1 / 16, dtype=torch.float64).fill_diagonal_(1 / 4)
        return S.GroundTruth(
            features=features,
            bias=torch.zeros(4),
            rates=rates.float() if self.fault == "float" else rates,
            requested_rates=rates,
            rates_error=0.0,
            mean_h=2 * rates,
            mean=torch.full((4,), torch.nan, dtype=torch.float64) if self.fault == "nan" else 2 * rates @ half,
            covariance=None if self.fault == "unsaid" else half.T @ half * 0.75,
            cofiring=lambda which: joint[which][:, which],
            parents=torch.full((3,), 3 if self.fault == "parent" else -1),
            symmetries=("permutation",),
        )


FAULTS = {
    "torch": ("W2", "draws from a global random state"),
    "numpy": ("W2", "draws from a global random state"),
    "python": ("W2", "the same state gives other samples in another call"),
    "own generator": ("W2", "two calls with one generator give the same x"),
    "state": ("W2", "the same state gives other samples in another call"),
    "dtype": ("W1", "x has dtype torch.float64"),
    "features": ("W3", "other features"),
    "norm": ("W4", "feature 0 has norm 1.1, not 1"),
    "float": ("W4", "rates has dtype torch.float32"),
    "nan": ("W4", "mean is NaN, and truth.open does not say why"),
    "unsaid": ("W4", "covariance must be None exactly where"),
    "parent": ("W4", "parents are not all"),
    "rate": ("W5", "rates: p = "),
    "together": ("W5", "cofiring: p = "),
    "magnitude": ("W6", "E[h]: p = "),
    "mean": ("W6", "E[x]: p = "),
    "spread": ("W6", "Cov[x]: p = "),
}


def said_of(fault):
    return {outcome.law[:2]: outcome for outcome in check_world(lambda: Coins(fault))}


def test_a_sound_world_of_a_users_passes_and_need_not_be_saved():
    found = said_of("")
    assert all(outcome.passed for outcome in found.values())
    assert "decorate it so; saving is optional" in found["W7"].said


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_law_is_told(fault):
    law, words = FAULTS[fault]
    outcome = said_of(fault)[law]
    assert not outcome.passed
    assert words in outcome.said


def test_what_a_world_does_not_have_is_not_asked_for():
    """No truth, no coefficients, no saving: it can be trained on."""

    class Rows:
        d = 3

        def sample(self, n, rng):
            return SimpleNamespace(x=torch.randn(n, 3, generator=rng))

    found = list(check_world(Rows))
    assert all(outcome.passed for outcome in found)
    assert [outcome.law[:2] for outcome in found if "does not apply" in outcome.said] == ["W4", "W5", "W6", "W7"]
    assert "no h, their true" in found[0].said


# a user's world on disk ----------------------------------------------------------------------------------------------


@pytest.fixture
def forgotten(monkeypatch):
    """Settings classes that a test defines are known in it alone."""
    monkeypatch.setattr(storage, "_KNOBS", dict(storage._KNOBS))


def test_a_users_world_comes_back_whatever_it_draws_and_keeps(tmp_path, forgotten):
    """Settings alone; a tensor among the fields; cached `tensors` that no seed gives again."""

    @S.knob
    @dataclass(frozen=True, eq=False)
    class Mine:
        scale: float = 1.0
        rows: torch.Tensor | None = None
        parts: tuple[torch.Tensor, ...] = ()
        d = 2

        def sample(self, n, rng):
            x = self.scale * torch.randn(n, 2, generator=rng)
            return SimpleNamespace(x=x if self.rows is None else x @ self.rows + self.parts[0])

    @S.knob
    @dataclass(frozen=True)
    class Drawn:
        d = 2

        @cached_property
        def tensors(self):
            return {"rows": torch.rand(2, 2)}

        def sample(self, n, rng):
            return SimpleNamespace(x=torch.randn(n, 2, generator=rng) @ self.tensors["rows"])

    rows = torch.tensor([[1.0, 2.0], [0.5, -1.0]])
    for world in (Mine(), Mine(2.0, rows, (rows[0],)), Drawn()):
        back = S.load_world(S.save_world(world, tmp_path / "world"))
        one, other = (w.sample(5, S.stream(1, "t")).x for w in (world, back))
        assert type(back) is type(world)
        assert torch.equal(one, other)


def test_what_cannot_be_saved_is_refused_with_the_reason(tmp_path, forgotten):
    with pytest.raises(ValueError, match=r"@synthetic\.knob decorates; got Coins: decorate it so; saving is optional"):
        S.save_world(Coins(), tmp_path)
    plain = S.SparseMixture(n_true=4, d=4)

    @S.knob
    @dataclass(frozen=True)
    class Mapped:
        base: object
        d = 4

        def sample(self, n, rng):
            return plain.sample(n, rng)

    with pytest.raises(ValueError, match=r"Mapped\.base must be numbers, .*; got function: make it one of these; sav"):
        S.save_world(Mapped(lambda x: x), tmp_path)
    assert not list(tmp_path.iterdir())
    assert S.load_world(S.save_world(Mapped(plain), tmp_path / "w")).base == replace(plain)


def test_two_settings_classes_of_one_name_are_refused():
    with pytest.raises(ValueError, match=r"knob 'Uniform' must be of a name that is not taken; got .*: choose another"):
        S.knob(dataclass(type("Uniform", (), {"__module__": "elsewhere"})))
