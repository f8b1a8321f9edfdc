"""The top-AFA rule by itself: where it stops, when it counts right, how it starts, what it cannot tell apart.

Run `python -m experiments top_afa_rule`; results go to `runs/top_afa_rule/...`; `--help` lists the flags.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from matplotlib.axes import Axes
from torch import Tensor

from experiments.afa.parts import parts, work
from experiments.afa.settings import Rule
from proofs_check.instances.mixture import Mixture
from synthetic.base.streams import stream
from synthetic.laws.directions import Orthonormal, RandomSphere
from synthetic.transformed import Standardised
from synthetic.worlds.superposition import superposition
from workbench import SAE, create, evaluate
from workbench.parts.sparsifiers import norm_match
from workbench.study.figure import Figure
from workbench.study.panels import Axis, Level, Lines, Scene, look
from workbench.study.selection import present, rows
from workbench.study.study import Study
from workbench.study.table import Medians
from workbench.study.units import Row
from workbench.tensors import TENSOR
from workbench.theory import afa, top_afa


def point(x: float, metric: str, value: Any) -> Row:
    """A number at a place on what varies."""
    return {"x": float(x), "metric": metric, "value": float(value)}


def staircase(settings: Rule, seed: int) -> Iterator[Row]:
    """AFA-12: latents kept as the target grows, 16 contributions falling as a power, or flat."""
    shapes = {
        "1/i": 1 / torch.arange(1, 17).double(),
        "1/√i": torch.arange(1, 17).double().rsqrt(),
        "flat": torch.ones(16),
    }
    for name, shape in shapes.items():
        rows = (shape.double() / shape.double().norm()).expand(120, 16)
        tau = torch.linspace(0, 1.1, 120, dtype=torch.float64)
        for x, count in zip(tau.tolist(), norm_match(rows, tau).sum(1).tolist(), strict=True):
            yield {"place": "staircase", "arm": name} | point(x, "kept", count)


def counts(settings: Rule, seed: int) -> Iterator[Row]:
    """AFA-13 and AFA-14: how often a flat true code is counted exactly, and C_K / tau of its tied encoder."""
    for d in settings.dims:
        for k in settings.k:
            rng = stream(seed, f"counts/{d}/{k}")
            rows = RandomSphere().draw(settings.samples * k, d, rng).view(settings.samples, k, d)
            x = rows.sum(1)  # h = 1
            flat = torch.cat(
                (torch.ones(settings.samples, k, dtype=torch.float64), torch.zeros(settings.samples, 1)), 1
            )
            exact = norm_match(flat, x.norm(dim=1), sentinel=1e4).sum(1) == k
            yield {"place": "exact", "arm": f"d = {d}", "d": d} | point(k, "counted", exact.double().mean())
            if d == settings.dims[0]:
                case = [Mixture.exact(r, torch.ones(k)) for r in rows[:60]]
                low, high = (torch.cat(side) for side in zip(*(c.spectrum for c in case), strict=True))
                least, most = top_afa.tied_energy_range((1 + low).clamp_min(0), 1 + high, ops=TENSOR)
                tied = (rows[:60] @ x[:60, :, None]).squeeze(2).relu().norm(dim=1) / x[:60].norm(dim=1)
                for name, value in {"√λ_min": least, "C_K/τ": tied, "√λ_max": most}.items():
                    yield {"place": "tied", "arm": name} | point(k, "energy", value.median())


def starts(settings: Rule, seed: int) -> Iterator[Row]:
    """AFA-15: share of saturated inputs and L0 at step 0 against the encoder's entries, in units of √(6/m)."""
    sae = create("top_afa", settings.d, settings.m, seed=seed).double().eval()
    x = torch.randn(settings.samples, settings.d, generator=stream(seed, "starts"), dtype=torch.float64)
    start = sae.W_enc.detach().clone()
    for scale in (0.5, 0.7, 0.85, 1.0, 1.2, 1.5, 2.0, 3.0):
        with torch.no_grad():
            sae.W_enc.copy_(scale * start)
            saturated = (x @ sae.W_enc).relu().norm(dim=1) < x.norm(dim=1)
            active = (sae.trace(x).dense() > 0).sum(1).double()
        values = {"saturated": saturated.double().mean(), "L0 / m": active.mean() / settings.m}
        for name, value in values.items():
            yield {"place": "start", "arm": name} | point(scale, "share", value)


def targets(settings: Rule, seed: int) -> Iterator[Row]:
    """AFA-20: targets tau of samples, over their median, with and without standardising each."""
    world = superposition(d=settings.d)
    for name, source in {"as drawn": world, "standardised": Standardised(world)}.items():
        tau = source.sample(settings.samples, stream(seed, "targets")).x.norm(dim=1)
        for share in (0.1, 0.25, 0.5, 0.75, 0.9):
            yield {"place": "target", "arm": name} | point(share, "target", tau.quantile(share) / tau.median())


def planted(d: int, rows: Tensor, encoder: Tensor) -> SAE:
    """A top-AFA SAE with these weights."""
    sae = create("top_afa", d, len(rows))
    with torch.no_grad():
        sae.W_dec.copy_(rows)
        sae.W_enc.copy_(encoder)
    return sae.eval()


def optima(settings: Rule, seed: int) -> Iterator[Row]:
    """AFA-16: what the paper reports of the trivial optimum, of the truth, and of a fresh start."""
    world = superposition()
    d, truth = world.d, world.truth.features
    basis = Orthonormal().draw(d, d, stream(seed, "optima")).float()
    both = torch.cat((basis, -basis), 1)
    saes = {
        "[A, −A], any A": planted(d, both.mT, both),
        "the truth": planted(d, truth, truth.mT),
        "fresh": create("top_afa", d, 2 * d, seed=seed).eval(),
    }
    x = world.sample(settings.samples, stream(seed, "optima/x")).x
    x = x[x.norm(dim=1) > 0]
    for name, sae in saes.items():
        with torch.no_grad():
            out = sae.trace(x)
            terms = sae.loss(out)
        r = afa.norm_mismatch(x.square().sum(1), out.dense().square().sum(1), ops=TENSOR)
        scores = evaluate(sae, world, n=2000, seed=1)
        values = {
            "fvu": scores["fvu"],
            "norm loss": float(terms["afa"]),
            "median r": float(r.median()),
            "L0": scores["l0"],
        }
        for metric, value in (values | {"recovered": scores["recall@.9"] * world.n_true}).items():
            yield {"place": "optima", "arm": name} | point(0, metric, value)


PARTS = {"staircase": staircase, "counts": counts, "starts": starts, "targets": targets, "optima": optima}


class Half:
    """Where the exact count fails half of the time by the theory, √(d/8), for each dimension."""

    def draw(self, axes: Axes, scene: Scene) -> None:
        """Draw a line upright in each dimension's colour."""
        for i, d in enumerate(present(rows(scene.table, place="exact"), "d")):
            axes.axvline((d / 8) ** 0.5, color=look(i).colour, linestyle=":", linewidth=1.2)
        axes.plot([], [], color="0.4", linestyle=":", label="√(d/8)")


def _lines(metric: str, place: str, names: tuple[str, ...], title: str, across: Axis | str, up: Axis | str) -> Lines:
    named = {name: name for name in names}
    return Lines(y=metric, place=place, names=named, title=title, across=across, up=up, legend="own")


_ENTRIES = Axis("entries of a flat true code, K", log=2)
_KAIMING = Level(1.0, "Kaiming's start", upright=True, colour="0.4", dash=":")
_SHARES = ("as drawn", "standardised")
FIGURES = (
    Figure(
        "top_afa_rule",
        [
            replace(
                _lines(
                    "kept", "staircase", ("1/i", "1/√i", "flat"), "Where it stops", "target τ over the norm of all", ""
                ),
                up=Axis("latents kept, of 16", ticks=(1, 4, 8, 12, 16)),
            ),
            Lines(
                y="counted",
                place="exact",
                by="d",
                names="d = {}",
                title="When it counts right",
                across=_ENTRIES,
                up="share counted exactly",
                marks=(Half(),),
                legend="own",
            ),
            _lines(
                "energy", "tied", ("√λ_min", "C_K/τ", "√λ_max"), "A tied encoder's energy, least d", _ENTRIES, "C_K / τ"
            ),
            replace(
                _lines(
                    "share", "start", ("saturated", "L0 / m"), "How it starts", "encoder entries over √(6/m)", "share"
                ),
                marks=(_KAIMING,),
            ),
            _lines("target", "target", _SHARES, "What it aims at", "quantile of samples", "target τ over its median"),
        ],
        "Exact count and tied encoder: h = (1, ..., 1) on random rows, {samples} codes a point. Start: d = {d}, "
        "m = {m}, Gaussian inputs. Targets: superposition world, n_true = 64, d = {d}. {seeds} seeds of dictionaries "
        "and encoders: median, 10-90 % band, points.",
        arms={},
    ),
)
_OPTIMA = {name: name for name in ("fvu", "norm loss", "median r", "L0", "recovered")}
TABLES = (
    Medians(
        "top-AFA at its optima, medians over seeds; recovered: of 64, cos > .9",
        _OPTIMA,
        by=("arm",),
        place="optima",
        formats="{:.3g}",
    ),
)
STUDY = Study(
    name="top_afa_rule",
    question=__doc__,
    settings=Rule,
    plan=partial(parts, tuple(PARTS)),
    work=partial(work, PARTS),
    figures=FIGURES,
    tables=TABLES,
    toy=Rule(dims=(16, 256), k=(2, 16), samples=60, d=16, m=64, seeds=2),
)
main = STUDY.main
