"""Figures, tables and questions on interventions: predictions along actions, errors over noise and zeros, a map."""

import math
from dataclasses import dataclass, replace
from typing import Any

from matplotlib.axes import Axes

from workbench.study.figure import Figure
from workbench.study.panels import Axis, Heat, Level, Lines, Scene, Shade, Trace, look
from workbench.study.questions import Quantity, Question, lead, score
from workbench.study.table import Medians
from workbench.topics.actions.autoencoder import PENALTIES

METHODS = {
    "latents": "the latents themselves",
    "restricted": "restricted",
    "restricted_no_control": "restricted, no control",
    "autoencoder": "autoencoder",
    "network": "y ~ a, network",
    "quadratic": "y ~ a, quadratic",
}
LOOKS = {name: look(i) for name, i in zip(METHODS, (7, 0, 5, 1, 3, 2), strict=True)}
RIVALS = ("autoencoder", "restricted_no_control", "network", "quadratic")
_CONTROL = {"control": "with control function", "none": "without"}
_DIAGONAL = {"line": "(r, r)"}
_ON = {"place": "linear", **_DIAGONAL}
_ACTION = "r: action a* = (r, r); grey: mostly seen"


@dataclass(frozen=True)
class Seen:
    """The cells of actions that were seen, on a map of whole actions from -3 on."""

    def draw(self, axes: Axes, scene: Scene) -> None:
        """Draw its edge."""
        axes.plot([1.5, 4.5, 4.5, 1.5, 1.5], [1.5, 1.5, 4.5, 4.5, 1.5], color="white", linewidth=1.8)


def along(metric: str, **more: Any) -> Lines:
    """The linear part, over actions on the diagonal."""
    return Lines(
        y=metric, place="linear", at=_DIAGONAL, names=_CONTROL, joined=False, across=_ACTION, legend="own", **more
    )


_LINEAR = (
    along(
        "prediction",
        up="outcome",
        title="linear and Gaussian",
        marks=(
            Trace("truth", "E[y | do(a*)]", where=_ON, dash="-"),
            Trace("closed_form", "and the bias, closed form", where=_ON, colour="0.45"),
            Shade(0, 1),
        ),
    ),
    along(
        "bias",
        up="prediction less E[y | do(a*)]",
        marks=(
            Trace("closed_form_bias", "closed form", where=_ON, colour="0.45"),
            Level(0.0, colour="black", dash="-"),
            Shade(0, 1),
        ),
    ),
)
_SPOTS = {max(penalty, PENALTIES[1] / 10): f"{penalty:g}" for penalty in PENALTIES}
_PENALTY = Lines(
    y={"R2": "R²(h ~ z)", "outside": "error outside"},
    by="metric",
    place="learned",
    arms=("penalty",),
    across=Axis("weight of the restriction", log=True, ticks=_SPOTS),
    up=Axis("R², error / variance", log=True),
    title="what the restriction does",
    legend="own",
)
_MAP = Heat(
    y="off",
    over=("a1", "a2"),
    place="learned",
    arms=("restricted",),
    span=(0, None),
    across="a*_1 (white: seen)",
    up="a*_2",
    title="restricted: |error| / sd",
    marks=(Seen(),),
)
_OUTSIDE = Lines(
    y="outside", place="learned", looks=LOOKS, up=Axis("squared error outside / variance", log=True), legend="shared"
)
_CAPTION = (
    "Two latents, d = 10, two actions; {samples} samples; {seeds} seeds of worlds and weights: median, 10-90 % band, "
    "points. Left above: x = hV, noise 1. Others: leaky-ReLU mixing, autoencoders of {train[steps]} steps of "
    "{train[batch]}; weight by reconstruction; noise {base:g} where it does not vary."
)


def figures(settings: Any) -> list[Figure]:
    """Predictions and the restriction; then the errors of all methods, in two groups."""
    base = {"noise": settings.base, "zero": 0.0}
    panels = [*_LINEAR, replace(_PENALTY, at=base), replace(_MAP, at=base)]
    errors = [
        replace(_OUTSIDE, over=over, at=at, names={name: METHODS[name] for name in group}, across=axis)
        for group in (("latents", "restricted", "restricted_no_control", "autoencoder"), ("restricted", *RIVALS[2:]))
        for over, at, axis in (
            ("noise", {"zero": 0.0}, Axis("noise of the latents, over default", log=True)),
            ("zero", {"noise": settings.base}, Axis("P(h_i = 0): outside of the theorem")),
        )
    ]
    learned = _CAPTION.replace("Left above: x = hV, noise 1. Others: l", "L")
    return [
        Figure("interventions", panels, _CAPTION, arms={}),
        Figure("interventions-errors", errors, learned, arms={}),
    ]


TABLES = (
    Medians(
        "linear: medians over seeds, actions a* on two lines",
        {
            **{"truth": "E[y|do(a*)]", "closed_form": "and bias"},
            **{"prediction": "prediction", "effective_samples": "effective samples"},
        },
        by=("line", "x", "arm"),
        place="linear",
        formats={"effective_samples": "{:,.0f}"} | dict.fromkeys(("truth", "closed_form", "prediction"), "{:.3f}"),
        names={"none": "no control"},
    ),
    Medians(
        "learned: medians over seeds; squared error over the variance of E[y|do(a*)]",
        {"R2": "R²(h ~ z)", "inside": "inside", "outside": "outside"},
        by=("noise", "zero", "arm"),
        place="learned",
        arms=tuple(METHODS),
        formats="{:.3g}",
        names=METHODS,
    ),
)


def log10(quantity: Quantity) -> Quantity:
    """The decimal logarithm."""
    return Quantity(
        quantity.label, lambda table: {key: math.log10(value) for key, value in quantity.read(table).items()}
    )


def questions(settings: Any) -> list[Question]:
    """Whether the restriction with a control function predicts best where nothing was seen, and what it recovers."""
    errors = {name: log10(score(name, "outside")) for name in ("restricted", *RIVALS)}
    leads = [(errors[rival] - errors["restricted"]).named(f"on {METHODS[rival]}") for rival in RIVALS]
    asked: list[Question] = []
    for column, where, words in (
        ("noise", {"zero": 0.0}, "noise {noise:g}"),
        ("zero", {"noise": settings.base, "zero": lambda values: [v for v in values if v]}, "P(h = 0) = {zero:g}"),
    ):
        at: dict[str, Any] = {"each": column, "where": {"place": "learned", **where}}
        asked.append(Question(f"{words}: restricted errs least at unseen actions, log10 of error", leads, **at))
        r2 = lead("restricted", "autoencoder", "R2")
        asked.append(Question(f"{words}: R² of latents above no restriction", r2, **at))
    return asked
