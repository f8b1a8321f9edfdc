"""Contracts of variants and of studies, law by law: what `python -m workbench check` and the tests run on them."""

import io
import json
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import polars as pl
import torch
from torch import Tensor

from synthetic.base.streams import stream
from synthetic.laws.directions import Orthonormal
from synthetic.laws.firing import ExactlyK
from synthetic.mixture import SparseMixture
from synthetic.source import Codes
from workbench import kernels
from workbench.check_metric import check_metric as check_metric
from workbench.check_world import check_world as check_world
from workbench.contract import Broken, NotApplicable, Outcome, demand, into, outcomes
from workbench.interop import load
from workbench.metrics.matching import match
from workbench.parts.base import Latents, Term, besides
from workbench.parts.objectives import OBJECTIVES
from workbench.sae import SAE, Variant
from workbench.sae import Stack as Parts
from workbench.study.flags import HOW, TrainFlags, check_settings, config_of, leaves, parsed
from workbench.study.places import Stack
from workbench.study.study import Study, carry_out, declared, grown_units
from workbench.study.table import SCHEMA, TIMES, differences
from workbench.study.units import Unit
from workbench.training.config import TrainConfig
from workbench.training.loop import train
from workbench.variants import variant_shelf

_D, _M, _N = 12, 24, 64
_EASY = SparseMixture(n_true=_D, d=_D, directions=Orthonormal(), firing=ExactlyK(1))


LAWS: dict[str, Callable[[Variant], None]] = {}
_law = into(LAWS)


def check_variant(variant: Variant) -> Iterator[Outcome]:
    """Test every law on a variant of the shelf, in order; an error inside one is a failure of that law alone."""
    return outcomes(LAWS, variant)


def check_objective(maker: Callable[..., Term]) -> Iterator[Outcome]:
    """Test what an objective may break on encoders of four kinds, with its default settings."""
    name = next(name for name, other in OBJECTIVES.items() if other is maker)
    for variant in (variant_shelf()[of] for of in ("relu", "topk", "gated", "jumprelu")):
        for law in (_shapes, _saves, _reproducible, _alone):
            statement = next(statement for statement, other in LAWS.items() if other is law)
            yield from outcomes({f"{variant.name}: {statement}": law}, crossed(variant, name))


def crossed(variant: Variant, objective: str) -> Variant:
    """The variant with an objective among its terms."""

    def make(stack: Parts, **settings: Any) -> SAE:
        return variant.make(replace(stack, settings=stack.settings | {"objective": objective}), **settings)

    return replace(variant, make=make)


def _near(got: Tensor, wanted: Tensor, what: str, tolerance: float = 1e-5) -> None:
    worst = float((got - wanted).abs().max())
    size = float(wanted.abs().max())
    demand(worst <= tolerance * max(1.0, size), f"{what} differ by up to {worst:.2e}")


def _dense(codes: Latents) -> Tensor:
    return (codes.dense() if isinstance(codes, Codes) else codes).detach()


def _x(n: int = _N) -> Tensor:
    return _EASY.sample(n, stream(7, "check")).x + 0.1


def _few(variant: Variant) -> dict[str, Any]:
    """Settings with k = 1 for variants that have a k, defaults otherwise."""
    return {"k": type(variant.defaults["k"])(1)} if "k" in variant.defaults else {}


def _short(variant: Variant, seed: int | list[int] = 0, steps: int = 12) -> SAE:
    sae = variant(_D, _M, seed=seed)
    train(sae, _EASY, TrainConfig(steps=steps, batch=_N, lr=1e-3))
    return sae


@_law("C1 builds from its defaults, alone and stacked")
def _builds(variant: Variant) -> None:
    variant(_D, _M)
    shape = variant(_D, _M, seed=[[0, 1, 2]]).W_dec.shape
    demand(shape == (1, 3, _M, _D), f"W_dec of a (1, 3) stack has shape {tuple(shape)}")


@_law("C2 shapes: latents (*s, n, m), reconstruction (*s, n, d), one loss a member")
def _shapes(variant: Variant) -> None:
    for seed, stack in ((0, ()), ([0, 1], (2,))):
        sae = variant(_D, _M, seed=seed)
        out = sae.trace(_x())
        demand(out.dense().shape == (*stack, _N, _M), f"latents have shape {tuple(out.dense().shape)}")
        demand(out.x_hat.shape == (*stack, _N, _D), f"x_hat has shape {tuple(out.x_hat.shape)}")
        for name, value in sae.loss(out).items():
            demand(value.shape == stack, f"loss {name!r} has shape {tuple(value.shape)}, not {stack}")
            demand(value.dtype == torch.float32, f"loss {name!r} has dtype {value.dtype}")


@_law("C3 at inference a row's latents depend on that row alone")
def _rowwise(variant: Variant) -> None:
    sae = _short(variant)
    if not sae.encoder.rowwise:
        raise NotApplicable("its encoder says rowwise = False")
    x = _x()
    _near(_dense(sae.encode(x[:5])), _dense(sae.encode(x))[:5], "latents of a row, alone and in a batch,")


@_law("C4 latents are nonnegative and at most k where the variant says so")
def _sparse(variant: Variant) -> None:
    sae = _short(variant)
    f = _dense(sae.encode(_x()))
    demand(not sae.encoder.nonnegative or bool((f >= 0).all()), f"a latent is {float(f.min()):.3g}")
    k = sae.settings.get("k")
    if isinstance(k, int):
        most = int((f != 0).sum(-1).max())
        demand(most <= k, f"{most} latents fire in a row, k = {k}")


@_law("C5 the loss reaches every parameter, with the gradient of float64 finite differences")
def _gradients(variant: Variant) -> None:
    sae = _short(variant).double().train()
    x = (_x() * sae.scale).double()

    def loss() -> Tensor:
        return torch.stack(list(sae.loss(sae.trace(x)).values())).sum(0)

    if sae.encoder.keeps_entries:
        both = []
        for sparse in (True, False):
            with kernels.using(sparse=sparse):
                loss().backward()
            both.append([torch.zeros_like(p) if p.grad is None else p.grad for p in sae.parameters()])
            sae.zero_grad(set_to_none=True)
        for (name, _), kept, whole in zip(sae.named_parameters(), *both, strict=True):
            _near(kept, whole, f"gradients of {name} through the kept latents alone and through all")
    loss().backward()
    estimated = {name for part in sae.parts for name in part.surrogate}
    for name, p in sae.named_parameters():
        reached = p.grad is not None and bool((p.grad != 0).any())
        demand(reached or not p.requires_grad, f"the gradient of {name} is zero")
    for name, p in sae.named_parameters():
        if name in estimated or p.grad is None:
            continue
        kick = torch.randn(p.shape, generator=stream(7, "kick"), dtype=torch.float64)
        kick /= kick.norm()
        slope, size = float((p.grad * kick).sum()), 1e-6
        with torch.no_grad():
            p += size * kick
            up = float(loss().detach())
            p -= 2 * size * kick
            down = float(loss().detach())
            p += size * kick
        measured = (up - down) / (2 * size)
        close = abs(measured - slope) <= 1e-4 * (1 + abs(slope))
        demand(close, f"along {name} the loss rises by {measured:.6g}, the gradient says {slope:.6g}")


@_law("C6 save and load give the same output")
def _saves(variant: Variant) -> None:
    for seed in (0, [3, 4]):
        sae = _short(variant, seed)
        with tempfile.TemporaryDirectory() as folder:
            again = load(sae.save(Path(folder) / "sae"))
        _near(_dense(again.encode(_x())), _dense(sae.encode(_x())), "latents")
        _near(again(_x()).detach(), sae(_x()).detach(), "reconstructions")


@_law("C7 the same seed gives the same bits")
def _reproducible(variant: Variant) -> None:
    one, two = _short(variant).state_dict(), _short(variant).state_dict()
    for name, value in one.items():
        demand(bool(torch.equal(value, two[name])), f"two runs differ in {name}")


@_law("C8 decoder rows have norm 1 after a step, where the variant says so")
def _unit(variant: Variant) -> None:
    sae = _short(variant)
    if not sae.decoder.unit:
        raise NotApplicable("its decoder's rows have norms of their own")
    norms = sae.W_dec.detach().norm(dim=-1)
    _near(norms, torch.ones_like(norms), "row norms and 1")


@_law("C9 finds 12 orthonormal features of which one fires at a time (MCC >= .95)")
def _easy(variant: Variant) -> None:
    sae = variant(_D, _M, seed=0, **_few(variant))
    if not any(part.sparse for part in sae.parts):
        raise NotApplicable("none of its parts prefers sparse codes")
    if held := {"W_dec", "W_enc"} & set(sae.frozen):
        raise NotApplicable(f"{' and '.join(sorted(held))} stays as it was drawn")
    if any(part.confines for part in sae.parts):
        raise NotApplicable("one of its parts keeps rows near where they were drawn")
    if besides(sae.coded(_x()), sae.decoder, _x()):
        raise NotApplicable("what its latents lack reaches the reconstruction beside them")
    train(sae, _EASY, TrainConfig(steps=1200, batch=256))
    score = match(sae.W_dec, _EASY.truth.features).mean_matched
    demand(score >= 0.95, f"MCC {score:.3f}")


@_law("C10 relabelling latents only relabels f")
def _equivariant(variant: Variant) -> None:
    sae = _short(variant)
    if sae.encoder.positional:
        raise NotApplicable("its latents stand in groups by their place")
    x = _x()
    before = _dense(sae.encode(x))
    order = torch.randperm(_M, generator=stream(7, "relabel"))
    with torch.no_grad():
        for value in [*sae.parameters(), *sae.buffers()]:
            for axis in range(value.ndim):
                if value.shape[axis] == _M:
                    value.copy_(value.index_select(axis, order))
    _near(_dense(sae.encode(x)), before[:, order], "latents")


@_law("C11 a member of a stack equals the same SAE trained alone")
def _alone(variant: Variant) -> None:
    stack, alone = _short(variant, [5, 0, 9]), _short(variant, 0)
    for name, value in alone.state_dict().items():
        if value.ndim:
            _near(stack.state_dict()[name][1], value, name, 1e-4)


STUDY_LAWS: dict[str, Callable[["_Trial"], str | None]] = {}
_of_studies = into(STUDY_LAWS)


def check_study(study: Study[Any], folder: Path | None = None) -> Iterator[Outcome]:
    """Test every law on a study at its toy settings, whose units are done once; an error inside one is a failure.

    Args:
        study: with toy settings.
        folder: an empty one, which its run is left in; one that is removed at the end where None.
    """
    if folder is None:
        with tempfile.TemporaryDirectory() as place:
            yield from check_study(study, Path(place))
        return
    yield from outcomes(STUDY_LAWS, _Trial(study, folder))


class _Trial:
    """A study at toy size, in this process: its settings, its run, its table."""

    def __init__(self, study: Study[Any], folder: Path) -> None:
        self.study, self.folder, toy = study, folder, study.toy
        if toy is None:
            raise ValueError(f"Study.toy of {study.name} must be given; got none: state settings that take seconds.")
        self.settings = replace(toy, out=folder / "runs", jobs=1)
        self.done: Any = None

    def carried(self, limit: int | None = None, **changes: Any) -> Any:
        """The study carried out, with other settings where they are named."""
        with redirect_stdout(io.StringIO()):
            outcome = carry_out(self.study, replace(self.settings, **changes), limit=limit)
        wrong = outcome.failed if outcome is not None else {}
        demand(not wrong, f"units fail: {dict(wrong)}")
        return outcome

    def command(self, *argv: object) -> tuple[int, str]:
        """Exit code and output of its command."""
        said = io.StringIO()
        with redirect_stdout(said), redirect_stderr(said):
            try:
                code = self.study.main([str(word) for word in argv])
            except SystemExit as leaving:
                code = int(leaving.code or 0)
        return code, said.getvalue()

    def files(self) -> list[Path]:
        """What lies in its folder."""
        return sorted(self.folder.rglob("*"))


@_of_studies("S1 a dry run tells the units and writes nothing")
def _dry(trial: _Trial) -> None:
    demand(trial.study.units(trial.settings), "there are no units")
    trial.carried(dry_run=True)
    demand(not trial.files(), f"{trial.files()[:1]} is there")


@_of_studies("S2 stopped after some units and gone on with, toy settings give a table of the schema's columns")
def _runs(trial: _Trial) -> None:
    units = trial.study.units(trial.settings)
    stopped = trial.carried(limit=max(1, len(units) // 2))
    trial.done = trial.carried(resume=stopped.run.folder)
    table = trial.done.table
    wrong = [name for name, kind in SCHEMA.items() if table.schema.get(name) != kind]
    demand(not wrong, f"columns {wrong} are not of the schema")
    demand(set(table["kind"]) <= {"score", "null", "ceiling"}, f"kinds are {set(table['kind'])}")
    demand(not table["metric"].str.ends_with("_null").any(), "a metric ends in _null, which the column kind says")
    demand(table["metric"].null_count() == 0, "a row has no metric")


@_of_studies(
    "S3 the same settings and seeds give the same rows: units done again, one that trains among them if any do"
)
def _same(trial: _Trial) -> None:
    records, table = trial.done.run.folder / "records.jsonl", trial.done.table
    lines = records.read_text().splitlines()
    ids = [unit.id for unit in _smallest(trial.study.units(trial.settings))]
    names = [json.dumps({"id": id})[1:-1] for id in ids]
    records.write_text("\n".join(line for line in lines if not any(name in line for name in names)))
    other = differences(table, trial.carried(resume=trial.done.run.folder).table)
    demand(not other, f"{' and '.join(ids)} done again: {other}")


def _smallest(units: Sequence[Unit]) -> list[Unit]:
    """The smallest unit, and the smallest that sees samples where that one sees none."""
    first, *rest = sorted(units, key=lambda unit: unit.size)
    training = next((unit for unit in rest if unit.size > 1), None)
    return [first, training] if first.size <= 1 and training is not None else [first]


@_of_studies("S4 figures, tables and answers come from the run folder alone, no figure of more than six panels")
def _redrawn(trial: _Trial) -> None:
    folder = trial.done.run.folder
    code, said = trial.command("--redraw", folder)
    demand(code == 0, f"--redraw ends with {code}: {said[-300:]}")
    drawn = [path for path in (folder / "figures").glob("*") if path.suffix == ".png"]
    demand(drawn or not declared(trial.study.figures, trial.settings), "no figure is there")
    for figure in declared(trial.study.figures, trial.settings):
        for part in figure.parts(trial.done.table):
            panels = len(part.draw(trial.done.table, settings=trial.settings).axes)
            demand(panels <= 6, f"{part.name} has {panels} panels")


@_of_studies("S5 the settings of a run are read back as the defaults of another")
def _read_back(trial: _Trial) -> None:
    folder, study = trial.done.run.folder, trial.study
    again = parsed(study.settings, study.name, "", ["--config", str(folder), "--jobs", "1"])
    lost = [f for f, v in config_of(trial.settings).items() if f not in HOW and config_of(again)[f] != v]
    demand(not lost, f"{lost} are others")


@_of_studies("S6 grown by a seed, or by what else it may grow by, the old rows stay and new ones come")
def _grows(trial: _Trial) -> str:
    settings, grown = trial.settings, []
    for name in settings.adds:
        value = settings.seeds + 1 if name == "seeds" else _more(settings, name)
        if value is not None and _grown(trial, name, value):
            grown.append(name)
    if not settings.adds:
        raise NotApplicable("its settings say that a run grows by nothing")
    if not grown:
        raise NotApplicable(f"more of {', '.join(settings.adds)} adds no unit")
    return "by " + ", ".join(grown)


def _more(settings: Any, name: str) -> Any:
    """More of a setting: a value that the default has too, or twice as many; None where neither says what."""
    value, default = getattr(settings, name), getattr(type(settings)(), name)
    if isinstance(value, tuple):
        new = [v for v in default if v not in value][:1]
        numbers = value and not isinstance(value[0], str) and list(value) == sorted(value)
        return (tuple(sorted((*value, *new))) if numbers else (*value, *new)) if new else None
    return 2 * value if isinstance(value, int) else None


def _grown(trial: _Trial, name: str, value: Any) -> bool:
    """Grow a copy of the run, whether there was something to add.

    By seeds: by as many units, small ones first, as bring one larger than the smallest, which may train nothing; else
    by no unit.
    """
    folder, settings = trial.done.run.folder, replace(trial.settings, **{name: value})
    had = {unit.id for unit in trial.study.units(trial.settings)}
    whole = grown_units(trial.study, [trial.settings, settings])
    units = {unit.id for unit in whole}
    demand(had <= units, f"units {sorted(had - units)} are lost by {name} = {value}")
    copy = shutil.copytree(folder, trial.folder / "grown" / name / folder.name)
    sizes = sorted(unit.size for unit in whole if unit.id not in had and not unit.alone)
    larger = next((i for i, size in enumerate(sizes) if size > sizes[0]), 0)
    limit = larger + 1 if name == "seeds" and sizes else 0
    after = trial.carried(resume=copy, limit=limit, **{name: value}).table
    old = trial.done.table.filter(~pl.col("metric").is_in(TIMES))
    same = [column for column in old.columns if column != "setting" or isinstance(value, tuple)]
    lost = old.join(after, on=same, how="anti", nulls_equal=True)
    demand(lost.is_empty(), f"{lost.height} rows are lost by {name} = {value}, such as {lost.head(1).to_dicts()}")
    demand(name != "seeds" or units == had or after.height > trial.done.table.height, "no row is new")
    return units > had


@_of_studies("S7 a wrong value is refused in one line, with exit code 2, before anything is written")
def _refuses(trial: _Trial) -> None:
    before = trial.files()
    for words in (("--seeds", 0), ("--seeds", "many"), ("--no-such-flag", 1), ("--resume", "nowhere")):
        code, said = trial.command(*words, "--out", trial.folder / "new")
        demand(code == 2, f"{words} end with {code}")
        demand(said.startswith("error: ") and said.count("\n") == 1, f"{words} say {said[:200]!r}")
    for name, value in _below(trial.settings):
        try:
            settings = replace(trial.settings, **{name: value})
            check_settings(settings)
            trial.study.units(settings)
        except ValueError as error:
            demand(" must be " in str(error), f"{name} = {value} says {str(error)[:200]!r}")
        else:
            raise Broken(f"{name} = {value} is taken")
    demand(trial.files() == before, "something was written")


@_of_studies(
    "S8 where seeds draw the other of worlds and weights, and SAEs are scored as they train, a stack has its rows"
)
def _otherwise(trial: _Trial) -> None:
    settings = trial.settings
    if not isinstance(settings, TrainFlags) or trial.study.places is None:
        raise NotApplicable("it trains no SAEs at places")
    over: Any = "worlds" if settings.over == "weights" else "weights"
    quick = min(settings.train.steps, 40)
    often = replace(settings.train, steps=quick, evaluations=2, evaluation_samples=200)
    settings = replace(settings, out=trial.folder / "otherwise", over=over, train=often)
    try:
        check_settings(settings)
    except ValueError as refusal:
        raise NotApplicable(str(refusal)) from None
    small = sorted(trial.study.units(settings), key=lambda unit: unit.size)
    first = next(i for i, unit in enumerate(small) if isinstance(unit, Stack))
    table = trial.carried(limit=first + 1, out=settings.out, over=over, train=often).table
    demand(table.filter(pl.col("metric") == "samples")["step"].n_unique() == 2, "there are no rows of two steps")
    own = table.filter(pl.col("seed").is_not_null(), pl.col("step").is_not_null())
    drawn = own["world_seed"].eq_missing(own["seed"]).all()
    demand(over == "weights" or drawn, "world_seed is not the seed that drew the world")


@_of_studies("S9 every flag of --help can be given otherwise, and of training it reaches a stack; others say why not")
def _listed(trial: _Trial) -> str:
    settings = trial.settings
    code, said = trial.command("--help")
    demand(code == 0, f"--help ends with {code}")
    listed, fixed = set(re.findall(r"--[\w.-]+", said)), {f"--{name.replace('_', '-')}" for name in settings.fixed}
    demand(not listed & fixed, f"--help lists {sorted(listed & fixed)}, which stay as they are")
    count = 0
    for flag, value in leaves(settings):
        others = list(_others(settings, flag))
        if flag in fixed:
            words = (flag,) if isinstance(value, bool) else (flag, others[0])
            code, said = trial.command(*words)
            demand(code == 2 and said.startswith(f"error: {flag} must be "), f"{words} say {said[:200]!r}")
        elif flag in listed and others:
            count += 1
            _reaches(trial, flag)
    return f"{count} flags"


def _reaches(trial: _Trial, flag: str) -> None:
    """Demand that some other value of a flag is taken beside toy settings or defaults, and that training follows it."""
    field, place, said = flag.removeprefix("--train.").replace("-", "_"), trial.study.places, ""
    silent = "no stack is trained with it"
    for start in (trial.settings, type(trial.settings)()):
        for other in _others(start, flag):
            try:
                settings = _changed(start, flag, other)
                check_settings(settings)
            except ValueError as refusal:
                said = str(refusal)
                if said.startswith("--") and not said.startswith(f"{flag} "):
                    return  # together with another flag
                continue
            if place is None or start is not trial.settings or not flag.startswith("--train."):
                return
            before, after = (
                [getattr(unit.train, field) for unit in trial.study.units(each) if isinstance(unit, Stack)]
                for each in (start, settings)
            )
            if not before or before != after:
                return
            said = silent
        if said == silent:
            break
    raise Broken(f"{flag} cannot be given otherwise, as {list(_others(trial.settings, flag))}: {said}")


def _changed(settings: Any, flag: str, value: Any) -> Any:
    """Settings, or those within them, with another value of a flag."""
    name, _, inner = flag[2:].partition(".")
    name = name.replace("-", "_")
    return replace(settings, **{name: _changed(getattr(settings, name), f"--{inner}", value) if inner else value})


def _others(settings: Any, flag: str) -> Iterator[Any]:
    """Other values of a flag, of which some must be legal; none for texts and paths."""
    name, _, inner = flag[2:].partition(".")
    name = name.replace("-", "_")
    if inner:
        yield from _others(getattr(settings, name), f"--{inner}")
        return
    value, default = getattr(settings, name), getattr(type(settings)(), name)
    hint = get_type_hints(type(settings))[name]
    kinds = [hint, *get_args(hint)]
    found: list[Any] = [choice for kind in kinds if get_origin(kind) is Literal for choice in get_args(kind)]
    if isinstance(value, tuple):
        found += [default, value[:-1], *((number, *value[1:]) for number in _near_by(*value[:1]))]
    elif isinstance(value, bool):
        found.append(not value)
    elif {int, float} & {*kinds}:
        found += _near_by(1 if value is None else value)
    yield from (other for other in found if other != value and other != ())


def _near_by(value: Any = None) -> list[Any]:
    """Numbers of a number's kind, larger and smaller."""
    if isinstance(value, int):
        return [2 * value, value + 3, value + 1, value // 2, value - 1, 1]
    return [2 * value, value + 1, value / 2, (value + 1) / 2, 1.0] if isinstance(value, float) else []


def _below(settings: Any) -> Iterator[tuple[str, Any]]:
    """Settings that are numbers, or lists of them, with values below all that make sense."""
    for item in fields(settings):
        value = getattr(settings, item.name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield item.name, type(value)(-1)
        elif isinstance(value, tuple) and value and all(isinstance(v, int | float) for v in value):
            yield item.name, tuple(type(v)(-1) for v in value)
