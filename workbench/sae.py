"""What a sparse autoencoder is here: a stack of them, and the shelf of variants."""

import dataclasses
import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar, get_type_hints

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from synthetic.errors import must, pick
from synthetic.streams import stream
from synthetic.world import Codes
from workbench import kernels
from workbench.settings import checked, given, plain
from workbench.sparsifiers import packed

Latents = Codes | Tensor
"""latents of a batch, sparse or dense"""


@dataclass(frozen=True)
class Pass:
    """One forward pass, in the SAE's own units (inputs times `scale`)."""

    x: Float[Tensor, "*b n d"]
    pre: Tensor
    """what `SAE.pre` returned, usually pre-activations (*s, n, m); without gradient where the codes carry it"""
    codes: Latents
    x_hat: Float[Tensor, "*s n d"]
    seen: Tensor
    """what `SAE.inputs` returned, (*b, n, d) or (*s, n, d)"""

    def dense(self) -> Float[Tensor, "*s n m"]:
        """Latents as a dense array."""
        return self.codes.dense() if isinstance(self.codes, Codes) else self.codes


@dataclass(frozen=True)
class NoSettings:
    """Hyperparameters of a variant that has none."""


class SAE(nn.Module, ABC):
    """A stack of sparse autoencoders f = activate((x - b_dec) W_enc + b_enc), x_hat = f W_dec + b_dec.

    A variant is a final subclass with its hyperparameters in a frozen dataclass `Settings` and at least `activate`.
    A setting given as a (nested) list varies over members; lists broadcast to the stack shape *s as numpy arrays do.
    Number settings are then attributes of shape *s (`self.k`). Members share data and nothing else.

    Parameters: W_enc (*s, d, m), b_enc (*s, m), W_dec (*s, m, d), b_dec (*s, d).
    """

    Settings: ClassVar[Any] = NoSettings
    """frozen dataclass of hyperparameters, all with defaults"""
    name: ClassVar[str] = ""
    """name on the shelf, set by `register`"""
    core: ClassVar[bool] = False
    """part of the default experiment, set by `register`"""
    penalties: ClassVar[tuple[str, ...]] = ()
    """loss terms that training warms up"""
    unit_decoder: ClassVar[bool] = True
    """decoder rows are kept at norm 1 and the radial part of their gradient is removed"""
    rowwise: ClassVar[bool] = True
    """in eval mode a row's latents depend on that row alone"""
    linear_pre: ClassVar[bool] = True
    """`pre` returns pre-activations (*s, n, m), which AuxK needs"""
    selects: ClassVar[bool] = False
    """latents are entries of `pre` = (inputs - b_dec) W_enc + b_enc, kept or 0; the loss needs those alone"""
    sparse_objective: ClassVar[bool] = True
    """what is minimised, or the encoder itself, prefers sparse codes, and latents that differ"""
    nonnegative: ClassVar[bool] = True
    """latents are never negative"""
    architecture: str | None = None
    """SAELens architecture whose inference equals this variant's, if any"""
    surrogate: ClassVar[tuple[str, ...]] = ()
    """parameters whose gradient is deliberately not that of the loss (straight-through, stop-gradient)"""
    frozen: tuple[str, ...] = ()
    """parameters that training leaves alone"""
    rates: list[float] | None = None
    """learning rates of the members in the last training, where they differed"""

    def __init__(self, d: int, m: int, *, seed: int | list[Any] = 0, **settings: Any) -> None:
        super().__init__()
        owner = type(self).__name__
        must(d >= 1, f"{owner}.d", "at least 1", d, "give the width of the activations")
        must(m >= 1, f"{owner}.m", "at least 1", m, "give the number of latents")
        fields = {f.name: f for f in dataclasses.fields(self.Settings)}
        for setting in settings:
            pick(setting, fields, f"setting of {owner}")
        self.d, self.m, self.seed = d, m, plain(seed)
        self.metadata: dict[str, Any] = {}  # model_name, hook_name, ...: goes into `cfg.json` and comes back
        self.settings = {name: given(settings.get(name, f.default), f.default) for name, f in fields.items()}
        lists = [v for v in (self.seed, *self.settings.values()) if isinstance(v, list)]
        try:
            self.shape = np.broadcast_shapes(*(np.asarray(v).shape for v in lists))
        except ValueError:
            must(False, f"{owner}'s lists", "of shapes that broadcast", lists, "make them equally long or nest them")
        for name, value in self.settings.items():
            self._keep_setting(name, value, fields[name].default)
        self.register_buffer("scale", torch.ones(()))
        self._draw_parameters()
        self.setup()

    def _keep_setting(self, name: str, value: Any, default: Any) -> None:
        where, hint = f"{type(self).__name__}.{name}", get_type_hints(self.Settings)[name]
        kept = checked(where, value, default, hint, self.shape)
        if isinstance(kept, Tensor):
            self.register_buffer(name, kept, False)
        else:
            setattr(self, name, kept)

    def drawn(self, name: str, draw: Callable[[torch.Generator], Tensor]) -> Tensor:
        """One draw a member from the named stream of its seed, stacked: (*s, ...)."""
        members = torch.stack([draw(stream(int(seed), name)) for seed in np.broadcast_to(self.seed, self.shape).flat])
        return members.view(*self.shape, *members.shape[1:])

    def _draw_parameters(self) -> None:
        decoder = self.drawn("init", lambda rng: torch.randn(self.m, self.d, generator=rng))
        decoder = decoder / decoder.norm(dim=-1, keepdim=True)
        self.W_dec = nn.Parameter(decoder)
        self.W_enc = nn.Parameter(decoder.clone().mT)  # columns lie together, as sparse gradients come
        self.b_enc = nn.Parameter(torch.zeros(*self.shape, self.m))
        self.b_dec = nn.Parameter(torch.zeros(*self.shape, self.d))

    def __getattr__(self, name: str) -> Any:
        """The transposed W_dec, where a variant has dropped its W_enc."""
        own = self.__dict__.get("_parameters", {})
        tied = name == "W_enc" and name not in own and "b_dec" in own
        return own["W_dec"].mT if tied else super().__getattr__(name)

    # what a variant may write ------------------------------------------------------------------------------------

    def setup(self) -> None:
        """Check settings, add parameters and buffers of leading shape `self.shape`."""

    def pre(self, x: Float[Tensor, "*b n d"]) -> Tensor:
        """Input to `activate`: pre-activations (x - b_dec) W_enc + b_enc."""
        return self.project(x, self.b_enc)

    @abstractmethod
    def activate(self, pre: Tensor) -> Latents:
        """Latents from what `pre` returned; `self.training` tells training from inference."""

    def combine(self, codes: Latents) -> Float[Tensor, "*s n d"]:
        """What latents add to b_dec: f W_dec."""
        return kernels.decode(codes, self.W_dec)

    def loss(self, x: Float[Tensor, "*b n d"], out: Pass) -> dict[str, Float[Tensor, "*s"]]:
        """Loss terms by name, one number a member; their sum is minimised. Here sum_d (x - x_hat)^2, mean over rows."""
        return {"mse": squared_error(x, out.x_hat)}

    def after_step(self, out: Pass) -> None:
        """Update buffers or project parameters after an optimiser step, without gradient."""

    # what everyone calls -----------------------------------------------------------------------------------------

    def project(self, x: Float[Tensor, "*b n d"], bias: Float[Tensor, "*s m"] | None = None) -> Tensor:
        """The product (x - b_dec) W_enc (*s, n, m), plus a bias."""
        fixed = self.b_dec.detach()  # its gradient comes through a term that is 0: backward needs a large product fewer
        product = (x - fixed[..., None, :]) @ self.W_enc
        if torch.is_grad_enabled():
            nothing = ((fixed - self.b_dec)[..., None, :] @ self.W_enc).squeeze(-2)
            bias = nothing if bias is None else bias + nothing
        return product if bias is None else product + bias[..., None, :]

    def inputs(self, x: Float[Tensor, "*b n d"]) -> Tensor:
        """What the encoder's product takes: x, unless the encoder looks twice."""
        return x

    @property
    def sparse_now(self) -> bool:
        """Whether gradients of this pass go through the kept pre-activations alone."""
        return self.selects and kernels.sparse_pays(self.m) and torch.is_grad_enabled()

    def trace(self, x: Float[Tensor, "*b n d"]) -> Pass:
        """Forward pass on inputs already in the SAE's own units; backward costs what the code costs where it can."""
        seen = self.inputs(x)
        if self.sparse_now:
            with torch.no_grad():
                pre, codes = self.select(seen)
            codes = self.entries(seen, codes)
        else:
            pre = self.pre(seen)
            codes = self.activate(pre)
        return Pass(x, pre, codes, self.combine(codes) + self.b_dec[..., None, :], seen)

    def select(self, seen: Tensor) -> tuple[Tensor, Codes]:
        """Pre-activations and sparse codes, without gradient; a variant whose kernel finds both overrides it."""
        pre = self.pre(seen)
        codes = self.activate(pre)
        return pre, codes if isinstance(codes, Codes) else packed(codes, codes != 0)

    def entries(self, seen: Tensor, codes: Codes) -> Codes:
        """Codes made of pre-activations that were computed without gradient, with it."""
        return kernels.encoded(codes, seen, self.W_enc, self.b_enc, self.b_dec)

    def encode(self, x: Float[Tensor, "*b n d"]) -> Float[Tensor, "*s n m"]:
        """Latents of raw activations, dense, in units of x: f W_dec + b_dec / scale reconstructs.

        A single SAE takes any leading axes, such as (batch, sequence, d); a stack takes (n, d) or (*s, n, d).
        """
        rows = self._rows(x)
        codes = self.activate(self.pre(self.inputs(rows * self.scale)))
        dense = (codes.dense() if isinstance(codes, Codes) else codes) / self.scale
        return dense if rows is x else dense.view(*x.shape[:-1], self.m)

    def decode(self, latents: Float[Tensor, "*s n m"]) -> Float[Tensor, "*s n d"]:
        """Reconstruction in units of x of what `encode` returned."""
        bias = self.b_dec[..., None, :] if self.shape else self.b_dec
        return (self.combine(latents * self.scale) + bias) / self.scale

    def forward(self, x: Float[Tensor, "*b n d"]) -> Float[Tensor, "*s n d"]:
        """Reconstruction of raw activations; takes the shapes `encode` takes."""
        rows = self._rows(x)
        x_hat = self.trace(rows * self.scale).x_hat / self.scale
        return x_hat if rows is x else x_hat.view(x.shape)

    def _rows(self, x: Tensor) -> Tensor:
        right = x.shape[-1:] == (self.d,)
        must(right, f"{type(self).__name__}.x", f"of width d={self.d} on its last axis", tuple(x.shape), "transpose it")
        return x.reshape(-1, self.d) if not self.shape and x.ndim != 2 else x

    @torch.no_grad()
    def remove_radial_gradient(self) -> None:
        """Drop the part of the decoder's gradient along its rows, which renormalising would undo."""
        if self.unit_decoder and self.W_dec.grad is not None:
            both = (self.W_dec.grad, self.W_dec)
            flat = all(t.is_contiguous() for t in both)  # then in parts whose products stay in cache
            parts = (t.view(-1, self.d).split(1024) if flat else [t] for t in both)
            for gradient, rows in zip(*parts, strict=True):
                gradient.addcmul_((gradient * rows).sum(-1, keepdim=True), rows, value=-1)

    @torch.no_grad()
    def finish_step(self, out: Pass) -> None:
        """Renormalise decoder rows where the variant asks, then its own `after_step`."""
        if self.unit_decoder and "W_dec" not in self.frozen:
            self.W_dec.div_(self.W_dec.norm(dim=-1, keepdim=True).clamp_min(1e-8))
        self.after_step(out)

    def save(self, folder: str | Path) -> Path:
        """Write a SAELens folder (`cfg.json`, `sae_weights.safetensors`); a stack becomes one such folder a member."""
        return importlib.import_module("workbench.interop.saelens").save(self, Path(folder))


def must_be_single(sae: SAE, where: str) -> None:
    """Refuse a stack where one SAE is meant."""
    said = f"a stack of shape {sae.shape}"
    must(not sae.shape, where, "a single SAE", said, "save it, and load its folders member-000, member-001, ...")


def squared_error(x: Tensor, x_hat: Tensor) -> Float[Tensor, "*s"]:
    """sum_d (x - x_hat)^2, mean over rows."""
    return (x_hat - x).square().sum(-1).mean(-1)


_VARIANTS: dict[str, type[SAE]] = {}
_V = TypeVar("_V", bound=type[SAE])


def register(name: str, *, core: bool = False) -> Callable[[_V], _V]:
    """Class decorator: put a variant on the shelf; `core` ones run in the default experiment."""

    def put(cls: _V) -> _V:
        other = _VARIANTS.get(name)
        free = other is None or other.__module__ == cls.__module__
        must(free, "register.name", "one not taken", f"{name!r}, a variant of {other}", "choose another name")
        cls.name, cls.core = name, core
        _VARIANTS[name] = cls
        return cls

    return put


def variant_shelf() -> dict[str, type[SAE]]:
    """The shelf: every file of `workbench.variants`, and what plug-ins registered."""
    importlib.import_module("workbench.variants")
    return dict(sorted(_VARIANTS.items()))


def create(name: str, d: int, m: int, *, seed: int | list[Any] = 0, **settings: Any) -> SAE:
    """A new SAE, or a stack of them where `seed` or a setting is a list.

    Args:
        name: variant on the shelf (`python -m workbench list`).
        d: width of the activations.
        m: number of latents.
        seed: of the initial weights; a list makes a stack.
        settings: the variant's `Settings` by name; lists broadcast to the stack's shape.

    Raises:
        ValueError: unknown variant or setting (the nearest name is suggested), or a setting out of range.
    """
    shelf = variant_shelf()
    return shelf[pick(name, shelf, "variant")](d, m, seed=seed, **settings)


def load(folder: str | Path) -> SAE:
    """An SAE from a folder that `SAE.save` or SAELens wrote (its temporal SAEs and transcoders excepted)."""
    return importlib.import_module("workbench.interop.saelens").load(Path(folder))
