"""Recovery curves: what each SAE variant recovers of a world, against samples, sparsity, superposition and noise.

Run `python -m experiments recovery` (or `make recovery`); `--help` lists the flags. Results go to a folder
`runs/recovery/...`; `--resume FOLDER` continues an interrupted run, or adds seeds, samples, variants and worlds to it.
"""

import synthetic.base.terminal  # noqa: F401 (Ctrl-C from here on)

# isort: split
import sys

from experiments import launch

if __name__ == "__main__":
    sys.exit(launch("recovery"))

# isort: split
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl

from experiments.classical import Fit, fitted
from experiments.classical import notes as of_learners
from experiments.curves import Column, curves
from experiments.settings import LARGE, Recovery, brought
from experiments.variations import NOISE_DB, feasible, places
from synthetic.base.errors import must, pick
from synthetic.folder import load_world
from synthetic.laws.forest import Forest
from synthetic.laws.noise import NoNoise
from synthetic.mixture import SparseMixture
from synthetic.source import World, has_targets
from workbench import SAE, TrainConfig, ceiling, create, find_source, two_by_two, variant_shelf
from workbench.sae import must_fit
from workbench.study.figure import Figure
from workbench.study.flags import axes_of as swept_settings
from workbench.study.panels import Axis
from workbench.study.places import Arm, Place, Scores, Stack, stacks, trained_as
from workbench.study.study import Study
from workbench.study.table import Medians, best_settings, final, score_table
from workbench.study.units import Report, Row, Unit, setting_text
from workbench.topics.classical import LEARNERS
from workbench.training.ceiling import has_ceiling, takes_unit_rows

METRICS = {"recall@.9": "share of features, cos ≥ .9", "mcc": "MCC", "f1": "macro-F1 over features"}
TABLE = ("recall@.9", "mcc", "f1", "fvu", "l0", "dead")
AXES = {
    "samples": Axis("samples seen", log=True),
    "sparsity": Axis("features firing a sample, E[L0]", log=2),
    "superposition": Axis("features a dimension, n_true/d"),
    "noise": Axis("signal-to-noise ratio (dB)", ticks=dict(enumerate(["none", *(f"{v:g}" for v in NOISE_DB)]))),
}


@cache
def chosen(names: tuple[str, ...], plugin: Path | None) -> list[str]:
    """Names of variants to train, without repeats, plug-ins last."""
    shelf, found = variant_shelf(), []
    for name in names:
        if name in ("core", "all"):
            found += [n for n, variant in shelf.items() if variant.core or name == "all"]
        elif name != "classical" and name not in LEARNERS:
            found.append(pick(name, shelf, "--variants"))
    return list(dict.fromkeys(found + brought(plugin)))


def label_of(settings: Recovery, name: str, label: str) -> str:
    """The label of a place: with the world's name in front where it is not the first, so that worlds can be added."""
    return label if name == settings.world[0] else f"{Path(name).name}-{label}"


def base_world(settings: Recovery, name: str) -> Any:
    """A world by its name, or as a run has kept it that is resumed or drawn again."""
    run = settings.resume or settings.redraw
    kept = run and run / "worlds" / label_of(settings, name, "base")
    world: Any = load_world(kept) if kept and (kept / "world.json").exists() else find_source(name)
    must(isinstance(world, World), "--world", "one whose features are known", name, "train and eval take it")
    return world


def varied(settings: Recovery) -> tuple[list[Place], list[str]]:
    """Every world and its variations, the worlds themselves first; and a line for each that cannot be drawn."""
    return _varied(replace(Recovery(), **{name: getattr(settings, name) for name in _OF_WORLDS}))


_OF_WORLDS = ("world", "axis", "plugin", "resume", "redraw")
"""settings that places depend on"""


@cache
def _varied(settings: Recovery) -> tuple[list[Place], list[str]]:
    found, lines = [], []
    brought(settings.plugin)
    for name in settings.world:
        world, axes = base_world(settings, name), axes_of(settings, base_world(settings, name))
        mixture = isinstance(world, SparseMixture)
        noisy = mixture and not isinstance(world.noise, NoNoise)
        must(not (noisy and "noise" in settings.axis), "--axis noise", "used on a noiseless world", name, "drop it")
        rule = "samples alone for a world that is no SparseMixture"
        must(mixture or set(axes) == {"samples"}, "--axis", rule, settings.axis, f"{name} cannot be varied so")
        where, left_out = feasible(places(world, axes), settings.axis)
        lines += left_out
        for place in where:
            x = place.world.truth.expected_l0 if place.axis == "sparsity" else place.x
            label = label_of(settings, name, place.label)
            found.append(Place(label, place.world, x, Path(name).name, columns={"axis": place.axis}, id=label))
    return found, lines


def axes_of(settings: Recovery, world: World) -> tuple[str, ...]:
    """What is varied on a world."""
    alone = world.truth.n_true >= LARGE or len(settings.world) > 1 or not isinstance(world, SparseMixture)
    return settings.axis or (("samples",) if alone else tuple(AXES))


def arms(settings: Recovery, place: Place) -> list[Arm]:
    """The variants, all aiming at one L0; at a variation those that can be there."""
    names = chosen(settings.variants, settings.plugin)  # what a plug-in registers is then on the shelf
    can = {name: name for name in names if not all(why for _, why in misfits(settings, place, name))}
    return _arms(settings, place, can)


def learners(settings: Recovery, place: Place) -> list[Arm]:
    """The dictionary learners, as if they were SAEs whose rows are not trained."""
    return _arms(settings, place, dict.fromkeys(settings.learners, "frozen_decoder"))


def _arms(settings: Recovery, place: Place, variants: dict[str, str]) -> list[Arm]:
    """Arms by name, each with a variant."""
    world: Any = place.source
    base = next(p for p in varied(settings)[0] if p.world == place.world and p.columns["axis"] == "samples")
    origin: Any = base.source
    m, large, shelf, found = settings.latents(origin), origin.truth.n_true >= LARGE, variant_shelf(), []
    must(settings.k is None or settings.k <= m, "--k", f"at most m={m}", settings.k, "lower it or raise --m")
    often = settings.train.evaluations or (4 if large else 8)
    training = settings.training(origin) | {"evaluations": often if place is base else 1}
    most_frequent = world.truth.rates.sort(descending=True).values[:m]
    k = max(1, round(float(most_frequent.sum()))) if settings.k is None else settings.k
    for name, variant in variants.items():
        own = {setting: k for setting in ("k", "target_l0") if setting in shelf[variant].settings}
        found.append(Arm(name, variant, m, own, train=training, tuned=True))
    return found


def misfits(settings: Recovery, place: Place, name: str) -> list[tuple[dict[str, Any], str]]:
    """Of each combination that --set gives a variant why it cannot be at a place, as `misfit` has it."""
    own = {key: values for key, values in swept_settings(settings).items() if key in variant_shelf()[name].settings}
    chosen = [dict(zip(own, values, strict=True)) for values in itertools.product(*own.values())]
    return [(each, misfit(settings, place, name, each)) for each in chosen]


def misfit(settings: Recovery, place: Place, name: str, chosen: Mapping[str, Any]) -> str:
    """Why a variant cannot be where d is another one, such as views that do not divide it; empty if it can."""
    if place.columns["axis"] != "superposition":
        return ""
    own = {key: value for key, value in chosen.items() if key in variant_shelf()[name].settings}
    return _refusal(name, place.source.d, settings.latents(place.source), tuple(own.items()))


def refused(settings: Recovery, place: Place, arm: Arm, chosen: Mapping[str, Any]) -> str:
    """The same of an arm."""
    return misfit(settings, place, arm.variant, chosen)


@cache
def _refusal(name: str, d: int, m: int, settings: tuple[tuple[str, Any], ...]) -> str:
    try:
        create(name, d, m, **dict(settings))
    except ValueError as error:
        return str(error)
    return ""


def left_out(settings: Recovery) -> Iterator[str]:
    """A line for each variation that cannot be drawn, and for each variant that cannot be at one."""
    found, lines = varied(settings)
    yield from lines
    for place in found:
        for name in chosen(settings.variants, settings.plugin):
            for own, why in misfits(settings, place, name):
                words = "".join(f" {key}={setting_text(value)}" for key, value in own.items())
                if why:
                    yield f"left out {name}{words} at {place.label}: {why}"


@dataclass(frozen=True, kw_only=True)
class Ceiling(Unit):
    """The encoder of an arm on the true dictionary of a place."""

    stack: Stack
    metrics: tuple[str, ...]

    @property
    def label(self) -> str:
        """The stack's, marked."""
        return f"{self.stack.label}/ceiling"

    @property
    def size(self) -> int:
        """Samples of its short training."""
        return 600 * 128


def ceilings(settings: Recovery) -> Iterator[Ceiling]:
    """One for each arm on small worlds."""
    trained = stacks(varied(settings)[0], arms, settings, refused) if settings.ceilings else ()
    for stack in trained:
        if stack.place.source.truth.n_true < LARGE and has_ceiling(_fresh(stack)):
            train = TrainConfig()  # which has no say here
            stack = replace(stack, seeds=() if settings.over == "weights" else stack.seeds, train=train)
            metrics = tuple(dict.fromkeys((*TABLE, *settings.metrics)))
            yield Ceiling(settings=settings, seeds=stack.seeds, stack=stack, metrics=metrics)


def _fresh(stack: Stack) -> SAE:
    """One SAE of an arm, not trained."""
    sae = create(stack.arm.variant, stack.place.source, stack.arm.m, **stack.arm.settings)
    must_fit("--world", stack.place.source, sae)
    return sae


def measure_ceiling(unit: Ceiling, report: Report) -> Iterator[Row]:
    """Scores of the trained oracle."""
    stack = unit.stack
    world: Any = stack.source()
    scores = ceiling(stack.arm.variant, world, **stack.arm.settings)
    for metric in (name for name in unit.metrics if name in scores):  # some are of other worlds
        yield stack.columns() | {"lr": None, "metric": metric, "kind": "ceiling", "value": scores[metric]}


def take_learners(place: Place) -> bool:
    """Whether dictionary learners are fitted at a place."""
    return place.source.truth.n_true < LARGE and not has_targets(place.source)


def fits(settings: Recovery) -> Iterator[Fit]:
    """One for each dictionary learner at each small place; of what --set names they have sizes alone."""
    if not settings.learners:
        return
    trained, where = chosen(settings.variants, settings.plugin), [p for p in varied(settings)[0] if take_learners(p)]
    rule = f"variants, as {', '.join(settings.learners)} take worlds of fewer than {LARGE} features, without targets"
    must(trained or where, "--variants", rule, settings.world, "name some, or another world")
    theirs = tuple(text for text in settings.set if text.partition("=")[0] in ("k", "m", "steps", "batch"))
    for stack in stacks(where, learners, replace(settings, set=theirs if trained else settings.set)):
        yield Fit(settings=settings, seeds=stack.seeds, stack=replace(stack, seeds=(), settings=settings))


def plan(settings: Recovery) -> Iterator[Unit]:
    """What stands beside trained SAEs."""
    yield from ceilings(settings)
    yield from fits(settings)


def work(unit: Unit, report: Report) -> Iterator[Row]:
    """What is done with that."""
    return fitted(unit, report) if isinstance(unit, Fit) else measure_ceiling(unit, report)  # type: ignore[arg-type]


def notes(settings: Recovery) -> Iterator[str]:
    """What cannot be drawn or trained, and what learners are held to."""
    names, without = settings.learners, [p.world for p in base_places(settings) if not take_learners(p)]
    yield from left_out(settings)
    yield from of_learners(names, without) if names else ()


def halves(sae: SAE, place: Place, settings: Recovery) -> Scores:
    """F1 of the learned and the true dictionary, each under its own encoder and under best inference; on the worlds.

    Nothing of variants that cannot have the true one.
    """
    world: Any = place.source
    small = place.columns["axis"] == "samples" and world.truth.n_true < LARGE
    fits = takes_unit_rows(sae) and not has_targets(world)
    return two_by_two(sae, world).scores() if small and settings.ceilings and fits else {}


def with_axes(table: pl.DataFrame, settings: Recovery) -> pl.DataFrame:
    """The table with x along each axis; the final scores of a base world also stand on every axis."""
    seen = (
        table.filter(pl.col("metric") == "samples").select("place", "arm", "setting", "step", x_seen="value").unique()
    )
    keys, last = ["place", "arm", "setting"], pl.col("step") == pl.col("step").max().over("place", "arm", "setting")
    ceilings = table.filter(pl.col("kind") == "ceiling").drop("step")
    ends = seen.filter(last).select(*keys, "step")
    for_all = seen.select(*keys, "step")
    base = pl.col("axis") == "samples"
    top = pl.concat(
        ceilings.filter(at).join(steps, on=keys, nulls_equal=True) for at, steps in ((base, for_all), (~base, ends))
    )
    table = pl.concat((table.filter(pl.col("kind") != "ceiling"), top.select(table.columns)))
    found = [table.join(seen, on=[*keys, "step"], how="left", nulls_equal=True, maintain_order="left")]
    whole = found[0].with_columns(x=pl.when(base).then("x_seen").otherwise("x")).drop("x_seen")
    copies = [whole]
    for place in base_places(settings):
        world: Any = place.source
        here = {"sparsity": world.truth.expected_l0, "superposition": world.truth.n_true / world.d, "noise": 0.0}
        own = final(whole.filter(pl.col("place") == place.label, pl.col("metric") != "seconds"))
        for axis in axes_of(settings, world):
            if axis in here:
                copies.append(own.with_columns(axis=pl.lit(axis), x=pl.lit(here[axis])))
    return pl.concat(copies)


def caption(settings: Recovery) -> str:
    """What the figures must say of their settings."""
    said = []
    for place in base_places(settings):
        world: Any = place.source
        own = list(stacks([place], arms, settings))
        how = trained_as(own or list(stacks([place], learners, settings)))
        firing = getattr(world, "firing", None)
        scaling = f", scale_by_parent = {firing.scale_by_parent}" if isinstance(firing, Forest) else ""
        said.append(
            f"world {place.world}: n_true = {world.truth.n_true}, d = {world.d}, E[L0] = "
            f"{world.truth.expected_l0:.2f}{scaling}; m = {how['m']}, {how['samples']} samples"
            + (f", batch {how['batch']}, lr {how['lr']}" if own else "")
        )
    said += ["dictionary learners: first samples alone, nonnegative OMP at the same k"] * bool(settings.learners)
    said += ["each arm at its setting of the best final MCC"] * bool(settings.set)
    what = "initial weights; members share data" if settings.over == "weights" else "world, samples and weights"
    return "; ".join(said) + f"; {settings.seeds} seeds ({what}): median, 10-90 % band, points"


def base_places(settings: Recovery) -> list[Place]:
    """The worlds themselves."""
    return [place for place in varied(settings)[0] if place.columns["axis"] == "samples"]


def one_setting(table: pl.DataFrame) -> pl.DataFrame:
    """Of each arm and world the setting of the best final MCC, of runs as long as the present ones."""
    table = table.filter(~pl.col("setting").fill_null("").str.contains("samples="))
    best = best_settings(table.filter(pl.col("axis") == "samples").with_columns(x=None), ["mcc"])
    keys = ["world", "arm", "setting"]
    at_places = table.select("place", "world").unique()
    chosen = best.join(at_places, on="place").select(keys)
    return table.join(chosen, on=keys, how="semi", nulls_equal=True)


def figures(settings: Recovery) -> list[Figure]:
    """Curves: the metrics of each world along each axis, none of more than six panels."""
    metrics = {name: METRICS.get(name, name) for name in settings.metrics or METRICS}
    several, columns = len(settings.world) > 1, []
    for place in base_places(settings):
        world: Any = place.source
        for name in dict.fromkeys(["samples", *axes_of(settings, world)]):
            label = f"{AXES[name].label}; {place.world}" if several else AXES[name].label
            columns.append(Column(replace(AXES[name], label=label), {"axis": name, "world": place.world}))
    return [replace(figure, pick=one_setting) for figure in curves("recovery", columns, metrics, caption(settings))]


def tables(settings: Recovery) -> list[Any]:
    """Final scores on each world."""

    def scores(table: pl.DataFrame) -> Iterator[Any]:
        for place in base_places(settings):
            own = final(table.filter(pl.col("place") == place.label, pl.col("axis") == "samples"))
            yield score_table(own, settings.metrics or TABLE, f"{place.world}, last step")

    trained = chosen(settings.variants, settings.plugin)
    return [scores, *(HALVES,) * bool(settings.ceilings and trained)]


HALVES = Medians(
    "which half fails: F1 of a dictionary under an inference",
    {
        "f1_LO": "LO",
        "f1_LB": "LB",
        "f1_TO": "TO",
        "f1_TB": "TB",
        "lost_dictionary": "lost: rows",
        "lost_encoder": "encoder",
    },
    at={"axis": "samples"},
    beside=(),
    pick=one_setting,
    caption="L: learned rows, T: true ones; O: the arm's own encoder, B: orthogonal matching pursuit at the same k, "
    "a lower bound of the best inference; lost: TB - LO, shared between rows and encoder as Shapley values",
)
"""see `workbench.two_by_two`"""


STUDY = Study(
    name="recovery",
    question=__doc__,
    settings=Recovery,
    places=lambda settings: varied(settings)[0],
    arms=arms,
    refused=refused,
    measure=halves,
    plan=plan,
    work=work,
    derive=with_axes,
    figures=figures,
    tables=tables,
    notes=notes,
    headline="mcc",
    keep=True,
    toy=Recovery(
        world=("toy",),
        variants=("topk",),
        seeds=2,
        samples=1280,
        axis=("samples", "sparsity"),
        train=TrainConfig(batch=128, evaluations=2, evaluation_samples=500),
    ),
)
main = STUDY.main
