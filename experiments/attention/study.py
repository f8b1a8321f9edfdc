"""Does an SAE on attention outputs tell which heads write a feature, and what does W_O or the top-ten rule change?

On a planted layer whose features are written by one, two or three heads: matched cosine of planted directions and AUC
of decoder shares for their writers over features a head, with baselines, and with the heads rotated into each other
(ATTN-3, ATTN-6); ablation of heads against direct feature attribution (ATTN-1, ATTN-2); dictionaries trained on z W_O
over cond(W_O) (ATTN-4); heads of one role that the top-ten rule calls polysemantic (ATTN-5). Run `python -m experiments
attention`; results go to `runs/attention/...`; `--resume FOLDER` goes on; `--help` lists the flags.
"""

import synthetic.base.terminal  # noqa: F401 (Ctrl-C from here on)

# isort: split
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from experiments.attention.figures import ROTATED, figures, placed, questions, tables
from experiments.columns import drawn
from synthetic.attention.layer import PlantedAttention
from synthetic.base.console import Console
from synthetic.base.errors import must
from synthetic.base.flags import read_flags
from synthetic.base.streams import stream
from synthetic.laws.directions import unit
from workbench import SAE, TrainConfig, create, train
from workbench.metrics.attribution import by_head, has_one_role, head_share
from workbench.metrics.matching import match, random_geometries
from workbench.metrics.products import auroc
from workbench.study.cells import Cell, Report, carry_out, commanded
from workbench.study.questions import answered
from workbench.theory.attention import one_role_chance, ranking_cosine

ARMS = {"TopK": "topk", "ReLU": "relu", ROTATED: "topk"}
READ = 10
"""latents read a head"""
_SAMPLES = 4096


@dataclass(frozen=True)
class Attention:
    """Settings."""

    n_true: tuple[int, ...] = (32, 64, 128, 256)
    """features, where directions and writers are scored"""
    condition: tuple[float, ...] = (1.0, 10.0, 100.0, 1000.0)
    """cond(W_O)"""
    base: int = 64
    """features where n_true does not vary, and where heads are ablated"""
    split: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0)
    """shares of features that two heads write, where roles are read"""
    owned: tuple[int, ...] = (8, 16, 32)
    """features of a head's own role; dictionaries are trained for the middle one"""
    heads: int = 8
    """heads"""
    d_head: int = 8
    """their width"""
    active: float = 2.0
    """features present at a source, on average"""
    k: int = 4
    """active latents of TopK; with two sources a head about 3.7 features are active"""
    l1: float = 1.0
    """penalty of ReLU"""
    latents: int = 2
    """latents a feature"""
    steps: int = 600
    """training steps"""
    batch: int = 256
    """samples a step"""
    lr: float = 5e-3
    """Adam's step size"""
    seeds: int = 5
    """worlds, each with weights and samples of its own"""
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
        for name in ("d_head", "k", "latents"):
            must(getattr(self, name) >= 1, f"--{name.replace('_', '-')}", "at least 1", getattr(self, name), "raise it")
        least = min((self.base, *self.n_true, *(n * self.heads for n in self.owned)))
        pairs = self.heads >= 6 and self.heads % 2 == 0
        must(pairs, "--heads", "even, at least 6", self.heads, "three of a pattern write a feature")
        must(least >= self.heads, "--n-true", f"at least {self.heads}, one a head", least, "raise it or --base")
        must(self.base in self.n_true, "--base", f"one of --n-true {self.n_true}", self.base, "add it there")
        must(self.k <= self.latents * least, "--k", f"at most {self.latents * least} latents", self.k, "lower it")
        rotates = self.condition[:1] == (1,) and min(self.condition) >= 1
        must(rotates, "--condition", "1 first, none below", self.condition, "compare with a rotation")
        shares = self.split[:1] == (0,) and min(self.split) >= 0 and max(self.split) <= 1
        must(shares, "--split", "0 first, none above 1", self.split, "a share of the features")
        must(self.owned, "--owned", "one or more", "none", "name some")
        must(self.l1 >= 0, "--l1", "at least 0", self.l1, "raise it")
        must(0 < self.active <= least, "--active", f"in (0, {least}]", self.active, "the rate is active / n_true")
        must(self.seeds >= 2, "--seeds", "at least 2", self.seeds, "an interval needs two numbers")
        TrainConfig(steps=self.steps, batch=self.batch, lr=self.lr)


def plan(settings: Attention) -> list[Cell]:
    """One cell a seed, world and arm; all of W_O's condition numbers of a seed in one, as they are compared."""
    names = ("heads", "d_head", "active", "k", "l1", "latents", "steps", "batch", "lr", "base", "condition")
    common = {name: getattr(settings, name) for name in names}
    size, base, middle = settings.steps * settings.batch, settings.base, settings.owned[len(settings.owned) // 2]
    cells: list[Cell] = []

    def add(id: str, seed: int, part: str, n_true: int, size: int, arm: str = "TopK", **own: Any) -> None:
        about = {"part": part, "arm": arm, "n_true": n_true, "size": size, "seed": seed}
        cells.append(common | about | own | {"id": f"{part}/{id}/{seed}"})

    for seed in range(settings.seeds):
        add("all", seed, "output", base, size * (2 + len(settings.condition)))
        for n in settings.n_true:
            for arm in ARMS:
                add(f"{arm}/{n}", seed, "recovery", n, size, arm)
        for owned in settings.owned:
            for split in settings.split:
                trains = owned == middle
                own = {"owned": owned, "split": split, "trains": trains}
                add(f"{owned}/{split:g}", seed, "roles", owned * settings.heads, size * trains, **own)
    return cells


def world_of(cell: Cell, **own: Any) -> PlantedAttention:
    """A planted layer."""
    sizes = {name: cell[name] for name in ("heads", "d_head", "n_true", "seed")}
    return PlantedAttention(**sizes, rate=cell["active"] / cell["n_true"], **own)


def trained(cell: Cell, world: PlantedAttention, report: Report, seed: int) -> SAE:
    """An SAE of the cell's arm; `seed` is of weights and samples."""
    own = {"l1": cell["l1"]} if cell["arm"] == "ReLU" else {"k": cell["k"]}
    sae = create(ARMS[cell["arm"]], world.d, cell["latents"] * cell["n_true"], seed=seed, **own)
    config = TrainConfig(steps=cell["steps"], batch=cell["batch"], lr=cell["lr"])
    train(sae, world, config, seed=seed, on_step=lambda now: report(now.step * cell["batch"], "training"))
    return sae.eval().requires_grad_(False)


def recovery(cell: Cell, report: Report) -> list[dict[str, Any]]:
    """Directions and writers found; at the base size also what an ablation of heads does."""
    rotated, heads = cell["arm"] == ROTATED, cell["heads"]
    world = world_of(cell, mixing=1.0 if rotated else None)
    sae = trained(cell, world, report, cell["seed"])
    x, writers = world.sample(_SAMPLES, stream(cell["seed"], "attention/score")).x, world.writers
    geometry = match(sae.W_dec, world.truth.features)
    own, f = geometry.latent_of, sae.encode(x)
    share, f_own = head_share(sae.W_dec[own].double(), heads), f[:, own]
    z = x.unflatten(1, (heads, -1)).norm(dim=2)
    on = (f_own > 0).float()
    fires = on.sum(0).clamp_min(1)[:, None]
    dfa = by_head(x, sae.W_enc[:, own], heads, sae.scale)
    scores = {
        "rho": share,
        "|z|": z.mean(0).expand(cell["n_true"], -1),
        "|z| when active": on.T @ z / fires / z.mean(0),
        "DFA when active": (dfa * on[:, None]).sum(0).T / fires,
    }
    found = {f"AUC {name}": auroc(s[writers].double(), s[~writers].double()) for name, s in scores.items()}
    chance = random_geometries(sae.m, world.truth.features)
    least = torch.where(writers, world.amplitudes, 1.0).amin(1)
    sure = geometry.cosine_of > torch.tensor([ranking_cosine(float(a)) for a in least])
    ranked = torch.where(writers, share, 1.0).amin(1) > torch.where(writers, 0.0, share).amax(1)
    found |= {
        "features a head": float(writers.sum() / heads),
        "MCC": geometry.mean_matched,
        "chance": sum(g.mean_matched for g in chance) / len(chance),
        "recall@.9": float((geometry.cosine_of >= 0.9).double().mean()),
        "L0": float((f > 0).sum(1).double().mean()),
        "FVU": float((x - sae.decode(f)).square().sum() / (x - x.mean(0)).square().sum()),
        "largest share": float(share.amax(1).mean()),
        "sure": float(sure.double().mean()),
        "sure but misranked": float((sure & ~ranked).double().mean()),
    }
    rows = [{"what": what, "value": value} for what, value in found.items()]
    if cell["n_true"] != cell["base"]:
        return rows
    planted = (world.amplitudes / world.amplitudes.sum(1, keepdim=True)).flatten()
    first = cell["seed"] == 0
    rows += points("shares", planted, share.flatten()) if first else []
    return rows + ([] if rotated else ablation(sae, x[:512], heads, first))


def ablation(sae: SAE, x: Tensor, heads: int, first: bool) -> list[dict[str, Any]]:
    """Of active latents: the fall when a head is set to 0 against the head's part, both over f."""
    parts, f = by_head(x, sae.W_enc, heads, sae.scale) / sae.scale, sae.encode(x)
    share, fall, on = [], [], f > 1e-2 * f.max()
    for h in range(heads):
        kept = torch.ones(heads, 1).index_fill(0, torch.tensor(h), 0.0)
        without = sae.encode((x.unflatten(1, (heads, -1)) * kept).flatten(1))
        share.append(parts[:, h][on] / f[on])
        fall.append((f - without)[on] / f[on])
    part, effect = torch.cat(share), torch.cat(fall)
    exact, clipped = (effect - part).abs() <= 1e-3, (part > 1 + 1e-3) & ((effect - 1).abs() <= 1e-3)
    found = {"exactly the part": exact, "clipped": clipped, "neither": ~(exact | clipped)}
    rows = [{"what": what, "value": float(value.double().mean())} for what, value in found.items()]
    some = torch.linspace(0, len(part) - 1, min(len(part), 1500)).long()
    return rows + (points("ablation", part[some], effect[some]) if first else [])


def points(what: str, x: Tensor, y: Tensor) -> list[dict[str, Any]]:
    """Points of a scatter."""
    return [{"what": what, "place": a, "value": b} for a, b in zip(x.tolist(), y.tolist(), strict=True)]


def output(cell: Cell, report: Report) -> list[dict[str, Any]]:
    """Dictionaries of z W_O against the planted V W_O, and taken back to z against one of z; two of z as a ceiling."""
    seed, plain = cell["seed"], world_of(cell)

    def alive(sae: SAE, world: PlantedAttention) -> Tensor:
        x = world.sample(_SAMPLES, stream(seed, "attention/score")).x
        return sae.W_dec[(sae.encode(x) > 0).any(0)].double()

    base, other = (alive(trained(cell, plain, report, s), plain) for s in (seed, seed + 1000))
    found = [{"place": 0.0, "what": "MCC", "value": match(base, plain.planted).mean_matched}]
    found.append({"place": 0.0, "what": "agreement", "value": match(other, base).mean_matched})
    for condition in cell["condition"]:
        world = world_of(cell, mixing=condition)
        rows = alive(trained(cell, world, report, seed), world)
        back = unit(rows @ torch.linalg.inv(world.tensors["mixing"]))
        values = {
            "MCC": match(rows, world.truth.features).mean_matched,
            "MCC in z": match(back, plain.planted).mean_matched,
            "agreement": match(back, base).mean_matched,
        }
        found += [{"place": condition, "what": what, "value": value} for what, value in values.items()]
    return found


def roles(cell: Cell, report: Report) -> list[dict[str, Any]]:
    """Heads, each owner of one role, called polysemantic: by formula, of planted rows, of trained ones."""
    heads, split = cell["heads"], cell["split"]
    world = world_of(cell, split=(1 - split, split))
    planted = has_one_role(head_share(world.planted, heads), world.owners, READ)
    found = {"formula": by_formula(world), "planted": float((~planted).double().mean())}
    if cell["trains"]:
        sae = trained(cell, world, report, cell["seed"])
        x = world.sample(_SAMPLES, stream(cell["seed"], "attention/score")).x
        rows = sae.W_dec[(sae.encode(x) > 0).any(0)].double()
        role = world.owners[match(rows, world.planted).nearest]
        found["trained"] = float((~has_one_role(head_share(rows, heads), role, READ)).double().mean())
    return [{"what": what, "place": split, "owned": cell["owned"], "value": value} for what, value in found.items()]


def by_formula(world: PlantedAttention) -> float:
    """Share of heads called polysemantic if the shares of split features are in random order (ATTN-5)."""
    wrong, single = 0.0, world.writers.sum(1) == 1
    for h in range(world.heads):
        mine, writes = world.owners == h, world.writers[:, h]
        sure = int((mine & single).sum())
        pool = world.owners[writes & ~single]
        sizes = [int((pool == role).sum()) for role in [h, *(r for r in range(world.heads) if r != h)]]
        enough = sure + sum(sizes) >= READ  # else a latent of share 0 is read
        wrong += 1 - (one_role_chance(sizes, READ, sure=sure) if enough else 0.0)
    return wrong / world.heads


def work(cell: Cell, report: Report) -> list[dict[str, Any]]:
    """One cell; runs in a process of the pool."""
    return {"recovery": recovery, "output": output, "roles": roles}[cell["part"]](cell, report)


def rows(cells: list[Cell], results: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Tidy rows: one number a seed."""
    for cell in cells:
        about = {name: cell[name] for name in ("part", "arm", "n_true", "seed")}
        for row in results[cell["id"]]:
            yield about | {"owned": None, "place": None} | row


def experiment(settings: Attention, console: Console) -> int:
    """Plan, run, write, draw, show; returns the exit code."""
    done = carry_out(settings, "attention", plan, work, console, lambda cell: f"{cell['id']:28} {cell['size']:,}")
    if isinstance(done, int):
        return done
    settings, run = done.settings, done.run
    frame = done.table(rows)
    table = placed(frame)
    paths = drawn(figures(settings), table, settings, run.folder / "figures")
    for shown in (*(medians.of(table) for medians in tables(settings)), answered(questions(settings), table)):
        console.print(shown)
    console.print(f"figure {paths[0]}\nresults {run.folder}", soft_wrap=True, highlight=False)
    return 0


def main() -> int:
    """Parse and run."""
    return commanded("attention", partial(read_flags, Attention, description=__doc__), experiment)


if __name__ == "__main__":
    sys.exit(main())
