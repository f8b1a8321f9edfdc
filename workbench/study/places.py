"""SAEs trained at places: what varies, and the unit of work that trains and scores one stack."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from synthetic.base.errors import must, pick
from synthetic.folder import save_world
from synthetic.source import Source, World
from workbench.interop import save
from workbench.metrics import evaluate
from workbench.sae import SAE
from workbench.settings import must_fit
from workbench.study.flags import OpenFlags, TrainFlags, axes_of
from workbench.study.units import Report, Row, Unit, kind_of, listed, setting_text
from workbench.training.config import TrainConfig
from workbench.training.recipes import RULED, tuned
from workbench.training.scored import train
from workbench.training.snapshots import Snapshots
from workbench.variants import create, variant_shelf

Scores = Mapping[str, Any]
"""metric -> a number for each member, in an array of the stack's shape, or one number; a name's end says its kind.

With one more axis, a number for each latent of each member, NaN where there is none; their column is `latent`."""


@dataclass(frozen=True)
class Place:
    """A source of activations, and where it stands on what the study varies."""

    label: str
    source: Any
    """a world or another source of activations, drawn from its own seed, or from each seed where seeds draw worlds"""
    x: float | None = None
    world: str = ""
    """its name; the source's class where left out"""
    aliases: tuple[str, ...] = ()
    """other labels that its rows stand under too"""
    columns: Mapping[str, Any] = field(default_factory=dict)
    """of the table, beside the fixed ones"""
    id: str = ""
    """in names of units and files; label and x where left out"""

    @property
    def name(self) -> str:
        """What names it among the places of a study."""
        return self.id or (self.label if self.x is None else f"{self.label}/{self.x:g}")

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"source": _bare(self.source)}


def _bare(value: Any) -> Any:
    """A source as a process of the pool is sent it: fields and what was drawn once, without what follows from them."""
    if not is_dataclass(value) or isinstance(value, type) or not hasattr(value, "__dict__"):
        return value
    names = {f.name for f in fields(value)} | {"tensors"}
    own = {name: _bare(entry) for name, entry in value.__dict__.items() if name in names}
    bare = copy(value)
    bare.__dict__.clear()
    bare.__dict__.update(own)
    return bare


@dataclass(frozen=True)
class Arm:
    """What is trained at a place."""

    name: str
    variant: str
    m: int
    """latents"""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """of the variant"""
    grid: Sequence[Mapping[str, Any]] = ({},)
    """settings in which the rows of one stack differ, a row each; the seeds stand behind them"""
    train: Mapping[str, Any] = field(default_factory=dict)
    """changes of the study's training"""
    prepare: Callable[[SAE, Any], None] | None = None
    """what is done to a fresh stack: a function of a module, or a partial of one"""
    setting: str = ""
    """what tells it from arms of its name, such as "k=8"; in the column of that name"""
    tuned: bool = False
    """`workbench.tuned` decides of training what the study and its user leave alone"""


def without_bias(sae: SAE, source: Any) -> None:
    """Hold b_dec at 0: an arm's `prepare`, for worlds that have no bias or where one could hold an end of an axis."""
    sae.frozen = ("b_dec",)


@dataclass(frozen=True, kw_only=True)
class Stack(Unit):
    """An arm at a place: one stack of SAEs, trained and scored."""

    settings: TrainFlags
    place: Place
    arm: Arm
    train: TrainConfig
    setting: str = ""
    """what --set gives, in words"""

    @property
    def label(self) -> str:
        """Place, arm and setting."""
        return "/".join(filter(None, (self.place.name, self.arm.name, self.setting)))

    @property
    def size(self) -> int:
        """Samples that the stack sees."""
        return self.train.steps * self.train.batch

    @property
    def file(self) -> str:
        """Its name for a file."""
        return self.id.replace("/", "-").replace(", ", "-").replace(" ", "-")

    def source(self) -> Source:
        """What it is trained on."""
        return self.place.source if self.settings.over == "weights" else with_seed(self.place.source, self.seeds[0])

    def columns(self) -> Row:
        """What all its rows say of place and arm."""
        place, arm, lr = self.place, self.arm, self.train.lr
        source, default = place.source, variant_shelf()[arm.variant].defaults.get("k")
        k = arm.settings.get("k", None if "k" in arm.grid[0] else default)
        return {
            "place": place.label,
            "x": place.x,
            "arm": arm.name,
            "setting": self.setting or None,
            "world": place.world or type(source).__name__,
            "world_seed": self.seeds[0] if self.settings.over == "worlds" else seed_of_world(source),
            "n_true": source.truth.n_true if isinstance(source, World) else getattr(source, "n_true", None),
            "d": source.d,
            "m": arm.m,
            "k": k,
            "lr": lr if isinstance(lr, int | float) else None,
            **place.columns,
        }

    def row_settings(self) -> list[str | None]:
        """The column `setting` of each row of the stack."""
        inner = [" ".join(f"{name}={setting_text(value)}" for name, value in row.items()) for row in self.arm.grid]
        return [" ".join(filter(None, (self.setting, text))) or None for text in inner]


def with_seed(source: Source, seed: int) -> Source:
    """The source as another seed draws it.

    Raises:
        ValueError: nothing in it is drawn from a seed.
    """
    drawn = _with_seed(source, seed)
    must(
        drawn is not None, "--over worlds", "used where worlds are drawn from a seed", type(source).__name__, "drop it"
    )
    return drawn  # type: ignore[return-value]


def _with_seed(value: Any, seed: int) -> Any | None:
    if not is_dataclass(value) or isinstance(value, type):
        return None
    inner = {f.name: _with_seed(getattr(value, f.name), seed) for f in fields(value) if f.init and f.name != "seed"}
    changes = {name: changed for name, changed in inner.items() if changed is not None}
    changes |= {"seed": seed} if "seed" in {f.name for f in fields(value)} else {}
    return replace(value, **changes) if changes else None


def seed_of_world(source: Any) -> int | None:
    """The seed that a source is drawn from, where it has one."""
    if not hasattr(source, "__dataclass_fields__"):
        return None
    if "seed" in {f.name for f in fields(source)}:
        return source.seed
    found = (seed_of_world(getattr(source, f.name)) for f in fields(source))
    return next((seed for seed in found if seed is not None), None)


def stacks(
    places: Sequence[Place],
    arms: Callable[[Any, Place], Sequence[Arm]],
    settings: TrainFlags,
    refused: Callable[[Any, Place, Arm, Mapping[str, Any]], str] | None = None,
) -> Iterator[Stack]:
    """The units of a study that trains arms at places, for each combination of what --set gives.

    A k of --set is the `target_l0` of an arm that aims at an L0 by that and has no k. Of combinations that an arm
    cannot have at a place, `refused` says why, and they are left out.

    Raises:
        ValueError: --set names what no arm has, or a size does not fit into memory.
    """
    axes = axes_of(settings)
    must(not (settings.tune and "lr" in axes), "--tune", "given without rates of --set", axes.get("lr"), "drop one")
    pairs = [(place, arms(settings, place)) for place in places]
    shelf = {name for _, own in pairs for arm in own for name in _names(arm)}
    for name in axes if shelf else ():  # a study may have units of its own alone
        pick(name, shelf, "--set")
    for m in axes.get("m", ()):
        whole = isinstance(m, int) and not isinstance(m, bool) and m >= 1
        must(whole, "--set m", "a whole number, at least 1", m, "write --set m=32,64")
    of_train = [name for name in axes if name in TrainConfig.__dataclass_fields__]
    for place, own in pairs:
        trained = {(): own}  # arms of each training that --set gives: some make steps of samples and batch
        for i, arm in enumerate(own):
            names = [name for name in axes if name in _names(arm) and _meant(arm, name) not in {*axes} - {name}]
            for values in itertools.product(*(axes[name] for name in names)):
                chosen = dict(zip(names, values, strict=True))
                if refused is not None and refused(settings, place, arm, _of_variant(arm, chosen) | chosen):
                    continue
                train = {name: chosen[name] for name in of_train}
                key = tuple(train.values())
                if key not in trained:
                    changed = replace(settings, train=replace(settings.train, **train))
                    trained[key] = arms(changed.naming(train) if isinstance(changed, OpenFlags) else changed, place)
                yield from _stacks(settings, place, trained[key][i], chosen)


def _names(arm: Arm) -> set[str]:
    aimed = {"k"} if _meant(arm, "k") != "k" else set()
    return {*TrainConfig.__dataclass_fields__, *variant_shelf()[arm.variant].settings, *aimed, "m"}


def _meant(arm: Arm, name: str) -> str:
    """The setting that a name of --set stands for: an arm that is steered to an L0 and has no k takes k as that."""
    steered = name == "k" and "target_l0" in arm.settings and name not in variant_shelf()[arm.variant].settings
    return "target_l0" if steered else name


def _of_variant(arm: Arm, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """What --set chose of the variant's settings, under its own names."""
    beside = {*TrainConfig.__dataclass_fields__, "m"}
    return {_meant(arm, name): value for name, value in chosen.items() if name not in beside}


def _stacks(settings: TrainFlags, place: Place, arm: Arm, chosen: dict[str, Any]) -> Iterator[Stack]:
    """One arm at a place with what --set chose: one stack of all seeds, or one a seed where seeds draw worlds."""
    of_train = {name: value for name, value in chosen.items() if name in TrainConfig.__dataclass_fields__}
    of_variant = _of_variant(arm, chosen)
    grid = [{n: v for n, v in row.items() if n not in of_variant} for row in arm.grid]
    grid = [row for i, row in enumerate(grid) if row not in grid[:i]]
    arm = replace(arm, m=chosen.get("m", arm.m), settings={**arm.settings, **of_variant}, grid=grid)
    words = " ".join(filter(None, (arm.setting, *(f"{name}={setting_text(v)}" for name, v in chosen.items()))))
    config = replace(settings.train, **{**arm.train, **of_train})
    if arm.tuned and isinstance(settings, OpenFlags):
        left = settings.left_alone.intersection(RULED) - {*arm.train, *of_train}
        rows = {name: [[row[name]] for row in grid] for name in grid[0]}
        sae = create(arm.variant, place.source, arm.m, **{**arm.settings, **rows})
        config = tuned(sae, **{f.name: getattr(config, f.name) for f in fields(config) if f.name not in left})
    seeds = tuple(range(settings.seeds))
    members = len(grid) * (len(seeds) if settings.over == "weights" else 1)
    must_fit(f"SAE of {place.label}", place.source.d, arm.m, (members,))
    for group in [seeds] if settings.over == "weights" else [(seed,) for seed in seeds]:
        yield Stack(settings=settings, seeds=group, place=place, arm=arm, train=config, setting=words)


def trained_as(units: Sequence[Stack]) -> dict[str, str]:
    """Latents m, samples, batch and lr of stacks in words for a caption: what --set varies is listed.

    Rates are "tuned" where --tune chooses them, and the caption says below what it chose.
    """
    found: dict[str, set[Any]] = {"m": {unit.arm.m for unit in units}, "samples": {unit.size for unit in units}}
    found |= {name: {getattr(unit.train, name) for unit in units} for name in ("batch", "lr")}
    forms = {"samples": "{:,}", "lr": "{:g}"}
    said = {name: listed([forms.get(name, "{}").format(v) for v in sorted(own)]) for name, own in found.items()}
    return said | {"lr": "tuned"} if any(unit.settings.tune for unit in units) else said


def evaluated(sae: SAE, place: Place, settings: Any) -> Scores:
    """Every metric of the shelf on as many fresh samples as evaluations during training see."""
    return evaluate(sae, place.source, n=settings.train.evaluation_samples, seed=1)


def trained(
    measure: Callable[[SAE, Place, Any], Scores] | None, keep: bool, unit: Stack, report: Report
) -> Iterator[Row]:
    """Train a stack and score it."""
    source, arm, config = unit.source(), unit.arm, unit.train
    sae = fresh(unit, source)
    checkpoint = report.folder / "checkpoints" / f"{unit.file}.safetensors" if keep else None
    data = 0 if unit.settings.over == "weights" else unit.seeds[0]

    shots = Snapshots(sae, config.steps, path=report.folder / "traces" / f"{unit.file}.safetensors") if keep else None

    def show(now: Any) -> None:
        if shots is not None:
            shots(now)
        mcc = now.record.get("mcc")
        report(now.step * config.batch, f"mcc {np.mean(mcc):.2f}" if mcc is not None else "training")

    records = train(sae, source, config, seed=data, checkpoint=checkpoint, resume=keep, on_step=show)
    if keep:
        save(sae, report.folder / "saes" / unit.file)
    measured = measure(sae, replace(unit.place, source=source), unit.settings) if measure is not None else {}
    for record in records if config.evaluations else []:
        scores = {name: values for name, values in record.items() if _of_members(unit, name, values)}
        if record is records[-1]:
            scores = {name: values for name, values in scores.items() if name not in measured}
        seen = np.full((len(arm.grid), len(unit.seeds)), record["samples"])
        yield from member_rows(unit, scores | {"samples": seen}, step=record["step"])
    yield unit.columns() | {"step": records[-1]["step"], "metric": "seconds", "value": records[-1]["seconds"]}
    yield from member_rows(unit, measured, step=config.steps)
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)  # a stop while scoring costs no training


def _of_members(unit: Stack, name: str, values: Any) -> bool:
    """Whether an entry of a record is a score of each member: a list, or a number where a stack is one SAE."""
    lone = unit.settings.over == "worlds" and name not in ("step", "samples", "seconds")
    return isinstance(values, list) or (lone and isinstance(values, int | float))


def fresh(unit: Stack, source: Source) -> SAE:
    """A unit's stack before training: rows of the grid down, seeds across."""
    arm, alone = unit.arm, unit.settings.over == "worlds"
    own = {name: [row[name] if alone else [row[name]] for row in arm.grid] for name in arm.grid[0]}
    seeds: Any = unit.seeds[0] if alone else list(unit.seeds)
    sae = create(arm.variant, source, arm.m, seed=seeds, **{**arm.settings, **own})
    if arm.prepare is not None:
        arm.prepare(sae, source)
    return sae


def member_rows(unit: Stack, scores: Scores, **at: Any) -> Iterator[Row]:
    """Scores as rows: one a metric and member; one alone, without a seed, for a number of the whole stack."""
    about, shape = unit.columns(), (len(unit.arm.grid), len(unit.seeds))
    settings = unit.row_settings()
    for label in (unit.place.label, *unit.place.aliases):
        for name, values in scores.items():
            base = about | at | {"place": label} | kind_of(name)
            if np.ndim(values) == 0 and (base["kind"] == "ceiling" or shape != (1, 1)):
                yield base | {"value": float(values)}
                continue
            array, members = np.asarray(values, dtype=np.float64).reshape(-1), shape[0] * shape[1]
            each = max(1, array.size // members)
            array = np.broadcast_to(array, (members * each,)).reshape(*shape, each)
            for row, setting, stack in zip(unit.arm.grid, settings, array, strict=True):
                own = {"setting": setting, "k": row.get("k", about["k"])}
                for seed, numbers in zip(unit.seeds, stack, strict=True):
                    for latent, number in enumerate(numbers.tolist()):
                        which = {"latent": latent} if each > 1 else {}
                        if each == 1 or not np.isnan(number):
                            yield base | own | which | {"seed": seed, "value": number}


def saved(folder: Path, places: Sequence[Place]) -> None:
    """Keep the worlds of places in a run folder."""
    for place in places:
        if not (folder / "worlds" / place.name / "world.json").exists():
            save_world(place.source, folder / "worlds" / place.name)
