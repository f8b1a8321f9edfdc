"""What an SAE is made of: encoders, selections, decoders, objective terms, rules, and what they hand to one another."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from synthetic.base.errors import must, pick
from synthetic.base.schema import shown
from synthetic.base.streams import stream
from synthetic.source import Codes
from workbench import kernels
from workbench.parts.sparsifiers import step

Latents = Codes | Tensor
"""latents of a batch, sparse or dense"""
Renewed = dict[nn.Parameter, tuple[Tensor, Tensor]]
"""what resampling puts into parameters: where, and what"""


def squared_error(x: Tensor, x_hat: Tensor) -> Float[Tensor, "*s"]:
    """sum_d (x - x_hat)^2, mean over rows."""
    return (x_hat - x).square().sum(-1).mean(-1)


def drawn(seed: Any, shape: tuple[int, ...], name: str, draw: Callable[[torch.Generator], Tensor]) -> Tensor:
    """One draw a member of a stack from the named stream of its seed, stacked: (*s, ...)."""
    seeds = np.broadcast_to(np.asarray(seed, dtype=np.int64), shape).ravel().tolist()
    members = torch.stack([draw(stream(seed, name)) for seed in seeds])
    return members.view(*shape, *members.shape[1:])


# --- a stack ----------------------------------------------------------------------------------------------------------


@dataclass
class Sizes:
    """Widths, shape and seeds of a stack of SAEs: what its parts are made for."""

    name: str
    """of the variant, for errors"""
    d: int
    m: int
    shape: tuple[int, ...] = ()
    seed: Any = 0
    """one, or a (nested) list of them"""
    settings: dict[str, Any] = field(default_factory=dict)
    """of the variant, as they were given"""

    def tensor(self, value: float | int | Tensor) -> Tensor:
        """A setting as a tensor of the stack's shape; the very tensor where it is one."""
        if isinstance(value, Tensor):
            return value
        return torch.full(self.shape, value, dtype=torch.float32 if isinstance(value, float) else torch.int64)

    def real(self, value: float | int | Tensor) -> Tensor:
        """The same of a number that need not be whole."""
        return value if isinstance(value, Tensor) else self.tensor(float(value))

    def drawn(self, name: str, draw: Callable[[torch.Generator], Tensor]) -> Tensor:
        """One draw a member from the named stream of its seed, stacked: (*s, ...)."""
        return drawn(self.seed, self.shape, name, draw)

    @cached_property
    def rows(self) -> Float[Tensor, "*s m d"]:
        """Random unit rows: where decoders start, and encoders as their transposes."""
        rows = self.drawn("init", lambda rng: torch.randn(self.m, self.d, generator=rng, dtype=torch.float32))
        return rows / rows.norm(dim=-1, keepdim=True)

    def zeros(self, *axes: int) -> Tensor:
        """Zeros of leading shape *s."""
        return torch.zeros((*self.shape, *axes))


def must_be_shared(owner: nn.Module, where: str, name: str, value: Any) -> None:
    """Refuse another tensor in the place of a setting, which the SAE and several of its parts have as one."""
    if name in owner.__dict__.get("_non_persistent_buffers_set", ()):
        rule, advice = "changed in place", f"write .{name}.copy_(...) or .{name}.fill_(...)"
        must(value is owner._buffers[name], f"{where}.{name}", rule, shown(value), advice)


def must_be_part(where: str, part: Any, *kinds: type["Part"]) -> None:
    """Refuse what is no part of these kinds, a class in the place of an object, and a term whose name cannot be one."""
    names = " or ".join(kind.__name__ for kind in kinds)
    got = f"the class {part.__name__}" if isinstance(part, type) else f"type {type(part).__name__}"
    advice = f"write {part.__name__}(...)" if isinstance(part, type) else "make one of workbench.parts"
    must(isinstance(part, kinds), where, f"of type {names}", got, advice)
    _must_be_set_up(where, part)
    if isinstance(part, Term):
        name, advice = getattr(part, "name", None), f'write name = "..." in class {type(part).__name__}'
        fits = isinstance(name, str) and name.isidentifier() and not hasattr(nn.ModuleDict, name)
        must(fits, f"{where}: name", "letters, and no word of torch's", repr(name), advice)


def _must_be_set_up(where: str, part: Any) -> None:
    rule, advice = "one whose __init__ calls super().__init__() first", "call it there"
    must("_modules" in part.__dict__, where, rule, f"type {type(part).__name__}", advice)


# --- parts ------------------------------------------------------------------------------------------------------------


class Part(nn.Module):
    """A piece of an SAE, with parameters and buffers of leading shape *s."""

    sparse: bool = False
    """it prefers sparse codes, and latents that differ"""
    confines: bool = False
    """it keeps rows near where they were drawn, whatever the data"""
    names: Mapping[str, str] = {}
    """parameters and buffers of another name in saved folders and checkpoints"""
    counters: ClassVar[tuple[str, ...]] = ()
    """buffers that stay float32 whatever an SAE is cast to: bfloat16 has no number between 256 and 258"""
    inference: ClassVar[tuple[str, ...]] = ()
    """attributes that may be set for inference, whole numbers or None, which saved folders keep"""

    @property
    def surrogate(self) -> tuple[str, ...]:
        """Parameters, by their names in folders, whose gradient is deliberately not that of the loss."""
        return ()

    def __setattr__(self, name: str, value: Any) -> None:
        """A setting is changed in place: other parts have it too."""
        must_be_shared(self, type(self).__name__, name, value)
        super().__setattr__(name, value)

    def keep(self, **settings: Any) -> None:
        """Have settings as attributes: numbers as buffers that folders do not hold, anything else as it is."""
        _must_be_set_up(type(self).__name__, self)
        for name, value in settings.items():
            if isinstance(value, Tensor):
                self.register_buffer(name, value, persistent=False)
            else:
                setattr(self, name, value)

    def begin(self, steps: int) -> None:
        """Take note of the length of the training that begins or goes on."""

    def settle(self, encoder: "Encoder", decoder: "Decoder") -> None:
        """Put parameters back to where they have to be, after a step and after resampling, without gradient."""

    def after_step(self, out: "Pass") -> None:
        """Update buffers or project parameters after an optimiser step, without gradient."""


class Decoder(Part, ABC):
    """What latents reconstruct: b_dec + forward(latents)."""

    b_dec: nn.Parameter
    unit: bool = False
    """rows are brought to norm 1 after each step, and the radial part of their gradient is removed"""
    linear: bool = True
    """what latents add is f W_dec"""
    maps: bool = False
    """it reconstructs targets y of x, in units of their own, and not x itself"""

    def __init__(self, stack: Sizes, d_out: int | None = None) -> None:
        super().__init__()
        self.b_dec = nn.Parameter(stack.zeros(d_out or stack.d))

    @property
    def centre(self) -> Float[Tensor, "*s d"]:
        """What encoders take x less of: b_dec."""
        return self.b_dec

    @property
    @abstractmethod
    def rows(self) -> Float[Tensor, "*s m d"]:
        """W_dec."""

    @abstractmethod
    def forward(self, latents: Latents) -> Float[Tensor, "*s n d"]:
        """What latents add to b_dec."""

    def beside(self, x: Float[Tensor, "*b n d"]) -> Float[Tensor, "*s n d_out"] | None:
        """What x adds to the reconstruction past all latents."""
        return None

    @abstractmethod
    def plant(self, rows: Float[Tensor, "m d"]) -> tuple[str, ...]:
        """Put W_dec to these rows, and name the parameters to leave alone so that it stays there."""

    def renewed(self, dead: Bool[Tensor, "*s m"], rows: Float[Tensor, "*s m d"]) -> Renewed:
        """What resampling puts into the rows of dead latents."""
        return {}

    def interactions(self, members: Tensor, scale: Tensor) -> Float[Tensor, "*s t d"]:
        """Coefficients of products of latents, of inputs that are multiplied by `scale`; see `Polynomial`."""
        return self.b_dec.new_zeros(*self.b_dec.shape[:-1], len(members), self.b_dec.shape[-1])

    def before_step(self) -> None:
        """Change gradients before an optimiser step."""

    def project(self) -> None:
        """Bring rows back to where they have to be, after an optimiser step and before anything else."""


@dataclass(frozen=True)
class Coded:
    """What an encoder makes of inputs."""

    latents: Latents
    evidence: Float[Tensor, "*s n m"] | None
    """pre-activations, products with columns of W_enc; without gradient where latents carry it"""
    seen: Tensor
    """input of the last product with W_enc, b_dec not yet taken off, (*b, n, d) or (*s, n, d)"""

    def penalised(self) -> Float[Tensor, "*s n m"]:
        """What penalties on the size or number of latents act on: the latents."""
        return dense(self.latents)

    @property
    def beside(self) -> Float[Tensor, "*s n d"] | None:
        """What joins the reconstruction though no latent carries it."""
        return None


def besides(coded: Coded, decoder: "Decoder", x: Float[Tensor, "*b n d"]) -> list[Float[Tensor, "*s n d_out"]]:
    """What joins the reconstruction past latents, by way of the encoder and of the decoder."""
    return [part for part in (coded.beside, decoder.beside(x)) if part is not None]


def dense(latents: Latents) -> Float[Tensor, "*s n m"]:
    """Latents as a dense array."""
    return latents.dense() if isinstance(latents, Codes) else latents


class Encoder(Part, ABC):
    """What makes latents of inputs."""

    b_enc: Tensor
    nonnegative: bool = True
    """latents are never negative"""
    rowwise: bool = True
    """in eval mode a row's latents depend on that row alone"""
    compares: bool = False
    """latents are selected by comparing them with one another or with a number they share"""
    keeps_entries: bool = False
    """latents are entries of (seen - b_dec) W_enc + b_enc, kept or 0"""
    positional: bool = False
    """latents stand in groups by their place, so that another order gives other codes"""

    @abstractmethod
    def forward(self, x: Float[Tensor, "*b n d"], decoder: Decoder) -> Coded:
        """Latents of inputs in the SAE's own units."""

    def columns(self, decoder: Decoder) -> Float[Tensor, "*s d m"]:
        """W_enc; W_dec transposed where there is none."""
        return decoder.rows.mT

    def entries(self, seen: Tensor, codes: Codes, decoder: Decoder) -> Codes:
        """Codes of evidence that was computed without gradient, with it."""
        return codes

    def scaled(self) -> dict[str, Tensor] | None:
        """What is multiplied by c where a latent is to be c times as large, by the names in folders; None where nothing
        would leave f W_dec as it is with rows c times as short.
        """
        return None

    def rescale(self, factor: Float[Tensor, "*s m"], decoder: Decoder) -> None:
        """Multiply latents by positive factors, in place; `decoder` has rows that are shorter by them already."""
        for value in (self.scaled() or {}).values():
            each = {0: factor[..., 0], 1: factor, 2: factor[..., None, :]}[value.ndim - factor.ndim + 1]
            value.copy_(value.double() * each)

    def renewed(self, dead: Bool[Tensor, "*s m"], rows: Float[Tensor, "*s m d"]) -> Renewed:
        """What resampling puts into dead latents' parameters to have them see these rows."""
        return {}

    def factors(self, out: "Pass") -> tuple[Float[Tensor, "*s n r"], Float[Tensor, "*s r w"]]:
        """Left and right, whose product a penalty on rank acts on: f and W_dec."""
        return out.dense(), out.decoder.rows

    def active(self, out: "Pass") -> Float[Tensor, "*s n"]:
        """Number of latents that fire, whose gradient is estimated by a rectangle kernel of width 1 around 0."""
        f = out.coded.penalised()
        return step(f, torch.zeros_like(f[..., 0, :]), torch.ones_like(f[..., 0, 0]), through=True).sum(-1)

    def felt(self, out: "Pass") -> Bool[Tensor, "*s n m"] | None:
        """Latents that pass on a gradient, also where they are 0; None where those that fire do alone."""
        return None

    def saturated(self, x: Float[Tensor, "*b n d"], decoder: Decoder) -> Bool[Tensor, "*s n"] | None:
        """Samples on which no latent is left out that the selection would take; None where it has no such notion."""
        return None


@dataclass(frozen=True)
class Pass:
    """One forward pass, in the SAE's own units (inputs times `scale`)."""

    x: Float[Tensor, "*b n d"]
    coded: Coded
    x_hat: Float[Tensor, "*s n d_out"]
    encoder: Encoder
    decoder: Decoder
    target: Float[Tensor, "*b n w"]
    """what x_hat is to be: x itself, but for decoders that map"""

    @property
    def constant(self) -> Float[Tensor, "*s n d_out"]:
        """What x_hat is where no latent fires: b_dec, and what joins beside latents."""
        return sum(besides(self.coded, self.decoder, self.x), self.decoder.b_dec[..., None, :])

    @property
    def codes(self) -> Latents:
        """The latents."""
        return self.coded.latents

    @property
    def evidence(self) -> Float[Tensor, "*s n m"]:
        """Pre-activations.

        Raises:
            ValueError: the encoder has none.
        """
        found, advice = self.coded.evidence, "use an encoder that selects from a product with W_enc"
        where = f"evidence of {type(self.encoder).__name__}"
        if found is None:
            must(False, where, "pre-activations", "none", advice)
            raise AssertionError
        return found

    def dense(self) -> Float[Tensor, "*s n m"]:
        """Latents as a dense array."""
        return dense(self.codes)


class Term(Part, ABC):
    """A term of the loss, one number a member."""

    name: str
    warmed: bool = False
    """training lets it rise from 0"""
    reads_evidence: bool = False
    """it needs an encoder that gives pre-activations"""

    @abstractmethod
    def forward(self, out: Pass) -> Float[Tensor, "*s"] | None:
        """Its value on a batch; None where it is left out."""


class Rule(Part):
    """Something that training does beside descending the loss, in `after_step`."""

    @property
    def targets(self) -> Float[Tensor, "*s m"] | None:
        """Firing rates that latents are steered to; None where none are."""
        return None


def sparse_now(m: int) -> bool:
    """Whether latents of m columns are kept sparse, and gradients go through the kept ones alone."""
    return kernels.sparse_pays(m) and torch.is_grad_enabled()


# --- names ----------------------------------------------------------------------------------------------------------


_FIRST = ("W_dec", "W_enc", "b_enc", "b_dec")
"""parameters in the order that folders, checkpoints and the optimiser have"""


class Named(nn.Module):
    """Flat names in place of paths; a buffer that several parts share stays one tensor."""

    name: str

    def places(self) -> list[tuple[str, nn.Module, str, bool]]:
        """Name in folders, owner, attribute and whether folders hold it, of every parameter, then of every buffer."""
        own = [("", self)] + [(path, part) for path, part in self.named_modules() if part is not self]
        found: list[tuple[str, nn.Module, str, bool]] = []
        for path, owner in own:
            names = owner.names if isinstance(owner, Part) else {}
            every = {**owner._parameters, **owner._buffers}
            for attribute, value in every.items():
                saved = value is not None and attribute not in owner._non_persistent_buffers_set
                full = f"{path}.{attribute}" if path else attribute
                name = names.get(attribute, attribute) if saved else full
                found.append((name, owner, attribute, saved))
        told = [name for name, _, _, saved in found if saved]
        twice = sorted({name for name in told if told.count(name) > 1})
        must(not twice, self.name, "made of parts whose tensors have different names", twice, "set `names` of one")
        ordered = sorted(found, key=lambda entry: _FIRST.index(entry[0]) if entry[0] in _FIRST else len(_FIRST))
        return sorted(ordered, key=lambda entry: entry[2] not in entry[1]._parameters)

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, nn.Parameter]]:
        """Parameters by their names in folders."""
        for name, owner, attribute, _ in self.places():
            value = owner._parameters.get(attribute)
            if value is not None:
                yield f"{prefix}.{name}" if prefix else name, value

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """Buffers by their names in folders, settings among them."""
        seen: set[int] = set()
        for name, owner, attribute, _ in self.places():
            value = owner._buffers.get(attribute)
            if value is not None and id(value) not in seen:
                seen.add(id(value))
                yield f"{prefix}.{name}" if prefix else name, value

    def tensor(self, name: str) -> Tensor:
        """A parameter or buffer of a part by its name in folders, such as "threshold"."""
        known = dict(self.named_parameters()) | dict(self.named_buffers())
        return known[pick(name, known, f"tensor of {self.name}")]

    def state_dict(self, *args: Any, destination: Any = None, prefix: str = "", keep_vars: bool = False) -> Any:
        """Parameters and buffers by their names in folders."""
        state = {} if destination is None else destination
        for name, owner, attribute, saved in self.places():
            value = owner._parameters.get(attribute, owner._buffers.get(attribute))
            if saved and value is not None:
                state[prefix + name] = value if keep_vars else value.detach()
        return state

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Parameters and buffers by their names in folders."""
        paths = {id(module): path for path, module in self.named_modules()}
        full = {name: f"{paths[id(o)]}.{at}" if paths[id(o)] else at for name, o, at, saved in self.places() if saved}
        return super().load_state_dict({full.get(k, k): v for k, v in state_dict.items()}, strict, assign)

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        """Move or cast; a setting stays one tensor, whichever parts have it."""
        shared = {id(value): name for name, value in self._buffers.items() if value is not None}
        ties = [
            (part, attribute, shared[id(value)])
            for part in self.modules()
            for attribute, value in part._buffers.items()
            if part is not self and id(value) in shared
        ]
        counts = [(part, name, part._buffers[name]) for part in self.modules() for name in _counters(part)]
        super()._apply(fn, recurse)
        for part, attribute, name in ties:
            part._buffers[attribute] = self._buffers[name]
        for part, name, value in counts:
            cast = part._buffers[name]
            part._buffers[name] = value if value is None or cast is None else value.to(cast.device, torch.float32)
        return self


def _counters(part: nn.Module) -> tuple[str, ...]:
    return part.counters if isinstance(part, Part) else ()
