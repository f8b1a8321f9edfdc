"""Figures, medians and questions of the study on concept levels."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import polars as pl
from matplotlib.axes import Axes as Panel

from workbench.study.figure import Figure
from workbench.study.panels import COLOURS, Axis, Dots, Level, Lines, Look, Scene, Series, ink, look
from workbench.study.questions import CONFIRMED, REFUTED, Answer, Quantity, Question, score
from workbench.study.selection import nearest_l0, rows
from workbench.study.table import Medians

ONE_PASS = ("ReLU", "TopK", "BatchTopK", "Matryoshka")
"""arms whose encoder is a linear map and an activation"""
PURSUIT = ("MP that stops", "MP")
"""arms that each claim is put to"""
ARMS = (*ONE_PASS, "OMP", *PURSUIT)
LOOKS = {arm: look(i) for i, arm in enumerate((*ONE_PASS, "OMP"))}
LOOKS |= {"MP that stops": Look("black", "P", (0, (8, 2))), "MP": Look(COLOURS[6], "X", (0, (3, 1, 1, 1)))}
FLOOR = 1e-5
"""squared cosines below are drawn here"""
TRUE_ROWS = "true rows"
"""the place of what needs no training"""
SIBLINGS = "cosine of siblings"


def counts(table: pl.DataFrame, metric: str) -> pl.DataFrame:
    """Of the codes with the true rows, by the cosine of siblings x."""
    return rows(table, place=TRUE_ROWS, metric=metric).sort("x")


@dataclass(frozen=True)
class WrongSupports:
    """Failures with the true rows, measured and predicted."""

    legend: str = "own"

    def draw(self, axes: Panel, scene: Scene) -> None:
        """Draw the theory's line and the measured shares."""
        active, theory = counts(scene.table, "two active"), counts(scene.table, "predicted")
        axes.plot(theory["x"], theory["value"], color=COLOURS[6], linewidth=1.6, label="one pass, theory")
        for name, mark in (("one pass", "o"), ("relu", "s"), ("abs", "x")):
            share = counts(scene.table, f"{name} fails")["value"] / active["value"]
            label = "one pass, measured" if name == "one pass" else f"MP, {name} rule"
            axes.plot(active["x"], share, mark, color=ink(), markersize=5, fillstyle="none", label=label)
        axes.set(xlabel=SIBLINGS, ylabel="wrong supports, two features active", ylim=(-0.03, 1.03))
        axes.set_title("true rows, no training")


_TREE = Lines(y="found", place="tree", across=SIBLINGS)
_ERROR = replace(_TREE, floor=FLOOR, chance=False)
_PANELS = [
    replace(_TREE, up=Axis("share of features found, |cos| ≥ .9", limits=(-0.03, 1.05))),
    replace(_ERROR, y="flat_mse", up=Axis("squared error of cosines in a level", log=True)),
    replace(_ERROR, y="hier_mse", up=Axis("squared cosines across levels", log=True)),
    Lines(
        y="absorption_cosine",
        place="absorption",
        across="mean magnitude of children (parents: 1)",
        up="tilt of child latents to the parent",
        marks=(Level(0.0, dash="-"),),
        chance=False,
    ),
]
_CAPTION = (
    "Tree: n_true = d = m = 20, E L0 = 1.36; n_true > d: 28 features in d = 19, m = 28, E L0 = 1.8; graph: n_true "
    "= m = 12, d = 16, E L0 = 3.06. {steps} steps of {train[batch]}, Adam {train[lr]:g}; {seeds} seeds of weights: "
    "median, 10-90 % band, points. One pass: L0 as the world's; TopK, OMP and MP (abs rule, k steps) take its ceiling; "
    "MP that stops: relu rule, residual below {tol:g}, a repeat, or {most} steps. Squared cosines below 1e-5 are drawn "
    "there."
)
FIGURES = (
    Figure(
        "hierarchy",
        [
            *_PANELS,
            WrongSupports(),
            Dots(
                y=(
                    Series("features, n_true > d", "found", {"place": "crowded"}),
                    Series("pairs, graph", "edge_recall@.9", {"place": "graph"}),
                ),
                arms=ARMS,
                names={arm: arm for arm in ARMS},
                chance=False,
                across=Axis("share found, |cos| ≥ .9", limits=(-0.03, 1.03)),
                legend="own",
            ),
        ],
        _CAPTION,
        arms={arm: LOOKS[arm] for arm in (*ONE_PASS, "MP")},
        pick=nearest_l0,
    ),
    Figure(
        "hierarchy-pursuits", _PANELS, _CAPTION, arms={arm: LOOKS[arm] for arm in ("OMP", *PURSUIT)}, pick=nearest_l0
    ),
)
ASKED: tuple[tuple[str, str, str, int, str], ...] = (
    ("tree", "found", "finds more features", +1, f"tree, {SIBLINGS} {{x:g}}"),
    ("tree", "flat_mse", "cosines in a level: less error", -1, f"tree, {SIBLINGS} {{x:g}}"),
    ("tree", "hier_mse", "cosines across levels: less error", -1, f"tree, {SIBLINGS} {{x:g}}"),
    ("absorption", "absorption_cosine", "child latents tilt less to parents", -1, "tree, children's mean {x:g}"),
    ("crowded", "found", "finds more features", +1, "tree, n_true > d"),
    ("graph", "edge_recall@.9", "finds more parent-child pairs", +1, "graph of several parents"),
)
"""place, metric, claim on a pursuit, whether more is better, the world in words"""


def ahead(arm: str, metric: str, sign: int) -> list[Quantity]:
    """How much better an arm is than each one-pass arm."""
    own = abs(score(arm, metric))
    leads = [own - abs(score(rival, metric)) for rival in ONE_PASS]
    return [(lead if sign > 0 else -lead).named(f"on {rival}") for lead, rival in zip(leads, ONE_PASS, strict=True)]


@dataclass(frozen=True)
class Never:
    """Something that theory excludes, counted on samples with the true rows."""

    text: str
    metric: str

    def answers(self, table: pl.DataFrame) -> Iterator[Answer]:
        """The count, where it was run."""
        cases = int(counts(table, self.metric)["value"].sum())
        samples = int(counts(table, "two active")["value"].sum())
        if samples:
            beside = f"not so in {cases} of {samples:,} samples"
            yield Answer(self.text, REFUTED if cases else CONFIRMED, {}, "never", 1, "samples", beside)


QUESTIONS = (
    *(
        Question(
            f"{arm} {claim}: {where}",
            ahead(arm, metric, sign),
            where={"place": place},
            each="x",
            beside=[score(arm, metric).named("itself")],
            pick=nearest_l0,
        )
        for place, metric, claim, sign, where in ASKED
        for arm in PURSUIT
    ),
    Never("with the true rows one pass fails just where min h ≤ g max h", "differs"),
    Never("with the true rows MP never fails, relu rule", "relu fails"),
    Never("with the true rows MP never fails, abs rule", "abs fails"),
)
TABLES = (
    Medians(
        "medians over seeds",
        {
            **{"found": "found", "mcc": "mcc", "flat_mse": "flat", "hier_mse": "hier", "absorption_cosine": "tilt"},
            **{"edge_recall@.9": "pairs", "fvu": "fvu", "l0": "L0", "expected_l0": "true L0"},
        },
        by=("place", "x", "arm"),
        arms=ARMS,
        pick=nearest_l0,
        caption="found: share of features whose own latent has |cos| ≥ .9; flat, hier: squared error of cosines in a "
        "level and across; tilt: cosine of child latents with the parent; pairs: both ends found",
    ),
    Medians(
        "share of the codes' variance that the best linear map of x leaves", {"linear floor": "left"}, by=("place", "x")
    ),
)
