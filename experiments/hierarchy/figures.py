"""Figure, medians and verdicts of `experiments/hierarchy/study.py`, from its table alone."""

from pathlib import Path

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from rich.table import Table

from workbench.study.figure import finish, shared_legend, styled, subplots
from workbench.study.panels import COLOURS, draw_band
from workbench.study.questions import CONFIRMED, REFUTED, Interval, interval, verdict
from workbench.study.tables import Runs, median_table, places_of, runs_of, short

ONE_PASS = ("ReLU", "TopK", "BatchTopK", "Matryoshka")
"""arms whose encoder is a linear map and an activation"""
PURSUIT = ("MP that stops", "MP")
"""arms that each claim is put to"""
COLOUR = dict(zip((*ONE_PASS, "OMP", *PURSUIT), (*COLOURS[:5], "black", COLOURS[7]), strict=True))
SHOWN = {
    **{"found": "found", "mcc": "mcc", "flat": "flat_mse", "hier": "hier_mse", "tilt": "absorption_cosine"},
    **{"pairs": "edge_recall@.9", "fvu": "fvu", "L0": "l0"},
}
"""heading -> metric"""
FLOOR = 1e-5
"""squared cosines below are drawn here"""
CLAIMS = {
    "found": ("finds more features", +1),
    "flat_mse": ("cosines in a level: less error", -1),
    "hier_mse": ("cosines across levels: less error", -1),
    "absorption_cosine": ("child latents tilt less to parents", -1),
    "edge_recall@.9": ("finds more parent-child pairs", +1),
}
"""metric -> claim about a pursuit, and whether more is better"""
ASKED = {
    "tree": ("found", "flat_mse", "hier_mse"),
    "absorption": ("absorption_cosine",),
    "crowded": ("found",),
    "graph": ("edge_recall@.9",),
}


def compared(runs: Runs, part: str, x: float, arm: str, metric: str) -> dict[str, Interval]:
    """One-pass arm -> how much better `arm` is than it, paired by seed."""
    sign = CLAIMS[metric][1]
    own = np.abs(runs[part, x, arm][metric])
    return {rival: interval(sign * (own - np.abs(runs[part, x, rival][metric]))) for rival in ONE_PASS}


def where(part: str, x: float) -> str:
    """A world in words."""
    return {
        "tree": f"tree, cosine of siblings {x:g}",
        "absorption": f"tree, children's mean {x:g}",
        "crowded": "tree, n_true > d",
        "graph": "graph of several parents",
    }[part]


def verdicts(frame: pl.DataFrame) -> Table:
    """What was measured about each claim, in words, for both rules of pursuit."""
    runs = runs_of(frame)
    table = Table(title="Matching pursuit (MP) against one-pass encoders: 95 % intervals of its lead, paired by seed")
    for name in ("claim on MP", "world", *PURSUIT):
        table.add_column(name)
    for part, metrics in ASKED.items():
        for metric in metrics:
            for x in places_of(runs, part):
                cells = [_cell(compared(runs, part, x, arm, metric), runs[part, x, arm][metric]) for arm in PURSUIT]
                table.add_row(CLAIMS[metric][0], where(part, x), *cells)
            table.add_section()
    total = {name: int(_exact(frame, name)[1].sum()) for name in ("differs", "abs fails", "relu fails", "two active")}
    same = CONFIRMED if not total["differs"] else REFUTED
    fails = [CONFIRMED if not total[f"{rule} fails"] else REFUTED for rule in ("relu", "abs")]
    of = f"of {total['two active']:,} samples"
    claim = "with the true rows one pass fails just where min h ≤ g max h"
    table.add_row(claim, "tree, true rows", f"{same}: not so in {total['differs']} {of}", "")
    counts = [f"{word}: {total[f'{rule} fails']} {of}" for word, rule in zip(fails, ("relu", "abs"), strict=True)]
    table.add_row("with the true rows MP never fails", "tree, true rows", *counts)
    left = frame.filter(pl.col("metric") == "linear floor")
    worst = left.group_by("part").agg(pl.col("value").max()).sort("part")
    words = ", ".join(f"{part} {value:.2f}" for part, value in worst.iter_rows())
    table.caption = (
        "CONFIRMED: ahead of all four one-pass arms; REFUTED: not ahead of the one shown; UNDECIDED: perhaps. First "
        f"number: median of MP itself. Share of the codes' variance that the best linear map of x leaves: {words}."
    )
    return table


def _cell(leads: dict[str, Interval], own: list[float]) -> str:
    """Verdict, the pursuit's own median, whom it leads, and the lead that decides."""
    word = verdict(leads.values())
    rival = min(leads, key=lambda name: leads[name].high if word == REFUTED else leads[name].low)
    ahead = ", ".join(name for name, lead in leads.items() if lead.low > 0 and name != rival) or "no other"
    return f"{word}: {short(float(np.median(own)))}; {leads[rival]} on {rival}; ahead of {ahead}"


def medians(frame: pl.DataFrame) -> Table:
    """Every arm in every world: medians over seeds."""
    table = median_table(tuple(SHOWN))
    for (part, x, arm), scores in runs_of(frame).items():
        own = {"tree": f"tree {x:g}", "absorption": f"weak {x:g}"}.get(part, part)
        heads = {ONE_PASS[0]: own, ONE_PASS[1]: f"L0 {scores['expected_l0'][0]:.2f}"}
        cells = [short(float(np.median(scores[name]))) for name in SHOWN.values()]
        table.add_row(heads.get(arm, ""), arm, *cells, end_section=arm == PURSUIT[-1])
    table.caption = (
        "found: share of features whose own latent has |cos| ≥ .9; flat, hier: squared error of cosines in a level and "
        "across; tilt: cosine of child latents with the parent; pairs: both ends found; left: true L0"
    )
    return table


def draw(frame: pl.DataFrame, caption: str, stem: Path) -> list[Path]:
    """Recovery and geometry over cosines inside levels, absorption, one pass with true rows, and two more worlds."""
    runs = runs_of(frame)
    with styled():
        figure, panels = subplots(2, 3, figsize=(11.2, 6.6))
        inside, tilt = "cosine of siblings", "mean magnitude of children (parents: 1)"
        _lines(panels[0, 0], runs, "tree", "found", inside, "share of features found, |cos| ≥ .9")
        chance = np.median([v for scores in runs.values() for v in scores["found_null"]])
        panels[0, 0].axhline(chance, color="0.45", linestyle="--", linewidth=1.2, label="random directions")
        panels[0, 0].set_ylim(-0.03, 1.05)
        _lines(panels[0, 1], runs, "tree", "flat_mse", inside, "squared error of cosines in a level")
        _lines(panels[0, 2], runs, "tree", "hier_mse", inside, "squared cosines across levels")
        for panel in panels[0, 1:]:
            panel.set_yscale("log")
        _lines(panels[1, 0], runs, "absorption", "absorption_cosine", tilt, "tilt of child latents to the parent")
        panels[1, 0].axhline(0, color="0.45", linewidth=0.8)
        _one_pass(panels[1, 1], frame)
        _dots(panels[1, 2], runs)
        panels[0, 0].plot([], [], color=COLOURS[6], label="true rows, one pass (theory)")
        shared_legend(figure, (panels[0, 0], panels[1, 0], panels[1, 1], panels[1, 2]), columns=6)
        return finish(figure, caption, stem)


def _lines(panel: Axes, runs: Runs, part: str, metric: str, x: str, y: str) -> None:
    places = places_of(runs, part)
    for arm, colour in COLOUR.items() if places else ():
        values = [runs[part, at, arm][metric] for at in places]
        if metric.endswith("mse"):
            values = [[max(v, FLOOR) for v in own] for own in values]
        dashed = {"linestyle": (0, (4, 2))} if arm in PURSUIT else {}
        draw_band(panel, places, values, colour, arm, marker="o", markersize=3, **dashed)
    panel.set(xlabel=x, ylabel=y)


def _one_pass(panel: Axes, frame: pl.DataFrame) -> None:
    """Failures with the true rows, measured and predicted."""
    g, active = _exact(frame, "two active")
    at, share = _exact(frame, "predicted")
    panel.plot(at, share, color=COLOURS[6], linewidth=1.6)
    for name, mark, label in (
        ("one pass fails", "o", "one pass, measured"),
        ("relu fails", "s", "MP, relu rule, true rows"),
        ("abs fails", "x", "MP, abs rule, true rows"),
    ):
        panel.plot(g, _exact(frame, name)[1] / active, mark, color="black", markersize=5, fillstyle="none", label=label)
    panel.set(xlabel="cosine of siblings, g", ylabel="wrong supports, two features active", ylim=(-0.03, 1.03))


def _dots(panel: Axes, runs: Runs) -> None:
    """Features found in the crowded tree and pairs found in the graph, an arm a line."""
    kinds = (
        ("crowded", "found", -0.17, "features, n_true > d"),
        ("graph", "edge_recall@.9", 0.17, "pairs, graph"),
    )
    for part, metric, shift, label in kinds:
        for i, (arm, colour) in enumerate(COLOUR.items()):
            for x in places_of(runs, part):
                values, y = runs[part, x, arm][metric], i + shift
                mark = "o" if part == "crowded" else "D"
                panel.plot(values, [y] * len(values), ".", color=colour, markersize=3, alpha=0.6)
                panel.plot(np.median(values), y, mark, color=colour, markersize=5)
                panel.plot(np.quantile(values, (0.1, 0.9)).tolist(), [y, y], color=colour, linewidth=1.2)
        panel.plot([], [], "o" if part == "crowded" else "D", color="0.3", markersize=5, label=label)
    panel.set_yticks(range(len(COLOUR)), list(COLOUR))
    panel.set(xlabel="share found, |cos| ≥ .9", xlim=(-0.03, 1.03))
    panel.invert_yaxis()


def _exact(frame: pl.DataFrame, metric: str) -> tuple[np.ndarray, np.ndarray]:
    own = frame.filter(pl.col("part") == "true rows", pl.col("metric") == metric).sort("x")
    return own["x"].to_numpy(), own["value"].to_numpy()
