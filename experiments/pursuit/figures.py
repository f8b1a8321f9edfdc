"""Figures and findings of pursuits, from the table of a run alone."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes

from workbench.study.figure import finish, numbers, shared_legend, styled, subplots
from workbench.study.panels import COLOURS, draw_band, heat
from workbench.study.questions import interval
from workbench.theory.pursuit import largest_support

Drawn = tuple[list[Path], list[tuple[str, str]]]
FAMILIES = {
    "worst": "worst codes on simplices",
    "flat": "random supports, equal magnitudes",
    "random": "random supports, magnitudes .1 to 1",
}
_LINES = {"MP, abs": COLOURS[0], "MP, relu": COLOURS[1], "OMP": COLOURS[2], "TopK": COLOURS[3]}
_STYLES = ("-", "--", ":")


def draw_phase(frame: pl.DataFrame, settings: dict[str, Any], stem: Path) -> Drawn:
    """Share of supports recovered by coherence and size, one column a rule, with the bound."""
    inverse, ks = sorted(settings["inverse"], reverse=True), sorted(settings["k"])
    rules = frame["rule"].unique().to_list()
    names = [rule for rule in ("OMP", "OMP, signed", "MP, abs", "MP, relu", "TopK", "AbsTopK") if rule in rules]
    own = frame.group_by("family", "rule", "inverse", "k").agg(pl.col("value").median())
    share = {(f, r, i, k): v for f, r, i, k, v in own.select("family", "rule", "inverse", "k", "value").iter_rows()}
    bound = [largest_support(1 / i) for i in inverse]
    below = np.array([[k < b for b in bound] for k in ks])
    found = []
    with styled():
        size = (2.15 * len(names) + 1.2, 0.22 * len(FAMILIES) * len(ks) + 2.2)
        figure, panels = subplots(len(FAMILIES), len(names), figsize=size, sharex=True, sharey=True, squeeze=False)
        image = None
        for line, family in zip(panels, FAMILIES, strict=True):
            for panel, rule in zip(line, names, strict=True):
                values = np.array([[share[family, rule, i, k] for i in inverse] for k in ks])
                image = heat(panel, inverse, ks, values)
                panel.set_xticks(range(len(inverse)), [f"1/{i}" for i in inverse])
                panel.step(*_stairs(ks, bound), color="#D55E00", linewidth=2.2, label="k = (1 + 1/μ) / 2")
                panel.set_xlim(-0.5, len(inverse) - 0.5)
                panel.set_ylim(-0.5, len(ks) - 0.5)
                inside, outside = (values[at].min() if at.any() else np.nan for at in (below, ~below))
                text = f"{inside:.2f}; beyond it {outside:.2f}"
                found.append((f"{FAMILIES[family]}, {rule}: least share recovered below the bound", text))
            line[0].set_ylabel(f"{FAMILIES[family]}\nsize of the support, k")
        for panel, rule in zip(panels[0], names, strict=True):
            panel.set_title(rule)
        for panel in panels[-1]:
            panel.set_xlabel("coherence μ")
        if image is not None:
            figure.colorbar(image, ax=panels, label="share of supports recovered", shrink=0.6, pad=0.01)
        shared_legend(figure, [panels[0, 0]], 1)
        caption = (
            "Codes h ≥ 0 of k nonzeros. Worst codes: simplices of 1 + 1/μ rows side by side, all products -μ, rows "
            "outside the support turned round. Random supports: 80 rows in 64 dimensions whose largest product is μ, "
            f"{settings['samples']} codes a cell. Medians of {settings['seeds']} seeds of dictionary and codes. MP "
            "recovers if within 8 k steps, or up to |r| < .001 |x|, it picks every row of the support and no other."
        )
        return finish(figure, caption, stem), found


def _stairs(ks: Sequence[int], bound: Sequence[float]) -> tuple[list[float], list[float]]:
    """The bound as a line of steps among cells: k counts as below up to the last tick under it."""
    edge = [sum(k < b for k in ks) - 0.5 for b in bound]
    at = [v for i in range(len(bound)) for v in (i - 0.5, i + 0.5)]
    return at, [e for e in edge for _ in range(2)]


def draw_interference(frame: pl.DataFrame, settings: dict[str, Any], stem: Path) -> Drawn:
    """What more steps do as features outnumber dimensions: the true dictionary above, trained ones below."""
    wanted = {
        "noise": (("precision", "picked features that are true"), ("recall", "true features picked")),
        "trained": (("mcc", "MCC of rows and features"), ("explained_variance", "explained variance")),
    }
    parts = [part for part in wanted if part in frame["part"].unique().to_list()]
    found: list[tuple[str, str]] = []
    with styled():
        size = (12.0, 3.3 * len(parts) + 1.6)
        figure, panels = subplots(len(parts), 3, figsize=size, squeeze=False)
        for line, part in zip(panels, parts, strict=True):
            own = frame.filter(pl.col("part") == part)
            for panel, (metric, label) in zip(line, wanted[part], strict=False):
                _curves(panel, own, metric, settings)
                panel.set(xlabel="features over dimensions, n_true / d", ylabel=label)
            _against(line[2], own, part, settings)
            found += _findings(own, part, settings)
        shared_legend(figure, [panels[0, 0], panels[-1, 0]], 6)
        names = {
            "noise": "the true dictionary",
            "trained": f"SAEs with m = n_true after {settings['train_steps']} steps",
        }
        rows = ("Above: " if len(parts) == 2 else "Left: ") + "; below: ".join(names[part] for part in parts)
        caption = (
            f"d = {settings['d']}, {settings['active']} features a sample at magnitudes in [.5, 1.5], random "
            f"directions; medians, 10-90 % bands and points of {settings['seeds']} seeds of world, data and weights. "
            f"{rows}. Line styles: steps of pursuit or k of TopK. Right: all settings, larger marks have larger "
            "n_true / d."
        )
        return finish(figure, caption, stem), found


def _values(frame: pl.DataFrame, rule: str, k: int, ratio: int, metric: str) -> list[float]:
    return numbers(frame, rule=rule, k=k, ratio=ratio, metric=metric)


def _curves(panel: Axes, frame: pl.DataFrame, metric: str, settings: dict[str, Any]) -> None:
    ratios, ks = sorted(settings["ratios"]), sorted(settings["steps"])
    for rule, colour in _LINES.items():
        for k, style in zip(ks, _STYLES, strict=False):
            values = [_values(frame, rule, k, ratio, metric) for ratio in ratios]
            if all(values):
                draw_band(panel, ratios, values, colour, f"{rule}, {k}", linestyle=style)
    if metric == "mcc":
        first = frame["rule"].unique().sort()[0]
        null = [float(np.median(_values(frame, first, ks[0], ratio, "mcc_null"))) for ratio in ratios]
        panel.plot(ratios, null, color="0.45", linestyle="-.", linewidth=1.2, label="random rows")
    panel.set_xscale("log", base=2)
    panel.set_xticks(ratios, [f"{ratio}" for ratio in ratios])
    panel.minorticks_off()


def _against(panel: Axes, frame: pl.DataFrame, part: str, settings: dict[str, Any]) -> None:
    """Reconstruction against recovery."""
    x, y = ("error", "precision") if part == "noise" else ("explained_variance", "mcc")
    ratios, ks = sorted(settings["ratios"]), sorted(settings["steps"])
    for rule, colour in _LINES.items():
        for k, style in zip(ks, _STYLES, strict=False):
            pairs = [[_values(frame, rule, k, ratio, name) for name in (x, y)] for ratio in ratios]
            if all(all(pair) for pair in pairs):
                place_x, place_y = np.array([[float(np.median(v)) for v in pair] for pair in pairs]).T
                panel.plot(place_x, place_y, color=colour, linestyle=style, linewidth=1.2)
                panel.scatter(place_x, place_y, [10 + 12 * i for i in range(len(ratios))], color=colour)
    if part == "noise":
        panel.set_xscale("log")
        panel.set_xlim(left=max(panel.get_xlim()[0], 1e-5))
    labels = {"error": "relative squared error, log scale", "precision": "picked features that are true"}
    labels |= {"explained_variance": "explained variance", "mcc": "MCC of rows and features"}
    panel.set(xlabel=labels[x], ylabel=labels[y])


def _findings(frame: pl.DataFrame, part: str, settings: dict[str, Any]) -> list[tuple[str, str]]:
    """Medians at the largest n_true / d."""
    ratio, ks = max(settings["ratios"]), sorted(settings["steps"])
    metrics = ("precision", "recall", "error") if part == "noise" else ("explained_variance", "mcc", "f1")
    found = []
    for rule in _LINES:
        for k in ks:
            values = [_values(frame, rule, k, ratio, metric) for metric in metrics]
            if all(values):
                text = ", ".join(f"{m} {np.median(v):.3f}" for m, v in zip(metrics, values, strict=True))
                what = "true dictionary" if part == "noise" else "trained"
                found.append((f"{what}, n_true / d = {ratio}: {rule}, {k}", text))
    return found + (_paired(frame, settings) if part == "trained" else [])


def _paired(frame: pl.DataFrame, settings: dict[str, Any]) -> list[tuple[str, str]]:
    """Pursuit less TopK at the largest n_true / d, and there less at the smallest; 95 % intervals of paired seeds."""
    low, high = min(settings["ratios"]), max(settings["ratios"])
    found = []
    for rule in ("MP, abs", "MP, relu"):
        for k in sorted(settings["steps"]):
            words = []
            for metric, name in (("explained_variance", "EV"), ("mcc", "MCC")):
                own, other, few = (
                    np.array(_values(frame, *at, metric)) for at in ((rule, k, high), ("TopK", k, high), (rule, k, low))
                )
                if len(own) > 1 and len(own) == len(other) == len(few):
                    words.append(f"{name} {interval(own - other)} over TopK, {interval(own - few)} over d x {low}")
            if words:
                found.append((f"trained, n_true / d = {high}: {rule}, {k}, paired", "; ".join(words)))
    return found


def draw_timing(frame: pl.DataFrame, settings: dict[str, Any], stem: Path) -> Drawn:
    """Milliseconds by the number of rows."""
    widths = sorted(settings["widths"])
    names = ("residuals", "Gram rows", "Gram rows, W Wᵀ made anew")
    times = {(rule, m): v for rule, m, v in frame.select("rule", "m", "value").iter_rows()}
    with styled():
        figure, panel = subplots(figsize=(5.4, 4.4))
        for name, colour in zip(names, COLOURS, strict=False):
            panel.loglog(widths, [times[name, m] for m in widths], "o-", color=colour, markersize=4, label=name)
        panel.set_xticks(widths, [f"{m}" for m in widths])
        panel.minorticks_off()
        panel.set(xlabel="rows of the dictionary, m", ylabel="milliseconds a batch of 1024")
        shared_legend(figure, [panel], 3)
        caption = f"16 steps of matching pursuit, d = 256, one thread; medians of {settings['repeats']} in turn."
        paths = finish(figure, caption, stem)
    ratios = [(m, times["residuals", m] / times["Gram rows", m]) for m in widths]
    return paths, [(f"Gram rows over residuals, m = {m}", f"{ratio:.1f} times faster") for m, ratio in ratios]
