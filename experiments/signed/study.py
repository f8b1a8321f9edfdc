"""Does a nonnegative code split a signed axis that AbsTopK keeps, and what does a signed code cost elsewhere?

The claim of Zhu et al. (2025), arXiv 2510.00404, who have no synthetic data, on axes that fire with both signs, on
unipolar features, on exclusive pairs (which one signed latent and the bias can hold), and over the share q of signed
axes. Arms: AbsTopK, TopK and matching pursuit (MP) with a latent an axis, TopK and ReLU with two. Differences are
paired by seed. Run `python -m experiments bidirectional`; results go to `runs/bidirectional/...`; `--resume FOLDER`
goes on, or adds seeds and worlds; `--help` lists the flags.
"""

from collections.abc import Iterator
from typing import Any

from experiments.signed.figures import ARMS, FIGURES, MIXED, QUESTIONS, TABLES, WORLDS, nearest_even
from experiments.signed.settings import Bidirectional
from synthetic.mixture import SparseMixture
from synthetic.worlds.signed import bidirectional, exclusive_pairs, mixed_signs, unipolar_sparse
from workbench import SAE, TrainConfig, evaluate
from workbench.study.places import Arm, Place, Scores, without_bias
from workbench.study.study import Study

METRICS = (
    *("mcc", "mcc_null", "recall@.9", "fvu", "fragmentation", "bipolarity", "two_signed"),
    *("l0", "expected_l0", "dead"),
)
VARIANT = {"AbsTopK": "abs_topk", "TopK": "topk", "TopK 2m": "topk", "ReLU 2m": "relu", "MP": "matching_pursuit"}
RARE = 0.7
"""how often a pair is on where it is not always on"""


def places(settings: Bidirectional) -> Iterator[Place]:
    """The worlds of one kind, then those over the share of signed axes; at q = 0 all P(+) share one."""
    for part in WORLDS:
        if part.split(",")[0] in settings.parts:
            yield Place(part, world_of(settings, part), 0.0)
    mixed = [f"{MIXED}{p:g}" for p in settings.p_plus] if "mixed" in settings.parts else []
    long = nearest_even(mixed)
    for q in settings.q if mixed else ():
        for part in mixed if q else [long]:
            others = tuple(other for other in mixed if other != part) if q == 0 else ()
            yield Place(part, mixed_signs(q, float(part.removeprefix(MIXED)), **sizes(settings)), q, aliases=others)


def sizes(settings: Bidirectional) -> dict[str, int]:
    """Of all worlds but those of pairs."""
    return {"n_true": settings.n_true, "d": settings.d, "k": settings.k}


def world_of(settings: Bidirectional, part: str) -> SparseMixture:
    """A world of one kind."""
    if part.startswith("pairs"):
        return exclusive_pairs(settings.pairs, settings.d, RARE if part == "pairs, rare" else 1.0)
    return (bidirectional if part == "signed" else unipolar_sparse)(**sizes(settings))


def arms(settings: Bidirectional, place: Place) -> Iterator[Arm]:
    """All arms where worlds are of one kind, else three; two over q at the other P(+)."""
    paired, part = place.label.startswith("pairs"), place.label
    long = nearest_even([f"{MIXED}{p:g}" for p in settings.p_plus])
    few = (3 if part == long else 2) if part.startswith(MIXED) else 3 if "," in part else None
    axes, k = (settings.pairs,) * 2 if paired else (settings.n_true, settings.k)
    biased = paired and part != "pairs, bias 0"
    for name in ARMS[:few]:
        of: dict[str, Any] = (
            {"grid": [{"l1": value} for value in settings.l1]} if name == "ReLU 2m" else {"settings": {"k": k}}
        )
        hold = None if biased else without_bias
        yield Arm(name, VARIANT[name], axes * (1 + name.endswith("2m")), train={"centre": biased}, prepare=hold, **of)


def measure(sae: SAE, place: Place, settings: Bidirectional) -> Scores:
    """Scores of a stack."""
    scores = evaluate(sae, place.source, settings.samples, seed=1)
    return {name: scores[name] for name in METRICS} | {"found": scores["matched_recall@.9"]}


STUDY = Study(
    name="bidirectional",
    question=__doc__,
    settings=Bidirectional,
    places=places,
    arms=lambda settings, place: list(arms(settings, place)),
    measure=measure,
    figures=FIGURES,
    tables=TABLES,
    questions=QUESTIONS,
    toy=Bidirectional(
        n_true=8, d=12, k=2, pairs=2, q=(0.0, 1.0), p_plus=(0.5,), l1=(0.05, 0.4), samples=500, seeds=2,
        train=TrainConfig(steps=200, batch=64, lr=0.02, warm_up=0.05, centre=False, normalise=False),
    ),
)  # fmt: skip
main = STUDY.main
