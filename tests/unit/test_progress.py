"""Progress: one bar at a time, on a terminal after a while, in a notebook on one line, nowhere else."""

import sys
import types

import pytest

import workbench as W
from synthetic.base import progress
from synthetic.base.progress import counted


@pytest.fixture
def clock(monkeypatch):
    now = types.SimpleNamespace(time=100.0)
    monkeypatch.setattr(progress.time, "monotonic", lambda: now.time)
    monkeypatch.setattr("rich.console.monotonic", lambda: now.time)
    return now


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setattr(progress.Console, "is_terminal", True)


@pytest.fixture
def notebook(monkeypatch):
    """Lines that a notebook's one display has shown."""
    lines = []

    def display(data, raw, display_id=False):
        lines.append(data["text/plain"])
        return types.SimpleNamespace(update=display)

    monkeypatch.setitem(sys.modules, "IPython.display", types.SimpleNamespace(display=display))
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    return lines


def counting(clock, **how):
    with counted("training", "steps", **how) as show:
        for done in range(10):
            show(done, 10)
            clock.time += 1


def test_a_terminal_shows_what_takes_longer(clock, terminal, capsys):
    counting(clock, after=20.0)
    assert "steps" not in capsys.readouterr().err
    counting(clock, after=5.0)
    assert "of 10 steps" in capsys.readouterr().err


def test_one_bar_at_a_time(clock, terminal, capsys):
    with counted("outer", "units") as show:
        show(1, 2)
        counting(clock)
    assert "steps" not in capsys.readouterr().err


def test_a_notebook_shows_one_line(clock, notebook):
    counting(clock)
    assert notebook[0].startswith("training 30 %")
    assert notebook[-1] == ""
    assert len(notebook) == 8


def test_training_shows_itself_where_nobody_else_does(monkeypatch, capsys, terminal):
    monkeypatch.setattr("workbench.training.loop.counted", lambda *words, after: counted(*words, after=0.0))
    sae, config = W.create("topk", 16, 20, k=2), W.TrainConfig(steps=3, batch=8)
    W.train(sae, "toy", config)
    assert "of 3 steps" in capsys.readouterr().err
    W.train(sae, "toy", config, on_step=lambda progress: None)
    assert not capsys.readouterr().err
