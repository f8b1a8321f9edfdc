"""Checkpoints: only the run that wrote one goes on with it, and nothing in one is used unseen."""

import copy
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import synthetic as S
import workbench as W
from synthetic.base import storage
from synthetic.source import Batch, Codes
from workbench.training.checkpoint import exact, identity, load_checkpoint, save_checkpoint, started
from workbench.training.optimiser import Adam

WORLD = S.SparseMixture(n_true=12, d=8)
SHORT = W.TrainConfig(steps=12, batch=8)


class Cloud:
    """A source of a class of its own, told from another by its rows alone."""

    d = 8

    def __init__(self, mean, once=False):
        self.mean, self.once, self.calls = mean, once, 0

    def sample(self, n, rng):
        self.calls += self.once
        x = self.mean + self.calls + torch.randn(n, 8, generator=rng)
        return Batch(x, Codes(torch.zeros(n, 1, dtype=torch.long), torch.zeros(n, 1), 1))


def continued(path, source, resume=True):
    return W.train(W.create("topk", 8, 16, k=2), source, SHORT, checkpoint=path, resume=resume)


def test_a_source_is_known_by_its_rows(tmp_path):
    continued(tmp_path / "c", Cloud(0.0), resume=False)
    continued(tmp_path / "c", Cloud(0.0))
    with pytest.raises(
        ValueError, match=r"checkpoint\.world must be that of the run; got Cloud, which gives other acti"
    ):
        continued(tmp_path / "c", Cloud(0.01))
    with pytest.raises(ValueError, match=r"gives the same rows for the same seed; got Cloud, others: .*start anew"):
        continued(tmp_path / "c", Cloud(0.0, once=True))


def test_settings_of_a_source_are_known_by_value(tmp_path):
    continued(tmp_path / "c", WORLD, resume=False)
    with pytest.raises(ValueError, match=r"checkpoint\.world must be that of the run, seed = 4; got seed = 0: resume"):
        continued(tmp_path / "c", replace(WORLD, seed=4))


def test_what_json_lacks_is_told_apart():
    @dataclass(frozen=True)
    class Other:
        at: Any

    for one, other in (
        (np.float64(1.5), np.float64(2.5)),
        (np.arange(3), np.arange(1, 4)),
        (torch.zeros(2), torch.zeros(2, 1)),
        (Other(torch.ones(2)), Other(torch.tensor([1.0, 1.5]))),
        ({"a": np.int32(1)}, {"a": np.int32(2)}),
        ({1, 2}, {1, 3}),
        (len, abs),
    ):
        assert exact(one) == exact(copy.deepcopy(one))
        assert exact(one) != exact(other)
    assert exact(np.int64(3)) == exact(3) == 3
    assert exact(Path("a")) == exact(Path("b"))


def test_what_is_the_same_thing_is_known_again():
    numbers = np.arange(4.0)
    for value in ({"a": float("nan")}, numbers[::-1], numbers.astype(">f8"), Path("there"), np.ones((2, 3)).T):
        assert exact(value) == exact(copy.deepcopy(value))
    assert exact(numbers.astype(">f8")) == exact(numbers)
    assert exact(numbers[::-1]) != exact(numbers)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("adam.W_enc.exp_avg", torch.zeros(2)),
        ("adam.b_dec.exp_avg_sq", torch.zeros(8, dtype=torch.float64)),
        ("adam.W_dec.exp_avg", None),
        ("adam.W_dec.step", torch.zeros(1)),
        ("sae.W_dec", torch.zeros(16, 7)),
        ("sae.b_enc", None),
        ("silent", torch.zeros(16)),
        ("probe", torch.zeros(8, 7)),
        ("more", torch.zeros(1)),
        ("about", torch.zeros(3)),
        ("progress", torch.tensor(list(b'{"step": 13, "seconds": 0.0, "records": []}'), dtype=torch.uint8)),
    ],
)
def test_every_tensor_of_a_checkpoint_is_looked_at_before_one_is_used(tmp_path, name, value):
    """With checksums that fit: they tell of accidents, not of strangers."""
    continued(tmp_path / "c", WORLD, resume=False)
    tensors, about = storage.read_tensors(tmp_path / "c")
    tensors = {key: v for key, v in (tensors | {name: value}).items() if v is not None}
    storage.write_tensors(tmp_path / "c", tensors, about | storage.tensor_sums(tensors))
    with pytest.raises(ValueError, match=rf"checkpoint .*{re.escape(name)}.* must be|c: {name}.* must be"):
        continued(tmp_path / "c", WORLD)


def test_a_checkpoint_of_another_version_is_refused(tmp_path):
    storage.write_tensors(tmp_path / "c", {"silent": torch.zeros(1)}, {"about": "{}", "progress": "{}"})
    for opens in (started, lambda path: continued(path, WORLD)):
        with pytest.raises(
            ValueError, match=r"checkpoint .*: format must be 2; got 1, another version's: delete it to"
        ):
            opens(tmp_path / "c")


def test_records_are_not_in_the_header(tmp_path):
    """A safetensors header has a limit that the records of a large stack would reach."""
    records = [{"step": 1, "said": "x" * 10_000}]
    sae = W.create("topk", 8, 16, k=2)
    optimiser = Adam(list(sae.parameters()), lr=1e-3)
    who, silent = identity(sae, SHORT, WORLD, 0), torch.zeros(16, dtype=torch.long)
    progress = {"step": 1, "seconds": 0.0, "records": records}
    save_checkpoint(tmp_path / "c", sae, optimiser, silent, who, progress)
    assert int.from_bytes((tmp_path / "c").read_bytes()[:8], "little") < 3000
    assert load_checkpoint(tmp_path / "c", sae, optimiser, who)[1] == progress
