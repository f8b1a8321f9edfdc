"""The main experiment end to end at toy size: the shape of its result, resuming, plug-ins, bad input."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from experiments.recovery import main
from experiments.variations import places
from synthetic import find_source
from workbench import variant_shelf
from workbench.__main__ import main as command_line

ROOT = Path(__file__).parents[2]
PLUGIN = '''
import workbench
from workbench.parts import L1, Affine, NonNegative, Rows, Selection, SquaredError


class Square(Selection):
    def forward(self, pre):
        return pre.relu() ** 2


@workbench.variant("squared_relu")
def squared_relu(stack, l1: NonNegative = 0.1):
    """A stranger's variant."""
    return stack.sae(Affine(stack, Square()), Rows(stack), SquaredError(), L1(stack, l1))
'''


def recovery(*flags: str) -> str:
    done = subprocess.run(
        [sys.executable, "experiments/recovery.py", *flags], cwd=ROOT, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs")
    plugin = out / "mine.py"
    plugin.write_text(PLUGIN)
    flags = ("--world", "toy", "--variants", "topk", "--seeds", "5", "--samples", "30000", "--axis", "samples")
    said = recovery(*flags, "--plugin", str(plugin), "--out", str(out), "--jobs", "2")
    (folder,) = (out / "recovery").iterdir()
    assert str(folder / "figures" / "recovery.png") in said
    assert "squared_relu" in said
    return folder


def test_the_run_folder_is_complete(finished: Path) -> None:
    held = {path.name for path in finished.iterdir()}
    assert {"config.json", "env.json", "records.jsonl", "metrics.parquet", "figures", "worlds", "saes"} <= held
    assert {path.name for path in (finished / "figures").iterdir()} == {"recovery.png", "recovery.svg"}
    assert not list((finished / "checkpoints").iterdir())


def test_recovery_rises_with_samples_and_beats_chance(finished: Path) -> None:
    frame = pl.read_parquet(finished / "metrics.parquet").filter(pl.col("arm") == "topk")
    curve = frame.filter((pl.col("axis") == "samples") & (pl.col("metric") == "mcc"))
    middle = curve.group_by("kind", "x").agg(pl.col("value").median()).sort("x")
    score = middle.filter(pl.col("kind") == "score")["value"].to_list()
    chance = middle.filter(pl.col("kind") == "null")["value"].to_list()
    assert score[-1] > score[0] + 0.2
    assert score[-1] > 0.95 > chance[-1]
    assert set(frame["axis"]) == {"samples"}
    assert set(frame.filter(pl.col("kind") == "score")["seed"].drop_nulls()) == {0, 1, 2, 3, 4}


def test_every_axis_changes_what_it_says() -> None:
    world = find_source("superposition")
    found = {place.label: place.world for place in places(world, ("samples", "sparsity", "superposition", "noise"))}
    assert found["sparsity-2"].truth.expected_l0 == pytest.approx(8.0)
    assert found["superposition-4"].d == 16
    clean, noisy = world.truth.covariance.trace(), found["noise-0dB"].truth.covariance.trace()
    assert float(noisy / clean) == pytest.approx(2.0, rel=1e-6)


def inside(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *flags: str) -> tuple[int, str]:
    """The same in this process: exit code and what it said."""
    monkeypatch.setattr(sys, "argv", ["recovery.py", *flags])
    try:
        code = main()
    except SystemExit as leaving:
        code = int(leaving.code or 0)
    return code, "".join(capsys.readouterr())


@pytest.mark.parametrize(
    ("flags", "advice"),
    [
        (("--variants", "topkk"), "perhaps you meant 'topk'"),
        (("--world", "superpositon"), "perhaps you meant 'superposition'"),
        (("--plugin", "nowhere.py"), "check the path"),
        (("--samples", "9", "--train.steps", "9"), "drop one"),
        (("--set", "kk=3", "--variants", "topk", "--axis", "samples"), "perhaps you meant 'k'"),
        (("--set", "k", "--axis", "samples"), "write --set k=4,8"),
        (("--sample", "3"), "--samples"),
    ],
)
def test_bad_input_gets_one_clear_line(flags: tuple[str, ...], advice: str, monkeypatch, capsys) -> None:
    code, said = inside(monkeypatch, capsys, *flags)
    assert code == 2
    assert advice in said


def test_every_variant_is_planned_wherever_it_can_be(monkeypatch, capsys) -> None:
    """Of all, two views alone do not divide the d of a variation; and with one view they do."""
    flags = ("--dry-run", "--no-ceilings", "--samples", "128", "--axis", "superposition", "--variants")
    code, said = inside(monkeypatch, capsys, *flags, "all")
    units = {tuple(line.split()[0].split("/")) for line in said.splitlines() if " samples x " in line}
    spots = ("base", "superposition-1", "superposition-3", "superposition-4")
    two_views = {("superposition-3", "crosscoder"), ("superposition-3", "batch_topk_crosscoder")}
    assert (code, units) == (0, {(spot, name) for spot in spots for name in variant_shelf()} - two_views)
    assert "left out crosscoder at superposition-3: crosscoder.views must be a divisor of d=21; got 2" in said
    code, said = inside(monkeypatch, capsys, *flags, "crosscoder", "--set", "views=1")
    assert (code, "left out" in said, "superposition-3/crosscoder/views=1 " in said) == (0, False, True)
    for views in ("1,2", "2,1"):  # every value is judged for itself
        code, said = inside(monkeypatch, capsys, *flags, "crosscoder", "--set", f"views={views}")
        assert (code, "superposition-3/crosscoder/views=1 " in said, "/views=2 " in said) == (0, True, True)
        assert "left out crosscoder views=2 at superposition-3: crosscoder.views must be a divisor of d=21" in said
        assert "superposition-3/crosscoder/views=2 " not in said


def test_command_line_round_trip(tmp_path: Path, monkeypatch, capsys) -> None:
    def run(*arguments: str, code: int = 0) -> str:
        monkeypatch.setattr(sys, "argv", ["workbench", *arguments])
        assert command_line() == code
        return "".join(capsys.readouterr())

    shelves = json.loads(run("list", "--json"))
    assert {"topk", "relu"} <= set(shelves["variants"])
    assert "synthsaebench_16k" in shelves["worlds"]
    run("train", "topk", str(tmp_path / "sae"), "--world", "toy", "--m", "16", "--set", "k=2", "--train.steps", "60")
    scores = json.loads(run("eval", str(tmp_path / "sae"), "--world", "toy", "--n", "2000", "--json"))
    assert scores["mcc"] > scores["mcc_null"]
    table = run("eval", str(tmp_path / "sae"), "--world", "toy", "--n", "2000")
    rows = [line.split()[1] for line in table.splitlines() if line.startswith("│")]
    assert rows[:6] == ["mcc", "recall@.9", "f1", "fvu", "l0", "dead"]
    assert set(rows) == {name for name in scores if not name.endswith(("_null", "_null_sd"))}
    assert "perhaps you meant 'k'" in run("train", "topk", str(tmp_path / "x"), "--set", "kk=2", code=2)


def test_check_passes_and_fails_a_strangers_file(tmp_path: Path, monkeypatch, capsys) -> None:
    plugin = tmp_path / "mine.py"
    for text, code, mark in ((PLUGIN, 0, " ok "), (PLUGIN.replace("** 2", "** 2 - 1"), 1, "FAIL")):
        plugin.write_text(text)
        monkeypatch.setattr(sys, "argv", ["workbench", "check", str(plugin)])
        assert command_line() == code
        assert mark in capsys.readouterr().out


def test_a_failing_cell_does_not_take_the_others_down(tmp_path: Path, monkeypatch, capsys) -> None:
    flags = ("--world", "toy", "--axis", "samples", "--samples", "2000", "--seeds", "1", "--no-ceilings", "--jobs", "1")
    code, said = inside(monkeypatch, capsys, *flags, "--variants", "relu", "--train.lr", "1e30", "--out", str(tmp_path))
    assert code == 1
    assert "failed base/relu: Diverged: train.loss must be finite" in said.replace("\n", " ")


def test_ctrl_c_then_resume(tmp_path: Path, monkeypatch, capsys) -> None:
    flags = (
        "--world",
        "toy",
        "--axis",
        "samples",
        "--samples",
        "60000",
        "--seeds",
        "2",
        "--no-ceilings",
        "--jobs",
        "1",
    )
    command = [sys.executable, "experiments/recovery.py", *flags, "--variants", "topk", "relu", "--out", str(tmp_path)]
    running = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True)
    for _ in range(600):
        if list(tmp_path.glob("recovery/*/checkpoints/*.safetensors")):
            break
        time.sleep(0.1)
    os.killpg(running.pid, signal.SIGINT)
    said, _ = running.communicate(timeout=60)
    assert running.returncode == 130
    (folder,) = (tmp_path / "recovery").iterdir()
    assert f"--resume {folder}" in said
    assert not [path for path in folder.rglob(".*") if path.is_file()]  # no half-written file is left
    code, said = inside(monkeypatch, capsys, "--resume", str(folder), "--jobs", "1")
    assert (code, "results" in said) == (0, True)
    code, said = inside(monkeypatch, capsys, "--resume", str(folder), "--m", "77")
    assert (code, "a run keeps its settings" in said) == (2, True)


def test_every_small_preset_works_without_gradients_and_runtime_checks() -> None:
    """In a process of its own: the type checks of the tests touch worlds before the code under test does."""
    script = """
import torch, workbench
from synthetic import find_source
from workbench import variant_shelf
for name in ("toy", "superposition", "correlated", "hierarchical", "noisy"):
    world = find_source(name)
    with torch.no_grad():
        scores = workbench.evaluate(workbench.create("topk", world.d, 8, k=2), world, 64)
    workbench.train(workbench.create("relu", world.d, 8), find_source(name), workbench.TrainConfig(steps=2, batch=8))
    print(name, scores["fvu"])
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 5
