"""The aligned encoder: its columns by hand, lone features returned exactly, what a folder tells other tools."""

import pytest
import torch
from safetensors.torch import load_file
from torch.testing import assert_close

import synthetic as S
import workbench as W


def trained(name, m=32, **settings):
    """After some steps on the toy world."""
    world = W.find_source("toy")
    sae = W.create(name, world.d, m, **settings)
    W.train(sae, world, W.TrainConfig(steps=60, batch=64, lr=3e-3))
    return sae


def test_columns_by_hand():
    sae = W.create("aligned", 2, 2, k=1)
    with torch.no_grad():
        sae.W_dec.copy_(torch.tensor([[0.6, 0.8], [0.0, 2.0]]))
        sae.encoder.W_enc.copy_(torch.tensor([[2.0, 1.0], [3.0, 5.0]]).T)
    # <u, w> = 2 and 10: e = u - w, and u - 9 w / 4
    assert_close(sae.W_enc.detach().T, torch.tensor([[1.4, 0.2], [3.0, 0.5]]))


def test_other_tools_get_the_columns_in_use_and_we_the_parameter(tmp_path):
    """Also where the parameter is not yet what it stands for."""
    sae = W.create("aligned", 6, 8, k=2, seed=[0, 1]).eval()
    with torch.no_grad():
        sae.tensor("W_enc").mul_(0.4)
    folder = sae.save(tmp_path / "sae")
    for number in range(2):
        written = load_file(folder / f"member-{number:03d}" / "sae_weights.safetensors")["W_enc"]
        assert torch.equal(written, sae.W_enc[number])
        assert not torch.equal(written, sae.tensor("W_enc")[number])
    assert torch.equal(W.load(folder).tensor("W_enc"), sae.tensor("W_enc"))


@pytest.mark.parametrize("m", [32, 300])
def test_training_keeps_the_alignment_and_its_parameter_is_the_encoder(m):
    sae = trained("aligned", m, seed=[0, 1])
    products = (sae.W_enc.mT * sae.W_dec).sum(-1).detach()
    assert_close(products, torch.ones(2, m))
    assert_close(sae.tensor("W_enc").detach(), sae.W_enc.detach())
    plain = trained("topk", m)
    assert float(((plain.W_enc.T * plain.W_dec).sum(-1) - 1).abs().max().detach()) > 0.01


def test_a_lone_feature_along_a_row_is_returned_exactly():
    sae = trained("aligned", k=1).double()
    with torch.no_grad():
        sae.b_enc.zero_()
    x = sae.b_dec / sae.scale + torch.arange(1.0, 33.0)[:, None].double() * sae.W_dec
    f = sae.encode(x).detach()
    chosen = f.diagonal() > 0
    assert int(chosen.sum()) > 16
    assert_close(f.diagonal()[chosen], torch.arange(1.0, 33.0).double()[chosen])
    assert_close(sae(x).detach()[chosen], x.detach()[chosen])


@pytest.mark.parametrize(("name", "theirs"), [("aligned", "topk"), ("feature_choice", "jumprelu")])
def test_other_tools_read_the_same_inference(name, theirs, tmp_path):
    sae = trained(name)
    folder = sae.save(tmp_path / "sae")
    for file in folder.glob("workbench.*"):
        file.unlink()
    again = W.load(folder)
    x = W.find_source("toy").sample(64, S.stream(0, "tests/aligned")).x
    assert again.name == theirs
    assert_close(again.encode(x).detach(), sae.encode(x).detach())
    assert_close(again(x).detach(), sae(x).detach())
