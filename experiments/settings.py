"""Settings of what stands in this folder itself, light enough for --help."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from experiments.lm.settings import GPT2
from synthetic.base.errors import must, pick


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


FLAGS = {"benchmark": Benchmark, "gpt2": GPT2}
