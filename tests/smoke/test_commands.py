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
    words += ("--train.k-start", "None")  # else k comes down from more by a schedule of the run's length
    steady = (*words, "--train.decay", "0")
    train("a", *steady, "--train.steps", "4")
    assert "a has done these 4 steps already" in train("a", *steady, "--train.steps", "4")
    assert "went on from step 4 of 4 to 9, with the bits of an unbroken run" in train(
        "a", *steady, "--train.steps", "9"
    )
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
    assert (about["train"]["k_start"], about["train"]["aux_k"], about["train"]["dead_after"]) == (None, 8, 62)
    (tmp_path / "few.json").write_text('{"steps": 3, "aux_k": 2}')
    train("e", "--world", "toy", "--m", "20", "--set", "k=2", "--config", str(tmp_path / "few.json"))
    few = json.loads((tmp_path / "e/train.json").read_text())["train"]
    assert (few["steps"], few["aux_k"], few["aux_weight"], few["k_start"]) == (3, 2, 1.0, 4.0)
    workbench.create("topk", 16, 20, k=2).save(tmp_path / "c")
    assert "out must be a folder without an SAE, or with this run's" in train("c", *steady, code=2)


PLUGIN = '''
from dataclasses import dataclass

import torch

import workbench
from synthetic import Batch, Codes, GroundTruth, knob
from workbench.parts import Affine, NonNegative, Positive, ReLU, Rows, SquaredError, Term


@knob
@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two orthogonal features, each on in half of the samples."""

    d: int = 4

    @property
    def truth(self):
        half, n = torch.full((2,), 0.5, dtype=torch.float64), torch.eye(2, self.d)
        return GroundTruth(features=n, bias=torch.zeros(self.d), rates=half, requested_rates=half, rates_error=0.0,
            mean_h=half, mean=half @ n.double(), covariance=n.double().T @ n.double() / 4, cofiring=None,
            parents=torch.full((2,), -1), symmetries=("permutation",), open={"cofiring": "not written down"})

    def sample(self, n, rng):
        h = (torch.rand(n, 2, generator=rng, device=rng.device) < 0.5).float()
        index = torch.arange(2, device=h.device).expand(n, 2)
        return Batch(h @ torch.eye(2, self.d, device=h.device), Codes(index, h, 2))


@workbench.world
def wide_pair(**changes):
    """The same pair in eight dimensions."""
    return Pair(**{"d": 8, **changes})


@workbench.metric(half_matched=1.0)
def half_matched(evidence):
    """Share of true features with |cos| > .5 to some latent."""
    return {"half_matched": float((evidence.geometry.best_absolute > 0.5).double().mean())}


@workbench.variant("plain_relu")
def plain_relu(stack):
    """Latents are rectified, and nothing else."""
    return stack.sae(Affine(stack, ReLU()), Rows(stack), SquaredError())


@workbench.objective("plain_log")
class LogPenalty(Term):
    """sum log(1 + f / eps)."""

    name, warmed, sparse = "log", True, True

    def __init__(self, stack, weight: NonNegative = 0.5, eps: Positive = 0.2):
        super().__init__()
        self.keep(weight=stack.real(weight), eps=stack.real(eps))

    def forward(self, out):
        return self.weight * (1 + out.dense() / self.eps[..., None, None]).log().sum(-1).mean(-1)
'''


def test_a_file_brings_a_world_a_metric_and_a_variant(tmp_path: Path, monkeypatch, capsys) -> None:
    def run(*arguments: object, code: int = 0) -> str:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["workbench", *map(str, arguments)])
        assert command_line() == code, "".join(capsys.readouterr())
        return "".join(capsys.readouterr())

    (tmp_path / "mine.py").write_text(PLUGIN)
    (tmp_path / "empty.py").write_text("x = 1\n")
    plugin, sae = ("--plugin", tmp_path / "mine.py"), tmp_path / "sae"
    run("train", "plain_relu", sae, "--world", "wide_pair", "--m", 6, "--train.steps", 5, "--train.batch", 32, *plugin)
    scores = json.loads(run("eval", sae, "--world", "wide_pair", "--n", 300, "--json", *plugin))
    assert 0 <= scores["half_matched"] <= 1
    run("train", "topk", tmp_path / "b", "--world", "Pair", "--m", 6, "--train.steps", 5, "--train.batch", 32, *plugin)
    shelves = json.loads(run("list", "--json", *plugin))
    assert "plain_relu" in shelves["variants"]
    assert "plain_log" in shelves["objectives"]
    assert "half_matched" in shelves["metrics"]
    assert "wide_pair" in shelves["worlds"]
    said = run("check", tmp_path / "mine.py")
    assert all(f"{what}\n" in said for what in ("variant plain_relu", "objective plain_log", "metric half_matched"))
    assert all(f"world {name}\n" in said for name in ("wide_pair", "Pair"))
    assert "FAIL" not in said
    said = run("train", "topk", tmp_path / "c", "--plugin", tmp_path / "empty.py", code=2)
    assert '@workbench.variant("name"), @workbench.objective("name"), @workbench.metric(name=1.0) or' in said
