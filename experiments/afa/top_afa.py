"""Does top-AFA recover features? Loss weight, sparsity, initialisation and normalisation varied; TopK beside.

Also starts both variants at the true dictionary and watches them leave it or stay (AFA-17). Run `python -m experiments
top_afa`; results go to `runs/top_afa/...`; `--resume FOLDER` goes on; `--help` lists the flags.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import polars as pl
import torch

from experiments.afa.settings import TopAFA
from synthetic.base.streams import stream
from synthetic.laws.firing import Independent
from synthetic.laws.rates import Constant
from synthetic.source import World
from synthetic.transformed import Standardised
from synthetic.worlds.superposition import superposition
from workbench import SAE, TrainConfig, evaluate, train
from workbench.study.figure import Figure
from workbench.study.panels import Axis, Level, Lines, Series, look
from workbench.study.places import Arm, Place, Scores, Stack, fresh, member_rows
from workbench.study.study import Study
from workbench.study.table import Medians, setting_columns
from workbench.study.units import Report, Row, Unit

_SAMPLES = 4096
"""behind the correlation and the saturated share"""
WHOLE, SINGLE, TRUTH = "scaled as a whole", "standardised one by one", "from the truth"
"""places: how samples are normalised, or that training starts at the true dictionary"""


def world_of(settings: TopAFA, k: int, label: str) -> World:
    """Random directions, each feature firing with probability K / n_true, magnitudes U(.5, 1.5)."""
    firing = Independent(Constant(k / settings.n_true))
    world = superposition(n_true=settings.n_true, d=settings.d, firing=firing)
    return Standardised(world) if label == SINGLE else world


def places(settings: TopAFA) -> list[Place]:
    """Every K, with samples normalised in both ways; x is K."""
    return [Place(label, world_of(settings, k, label), float(k)) for k in settings.k for label in (WHOLE, SINGLE)]


def arms(settings: TopAFA, place: Place) -> list[Arm]:
    """Top-AFA of both starts over the weights in one stack; TopK beside it, at the middle K a dense one too."""
    k, grid = round(place.x or 0), [{"afa": weight} for weight in settings.afa]
    own: dict[str, Any] = {"aux": settings.aux}
    found = [
        Arm(f"top-AFA, {init} start", "top_afa", settings.m, own | {"init": init}, grid) for init in ("kaiming", "tied")
    ]
    if place.label == WHOLE:
        found.append(Arm("TopK", "topk", settings.m, {"k": k}))
        if k == settings.middle:
            found.append(Arm("TopK, dense", "topk", settings.m, {"k": min(2 * settings.d, settings.m)}))
    return found


@dataclass(frozen=True, kw_only=True)
class FromTruth(Unit):
    """An SAE that starts at the true dictionary, where only the data can differ: a seed is one of data."""

    stack: Stack

    @property
    def label(self) -> str:
        """That of its stack."""
        return self.stack.label

    @property
    def size(self) -> int:
        """Samples that it sees."""
        return self.stack.size


def from_truth(settings: TopAFA) -> Iterator[FromTruth]:
    """Both variants at the middle K, with as many latents as features."""
    n, k = settings.n_true, settings.middle
    place = Place(TRUTH, world_of(settings, k, TRUTH), float(k))
    for arm in (
        Arm("top-AFA", "top_afa", n, {"aux": settings.aux, "init": "kaiming"}, [{"afa": 1 / 32}], prepare=at_the_truth),
        Arm("TopK", "topk", n, {"k": k}, prepare=at_the_truth),
    ):
        stack = Stack(settings=settings, place=place, arm=arm, train=settings.train)
        for seed in range(settings.seeds):
            yield FromTruth(settings=settings, seeds=(seed,), stack=stack)


def at_the_truth(sae: SAE, world: Any) -> None:
    """The true dictionary as decoder and encoder."""
    with torch.no_grad():
        sae.W_dec.copy_(world.truth.features.expand_as(sae.W_dec))
        sae.W_enc.copy_(world.truth.features.mT.expand_as(sae.W_enc))


def leave(unit: FromTruth, report: Report) -> Iterator[Row]:
    """Scores at the start and at steps that grow geometrically."""
    stack = replace(unit.stack, seeds=unit.seeds)
    world, config, (seed,) = stack.place.source, stack.train, unit.seeds
    sae = fresh(stack, world)
    found = [(0, scores(sae, world))]
    sae.train()
    halts = {round(config.steps ** (i / 8)) for i in range(9)}

    def on_step(now: Any) -> None:
        if now.step in halts:
            found.append((now.step, scores(sae, world)))
            sae.train()
        report(now.step * config.batch, "training")

    train(sae, world, config, seed=seed, on_step=on_step)  # type: ignore[arg-type]
    for step, values in found:
        yield from member_rows(stack, values, step=step)


def scores(sae: SAE, world: Any) -> Scores:
    """The figures of this study, arrays of the stack's shape."""
    found = evaluate(sae, world, n=20_000, seed=1)
    batch = world.sample(_SAMPLES, stream(1, "study"))
    with torch.no_grad():
        out = sae.eval().trace(batch.x * sae.scale)
        active = (out.dense() != 0).sum(-1).double()
        true = (batch.h.values != 0).sum(-1).double()
        short = sae.encoder.saturated(out.x, sae.decoder)
        saturated = torch.zeros(sae.shape) if short is None else short.double().mean(-1)
    pairs = [torch.corrcoef(torch.stack((own, true)))[0, 1] for own in active.reshape(-1, len(true))]
    values = {"corr(L0, K)": torch.stack(pairs).nan_to_num().view(sae.shape), "saturated": saturated}
    for end in ("", "_null"):
        values[f"recovered{end}"] = torch.as_tensor(found[f"recall@.9{end}"]) * world.truth.n_true
    return values | {name: found[name] for name in ("l0", "fvu", "mcc")}


def measure(sae: SAE, place: Place, settings: TopAFA) -> Scores:
    """Scores of a stack."""
    return scores(sae, place.source)


def with_weights(table: pl.DataFrame, settings: TopAFA) -> pl.DataFrame:
    """The table with the column `weight`: which of the weights of the norm loss, from 0 on."""
    weights = {afa: i for i, afa in enumerate(settings.afa)}
    known = setting_columns(table)
    column = known["afa"] if "afa" in known.columns else pl.Series([None] * known.height, dtype=pl.Float64)
    nearest = [None if v is None else weights[min(weights, key=lambda w: abs(w - v))] for v in column]
    return table.with_columns(weight=pl.Series(nearest, dtype=pl.Int64))


_STARTS = tuple(
    Series(f"{arm}, {place}", "", {"arm": arm, "place": place})
    for place in (WHOLE, SINGLE)
    for arm in ("top-AFA, kaiming start", "top-AFA, tied start")
)
_CAPTION = (
    "n_true = {n_true} random directions, d = {d}, m = {m} (from the truth {n_true}); {steps} steps of {train[batch]}, "
    "Adam {train[lr]:g}, aux {aux:.3g}; recovered: cos > .9; {seeds} seeds (of weights; from the truth of data): "
    "median, 10-90 % band, points."
)


def _ends(settings: TopAFA, metric: str) -> dict[str, Any]:
    """Axis and levels of recovered features, or of L0."""
    if metric == "recovered":
        limits = (-2, settings.n_true + 3)
        return {"up": Axis(f"features recovered, of {settings.n_true}", limits=limits), "chance": True}
    ticks = tuple(2**i for i in range(8))
    return {"up": Axis("active latents, L0", log=True, ticks=ticks), "chance": False}


def figures(settings: TopAFA) -> Iterator[Figure]:
    """Recovered features and L0 against the weight, a column a K, three a figure; then from the truth."""
    ticks = {i: str(Fraction(afa).limit_denominator(1024)) for i, afa in enumerate(settings.afa)}
    density = Level(settings.d, "d", colour="0.4", dash=":")
    for first in range(0, len(settings.k), 3):
        panels = []
        for metric in ("recovered", "l0"):
            for k in settings.k[first : first + 3]:
                where = {"place": WHOLE, "arm": "TopK", "x": float(k)}
                panels.append(
                    Lines(
                        y=[replace(one, metric=metric, look=look(i)) for i, one in enumerate(_STARTS)],
                        over="weight",
                        at={"x": float(k)},
                        title=f"{k} features fire on average" if metric == "recovered" else "",
                        across=Axis("weight of the norm loss λ", ticks=ticks),
                        marks=(Level(metric, "TopK, k = K", where, colour="black", dash="-"), density)[
                            : 1 + (metric == "l0")
                        ],
                        legend="shared",
                        **_ends(settings, metric),
                    )
                )
        name, columns = f"top_afa-{first // 3 + 1}" if first else "top_afa", len(panels) // 2
        yield Figure(name, panels, _CAPTION, arms={}, columns=columns, share="row")
    names = {"top-AFA": "top-AFA, λ = 1/32", "TopK": "TopK, k = K"}
    panels = [
        Lines(
            y=metric,
            over="step",
            place=TRUTH,
            names=names,
            across=Axis("training steps", log="sym"),
            legend="own",
            **_ends(settings, metric),
        )
        for metric in ("recovered", "l0")
    ]
    title = f"started at the truth, K = {settings.middle}"
    yield Figure("top_afa-truth", [replace(panels[0], title=title), panels[1]], _CAPTION, arms={})


_SHOWN = {"recovered": "recovered", "l0": "L0", "fvu": "fvu", "corr(L0, K)": "corr(L0, K)", "saturated": "saturated"}
_SHOWN |= {"mcc": "mcc"}


def tables(settings: TopAFA) -> list[Medians]:
    """Final figures at the middle K."""
    return [
        Medians(
            f"K = {settings.middle}: medians over seeds",
            _SHOWN,
            by=("place", "arm", "setting"),
            at={"x": float(settings.middle)},
            formats="{:.3g}",
        )
    ]


STUDY = Study(
    name="top_afa",
    question=__doc__,
    settings=TopAFA,
    places=places,
    arms=arms,
    measure=measure,
    plan=from_truth,
    work=leave,
    derive=with_weights,
    figures=lambda settings: list(figures(settings)),
    tables=tables,
    toy=TopAFA(
        n_true=16, d=8, m=24, k=(2,), afa=(0.0, 0.5), seeds=2,
        train=TrainConfig(steps=12, batch=32, lr=1e-3, warm_up=0.0, decay=0.0, clip=None, centre=False),
    ),
)  # fmt: skip
main = STUDY.main
