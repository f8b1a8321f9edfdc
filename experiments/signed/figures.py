"""Figures, medians and questions of the study on signed codes."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from workbench.study.figure import Figure
from workbench.study.panels import Axis, Dots, Formula, Leads, Lines, look
from workbench.study.questions import Crossing, Quantity, Question, lead, score
from workbench.study.selection import nearest_l0
from workbench.study.table import Medians

ARMS = ("AbsTopK", "TopK", "TopK 2m", "ReLU 2m", "MP")
LOOKS = {arm: look(i) for arm, i in zip(ARMS, (0, 1, 4, 3, 2), strict=True)}
WORLDS = {
    "signed": "signed axes",
    "unipolar": "unipolar features",
    "pairs": "exclusive pairs, always on",
    "pairs, bias 0": "the same, bias held at 0",
    "pairs, rare": "exclusive pairs, on at times",
}
MIXED = "mixed "
"""prefix of the places over the share q of signed axes; P(+) follows"""
NEAR = 0.05
"""a difference in MCC that does not count"""
SHARE = "share q of signed axes"


def mixed(places: list[str]) -> list[str]:
    """Places over q, by P(+)."""
    return sorted(name for name in places if name.startswith(MIXED))


def nearest_even(places: list[str]) -> str:
    """The place of P(+) nearest to 1/2, which is drawn at length; empty where there is none."""
    return min(mixed(places), key=lambda name: abs(float(name.removeprefix(MIXED)) - 0.5), default="")


_OVER_Q = Lines(y="fragmentation", place=nearest_even, across=f"{SHARE}, P(+) nearest to .5")
_BY_WORLD = Dots(y="mcc", rows_by="place", by="arm", names={k: v.replace(", ", ",\n") for k, v in WORLDS.items()})
_SHARES = Axis(limits=(-0.03, 1.03))
FIGURES = (
    Figure(
        "bidirectional",
        [
            Leads(
                of="AbsTopK",
                on="TopK",
                y="mcc",
                place=mixed,
                names=lambda place: f"P(+) = {place.removeprefix(MIXED)}",
                across=SHARE,
                up="MCC: AbsTopK less TopK, m = n_true",
            ),
            replace(
                _OVER_Q,
                up="share of axes split in two latents",
                marks=(Formula(lambda q: q, "every signed axis split", dash=":", colour="0.45"),),
            ),
            replace(_OVER_Q, y="fvu"),
            replace(_BY_WORLD, across=replace(_SHARES, label="mean |cos| of matched rows, MCC")),
            replace(_BY_WORLD, y="two_signed", across=replace(_SHARES, label="share of latents using both signs")),
            replace(_BY_WORLD, y="fvu", across=replace(_SHARES, label="fraction of variance unexplained")),
        ],
        caption="{n_true} random axes in d = {d}, {k} a sample, magnitudes |N(1, .25²)|; pairs: {pairs} of 2 features, "
        "magnitude 1. m: a latent an axis; 2m: two; k = {k}, for pairs {pairs}; ReLU at the penalty of nearest L0; "
        "bias held at 0 but for pairs. {steps} steps of {train[batch]}, Adam {train[lr]:g}; {seeds} seeds of weights: "
        "medians, 10-90 % bands, points; top left: means, 95 % intervals paired by seed, triangles where the lead "
        "changes sign.",
        arms=LOOKS,
        pick=nearest_l0,
    ),
)


def _asked(place: str, text: str, of: Quantity | Sequence[Quantity], **more: Any) -> Question:
    return Question(text, of, where={"place": place}, pick=nearest_l0, **more)


_BEHIND = lead("AbsTopK", ("TopK 2m", "ReLU 2m"), "mcc")
_SPLIT = tuple(score(arm, "fragmentation") - score("AbsTopK", "fragmentation") for arm in ("ReLU 2m", "TopK 2m"))
_ERROR = tuple(score(arm, "fvu") - score("AbsTopK", "fvu") for arm in ("TopK 2m", "ReLU 2m"))
_PAIRED = score("AbsTopK", "fvu", place="pairs")
QUESTIONS = (
    _asked(
        "signed",
        "signed axes: nonnegative latents split axes that AbsTopK keeps",
        _SPLIT,
        beside=[score("AbsTopK", "fragmentation").named("AbsTopK splits")],
    ),
    _asked("signed", "AbsTopK ahead of TopK of as many latents, MCC", lead("AbsTopK", "TopK", "mcc")),
    _asked("signed", "2m nonnegative latents leave more error than AbsTopK of m, FVU", _ERROR),
    _asked("signed", f"... and AbsTopK finds axes as well: at most {NEAR:g} behind, MCC", _BEHIND, above=-NEAR),
    *(
        question
        for arm in ("AbsTopK", "MP")
        for question in (
            _asked(
                "unipolar", f"unipolar features: TopK ahead of {arm} of as many latents, MCC", lead("TopK", arm, "mcc")
            ),
            _asked("unipolar", f"some latents of {arm} mix signs though no axis is signed", score(arm, "two_signed")),
        )
    ),
    _asked(
        "pairs",
        "exclusive pairs: latents of AbsTopK, m = n_true / 2, use both signs",
        score("AbsTopK", "two_signed"),
        beside=[score("AbsTopK", "fvu").named("FVU")],
    ),
    *(
        Question(f"... and leave more error {words}, FVU", score("AbsTopK", "fvu", place=place) - _PAIRED)
        for place, words in (("pairs, bias 0", "without a bias"), ("pairs, rare", "where pairs rest at times"))
    ),
    Question(
        "AbsTopK gains on TopK from the least share of signed axes to the largest, {place}, MCC",
        lead("AbsTopK", "TopK", "mcc", x=max)[0] - lead("AbsTopK", "TopK", "mcc", x=min)[0],
        where={"place": mixed},
        each="place",
        beside=[Crossing("AbsTopK", "TopK", "mcc", symbol="q")],
    ),
)
TABLES = (
    Medians(
        "medians over seeds",
        {
            **{"mcc": "mcc", "found": "found", "fvu": "fvu"},
            **{"fragmentation": "split", "two_signed": "two-signed", "l0": "L0"},
        },
        place=tuple(WORLDS),
        arms=ARMS,
        pick=nearest_l0,
        caption="found: features whose own latent has |cos| ≥ .9; split: axes with a latent along both ends; "
        "two-signed: latents that use both signs; pairs, rare: on 7 times of 10",
    ),
)
