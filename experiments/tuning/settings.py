"""Settings of the study of tuning, light enough for --help."""

from dataclasses import dataclass
from typing import Literal

from synthetic.base.errors import must, pick
from workbench.study.flags import RunFlags

Part = Literal["factorial", "defaults", "saelens"]
Law = Literal["flat", "trees", "correlated"]
Compared = Literal["topk", "batch_topk", "jumprelu", "matryoshka"]


@dataclass(frozen=True)
class Tuning(RunFlags):
    """Settings of `python -m experiments tuning`; seeds draw world, samples and weights."""

    parts: tuple[Part, ...] = ("factorial", "defaults")
    """factorial: what of TopK's training matters on trees; defaults: dead latents and L0 of every variant as
    `workbench.tuned` trains it, on six worlds; saelens: four variants beside SAELens's own, where it is installed"""
    worlds: tuple[Law, ...] = ("flat", "trees", "correlated")
    """worlds of the comparison with SAELens"""
    compared: tuple[Compared, ...] = ("topk", "batch_topk", "jumprelu", "matryoshka")
    """variants of the comparison with SAELens"""
    variants: tuple[str, ...] = ("all",)
    """variants of the part defaults; "all" for the shelf but for those with frozen rows or columns"""
    samples: int = 400_000
    """training samples of each SAE"""
    batch: int = 128
    """samples a step; at the largest rate SAELens also has batches eight times as large to choose from"""
    rates: tuple[float, ...] = (1e-3, 3e-3, 1e-2)
    """learning rates that both sides of the comparison choose from, on a world and weights that are not judged"""
    evaluation_samples: int = 20_000
    """fresh samples that scores are taken on"""

    adds = ("seeds", "parts", "worlds", "compared", "variants")
    least_seeds = 2
    positive = ("samples", "batch", "evaluation_samples")

    def check(self) -> None:
        """Refuse impossible settings before any work."""
        from workbench import variant_shelf

        for name in ("parts", "worlds", "compared", "variants", "rates"):
            must(getattr(self, name), f"--{name}", "one or more", "none", "name some")
        must(min(self.rates) > 0, "--rates", "above 0", self.rates, "give positive step sizes")
        must(self.samples >= self.batch, "--samples", f"at least the batch of {self.batch}", self.samples, "raise it")
        for name in self.variants:
            pick(name, ["all", *variant_shelf()], "--variants")
        if "saelens" in self.parts:
            from experiments.rivals import must_be_here

            must_be_here("saelens")


FLAGS = {"tuning": Tuning}
