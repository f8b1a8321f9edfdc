"""Timing of training steps: a shape, a step whose parts are timed, what it must equal, what memory it takes."""

import itertools
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from synthetic.base.errors import must
from synthetic.base.streams import stream
from synthetic.laws.firing import Independent
from synthetic.laws.rates import Constant
from synthetic.mixture import SparseMixture
from workbench import kernels
from workbench.parts.objectives import aux_k_loss
from workbench.parts.sparsifiers import fired
from workbench.sae import SAE
from workbench.training.config import TrainConfig
from workbench.training.loop import gradients
from workbench.training.machine import Work, seconds
from workbench.training.optimiser import Optimiser
from workbench.variants import create, variant_shelf


@dataclass(frozen=True)
class Shape:
    """Sizes of a step."""

    d: int
    m: int
    k: int
    batch: int
    stack: int = 1

    @classmethod
    def read(cls, text: str) -> "Shape":
        """From d/m/k/batch, with x and a number of members behind it or not."""
        sizes, _, stack = text.partition("x")
        numbers = [int(part) if part.isdigit() else 0 for part in (*sizes.split("/"), *([stack] if stack else []))]
        right = len(sizes.split("/")) == 4 and min(numbers) > 0
        must(right, "--shapes", "d/m/k/batch, such as 256/2048/16/1024 or 32/64/4/512x32", text, "mend it")
        most, k = numbers[1:3]
        must(k <= most, "--shapes", f"of at most m={most} active latents", text, "lower k or raise m")
        return cls(*numbers)

    def sae(self, variant: str, device: str) -> SAE:
        """A fresh SAE or stack."""
        own: dict[str, Any] = {"k": self.k} if "k" in variant_shelf()[variant].settings else {}
        return create(variant, self.d, self.m, seed=list(range(self.stack)) if self.stack > 1 else 0, **own).to(device)

    def inputs(self, device: str) -> Tensor:
        """A batch with k of m/2 features firing, scaled to E|x|^2 = d."""
        world = self.world()
        x = world.sample(self.batch, stream(0, "benchmark", 0, device)).x
        return x * (self.d**0.5 / x.norm(dim=1).square().mean().sqrt())

    def world(self) -> SparseMixture:
        """Random directions, twice as many latents as features, k firing on average."""
        n_true = max(self.m // 2, self.k)
        return SparseMixture(n_true=n_true, d=self.d, firing=Independent(Constant(min(self.k / n_true, 1.0))))


class Step:
    """A training step of ours, with the time spent in its parts."""

    def __init__(self, sae: SAE, x: Tensor) -> None:
        self.sae, self.x, self.config = sae.train(), x, TrainConfig()
        self.optimiser = Optimiser(sae, self.config)
        self.silent = torch.zeros(*sae.shape, sae.m, dtype=torch.long, device=x.device)
        self.spent: defaultdict[str, float] = defaultdict(float)

    def __call__(self) -> None:
        """What `train` does on one batch."""
        out: list[Any] = []
        dead = self.silent >= self.config.dead_after
        self._time("gradients", lambda: out.extend(gradients(self.sae, self.x, dead, self.config, 10**6)))
        self._time("optimiser", lambda: self.optimiser.step(1.0))
        self._time("rest", lambda: self._finish(out[0]))

    def _finish(self, out: Any) -> None:
        self.sae.finish_step(out)
        self.silent = torch.where(fired(out.codes, self.sae.m), 0, self.silent + 1)

    def _time(self, part: str, work: Work) -> None:
        self.spent[part] += seconds(work)


def assert_equal(shape: Shape, variant: str, device: str = "cpu") -> None:
    """Loss and gradients, AuxK included where it applies, are those of dense autograd on 64 samples.

    Three ways are compared: as device and shape decide, with latents kept sparse by force, and dense products of plain
    torch; in float64 on the CPU and in float32 on another device.
    """
    dtype = torch.float64 if device == "cpu" else torch.float32
    ways = ({"name": "reference", "sparse": False}, {}, {"sparse": True})
    plain, *others = [_gradients_of(shape, variant, device, dtype, way) for way in ways]
    rtol, atol = (1e-7, 1e-7) if device == "cpu" else (1e-3, 1e-4)
    for other in others:
        for ours, expected in zip(other, plain, strict=True):
            torch.testing.assert_close(ours, expected, rtol=rtol, atol=atol)


def _gradients_of(shape: Shape, variant: str, device: str, dtype: torch.dtype, way: dict[str, Any]) -> list[Tensor]:
    sae = shape.sae(variant, device).to(dtype).train()
    x = shape.inputs("cpu")[:64].to(device, dtype)
    with kernels.using(**way):
        out = sae.trace(x)
        loss = torch.stack(list(sae.loss(out).values())).sum(0)
        if out.coded.evidence is not None:
            dead = (torch.arange(sae.m, device=device) % 3 == 0).expand(*sae.shape, -1)
            loss = loss + aux_k_loss(out, dead, 8)
        loss.sum().backward()
    return [loss.detach(), *(p.grad for p in sae.parameters() if p.grad is not None)]


def peak_bytes(work: Work) -> int | None:
    """Most memory of tensors in use during the work above what is in use before; None where torch does not tell."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        work()
        return torch.cuda.max_memory_allocated() - before
    with torch.autograd.profiler.profile(profile_memory=True) as profile:
        work()
    found = getattr(profile, "kineto_results", None)
    if found is None:
        return None
    changes = [(event.start_ns(), event.nbytes()) for event in found.events() if event.name() == "[memory]"]
    return max(itertools.accumulate((size for _, size in sorted(changes)), initial=0))
