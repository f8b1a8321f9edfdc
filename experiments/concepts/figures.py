"""Figure and tables on latent concepts: what a perfect predictor's logits are linear in, and what probes make of it."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from rich.table import Table

from workbench.study.figure import Figure
from workbench.study.panels import Axis, Formula, Heat, Lines, Scene, Series, look
from workbench.study.selection import present, replicates, rows
from workbench.study.table import Medians

REFERENCE = {
    "ambiguity": {1.0: 0.58, 8.0: 0.11, 32.0: 0.025},
    "residual_size": {1.0: 0.15, 8.0: 1.70, 32.0: 7.63},
    "R2_log": {1.0: 0.84, 8.0: 0.43, 32.0: 0.37},
    "R2_prob": {1.0: 0.98, 8.0: 0.986, 32.0: 0.997},
}
"""figures of an independent run, generic tokens, l = 8, by sharpness; how many tokens and contexts is not recorded"""
FIT = {"R2_log": "R², log p(c|s)", "R2_prob": "R², p(c|s)"}
ALL = {**FIT, "ambiguity": "ambiguity ε"}
SIZE = "mean |h_y − h_0|"
LOOKS = {name: look(i) for name, i in zip((*ALL, "residual_size", "accuracy"), (1, 0, 2, 3, 4), strict=True)}


@dataclass(frozen=True)
class Reference:
    """Diamonds where another run stands."""

    metrics: tuple[str, ...]

    def draw(self, axes: Axes, scene: Scene) -> None:
        """Draw one for each metric and sharpness of that run."""
        label: str | None = "reference run"
        for metric in self.metrics:
            x, y = zip(*REFERENCE[metric].items(), strict=True)
            colour = LOOKS[metric].colour
            axes.plot(x, y, "D", markerfacecolor="white", markeredgecolor=colour, markersize=6, label=label)
            label = None


_SHARP = Axis("sharpness t of contexts", log=True)
_ER2 = {"arm": "ER-2"}
_OF_N = (
    Series("Bayes accuracy", "bayes_accuracy", _ER2, LOOKS["ambiguity"]),
    Series("probe accuracy", "accuracy", _ER2, LOOKS["accuracy"]),
    Series(FIT["R2_log"], "R2_log", _ER2, LOOKS["R2_log"]),
    Series("typed tokens: R², log-marginals", "typed_R2_marg", _ER2, LOOKS["R2_prob"]),
)
FIGURES = (
    Figure(
        "concepts",
        [
            Lines(
                y=ALL,
                by="metric",
                looks=LOOKS,
                place="sharpness",
                across=_SHARP,
                up=Axis("R², ambiguity", limits=(0, 1.03)),
                marks=(Reference(tuple(ALL)),),
                title="clear posteriors, no line",
                legend="own",
            ),
            Lines(
                y={"residual_size": SIZE},
                by="metric",
                looks=LOOKS,
                place="sharpness",
                across=_SHARP,
                up=Axis("nats", log=True),
                marks=(Reference(("residual_size",)),),
                title="what linearity leaves out",
                legend="own",
            ),
            Heat(
                y="R2_log",
                over=("x", "leak"),
                place="leak",
                level=0.999,
                across="sharpness t",
                up="leak ε",
                title="R², log p(c|s): outlined where ≥ .999",
            ),
            Lines(
                y={name: f"1 − {label}" for name, label in FIT.items()},
                by="metric",
                looks=LOOKS,
                place="weak",
                change=lambda r2: 1 - r2,
                floor=1e-16,
                across=Axis("η: what c changes of a token", log=True),
                up=Axis("1 − R²", log=True),
                marks=(Formula(lambda eta: 1e-2 * eta**2, "η² / 100", colour="0.45", dash="--"),),
                title="weak tokens",
                legend="own",
            ),
            Lines(
                y=_OF_N,
                place="observed",
                across="observed tokens N (ER-2 prior, 7 concepts)",
                up=Axis("accuracy, R²", limits=(0, 1.03)),
                title="accuracy is not linearity",
                legend="own",
            ),
            Lines(
                y="log_loss_gap",
                place="strength",
                names={"revealing": "revealing tokens", "typed": "typed tokens"},
                floor=1e-17,
                across="strength of Potts couplings",
                up=Axis("log-loss less H(c_k|s), nats", log=True),
                title="probe against Bayes",
                legend="own",
            ),
        ],
        "Three binary concepts, l = 8; {seeds} random models a point: median, 10-90 % band, points. R² of a perfect "
        "predictor's logits, weighted by p(s). {tokens} generic tokens and {contexts} contexts above, 16 and 160 "
        "tokens below; diamonds: another run, sizes unrecorded.",
        arms={},
    ),
)


def against_reference(table: pl.DataFrame) -> Table:
    """Means over models by sharpness, beside those of another run."""
    shown = Table("t", *REFERENCE, title="mean ± sd over models; a reference run, and its distance in sd")
    own = rows(table, place="sharpness")
    for t in present(own, "x"):
        cells = []
        for metric, known in REFERENCE.items():
            values = list(replicates(rows(own, x=t), metric).values())
            mean, sd = float(np.mean(values)), float(np.std(values, ddof=1))
            said = f"; {known[t]:g}, {(known[t] - mean) / sd:+.1f}" if t in known else ""
            cells.append(f"{mean:.3g} ± {sd:.2g}{said}")
        shown.add_row(f"{t:g}", *cells)
    return shown


TABLES = (
    against_reference,
    Medians(
        "observed tokens N: medians",
        {
            **{"accuracy": "accuracy", "bayes_accuracy": "Bayes"},
            **{"R2_log": "R2_log", "R2_prob": "R2_prob", "typed_R2_marg": "typed R2_marg"},
        },
        by=("arm", "x"),
        place="observed",
        formats="{:.3f}",
    ),
    Medians(
        "trained predictors, two seeds: medians",
        {
            **{"divergence": "divergence", "R2_aligned": "x' ~ x"},
            **{f"{form}_{i}": f"{form} {i}" for form in ("joint", "marginal") for i in (0, 1)},
        },
        by=("arm",),
        place="trained",
        formats="{:.4g}",
        caption="short of 1, R² of x knows the gauge",
    ),
)
