"""Every operation on files fails once, by an error and by a kill: an object is the old or the new one, to the bit."""

import io
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

import synthetic as S
import workbench as W
from synthetic.base import storage
from synthetic.base.console import Console
from workbench.__main__ import Train, _train
from workbench.study import run as results
from workbench.study.run import Run
from workbench.training.checkpoint import Identity, identity, load_checkpoint, save_checkpoint
from workbench.training.optimiser import Adam


class Killed(BaseException):
    """Stands for the end of the process: no operation on files works from here on."""


class Faults:
    """Counts operations that change files, and lets one fail."""

    names = ("replace", "rename", "fsync", "unlink", "remove", "rmdir", "mkdir", "chmod", "ftruncate", "write")

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.at, self.error, self.count = 0, None, 0
        for name in self.names:
            do = (lambda handle: None) if name == "fsync" else getattr(os, name)  # the disk's own end is not tested
            patch.setattr(os, name, self.counted(do))
        patch.setattr(os, "open", self.counted(os.open, lambda path, flags, *_, **__: flags & os.O_CREAT))
        opened = self.counted(io.open, lambda path, mode="r", *_, **__: set("wax") & set(mode), after=True)
        patch.setattr(io, "open", opened)
        patch.setattr("builtins.open", opened)
        patch.setattr(storage, "save_file", self.counted(storage.save_file, after=True))

    def counted(self, do: Callable, applies: Callable = lambda *_, **__: True, after: bool = False) -> Callable:
        def call(*given: Any, **more: Any) -> Any:
            if not applies(*given, **more):
                return do(*given, **more)
            self.count += 1
            dead = self.count > self.at and self.error is Killed
            if self.error is not None and (self.count == self.at or (dead and self.at)):
                if after and self.count == self.at:  # what is made is there, and half empty
                    self.spoil(do, *given, **more)
                raise self.error
            return do(*given, **more)

        return call

    @staticmethod
    def spoil(do: Callable, *given: Any, **more: Any) -> None:
        made = do(*given, **more)
        if isinstance(made, io.IOBase):
            made.close()
        else:
            os.truncate(given[1], os.path.getsize(given[1]) // 2)

    def run(self, act: Callable[[], Any], at: int = 0, error: type[BaseException] | None = None) -> Any:
        """Do it with a fault at the operation of that number, from 1; whether it came to it."""
        self.at, self.error, self.count = at, error, 0
        try:
            act()
        except (Killed, OSError, KeyboardInterrupt):
            if error is None:
                raise
        finally:
            self.at, self.error = 0, None
        return self.count >= at


@dataclass
class Case:
    """An object on the disk: what makes the old one, what writes the new one, and how it is read."""

    old: Callable[[Path], Any]
    new: Callable[[Path], Any]
    read: Callable[[Path], Any]


EVERY = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"
"""both an error and a kill at every operation, not one or the other"""
WORLD = S.SparseMixture(n_true=6, d=4)
CONFIG = W.TrainConfig(steps=2, batch=8, checkpoint_every=1)


def sae(**settings):
    made = W.create("p_annealing", 4, 8, **settings)  # it has a file for what training keeps
    with torch.no_grad():
        made.scale.fill_(1.5)
        made.b_enc.add_(torch.arange(made.b_enc.numel()).view_as(made.b_enc))
    return made


def bits(tensors):
    return {name: value.numpy().tobytes() for name, value in tensors.items()}


def read_sae(folder):
    made = W.load(folder)
    return made.shape, made.settings, bits(made.state_dict())


def read_world(folder):
    world = S.load_world(folder)
    return world, bits(world.tensors)


def writer(number):
    made = sae(seed=number)
    adam = Adam(list(made.parameters()), lr=1e-3)
    about = identity(made, CONFIG, WORLD, 0)
    silent = torch.zeros(8, dtype=torch.long)
    progress = {"step": number, "records": [], "seconds": 0.0}
    about = Identity(about.fields | {"init_seed": 0}, WORLD, 0, 8)
    return lambda folder: save_checkpoint(folder / "c", made, adam, silent, about, progress)


def read_checkpoint(folder):
    made = sae()
    about = identity(made, CONFIG, WORLD, 0)
    _, progress = load_checkpoint(folder / "c", made, Adam(list(made.parameters()), lr=1e-3), about)
    return bits(made.state_dict()), progress


CASES = {
    "one over one with a file more": Case(sae().save, W.create("topk", 4, 8, k=2).save, read_sae),
    "a stack over one": Case(sae().save, sae(seed=[1]).save, read_sae),
    "one over a stack": Case(sae(seed=[1]).save, sae().save, read_sae),
    "a stack over a larger one": Case(sae(seed=[0, 1]).save, sae(seed=[3]).save, read_sae),
    "a world": Case(
        lambda f: S.save_world(WORLD, f), lambda f: S.save_world(S.SparseMixture(n_true=8, d=4), f), read_world
    ),
    "a checkpoint": Case(writer(1), writer(2), read_checkpoint),
}


def trials(points):
    """Operations to fail, and how."""
    errors = (Killed, OSError, Killed, KeyboardInterrupt)
    return [(at, error) for at in range(1, points + 1) for error in (errors[1:] if EVERY else [errors[at % 4]])]


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def leftovers(folder):
    return [path.name for path in folder.rglob(".*")]


@pytest.mark.parametrize("name", CASES)
def test_a_stop_at_any_operation_leaves_the_old_or_the_new(tmp_path, monkeypatch, name):
    case, template = CASES[name], tmp_path / "old"
    template.mkdir()
    case.old(template)
    shutil.copytree(template, tmp_path / "new")
    old = case.read(template)
    faults = Faults(monkeypatch)
    faults.run(lambda: case.new(tmp_path / "new"))
    points, new, seen = faults.count, case.read(tmp_path / "new"), set()
    assert old != new
    assert not leftovers(tmp_path / "new")
    for at, error in trials(points):
        folder = tmp_path / f"{at}-{error.__name__}"
        shutil.copytree(template, folder)
        assert faults.run(lambda folder=folder: case.new(folder), at, error)
        read = case.read(folder)
        assert read in (old, new), (at, error)
        seen.add(read == new)
        case.new(folder)
        assert case.read(folder) == new, (at, error)
        assert files(folder) == files(tmp_path / "new"), (at, error)
    assert seen == {False, True}


def trained(folder):
    command = Train("topk", folder, world=str(folder.parent / "world"), m=8, set=("k=2",), train=CONFIG)
    return _train(command, Console(quiet=True))


def test_a_stop_of_train_at_any_operation_is_gone_on_with(tmp_path, monkeypatch):
    """The same command ends with the same SAE, wherever it was stopped; once more it does nothing."""
    S.save_world(WORLD, tmp_path / "world")
    faults = Faults(monkeypatch)
    faults.run(lambda: trained(tmp_path / "whole"))
    points, whole = faults.count, read_sae(tmp_path / "whole")
    for at, error in trials(points):
        folder = tmp_path / f"{at}-{error.__name__}"
        assert faults.run(lambda folder=folder: trained(folder), at, error)
        assert trained(folder) == 0
        assert read_sae(folder) == whole, at
        assert leftovers(folder) in ([], [".lock"]), at
        assert files(folder) == files(tmp_path / "whole"), at


def test_a_stop_of_a_run_at_any_operation_leaves_whole_folders(tmp_path, monkeypatch):
    def act(root):
        run = Run.start(root, "study", {"a": 1})
        run.append({"id": "x", "result": 1})
        run.write_table([{"b": 2}])

    monkeypatch.setattr(results, "environment", dict)
    faults = Faults(monkeypatch)
    faults.run(lambda: act(tmp_path / "whole"))
    points = faults.count
    for at, error in trials(points):
        root = tmp_path / f"{at}-{error.__name__}"
        assert faults.run(lambda root=root: act(root), at, error)
        for folder in (root / "study").glob("[!.]*"):
            run = Run.open(folder, "study")
            assert run.config == {"a": 1}
            assert list(run.records()) in ([], [{"id": "x", "result": 1}])
            run.append({"id": "y", "result": 2})
            run.write_table([{"b": 2}])
            assert [record["id"] for record in run.records()][-1] == "y"
            del run
            assert leftovers(folder) == []
        act(root)
        assert leftovers(root) == []
