"""Recovery curves: what each SAE variant recovers of a world, against samples, sparsity, superposition and noise.

Run `python experiments/recovery.py` (or `make recovery`); `--help` lists the flags. Results go to a folder
`runs/recovery/...`; `--resume FOLDER` continues an interrupted run.
"""

import synthetic.base.terminal  # noqa: F401 (Ctrl-C from here on)

# isort: split
import sys
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import polars as pl

from experiments.curves import Axis, draw_curves
from experiments.variations import NOISE_DB, Place, feasible, places
from synthetic.base.console import Console, json_text
from synthetic.base.errors import must, pick
from synthetic.base.flags import read_flags
from synthetic.folder import load_world, save_world
from synthetic.laws.forest import Forest
from synthetic.laws.noise import NoNoise
from synthetic.mixture import SparseMixture
from workbench import TrainConfig, ceiling, create, find_source, train, variant_shelf
from workbench.plugins import load_plugin
from workbench.settings import must_fit
from workbench.study.run import Run
from workbench.study.runner import Cell, Report, finish_cells
from workbench.study.study import again, commanded, config_of, opened, show_plan, write_table
from workbench.study.table import score_table

AxisName = Literal["samples", "sparsity", "superposition", "noise"]
METRICS = {"recall@.9": "share of features, cos ≥ .9", "mcc": "MCC", "f1": "macro-F1 over features"}
TABLE = ("recall@.9", "mcc", "f1", "fvu", "l0", "dead")
AXES = {
    "samples": Axis("samples", "samples seen", log=True),
    "sparsity": Axis("sparsity", "features firing a sample, E[L0]", log=True),
    "superposition": Axis("superposition", "features a dimension, n_true/d"),
    "noise": Axis(
        "noise", "signal-to-noise ratio (dB)", ticks=dict(enumerate(["none", *(f"{v:g}" for v in NOISE_DB)]))
    ),
}
LARGE = 2048
"""features from which a world counts as large"""


@dataclass(frozen=True)
class Recovery:
    """Settings of the experiment."""

    world: str = "superposition"
    """preset name, or the folder of a saved world"""
    variants: tuple[str, ...] = ("core",)
    """variant names; "core" for those marked so, "all" for the whole shelf"""
    seeds: int = 5
    """members of each stack, which differ in initial weights"""
    samples: int | None = None
    """training samples of each SAE; by default 150,000 for small worlds, 1,000,000 for large ones"""
    axis: tuple[AxisName, ...] = ()
    """what to vary beside samples; by default all four for small worlds, samples alone for large ones"""
    plugin: Path | None = None
    """a Python file that registers a variant; it joins the variants"""
    m: int | None = None
    """latents; by default twice the features of a small world, a quarter of a large one's"""
    k: int | None = None
    """k of the variants that have one; by default the E[L0] of the m most frequent features"""
    train: TrainConfig = field(default_factory=lambda: TrainConfig(batch=128))
    """training; steps follow from samples; evaluations 0 are 8, or 4 on large worlds, where a batch of 128 stands for
    1,024 and an lr of 3e-3 for 3e-4"""
    ceilings: bool = True
    """also train each variant's encoder on the true dictionary (small worlds)"""
    threads: int = 1
    """torch threads of each process; changes the last bits of results"""
    jobs: int = 0
    """processes; 0 for as many as the cores can feed"""
    out: Path = Path("runs")
    """where run folders go"""
    resume: Path | None = None
    """run folder to continue, with the settings it was started with"""
    dry_run: bool = False
    """print the resolved settings and the cells, and stop"""

    def check(self) -> None:
        """Refuse impossible settings before any work."""
        must(self.seeds >= 1, "--seeds", "at least 1", self.seeds, "5 or more give a band")
        for name in ("samples", "m", "k"):
            value = getattr(self, name)
            must(value is None or value >= 1, f"--{name}", "at least 1", value, "raise it, or leave it out")
        must(self.variants or self.plugin, "--variants", "one or more", "none", 'name some, or "core"')
        default = TrainConfig().steps
        must(self.train.steps == default, "--train.steps", "left alone", self.train.steps, "use --samples")
        must(self.threads >= 1, "--threads", "at least 1", self.threads, "raise it")


def chosen(settings: Recovery) -> list[str]:
    """Variant names, without repeats, plug-ins last."""
    shelf, names = variant_shelf(), []
    for name in settings.variants:
        if name in ("core", "all"):
            names += [n for n, cls in shelf.items() if cls.core or name == "all"]
        else:
            names.append(pick(name, shelf, "--variants"))
    return list(dict.fromkeys(names + (load_plugin(settings.plugin)["variants"] if settings.plugin else [])))


def plan(settings: Recovery, world: SparseMixture, console: Console) -> tuple[list[Place], list[Cell]]:
    """Places, and one cell a place and variant, the base world's first. Paths are relative to the run folder."""
    names, large = chosen(settings), world.n_true >= LARGE
    m = (world.n_true // 4 if large else 2 * world.n_true) if settings.m is None else settings.m
    must(settings.k is None or settings.k <= m, "--k", f"at most m={m}", settings.k, "lower it or raise --m")
    axes = settings.axis or (("samples",) if large else tuple(AXES))
    noisy = not isinstance(world.noise, NoNoise)
    must(
        not (noisy and "noise" in settings.axis), "--axis noise", "used on a noiseless world", settings.world, "drop it"
    )
    config, plain = settings.train, Recovery().train
    if large:
        config = replace(config, batch=1024) if config.batch == plain.batch else config
        config = replace(config, lr=3e-4) if config.lr == plain.lr else config
    samples = (1_000_000 if large else 150_000) if settings.samples is None else settings.samples
    steps = max(1, samples // config.batch)
    evaluations = config.evaluations or (4 if large else 8)
    config = replace(config, steps=steps, checkpoint_every=max(1, steps // 10))
    where, left_out = feasible(places(world, axes), settings.axis)
    for line in left_out:
        console.print(line, style="dim", highlight=False, soft_wrap=True)
    for place in where:
        must_fit(f"SAE of {place.label}", place.world.d, m, (settings.seeds,))
    return where, [
        {
            "id": f"{place.label}/{name}",
            "label": place.label,
            "axis": place.axis,
            "axes": list(axes),
            "x": place.x,
            "variant": name,
            "m": m,
            "k": settings.k,
            "seeds": list(range(settings.seeds)),
            "train": asdict(replace(config, evaluations=evaluations if place.label == "base" else 1)),
            "plugin": str(settings.plugin) if settings.plugin else None,
            "ceiling": settings.ceilings and not large,
            "size": steps * config.batch,
        }
        for place in where
        for name in names
    ]


def work(cell: Cell, report: Report) -> dict[str, Any]:
    """Train and score one stack; runs in a process of the pool."""
    if cell["plugin"]:
        load_plugin(cell["plugin"])
    folder, name = Path(cell["folder"]), cell["id"].replace("/", "-")
    world = load_world(folder / "worlds" / cell["label"])
    config = TrainConfig.of(cell["train"])
    truth, settings = world.truth, {}
    if "k" in variant_shelf()[cell["variant"]].Settings.__dataclass_fields__:
        most_frequent = truth.rates.sort(descending=True).values[: cell["m"]]
        settings["k"] = max(1, round(float(most_frequent.sum()))) if cell["k"] is None else cell["k"]
    sae = create(cell["variant"], world.d, cell["m"], seed=cell["seeds"], **settings)

    def show(progress: Any) -> None:
        mcc = progress.record.get("mcc")
        report(progress.step * config.batch, f"mcc {sum(mcc) / len(mcc):.2f}" if mcc else "training")

    checkpoint = folder / "checkpoints" / f"{name}.safetensors"
    records = train(sae, world, config, checkpoint=checkpoint, resume=True, on_step=show)
    sae.save(folder / "saes" / name)
    checkpoint.unlink(missing_ok=True)
    best = {}
    if cell["ceiling"]:
        best = {k: v for k, v in ceiling(cell["variant"], world, **settings).items() if k in TABLE}
    here = {"sparsity": truth.expected_l0, "superposition": world.n_true / world.d, "noise": 0.0}
    return {"records": records, "ceiling": best, "here": here, "k": settings.get("k")}


def rows(cells: list[Cell], results: dict[str, Any]) -> list[dict[str, Any]]:
    """Tidy rows; the base world's final scores also stand on every axis."""
    table: list[dict[str, Any]] = []
    for cell in cells:
        result, base = results[cell["id"]], cell["label"] == "base"
        for record in result["records"]:
            spots = [("samples", float(record["samples"]))] if base else []
            if record is result["records"][-1]:
                own = [a for a in cell["axes"] if a in result["here"]] if base else [cell["axis"]]
                spots += [(a, result["here"][a] if cell["x"] is None else cell["x"]) for a in own]
            for axis, x in spots:
                place = {"axis": axis, "x": x, "variant": cell["variant"], "generator": cell["label"]}
                place["step"] = record["step"]
                for name, values in record.items():
                    metric, kind = (name[:-5], "null") if name.endswith("_null") else (name, "score")
                    for seed, value in zip(cell["seeds"], values if isinstance(values, list) else [], strict=False):
                        table.append(place | {"seed": seed, "metric": metric, "value": float(value), "kind": kind})
                for name, value in result["ceiling"].items():
                    table.append(place | {"seed": -1, "metric": name, "value": float(value), "kind": "ceiling"})
    return table


def caption(cells: list[Cell], results: dict[str, Any], world: SparseMixture, name: str) -> str:
    """What the figure must say of its settings."""
    first, firing = cells[0], world.firing
    scaling = f", scale_by_parent = {firing.scale_by_parent}" if isinstance(firing, Forest) else ""
    ks = sorted({r["k"] for r in results.values() if r["k"]})
    k = "" if not ks else f", k = {ks[0]}" if len(ks) == 1 else f", k = E[L0] rounded ({ks[0]} to {ks[-1]})"
    return (
        f"world {name}: n_true = {world.n_true}, d = {world.d}, E[L0] = {world.truth.expected_l0:.2f}{scaling}; "
        f"m = {first['m']}{k}; {first['size']:,} samples, batch {first['train']['batch']}, "
        f"lr {first['train']['lr']}; {len(first['seeds'])} seeds (initial weights; members share data): "
        "median, 10-90 % band, points"
    )


def experiment(settings: Recovery, console: Console) -> int:
    """Plan, run, write and show; returns the exit code."""
    settings, run = opened(settings, "recovery")
    base = run.folder / "worlds" / "base" if run else None
    world = load_world(base) if base is not None and (base / "world.json").exists() else find_source(settings.world)
    where, cells = plan(settings, world, console)
    if settings.dry_run:
        lines = (f"{c['id']:32} m = {c['m']}, {c['size']:,} samples x {len(c['seeds'])} seeds" for c in cells)
        show_plan(console, config_of(settings), lines)
        console.print(json_text({"train as resolved": cells[0]["train"]}), soft_wrap=True)
        return 0
    run = run or Run.start(settings.out, "recovery", config_of(settings))
    for place in where:
        if not (run.folder / "worlds" / place.label / "world.json").exists():
            save_world(place.world, run.folder / "worlds" / place.label)
    cells = [cell | {"folder": str(run.folder)} for cell in cells]
    again_with = again("recovery", settings)
    results, failed = finish_cells(work, cells, run, console, again_with, jobs=settings.jobs, threads=settings.threads)
    cells = [cell for cell in cells if cell["id"] in results]
    if not cells:
        return 1
    frame = write_table(run, lambda: rows(cells, results))
    used = [AXES[name] for name in dict.fromkeys(["samples", *cells[0]["axes"]])]
    about = caption(cells, results, world, settings.world)
    paths = draw_curves(
        frame.filter(pl.col("metric").is_in(METRICS)), used, METRICS, about, run.folder / "figures/recovery"
    )
    rates = {}
    for cell in cells:
        if cell["label"] == "base":
            last = results[cell["id"]]["records"][-1]
            rates[cell["variant"]] = f"{last['samples'] / last['seconds']:,.0f} x {len(cell['seeds'])}"
    final = frame.filter(pl.col("axis") == "samples").filter(pl.col("x") == pl.col("x").max())
    console.print(about, style="dim", highlight=False)
    console.print(score_table(final, TABLE, rates, "base world, last step"))
    console.print(f"figure {paths[0]}\nresults {run.folder}", soft_wrap=True, highlight=False)
    return 1 if failed else 0


def main() -> int:
    """Parse, run, and end bad input with one line and exit code 2."""
    return commanded("recovery", partial(read_flags, Recovery, description=__doc__), experiment)


if __name__ == "__main__":
    sys.exit(main())
