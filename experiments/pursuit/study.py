"""Which rows does a pursuit pick: below and above the coherence bound, and where features interfere?

Parts: `phase`, share of supports recovered by coherence and size, with the bound k = (1 + 1/mu) / 2 (MP-5, MP-6);
`noise`, precision and error of the true dictionary with more steps than features (MP-11); `trained`, explained variance
against recovery of SAEs as features outnumber dimensions; `timing`, correlations from residuals against Gram rows. Run
`python -m experiments pursuit`; results go to `runs/pursuit/...`; `--resume FOLDER` goes on; `--help` lists the flags.
"""

import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from experiments.pursuit.figures import FAMILIES, QUESTIONS, RULES, TABLES, figures
from experiments.pursuit.settings import Part, Pursuit
from synthetic import ExactlyK, SparseMixture, Uniform, stream
from synthetic.laws.directions import LowCoherence, Simplex, unit
from workbench import TrainConfig, create, evaluate, train
from workbench.parts.pursuit import clear_picks, matching_pursuit, orthogonal_matching_pursuit
from workbench.study.study import Study
from workbench.study.units import Report, Row, Unit, kind_of
from workbench.training.machine import Work, alternate

TRAINED = {
    "MP, abs": ("matching_pursuit", {}),
    "MP, relu": ("matching_pursuit", {"select": "relu"}),
    "TopK": ("topk", {}),
}
METRICS = ("explained_variance", "mcc", "mcc_null", "f1", "l0")


@dataclass(frozen=True, kw_only=True)
class Piece(Unit):
    """A dictionary or an SAE of one part."""

    settings: Pursuit
    part: Part
    family: str | None = None
    at: int
    """1/mu of the phase diagram, n_true / d, or rows that are timed"""
    rule: str | None = None
    k: int | None = None

    @property
    def size(self) -> int:
        """Samples."""
        settings, config = self.settings, self.settings.train
        sizes = {"phase": settings.samples * len(settings.k), "noise": 10 * settings.samples}
        sizes |= {"trained": config.steps * config.batch, "timing": 1024 * settings.repeats}
        return sizes[self.part]

    @property
    def alone(self) -> bool:
        """Times are taken with nothing beside."""
        return self.part == "timing"

    @property
    def world(self) -> SparseMixture:
        """Random directions, `active` of them at magnitudes in [.5, 1.5]."""
        d, firing = self.settings.d, ExactlyK(self.settings.active)
        return SparseMixture(n_true=self.at * d, d=d, firing=firing, magnitudes=Uniform(0.5, 1.5), seed=self.seed)


def plan(settings: Pursuit) -> Iterator[Piece]:
    """The units of all parts."""
    for seed in range(settings.seeds):
        common: dict[str, Any] = {"settings": settings, "seeds": (seed,)}
        for ratio in settings.ratios if "trained" in settings.parts else ():
            for rule in TRAINED:
                for k in settings.steps:
                    yield Piece(part="trained", at=ratio, rule=rule, k=k, **common)
        for ratio in settings.ratios if "noise" in settings.parts else ():
            yield Piece(part="noise", at=ratio, **common)
        for family in FAMILIES if "phase" in settings.parts else ():
            for inverse in settings.inverse:
                yield Piece(part="phase", family=family, at=inverse, **common)
    for m in settings.widths if "timing" in settings.parts else ():
        yield Piece(settings=settings, part="timing", at=m)


def picked(rule: str, x: Tensor, rows: Tensor, k: int) -> Tensor:
    """Which rows a rule gives nonzero codes, (n, m); matching pursuit may take 8 k steps, up to |r| < .001 |x|."""
    if rule.startswith("OMP"):
        select = "positive" if rule.endswith("signed") else "abs"
        return orthogonal_matching_pursuit(x, rows, k, select=select).codes(len(rows)).dense() != 0
    if rule.startswith("MP"):
        select, x = ("relu" if rule.endswith("relu") else "abs"), x / x.norm(dim=1, keepdim=True)
        return matching_pursuit(x, rows, 8 * k, select=select, tol=1e-3).codes(len(rows)).dense() != 0
    c = x @ rows.T
    best = (c.abs() if rule == "AbsTopK" else c).topk(k, dim=1).indices
    return torch.zeros_like(c).scatter_(1, best, 1.0) > 0


def worst(inverse: int, k: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Dictionary and code for which the bound is sharp, at any k: simplices side by side, all products -mu in each.

    The code is 1 on k rows that fill simplices but for one row each; all other rows are turned round, so that their
    products with the support are mu. In a simplex with s of its n = 1 + 1/mu rows in the support these have <w, x> =
    mu (n - s), others mu s: rows outside win once s > n / 2.
    """
    n = inverse + 1
    blocks = -(-k // (n - 1)) + 1
    rows = torch.block_diag(*(Simplex().draw(n, n - 1, rng) for _ in range(blocks)))
    h = (torch.arange(n * blocks) % n < n - 1).double()
    h *= h.cumsum(0) <= k
    return rows * (2 * h - 1)[:, None], h[None]


def phase(piece: Piece) -> Iterator[Row]:
    """Share of supports recovered, by rule and k."""
    settings, inverse = piece.settings, piece.at
    rng = stream(piece.seed, f"phase/{piece.family}/{inverse}")
    rows = LowCoherence(1 / inverse).draw(80, 64, rng) if piece.family != "worst" else None
    for k in settings.k:
        if rows is None:
            own, h = worst(inverse, k, rng)
        else:
            own, size = rows, torch.rand(settings.samples, 80, generator=rng, dtype=torch.float64)
            places = torch.rand(settings.samples, 80, generator=rng).argsort(1)[:, :k]
            size = torch.ones_like(size) if piece.family == "flat" else 0.1 + 0.9 * size
            h = torch.zeros_like(size).scatter_(1, places, size.gather(1, places))
        for rule in RULES:
            right = (picked(rule, h @ own, own, k) == (h != 0)).all(1)
            yield {"arm": rule, "k": k, "metric": "recovered", "value": float(right.double().mean())}


def noise(piece: Piece) -> Iterator[Row]:
    """The true dictionary: share of the picks that are true, of the true ones picked, |x - x_hat|^2 / |x|^2."""
    world = piece.world
    batch = world.sample(10 * piece.settings.samples, stream(piece.seed, "noise"))
    true, rows = batch.h.dense() != 0, world.truth.features.float()
    for rule in ("MP, abs", "MP, relu", "OMP", "TopK"):
        for steps in piece.settings.steps:
            if rule == "TopK":
                largest = (batch.x @ rows.T).relu().topk(steps, dim=1)
                f = torch.zeros(len(true), len(rows)).scatter_(1, largest.indices, largest.values)
            elif rule == "OMP":
                f = orthogonal_matching_pursuit(batch.x, rows, steps).codes(len(rows)).dense()
            else:
                select = "relu" if rule == "MP, relu" else "abs"
                f = matching_pursuit(batch.x, rows, steps, select=select).codes(len(rows)).dense()
            both = float((true & (f != 0)).sum())
            error = float((batch.x - f @ rows).square().sum() / batch.x.square().sum())
            scores = {"precision": both / float((f != 0).sum()), "recall": both / float(true.sum()), "error": error}
            for metric, value in scores.items():
                yield {"arm": rule, "k": steps, "metric": metric, "value": value}


def trained(piece: Piece, report: Report) -> Iterator[Row]:
    """An SAE with one latent a feature."""
    world, config, (name, own) = piece.world, piece.settings.train, TRAINED[str(piece.rule)]
    sae = create(name, world.d, world.n_true, seed=piece.seed, k=piece.k, **own)
    train(sae, world, config, seed=piece.seed, on_step=lambda now: report(now.step * config.batch, "training"))
    scores = evaluate(sae, world, n=50 * piece.settings.samples, seed=piece.seed + 1)
    for metric in METRICS:
        row = {"arm": piece.rule, "k": piece.k, "step": config.steps, "value": float(scores[metric])}
        yield row | kind_of(metric)


def timing(piece: Piece) -> Iterator[Row]:
    """Milliseconds of 16 steps on 1024 rows in 256 dimensions, one thread; equal codes first, but for ties."""
    m, rng = piece.at, stream(0, "timing")
    rows, x = unit(torch.randn(m, 256, generator=rng)), torch.randn(1024, 256, generator=rng)
    gram = rows @ rows.T
    with torch.no_grad():
        works: dict[str, Work] = {
            "residuals": lambda: matching_pursuit(x, rows, 16),
            "Gram rows": lambda: matching_pursuit(x, rows, 16, gram=gram),
            "Gram rows, W Wᵀ made anew": lambda: matching_pursuit(x, rows, 16, gram=rows @ rows.T),
        }
        plain, quick = matching_pursuit(x, rows, 16), matching_pursuit(x, rows, 16, gram=gram)
        clear = clear_picks(x, rows, 16)
        torch.testing.assert_close(*(p.codes(m).dense()[clear] for p in (quick, plain)), atol=1e-5, rtol=0)
        times = alternate(works, piece.settings.repeats)
    for name, spent in times.items():
        yield {"arm": name, "m": m, "d": 256, "k": 16, "metric": "ms", "value": 1e3 * statistics.median(spent)}


def work(piece: Piece, report: Report) -> Iterator[Row]:
    """Rows of a unit: x is the coherence of a family of codes, n_true / d, or the number of rows."""
    about: Row = {"place": piece.part, "x": float(piece.at)}
    if piece.part == "phase":
        about |= {"place": f"phase {piece.family}", "x": 1 / piece.at}
    if piece.part in ("noise", "trained"):
        d = piece.settings.d
        about |= {"n_true": piece.at * d, "d": d, "m": piece.at * d, "world": "SparseMixture"}
    if piece.seeds:
        about |= {"world_seed": piece.seed, "seed": piece.seed}
    parts: dict[str, Any] = {"phase": phase, "noise": noise, "timing": timing}
    for row in trained(piece, report) if piece.part == "trained" else parts[piece.part](piece):
        yield about | row


STUDY = Study(
    name="pursuit",
    question=__doc__,
    settings=Pursuit,
    plan=plan,
    work=work,
    figures=figures,
    tables=TABLES,
    questions=QUESTIONS,
    toy=Pursuit(
        seeds=2, inverse=(4, 8), k=(1, 2, 4, 6), samples=40, ratios=(1, 4), steps=(4, 8), widths=(64, 128), repeats=1,
        train=TrainConfig(steps=60, batch=64, lr=3e-3),
    ),
)  # fmt: skip
main = STUDY.main
