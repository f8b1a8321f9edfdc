"""The public benchmark SynthSAEBench-16k at its full protocol: recipes, scored by its definitions and ours.

Run `python -m experiments synthsaebench`; results go to `runs/synthsaebench/...`; `--resume FOLDER` goes on from the
last checkpoint to the same bits; `--help` lists the flags. Two worlds share the name: `--no-parent-scaling` is how the
pinned public data behave. The figure is stated beside every score.
"""

import synthetic.base.terminal  # noqa: F401 (Ctrl-C from here on)

# isort: split
import sys

from experiments import launch

if __name__ == "__main__":
    sys.exit(launch("synthsaebench"))

# isort: split
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from experiments.settings import SynthSAEBench
from synthetic.folder import load_world
from synthetic.laws.forest import Forest
from synthetic.mixture import SparseMixture
from synthetic.worlds.synthsaebench import synthsaebench_16k
from workbench import RECIPES, SAE, evaluate
from workbench.study.figure import Figure
from workbench.study.panels import Axis, Lines, Scene, ink
from workbench.study.places import Arm, Place, Scores, stacks, trained_as
from workbench.study.selection import best, last_step, rows
from workbench.study.study import Study
from workbench.study.table import setting_columns, speeds
from workbench.training.recipes import recipe_settings

SAELENS = {
    "f1": "F1",
    "precision": "P",
    "recall": "R",
    "mcc": "MCC",
    "explained_variance": "EV",
    "dead_latents": "dead",
}
SAELENS = {f"saelens_{metric}": column for metric, column in (SAELENS | {"uniqueness": "uniq."}).items()}
OURS = {"l0": "met", "dead": "dead", "fvu": "FVU", "f1": "F1", "f1_null": "chance", "mcc_corrected": "MCC corr."}
OURS |= {"uniqueness": "uniq."}
METRICS = {"saelens_f1": "F1, SAELens's", "f1": "macro-F1 over features", "mcc": "MCC"}
L0S = (15, 20, 25, 30, 35, 40, 45)
PUBLISHED = {
    "matryoshka": ((611, 861, 879, 833, 797, 769, 747), (557, 746, 793, 794, 794, 792, 791)),
    "batch_topk": ((744, 819, 731, 660, 614, 581, 556), (676, 753, 758, 762, 763, 763, 762)),
    "jumprelu": ((711, 675, 610, 538, 487, 445, 405), (685, 714, 728, 733, 736, 739, 740)),
    "ista_matryoshka": ((781, 888, 977, 927, 885, 852, 818), (732, 803, 818, 816, 814, 812, 811)),
}
"""F1 and MCC at `L0S` in thousandths, width 4,096, 200 million samples, read off plots: arXiv 2602.14687, means of five
seeds (which of the two worlds is not stated); `ista_matryoshka`: one run of LISTA-Matryoshka,
github.com/chanind/claude-auto-research-synthsaebench"""


def new_world(settings: SynthSAEBench) -> SparseMixture:
    """The benchmark's world, or one of its kind with fewer features in as many trees as their share."""
    shape: dict[str, Any] = {"n_true": settings.n_true, "d": settings.d}
    world = synthsaebench_16k(scale_by_parent=settings.parent_scaling, correlation=settings.correlation, **shape)
    if isinstance(world.firing, Forest):
        world = replace(world, firing=replace(world.firing, trees=max(1, 128 * settings.n_true // 16384)))
    return world


def label_of(settings: SynthSAEBench) -> str:
    """Which of the worlds that share the benchmark's name."""
    name = "synthsaebench_16k" if settings.parent_scaling else "synthsaebench_16k_historical"
    return name if settings.correlation else f"{name}, independent"


def world_of(settings: SynthSAEBench) -> SparseMixture:
    """The world, as a run has kept it that is resumed or drawn again: its directions take minutes to draw."""
    run = settings.resume or settings.redraw
    return _world_of(replace(SynthSAEBench(), **{n: getattr(settings, n) for n in _OF_WORLD}), run)


_OF_WORLD = ("n_true", "d", "parent_scaling", "correlation")


@cache
def _world_of(settings: SynthSAEBench, run: Path | None) -> SparseMixture:
    kept = run and run / "worlds" / label_of(settings)
    world: Any = load_world(kept) if kept and (kept / "world.json").exists() else new_world(settings)
    return world


def places(settings: SynthSAEBench) -> list[Place]:
    """The world."""
    return [Place(label_of(settings), world_of(settings), world=label_of(settings).split(",")[0])]


def names_of(settings: SynthSAEBench) -> list[str]:
    """The recipes, those of "all" among them, without repeats."""
    return list(dict.fromkeys(n for name in settings.recipes for n in (RECIPES if name == "all" else [name])))


def arms(settings: SynthSAEBench, place: Place) -> list[Arm]:
    """The recipes, each a stack of L0s down, seeds across; its schedule goes over training that was left alone."""
    found, prepare = [], partial(onto, settings.device)
    for name in names_of(settings):
        own, grid, changes = recipe_settings(name, settings.d, settings.m, l0=settings.l0, steps=settings.steps)
        alone = {name: value for name, value in changes.items() if name in settings.left_alone}
        train = {**alone, "steps": settings.steps}
        found.append(Arm(name, RECIPES[name].variant, settings.m, own, grid, train, prepare))
    return found


def onto(device: str, sae: SAE, source: Any) -> None:
    """Move a fresh stack to where it is trained."""
    sae.to(device)


def measure(sae: SAE, place: Place, settings: SynthSAEBench) -> Scores:
    """The final scores."""
    return evaluate(sae, place.source, settings.final_samples, seed=1)


def with_l0(table: pl.DataFrame, settings: SynthSAEBench) -> pl.DataFrame:
    """The table whose x is the L0 that a member aims at."""
    found = setting_columns(table)
    target = pl.col("target_l0") if "target_l0" in found.columns else pl.lit(None)
    aimed = found.select(x=pl.when(pl.col("seed").is_not_null()).then(pl.coalesce("k", target)))
    return table.with_columns(aimed["x"].cast(pl.Float64))


def published(settings: SynthSAEBench, name: str, l0: float) -> dict[str, float]:
    """F1 and MCC that were published for a recipe, where the shapes agree."""
    same = (settings.m, settings.n_true, settings.d) == (4096, 16384, 768) and settings.correlation
    if not same or name not in PUBLISHED or l0 not in L0S:
        return {}
    f1, mcc = (values[L0S.index(int(l0))] / 1000 for values in PUBLISHED[name])
    return {"saelens_f1": f1, "saelens_mcc": mcc, "mcc": mcc}


@dataclass(frozen=True)
class Published:
    """Published figures of each arm, dotted: a level, or a line over several L0s."""

    metric: str

    def draw(self, axes: Axes, scene: Scene) -> None:
        """Draw them in the arms' colours, with one entry for all in the legend."""
        l0s, style = sorted(scene.settings.l0), {"linestyle": ":", "linewidth": 1.2}
        for name, look in scene.looks.items():
            known = {l0: published(scene.settings, name, l0) for l0 in l0s}
            points = {l0: figures[self.metric] for l0, figures in known.items() if self.metric in figures}
            if points and len(l0s) > 1:
                axes.plot(list(points), list(points.values()), color=look.colour, marker=".", **style)
            elif points:
                axes.axhline(points[l0s[0]], color=look.colour, **style)
            if points:
                axes.plot([], [], color=ink(), label="published at 200M samples", **style)


def figures(settings: SynthSAEBench) -> list[Figure]:
    """Curves against samples, or against L0 where there are several; of several settings the best by SAELens's F1."""
    over = "x" if len(settings.l0) > 1 else "samples"
    across = Axis("L0 aimed at") if over == "x" else Axis("samples seen", log=True)
    panels = [
        Lines(y=metric, over=over, across=across, up=Axis(label, limits=(-0.03, 1.05)), marks=(Published(metric),))
        for metric, label in METRICS.items()
    ]
    caption = about(settings).replace("{", "{{").replace("}", "}}")
    return [Figure("synthsaebench", panels, caption, size=(3.7, 2.5), pick=best("saelens_f1"))]


def tables(settings: SynthSAEBench) -> list[Any]:
    """Final scores by both definitions, then how fast it went."""
    true_l0 = world_of(settings).truth.expected_l0
    flag = f"parent scaling {'on' if settings.parent_scaling else 'OFF'}, true L0 {true_l0:.2f}"
    titles = {f"SAELens's definitions; {flag}": SAELENS}
    titles |= {f"ours: macro-F1 over features, MCC corrected for chance; {flag}": OURS}
    return [*(partial(scores, settings, columns, title) for title, columns in titles.items()), speed_lines]


def scores(settings: SynthSAEBench, columns: dict[str, str], title: str, table: pl.DataFrame) -> Table:
    """Final scores: medians over seeds, the least and the most where there are several, published figures."""
    shown = Table(title=title, box=SIMPLE_HEAD, padding=0, collapse_padding=True)
    shown.add_column("recipe", no_wrap=True, min_width=20)
    for name in ("L0", *columns.values()):
        shown.add_column(name, justify="right")
    kinds = {metric: "null" if metric.endswith("_null") else "score" for metric in columns}
    last = last_step(table).filter(pl.col("x").is_not_null())
    for (name, x, setting), own in last.group_by("arm", "x", "setting", maintain_order=True):
        varied = [text for text in str(setting).split() if not text.startswith(("k=", "target_l0="))]
        head = Text(" ".join([str(name), *varied]), "bold")
        values = [rows(own, metric=m.removesuffix("_null"), kind=kind)["value"].to_numpy() for m, kind in kinds.items()]
        several = (("", np.median), ("  least", np.min), ("  most", np.max))
        for word, part in several if own["seed"].n_unique() > 1 else several[:1]:
            cells = [f"{v:.3f}" if v < 10 else f"{v:.4g}" for v in map(part, values)]
            shown.add_row(*((word, "") if word else (head, f"{x:g}")), *cells, style="dim" if word else "")
        theirs = published(settings, str(name), float(str(x)))
        if any(metric in theirs for metric in columns):
            cells = [f"{theirs[metric]:.3f}" if metric in theirs else "" for metric in columns]
            shown.add_row("  published (world?)", "", *cells, style="dim")
    return shown


def speed_lines(table: pl.DataFrame) -> Iterator[str]:
    """Samples a second of each recipe."""
    for (name, setting), rate in speeds(table).items():
        yield f"{' '.join(filter(None, (name, setting)))}: {rate.replace(' x ', ' samples/s x ')}"


def about(settings: SynthSAEBench) -> str:
    """What must stand beside every score; on a dry run without what the world must be drawn for."""
    world, how = world_of(settings), trained_as(list(stacks(places(settings), arms, settings)))
    scaling, correlation = ("on" if on else "OFF" for on in (settings.parent_scaling, settings.correlation))
    what = "initial weights" if settings.over == "weights" else "world, samples and weights"
    said = f"n_true = {world.n_true}, d = {world.d}"
    if not settings.dry_run:
        rates = world.truth.rates.sort(descending=True).values
        said += f", true E[L0] = {float(rates.sum()):.2f}, {float(rates[: settings.m].sum()):.2f} of it from the "
        said += f"{settings.m} most frequent features"
    return (
        f"SynthSAEBench world, parent scaling {scaling}, correlation {correlation}: {said}; {how['samples']} samples, "
        f"batch {how['batch']}, lr {how['lr']}; {settings.seeds} seeds ({what}); final scores on "
        f"{settings.final_samples:,} samples"
    )


STUDY = Study(
    name="synthsaebench",
    question=__doc__,
    settings=SynthSAEBench,
    places=places,
    arms=arms,
    measure=measure,
    derive=with_l0,
    figures=figures,
    tables=tables,
    headline="saelens_f1",
    keep=True,
    notes=lambda settings: [about(settings)],
    toy=SynthSAEBench(
        recipes=("matryoshka",), l0=(1.0, 2.0), n_true=160, d=24, m=40, samples=6400, seeds=2, final_samples=2000,
        parent_scaling=False, device="cpu", threads=1,
        train=replace(SynthSAEBench().train, batch=64, lr=3e-3, evaluations=2, evaluation_samples=500),
    ),
)  # fmt: skip
main = STUDY.main
