"""The command line: `train`, `eval` and `check` on what they are given, a stranger's file among it."""

import json
import sys
from pathlib import Path

import torch

import workbench
from workbench.__main__ import main as command_line


def test_train_goes_on_to_more_steps_and_reads_a_config_back(tmp_path: Path, monkeypatch, capsys) -> None:
    def train(out: str, *arguments: str, code: int = 0) -> str:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["workbench", "train", "topk", str(tmp_path / out), *arguments])
        assert command_line() == code
        return "".join(capsys.readouterr())

    words = ("--world", "toy", "--m", "20", "--set", "k=2", "--train.batch", "16", "--train.warm-up", "0")
    steady = (*words, "--train.decay", "0")
    train("a", *steady, "--train.steps", "4")
    assert "a has done these 4 steps already" in train("a", *steady, "--train.steps", "4")
    assert "from step 4 of 4 to 9, with the bits of an unbroken run" in train("a", *steady, "--train.steps", "9")
    train("b", *steady, "--train.steps", "9")
    assert (tmp_path / "a/cfg.json").read_bytes() == (tmp_path / "b/cfg.json").read_bytes()
    weights = [workbench.load(tmp_path / name).W_dec for name in ("a", "b")]
    assert torch.equal(*weights)
    assert "steps = 8; got steps = 9" in train("a", *steady, "--train.steps", "8", code=2)
    assert "k = 3; got k = 2" in train("a", *steady, "--set", "k=3", "--train.steps", "12", code=2)
    train("d", *words, "--train.steps", "10")
    assert "an unbroken one had other steps so far (learning rate)" in train("d", *words, "--train.steps", "12")
    train("c", "--config", str(tmp_path / "a"), "--train.steps", "5")
    about = json.loads((tmp_path / "c/train.json").read_text())
    assert (about["world"], about["m"], about["set"]) == ("toy", 20, ["k=2"])
    assert (about["train"]["steps"], about["train"]["batch"], about["train"]["decay"]) == (5, 16, 0.0)
    workbench.create("topk", 16, 20, k=2).save(tmp_path / "c")
    assert "out must be a folder without an SAE, or with this run's" in train("c", *steady, code=2)
