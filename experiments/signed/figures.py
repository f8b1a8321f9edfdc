"""Figure, medians and verdicts of `experiments/signed/study.py`, from its table alone."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from rich.table import Table

from workbench.study.arms import Runs, median_table, places_of, runs_of, short
from workbench.study.figure import COLOURS, draw_band, finish, shared_legend, styled, subplots
from workbench.study.paired import Interval, interval, sign_change, verdict

ARMS = ("AbsTopK", "TopK", "TopK 2m", "ReLU 2m", "MP")
COLOUR: dict[str, str] = dict(zip(ARMS, (COLOURS[0], COLOURS[1], COLOURS[4], COLOURS[3], COLOURS[2]), strict=True))
SHOWN = {"mcc": "mcc", "found": "found", "fvu": "fvu", "split": "fragmentation", "two-signed": "two_signed", "L0": "l0"}
"""heading -> metric"""
WORLDS = {
    "signed": "signed axes",
    "unipolar": "unipolar features",
    "pairs": "exclusive pairs, always on",
    "pairs, bias 0": "the same, bias held at 0",
    "pairs, rare": "exclusive pairs, on at times",
}
MIXED = "mixed "
"""prefix of the parts over the share q of signed axes; P(+) follows"""
NEAR = 0.05
"""a difference in MCC that does not count"""


def lead(runs: Runs, part: str, x: float, metric: str, arm: str, rival: str) -> Interval:
    """How much higher a score is of one arm than of another, paired by seed."""
    return interval(np.subtract(runs[part, x, arm][metric], runs[part, x, rival][metric]))


def over_q(runs: Runs, part: str, metric: str = "mcc") -> tuple[list[float], list[Interval]]:
    """AbsTopK less TopK of as many latents against the share of signed axes."""
    q = places_of(runs, part)
    return q, [lead(runs, part, at, metric, "AbsTopK", "TopK") for at in q]


def mixed_parts(runs: Runs) -> list[str]:
    """Parts over q, by P(+)."""
    return sorted({part for part, _, _ in runs if part.startswith(MIXED)})


def drawn_part(parts: Sequence[str]) -> str:
    """The part of P(+) nearest to 1/2, which is drawn at length; empty where there is none."""
    return min(parts, key=lambda name: abs(float(name.removeprefix(MIXED)) - 0.5), default="")


Finding = tuple[str, str, str]
"""claim, verdict, figures"""


def _finding(claim: str, found: dict[str, Interval], more: str = "") -> Finding:
    words = "; ".join(f"{name} {value}" for name, value in found.items())
    return claim, verdict(found.values()), words + more


def on_signed_axes(runs: Runs) -> Iterator[Finding]:
    """Splitting, and what a code needs to hold axes of both signs."""

    def leads(metric: str, arm: str, *rivals: str) -> dict[str, Interval]:
        return {f"{arm} less {rival}": lead(runs, "signed", 0.0, metric, arm, rival) for rival in rivals}

    split = leads("fragmentation", "ReLU 2m", "AbsTopK") | leads("fragmentation", "TopK 2m", "AbsTopK")
    kept = np.median(runs["signed", 0.0, "AbsTopK"]["fragmentation"])
    yield _finding("nonnegative latents split axes that AbsTopK keeps", split, f"; AbsTopK splits {kept:.3f}")
    yield _finding("AbsTopK ahead of TopK of as many latents, MCC", leads("mcc", "AbsTopK", "TopK"))
    more = {f"{arm} less AbsTopK": lead(runs, "signed", 0.0, "fvu", arm, "AbsTopK") for arm in ("TopK 2m", "ReLU 2m")}
    yield _finding("2m nonnegative latents leave more error than AbsTopK of m, FVU", more)
    behind = leads("mcc", "AbsTopK", "TopK 2m", "ReLU 2m")
    level = {name: Interval(found.mean + NEAR, found.half) for name, found in behind.items()}
    claim = f"... and AbsTopK finds axes as well: at most {NEAR:g} behind, MCC"
    yield claim, verdict(level.values()), _finding(claim, behind)[2]


def on_unipolar_features(runs: Runs) -> Iterator[Finding]:
    """What signed codes cost where no axis is signed."""
    for arm in ("AbsTopK", "MP"):
        found = {f"TopK less {arm}": lead(runs, "unipolar", 0.0, "mcc", "TopK", arm)}
        yield _finding(f"TopK ahead of {arm} of as many latents, MCC", found)
        mixed = {"share": interval(runs["unipolar", 0.0, arm]["two_signed"])}
        yield _finding(f"some latents of {arm} mix signs though no axis is signed", mixed)


def on_pairs(runs: Runs) -> Iterator[Finding]:
    """Two exclusive features in one signed latent, with the bias."""
    mixed = interval(runs["pairs", 0.0, "AbsTopK"]["two_signed"])
    own = np.array(runs["pairs", 0.0, "AbsTopK"]["fvu"])
    about = f"; FVU {np.median(own):.4f}"
    yield _finding("latents of AbsTopK, m = n_true / 2, use both signs", {"share": mixed}, about)
    for part, words in (("pairs, bias 0", "without a bias"), ("pairs, rare", "where pairs rest at times")):
        more = interval(np.array(runs[part, 0.0, "AbsTopK"]["fvu"]) - own)
        yield _finding(f"... and leave more error {words}", {"FVU": more})


def over_shares(runs: Runs) -> Iterator[Finding]:
    """Whether the lead of AbsTopK on TopK grows with q, and from where on it is one, at each P(+)."""
    for part in mixed_parts(runs):
        q, found = over_q(runs, part)
        ends = [np.subtract(runs[part, at, "AbsTopK"]["mcc"], runs[part, at, "TopK"]["mcc"]) for at in (q[0], q[-1])]
        grows = {f"from {found[0]} to {found[-1]}, by": interval(ends[1] - ends[0])}
        at, first, last = sign_change(q, found)
        place = f"; ahead from q = {at:.2f} on" if math.isfinite(at) else "; not ahead at the end"
        enclosed = f", between {first:.2f} and {last:.2f}" if math.isfinite(last) else f", beyond {first:.2f}"
        claim = f"AbsTopK gains on TopK from q = {q[0]:g} to {q[-1]:g}, P(+) = {part.removeprefix(MIXED)}"
        yield _finding(claim, grows, place + (enclosed if math.isfinite(first) else ""))


def verdicts(frame: pl.DataFrame) -> Table:
    """What was measured about each claim, in words."""
    runs = runs_of(frame)
    present = {part for part, _, _ in runs}
    table = Table("world", "claim", "verdict", "measured", title="Signed against nonnegative codes")
    groups = {"signed": on_signed_axes, "unipolar": on_unipolar_features, "pairs": on_pairs}
    groups |= {part: over_shares for part in mixed_parts(runs)[:1]}
    for part, findings in groups.items():
        for i, found in enumerate(findings(runs) if part in present else ()):
            table.add_row("" if i else WORLDS.get(part, "share q of axes signed"), *found)
        table.add_section()
    table.caption = (
        "mean differences ± half of the 95 % interval, paired by seed. CONFIRMED: all above 0; REFUTED: one is not; "
        "UNDECIDED: one may not be. A crossing lies where the ends of the intervals change sign."
    )
    return table


def medians(frame: pl.DataFrame) -> Table:
    """Every arm in the worlds of one kind: medians over seeds."""
    table = median_table(tuple(SHOWN))
    for (part, _, arm), scores in runs_of(frame).items():
        if part in WORLDS:
            heads = {ARMS[0]: part, ARMS[1]: f"L0 {scores['expected_l0'][0]:.2f}"}
            cells = [short(float(np.median(scores[name]))) for name in SHOWN.values()]
            table.add_row(heads.get(arm, ""), arm, *cells)
    table.caption = (
        "found: features whose own latent has |cos| ≥ .9; split: axes with a latent along both ends; two-signed: "
        "latents that use both signs; pairs, rare: on 7 times of 10; left: true L0"
    )
    return table


def draw(frame: pl.DataFrame, caption: str, stem: Path) -> list[Path]:
    """Lead, splitting and error over the share of signed axes; then all arms in the worlds of one kind."""
    runs = runs_of(frame)
    with styled():
        figure, panels = subplots(2, 3, figsize=(11.2, 6.8))
        _leads(panels[0, 0], runs)
        part = drawn_part(mixed_parts(runs))
        for panel, metric, label in (
            (panels[0, 1], "fragmentation", "share of axes split in two latents"),
            (panels[0, 2], "fvu", "fraction of variance unexplained"),
        ):
            q = places_of(runs, part)
            for arm in [name for name in ARMS if q and (part, q[0], name) in runs]:
                draw_band(
                    panel, q, [runs[part, at, arm][metric] for at in q], COLOUR[arm], arm, marker="o", markersize=3
                )
            panel.set(xlabel=f"share q of signed axes, P(+) = {part.removeprefix(MIXED)}", ylabel=label)
        panels[0, 1].plot([0, 1], [0, 1], color="0.45", linestyle=":", linewidth=1.2, label="every signed axis split")
        for panel, metric, label in (
            (panels[1, 0], "mcc", "mean |cos| of matched rows, MCC"),
            (panels[1, 1], "two_signed", "share of latents using both signs"),
            (panels[1, 2], "fvu", "fraction of variance unexplained"),
        ):
            _dots(panel, runs, metric)
            panel.set_xlabel(label)
        for panel in panels[1, 1:]:
            panel.set_yticklabels([])
        shared_legend(figure, (panels[1, 0], panels[0, 1]), columns=8)
        return finish(figure, caption, stem)


def _leads(panel: Axes, runs: Runs) -> None:
    """Mean lead of AbsTopK with its interval, seeds as points."""
    panel.axhline(0, color="0.3", linewidth=1.2)
    for part, colour in zip(mixed_parts(runs), (COLOURS[0], COLOURS[2], COLOURS[3], COLOURS[6]), strict=False):
        q, found = over_q(runs, part)
        half = [one.half for one in found]
        panel.errorbar(q, [one.mean for one in found], half, color=colour, linewidth=1.6, capsize=2.5, label=part)
        for at in q:
            own, other = (runs[part, at, arm]["mcc"] for arm in ARMS[:2])
            seeds = np.subtract(own, other)
            panel.plot([at] * len(seeds), seeds, ".", color=colour, markersize=2.5, alpha=0.5)
        place = sign_change(q, found)[0]
        if place > q[0]:
            panel.plot(place, 0, "v", color=colour, markersize=6, markeredgecolor="black", markeredgewidth=0.6)
    lines, labels = panel.get_legend_handles_labels()
    panel.legend(lines, [f"P(+) = {label.removeprefix(MIXED)}" for label in labels], frameon=False, loc="upper left")
    panel.set(xlabel="share q of signed axes", ylabel="MCC: AbsTopK less TopK, m = n_true")


def _dots(panel: Axes, runs: Runs, metric: str) -> None:
    """A line a world, a colour an arm."""
    for i, part in enumerate(WORLDS):
        for j, arm in enumerate(ARMS):
            if (part, 0.0, arm) not in runs:
                continue
            values, y = runs[part, 0.0, arm][metric], i + 0.15 * (j - 2)
            panel.plot(values, [y] * len(values), ".", color=COLOUR[arm], markersize=3, alpha=0.55)
            panel.plot(np.quantile(values, (0.1, 0.9)).tolist(), [y, y], color=COLOUR[arm], linewidth=1.2)
            panel.plot(np.median(values), y, "o", color=COLOUR[arm], markersize=4.5, label=arm)
            if metric == "mcc":
                chance = float(np.median(runs[part, 0.0, arm]["mcc_null"]))
                panel.plot([chance] * 2, [y - 0.07, y + 0.07], color="0.3", linewidth=1.2, label="random directions")
    panel.set_yticks(range(len(WORLDS)), [name.replace(", ", ",\n") for name in WORLDS.values()])
    panel.set_xlim(-0.03, 1.03)
    panel.invert_yaxis()
