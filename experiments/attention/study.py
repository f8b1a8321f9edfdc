"""Does an SAE on attention outputs tell which heads write a feature, and what does W_O or the top-ten rule change?

On a planted layer whose features are written by one, two or three heads: matched cosine of planted directions and AUC
of decoder shares for their writers over features a head, with baselines, and with the heads rotated into each other
(ATTN-3, ATTN-6); ablation of heads against direct feature attribution (ATTN-1, ATTN-2); dictionaries trained on z W_O
over cond(W_O) (ATTN-4); heads of one role that the top-ten rule calls polysemantic (ATTN-5). Run `python -m experiments
attention`; results go to `runs/attention/...`; `--resume FOLDER` goes on; `--help` lists the flags.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from experiments.attention.figures import DFA, LIFT, RHO, ROTATED, SIZE, figures, questions, tables
from experiments.attention.settings import Attention
from synthetic.attention.layer import PlantedAttention
from synthetic.base.streams import stream
from synthetic.laws.directions import unit as unit_rows
from workbench import SAE, TrainConfig, create, evaluate, train
from workbench.metrics.attribution import by_head, has_one_role, head_share
from workbench.metrics.matching import Geometry, match, random_geometries
from workbench.metrics.products import auroc
from workbench.study.study import Study
from workbench.study.units import Report, Row, Unit, kind_of
from workbench.theory.attention import one_role_chance, ranking_cosine

ARMS = {"TopK": "topk", "ReLU": "relu", ROTATED: "topk"}
READ = 10
"""latents read a head"""
_SAMPLES = 4096


@dataclass(frozen=True, kw_only=True)
class Layer(Unit):
    """A planted layer of one seed, and what is done with it."""

    settings: Attention
    part: str
    n_true: int
    arm: str = "TopK"
    owned: int | None = None
    """features of a head's own role"""
    split: float | None = None

    @property
    def size(self) -> int:
        """Samples; all of W_O's condition numbers of a seed are compared, and are one unit."""
        stacks = {"output": 2 + len(self.settings.condition), "recovery": 1, "roles": int(self.trains)}
        return stacks[self.part] * self.settings.train.steps * self.settings.train.batch

    @property
    def trains(self) -> bool:
        """Of roles: whether a dictionary is trained too."""
        return self.owned == self.settings.middle

    def world(self, **own: Any) -> PlantedAttention:
        """A planted layer."""
        sizes = {"heads": self.settings.heads, "d_head": self.settings.d_head, "n_true": self.n_true}
        return PlantedAttention(**sizes, seed=self.seed, rate=self.settings.active / self.n_true, **own)

    def trained(self, world: PlantedAttention, report: Report, seed: int) -> SAE:
        """An SAE of its arm; `seed` is of weights and samples."""
        settings, config = self.settings, self.settings.train
        own: dict[str, Any] = {"l1": settings.l1} if self.arm == "ReLU" else {"k": settings.k}
        sae = create(ARMS[self.arm], world.d, settings.latents * self.n_true, seed=seed, **own)
        train(sae, world, config, seed=seed, on_step=lambda now: report(now.step * config.batch, "training"))
        return sae.eval().requires_grad_(False)


def plan(settings: Attention) -> Iterator[Layer]:
    """One unit a seed, world and arm."""
    for seed in range(settings.seeds):
        common: dict[str, Any] = {"settings": settings, "seeds": (seed,)}
        yield Layer(part="output", n_true=settings.base, **common)
        for n in settings.n_true:
            for arm in ARMS:
                yield Layer(part="recovery", n_true=n, arm=arm, **common)
        for owned in settings.owned:
            for split in settings.split:
                yield Layer(part="roles", n_true=owned * settings.heads, owned=owned, split=split, **common)


def scored(world: PlantedAttention, seed: int) -> Tensor:
    """Samples that scores are taken on."""
    return world.sample(_SAMPLES, stream(seed, "attention/score")).x


def recovery(unit: Layer, report: Report) -> Iterator[Row]:
    """Directions and writers found; at the base size also what an ablation of heads does."""
    rotated, heads = unit.arm == ROTATED, unit.settings.heads
    world = unit.world(mixing=1.0 if rotated else None)
    sae = unit.trained(world, report, unit.seed)
    x, geometry = scored(world, unit.seed), match(sae.W_dec, world.truth.features)
    f, share = sae.encode(x), head_share(sae.W_dec[geometry.latent_of].double(), heads)
    chance, fit = random_geometries(sae.m, world.truth.features), evaluate(sae, x, metrics=("l0", "fvu"))
    scores: dict[str, Any] = writers_found(sae, world, geometry, x, f, share) | {
        "features_per_head": float(world.writers.sum() / heads),
        "mcc": geometry.mean_matched,
        "mcc_null": sum(g.mean_matched for g in chance) / len(chance),
        "recall@.9": float((geometry.cosine_of >= 0.9).double().mean()),
        "l0": fit["l0"],
        "fvu": fit["fvu"],
        "largest_share": float(share.amax(1).mean()),
    }
    for metric, value in scores.items():
        yield kind_of(metric) | {"value": value}
    if unit.n_true == unit.settings.base:
        planted = (world.amplitudes / world.amplitudes.sum(1, keepdim=True)).flatten()
        first = unit.seed == 0
        yield from points("shares", planted, share.flatten()) if first else ()
        yield from () if rotated else ablation(sae, x[:512], heads, first)


def writers_found(
    sae: SAE, world: PlantedAttention, geometry: Geometry, x: Tensor, f: Tensor, share: Tensor
) -> dict[str, float]:
    """AUC of what may tell a feature's writers, and whether the theory's cosine ranks them."""
    own, heads, writers = geometry.latent_of, world.heads, world.writers
    z, on = x.unflatten(1, (heads, -1)).norm(dim=2), (f[:, own] > 0).float()
    fires = on.sum(0).clamp_min(1)[:, None]
    dfa = by_head(x, sae.W_enc[:, own], heads, sae.scale)
    scores = {
        RHO: share,
        SIZE: z.mean(0).expand(len(writers), -1),
        LIFT: on.T @ z / fires / z.mean(0),
        DFA: (dfa * on[:, None]).sum(0).T / fires,
    }
    found = {name: auroc(s[writers].double(), s[~writers].double()) for name, s in scores.items()}
    least = torch.where(writers, world.amplitudes, 1.0).amin(1)
    sure = geometry.cosine_of > torch.tensor([ranking_cosine(float(a)) for a in least])
    ranked = torch.where(writers, share, 1.0).amin(1) > torch.where(writers, 0.0, share).amax(1)
    return found | {"sure": float(sure.double().mean()), "sure_misranked": float((sure & ~ranked).double().mean())}


def ablation(sae: SAE, x: Tensor, heads: int, first: bool) -> Iterator[Row]:
    """Of active latents: the fall when a head is set to 0 against the head's part, both over f."""
    parts, f = by_head(x, sae.W_enc, heads, sae.scale) / sae.scale, sae.encode(x)
    share, fall, on = [], [], f > 1e-2 * f.max()
    for h in range(heads):
        mask = torch.ones(heads, 1).index_fill(0, torch.tensor(h), 0.0)
        without = sae.encode((x.unflatten(1, (heads, -1)) * mask).flatten(1))
        share.append(parts[:, h][on] / f[on])
        fall.append((f - without)[on] / f[on])
    part, effect = torch.cat(share), torch.cat(fall)
    exact, clipped = (effect - part).abs() <= 1e-3, (part > 1 + 1e-3) & ((effect - 1).abs() <= 1e-3)
    found = {"exact_part": exact, "clipped": clipped, "neither": ~(exact | clipped)}
    for metric, value in found.items():
        yield {"metric": metric, "value": float(value.double().mean())}
    some = torch.linspace(0, len(part) - 1, min(len(part), 1500)).long()
    yield from points("ablation", part[some], effect[some]) if first else ()


def points(metric: str, x: Tensor, y: Tensor) -> Iterator[Row]:
    """Points of a scatter."""
    for i, (a, b) in enumerate(zip(x.tolist(), y.tolist(), strict=True)):
        yield {"metric": metric, "point": i, "x": a, "value": b}


def output(unit: Layer, report: Report) -> Iterator[Row]:
    """Dictionaries of z W_O against the planted V W_O, and taken back to z against one of z; two of z as a ceiling."""
    seed, plain = unit.seed, unit.world()

    def alive(sae: SAE, world: PlantedAttention) -> Tensor:
        return sae.W_dec[(sae.encode(scored(world, seed)) > 0).any(0)].double()

    base, other = (alive(unit.trained(plain, report, s), plain) for s in (seed, seed + 1000))
    yield {"x": 0.0, "metric": "mcc", "value": match(base, plain.planted).mean_matched}
    yield {"x": 0.0, "metric": "agreement", "value": match(other, base).mean_matched}
    for condition in unit.settings.condition:
        world = unit.world(mixing=condition)
        rows = alive(unit.trained(world, report, seed), world)
        back = unit_rows(rows @ torch.linalg.inv(world.tensors["mixing"]))
        values = {
            "mcc": match(rows, world.truth.features).mean_matched,
            "mcc_in_z": match(back, plain.planted).mean_matched,
            "agreement": match(back, base).mean_matched,
        }
        for metric, value in values.items():
            yield {"x": condition, "metric": metric, "value": value}


def roles(unit: Layer, report: Report) -> Iterator[Row]:
    """Heads, each owner of one role, called polysemantic: by formula, of planted rows, of trained ones."""
    heads, split = unit.settings.heads, unit.split or 0.0
    world = unit.world(split=(1 - split, split))
    planted = has_one_role(head_share(world.planted, heads), world.owners, READ)
    found = {"formula": by_formula(world), "planted": float((~planted).double().mean())}
    if unit.trains:
        sae = unit.trained(world, report, unit.seed)
        rows = sae.W_dec[(sae.encode(scored(world, unit.seed)) > 0).any(0)].double()
        role = world.owners[match(rows, world.planted).nearest]
        found["trained"] = float((~has_one_role(head_share(rows, heads), role, READ)).double().mean())
    for metric, value in found.items():
        yield {"metric": metric, "x": split, "owned": unit.owned, "value": value}


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


def work(unit: Layer, report: Report) -> Iterator[Row]:
    """Rows of a unit: x is a planted share, a condition number, or the share of split features."""
    settings = unit.settings
    about: Row = {"place": unit.part, "arm": unit.arm, "world": "PlantedAttention", "n_true": unit.n_true}
    about |= {"d": settings.heads * settings.d_head, "m": settings.latents * unit.n_true}
    about |= {"world_seed": unit.seed, "seed": unit.seed}
    for row in {"recovery": recovery, "output": output, "roles": roles}[unit.part](unit, report):
        yield about | row


STUDY = Study(
    name="attention",
    question=__doc__,
    settings=Attention,
    plan=plan,
    work=work,
    figures=figures,
    tables=tables,
    questions=questions,
    toy=Attention(
        n_true=(24, 32), base=24, condition=(1.0, 1000.0), split=(0.0, 1.0), owned=(4, 12, 16), heads=6, d_head=6,
        seeds=2, train=TrainConfig(steps=120, batch=128, lr=0.01),
    ),
)  # fmt: skip
main = STUDY.main
