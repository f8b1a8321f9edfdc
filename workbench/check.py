"""The contract of a variant, law by law: what `python -m workbench check` and the tests run on any of them."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

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
from workbench.contract import NotApplicable, Outcome, demand, outcomes
from workbench.interop import load
from workbench.metrics.matching import match
from workbench.sae import SAE, Latents
from workbench.training.config import TrainConfig
from workbench.training.loop import train

_D, _M, _N = 12, 24, 64
_EASY = SparseMixture(n_true=_D, d=_D, directions=Orthonormal(), firing=ExactlyK(1))


Law = Callable[[type[SAE]], None]
LAWS: dict[str, Law] = {}


def _law(statement: str) -> Callable[[Law], Law]:
    def put(function: Law) -> Law:
        LAWS[statement] = function
        return function

    return put


def check_variant(cls: type[SAE]) -> Iterator[Outcome]:
    """Test every law on a variant class, in order; an error inside one is a failure of that law alone."""
    return outcomes(LAWS, cls)


def _near(got: Tensor, wanted: Tensor, what: str, tolerance: float = 1e-5) -> None:
    worst = float((got - wanted).abs().max())
    size = float(wanted.abs().max())
    demand(worst <= tolerance * max(1.0, size), f"{what} differ by up to {worst:.2e}")


def _dense(codes: Latents) -> Tensor:
    return (codes.dense() if isinstance(codes, Codes) else codes).detach()


def _x(n: int = _N) -> Tensor:
    return _EASY.sample(n, stream(7, "check")).x + 0.1


def _few(cls: type[SAE]) -> dict[str, Any]:
    """Settings with k = 1 for variants that have a k, defaults otherwise."""
    field = cls.Settings.__dataclass_fields__.get("k")
    return {} if field is None else {"k": type(field.default)(1)}


def _short(cls: type[SAE], seed: int | list[int] = 0, steps: int = 12) -> SAE:
    sae = cls(_D, _M, seed=seed)
    train(sae, _EASY, TrainConfig(steps=steps, batch=_N, lr=1e-3))
    return sae


@_law("C1 builds from its defaults, alone and stacked")
def _builds(cls: type[SAE]) -> None:
    cls(_D, _M)
    shape = cls(_D, _M, seed=[[0, 1, 2]]).W_dec.shape
    demand(shape == (1, 3, _M, _D), f"W_dec of a (1, 3) stack has shape {tuple(shape)}")


@_law("C2 shapes: latents (*s, n, m), reconstruction (*s, n, d), one loss a member")
def _shapes(cls: type[SAE]) -> None:
    for seed, stack in ((0, ()), ([0, 1], (2,))):
        sae = cls(_D, _M, seed=seed)
        out = sae.trace(_x())
        demand(out.dense().shape == (*stack, _N, _M), f"latents have shape {tuple(out.dense().shape)}")
        demand(out.x_hat.shape == (*stack, _N, _D), f"x_hat has shape {tuple(out.x_hat.shape)}")
        for name, value in sae.loss(out.x, out).items():
            demand(value.shape == stack, f"loss {name!r} has shape {tuple(value.shape)}, not {stack}")
            demand(value.dtype == torch.float32, f"loss {name!r} has dtype {value.dtype}")


@_law("C3 at inference a row's latents depend on that row alone")
def _rowwise(cls: type[SAE]) -> None:
    if not cls.rowwise:
        raise NotApplicable("the variant declares rowwise = False")
    sae = _short(cls)
    x = _x()
    _near(_dense(sae.encode(x[:5])), _dense(sae.encode(x))[:5], "latents of a row, alone and in a batch,")


@_law("C4 latents are nonnegative and at most k where the variant says so")
def _sparse(cls: type[SAE]) -> None:
    sae = _short(cls)
    f = _dense(sae.encode(_x()))
    demand(not cls.nonnegative or bool((f >= 0).all()), f"a latent is {float(f.min()):.3g}")
    k = sae.settings.get("k")
    if isinstance(k, int):
        most = int((f != 0).sum(-1).max())
        demand(most <= k, f"{most} latents fire in a row, k = {k}")


@_law("C5 the loss reaches every parameter, with the gradient of float64 finite differences")
def _gradients(cls: type[SAE]) -> None:
    sae = _short(cls).double().train()
    x = (_x() * sae.scale).double()

    def loss() -> Tensor:
        return torch.stack(list(sae.loss(x, sae.trace(x)).values())).sum(0)

    if cls.selects:
        both = []
        for sparse in (True, False):
            with kernels.using(sparse=sparse):
                loss().backward()
            both.append([torch.zeros_like(p) if p.grad is None else p.grad for p in sae.parameters()])
            sae.zero_grad(set_to_none=True)
        for (name, _), kept, whole in zip(sae.named_parameters(), *both, strict=True):
            _near(kept, whole, f"gradients of {name} through the kept latents alone and through all")
    loss().backward()
    for name, p in sae.named_parameters():
        reached = p.grad is not None and bool((p.grad != 0).any())
        demand(reached, f"the gradient of {name} is zero")
    for name, p in sae.named_parameters():
        if name in cls.surrogate or p.grad is None:
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
def _saves(cls: type[SAE]) -> None:
    for seed in (0, [3, 4]):
        sae = _short(cls, seed)
        with tempfile.TemporaryDirectory() as folder:
            again = load(sae.save(Path(folder) / "sae"))
        _near(_dense(again.encode(_x())), _dense(sae.encode(_x())), "latents")
        _near(again(_x()).detach(), sae(_x()).detach(), "reconstructions")


@_law("C7 the same seed gives the same bits")
def _reproducible(cls: type[SAE]) -> None:
    one, two = _short(cls).state_dict(), _short(cls).state_dict()
    for name, value in one.items():
        demand(bool(torch.equal(value, two[name])), f"two runs differ in {name}")


@_law("C8 decoder rows have norm 1 after a step, where the variant says so")
def _unit(cls: type[SAE]) -> None:
    if not cls.unit_decoder:
        raise NotApplicable("the variant declares unit_decoder = False")
    norms = _short(cls).W_dec.detach().norm(dim=-1)
    _near(norms, torch.ones_like(norms), "row norms and 1")


@_law("C9 finds 12 orthonormal features of which one fires at a time (MCC >= .95)")
def _easy(cls: type[SAE]) -> None:
    if not cls.sparse_objective:
        raise NotApplicable("the variant declares that nothing in it prefers sparse codes")
    sae = cls(_D, _M, seed=0, **_few(cls))
    train(sae, _EASY, TrainConfig(steps=1200, batch=256))
    score = match(sae.W_dec, _EASY.truth.features).mean_matched
    demand(score >= 0.95, f"MCC {score:.3f}")


@_law("C10 relabelling latents only relabels f")
def _equivariant(cls: type[SAE]) -> None:
    sae = _short(cls)
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
def _alone(cls: type[SAE]) -> None:
    stack, alone = _short(cls, [5, 0, 9]), _short(cls, 0)
    for name, value in alone.state_dict().items():
        if value.ndim:
            _near(stack.state_dict()[name][1], value, name, 1e-4)
