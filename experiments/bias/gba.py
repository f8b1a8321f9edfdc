"""Group bias adaptation (GBA) against TopK, BatchTopK, JumpReLU and L1 on equal, unit-norm samples.

Each method over a grid of its own sparsity setting, on samples that hold 3 or 20 features and on samples that hold 3.
Differences are paired by seed, at each method's best setting and where its L0 is nearest to that of GBA. Also shows
BA-12 (an output without bias), BA-13 (two frequencies), BA-14 (latents a group) and BA-16 (survival across seeds).
Run `python -m experiments gba`; results go to `runs/gba/...`; `--resume FOLDER` goes on; `--help` lists the flags.
"""

from collections.abc import Iterator
from typing import Any

from experiments.bias.comparison import FIGURES, LEVELS, QUESTIONS, SCORES, TABLES, WORLDS
from experiments.bias.settings import GBA, PLAIN
from synthetic.worlds.bias import two_frequencies, unbalanced, uniform
from workbench import SAE, TrainConfig, evaluate
from workbench.metrics import collect
from workbench.metrics.evidence import Evidence
from workbench.metrics.recall import best
from workbench.metrics.survival import survivors
from workbench.study.places import Arm, Place, Scores
from workbench.study.study import Study

NULLS = ("recall@.9_null", "recall@.8_null", "f1_null", "mcs@.9_null")
BIASED = "group_bias_adaptation"
GRIDS = {"TopK": ("topk", "k"), "BatchTopK": ("batch_topk", "k"), "JumpReLU": ("jumprelu", "l0"), "L1": ("relu", "l1")}
"""methods beside bias adaptation: variant, and the setting that decides how sparse it is"""
HELD: dict[str, dict[str, Any]] = {"jumprelu": {"bandwidth": 0.5, "start": 0.5, "through": False}}
"""settings of those that the comparison was made with"""


def places(settings: GBA) -> Iterator[Place]:
    """The two worlds of the comparison, then those of the three checks."""
    n, (wide, d), m = settings.n_true, settings.d, settings.m[1]
    plain = uniform(n, d)
    yield Place("unbalanced", unbalanced(n, wide), world="unbalanced")
    yield Place("uniform", plain, world="uniform")
    yield Place("BA-12", plain, world="uniform")
    yield Place("BA-13", two_frequencies(n // 2, d), world="two frequencies")
    for width in (m, 5 * m):
        yield Place("BA-14", plain, float(width), world="uniform")


def arms(settings: GBA, place: Place) -> list[Arm]:
    """What is trained: on the worlds of the comparison each method over its grid, a stack a setting."""
    m = settings.m[1]
    if place.label == "BA-12":
        low = 4.5 / settings.n_true
        return [adapted(m, f"p=1.5f {output}", groups=1, low=low, output=output) for output in ("jump", "relu")]
    if place.label == "BA-13":
        return [
            adapted(m, "p=0.09", groups=1, high=0.09, low=0.09),
            adapted(m, "p=0.09 0.009", groups=2, high=0.09, low=0.009),
            adapted(m, "p=0.003", groups=1, high=0.003, low=0.003),
        ]
    if place.label == "BA-14":
        groups, width = min(10, m), round(place.x or 0)
        return [adapted(width, f"p={high:g}…0.001", groups=groups, high=high, low=0.001) for high in (0.1, 0.5)]
    f = WORLDS[place.label][0] / settings.n_true
    m = settings.m[place.label != "unbalanced"]
    found = []
    for groups, high, low in settings.ranges:
        words = f"p={low:g}f" if groups == 1 else f"K={groups} p={high:g}f…{low:g}f"
        found.append(adapted(m, words, groups=groups, high=high * f, low=low * f))
    for method, (variant, name) in GRIDS.items():
        own = HELD.get(variant, {})
        found += [Arm(method, variant, m, own | {name: v}, setting=f"{name}={v:g}") for v in getattr(settings, name)]
    return found


def adapted(m: int, setting: str, **own: Any) -> Arm:
    """Bias adaptation of one group, or of several."""
    return Arm("BA" if own["groups"] == 1 else "GBA", BIASED, m, own, train=PLAIN, setting=setting)


def measure(sae: SAE, place: Place, settings: GBA) -> Scores:
    """Scores of a stack."""
    scores = evaluate(sae, place.source, n=20_000, seed=1)
    extra = [more(member) for member in collect(sae, place.source, 20_000, seed=1)]  # type: ignore[arg-type]
    found = {name: scores[name] for name in (*SCORES, *NULLS) if name in scores}
    return found | {name: [member[name] for member in extra] for name in extra[0]}


def more(member: Evidence) -> dict[str, float]:
    """Survival at each level among a stack's seeds, where there are several; recall by rate, where there are two."""
    found = {f"survive {level}": survivors(member, level) for level in LEVELS if member.others}
    rates = member.truth.rates
    common, recovered = rates > rates.mean() * 1.01, best(member.geometry, member.truth.symmetries) >= 0.9
    if bool(common.any()):
        found |= {"common": float(recovered[common].double().mean()), "rare": float(recovered[~common].double().mean())}
    return found


STUDY = Study(
    name="gba",
    question=__doc__,
    settings=GBA,
    places=places,
    arms=arms,
    measure=measure,
    figures=FIGURES,
    tables=TABLES,
    questions=QUESTIONS,
    toy=GBA(
        n_true=24, d=(12, 10), m=(32, 24), k=(2, 4), l0=(1.0,), l1=(1.0,), ranges=((1, 1.0, 1.0), (3, 2.0, 0.5)),
        seeds=2, train=TrainConfig(steps=40, batch=32, lr=3e-3),
    ),
)  # fmt: skip
main = STUDY.main
