"""Saving and loading: every variant, alone and stacked; what is missing, misnamed or interrupted."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.testing import assert_close

import synthetic as S
import workbench as W
from synthetic.base import storage
from synthetic.source import Codes
from workbench import sae as sae_module
from workbench.parts import Affine, Rows, Selection, SquaredError
from workbench.parts.encoders import Pursuit
from workbench.parts.selections import TopK
from workbench.settings import Count

WEIGHTS, CONFIG, OURS = "sae_weights.safetensors", "cfg.json", "workbench.json"
X = torch.randn(30, 6, generator=S.stream(0, "tests/interop"))


def dense(codes):
    return codes.dense() if isinstance(codes, Codes) else codes


def disturbed(name, m=12, **settings):
    """An SAE with every parameter and buffer away from its start, as after training."""
    sae = W.create(name, 6, m, **settings)
    rng = S.stream(0, f"tests/{name}")
    with torch.no_grad():
        for key, value in sae.state_dict().items():
            if key in ("scale", "scale_out"):
                value.fill_(1.7)
            elif key != "W_dec":
                value += 0.3 * torch.rand(value.shape, generator=rng)
    return sae.eval()


def files(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def agree(a, b):
    assert (a.name, a.d, a.m, a.shape, a.seed, a.settings) == (b.name, b.d, b.m, b.shape, b.seed, b.settings)
    assert a.scale == b.scale
    for key, value in a.state_dict().items():
        assert_close(b.state_dict()[key], value, msg=lambda m, key=key: f"{key}: {m}")
    for key, value in a.named_buffers():
        assert_close(b.tensor(key), value)
    with torch.no_grad():
        assert_close(dense(b.encode(X)), dense(a.encode(X)))
        assert_close(b(X), a(X))


# --- round trips -----------------------------------------------------------------------------------------------------


SHARED = {"rank", "rank1", "rank2", "rank3", "size", "anchors", "views", "d_y"}
"""settings that members of a stack share"""


@pytest.mark.parametrize("shape", ["single", "one axis", "two axes"])
@pytest.mark.parametrize("name", sorted(W.variant_shelf()))
def test_what_is_saved_comes_back(tmp_path, name, shape):
    own = {
        n: v
        for n, v in W.create(name, 6, 12).settings.items()
        if isinstance(v, int | float) and not isinstance(v, bool) and n not in SHARED
    }
    pairs = {n: (v, v / 2 if isinstance(v, float) else max(v // 2, min(v, 1))) for n, v in own.items()}
    varied = {n: list(pair) if shape == "one axis" else [[v] for v in pair] for n, pair in pairs.items()}
    settings = {
        "single": {"seed": 3},
        "one axis": {"seed": [3, 5], **varied},
        "two axes": {"seed": [3, 5, 4], **varied},
    }
    sae = disturbed(name, **settings[shape])
    assert len(sae.shape) == ["single", "one axis", "two axes"].index(shape)
    back = W.load(sae.save(tmp_path / "deep" / "sae"))
    assert not back.training
    agree(sae, back)
    again = W.load(back.save(tmp_path / "again"))  # what was read is written without loss
    assert all(torch.equal(value, again.state_dict()[key]) for key, value in back.state_dict().items())
    W.train(back, S.SparseMixture(n_true=8, d=6), W.TrainConfig(steps=2, batch=8))  # and it can be trained on


def test_tuples_stay_tuples(tmp_path):
    sae = disturbed("matryoshka", seed=[0, 1], prefixes=(0.25, 1.0))
    assert W.load(sae.save(tmp_path)).prefixes == (0.25, 1.0)


def test_members_are_folders_of_their_own(tmp_path):
    sae = disturbed("topk", seed=[3, 5], k=[[1], [4]])
    folder = sae.save(tmp_path / "stack")
    assert sorted(p.name for p in folder.iterdir()) == [*(f"member-00{i}" for i in range(4)), "stack.json"]
    for i, (index, settings) in enumerate(zip(np.ndindex(2, 2), [(3, 1), (5, 1), (3, 4), (5, 4)], strict=True)):
        member = W.load(folder / f"member-00{i}")
        assert (member.seed, int(member.k)) == settings
        with torch.no_grad():
            assert_close(member(X), sae(X)[index])


def test_the_folder_speaks_raw_units(tmp_path):
    """Without our own file it is a SAELens folder: latents over the scale, the same reconstruction."""
    own = {"matching_pursuit": {"k": 5, "select": "relu", "tol": 0.9}}
    for name in ("relu", "topk", "abs_topk", "batch_topk", "matryoshka", "jumprelu", "gated", "matching_pursuit"):
        sae = disturbed(name, **own.get(name, {}))
        folder = sae.save(tmp_path / name)
        (folder / OURS).unlink()
        back = W.load(folder)
        assert back.scale == 1
        with torch.no_grad():
            assert_close(dense(back.encode(X)), dense(sae.encode(X)))
            assert_close(back(X), sae(X))
            assert dense(sae.encode(X)).count_nonzero() > 10


@pytest.mark.parametrize("stop_on_repeat", [False, True])
@pytest.mark.parametrize("k", [5, [2, 5], [[2], [5]]])
def test_the_authors_matching_pursuit_comes_back(tmp_path, k, stop_on_repeat):
    """With their rule it is saved as SAELens's, in raw units."""
    sae = disturbed("matching_pursuit", k=k, select="relu", tol=0.9, stop_on_repeat=stop_on_repeat)
    folder = sae.save(tmp_path / "sae")
    config = json.loads(next(folder.rglob(CONFIG)).read_text())
    assert config["architecture"] == "matching_pursuit"
    assert config["residual_threshold"] == pytest.approx(0.9 / 1.7)
    assert config["stop_on_duplicate_support"] == stop_on_repeat
    agree(sae, W.load(folder))


@pytest.mark.parametrize("seed", [0, [0, 1]])
def test_folders_say_what_parts_have_whatever_settings_are_called(tmp_path, seed):
    def active(stack, active: Count = 3):
        return stack.sae(Affine(stack, TopK(stack, active)), Rows(stack), SquaredError())

    def twice(stack, k: Count = 3):
        return stack.sae(Affine(stack, TopK(stack, 2 * k)), Rows(stack), SquaredError())

    def pursued(stack, atoms: Count = 3):
        return stack.sae(Pursuit(stack, atoms, "relu", 0.5, stop_on_repeat=True), Rows(stack), SquaredError())

    stated = {"max_iterations": 3, "residual_threshold": 0.5, "stop_on_duplicate_support": True}
    for make, wanted in ((active, {"k": 3}), (twice, {"k": 6}), (pursued, stated)):
        try:
            W.variant("named")(make)
            sae = W.create("named", 6, 12, seed=seed)
            folder = sae.save(tmp_path / make.__name__)
            agree(sae, W.load(folder))
        finally:
            del sae_module.VARIANTS["named"]
        for config in folder.rglob(CONFIG):
            assert wanted.items() <= json.loads(config.read_text()).items()


def test_a_stack_of_pursuits_trained_at_several_rates_is_saved(tmp_path):
    sae = W.create("matching_pursuit", 6, 12, k=[2, 3], select="relu", seed=[0, 1])
    W.train(sae, X, W.TrainConfig(steps=2, batch=8, lr=(1e-3, 2e-3)))
    sae.encoder.steps = 5
    folder = sae.save(tmp_path / "sae")
    assert [json.loads(path.read_text())["max_iterations"] for path in sorted(folder.rglob(CONFIG))] == [5, 5]
    assert W.load(folder).rates == [1e-3, 2e-3]


@pytest.mark.parametrize("name", ["abs_topk", "matching_pursuit"])
def test_folders_from_before_these_had_an_architecture_are_whole(tmp_path, name):
    sae = disturbed(name, k=3, **({"select": "relu"} if name == "matching_pursuit" else {}))
    folder = sae.save(tmp_path / "sae")
    storage.write_tensors(folder / WEIGHTS, {key: v for key, v in sae.state_dict().items() if key != "scale"})
    config = json.loads((folder / CONFIG).read_text()) | {"architecture": name}
    new = ("k", "rescale_acts_by_decoder_norm", "max_iterations", "residual_threshold", "stop_on_duplicate_support")
    (folder / CONFIG).write_text(json.dumps({key: value for key, value in config.items() if key not in new}))
    ours = json.loads((folder / OURS).read_text()) | {"format": 1}
    (folder / OURS).write_text(json.dumps({key: v for key, v in ours.items() if key not in ("files", "checksum")}))
    agree(sae, W.load(folder))


@pytest.mark.parametrize("seed", [0, [0, 1], [[0], [1]]])
@pytest.mark.parametrize("name", ["topk", "omp", "batch_topk"])
def test_metadata_comes_back(tmp_path, name, seed):
    sae = disturbed(name, seed=seed)
    assert W.load(sae.save(tmp_path / "none")).metadata == {} == W.create("relu", 2, 2).metadata
    about = {"hook_name": "blocks.0.attn.hook_z", "reshape_activations": "hook_z", "l0": 3.5, "notes": {"a": [1, 2]}}
    sae.metadata = about.copy()
    folder = sae.save(tmp_path / "sae")
    assert W.load(folder).metadata == about == sae.metadata
    config = json.loads(next(folder.rglob(CONFIG)).read_text())
    assert config["reshape_activations"] == "hook_z"
    assert config["metadata"]["hook_name"] == "blocks.0.attn.hook_z"
    assert config["metadata"]["training_architecture"] == name


def test_metadata_that_json_cannot_hold_is_refused(tmp_path):
    sae = disturbed("topk")
    sae.metadata["rows"] = torch.zeros(2)
    with pytest.raises(ValueError, match=r"SAE\.metadata must be plain JSON values; got .* Tensor"):
        sae.save(tmp_path / "sae")
    assert files(tmp_path) == {}


@pytest.fixture
def plug_in():
    class Size(Selection):
        def __init__(self, gain):
            super().__init__()
            self.keep(gain=gain)

        def forward(self, pre):
            return self.gain[..., None, None] * pre.abs()

    @W.variant("plug_in")
    def plug_in(stack, gain=1.0, kind="abs"):
        return stack.sae(Affine(stack, Size(stack.real(gain))), Rows(stack, unit=False), SquaredError())

    yield plug_in
    sae_module.VARIANTS.pop("plug_in", None)


def test_variants_saelens_does_not_know_are_kept_to_the_bit(tmp_path, plug_in):
    sae = disturbed("plug_in", gain=2.5, kind="any")
    back = W.load(sae.save(tmp_path / "sae"))
    agree(sae, back)
    for key, value in sae.state_dict().items():
        assert torch.equal(value, back.state_dict()[key])
    assert json.loads((tmp_path / "sae" / CONFIG).read_text())["architecture"] == "plug_in"
    stack = disturbed("plug_in", gain=[1.0, 2.0])
    agree(stack, W.load(stack.save(tmp_path / "stack")))
    del sae_module.VARIANTS["plug_in"]
    with pytest.raises(
        ValueError, match=r"variant of the folder \(import its plug-in first\) must be one of .*'plug_in'"
    ):
        W.load(tmp_path / "sae")


# --- what is wrong with a folder -------------------------------------------------------------------------------------


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"load\.folder must be an existing folder; got .*/none: check the path"):
        W.load(tmp_path / "none")


@pytest.mark.parametrize("file", [WEIGHTS, CONFIG])
def test_a_missing_file_is_named(tmp_path, file):
    folder = disturbed("topk").save(tmp_path / "sae")
    (folder / file).unlink()
    message = rf"SAE folder must hold {file}; got no such file in .*: save it again or copy it whole"
    with pytest.raises(FileNotFoundError, match=message):
        W.load(folder)


def test_a_missing_member_is_named(tmp_path):
    folder = disturbed("topk", seed=[0, 1]).save(tmp_path / "stack")
    for file in (folder / "member-001").iterdir():
        file.unlink()
    (folder / "member-001").rmdir()
    with pytest.raises(ValueError, match=r"must be an existing folder; got .*member-001: check the path"):
        W.load(folder)


@pytest.mark.parametrize("file", [WEIGHTS, CONFIG, OURS])
def test_a_damaged_file_is_named(tmp_path, file):
    folder = disturbed("topk").save(tmp_path / "sae")
    (folder / file).write_bytes((folder / file).read_bytes()[:20])
    said = rf"SAE folder must hold a readable {file}; got" if file == WEIGHTS else rf"{file} must be readable JSON; got"
    with pytest.raises(ValueError, match=rf"{said} .*: save it again"):
        W.load(folder)


def test_weights_of_the_wrong_shape_or_name_are_refused(tmp_path):
    folder = disturbed("topk").save(tmp_path / "sae")
    disturbed("topk", m=13).save(tmp_path / "other")
    good = load_file(folder / WEIGHTS)
    (folder / WEIGHTS).write_bytes((tmp_path / "other" / WEIGHTS).read_bytes())
    with pytest.raises(ValueError, match=r"W_dec must be of shape|W_enc must be of shape \(6, 12\); got \(6, 13\)"):
        W.load(folder)
    del good["b_enc"]
    save_file(good, folder / WEIGHTS)
    with pytest.raises(ValueError, match=r"must hold b_enc; got \['W_dec', 'W_enc', 'b_dec'\]: save the SAE again"):
        W.load(folder)


def test_an_unknown_variant_in_the_folder_suggests_the_nearest(tmp_path):
    folder = disturbed("topk").save(tmp_path / "sae")
    ours = json.loads((folder / OURS).read_text())
    (folder / OURS).write_text(json.dumps(ours | {"variant": "topkk"}))
    with pytest.raises(ValueError, match="got 'topkk': perhaps you meant 'topk'"):
        W.load(folder)


def test_an_unknown_architecture_suggests_the_nearest(tmp_path):
    folder = disturbed("topk").save(tmp_path / "sae")
    (folder / OURS).unlink()
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps(config | {"architecture": "topK"}))
    with pytest.raises(
        ValueError, match=r"cfg\.json\.architecture must be one of .*; got 'topK': perhaps you meant 'topk'"
    ):
        W.load(folder)


# --- writing ---------------------------------------------------------------------------------------------------------


def full_disk(monkeypatch, write):
    """The write of that number (weights and text alike, from 0) fills the disk half way."""
    count = [0]
    whole, text = storage.save_file, type(storage.Path()).write_text

    def step(path):
        count[0] += 1
        if count[0] > write:
            path.write_bytes(b"half")
            raise OSError(28, "No space left on device")

    def save(tensors, path, metadata):
        step(path)
        whole(tensors, path, metadata)

    def write_text(path, content, **how):
        step(path)
        return text(path, content, **how)

    monkeypatch.setattr(storage, "save_file", save)
    monkeypatch.setattr(type(storage.Path()), "write_text", write_text)


@pytest.mark.parametrize("write", [0, 1, 2])
def test_a_failed_write_leaves_the_earlier_folder_whole(tmp_path, monkeypatch, write):
    """Whichever of the three files fails, the folder holds the earlier SAE, not a mixture of two."""
    disturbed("topk", k=2).save(tmp_path / "sae")
    before = files(tmp_path)
    full_disk(monkeypatch, write)
    with pytest.raises(OSError, match="No space left"):
        disturbed("topk", k=3, seed=1).save(tmp_path / "sae")
    assert files(tmp_path) == before


@pytest.mark.parametrize("write", [0, 4, 6])
def test_a_failed_write_leaves_the_earlier_stack_whole(tmp_path, monkeypatch, write):
    disturbed("topk", k=[1, 2]).save(tmp_path / "sae")
    before = files(tmp_path)
    full_disk(monkeypatch, write)
    with pytest.raises(OSError, match="No space left"):
        disturbed("topk", k=[3, 4]).save(tmp_path / "sae")
    assert files(tmp_path) == before


def test_a_single_sae_saved_over_a_stack_replaces_it(tmp_path):
    disturbed("topk", k=[1, 2]).save(tmp_path / "sae")
    sae = disturbed("relu")
    agree(sae, W.load(sae.save(tmp_path / "sae")))


def test_a_stack_saved_over_anything_replaces_it(tmp_path):
    disturbed("relu", l1=[1.0, 2.0, 3.0]).save(tmp_path / "sae")
    disturbed("relu").save(tmp_path / "sae")
    sae = disturbed("topk", k=[1, 2])
    agree(sae, W.load(sae.save(tmp_path / "sae")))
