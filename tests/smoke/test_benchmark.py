"""The benchmark end to end on a tiny step: rows, figure, bad input; and what its timing rests on."""

import json
import os
import platform
import sys

import pytest
import torch
from torch.testing import assert_close

from experiments import benchmark
from experiments.rivals import RIVALS, rival_step
from experiments.timing import Shape, Step, assert_equal, peak_bytes
from workbench.kernels import cpu
from workbench.training.loop import train
from workbench.training.machine import alternate, keep_freed_memory, set_threads


def run(monkeypatch, capsys, *flags):
    """Exit code and output of the benchmark in this process."""
    monkeypatch.setattr(sys, "argv", ["benchmark.py", *map(str, flags)])
    with pytest.raises(SystemExit) as leaving:
        sys.exit(benchmark.main())
    return leaving.value.code, "".join(capsys.readouterr())


def test_rows_of_steps(monkeypatch, capsys):
    flags = ["--shapes", "8/24/2/16", "8/600/2/16x2", "--variants", "topk", "relu", "--repeats", 1, "--threads", 1]
    code, said = run(monkeypatch, capsys, *flags, "--json")
    assert code == 0
    rows = json.loads(said)
    assert [(row["m"], row["stack"], row["variant"]) for row in rows] == [
        (24, 1, "topk"),
        (24, 1, "relu"),
        (600, 2, "topk"),
        (600, 2, "relu"),
    ]
    for row in rows:
        assert row["threads"] == 1
        assert row["samples_per_s"] == pytest.approx(row["stack"] * row["batch"] / row["ms"] * 1e3)
        assert row["ratio_range"][0] <= row["ratio_to_floor"] <= row["ratio_range"][1]
        assert sum(row["shares"].values()) == pytest.approx(1)
        assert row["peak_bytes"] > 4 * row["stack"] * 16 * row["m"]  # the pre-activations at least


def test_growth_is_drawn(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(benchmark, "GROWTH", {"m": (8, 16), "n_true": (32, 64), "stack": (1, 2)})
    monkeypatch.setattr(benchmark, "BASE", Shape(4, 8, 2, 16))
    code, said = run(monkeypatch, capsys, "--parts", "growth", "--repeats", 1, "--threads", 1, "--out", tmp_path)
    assert code == 0, said
    (folder,) = (tmp_path / "benchmark").iterdir()
    assert {path.suffix for path in (folder / "figures").iterdir()} == {".png", ".svg"}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            ["--shapes", "8/24/2"],
            "--shapes must be d/m/k/batch, such as 256/2048/16/1024 or 32/64/4/512x32; got 8/24/2",
        ),
        (["--repeats", "0"], "--repeats must be at least 1; got 0"),
        (["--variants", "topp"], "perhaps you meant 'topk'"),
    ],
)
def test_bad_input_ends_with_2(monkeypatch, capsys, flags, message):
    code, said = run(monkeypatch, capsys, *flags)
    assert code == 2
    assert message in " ".join(said.split())


@pytest.mark.parametrize("m", [24, 600])
@pytest.mark.parametrize("product", ["gather_sum", "gather_dot", "scatter_rows"])
def test_no_time_is_taken_of_a_wrong_gradient(monkeypatch, product, m):
    right = getattr(cpu, product)
    assert_equal(Shape(8, m, 2, 64), "topk")
    monkeypatch.setattr(cpu, product, lambda *given: 2 * right(*given))
    with pytest.raises(AssertionError, match="not close"):
        assert_equal(Shape(8, m, 2, 64), "topk")


def test_a_timed_step_is_a_step_of_training():
    """One step of `Step` moves the parameters as `train` moves them on that batch."""
    shape = Shape(8, 24, 2, 16)
    stepped, trained = (shape.sae("topk", "cpu") for _ in range(2))
    step = Step(stepped, shape.inputs("cpu"))

    class Same:
        d, truth = 8, None

        def sample(self, n, rng):
            return type("Batch", (), {"x": step.x})

    trained.fresh = False  # its moments stay as they are
    step()
    train(trained, Same(), benchmark.replace(step.config, steps=1, batch=16, warm_up=0.0, decay=0.0))
    assert_close(stepped.W_dec, trained.W_dec)
    assert_close(stepped.W_enc, trained.W_enc)


def test_threads_are_measured_or_given():
    before = torch.get_num_threads()
    try:
        assert set_threads(1) == torch.get_num_threads() == 1
        assert set_threads(0, lambda: None, repeats=1) in range(1, (os.cpu_count() or 1) + 1)
    finally:
        torch.set_num_threads(before)


def test_work_alternates():
    calls = []
    times = alternate({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 2)
    assert calls == ["a", "b"] * 3
    assert {name: len(spent) for name, spent in times.items()} == {"a": 2, "b": 2}


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's own option")
def test_freed_memory_is_kept():
    assert keep_freed_memory()


def test_peak_memory_counts_what_lives_at_once():
    def work():
        first = torch.zeros(1000)
        del first
        second, third = torch.zeros(2000), torch.zeros(500)
        return second, third

    assert peak_bytes(work) == 4 * 2500


@pytest.mark.parametrize("name", RIVALS)
def test_rivals_step_where_installed(name):
    try:
        step = rival_step(name, 8, 32, 2, 16)
    except ValueError as error:
        assert f"{RIVALS[name][1]}" in str(error).partition("pip install ")[2]  # noqa: PT017
        return
    step(torch.randn(16, 8))
