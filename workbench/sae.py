"""What a sparse autoencoder is here: a stack of them, and the shelf of variants."""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar, get_type_hints

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from synthetic.base.errors import must, pick
from synthetic.base.schema import NUMBER, SWITCH, TEXT, checked_fields, list_of, optional, whole
from synthetic.base.streams import stream
from synthetic.source import Codes
from workbench import kernels
from workbench.parts.passes import Latents, Pass, squared_error
from workbench.parts.sparsifiers import packed
from workbench.settings import checked, given, memory_for, must_be_seeds, plain, whole_number

Seeds = int | np.integer | list[Any] | np.ndarray
"""a seed, or a (nested) list of them"""


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
    unit_decoder: bool = True
    """decoder rows are kept at norm 1 and the radial part of their gradient is removed; False on an SAE whose rows have
    norms of their own that nothing can make up for (see `workbench.training.row_norms.fold_row_norms`)"""
    latent_scale: tuple[str, ...] | None = None
    """parameters and buffers that are multiplied by c where a latent is to be c times as large; None where no such ones
    would leave f W_dec as it is with rows c times as short"""
    compares_latents: ClassVar[bool] = False
    """latents are selected by comparing them with one another or with a number they share: one c for all of a member"""
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
    inference: ClassVar[tuple[str, ...]] = ()
    """attributes that may be set for inference, whole numbers or None, which saved folders keep"""
    rates: list[float] | None = None
    """learning rates of the members in the last training, where they differed"""

    fresh: bool = True
    """made by the constructor and neither trained since nor read from another tool's file: training starts by setting
    `scale` and b_dec; False leaves both as they are"""

    def __init__(self, d: int | np.integer, m: int | np.integer, *, seed: Seeds = 0, **settings: Any) -> None:
        super().__init__()
        owner = type(self).__name__
        fields = {f.name: f for f in dataclasses.fields(self.Settings)}
        for setting in settings:
            pick(setting, fields, f"setting of {owner}")
        self.d = whole_number(f"{owner}.d", d, "give the width of the activations")
        self.m = whole_number(f"{owner}.m", m, "give the number of latents; all members of a stack have as many")
        self.seed = plain(seed)
        must_be_seeds(f"{owner}.seed", self.seed)
        self.metadata: dict[str, Any] = {}  # model_name, hook_name, ...: goes into `cfg.json` and comes back
        self.annealed: dict[str, Tensor] = {}
        """settings that training moves for a while, as they were set"""
        self.settings = {name: given(settings.get(name, f.default), f.default) for name, f in fields.items()}
        lists = [v for v in (self.seed, *self.settings.values()) if isinstance(v, list)]
        try:
            self.shape = np.broadcast_shapes(*(np.asarray(v).shape for v in lists))
        except ValueError:
            must(False, f"{owner}'s lists", "of shapes that broadcast", lists, "make them equally long or nest them")
        must(0 not in self.shape, f"{owner}'s lists", "of at least one entry", lists, "leave out what is empty")
        # whatever the caller's defaults are, weights are float32 on the CPU
        with memory_for(owner, self.d, self.m, self.shape), torch.inference_mode(False), torch.device("cpu"):
            for name, value in self.settings.items():
                self._keep_setting(name, value, fields[name].default)
            self.register_buffer("scale", torch.ones(()))
            self._draw_parameters()
            self.setup()
        self.float()

    def _keep_setting(self, name: str, value: Any, default: Any) -> None:
        where, hint = f"{type(self).__name__}.{name}", get_type_hints(self.Settings)[name]
        kept = checked(where, value, default, hint, self.shape)
        if isinstance(kept, Tensor):
            self.register_buffer(name, kept, False)
        else:
            setattr(self, name, kept)

    def drawn(self, name: str, draw: Callable[[torch.Generator], Tensor]) -> Tensor:
        """One draw a member from the named stream of its seed, stacked: (*s, ...)."""
        seeds = np.broadcast_to(np.asarray(self.seed, dtype=np.int64), self.shape).ravel().tolist()
        members = torch.stack([draw(stream(seed, name)) for seed in seeds])
        return members.view(*self.shape, *members.shape[1:])

    def _draw_parameters(self) -> None:
        decoder = self.drawn("init", lambda rng: torch.randn(self.m, self.d, generator=rng, dtype=torch.float32))
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

    # what it is ------------------------------------------------------------------------------------------------------

    def settings_now(self) -> dict[str, Any]:
        """Settings as they are in force, such as a k that was changed by hand; training's own annealing left out."""
        current = dict(self.settings)
        for name, setting in self.settings.items():
            held = self.annealed.get(name, getattr(self, name))
            if isinstance(held, Tensor):
                made = torch.from_numpy(np.broadcast_to(np.asarray(setting), self.shape).copy())
                made = (made.float() if held.is_floating_point() else made).to(held)
                current[name] = setting if torch.equal(made, held) else plain(held)
        return current

    def members(self) -> list[dict[str, Any]]:
        """Seed and settings of each member of a stack, in the order of a flattened array; of a single SAE its own."""
        varied = {"seed": self.seed, **self.settings_now()}
        arrays = {name: np.broadcast_to(np.asarray(v), self.shape) for name, v in varied.items() if isinstance(v, list)}
        return [
            {name: arrays[name][index].item() if name in arrays else v for name, v in varied.items()}
            for index in np.ndindex(self.shape)
        ]

    def marks(self, at: tuple[int, ...] = ()) -> dict[str, Any]:
        """What is set on a member beside settings and tensors, as a saved folder keeps it."""
        marks = {"fresh": self.fresh, "unit_decoder": self.unit_decoder, "frozen": list(self.frozen)}
        if self.rates is not None:
            marks["rates"] = [float(np.reshape(self.rates, self.shape)[at])] if self.shape else self.rates
        return marks | {name: plain(getattr(self, name)) for name in self.inference}

    def set_marks(self, marks: dict[str, Any], where: str) -> None:
        """What `marks` gave, checked; a folder that says nothing of `fresh` is of an SAE that was trained.

        Raises:
            ValueError: a mark of another kind, or a frozen parameter that there is not; `where` names the file.
        """
        kinds = dict.fromkeys(("fresh", "unit_decoder"), optional(SWITCH)) | {"rates": optional(list_of(NUMBER))}
        kinds |= {"frozen": optional(list_of(TEXT))} | dict.fromkeys(self.inference, optional(whole(1)))
        marks = checked_fields(marks, where, kinds, "save the SAE again")
        own = {name: marks[name] for name in kinds if marks.get(name) is not None}
        for name in own.get("frozen", ()):
            pick(name, dict(self.named_parameters()), f"{where}: frozen")
        self.fresh = False
        for name, value in own.items():
            setattr(self, name, tuple(value) if name == "frozen" else value)

    def __repr__(self) -> str:
        """Variant, sizes, a stack's shape and seeds, k and what else is no default, and whether it was trained."""
        defaults = {f.name: f.default for f in dataclasses.fields(self.Settings)}
        parts = {"d": self.d, "m": self.m}
        parts |= {"shape": self.shape, "seed": self.seed} if self.shape else {}
        parts |= {name: v for name, v in self.settings_now().items() if name == "k" or v != defaults[name]}
        words = [*(f"{name}={value}" for name, value in parts.items()), "fresh" if self.fresh else "trained"]
        return f"{self.name or type(self).__name__}({', '.join(words)})"

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
            codes = self._latents(pre, seen.shape[-2])
        added, shape = self.combine(codes), (*self.shape, *x.shape[-2:])
        where = f"{self.name or type(self).__name__}.combine"
        must(added.shape == shape, where, f"of shape {shape}", tuple(added.shape), "return what latents add to b_dec")
        return Pass(x, pre, codes, added + self.b_dec[..., None, :], seen)

    def select(self, seen: Tensor) -> tuple[Tensor, Codes]:
        """Pre-activations and sparse codes, without gradient; a variant whose kernel finds both overrides it."""
        pre = self.pre(seen)
        codes = self._latents(pre, seen.shape[-2])
        return pre, codes if isinstance(codes, Codes) else packed(codes, codes != 0)

    def entries(self, seen: Tensor, codes: Codes) -> Codes:
        """Codes made of pre-activations that were computed without gradient, with it."""
        return kernels.encoded(codes, seen, self.W_enc, self.b_enc, self.b_dec)

    def encode(self, x: Tensor | np.ndarray) -> Tensor:
        """Latents of raw activations, dense, in units of x: f W_dec + b_dec / scale reconstructs.

        Activations are floating-point numbers of any precision, brought to the SAE's own before anything else; latents
        have it too. A row that is not finite has latents of NaN.

        Args:
            x: (..., d), with any leading axes, which latents keep behind those of a stack: (*s, ..., m). Of a stack,
                (*s, n, d) are rows for each of its members.
        """
        rows, lead = self._rows(x)
        if rows.numel():
            codes = self._latents(self.pre(self.inputs(rows * self.scale)), rows.shape[-2])
            f = (codes.dense() if isinstance(codes, Codes) else codes) / self._divisor(rows)
        else:
            f = rows @ self.W_enc
        return self._led(f, lead)

    def decode(self, latents: Tensor | np.ndarray) -> Tensor:
        """Reconstruction in units of x of what `encode` returned."""
        f = self._floats(latents, "latents", self.m)
        bias = self.b_dec[..., None, :] if self.shape else self.b_dec
        return (self.combine(f * self.scale) + bias) / self.scale

    def forward(self, x: Tensor | np.ndarray) -> Tensor:
        """Reconstruction (*s, ..., d) of raw activations; of what `encode` takes; NaN where a row is not finite."""
        rows, lead = self._rows(x)
        if rows.numel():
            x_hat = self.trace(rows * self.scale).x_hat / self._divisor(rows)
        else:
            x_hat = rows @ self.W_enc @ self.W_dec
        return self._led(x_hat, lead)

    def own_units(self, x: Tensor | np.ndarray) -> Tensor:
        """Raw activations as `trace` takes them: rows in the SAE's own dtype, times `scale`."""
        return self._rows(x)[0] * self.scale

    def _floats(self, x: Tensor | np.ndarray, what: str, width: int) -> Tensor:
        """The numbers in the SAE's own dtype."""
        where = f"{type(self).__name__}.{what}"
        values: Any = x
        if isinstance(x, np.ndarray) and x.dtype in (np.float16, np.float32, np.float64):
            values = torch.tensor(x, dtype=self.b_dec.dtype, device=self.b_dec.device)
        floats = isinstance(values, Tensor) and values.is_floating_point()
        kind = type(x).__name__ if not isinstance(x, Tensor | np.ndarray) else f"one of {x.dtype}"
        must(floats, where, "a tensor or array of floating-point numbers", kind, "convert it, as x.float() does")
        must(
            values.shape[-1:] == (width,),
            where,
            f"of width {width} on its last axis",
            tuple(values.shape),
            "transpose it",
        )
        here = self.b_dec.device
        must(values.device == here, where, f"on {here}, as the SAE is", values.device, "move one to the other")
        return values.to(self.b_dec.dtype)

    def _rows(self, x: Tensor | np.ndarray) -> tuple[Tensor, tuple[int, ...] | None]:
        """Rows (n, d), and the axes to give to what comes of them; or (*s, n, d), rows for each member, and None."""
        rows = self._floats(x, "x", self.d)
        if rows.ndim == 2 or (self.shape and rows.shape[:-2] == self.shape):
            return rows, None
        return rows.reshape(-1, self.d), rows.shape[:-1]

    def _led(self, result: Tensor, lead: tuple[int, ...] | None) -> Tensor:
        return (result if lead is None else result.unflatten(-2, lead) if lead else result.squeeze(-2)).to(
            self.b_dec.dtype
        )

    def _divisor(self, rows: Tensor) -> Tensor:
        """What results are divided by: the scale, and NaN for rows that are not finite, which no selection shows."""
        return torch.where(rows.isfinite().all(-1, keepdim=True), self.scale, torch.nan)

    def _latents(self, pre: Tensor, n: int) -> Latents:
        """What `activate` returns, checked: a plug-in may return anything."""
        codes = self.activate(pre)
        values = codes.values if isinstance(codes, Codes) else codes
        shape, where = (*self.shape, n, self.m), f"{self.name or type(self).__name__}.activate"
        must(isinstance(values, Tensor), where, "a tensor of latents, or Codes", type(codes).__name__, "return them")
        got = (*values.shape[:-1], codes.width) if isinstance(codes, Codes) else tuple(values.shape)
        must(got == shape, where, f"latents of shape {shape}", got, "return one for each latent")
        kinds, device = {self.b_dec.dtype, pre.dtype}, pre.device.type
        kinds |= {torch.get_autocast_dtype(device)} if torch.is_autocast_enabled(device) else set()
        must(values.dtype in kinds, where, f"latents of dtype {self.b_dec.dtype}", values.dtype, "keep that of `pre`")
        return codes

    @torch.no_grad()
    def rescale_latents(self, factor: Float[Tensor, "*s m"]) -> None:
        """Multiply latents and divide their rows of W_dec by positive factors, in place; rows of factor 0 stay."""
        divisor = factor.where(factor > 0, 1.0)[..., None]
        self.W_dec.copy_(self.W_dec.double() / divisor)
        for name in self.latent_scale or ():
            value: Tensor = getattr(self, name)
            own = {0: factor[..., 0], 1: factor, 2: factor[..., None, :]}[value.ndim - len(self.shape)]
            value.copy_(value.double() * own)

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

    def load_state_dict(self, *args: Any, **named: Any) -> Any:
        """As of any module; weights from elsewhere come with their scale, so that the SAE is fresh no longer."""
        loaded = super().load_state_dict(*args, **named)
        self.fresh = False
        return loaded

    def save(self, folder: str | Path) -> Path:
        """Write a SAELens folder (`cfg.json`, `sae_weights.safetensors`); a stack becomes one such folder a member."""
        must(
            _WRITERS,
            "SAE.save",
            "called once folders can be written",
            "no writer so far",
            "import workbench.interop",
        )
        return _WRITERS[-1](self, Path(folder))


def must_be_single(sae: SAE, where: str) -> None:
    """Refuse a stack where one SAE is meant."""
    said = f"a stack of shape {sae.shape}"
    must(not sae.shape, where, "a single SAE", said, "save it, and load its folders member-000, member-001, ...")


_WRITERS: list[Callable[[SAE, Path], Path]] = []
"""what writes an SAE's folder: `workbench.interop` puts it here"""
VARIANTS: dict[str, type[SAE]] = {}
_V = TypeVar("_V", bound=type[SAE])


def write_with(writer: Callable[[SAE, Path], Path]) -> None:
    """Let `SAE.save` write folders with this function of an SAE and a folder."""
    _WRITERS.append(writer)


def register(name: str, *, core: bool = False) -> Callable[[_V], _V]:
    """Class decorator: put a variant on the shelf; `core` ones run in the default experiment.

    Raises:
        ValueError: no name, one that is taken, or a class that cannot be a variant.
    """
    _must_be_name(name)

    def put(cls: _V) -> _V:
        _must_be_variant(cls, f"register({name!r})")
        other = VARIANTS.get(name)
        free = other is None or other.__module__ == cls.__module__
        must(free, "register.name", "one not taken", f"{name!r}, a variant of {other}", "choose another name")
        cls.name, cls.core = name, core
        VARIANTS[name] = cls
        return cls

    return put


_PUT = 'decorate a subclass of SAE with @workbench.register("name")'


def _must_be_name(name: Any) -> None:
    must(isinstance(name, str) and name, "register.name", "a text that is not empty", repr(name), _PUT)


def _must_be_variant(cls: Any, where: str) -> None:
    must(isinstance(cls, type) and issubclass(cls, SAE), where, "on a subclass of SAE", repr(cls), _PUT)
    lacking = sorted(cls.__abstractmethods__)
    must(not lacking, where, f"on a class with {', '.join(lacking)}", cls.__name__, "write what it lacks")
    settings: Any = cls.Settings
    plain = isinstance(settings, type) and dataclasses.is_dataclass(settings)
    rule = "on a class whose Settings are a dataclass, each field with a default"
    bare = [f.name for f in dataclasses.fields(settings) if f.default is dataclasses.MISSING] if plain else ()
    got = f"{cls.__name__}, with none for {', '.join(bare)}" if bare else f"{cls.__name__}.Settings = {settings!r}"
    must(plain and not bare, where, rule, got, "put @dataclass(frozen=True) above it, and values behind its fields")
