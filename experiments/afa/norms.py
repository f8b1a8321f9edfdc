"""ZF plot of trained SAEs: |f| against |x| with the paper's bands, and what the mismatch is made of (AFA-1, AFA-11).

Run `python -m experiments zf_plot` to train a few variants, or name SAE or run folders with --saes. Results go to
`runs/zf_plot/...`; `--help` lists the flags.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from experiments.afa.settings import Norms
from experiments.norms_figure import ZF
from proofs_check.auditor.targets import members_of, sae_folders, world_of
from synthetic.base.streams import stream
from synthetic.folder import save_world
from synthetic.source import World
from workbench import TrainConfig, create, find_source, train, variant_shelf
from workbench.metrics.norms import norms, zf_figures, zf_points
from workbench.study.figure import Figure
from workbench.study.selection import present
from workbench.study.study import Study
from workbench.study.table import Medians
from workbench.study.units import Report, Row, Unit

SHOWN = 400
"""samples of a group in the scatter"""


@dataclass(frozen=True, kw_only=True)
class Group(Unit):
    """A stack that is trained, or one in a folder."""

    settings: Norms
    name: str
    world: World
    folder: str = ""

    @property
    def label(self) -> str:
        """Its name."""
        return self.name

    @property
    def size(self) -> int:
        """Samples that it sees."""
        train = self.settings.train
        return self.settings.samples if self.folder else train.steps * train.batch


def groups(settings: Norms) -> Iterator[Group]:
    """The SAEs that --saes names, else a stack a variant."""
    folders = [folder for target in settings.saes for folder in sae_folders(target)]
    names = [folder.name for folder in folders]
    if len(set(names)) < len(names):  # of several runs
        names = [f"{folder.parent.parent.name}/{folder.name}" for folder in folders]
    for name, folder in zip(names, folders, strict=True):
        yield Group(settings=settings, name=name, world=world_of(folder, settings.world), folder=str(folder))
    world: Any = None if settings.saes else find_source(settings.world or "superposition")
    for variant in () if settings.saes else settings.variants:
        yield Group(settings=settings, seeds=tuple(range(settings.seeds)), name=variant, world=world)


def keep_world(settings: Norms, folder: Path) -> None:
    """The world of what is trained, in the run folder."""
    if not settings.saes and not (folder / "worlds" / "base").exists():
        save_world(next(groups(settings)).world, folder / "worlds" / "base")


def trained(unit: Group, report: Report) -> Path:
    """The folder of a freshly trained stack, in the run folder."""
    world, config = unit.world, unit.settings.train
    has_k = "k" in variant_shelf()[unit.name].settings
    own: dict[str, Any] = {"k": max(1, round(world.truth.expected_l0))} if has_k else {}
    sae = create(unit.name, world.d, unit.settings.m, seed=list(unit.seeds), **own)
    train(sae, world, config, on_step=lambda now: report(now.step * config.batch, "training"))
    return sae.save(report.folder / "saes" / f"base-{unit.id.replace(', seeds ', '-').replace(', seed ', '-')}")


def measure(unit: Group, report: Report) -> Iterator[Row]:
    """Figures of each member; of the first one (|x|, |f|) of samples."""
    members = members_of(Path(unit.folder) if unit.folder else trained(unit, report))
    about = {"arm": unit.name, "n_true": unit.world.truth.n_true, "d": unit.world.d, "m": members[0].m}
    for seed, sae in zip(unit.seeds or range(len(members)), members, strict=True):
        seen = norms(sae, unit.world.sample(unit.settings.samples, stream(1, "audit")).x)
        for metric, value in zf_figures(seen).items():
            yield about | {"seed": seed, "metric": metric, "value": value}
        for sample, pair in enumerate(zf_points(seen, SHOWN) if seed == 0 else ()):
            for metric, value in zip(("z", "f"), pair, strict=True):
                yield about | {"seed": seed, "metric": metric, "value": value, "sample": sample}


def figures(settings: Norms) -> list[Figure]:
    """The plot, its caption as what was measured asks for."""
    kind = "SAEs named" if settings.saes else "{seeds} seeds, {train[steps]} steps of {train[batch]}"
    caption = (
        f"{kind}; k = E[L0] of the world; {{samples}} samples each. Scatter: first seed, {SHOWN} "
        "samples; bands: slopes 1/√(1 ± c). Bars: median over seeds, points seeds."
    )
    return [replace(ZF, caption=caption)]


def medians(table: pl.DataFrame) -> Any:
    """Every figure of every group."""
    names = [name for name in present(table, "metric") if name not in ("z", "f")]
    for part in (names[:6], names[6:]):
        yield Medians("medians over seeds", part, by=("arm",), formats="{:.3g}", spread=True).of(table)


STUDY = Study(
    name="zf_plot",
    question=__doc__,
    settings=Norms,
    plan=groups,
    work=measure,
    begin=keep_world,
    figures=figures,
    tables=(medians,),
    toy=Norms(variants=("topk", "top_afa"), m=64, train=TrainConfig(steps=60, batch=256), seeds=2, samples=300),
)
main = STUDY.main
