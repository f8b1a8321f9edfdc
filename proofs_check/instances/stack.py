"""Stacks that claims train: every setting written down, each trained once in a process."""

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from proofs_check.trainings import Training, once
from synthetic.base.errors import must
from synthetic.laws.magnitudes import Uniform
from synthetic.source import World
from synthetic.worlds import worlds
from workbench import SAE, TrainConfig, create, train
from workbench.metrics import collect
from workbench.metrics.evidence import Evidence

SEEDS = (0, 1, 2)
"""of initial weights; a stack of these shares its world and its batches. Thresholds are set on them"""
FIRST, MEMBERS = 100, 10
"""seeds from here on draw a world, a stream of batches, an evaluation and initial weights; so many are judged"""
Settings = tuple[tuple[str, Any], ...]
"""name and value of each"""

_TRAINING: dict[str, Any] = {
    "betas": (0.9, 0.999),
    "warm_up": 0.02,
    "decay": 0.2,
    "clip": 1.0,
    "normalise": True,
    "centre": True,
    "penalty_warm_up": 0.1,
    "k_start": None,
    "k_anneal": 0.5,
    "aux_k": 0,
    "aux_weight": 1 / 32,
    "dead_after": 200,
    "resample_every": 0,
    "bf16": False,
    "evaluations": 0,
    "evaluation_samples": 20_000,
    "checkpoint_every": 0,
}
_VARIANTS: dict[str, dict[str, Any]] = {
    "abs_topk": {},
    "topk": {},
    "relu": {},
    "batch_topk": {"threshold_rate": 0.05},
    "matryoshka": {
        "prefixes": (1 / 16, 1 / 4, 1 / 2, 1.0),
        "by_frequency": False,
        "inner_weight": 1.0,
        "detach": "none",
        "threshold_rate": 0.05,
    },
    "matching_pursuit": {"select": "abs", "tol": 0.0, "stop_on_repeat": False},
    "polysae": {"rank1": 0, "rank2": 8, "rank3": 0, "terms": "full"},
    "group_bias_adaptation": {"buffer": 0, "eps": 1e-6, "clamp": 1.0, "tied": True, "trained_scale": True},
}
_SIGNED: dict[str, Any] = {"n_true": 24, "d": 32, "k": 3, "sd": 0.25, "seed": 0}
_WORLDS: dict[str, dict[str, Any]] = {
    "uniform": {"seed": 0},
    "planted": {"seed": 0},
    "two_frequencies": {"seed": 0},
    "bidirectional": _SIGNED,
    "unipolar_sparse": _SIGNED,
    "mixed_signs": _SIGNED,
    "concept_tree": {"leak": 0.0, "child_mean": 1.5, "seed": 0, "parent_mean": 1.5, "child_sd": None, "d": 20},
    "interacting": {
        "frequent": 4,
        "together": 4,
        "rare": 4,
        "free": 8,
        "d": 64,
        "k": 3,
        "each": 0.06,
        "gain": 1.5,
        "magnitudes": Uniform(1.0, 1.5),
        "seed": 0,
    },
}
"""knobs of worlds, and above settings of variants and of training, that claims leave as they were: no later default
moves a claim"""


def training(steps: int, batch: int, lr: float, **changes: Any) -> TrainConfig:
    """How a stack is trained, whatever the defaults of `TrainConfig` come to be."""
    return TrainConfig(steps=steps, batch=batch, lr=lr, **{**_TRAINING, **changes})


@dataclass(frozen=True, kw_only=True)
class Stack:
    """SAEs of several seeds trained side by side on the samples of one world."""

    world: str
    knobs: Settings = ()
    """of the world, by name: all but those that `_WORLDS` has"""
    variant: str
    m: int
    settings: Settings
    """of the variant, all but those that `_VARIANTS` has"""
    train: TrainConfig
    """as `training` makes it"""
    seeds: tuple[int, ...] = SEEDS
    draw: int = 0
    """seed of the world, of its batches and of the evaluation; 0 leaves the world to its knobs"""
    frozen: tuple[str, ...] = ()
    """parameters left as drawn"""
    samples: int = 4000
    """of the evaluation"""

    @property
    def place(self) -> World:
        """The world."""
        make = worlds()[self.world]
        knobs = {**_WORLDS.get(self.world, {}), **dict(self.knobs)} | ({"seed": self.draw} if self.draw else {})
        named = [p.name for p in inspect.signature(make).parameters.values() if p.kind != p.VAR_KEYWORD]
        _must_name("Stack.knobs", self.world, named, knobs)
        return make(**knobs)

    @property
    def sae(self) -> SAE:
        """All members, trained."""
        return _trained(self)

    @property
    def evidence(self) -> list[Evidence]:
        """What the evaluation of each member counted."""
        return _measured(self)

    @property
    def record(self) -> Training:
        """What the ledger says of it."""
        at = {"world": called(self.world, self.knobs), "world seed": self.draw or dict(self.knobs).get("seed", 0)}
        made = {"variant": called(self.variant, self.settings), "m": self.m, "seeds": list(self.seeds)}
        return at | made | {"steps": self.train.steps, "batch": self.train.batch, "lr": self.train.lr}


def called(name: str, settings: Settings) -> str:
    """As one would write the call."""
    return f"{name}({', '.join(f'{key}={value}' for key, value in settings)})" if settings else name


def _must_name(where: str, name: str, needed: Iterable[str], named: Mapping[str, Any]) -> None:
    """Refuse to leave a setting to its default."""
    left = sorted({*needed} - {*named})
    must(not left, where, f"all of {name}'s", f"none for {', '.join(left)}", "name them: defaults move")


@once(lambda stack: stack.record)
def _trained(stack: Stack) -> SAE:
    world = stack.place
    settings = {**_VARIANTS.get(stack.variant, {}), **dict(stack.settings)}
    sae = create(stack.variant, world.d, stack.m, seed=list(stack.seeds), **settings)
    _must_name("Stack.settings", stack.variant, sae.settings, settings)
    sae.frozen = (*sae.frozen, *stack.frozen)
    train(sae, world, stack.train, seed=stack.draw)
    return sae


@once(lambda stack: stack.record, measures=True)
def _measured(stack: Stack) -> list[Evidence]:
    return collect(stack.sae, stack.place, stack.samples, seed=stack.draw)


@dataclass(frozen=True)
class Member:
    """One SAE of a stack: an instance of a claim. A topic's own class says by its fields in which stack."""

    seed: int = 0
    mates: int = 0
    """of a fresh member: other initial weights trained beside it, on its samples"""

    always: ClassVar[tuple[str, ...]] = ()
    """fields that are shown even where they are at their defaults"""

    def __str__(self) -> str:
        shown = [f for f in fields(self) if getattr(self, f.name) != f.default or f.name in self.always]
        return ", ".join(f"{f.name} = {getattr(self, f.name)}" for f in shown) or "as it is"

    @property
    def seeds(self) -> tuple[int, ...]:
        """Of its stack."""
        return SEEDS if self.seed in SEEDS else tuple(self.seed + 1000 * i for i in range(self.mates + 1))

    @property
    def draw(self) -> int:
        """Seed of its world, stream and evaluation, where it is a fresh member."""
        return self.seed if self.seed >= FIRST else 0

    @property
    def index(self) -> int:
        """Its place in the stack."""
        return self.seeds.index(self.seed)

    @property
    def stack(self) -> Stack:
        """The stack it is one of."""
        raise NotImplementedError

    @property
    def evidence(self) -> Evidence:
        """What its evaluation counted."""
        return self.stack.evidence[self.index]

    @property
    def fvu(self) -> float:
        """Share of the variance left unexplained."""
        return self.evidence.fvu

    @classmethod
    def each_seed(cls, **changes: Any) -> SearchStrategy[Self]:
        """The members of one stack."""
        return st.sampled_from([cls(seed=seed, **changes) for seed in SEEDS])

    @classmethod
    def fresh(cls, first: int = FIRST, **changes: Any) -> SearchStrategy[Self]:
        """Members of which each has a world, a stream, an evaluation and initial weights of its own."""
        return st.sampled_from([cls(seed=seed, **changes) for seed in range(first, first + MEMBERS)])

    @classmethod
    def alone(cls, **changes: Any) -> SearchStrategy[Self]:
        """A member trained alone, which is cheaper: for controls and mutants."""
        return st.just(cls(seed=len(SEEDS), **changes))


@dataclass(frozen=True)
class Trained(Member):
    """A member of a stack on a named world: signed codes, as long as nothing else is said."""

    world: str = "bidirectional"
    knobs: Settings = ()
    """of the world, by name"""
    variant: str = "abs_topk"
    m: int = 24
    k: int = 3
    settings: Settings = ()
    """of the variant, beside k"""
    steps: int = 800
    lr: float = 5e-3
    frozen: tuple[str, ...] = ()
    """parameters left as drawn"""

    always = ("world", "variant")

    @property
    def stack(self) -> Stack:
        """The stack it is one of."""
        return Stack(
            world=self.world,
            knobs=self.knobs,
            variant=self.variant,
            m=self.m,
            settings=(("k", self.k), *self.settings),
            train=training(self.steps, 256, self.lr, dead_after=100),
            seeds=self.seeds,
            draw=self.draw,
            frozen=self.frozen,
        )

    @property
    def mcc(self) -> float:
        """Mean |cos| of matched rows."""
        return self.evidence.geometry.mean_matched

    @property
    def dead(self) -> float:
        """Share of latents that never fire."""
        return self.evidence.dead
