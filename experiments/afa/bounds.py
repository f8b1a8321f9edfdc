"""How tight the bounds on interference are: a ladder against k, an optimiser climbing to the constants, sqrt(2/d).

Shows AFA-2, AFA-3, AFA-5, AFA-6, AFA-7, AFA-8 and AFA-10 of the ledger. Run `python -m experiments afa_bounds`;
results go to `runs/afa_bounds/...`; `--help` lists the flags.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor

from experiments.afa.parts import parts, work
from experiments.afa.settings import Bounds
from proofs_check.instances.mixture import Mixture
from synthetic.base.streams import stream
from synthetic.laws.directions import CommonMean, RandomSphere, TightFrame, unit
from workbench.study.figure import Figure
from workbench.study.panels import COLOURS, Axis, Dots, Formula, Level, Lines, Look, Shade, Trace, look
from workbench.study.questions import Question, score
from workbench.study.study import Study
from workbench.study.table import Medians
from workbench.study.units import Row
from workbench.tensors import TENSOR
from workbench.theory import afa, average_case, coherence

FORMS = ("r/(m − 1), the paper's", "r/(k − 1)", "l1 form", "l1 form, largest")
"""of the lower bound on ε from norms"""
CLIMBED = (2, 4, 8)
"""active rows of the optimiser"""


def codes(n: int, k: int, samples: int, rng: torch.Generator) -> Tensor:
    """Codes (samples, n) with k active entries of size U(.5, 1.5)."""
    places = torch.rand(samples, n, generator=rng, dtype=torch.float64).topk(k, 1).indices
    values = 0.5 + torch.rand(samples, k, generator=rng, dtype=torch.float64)
    return torch.zeros(samples, n, dtype=torch.float64).scatter(1, places, values)


def ladder(settings: Bounds, seed: int) -> Iterator[Row]:
    """Bounds on |q| / N and its measured values, positive codes on random rows."""
    rng = stream(seed, "ladder")
    rows = RandomSphere().draw(settings.n, settings.d, rng)
    for k in settings.k:
        case = Mixture.exact(rows, codes(settings.n, k, settings.samples, rng))
        measured, mu = case.interference.abs() / case.h2, case.support_coherence
        low, high = case.spectrum
        signs = 2 * torch.randint(0, 2, case.h.shape, generator=rng) - 1
        signed = Mixture.exact(rows, case.h * signs).interference / case.h2
        root = average_case.random_signs_bound(case.h2, case.h.pow(4).sum(1), mu).mean().sqrt()
        values = {
            "ε(n − 1), the paper's": torch.tensor(coherence.norm_gap(1.0, case.coherence, case.m)),
            "μ(k − 1)": coherence.norm_gap(1.0, mu, k),
            "Gershgorin": coherence.babel(case.product_list, ops=TENSOR),
            "μ(L²/N − 1)": coherence.l1_gap(case.l1, case.h2, mu) / case.h2,
            "largest |eigenvalue|": torch.maximum(high, -low),
            "measured": measured,
            "random signs: √2 μ bound": root,
            "random signs: rms": signed.square().mean().sqrt(),
        }
        for name, value in values.items():
            yield {"place": "ladder", "arm": name, "x": float(k), "metric": "|q| / N", "value": float(value.median())}


def climbs(settings: Bounds, seed: int) -> Iterator[Row]:
    """Towards the constant from below and from above, for small k."""
    for k in CLIMBED:
        for sign in (1, -1):
            yield from climb(settings, seed, k, sign)


def climb(settings: Bounds, seed: int, k: int, sign: int) -> Iterator[Row]:
    """Adam on rows and code towards the largest sign q / (mu (k - 1) N), whose supremum is 1."""
    rng = stream(seed, f"climb/{k}/{sign}")
    free = torch.randn(k, k, generator=rng, dtype=torch.float64).requires_grad_()
    size = torch.rand(k, generator=rng, dtype=torch.float64).requires_grad_()
    adam = torch.optim.Adam([free, size], lr=0.03)
    checkpoints = {round(settings.steps ** (i / 20)) for i in range(21)}
    for step in range(1, settings.steps + 1):
        adam.param_groups[0]["lr"] = 0.03 * (1 - (step - 1) / settings.steps) + 1e-5
        rows = free / free.norm(dim=1, keepdim=True)  # projected onto unit rows
        gram = rows @ rows.T - torch.eye(k, dtype=torch.float64)
        bound = coherence.norm_gap(size.square().sum(), gram.abs().max(), k)
        ratio = sign * (size @ gram @ size) / bound
        adam.zero_grad()
        (-ratio).backward()
        adam.step()
        if step in checkpoints:
            line = f"{'above' if sign > 0 else 'below'}, k = {k}"
            yield {"place": "climb", "arm": line, "x": float(step), "metric": "ratio", "value": float(ratio.detach())}


def average(settings: Bounds, seed: int) -> Iterator[Row]:
    """Sd of q / N over dictionaries for a fixed positive code, k = 4 and 32, beside the law and mu (k - 1)."""
    for d in settings.dims:
        for k in (4, 32):
            rng = stream(seed, f"average/{d}/{k}")
            h = codes(k, k, 1, rng)[0]
            h2, h4 = h.square().sum(), h.pow(4).sum()
            rows = unit(torch.randn(settings.samples, k, d, generator=rng, dtype=torch.float64))
            q = (torch.einsum("k,nkd->nd", h, rows).square().sum(1) - h2) / h2
            mu = (rows @ rows.mT - torch.eye(k, dtype=torch.float64)).abs().amax((1, 2)).median()
            law = average_case.random_directions_variance(h2, h4, d).sqrt()
            values = {"measured": q.std(), "law": law, "worst": coherence.norm_gap(1.0, mu, k)}
            for name, value in values.items():
                yield {"place": "average", "arm": f"k = {k}", "x": float(d), "metric": name, "value": float(value)}


def constants(settings: Bounds, seed: int) -> Iterator[Row]:
    """c = eps (n - 1) of random rows and tight frames against n/d; below 1 the paper's upper side would apply."""
    d = 32
    for n in (8, 16, 24, 32, 36, 48, 64, 128, 256):
        for name, family in {"random rows": RandomSphere(), "tight frame": TightFrame()}.items():
            if name == "tight frame" and n <= d:
                continue
            case = Mixture.exact(family.draw(n, d, stream(seed, f"constants/{name}/{n}")), torch.ones(n))
            c = coherence.norm_gap(1.0, case.coherence, n)
            yield {"place": "constants", "arm": name, "x": n / d, "metric": "c", "value": float(c)}


def ranking(settings: Bounds, seed: int) -> Iterator[Row]:
    """Do norms rank dictionaries by coherence? Spearman of each LBO's median with eps, over 24 dictionaries."""
    rng = stream(seed, "ranking")
    found: dict[str, list[float]] = {name: [] for name in (*FORMS, "ε")}
    for i in range(24):
        n = (64, 96, 128, 192)[i % 4]
        rows = CommonMean(0.04 * (i // 4)).draw(n, settings.d, rng)
        case = Mixture.exact(rows, codes(n, 8, settings.samples, rng))
        by_l1 = afa.lbo_1(case.x2, case.h2, case.l1, ops=TENSOR)
        forms = (afa.lbo_dense(case.x2, case.h2, n, ops=TENSOR), afa.lbo_k(case.x2, case.h2, 8, ops=TENSOR), by_l1)
        for name, value in zip(FORMS, (*(form.median() for form in forms), by_l1.max()), strict=True):
            found[name].append(float(value))
        found["ε"].append(case.coherence)
    for name in FORMS:
        rank: Any = spearmanr(found[name], found["ε"])
        yield {"place": "ranking", "arm": name, "x": 0.0, "metric": "Spearman", "value": float(rank.statistic)}


PARTS = {"ladder": ladder, "average": average, "constants": constants, "ranking": ranking, "climb": climbs}


def welch(ratio: float) -> float:
    """Least c of any rows, n / d of them a dimension."""
    return float(coherence.welch_square(32 * ratio, 32) ** 0.5 * (32 * ratio - 1))


def _lines(y: str, place: str, names: dict[str, str] | tuple[str, ...], **more: Any) -> Lines:
    """Lines of a part, named in its panel."""
    named = names if isinstance(names, dict) else {name: name for name in names}
    return Lines(y=y, place=place, names=named, legend="own", **more)


_LADDER: dict[str, Any] = {
    "across": Axis("active rows k", log=True),
    "marks": (Level(lambda scene: (2 / scene.settings.d) ** 0.5, "√(2/d)"),),
}
_MEASURED = {"measured": Look("black", "o")}
_DIMENSIONS = {4: "k = 4", 32: "k = 32"}
FIGURES = (
    Figure(
        "afa_bounds",
        [
            _lines(
                "|q| / N",
                "ladder",
                ("ε(n − 1), the paper's", "μ(k − 1)", "Gershgorin", "μ(L²/N − 1)", "measured"),
                title="Bounds on |x|² − |h|²",
                looks=_MEASURED,
                up=Axis("|q| / N", log=True, limits=(0.05, 5000)),
                **_LADDER,
            ),
            _lines(
                "|q| / N",
                "ladder",
                ("largest |eigenvalue|", "random signs: √2 μ bound", "random signs: rms", "measured"),
                title="The spectrum, and random signs",
                looks=_MEASURED,
                up=Axis("|q| / N", log=True, limits=(0.05, 100)),
                **_LADDER,
            ),
            _lines(
                "ratio",
                "climb",
                tuple(f"{side}, k = {k}" for k in (2, 8) for side in ("above", "below")),
                title="Climbing to the constant 1",
                across=Axis("optimiser steps", log=True, ticks=(1, 10, 100, 1000)),
                up="±q / (μ(k − 1)N)",
                marks=(Level(1.0, colour="0.3", dash="-"),),
            ),
            _lines(
                "measured",
                "average",
                tuple(_DIMENSIONS.values()),
                predicted="law",
                title="Random rows: √(2/d), dashed",
                across=Axis("dimension d", log=True),
                up=Axis("sd of q / N", log=True, limits=(None, 1000)),
                marks=tuple(
                    Trace(
                        "worst",
                        f"μ(k − 1), {name}",
                        where={"place": "average", "arm": name},
                        colour=look(i).colour,
                        dash=":",
                    )
                    for i, name in enumerate(_DIMENSIONS.values())
                ),
            ),
            _lines(
                "c",
                "constants",
                ("random rows", "tight frame"),
                title="When the paper's upper side applies",
                across=Axis(
                    "rows a dimension n/d, d = 32",
                    log=True,
                    limits=(0.23, 8.4),
                    ticks={0.25: "1/4", 0.5: "1/2", 1: "1", 2: "2", 4: "4", 8: "8"},
                ),
                up=Axis("c = ε(n − 1)", log=True, limits=(0.5, 20_000)),
                marks=(
                    Formula(np.vectorize(welch), "Welch floor", between=(33 / 32, 8.4)),
                    Level(1.0, colour=COLOURS[1], dash="-"),
                    Shade(1, 8.4, "superposition: c ≥ 1, no upper bound"),
                ),
            ),
            Dots(
                y="Spearman",
                place="ranking",
                names={form: form for form in FORMS},
                title="Do norms rank dictionaries by ε?",
                across="Spearman with ε, 24 dictionaries",
            ),
        ],
        "Ladder: {n} random rows in d = {d}, {samples} codes with entries U(.5, 1.5), k of them; medians over codes. "
        "Optimiser: k rows in d = k, Adam, {steps} steps. Random rows: {samples} dictionaries a point. {seeds} seeds "
        "of dictionaries and starts: median, 10-90 % band, points.",
        arms={},
    ),
)
TABLES = (
    Medians(
        "lower bounds on ε from norms: Spearman with ε",
        {"Spearman": "median"},
        by=("arm",),
        place="ranking",
        spread=True,
    ),
)
QUESTIONS = (
    Question(
        "the optimiser comes within 1 % of the constant",
        [
            score(f"{side}, k = {k}", "ratio", place="climb", x=max).named(f"{side}, k = {k}:")
            for k in CLIMBED
            for side in ("above", "below")
        ],
        above=0.99,
    ),
)
STUDY = Study(
    name="afa_bounds",
    question=__doc__,
    settings=Bounds,
    plan=partial(parts, tuple(PARTS)),
    work=partial(work, PARTS),
    figures=FIGURES,
    tables=TABLES,
    questions=QUESTIONS,
    toy=Bounds(d=16, n=32, k=(2, 8), samples=60, steps=60, dims=(8, 32), seeds=2),
)
main = STUDY.main
