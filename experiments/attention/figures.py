"""Figure, table and questions of the study on SAEs of attention outputs."""

from typing import Any

import numpy as np

from workbench.study.figure import Figure
from workbench.study.panels import COLOURS, Axis, Formula, Level, Lines, Look, Points, Series, Trace, look
from workbench.study.questions import Question, most, over, score
from workbench.study.table import Medians

ROTATED = "heads mixed"
LOOKS = {"TopK": look(0), "ReLU": look(1), ROTATED: Look(COLOURS[7], "X", (0, (8, 2)))}
RHO, SIZE, LIFT, DFA = "auc_rho", "auc_size", "auc_size_active", "auc_dfa_active"
NAMES = {
    RHO: "share ρ of decoder rows",
    DFA: "mean DFA when active",
    LIFT: "|z_h| when active, over mean",
    SIZE: "mean |z_h|",
}
PER_HEAD = "features_per_head"


def mixed(conditions: list[float]) -> list[float]:
    """Condition numbers; 0 stands for the SAE of z."""
    return [condition for condition in conditions if condition > 0]


_HEADS = Axis("features that a head writes", log=True)
_UNIT = (0.0, 1.05)
_WRITERS = [Series(name, metric, {"arm": "TopK"}) for metric, name in NAMES.items()]
_RECOVERED = (
    Lines(
        y="mcc",
        over=PER_HEAD,
        place="recovery",
        across=_HEADS,
        up=Axis("matched |cosine| with planted directions", limits=_UNIT),
        title="directions",
    ),
    Lines(
        y=[*_WRITERS, Series("ρ, heads mixed", RHO, {"arm": ROTATED}, LOOKS[ROTATED])],
        over=PER_HEAD,
        place="recovery",
        across=_HEADS,
        up=Axis("AUC for the heads that write a feature", limits=(0.3, 1.05)),
        title="writers (TopK)",
        marks=(Level(0.5, dash=":"),),
    ),
    Points(
        y="shares",
        place="recovery",
        arms=(ROTATED, "TopK"),
        across="planted share of a head",
        up="share ρ of the matched latent",
        title="shares of heads",
        marks=(Formula(lambda share: share, "planted", between=(0, 1)),),
    ),
)
_ABLATION = Points(
    y="ablation",
    place="recovery",
    arms=("TopK", "ReLU"),
    across=Axis("DFA of a head / f", limits=(-1, 2.5)),
    up=Axis("fall of f without the head / f", limits=(-1, 1.4)),
    title="ablation of heads",
    marks=(Formula(lambda dfa: np.minimum(dfa, 1), "min(DFA, f)", between=(-1, 2.5)),),
)
_OUTPUT = Lines(
    y={"mcc": "with V W_O, in z W_O", "mcc_in_z": "with V, taken back to z", "agreement": "with the SAE of z"},
    by="metric",
    place="output",
    at={"x": mixed},
    across=Axis("cond(W_O)", log=True),
    up=Axis("matched |cosine|", limits=_UNIT),
    title="trained on z W_O",
    marks=(Level("agreement", "two SAEs of z with each other", {"place": "output", "x": 0.0}),),
)
_CAPTION = (
    "{heads} heads of width {d_head}, d = {width}; features written by 1, 2, 3 heads (.5, .3, .2; right below: 1 or 2)"
    "; {active:g} at a source, two sources a head; m = {latents} n_true, k = {k}, l1 = {l1:g}; {train[steps]} steps "
    "of {train[batch]}; n_true = {base} where it does not vary; {seeds} seeds of worlds and weights: median, 10-90 % "
    "band, points; scatters: the first seed."
)


def figures(settings: Any) -> list[Figure]:
    """Directions, writers, shares; ablations, cond(W_O), the top-ten rule."""
    looks = {owned: look(i) for owned, i in zip(settings.owned, (3, 0, 2, 4, 5), strict=False)}
    lines = [Series(f"{owned} own", "planted", {"owned": owned}, one) for owned, one in looks.items()]
    middle = {"owned": settings.middle}
    lines.append(Series(f"{settings.middle}, trained", "trained", middle, Look("black", "X", (0, (8, 2)))))
    roles = Lines(
        y=lines,
        place="roles",
        across="share of features split over two heads",
        up=Axis("one-role heads called polysemantic", limits=(-0.05, 1.05)),
        title="top ten of ρ; dashed: formula",
        marks=[Trace("formula", where={"place": "roles", "owned": o}, colour=one.colour) for o, one in looks.items()],
    )
    caption = _CAPTION.replace("{width}", str(settings.heads * settings.d_head))
    return [Figure("attention", [*_RECOVERED, _ABLATION, _OUTPUT, roles], caption, arms=LOOKS)]


def tables(settings: Any) -> list[Medians]:
    """Medians over seeds, a row an arm and size."""
    columns = {PER_HEAD: "a head", "l0": "L0", "fvu": "FVU", "mcc": "MCC", "recall@.9": "recall", RHO: "AUC ρ"}
    columns |= {SIZE: "AUC |z|", "largest_share": "max ρ"}
    caption = (
        f"a head: features it writes; recall: cos ≥ .9; max ρ: a latent's largest share, 1/H = {1 / settings.heads:.3g}"
    )
    title = "planted attention: medians over seeds"
    by = ("arm", "n_true")
    return [Medians(title, columns, by, "recovery", tuple(LOOKS), formats="{:.3g}", caption=caption)]


def questions(settings: Any) -> list[Question]:
    """What was claimed."""

    def sizes(fold: Any, arm: str, metric: str) -> Any:
        return over("n_true", fold, score(arm, metric, place="recovery"))

    asked = [Question(f"{arm}: ρ finds the writers, least AUC", sizes(min, arm, RHO), 0.95) for arm in ("TopK", "ReLU")]
    for name, short in ((SIZE, "mean |z_h|"), (LIFT, "|z_h| when active"), (DFA, "DFA when active")):
        ahead = score("TopK", RHO, place="recovery") - score("TopK", name, place="recovery")
        asked.append(Question(f"TopK, AUC: ρ over {short}", over("n_true", np.mean, ahead)))
    off = over("n_true", max, abs(score(ROTATED, RHO, place="recovery") - 0.5))
    wrong = most(*(sizes(max, arm, "sure_misranked") for arm in ("TopK", "ReLU")))
    asked += [
        Question("heads mixed: largest |AUC of ρ − .5|", off, below=0.1),
        Question("heads mixed: largest share of latents", sizes(max, ROTATED, "largest_share"), below=0.25),
        Question("misranked though cos² > 1 − a²/2 (share)", wrong, below=1e-9),
    ]
    for arm in ("ReLU", "TopK"):
        neither = score(arm, "neither", place="recovery", n_true=settings.base)
        asked.append(Question(f"{arm}: fall ≠ min(DFA, f) (share)", neither, below=1e-9))
    agreement = {c: score("TopK", "agreement", place="output", x=c) for c in (0.0, *settings.condition)}
    for c in settings.condition:
        lost = agreement[0.0] - agreement[c]
        asked.append(Question(f"zW_O, cond {c:g}: agreement with z lost", lost, below=0.05))
    own = {"place": "roles", "owned": settings.middle}
    trained, formula = score("TopK", "trained", **own), score("TopK", "formula", **own)
    for split in (settings.split[0], settings.split[-1]):
        seen = 1 - score("TopK", "trained", **own, x=split)
        asked.append(Question(f"top ten: one-role heads seen, {split:.0%} split", seen, above=0.9))
    unseen = over("x", np.mean, trained - formula)
    return [*asked, Question("... not seen: above formula by", unseen, below=0.1)]
