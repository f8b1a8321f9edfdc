"""Figures on compounds and their parts."""

from typing import Any

from experiments.interactions.findings import (
    ACTIVATIONS,
    ARMS,
    AUROC,
    BY_LOGIC,
    FULL,
    LINEAR,
    OWN,
    PURE,
    ROLES,
    R,
)
from workbench.study.figure import Figure
from workbench.study.panels import COLOURS, Axis, Dots, Level, Lines, Look, Series, Trace, look

_ROLES = {role: Look(colour, mark) for (role, colour), mark in zip(ROLES.items(), "osD^", strict=True)}
_FLOOR = 1e-9
_ERROR = "fraction of variance unexplained"


def arms_figure(caption: str) -> Figure:
    """A row an arm: error, parts found, compounds with a latent of their own, |B| by role."""
    where = {"place": "arms", "world": "varying", "arm": LINEAR}
    rows = {arm: arm for arm in ARMS}
    found = {"mcc": Look(COLOURS[2], "o"), ACTIVATIONS: Look(COLOURS[3], "s")}
    fixed = Level(7.5, colour="0.7", dash="-")  # arms below are trained with k fixed
    shared: dict[str, Any] = {
        "place": "arms",
        "at": {"world": "varying"},
        "names": rows,
        "chance": False,
        "legend": "shared",
    }
    own, size = ({f"{what}{role}": role for role in ROLES} for what in (OWN, "|B|: "))
    true_parts = Level(
        "fvu",
        "true parts, linear decoder",
        {"place": "planted", "arm": FULL, "world": "varying", "x": 0},
        upright=True,
        dash=":",
    )
    chances = (
        Level("mcc", "chance, m = n_true", where, "null", upright=True, colour=COLOURS[2]),
        Level(ACTIVATIONS, "", where | {"step": 0}, upright=True, colour=COLOURS[3]),
    )
    panels = [
        Dots(
            y=[Series("", "fvu", look=Look("black"))],
            across=Axis(_ERROR, log=True),
            marks=(fixed, true_parts),
            **shared,
        ),
        Dots(
            y={"mcc": "MCC of decoder rows", ACTIVATIONS: "MCC of activations"},
            looks=found,
            across="mean correlation with true features",
            marks=(fixed, *chances),
            **shared,
        ),
        Dots(
            y=own,
            looks={f"{OWN}{role}": one for role, one in _ROLES.items()},
            across=Axis(
                "share of pairs with a latent of their own (r ≥ .9 with the product, less with a part)",
                limits=(-0.04, 1.04),
            ),
            marks=(fixed,),
            **shared,
        ),
        Dots(
            y=size,
            looks={f"|B|: {role}": one for role, one in _ROLES.items()},
            across="mean |B| of a pair, per unit of h",
            marks=(fixed, Level(1.5, "true coefficient", upright=True, dash=":")),
            **shared,
        ),
    ]
    about = caption + " Below the line: without k falling. Points: seeds; marks: medians, bars: 10-90 %."
    return Figure("arms", panels, about, columns=4, size=(3.5, 5.4))


def sweeps_figure(caption: str, products: int) -> Figure:
    """Error against R2 on given and on learned codes, |B| against co-firing through training, AND and XOR."""
    laws = ((FULL, "varying", look(1)), (PURE, "varying", look(0)), (FULL, "constant", look(4)))
    given = [Series(f"{arm}, {law} h", "fvu", {"arm": arm, "world": law}, one) for arm, law, one in laws]
    columns, error = Axis("columns for products, R2", log=2), Axis(_ERROR, log=True)
    planted = [
        Trace(
            "fvu",
            where={"place": "planted", "arm": arm, "world": law, "x": lambda ranks: [x for x in ranks if x]},
            colour=one.colour,
            dash=":",
            change=lambda v: max(v, _FLOOR),
        )
        for arm, law, one in laws
    ]
    marks = (
        Level("fvu", "R2 = 0, true parts", {"place": "planted", "arm": FULL, "world": "varying", "x": 0}),
        Level(products, "R2 = P, enough for pure or constant", upright=True, colour="black", dash="-."),
        Level(2 * products, "R2 = 2P, enough for all", upright=True, colour="black", dash=":"),
    )
    through = [
        Series(f"{arm}: {name}", metric, {"arm": arm}, Look(one.colour, mark, dash))
        for arm, _, one in laws[:2]
        for metric, name, mark, dash in ((R, "r with co-firing", "o", "-"), (AUROC, "AUROC, interacting", "s", "--"))
    ]
    panels = [
        Lines(
            y=given,
            place="codes given",
            floor=_FLOOR,
            chance=False,
            across=columns,
            up=error,
            title="true codes given; dotted: planted columns",
            marks=(*planted, *marks),
            legend="own",
        ),
        Lines(
            y=given[:2],
            place=("arms", "rank"),
            chance=False,
            across=columns,
            up=error,
            title="codes learned",
            marks=marks,
            legend="own",
        ),
        Lines(
            y=through,
            place="training",
            over="step",
            chance=False,
            across=Axis("training step", log="sym"),
            up="r, and AUROC",
            title="|B| through training, published start",
            marks=(Level(0.0), Level(0.5)),
            legend="own",
        ),
        Dots(
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
        ),
    ]
    about = caption + " Median, 10-90 % band, points. Errors below 1e-9 drawn there. Left: k fixed."
    return Figure("sweeps", panels, about, size=(4.6, 3.7))
