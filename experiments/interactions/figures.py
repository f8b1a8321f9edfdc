"""Figures on compounds and their parts."""

from dataclasses import replace
from typing import Any

from experiments.interactions.findings import (
    ACTIVATIONS,
    ARMS,
    AUROC,
    BY_LOGIC,
    FULL,
    LINEAR,
    NEITHER,
    OFTEN,
    ONLY,
    OWN,
    PURE,
    RARE,
    ROLES,
    SIZE,
    R,
)
from workbench.study.figure import Figure
from workbench.study.panels import COLOURS, Axis, Dots, Level, Lines, Look, Series, Trace, look

NAMES = {OFTEN: "interacting, frequent", RARE: "interacting, rare", ONLY: "frequent only", NEITHER: "neither"}
_ROLES = {role: Look(colour, mark) for (role, colour), mark in zip(ROLES.items(), "osD^", strict=True)}
_CAPTION = (
    "{features} orthonormal features in d = {d}, {pairs} pairs of each kind, {k} features a sample, h ~ U(1, 1.5), "
    "products at 1.5; {train[steps]} steps of {train[batch]}, Adam {train[lr]:g}, k from {train[k_start]:g} down; "
    "{seeds} seeds of weights, the same samples."
)
_FLOOR = 1e-9
_ERROR = "fraction of variance unexplained"


_TRAINED = {"place": "arms", "world": "varying", "arm": LINEAR}
_PLANTED: dict[str, Any] = {"place": "planted", "arm": FULL, "world": "varying", "x": 0}
_K_FIXED = Level(7.5, colour="0.7", dash="-")
"""arms below are trained with k fixed"""
_BY_ARM = Dots(
    y="fvu", place="arms", at={"world": "varying"}, names={arm: arm for arm in ARMS}, chance=False, legend="shared"
)
_BY_ROLE = {what: {f"{what}{role}": NAMES[role] for role in ROLES} for what in (OWN, SIZE)}
_ROLE_LOOKS = {what: {f"{what}{role}": one for role, one in _ROLES.items()} for what in (OWN, SIZE)}
ARMS_FIGURE = Figure(
    "arms",
    [
        replace(
            _BY_ARM,
            y=[Series("", "fvu", look=Look("black"))],
            across=Axis(_ERROR, log=True),
            marks=(_K_FIXED, Level("fvu", "true parts, linear decoder", _PLANTED, upright=True, dash=":")),
        ),
        replace(
            _BY_ARM,
            y={"mcc": "MCC of decoder rows", ACTIVATIONS: "MCC of activations"},
            looks={"mcc": Look(COLOURS[2], "o"), ACTIVATIONS: Look(COLOURS[3], "s")},
            across="mean correlation with true features",
            marks=(
                _K_FIXED,
                Level("mcc", "chance, m = n_true", _TRAINED, "null", upright=True, colour=COLOURS[2]),
                Level(ACTIVATIONS, "", _TRAINED | {"step": 0}, upright=True, colour=COLOURS[3]),
            ),
        ),
        replace(
            _BY_ARM,
            y=_BY_ROLE[OWN],
            looks=_ROLE_LOOKS[OWN],
            across=Axis(
                "share of pairs with a latent of their own (r ≥ .9 with the product, less with a part)",
                limits=(-0.04, 1.04),
            ),
            marks=(_K_FIXED,),
        ),
        replace(
            _BY_ARM,
            y=_BY_ROLE[SIZE],
            looks=_ROLE_LOOKS[SIZE],
            across="mean |B| of a pair, per unit of h",
            marks=(_K_FIXED, Level(1.5, "true coefficient", upright=True, dash=":")),
        ),
    ],
    _CAPTION + " Below the line: without k falling. Points: seeds; marks: medians, bars: 10-90 %.",
    arms={},
    columns=4,
    size=(3.5, 5.4),
)
_LAWS = ((FULL, "varying", look(1)), (PURE, "varying", look(0)), (FULL, "constant", look(4)))
_GIVEN = [Series(f"{arm}, {law} h", "fvu", {"arm": arm, "world": law}, one) for arm, law, one in _LAWS]
_BEST = [
    Trace(
        "fvu",
        where={"place": "planted", "arm": arm, "world": law, "x": lambda ranks: [x for x in ranks if x]},
        colour=one.colour,
        dash=":",
        change=lambda v: max(v, _FLOOR),
    )
    for arm, law, one in _LAWS
]
_ON_RANKS = Lines(
    y=_GIVEN[:2],
    place=("arms", "rank"),
    chance=False,
    across=Axis("columns for products, R2", log=2),
    up=Axis(_ERROR, log=True),
    title="codes learned",
    legend="own",
)
_THROUGH_TRAINING = Lines(
    y=[
        Series(f"{arm}: {name}", metric, {"arm": arm}, Look(one.colour, mark, dash))
        for arm, _, one in _LAWS[:2]
        for metric, name, mark, dash in ((R, "r with co-firing", "o", "-"), (AUROC, "AUROC, interacting", "s", "--"))
    ],
    place="training",
    over="step",
    chance=False,
    across=Axis("training step", log="sym"),
    up="r, and AUROC",
    title="|B| through training, published start",
    marks=(Level(0.0), Level(0.5)),
    legend="own",
)
_LOGIC = Dots(
    y="fvu",
    place="logic",
    by="world",
    arms=BY_LOGIC,
    names={arm: arm for arm in BY_LOGIC},
    looks={"and": look(2), "xor": look(3)},
    across=Axis(_ERROR, log=True),
    title="AND and XOR of binary features",
    chance=False,
    legend="own",
)


def sweeps_figure(products: int) -> Figure:
    """Error against R2 on given and on learned codes, |B| against co-firing through training, AND and XOR."""
    marks = (
        Level("fvu", "R2 = 0, true parts", _PLANTED),
        Level(products, "R2 = P, enough for pure or constant", upright=True, colour="black", dash="-."),
        Level(2 * products, "R2 = 2P, enough for all", upright=True, colour="black", dash=":"),
    )
    title = "true codes given; dotted: planted columns"
    given = replace(_ON_RANKS, y=_GIVEN, place="codes given", floor=_FLOOR, title=title, marks=(*_BEST, *marks))
    panels = [given, replace(_ON_RANKS, marks=marks), _THROUGH_TRAINING, _LOGIC]
    about = _CAPTION + " Median, 10-90 % band, points. Errors below 1e-9 drawn there. Left: k fixed."
    return Figure("sweeps", panels, about, arms={}, size=(4.6, 3.7))


def figures(settings: Any) -> list[Figure]:
    """All arms, then what varies."""
    drawn = (ARMS_FIGURE, sweeps_figure(2 * settings.pairs))
    return [replace(one, caption=one.caption.replace("{features}", str(settings.n_true))) for one in drawn]
