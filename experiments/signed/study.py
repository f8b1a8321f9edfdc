"""Does a nonnegative code split a signed axis that AbsTopK keeps, and what does a signed code cost elsewhere?

The claim of Zhu et al. (2025), arXiv 2510.00404, who have no synthetic data, on axes that fire with both signs, on
unipolar features, on exclusive pairs (which one signed latent and the bias can hold), and over the share q of signed
axes. Arms: AbsTopK, TopK and matching pursuit (MP) with a latent an axis, TopK and ReLU with two. Differences are
paired by seed. Run `python -m experiments bidirectional`; results go to `runs/bidirectional/...`; `--resume FOLDER`
goes on; `--help` lists the flags.
"""

import synthetic.base.terminal  # noqa: F401 (Ctrl-C from here on)

# isort: split
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from experiments.signed.figures import ARMS, MIXED, WORLDS, draw, drawn_part, medians, verdicts
from synthetic.base.console import Console
from synthetic.base.errors import must
from synthetic.base.flags import read_flags
from synthetic.mixture import SparseMixture
from synthetic.worlds.signed import bidirectional, exclusive_pairs, mixed_signs, unipolar_sparse
from workbench import TrainConfig, create, evaluate, train
from workbench.study.runner import Cell, Report
from workbench.study.study import carry_out, commanded

Part = Literal["signed", "unipolar", "pairs", "mixed"]
METRICS = (
    "mcc",
    "mcc_null",
    "recall@.9",
    "fvu",
    "fragmentation",
    "bipolarity",
    "two_signed",
    "l0",
    "expected_l0",
    "dead",
)
VARIANT = {"AbsTopK": "abs_topk", "TopK": "topk", "TopK 2m": "topk", "ReLU 2m": "relu", "MP": "matching_pursuit"}
RARE = 0.7
"""how often a pair is on where it is not always on"""


@dataclass(frozen=True)
class Bidirectional:
    """Settings."""

    parts: tuple[Part, ...] = ("signed", "unipolar", "pairs", "mixed")
    """which worlds"""
    q: tuple[float, ...] = (0.0, 0.125, 0.25, 0.5, 0.75, 1.0)
    """shares of signed axes"""
    p_plus: tuple[float, ...] = (0.5, 0.7, 0.9)
    """probabilities that a signed axis fires with its positive sign"""
    n_true: int = 24
    """axes"""
    d: int = 32
    """dimensions"""
    k: int = 3
    """axes a sample, and latents of all arms but ReLU"""
    pairs: int = 6
    """exclusive pairs, each an axis"""
    l1: tuple[float, ...] = (0.05, 0.1, 0.2, 0.4, 0.8)
    """penalties of ReLU; the one of nearest L0 counts"""
    steps: int = 2000
    """training steps"""
    batch: int = 256
    """samples a step"""
    lr: float = 5e-3
    """Adam's step size"""
    samples: int = 5000
    """samples of an evaluation"""
    seeds: int = 10
    """members of each stack, which differ in initial weights"""
    jobs: int = 0
    """processes; 0 for one a core"""
    out: Path = Path("runs")
    """where run folders go"""
    resume: Path | None = None
    """run folder to continue, with the settings it was started with"""
    dry_run: bool = False
    """print the settings and the cells, and stop"""

    def check(self) -> None:
        """Refuse impossible settings before any work."""
        for name in ("d", "k", "pairs", "steps", "batch", "samples"):
            must(getattr(self, name) >= 1, f"--{name}", "at least 1", getattr(self, name), "raise it")
        must(self.n_true >= 2, "--n-true", "at least 2", self.n_true, "raise it")
        must(self.k <= self.n_true, "--k", f"at most n_true={self.n_true}", self.k, "lower it")
        must(self.seeds >= 2, "--seeds", "at least 2", self.seeds, "a paired interval needs two differences")
        must(self.lr > 0, "--lr", "above 0", self.lr, "raise it")
        must(self.parts, "--parts", "at least one", self.parts, "name one")
        must(self.l1 and min(self.l1) >= 0, "--l1", "numbers of at least 0", self.l1, "give ReLU a penalty")
        rising = len(self.q) >= 2 and sorted(set(self.q)) == list(self.q) and self.q[0] >= 0 and self.q[-1] <= 1
        must(rising, "--q", "two or more shares in [0, 1], ascending", self.q, "a crossing lies between two")
        given = self.p_plus and min(self.p_plus) >= 0 and max(self.p_plus) <= 1
        must(given, "--p-plus", "probabilities", self.p_plus, "give numbers in [0, 1]")


def plan(settings: Bidirectional) -> list[Cell]:
    """One cell a world and arm, the seeds (and ReLU's penalties) in one stack; at q = 0 all P(+) share one."""
    names = ("n_true", "d", "k", "pairs", "l1", "steps", "batch", "lr", "samples")
    common = {name: getattr(settings, name) for name in names} | {"seeds": list(range(settings.seeds))}
    common |= {"size": settings.steps * settings.batch}
    cells: list[Cell] = []

    def add(part: str, x: float, arm: str, own: list[str] | None = None) -> None:
        about = {"part": part, "x": x, "arm": arm, "parts": own or [part]}
        cells.append(common | about | {"id": f"{part}/{x:g}/{arm}"})

    for part in WORLDS:
        for arm in ARMS[: 3 if "," in part else None] if part.split(",")[0] in settings.parts else ():
            add(part, 0.0, arm)
    mixed = [f"{MIXED}{p:g}" for p in settings.p_plus] if "mixed" in settings.parts else []
    for x in settings.q if mixed else ():
        long = drawn_part(mixed)
        for part in mixed if x else [long]:
            for arm in ARMS[: 3 if part == long else 2]:
                add(part, x, arm, mixed if x == 0 else None)
    return cells


def world_of(cell: Cell) -> SparseMixture:
    """The world of a cell."""
    part, size = cell["part"], {name: cell[name] for name in ("n_true", "d", "k")}
    if part.startswith(MIXED):
        return mixed_signs(cell["x"], float(part.removeprefix(MIXED)), **size)
    if part.startswith("pairs"):
        return exclusive_pairs(cell["pairs"], cell["d"], RARE if part == "pairs, rare" else 1.0)
    return bidirectional(**size) if part == "signed" else unipolar_sparse(**size)


def work(cell: Cell, report: Report) -> dict[str, Any]:
    """Train and score one stack; runs in a process of the pool."""
    world, arm, paired = world_of(cell), cell["arm"], cell["part"].startswith("pairs")
    axes, k = (cell["pairs"],) * 2 if paired else (cell["n_true"], cell["k"])
    own = {"l1": [[value] for value in cell["l1"]]} if arm == "ReLU 2m" else {"k": k}
    sae = create(VARIANT[arm], world.d, axes * (1 + arm.endswith("2m")), seed=cell["seeds"], **own)
    biased = paired and cell["part"] != "pairs, bias 0"
    sae.frozen = () if biased else ("b_dec",)  # a bias could hold one end of an axis
    config = TrainConfig(
        **{name: cell[name] for name in ("steps", "batch", "lr")}, warm_up=0.05, centre=biased, normalise=False
    )
    train(sae, world, config, on_step=lambda now: report(now.step * cell["batch"], "training"))
    found = {name: np.asarray(v) for name, v in evaluate(sae, world, cell["samples"], seed=1).items()}
    scores = {name: found[name] for name in METRICS} | {"found": found["matched_recall@.9"]}
    return {name: np.broadcast_to(values, sae.shape).tolist() for name, values in scores.items()}


def rows(cells: list[Cell], results: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Tidy rows: one number a member and metric."""
    for cell in cells:
        penalties = list(cell["l1"]) if cell["arm"] == "ReLU 2m" else [None]
        for part in cell["parts"]:
            about = {"part": part, "x": float(cell["x"]), "arm": cell["arm"]}
            for metric, values in results[cell["id"]].items():
                for l1, members in zip(penalties, np.reshape(values, (len(penalties), -1)), strict=True):
                    for seed, value in zip(cell["seeds"], members, strict=True):
                        yield about | {"l1": l1, "seed": seed, "metric": metric, "value": float(value)}


def caption(settings: Bidirectional) -> str:
    """What the figure states."""
    return (
        "{n_true} random axes in d = {d}, {k} a sample, magnitudes |N(1, .25²)|; pairs: {pairs} of 2 features, "
        "magnitude 1. m: a latent an axis; 2m: two; k = {k}, for pairs {pairs}; ReLU at the penalty of nearest L0; "
        "bias held at 0 but for pairs. {steps} steps of {batch}, Adam {lr:g}; {seeds} seeds of weights: medians, 10-90 "
        "% bands, points; top left: means, 95 % intervals paired by seed, triangles where the lead changes sign."
    ).format(**asdict(settings))


def told(cell: Cell) -> str:
    """A cell in one line."""
    return f"{cell['id']:32} {cell['size']:,} samples x {len(cell['seeds'])} seeds"


def experiment(settings: Bidirectional, console: Console) -> int:
    """Plan, run, write, draw, show; returns the exit code."""
    done = carry_out(settings, "bidirectional", plan, work, console, told)
    if isinstance(done, int):
        return done
    settings, run = done.settings, done.run
    frame = done.table(rows)
    paths = draw(frame, caption(settings), run.folder / "figures/bidirectional")
    for table in (medians(frame), verdicts(frame)):
        console.print(table)
    console.print(f"figure {paths[0]}\nresults {run.folder}", soft_wrap=True, highlight=False)
    return 0


def main() -> int:
    """Parse and run."""
    return commanded("bidirectional", partial(read_flags, Bidirectional, description=__doc__), experiment)


if __name__ == "__main__":
    sys.exit(main())
