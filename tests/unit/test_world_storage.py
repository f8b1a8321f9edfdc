"""Worlds on disk: settings and drawn tensors come back to the last bit, or a message says what is wrong."""

import json
import subprocess
import sys

import pytest
import torch
from hypothesis import given
from safetensors.torch import load_file, save_file
from strategies import worlds

import synthetic as S
from synthetic.base import storage
from synthetic.base.storage import from_json, read_tensors, to_json
from synthetic.folder import load_world, save_world

# beartype looks at a random item of each tuple a world is built with
pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")

FOREST = {"trees": 2, "branching": 2, "depth": 1, "compensation": "none"}
WORLDS = {
    "plain": S.SparseMixture(n_true=6, d=4),
    "given, pairs, coloured": S.SparseMixture(
        n_true=3,
        d=2,
        directions=S.Given(((1.0, 0.0), (0.0, 1.0), (0.6, 0.8))),
        firing=S.Copula(S.Linear(0.3, 0.1), S.Phi(pairs=((0, 1, 0.2), (1, 2, -0.05)))),
        magnitudes=S.SharedGain(S.Signed(S.LogNormal()), 0.2),
        noise=S.Coloured(snr_db=3.0),
        bias_norm=1.5,
        seed=2**40 + 1,
    ),
    "forest over a low-rank copula": S.SparseMixture(
        n_true=8,
        d=5,
        directions=S.CommonMean(),
        firing=S.Forest(S.LowRankCopula(S.RandomRates(0.1, 0.4), rank=2), **FOREST, scale_by_parent=True),
        magnitudes=S.PerFeature(sd_mean=1.0),
        noise=S.Isotropic(sd=0.1),
    ),
    "exclusive": S.SparseMixture(n_true=4, d=4, directions=S.Orthonormal(), firing=S.Exclusive(S.Constant(0.3), 2)),
    "exactly k": S.SparseMixture(n_true=4, d=4, directions=S.Simplex(), firing=S.ExactlyK(2)),
}


def same_bits(one, other):
    assert one.dtype == other.dtype
    assert one.shape == other.shape
    assert torch.equal(one, other)


@pytest.mark.parametrize("name", WORLDS)
def test_a_world_comes_back_to_the_last_bit(name, tmp_path):
    world = WORLDS[name]
    again = load_world(save_world(world, tmp_path / "a" / "b"))
    assert again == world
    assert again is not world
    assert sorted(again.tensors) == sorted(world.tensors)
    for key in world.tensors:
        same_bits(again.tensors[key], world.tensors[key])
    one, other = (w.sample(200, S.stream(1, "x")) for w in (world, again))
    same_bits(one.x, other.x)
    same_bits(one.h.indices, other.h.indices)
    same_bits(one.h.values, other.h.values)


@pytest.mark.parametrize("name", WORLDS)
def test_a_loaded_world_declares_the_same_truth(name, tmp_path):
    world = WORLDS[name]
    one, other = world.truth, load_world(save_world(world, tmp_path)).truth
    for field in ("features", "bias", "rates", "requested_rates", "mean_h", "mean", "parents"):
        same_bits(getattr(one, field), getattr(other, field))
    for field in ("rates_error", "symmetries", "requested", "realised", "open"):
        assert getattr(one, field) == getattr(other, field)
    assert (one.covariance is None) == (other.covariance is None) == ("forest over" in name)
    if one.covariance is not None:
        same_bits(one.covariance, other.covariance)
        index = torch.arange(world.n_true)
        same_bits(one.cofiring(index), other.cofiring(index))


def test_a_loaded_world_draws_nothing_anew(tmp_path):
    """The file is what counts: features turned round on disk are turned round in the loaded world."""
    folder = save_world(WORLDS["plain"], tmp_path)
    tensors = load_file(folder / "world.safetensors")
    _, about = read_tensors(folder / "world.safetensors")
    tensors["features"] *= -1
    save_file(tensors, folder / "world.safetensors", about | storage.tensor_sums(tensors))
    same_bits(load_world(folder).truth.features, -WORLDS["plain"].truth.features)


@given(worlds())
def test_settings_survive_json(world):
    assert from_json(json.loads(json.dumps(to_json(world)))) == world


def test_settings_are_readable_json(tmp_path):
    text = json.loads((save_world(WORLDS["exactly k"], tmp_path) / "world.json").read_text())
    assert text["class"] == "SparseMixture"
    assert text["firing"] == {"class": "ExactlyK", "k": 2}


# --- damaged folders -------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    return save_world(WORLDS["plain"], tmp_path / "world")


@pytest.mark.parametrize("name", ["world.json", "world.safetensors"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    message = f"world folder must hold {name}; got no such file in .*: save it again or copy it whole"
    with pytest.raises(FileNotFoundError, match=message):
        load_world(folder)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("world.json", b'{"class": "SparseMix'),
        ("world.json", b""),
        ("world.json", b"\xff\xfe\x00"),
        ("world.safetensors", b"\x08\x00\x00\x00\x00\x00\x00\x00nonsense"),
        ("world.safetensors", b""),
    ],
)
def test_a_damaged_file_is_named(folder, name, content):
    (folder / name).write_bytes(content)
    with pytest.raises(ValueError, match=rf"{name}(; got| must be (readable JSON|UTF-8 text); got).*: save it again"):
        load_world(folder)


@pytest.mark.parametrize(
    ("name", "advice"), [("SparseMixtur", "perhaps you meant 'SparseMixture'"), ("Zzz", "choose one of these")]
)
def test_an_unknown_class_is_refused_with_the_nearest_one(folder, name, advice):
    text = (folder / "world.json").read_text().replace('"SparseMixture"', f'"{name}"')
    (folder / "world.json").write_text(text)
    with pytest.raises(ValueError, match=f"class in a world's settings must be one of .*; got '{name}': {advice}"):
        load_world(folder)


def test_settings_without_a_class_are_refused(folder):
    (folder / "world.json").write_text("{}")
    with pytest.raises(ValueError, match=r"got '\?': choose one of these"):
        load_world(folder)


@pytest.mark.parametrize(
    ("name", "advice"), [("suporposition", "perhaps you meant 'superposition'"), ("?", "choose one of these")]
)
def test_an_unknown_preset_is_refused_with_the_nearest_one(name, advice):
    with pytest.raises(ValueError, match=f"world must be one of .*: {advice}"):
        S.find_source(name)


# --- writes that fail ------------------------------------------------------------------------------------------------


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def half_a_tensor_file(tensors, path, metadata=None):
    path.write_bytes(b"half a fi")
    raise OSError("no space left on device")


def half_a_text(path, text, *more, **keywords):
    path.write_bytes(text[:9].encode())
    raise OSError("no space left on device")


def interrupted(handle):
    raise KeyboardInterrupt


FAILURES = [
    (storage, "save_file", half_a_tensor_file, OSError),
    (storage.Path, "write_text", half_a_text, OSError),
    (storage.os, "fsync", interrupted, KeyboardInterrupt),
]


@pytest.mark.parametrize(("owner", "name", "failing", "error"), FAILURES, ids=[f[1] for f in FAILURES])
def test_a_write_that_fails_leaves_the_earlier_world_and_no_litter(folder, monkeypatch, owner, name, failing, error):
    before = contents(folder)
    monkeypatch.setattr(owner, name, failing)
    with pytest.raises(error):
        save_world(WORLDS["exactly k"], folder)
    monkeypatch.undo()
    assert contents(folder) == before
    assert load_world(folder) == WORLDS["plain"]


@pytest.mark.parametrize(("owner", "name", "failing", "error"), FAILURES, ids=[f[1] for f in FAILURES])
def test_a_first_write_that_fails_leaves_nothing(tmp_path, monkeypatch, owner, name, failing, error):
    monkeypatch.setattr(owner, name, failing)
    with pytest.raises(error):
        save_world(WORLDS["plain"], tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_saving_again_replaces_the_earlier_world(folder):
    save_world(WORLDS["exactly k"], folder)
    assert load_world(folder) == WORLDS["exactly k"]
    assert sorted(contents(folder)) == ["world.json", "world.safetensors"]
    assert (folder / "world.json").stat().st_mode & 0o777 == 0o644


def test_settings_edited_after_saving_are_refused(folder):
    text = (folder / "world.json").read_text()
    (folder / "world.json").write_text(text.replace('"seed": ', '"seed": 1'))
    with pytest.raises(ValueError, match=r"the one saved with world\.json; got another world's.*save the world"):
        load_world(folder)


def test_a_full_disk_is_an_os_error_and_leaves_nothing(tmp_path):
    """A limit on the size of files stands for the disk's end, in a process of its own, which it binds for good."""
    code = f"""
import resource, signal, torch
from pathlib import Path
from synthetic.base.storage import write_tensors
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
try:
    write_tensors(Path({str(tmp_path)!r}) / "x.safetensors", {{"a": torch.zeros(100_000)}})
except OSError as error:
    print(error)
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "x.safetensors must fit on its disk; got" in said
    assert not list(tmp_path.iterdir())
