"""Figure, table and verdicts on SAEs of attention outputs, from the table of a run alone."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from rich.table import Table

from experiments.interactions.findings import Claim
from workbench.study.figure import finish, numbers, styled, subplots
from workbench.study.panels import COLOURS, draw_band

ROTATED = "heads mixed"
ARMS = {"TopK": COLOURS[0], "ReLU": COLOURS[1], ROTATED: COLOURS[7]}
RHO, SIZE, LIFT, DFA = "AUC rho", "AUC |z|", "AUC |z| when active", "AUC DFA when active"
SCORES = {RHO: COLOURS[0], DFA: COLOURS[4], LIFT: COLOURS[2], SIZE: COLOURS[3]}
NAMES = {
    RHO: "share ρ of decoder rows",
    DFA: "mean DFA when active",
    LIFT: "|z_h| when active, over mean",
    SIZE: "mean |z_h|",
}


def draw(frame: pl.DataFrame, settings: Any, stem: Path) -> list[Path]:
    """Six panels: directions, writers, shares; ablations, cond(W_O), the top-ten rule.

    Args:
        frame: rows of part, arm, n_true, seed, owned, place, what, value.
        settings: of the experiment.
        stem: of the files.
    """
    with styled():
        figure, panels = subplots(2, 3, figsize=(11.5, 7.2))
        _over_features(panels[0, 0], panels[0, 1], frame, settings)
        _shares(panels[0, 2], frame)
        _ablations(panels[1, 0], frame)
        _conditions(panels[1, 1], frame, settings)
        _roles(panels[1, 2], frame, settings)
        for panel in panels.flat:
            panel.legend(frameon=False, fontsize=7.5, loc="center left" if panel is panels[1, 2] else "best")
        caption = (
            f"{settings.heads} heads of width {settings.d_head}, d = {settings.heads * settings.d_head}; features "
            f"written by 1, 2, 3 heads (.5, .3, .2; right below: 1 or 2); {settings.active:g} at a source, two sources "
            f"a head; m = {settings.latents} n_true, k = {settings.k}, l1 = {settings.l1:g}; {settings.steps} steps of "
            f"{settings.batch}; n_true = {settings.base} where it does not vary; {settings.seeds} seeds: median, "
            "10-90 % band, points; scatters: the first seed."
        )
        return finish(figure, caption, stem)


def _over_features(found: Axes, writers: Axes, frame: pl.DataFrame, settings: Any) -> None:
    def values(arm: str, what: str) -> list[list[float]]:
        return [numbers(frame, part="recovery", arm=arm, n_true=n, what=what) for n in settings.n_true]

    place = [float(np.median(v)) for v in values("TopK", "features a head")]
    for arm, colour in ARMS.items():
        draw_band(found, place, values(arm, "MCC"), colour, arm, marker="o", markersize=3)
    draw_band(found, place, values("TopK", "chance"), "0.25", "random rows", linestyle="--")
    for what, colour in SCORES.items():
        name = {RHO: "share ρ of decoder rows", SIZE: "mean |z_h|", LIFT: "|z_h| when active, over mean"}.get(what)
        draw_band(
            writers, place, values("TopK", what), colour, name or "mean DFA when active", marker="o", markersize=3
        )
    draw_band(writers, place, values(ROTATED, RHO), COLOURS[7], "ρ, heads mixed", marker="o", markersize=3)
    for panel in (found, writers):
        panel.set(xscale="log", xlabel="features that a head writes")
        panel.set_xticks(place, [f"{p:.0f}" for p in place])
        panel.minorticks_off()
    found.set(ylabel="matched |cosine| with planted directions", ylim=(0, 1.05), title="directions")
    writers.axhline(0.5, color="0.45", linestyle=":", linewidth=1.2)
    writers.set(ylabel="AUC for the heads that write a feature", ylim=(0.3, 1.05), title="writers (TopK)")


def _shares(panel: Axes, frame: pl.DataFrame) -> None:
    for arm in (ROTATED, "TopK"):
        own = frame.filter(pl.col("what") == "shares", pl.col("arm") == arm)
        panel.plot(own["place"], own["value"], ".", color=ARMS[arm], markersize=4, alpha=0.4, label=arm)
    panel.plot([0, 1], [0, 1], color="black", linewidth=1, label="planted")
    panel.set(xlabel="planted share of a head", ylabel="share ρ of the matched latent", title="shares of heads")


def _ablations(panel: Axes, frame: pl.DataFrame) -> None:
    own = frame.filter(pl.col("what") == "ablation")
    for arm in ("TopK", "ReLU"):
        at = own.filter(pl.col("arm") == arm)
        panel.plot(at["place"], at["value"], ".", color=ARMS[arm], markersize=4, alpha=0.5, label=arm)
    line = np.array([-1.0, 1.0, 2.5])
    panel.plot(line, np.minimum(line, 1), color="black", linewidth=1, label="min(DFA, f)")
    panel.set(xlabel="DFA of a head / f", ylabel="fall of f without the head / f", title="ablation of heads")
    panel.set(xlim=(-1, 2.5), ylim=(-1, 1.4))


def _conditions(panel: Axes, frame: pl.DataFrame, settings: Any) -> None:
    names = {"MCC": "with V W_O, in z W_O", "MCC in z": "with V, taken back to z", "agreement": "with the SAE of z"}
    for (what, name), colour in zip(names.items(), (COLOURS[0], COLOURS[2], COLOURS[3]), strict=True):
        values = [numbers(frame, part="output", what=what, place=c) for c in settings.condition]
        draw_band(panel, settings.condition, values, colour, name, marker="o", markersize=3)
    ceiling = float(np.median(numbers(frame, part="output", what="agreement", place=0.0)))
    panel.axhline(ceiling, color="0.45", linestyle="--", linewidth=1.2, label="two SAEs of z with each other")
    panel.set(xscale="log", xlabel="cond(W_O)", ylabel="matched |cosine|", ylim=(0, 1.05), title="trained on z W_O")


def _roles(panel: Axes, frame: pl.DataFrame, settings: Any) -> None:
    for owned, colour in zip(settings.owned, (COLOURS[3], COLOURS[0], COLOURS[2], *COLOURS[4:]), strict=False):
        at = {"part": "roles", "owned": owned}
        values = [numbers(frame, **at, what="planted", place=s) for s in settings.split]
        draw_band(panel, settings.split, values, colour, f"{owned} own")
        formula = [np.mean(numbers(frame, **at, what="formula", place=s)) for s in settings.split]
        panel.plot(settings.split, formula, "--", color=colour, linewidth=1.2)
        values = [numbers(frame, **at, what="trained", place=s) for s in settings.split]
        if all(values):
            draw_band(panel, settings.split, values, "black", f"{owned}, trained", marker="o", markersize=3)
    panel.plot([], [], "--", color="0.45", label="formula")
    panel.set(xlabel="share of features split over two heads", ylabel="one-role heads called polysemantic")
    panel.set(ylim=(-0.05, 1.05), title="top ten of ρ")


def table_of(frame: pl.DataFrame, settings: Any) -> Table:
    """Medians over seeds, a row an arm and size."""
    names = {"features a head": "a head", "L0": "L0", "FVU": "FVU", "MCC": "MCC", "chance": "chance"}
    names |= {"recall@.9": "recall", RHO: "AUC ρ", SIZE: "AUC |z|", "largest share": "max ρ"}
    table = Table("arm", "n_true", *names.values(), title="planted attention: medians over seeds", padding=(0, 0))
    for arm in ARMS:
        for n in settings.n_true:
            own = [numbers(frame, part="recovery", arm=arm, n_true=n, what=what) for what in names]
            table.add_row(arm, str(n), *(f"{np.median(v):.3g}" for v in own))
        table.add_section()
    table.caption = "a head: features it writes; recall: cos ≥ .9; max ρ: a latent's largest share, 1/H = " + (
        f"{1 / settings.heads:.3g}"
    )
    return table


def claims(frame: pl.DataFrame, settings: Any) -> Iterator[Claim]:
    """What was claimed, one number a seed."""

    def at(what: str, part: str = "recovery", **more: Any) -> np.ndarray:
        return np.array(numbers(frame, part=part, what=what, **more))

    def worst(arm: str, what: str, least: bool = True) -> np.ndarray:
        own = np.stack([at(what, arm=arm, n_true=n) for n in settings.n_true])
        return own.min(0) if least else own.max(0)

    def lead(over: str) -> np.ndarray:
        sizes = [at(RHO, arm="TopK", n_true=n) - at(over, arm="TopK", n_true=n) for n in settings.n_true]
        return np.mean(sizes, 0)

    for arm in ("TopK", "ReLU"):
        yield Claim(f"{arm}: ρ finds the writers, least AUC", worst(arm, RHO), 0.95)
    for name, short in ((SIZE, "mean |z_h|"), (LIFT, "|z_h| when active"), (DFA, "DFA when active")):
        yield Claim(f"TopK, AUC: ρ over {short}", lead(name))
    off = np.stack([abs(at(RHO, arm=ROTATED, n_true=n) - 0.5) for n in settings.n_true]).max(0)
    yield Claim("heads mixed: largest |AUC of ρ − .5|", off, 0.1, below=True)
    yield Claim("heads mixed: largest share of latents", worst(ROTATED, "largest share", False), 0.25, below=True)
    wrong = np.max([worst(arm, "sure but misranked", False) for arm in ("TopK", "ReLU")], 0)
    yield Claim("misranked though cos² > 1 − a²/2 (share)", wrong, 1e-9, below=True)
    base = {"n_true": settings.base}
    for arm in ("ReLU", "TopK"):
        yield Claim(f"{arm}: fall ≠ min(DFA, f) (share)", at("neither", arm=arm, **base), 1e-9, below=True)
    ceiling = at("agreement", "output", place=0.0)
    for c in settings.condition:
        lost = ceiling - at("agreement", "output", place=c)
        yield Claim(f"zW_O, cond {c:g}: agreement with z lost", lost, 0.05, below=True)
    own = {"owned": settings.owned[len(settings.owned) // 2]}
    for split in (settings.split[0], settings.split[-1]):
        seen = 1 - at("trained", "roles", place=split, **own)
        yield Claim(f"top ten: one-role heads seen, {split:.0%} split", seen, 0.9)
    over = [at("trained", "roles", place=s, **own) - at("formula", "roles", place=s, **own) for s in settings.split]
    yield Claim("... not seen: above formula by", np.mean(over, 0), 0.1, below=True)


def said(frame: pl.DataFrame, settings: Any) -> Iterator[str]:
    """A verdict a line."""
    for claim in claims(frame, settings):
        statement, mean, claimed, word = claim.cells
        yield f"{word:9} {statement:42} {mean} ({claimed})"
