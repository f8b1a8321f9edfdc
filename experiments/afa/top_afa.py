"""Does top-AFA recover features? Loss weight, sparsity, initialisation and normalisation varied; TopK beside.

Also starts both variants at the true dictionary and watches them leave it or stay (AFA-17). Run `python -m experiments
top_afa`; results go to `runs/top_afa/...`; `--resume FOLDER` goes on; `--help` lists the flags.
"""

import synthetic.base.terminal  # noqa: F401 (Ctrl-C from here on)

# isort: split
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from rich.table import Table

from experiments.cells import Cell, Report, carry_out, commanded
from synthetic.base.console import Console
from synthetic.base.errors import must
from synthetic.base.flags import read_flags
from synthetic.base.streams import stream
from synthetic.laws.firing import Independent
from synthetic.laws.rates import Constant
from synthetic.source import World
from synthetic.transformed.standardised import Standardised
from synthetic.worlds.presets import superposition
from workbench import SAE, TrainConfig, create, evaluate, train
from workbench.study.figure import finish, numbers, shared_legend, styled, subplots
from workbench.study.panels import COLOURS, draw_band

METRICS = ("recovered", "l0", "fvu", "corr(L0, K)", "saturated", "mcc", "chance")
_SAMPLES = 4096
"""behind the correlation and the saturated share"""


@dataclass(frozen=True)
class TopAFA:
    """Settings."""

    afa: tuple[float, ...] = (0.0, 1 / 128, 1 / 32, 1 / 8, 2.0)
    """weights of the norm-matching loss"""
    k: tuple[int, ...] = (2, 4, 8)
    """features that fire on average, K"""
    aux: float = 0.0
    """weight of the dead latents' share in the residual; the reference's is 1/32"""
    n_true: int = 64
    """features of the world, random directions"""
    d: int = 32
    """dimensions"""
    m: int = 128
    """latents"""
    steps: int = 2500
    """training steps"""
    batch: int = 256
    """samples a step"""
    lr: float = 1e-3
    """Adam's step size, constant"""
    seeds: int = 5
    """members of each stack, which differ in initial weights"""
    jobs: int = 0
    """processes; 0 for one a core"""
    out: Path = Path("runs")
    """where run folders go"""
    resume: Path | None = None
    """run folder to continue, with the settings it was started with"""
    dry_run: bool = False
    """print the settings and the cells, and stop"""

    @property
    def middle(self) -> int:
        """The K that is looked at most closely."""
        return self.k[len(self.k) // 2]

    def check(self) -> None:
        """Refuse impossible settings before any work."""
        for name in ("n_true", "d", "m", "steps", "batch", "seeds"):
            must(getattr(self, name) >= 1, f"--{name.replace('_', '-')}", "at least 1", getattr(self, name), "raise it")
        must(self.lr > 0, "--lr", "above 0", self.lr, "raise it")
        must(self.aux >= 0, "--aux", "at least 0", self.aux, "use 0 for none")
        must(self.afa and min(self.afa) >= 0, "--afa", "weights of at least 0", self.afa, "drop the negative ones")
        fits = self.k and min(self.k) >= 1 and max(self.k) <= min(self.n_true, self.m)
        must(fits, "--k", f"from 1 to {min(self.n_true, self.m)}", self.k, "change K, n_true or m")


def plan(settings: TopAFA) -> list[Cell]:
    """One cell a stack: the grid with all weights, TopK beside it; starts at the truth, one data seed each."""
    common = {name: getattr(settings, name) for name in ("n_true", "d", "aux", "steps", "batch", "lr")}
    seeds = list(range(settings.seeds))
    common |= {"init": "kaiming", "normalise": "world", "start": "random", "afa": None, "topk": None, "seeds": seeds}
    cells: list[Cell] = []

    def add(id: str, variant: str, k: int, m: int, **own: Any) -> None:
        size = settings.steps * settings.batch * len(own.get("afa") or [0])
        cells.append(common | {"id": id, "variant": variant, "k": k, "m": m, "size": size, "data": 0, **own})

    for k in settings.k:
        for init in ("kaiming", "tied"):
            for normalise in ("world", "sample"):
                id = f"top_afa/K{k}/{init}/{normalise}"
                add(id, "top_afa", k, settings.m, init=init, normalise=normalise, afa=list(settings.afa))
        add(f"topk/K{k}", "topk", k, settings.m, topk=k)
    middle = settings.middle
    add("topk-dense", "topk", middle, settings.m, topk=min(2 * settings.d, settings.m))
    for seed in seeds:  # at the truth only the data can differ
        own: dict[str, Any] = {"start": "truth", "seeds": [seed], "data": seed}
        add(f"truth/top_afa/{seed}", "top_afa", middle, settings.n_true, afa=[1 / 32], **own)
        add(f"truth/topk/{seed}", "topk", middle, settings.n_true, topk=middle, **own)
    return cells


def world_of(cell: Cell) -> World:
    """Random directions, each feature firing with probability K / n_true, magnitudes U(.5, 1.5)."""
    firing = Independent(Constant(cell["k"] / cell["n_true"]))
    world = superposition(n_true=cell["n_true"], d=cell["d"], firing=firing)
    return Standardised(world) if cell["normalise"] == "sample" else world


def new_sae(cell: Cell, world: World) -> SAE:
    """A stack: weights of the norm loss down, seeds across; at the truth where the cell says so."""
    seeds = cell["seeds"]
    own: dict[str, Any] = {"k": cell["topk"]} if cell["topk"] else {}
    if cell["afa"]:
        own = {"afa": [[a] for a in cell["afa"]], "aux": cell["aux"], "init": cell["init"]}
        seeds = [seeds]
    sae = create(cell["variant"], cell["d"], cell["m"], seed=seeds, **own)
    if cell["start"] == "truth":
        with torch.no_grad():
            sae.W_dec.copy_(world.truth.features.expand_as(sae.W_dec))
            sae.W_enc.copy_(world.truth.features.mT.expand_as(sae.W_enc))
    return sae


def scores(sae: SAE, world: World) -> dict[str, Any]:
    """The figures of this study, arrays of the stack's shape."""
    found = evaluate(sae, world, n=20_000, seed=1)
    batch = world.sample(_SAMPLES, stream(1, "study"))
    with torch.no_grad():
        out = sae.eval().trace(batch.x * sae.scale)
        active = (out.dense() != 0).sum(-1).double()
        true = (batch.h.values != 0).sum(-1).double()
        saturated = torch.zeros(sae.shape)
        if sae.name == "top_afa":
            all_kept = (out.pre @ sae.W_enc).relu() * sae.W_dec.norm(dim=-1)[..., None, :]
            saturated = (all_kept.norm(dim=-1) < out.pre.norm(dim=-1)).double().mean(-1)
    pairs = [torch.corrcoef(torch.stack((own, true)))[0, 1] for own in active.reshape(-1, len(true))]
    values = {"corr(L0, K)": torch.stack(pairs).nan_to_num().view(sae.shape), "saturated": saturated}
    for name, end in (("recovered", ""), ("chance", "_null")):
        values[name] = torch.as_tensor(found[f"recall@.9{end}"]) * world.truth.n_true
    return {name: np.asarray(values.get(name, found.get(name))).tolist() for name in METRICS}


def work(cell: Cell, report: Report) -> list[dict[str, Any]]:
    """Train and score one stack; runs in a process of the pool."""
    world = world_of(cell)
    sae = new_sae(cell, world)
    start = [] if cell["start"] != "truth" else [{"step": 0, **scores(sae, world)}]
    config = TrainConfig(
        steps=cell["steps"], batch=cell["batch"], lr=cell["lr"], warm_up=0.0, decay=0.0, clip=None, centre=False
    )
    halts = {round(cell["steps"] ** (i / 8)) for i in range(9)} if start else {cell["steps"]}
    found = start
    members = len(cell["afa"] or [0])

    def on_step(progress: Any) -> None:
        if progress.step in halts:
            found.append({"step": progress.step, **scores(sae, world)})
            sae.train()
        report(progress.step * cell["batch"] * members, "training")

    train(sae, world, config, seed=cell["data"], on_step=on_step)
    return found


def rows(cells: list[Cell], results: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Tidy rows: one number a member, step and metric."""
    for cell in cells:
        about = {name: cell[name] for name in ("variant", "k", "m", "init", "normalise", "start", "topk")}
        for record in results[cell["id"]]:
            for metric in METRICS:
                values = np.asarray(record[metric]).reshape(-1, len(cell["seeds"]))
                for afa, own in zip(cell["afa"] or [None], values, strict=True):
                    for seed, value in zip(cell["seeds"], own.tolist(), strict=True):
                        yield about | {
                            "afa": afa,
                            "step": record["step"],
                            "seed": seed,
                            "metric": metric,
                            "value": value,
                        }


ARMS = {("kaiming", "world"): 0, ("tied", "world"): 1, ("kaiming", "sample"): 2, ("tied", "sample"): 4}
FROM_TRUTH = {"top_afa": (COLOURS[3], "top-AFA, λ = 1/32"), "topk": ("black", "TopK, k = K")}
SCALES = {"world": "scaled as a whole", "sample": "standardised one by one"}


def draw(frame: pl.DataFrame, settings: TopAFA, stem: Path) -> list[Path]:
    """Recovered features and L0 against the weight, a column a K, the start at the truth last; from the table alone."""
    columns = len(settings.k) + 1
    weights = [str(Fraction(a).limit_denominator(1024)) for a in settings.afa]
    places = list(range(len(settings.afa)))

    def seeds_of(**wanted: Any) -> list[float]:
        return numbers(frame, **wanted)

    with styled():
        size = (3.0 * columns + 0.8, 6.0)
        figure, panels = subplots(2, columns, figsize=size, sharey="row")
        for j, k in enumerate(settings.k):
            for panel, metric in zip(panels[:, j], ("recovered", "l0"), strict=True):
                for (init, normalise), colour in ARMS.items():
                    arm = {"variant": "top_afa", "start": "random", "init": init, "normalise": normalise, "k": k}
                    values = [seeds_of(metric=metric, afa=a, **arm) for a in settings.afa]
                    draw_band(panel, places, values, COLOURS[colour], f"top-AFA, {init} start, {SCALES[normalise]}")
                topk = seeds_of(metric=metric, variant="topk", start="random", k=k, topk=k)
                draw_band(panel, [places[0], places[-1]], [topk, topk], "black", "TopK, k = K")
                panel.set_xticks(places, weights)
                panel.set_xlabel("weight of the norm loss λ")
            panels[0, j].set_title(f"{k} features fire on average")
        for panel, metric in zip(panels[:, -1], ("recovered", "l0"), strict=True):
            for variant, (colour, label) in FROM_TRUTH.items():
                own = frame.filter(pl.col("start") == "truth", pl.col("variant") == variant, pl.col("metric") == metric)
                steps = own.group_by("step").agg(pl.col("value")).sort("step")
                draw_band(panel, steps["step"].to_list(), steps["value"].to_list(), colour, f"{label}, from the truth")
            panel.set_xscale("symlog", linthresh=1)
            panel.set_xlabel("training steps")
        panels[0, -1].set_title(f"started at the truth, K = {settings.middle}")
        chance = frame.filter(pl.col("metric") == "chance")["value"].to_numpy()
        for panel in panels[0]:
            panel.axhline(float(np.median(chance)), color="0.45", linestyle="--", linewidth=1.2, label="chance")
        for panel in panels[1]:
            panel.axhline(settings.d, color="0.4", linestyle=":", linewidth=1.2, label="d")
        panels[0, 0].set(ylabel=f"features recovered, of {settings.n_true}", ylim=(-2, settings.n_true + 3))
        panels[1, 0].set(ylabel="active latents, L0", yscale="log")
        panels[1, 0].set_yticks([2**i for i in range(1, 8)], [str(2**i) for i in range(1, 8)])
        panels[1, 0].minorticks_off()
        shared_legend(figure, (panels[1, 0], panels[0, 0], panels[1, -1]), columns=3)
        caption = (
            "n_true = {n_true} random directions, d = {d}, m = {m} (from the truth {n_true}); {steps} steps of "
            "{batch}, Adam {lr:g}, aux {aux:.3g}; recovered: cos > .9; {seeds} seeds (of weights; from the truth of "
            "data): median, 10-90 % band, points."
        ).format(**asdict(settings))
        return finish(figure, caption, stem)


def table_of(frame: pl.DataFrame, settings: TopAFA) -> Table:
    """Final figures at the middle K: medians over seeds, of recovered features also the range."""
    last = frame.filter(pl.col("k") == settings.middle, pl.col("step") == settings.steps)
    table = Table(
        "run", *METRICS[:-1], title=f"K = {settings.middle}, after {settings.steps} steps: medians over seeds"
    )
    keys = ["variant", "start", "init", "normalise", "topk", "afa"]
    for (variant, start, init, normalise, topk, afa), own in last.group_by(keys, maintain_order=True):
        weight = "" if afa is None else f"λ {Fraction(afa).limit_denominator(1024)} {init}"
        name = f"TopK {topk}" if variant == "topk" else weight + (" std" if normalise == "sample" else "")
        values = {metric: own.filter(pl.col("metric") == metric)["value"].to_numpy() for metric in METRICS}
        cells = [f"{np.median(values[metric]):.3g}" for metric in METRICS[:-1]]
        cells[0] += f" ({values['recovered'].min():g}–{values['recovered'].max():g})"
        table.add_row(name + (", truth" if start == "truth" else ""), *cells)
    table.caption = "std: samples standardised one by one; truth: started there"
    return table


def told(cell: Cell) -> str:
    """A cell in one line."""
    return f"{cell['id']:32} {cell['size']:,} samples x {len(cell['seeds'])} seeds"


def experiment(settings: TopAFA, console: Console) -> int:
    """Plan, run, write, draw, show; returns the exit code."""
    done = carry_out(settings, "top_afa", plan, work, console, told)
    if isinstance(done, int):
        return done
    settings, run = done.settings, done.run
    frame = done.table(rows)
    paths = draw(frame, settings, run.folder / "figures/top_afa")
    console.print(table_of(frame, settings))
    console.print(f"figure {paths[0]}\nresults {run.folder}", soft_wrap=True, highlight=False)
    return 0


def main() -> int:
    """Parse and run."""
    return commanded("top_afa", partial(read_flags, TopAFA, description=__doc__), experiment)


if __name__ == "__main__":
    sys.exit(main())
