"""Which half failed: the four cells on dictionaries and encoders whose failings are known, and snapshots on the way."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import synthetic as S
import workbench as W
from synthetic.worlds import superposition as worlds
from workbench.training.ceiling import oracle, trained_oracle
from workbench.training.snapshots import Snapshots, load_trace
from workbench.training.two_by_two import two_by_two

WORLD = worlds.superposition()
SHORT = W.TrainConfig(steps=60, batch=64, lr=1e-2, normalise=False)
SQUARE = S.SparseMixture(n_true=12, d=16, directions=S.Orthonormal(), firing=S.ExactlyK(2))


def test_effects_add_up_and_best_cells_have_certificates():
    sae = W.create("topk", WORLD.d, 64, k=[[3], [4]], seed=[0, 1])
    both = two_by_two(sae, WORLD, n=600, penalty=0.05, true_k=True, config=SHORT)
    assert set(both.cells) == {"LO", "LB", "TO", "TB", "LB_K", "TB_K", "LB_lasso", "TB_lasso"}
    assert both.k.tolist() == [[3, 3], [4, 4]]
    assert all(cell.f1.shape == (2, 2) for cell in both.cells.values())
    for best in ("", "K", "lasso"):
        dictionary, encoder, _ = both.effects(best)
        total = both.cells[f"TB_{best}" if best else "TB"].f1 - both.cells["LO"].f1
        np.testing.assert_allclose(dictionary + encoder, total)
    for name, cell in both.cells.items():
        assert (np.isnan(cell.violation) == (name in ("LO", "TO"))).all()
        if name not in ("LO", "TO"):
            assert cell.violation.max() < 1e-9
    assert both.cells["TB_lasso"].f1.min() > 0.97 > both.cells["TB"].f1.max()  # the budget k binds, not inference
    assert both.verdicts == ["dictionary"] * 4
    np.testing.assert_array_equal(both.cells["TB"].f1[:, 0], both.cells["TB"].f1[:, 1])
    assert set(both.scores()) >= {"f1_LO", "f1_LB", "f1_TO", "f1_TB", "violation_LB", "violation_TB"}
    assert "violation_LO" not in both.scores()
    assert repr(both).splitlines()[1].startswith("LO")


def test_the_true_dictionary_loses_by_its_encoder_alone():
    sae = trained_oracle("topk", WORLD, SHORT, k=4)
    both = two_by_two(sae, WORLD, n=600, oracle=sae)
    assert both.mcc == pytest.approx(1.0)
    assert both.verdicts == ["encoder"]
    assert float(both.dictionary) == float(both.interaction) == 0
    assert float(both.encoder) == float(both.total) > 0.02
    assert float(both.cells["LB"].explained) == pytest.approx(float(both.cells["TB"].explained), abs=1e-6)


def test_the_threshold_is_each_cells_own():
    """Codes with a small one on a wrong row: useless at f > 0, right above a threshold."""
    sae = W.create("relu", 16, 12)
    with torch.no_grad():
        sae.W_dec.copy_(SQUARE.truth.features)
        sae.W_enc.copy_(SQUARE.truth.features.mT)
        sae.b_enc.fill_(0.1)
    both = two_by_two(sae, SQUARE, n=600, config=SHORT)
    cell = both.cells["LO"]
    assert float(cell.f1) == 1.0 > 0.5 > float(cell.f1_any)
    assert 0.1 <= float(cell.threshold) < 0.6
    assert float(cell.l0) == 12 == both.k


def test_fewer_latents_than_features_and_more():
    narrow = two_by_two(W.create("topk", WORLD.d, 16, k=2), WORLD, n=400, config=SHORT)
    assert {"TO_M", "TB_M"} <= set(narrow.cells)
    assert "LB_matched" not in narrow.cells
    assert float(narrow.width) == float(narrow.cells["TB"].f1 - narrow.cells["TB_M"].f1) > 0.3
    assert float(narrow.cells["TB_M"].f1) <= 16 / 64
    wide = two_by_two(W.create("topk", WORLD.d, 80, k=4), WORLD, n=400, config=SHORT)
    assert "LB_matched" in wide.cells
    assert "TB_M" not in wide.cells
    assert float(wide.width) == 0


def test_an_oracle_at_hand_is_used_and_signs_take_signed_pursuit():
    sae, at_hand = W.create("topk", 16, 12, k=2), trained_oracle("topk", SQUARE, SHORT, k=2)
    one = two_by_two(sae, SQUARE, n=300, oracle=at_hand)
    assert float(one.cells["TO"].f1) == float(two_by_two(sae, SQUARE, n=300, config=SHORT).cells["TO"].f1)
    signed = replace(SQUARE, magnitudes=S.MixedSigns(S.Uniform(0.5, 1.5)))
    both = two_by_two(oracle("abs_topk", signed, k=2), signed, n=300, config=SHORT)
    assert float(both.cells["TB"].f1) == 1.0


def test_the_same_samples_in_any_unit_and_bad_input():
    sae = W.create("topk", 16, 12, k=2)
    with pytest.raises(ValueError, match=r"two_by_two\.k must be at least 1"):
        two_by_two(sae, SQUARE, n=50, k=0, config=SHORT)
    with pytest.raises(ValueError, match=r"two_by_two\.world must be of dimension 16"):
        two_by_two(sae, WORLD)


# --- snapshots -------------------------------------------------------------------------------------------------------

CONFIG = W.TrainConfig(steps=40, batch=32, checkpoint_every=16)


def stack():
    return W.create("topk", 16, 20, k=2, seed=[0, 1])


def test_snapshots_are_the_decoder_on_the_way_and_change_nothing():
    plain, watched = stack(), stack()
    W.train(plain, SQUARE, CONFIG)
    shots, every = Snapshots(watched, CONFIG.steps, 8), {0: watched.W_dec.detach().clone()}

    def both(now):
        shots(now)
        every[now.step] = watched.W_dec.detach().clone()

    W.train(watched, SQUARE, CONFIG, on_step=both)
    assert torch.equal(plain.W_dec, watched.W_dec)
    trace = shots.trace
    assert trace.steps.tolist()[:2] == [0, 1]
    assert trace.steps.tolist()[-1] == 40
    assert 6 <= len(trace.steps) <= 8
    assert trace.rows.shape == (len(trace.steps), 2, 20, 16)
    assert trace.rows.dtype == torch.float16
    for step, rows in zip(trace.steps.tolist(), trace.rows, strict=True):
        unit = every[step] / every[step].norm(dim=-1, keepdim=True)
        torch.testing.assert_close(rows.float(), unit, atol=1e-3, rtol=0)


def test_a_resumed_run_leaves_the_same_file(tmp_path):
    whole = stack()
    W.train(whole, SQUARE, CONFIG, on_step=Snapshots(whole, 40, 12, tmp_path / "whole.safetensors"))
    path, checkpoint = tmp_path / "a" / "parts.safetensors", tmp_path / "checkpoint.safetensors"

    class StoppedError(Exception):
        pass

    sae = stack()
    shots = Snapshots(sae, 40, 12, path)

    def stop(now):
        shots(now)
        if now.step == 25:
            raise StoppedError

    with pytest.raises(StoppedError):
        W.train(sae, SQUARE, CONFIG, checkpoint=checkpoint, on_step=stop)
    again = stack()
    W.train(again, SQUARE, CONFIG, checkpoint=checkpoint, resume=True, on_step=Snapshots(again, 40, 12, path))
    assert path.read_bytes() == (tmp_path / "whole.safetensors").read_bytes()
    assert load_trace(path).steps.tolist()[-1] == 40


def test_snapshots_of_another_run_or_damaged_are_refused(tmp_path):
    path = tmp_path / "trace.safetensors"
    Snapshots(stack(), 40, 12, path)
    with pytest.raises(ValueError, match=r"snapshots .* must be of this run.*give another path"):
        Snapshots(W.create("topk", 16, 21, k=2, seed=[0, 1]), 40, 12, path)
    with pytest.raises(ValueError, match=r"Snapshots\.count must be at least 2"):
        Snapshots(stack(), 40, 1)
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="delete it and train again"):
        load_trace(path)
