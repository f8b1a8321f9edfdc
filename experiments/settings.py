"""Settings of what stands in this folder itself, light enough for --help."""

import os
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from experiments.lm.settings import GPT2
from synthetic.base.errors import must, pick
from workbench.study.flags import OpenFlags, axes_of
from workbench.training.config import PROTOCOL, TrainConfig

if TYPE_CHECKING:  # the flags are read before torch loads
    from synthetic.source import World


@dataclass(frozen=True)
class Benchmark:
    """Settings of `python -m experiments benchmark`."""

    shapes: tuple[str, ...] = ("768/8192/32/1024", "256/2048/16/1024", "32/64/4/512x32")
    """d/m/k/batch of an SAE; x32 for a stack of 32 seeds"""
    variants: tuple[str, ...] = ("topk", "batch_topk", "matryoshka", "relu", "jumprelu", "gated")
    """what to train"""
    repeats: int = 11
    """times each thing is timed, in turn"""
    threads: int = 0
    """threads of torch, the same for all; 0 for the fastest number at the time"""
    against: tuple[Literal["saelens", "dictionary_learning", "sparsify"], ...] = ()
    """other libraries, where installed, that train a TopK SAE of the same shape on the same batches"""
    parts: tuple[Literal["steps", "worlds", "matching", "growth", "pursuit"], ...] = ("steps",)
    """training steps; sampling of the 16k world; MCC at 16384 features by 4096 latents; how cost grows, as a figure;
    matching pursuit by Gram rows against one product a step"""
    device: str = "auto"
    """cpu, cuda, or auto for cuda where there is one"""
    json: bool = False
    """print a JSON list of rows"""
    out: Path = Path("runs")
    """where the run folder of a figure goes"""

    def check(self) -> None:
        """Refuse impossible settings before any work."""
        from experiments.timing import Shape
        from workbench import variant_shelf

        must(self.repeats >= 1, "--repeats", "at least 1", self.repeats, "raise it")
        must(self.threads >= 0, "--threads", "at least 0", self.threads, "use 0 for the fastest number")
        for name in ("shapes", "variants", "parts"):
            must(getattr(self, name), f"--{name}", "one or more", "none", "name some")
        for shape in self.shapes:
            Shape.read(shape)
        for name in self.variants:
            pick(name, variant_shelf(), "--variants")


AxisName = Literal["samples", "sparsity", "superposition", "noise"]
LARGE = 2048
"""features from which a world counts as large"""
SMALL_RUN, LARGE_RUN = 150_000, 1_000_000
"""training samples of an SAE by default"""


@dataclass(frozen=True)
class Recovery(OpenFlags):
    """Settings of `python -m experiments recovery`."""

    world: tuple[str, ...] = ("superposition",)
    """names of worlds (`python -m workbench list`), or folders of saved ones"""
    variants: tuple[str, ...] = ("core",)
    """variant names; "core" for those marked so, "all" for the whole shelf; and dictionary learners, k_svd, mod,
    fast_ica, nmf, k_means, online_dictionary and frozen_random, "classical" for all of them"""
    samples: int | None = None
    """training samples of each SAE; by default 150,000 for small worlds, 1,000,000 for large ones, or --train.steps"""
    axis: tuple[AxisName, ...] = ()
    """what to vary beside samples; by default all four for one small world, samples alone for large ones and several"""
    plugin: Path | None = None
    """a Python file of your own: its variants join in, its worlds and metrics can be named"""
    m: int | None = None
    """latents; by default twice the features of a small world, a quarter of a large one's"""
    k: int | None = None
    """k of the variants that have one, target_l0 of those that are steered; by default the E[L0] of the m most
    frequent features"""
    train: TrainConfig = field(default_factory=lambda: TrainConfig(batch=128))
    """training; evaluations 0 are 8, or 4 on large worlds, where a batch of 128 stands for 1,024 and an lr of 3e-3 for
    3e-4"""
    ceilings: bool = True
    """also train each variant's encoder on the true dictionary, and say which half of an SAE fails (small worlds)"""
    metrics: tuple[str, ...] = ()
    """metrics of figure and table, any that `python -m workbench list` shows; by default a choice of them"""
    threads: int = 1
    """torch threads of each process; changes the last bits of results"""

    adds = ("seeds", "samples", "variants", "world", "axis", "metrics", "set")

    def check(self) -> None:
        """Refuse impossible settings before any work."""
        from workbench import variant_shelf
        from workbench.metrics import METRICS
        from workbench.topics.classical import LEARNERS, must_have

        super().check()
        for name in ("samples", "m", "k"):
            value = getattr(self, name)
            must(value is None or value >= 1, f"--{name}", "at least 1", value, "raise it, or leave it out")
        must(self.world, "--world", "one or more", "none", "name some")
        must(self.variants or self.plugin, "--variants", "one or more", "none", 'name some, or "core"')
        both = self.samples is not None and self.long_as_said
        must(not both, "--samples and --train.steps", "given one at a time", "both", "drop one")
        brought(self.plugin)
        for name in self.variants:
            pick(name, ["core", "all", "classical", *variant_shelf(), *LEARNERS], "--variants")
        for name in self.learners:
            must_have(name, "--variants")
        for name in self.metrics:
            pick(name, [metric for kind in METRICS for metric in kind.names], "--metrics")
        must(self.threads >= 1, "--threads", "at least 1", self.threads, "raise it")

    @property
    def learners(self) -> list[str]:
        """Names of the dictionary learners among the variants, without repeats."""
        from workbench.topics.classical import LEARNERS

        found = [own for name in self.variants for own in (LEARNERS if name == "classical" else [name])]
        return [name for name in dict.fromkeys(found) if name in LEARNERS]

    def training(self, world: "World") -> dict[str, Any]:
        """How SAEs of a world are trained where that differs from `train`."""
        config, large = self.train, world.truth.n_true >= LARGE
        alone = self.left_alone - {*axes_of(self)}
        batch = 1024 if large and "batch" in alone else config.batch
        samples = (LARGE_RUN if large else SMALL_RUN) if self.samples is None else self.samples
        steps = max(1, samples // batch) if "steps" in alone else config.steps
        found = {"steps": steps, "batch": batch, "checkpoint_every": config.checkpoint_every or max(1, steps // 10)}
        return found | ({"lr": 3e-4} if large and "lr" in alone else {})

    def latents(self, world: "World") -> int:
        """Latents of SAEs on a world and its variations."""
        n_true = world.truth.n_true
        return (n_true // 4 if n_true >= LARGE else 2 * n_true) if self.m is None else self.m


@cache
def brought(plugin: Path | None) -> list[str]:
    """Variants of a plug-in, which is run once; its worlds and metrics are then on their shelves."""
    from workbench.plugins import load_plugin

    return load_plugin(plugin)["variants"] if plugin else []


_TRAIN = replace(PROTOCOL, steps=195_312, batch=1024, evaluations=8, evaluation_samples=50_000, checkpoint_every=2000)


@dataclass(frozen=True)
class SynthSAEBench(OpenFlags):
    """Settings of `python -m experiments synthsaebench`; those left alone are the published protocol."""

    recipes: tuple[str, ...] = ("batch_topk", "matryoshka", "ista_matryoshka")
    """names of recipes; "all" for the whole shelf"""
    l0: tuple[float, ...] = (25.0,)
    """active latents a sample to aim at, one member of the stack each"""
    samples: int | None = None
    """training samples of each member; by default 200 million, or --train.steps"""
    m: int = 4096
    """latents"""
    train: TrainConfig = field(default_factory=lambda: _TRAIN)
    """training; of what is left alone here a recipe may have its own"""
    parent_scaling: bool = True
    """children's magnitudes follow their parents', as the creation script says; off as the pinned data behave"""
    correlation: bool = True
    """firing with the low-rank correlation"""
    n_true: int = 16384
    """features; two thirds of them stand in trees"""
    d: int = 768
    """dimensions"""
    final_samples: int = 1_000_000
    """samples of the final evaluation; --train.evaluation-samples are those of each before"""
    device: str = "auto"
    """cpu, cuda, or auto for cuda where there is one"""
    threads: int = 0
    """torch threads; 0 for all cores; changes the last bits of results"""
    seeds: int = 1
    """members of each L0, which differ in initial weights"""
    jobs: int = 1
    """recipes at a time"""

    adds = ("seeds", "recipes", "set")

    def check(self) -> None:
        """Refuse impossible settings before any work."""
        from workbench.training.recipes import RECIPES

        super().check()
        for name in ("m", "d", "final_samples"):
            must(getattr(self, name) >= 1, f"--{name.replace('_', '-')}", "at least 1", getattr(self, name), "raise it")
        must(self.n_true >= 128, "--n-true", "at least 128", self.n_true, "one tree has 85 features")
        both = self.samples is not None and self.long_as_said
        must(not both, "--samples and --train.steps", "given one at a time", "both", "drop one")
        least = self.train.batch
        enough = self.samples is None or self.samples >= least
        must(enough, "--samples", f"at least the batch of {least}", self.samples, "raise it")
        must(self.recipes, "--recipes", "one or more", "none", 'name some, or "all"')
        for name in self.recipes:
            pick(name, [*RECIPES, "all"], "--recipes")
        fits = self.l0 and min(self.l0) > 0 and max(self.l0) <= self.m
        must(fits, "--l0", f"in (0, m={self.m}]", self.l0, "lower it or raise --m")
        must(len(set(self.l0)) == len(self.l0), "--l0", "numbers that differ", self.l0, "drop what is given twice")
        for name in axes_of(self):
            own = {"k": "--l0", "target_l0": "--l0", "m": "--m"}.get(name)
            must(own is None, "--set", "of what has no flag of its own here", name, f"use {own}")

    @property
    def steps(self) -> int:
        """Of training: as many as the samples take, unless they are given."""
        if "steps" not in self.left_alone:
            return self.train.steps
        return max(1, (200_000_000 if self.samples is None else self.samples) // self.train.batch)

    def resolved(self) -> "SynthSAEBench":
        """With device and threads decided, so that a resumed run has the same."""
        from workbench.training.machine import device_of

        threads = self.threads or max(1, (os.cpu_count() or 1) // max(1, self.jobs))
        return replace(self, device=device_of(self.device), threads=threads)


FLAGS = {"benchmark": Benchmark, "gpt2": GPT2, "recovery": Recovery, "synthsaebench": SynthSAEBench}
