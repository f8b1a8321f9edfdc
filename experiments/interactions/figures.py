"""Figures on compounds and their parts."""

from dataclasses import replace

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
_LAWS = ((FULL, "varying", look(1)), (PURE, "varying", look(0)), (FULL, "constant", look(4)))


_FIXED = Level(7.5, colour="0.7", dash="-")
"""arms below it are trained with k fixed"""
_PLANTED = {"place": "planted", "arm": FULL, "world": "varying", "x": 0}
"""what a linear decoder makes of the true parts"""
_BY_ARM = Dots(
    y="", place="arms", at={"world": "varying"}, names={arm: arm for arm in ARMS}, chance=False, legend="shared"
)


def arms_figure(caption: str) -> Figure:
    """A row an arm: error, parts found, compounds with a latent of their own, |B| by role."""
    where = {"place": "arms", "world": "varying", "arm": LINEAR}
    chances = (
        Level("mcc", "chance, m = n_true", where, "null", upright=True, colour=COLOURS[2]),
        Level(ACTIVATIONS, "", where | {"step": 0}, upright=True, colour=COLOURS[3]),
    )
    floor = Level("fvu", "true parts, linear decoder", _PLANTED, upright=True, dash=":")
    own = "share of pairs with a latent of their own (r ≥ .9 with the product, less with a part)"
    errors = replace(
        _BY_ARM,
        y=[Series("", "fvu", look=Look("black"))],
        across=Axis(_ERROR, log=True),
        marks=(_FIXED, floor),
    )
    found = replace(
        _BY_ARM,
        y={"mcc": "MCC of decoder rows", ACTIVATIONS: "MCC of activations"},
        looks={"mcc": Look(COLOURS[2], "o"), ACTIVATIONS: Look(COLOURS[3], "s")},
        across="mean correlation with true features",
        marks=(_FIXED, *chances),
    )
    coefficient = Level(1.5, "true coefficient", upright=True, dash=":")
    compounds = _by_role(OWN, Axis(own, limits=(-0.04, 1.04)), _FIXED)
    sizes = _by_role("|B|: ", Axis("mean |B| of a pair, per unit of h"), _FIXED, coefficient)
    about = caption + " Below the line: without k falling. Points: seeds; marks: medians, bars: 10-90 %."
    return Figure("arms", [errors, found, compounds, sizes], about, columns=4, size=(3.5, 5.4))


def _by_role(what: str, across: Axis, *marks: Level) -> Dots:
    """A metric of each role that a pair may have."""
    looks = {f"{what}{role}": one for role, one in _ROLES.items()}
    return replace(_BY_ARM, y={f"{what}{role}": role for role in ROLES}, looks=looks, across=across, marks=marks)


def _over_ranks(products: int) -> list[Lines]:
    """Error against the columns for products, on given and on learned codes."""
    given = [Series(f"{arm}, {law} h", "fvu", {"arm": arm, "world": law}, one) for arm, law, one in _LAWS]
    planted = [
        Trace(
            "fvu",
            where={"place": "planted", "arm": arm, "world": law, "x": lambda ranks: [x for x in ranks if x]},
            colour=one.colour,
            dash=":",
            change=lambda v: max(v, _FLOOR),
        )
        for arm, law, one in _LAWS
    ]
    marks = (
        Level("fvu", "R2 = 0, true parts", _PLANTED),
        Level(products, "R2 = P, enough for pure or constant", upright=True, colour="black", dash="-."),
        Level(2 * products, "R2 = 2P, enough for all", upright=True, colour="black", dash=":"),
    )
    lines = Lines(
        y=given,
        place="codes given",
        floor=_FLOOR,
        chance=False,
        across=Axis("columns for products, R2", log=2),
        up=Axis(_ERROR, log=True),
        title="true codes given; dotted: planted columns",
        marks=(*planted, *marks),
        legend="own",
    )
    return [lines, replace(lines, y=given[:2], place=("arms", "rank"), title="codes learned", marks=marks)]


def sweeps_figure(caption: str, products: int) -> Figure:
    """Error against R2 on given and on learned codes, |B| against co-firing through training, AND and XOR."""
    through = [
        Series(f"{arm}: {name}", metric, {"arm": arm}, Look(one.colour, mark, dash))
        for arm, _, one in _LAWS[:2]
        for metric, name, mark, dash in ((R, "r with co-firing", "o", "-"), (AUROC, "AUROC, interacting", "s", "--"))
    ]
    training = Lines(
        y=through,
        place="training",
        over="step",
        chance=False,
        across=Axis("training step", log="sym"),
        up="r, and AUROC",
        title="|B| through training, published start",
        marks=(Level(0.0), Level(0.5)),
        legend="own",
    )
    logic = Dots(
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
    about = caption + " Median, 10-90 % band, points. Errors below 1e-9 drawn there. Left: k fixed."
    return Figure("sweeps", [*_over_ranks(products), training, logic], about, size=(4.6, 3.7))
