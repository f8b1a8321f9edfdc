"""What a sparse autoencoder is here: a stack of them, made of parts, and the shelf of variants."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, TypeVar, final

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from synthetic.base.errors import must, pick
from synthetic.base.schema import NUMBER, SWITCH, TEXT, checked_fields, list_of, optional, shown, whole
from synthetic.source import Codes, has_targets, target_width
from workbench.parts.base import (
    Coded,
    Decoder,
    Encoder,
    Named,
    Part,
    Pass,
    Rule,
    Sizes,
    Term,
    besides,
    dense,
    must_be_part,
    must_be_shared,
)
from workbench.parts.objectives import terms_of
from workbench.settings import Setting, given, memory_for, must_be_seeds, plain, settings_of_signature, whole_number

Seeds = int | np.integer | list[Any] | np.ndarray
"""a seed, or a (nested) list of them"""


@final
class SAE(Named):
    """A stack of sparse autoencoders x_hat = b_dec + decoder(encoder(x)), made of parts by a variant (`variant`).

    An encoder makes latents, a decoder reconstructs, the terms of the objective are summed and minimised, rules do what
    training does beside. A setting given as a (nested) list varies over members; lists broadcast to the stack shape *s
    as numpy arrays do. Number settings are attributes of shape *s (`sae.k`). Members share data and nothing else.

    Parts name their parameters and buffers as folders do: W_enc (*s, d, m), b_enc (*s, m), W_dec (*s, m, d),
    b_dec (*s, d), threshold ...
    """

    scale: Tensor
    """what inputs are multiplied by: with E|scale x|^2 = d settings mean the same on all data"""
    scale_out: Tensor
    """the same of the targets of a decoder that maps, once a member"""

    encoder: Encoder
    decoder: Decoder
    objective: nn.ModuleDict
    """terms of the loss by name"""
    rules: nn.ModuleList

    def __init_subclass__(cls, **named: Any) -> None:
        _must_be_a_function(cls.__name__)

    def __init__(self, stack: "Stack", encoder: Encoder, decoder: Decoder, parts: Iterable[Term | Rule]) -> None:
        super().__init__()
        parts = tuple(parts)
        must_be_part(f"{stack.name}.encoder", encoder, Encoder)
        must_be_part(f"{stack.name}.decoder", decoder, Decoder)
        for part in parts:
            must_be_part(f"{stack.name}: part", part, Term, Rule)
        self.name, self.d, self.m, self.shape, self.seed = stack.name, stack.d, stack.m, stack.shape, stack.seed
        self.settings = dict(stack.settings)
        self.metadata: dict[str, Any] = {}  # model_name, hook_name, ...: goes into `cfg.json` and comes back
        self.annealed: dict[str, Tensor] = {}
        """settings that training moves for a while, as they were set"""
        self.rates: list[float] | None = None
        """learning rates of the members in the last training, where they differed"""
        self.fresh = True
        """made by a variant and neither trained since nor read from another tool's file: training starts by setting
        `scale` and b_dec; False leaves both as they are"""
        self._hold(stack.held)
        self.register_buffer("scale", torch.ones(()))
        if decoder.maps:
            self.register_buffer("scale_out", torch.ones(stack.shape))
        self.encoder, self.decoder = encoder, decoder
        terms, rules = [p for p in parts if isinstance(p, Term)], [p for p in parts if isinstance(p, Rule)]
        names = [term.name for term in terms]
        twice = sorted({name for name in names if names.count(name) > 1})
        must(not twice, stack.name, "made of terms of different names", twice, "set `name` of one, or leave one out")
        asked = self.settings.get("objective")
        by_name = {term.name: term for term in terms} | ({} if asked is None else terms_of(stack, asked))
        must(by_name, stack.name, "given at least one term of a loss", "none", "add SquaredError()")
        self.objective, self.rules = nn.ModuleDict(by_name), nn.ModuleList(rules)
        _ = self.places()
        for name, term in by_name.items():
            rule, advice = "left out where the encoder gives no pre-activations", "use one that selects from a product"
            given = f"{type(term).__name__} on {type(encoder).__name__}"
            must(not term.reads_evidence or self.has_evidence, f"{stack.name}: loss term {name!r}", rule, given, advice)

    def _hold(self, held: Mapping[str, Any]) -> None:
        """Settings under their names, tensors as buffers."""
        for name, value in held.items():
            taken = hasattr(SAE, name) or hasattr(self, name) or name in SAE.__annotations__
            must(not taken, f"{self.name}.{name}", "a new name", "one that SAEs have", "rename it")
            if isinstance(value, Tensor):
                self.register_buffer(name, value, False)
            else:
                setattr(self, name, value)

    def __setattr__(self, name: str, value: Any) -> None:
        """What parts have is changed there, or in place as by `sae.b_dec += 1`, and not hidden by a new attribute."""
        if isinstance(value, nn.Parameter) and isinstance(getattr(SAE, name, None), property):
            advice = f"write sae.{name}.copy_(...)"
            must(value is getattr(self, name), f"{self.name}.{name}", "changed in place", "another parameter", advice)
            return
        must_be_shared(self, self.__dict__.get("name", "SAE"), name, value)
        if not hasattr(self, name) and "rules" in self._modules:
            owners = [path for path, part in self.named_modules() if path and hasattr(part, name)]
            rule, advice = "set on the part that has it", f"write sae.{owners[0] if owners else ''}.{name} = ..."
            must(not owners, f"{self.name}.{name}", rule, owners, advice)
        super().__setattr__(name, value)

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """As of any module; weights from elsewhere come with their scale, so that the SAE is fresh no longer."""
        loaded = super().load_state_dict(state_dict, strict, assign)
        self.fresh = False
        return loaded

    # what it is ------------------------------------------------------------------------------------------------------

    @property
    def W_dec(self) -> Float[Tensor, "*s m d"]:  # noqa: N802
        """Rows of the decoder; of one that is not linear in latents, its linear part."""
        return self.decoder.rows

    @property
    def W_enc(self) -> Float[Tensor, "*s d m"]:  # noqa: N802
        """Columns of the encoder; W_dec transposed where there are none."""
        return self.encoder.columns(self.decoder)

    @property
    def b_enc(self) -> Float[Tensor, "*s m"]:
        """The encoder's bias, where it has one."""
        return self.encoder.b_enc

    @property
    def b_dec(self) -> nn.Parameter:
        """The decoder's bias."""
        return self.decoder.b_dec

    @property
    def d_out(self) -> int:
        """Width of reconstructions: d, or that of the targets of a decoder that maps."""
        return self.b_dec.shape[-1]

    @property
    def out_scale(self) -> Float[Tensor, ""]:
        """What reconstructions are divided by to be in raw units: `scale`, or a decoder that maps has its own."""
        return self.scale_out.flatten()[0] if self.decoder.maps else self.scale

    @property
    def loss_terms(self) -> dict[str, Term]:
        """The terms of the loss by name."""
        return {name: term for name, term in self.objective.items() if isinstance(term, Term)}

    @property
    def warmed(self) -> tuple[str, ...]:
        """Terms of the loss that training lets rise from 0."""
        return tuple(name for name, term in self.loss_terms.items() if term.warmed)

    @property
    def parts(self) -> list[Part]:
        """Encoder, decoder, terms and rules, and what they are made of."""
        return [part for part in self.modules() if isinstance(part, Part)]

    @property
    def frozen(self) -> tuple[str, ...]:
        """Parameters that training leaves alone, which can be set."""
        return tuple(name for name, parameter in self.named_parameters() if not parameter.requires_grad)

    @frozen.setter
    def frozen(self, names: Iterable[str]) -> None:
        known = dict(self.named_parameters())
        for name in (names := tuple(names)):
            pick(name, known, f"{self.name}.frozen")
        for name, parameter in known.items():
            parameter.requires_grad_(name not in names)

    @property
    def targets(self) -> Float[Tensor, "*s m"] | None:
        """Firing rates that a rule steers latents to."""
        found = [rule.targets for rule in self.rules if isinstance(rule, Rule) and rule.targets is not None]
        return found[0] if found else None

    @property
    def has_evidence(self) -> bool:
        """Whether the encoder gives pre-activations, which AuxK needs."""
        with torch.no_grad():
            return self.coded(self.b_dec.new_zeros(1, self.d)).evidence is not None

    def as_set(self, value: Tensor) -> Tensor:
        """A setting that parts have, training's own annealing left out."""
        return next((was for name, was in self.annealed.items() if self._buffers.get(name) is value), value)

    def settings_now(self) -> dict[str, Any]:
        """Settings as they are in force, such as a k that was changed by hand; training's own annealing left out."""
        current = dict(self.settings)
        for name, setting in self.settings.items():
            held = self.annealed.get(name, self._buffers.get(name))
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
        marks = {"fresh": self.fresh, "unit_decoder": self.decoder.unit, "frozen": list(self.frozen)}
        if self.rates is not None:
            marks["rates"] = [float(np.reshape(self.rates, self.shape)[at])] if self.shape else self.rates
        return marks | {name: plain(getattr(part, name)) for name, part in self._at_inference().items()}

    def _at_inference(self) -> dict[str, Part]:
        return {name: part for part in self.parts for name in part.inference}

    def set_marks(self, marks: dict[str, Any], where: str) -> None:
        """What `marks` gave, checked; a folder that says nothing of `fresh` is of an SAE that was trained.

        Raises:
            ValueError: a mark of another kind, or a frozen parameter that there is not; `where` names the file.
        """
        kinds = dict.fromkeys(("fresh", "unit_decoder"), optional(SWITCH)) | {"rates": optional(list_of(NUMBER))}
        owners = self._at_inference()
        kinds |= {"frozen": optional(list_of(TEXT))} | dict.fromkeys(owners, optional(whole(1)))
        marks = checked_fields(marks, where, kinds, "save the SAE again")
        own = {name: marks[name] for name in kinds if marks.get(name) is not None}
        for name in own.get("frozen", ()):
            pick(name, dict(self.named_parameters()), f"{where}: frozen")
        self.fresh = own.pop("fresh", False)
        self.decoder.unit = own.pop("unit_decoder", self.decoder.unit)
        self.frozen, self.rates = own.pop("frozen", self.frozen), own.pop("rates", self.rates)
        for name, value in own.items():
            setattr(owners[name], name, value)

    def __repr__(self) -> str:
        """Variant, sizes, a stack's shape and seeds, k and what else is no default, and whether it was trained."""
        defaults = VARIANTS[self.name].defaults if self.name in VARIANTS else {}
        said: dict[str, Any] = {"d": self.d, "m": self.m}
        said |= {"shape": self.shape, "seed": self.seed} if self.shape else {}
        said |= {n: v for n, v in self.settings_now().items() if n == "k" or n not in defaults or v != defaults[n]}
        words = [*(f"{name}={value}" for name, value in said.items()), "fresh" if self.fresh else "trained"]
        return f"{self.name}({', '.join(words)})"

    # what everyone calls -----------------------------------------------------------------------------------------

    def coded(self, x: Float[Tensor, "*b n d"]) -> Coded:
        """What the encoder makes of inputs already in the SAE's own units, checked: a part may return anything."""
        coded: Any = self.encoder(x, self.decoder)
        where = f"{self.name}.encoder"
        must(isinstance(coded, Coded), where, "a function that returns Coded", shown(type(coded).__name__), "return it")
        codes = coded.latents
        values = codes.values if isinstance(codes, Codes) else codes
        shape = (*self.shape, x.shape[-2], self.m)
        must(isinstance(values, Tensor), where, "a tensor of latents, or Codes", type(codes).__name__, "return them")
        got = (*values.shape[:-1], codes.width) if isinstance(codes, Codes) else tuple(values.shape)
        must(got == shape, where, f"one that gives latents of shape {shape}", got, "return one for each latent")
        dtype, device = self.b_dec.dtype, values.device.type
        kinds = {dtype}
        kinds |= {torch.get_autocast_dtype(device)} if torch.is_autocast_enabled(device) else set()
        must(values.dtype in kinds, where, f"one that gives {dtype}", values.dtype, "keep that of x")
        return coded

    def trace(self, x: Float[Tensor, "*b n d"], target: Float[Tensor, "*b n d_out"] | None = None) -> Pass:
        """Forward pass on inputs already in the SAE's own units; backward costs what the code costs where it can.

        `target` is what they are to give, in its own units: x itself where None.
        """
        coded, decoder = self.coded(x), self.decoder
        added, shape = decoder(coded.latents), (*self.shape, x.shape[-2], self.d_out)
        where, advice = f"{self.name}.decoder", "return what latents add to b_dec"
        must(added.shape == shape, where, f"one that gives {shape}", tuple(added.shape), advice)
        x_hat = sum(besides(coded, decoder, x), added + decoder.b_dec[..., None, :])
        return Pass(x, coded, x_hat, self.encoder, decoder, x if target is None else target)

    def scaled_pair(self, x: Float[Tensor, "n d"], y: Float[Tensor, "n d_out"]) -> tuple[Tensor, Tensor]:
        """Raw activations and targets in the SAE's own units; one tensor where they are one."""
        scaled = x * self.scale
        return scaled, y * self.out_scale if self.decoder.maps else scaled

    def loss(self, out: Pass) -> dict[str, Float[Tensor, "*s"]]:
        """Loss terms by name, one number a member; their sum is minimised."""
        found = {}
        for name, term in self.loss_terms.items():
            value: Any = term(out)
            if value is not None:
                got = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
                rule, advice = f"a tensor of shape {self.shape}, one number a member", "return its mean over rows"
                must(got == self.shape, f"{self.name}: loss term {name!r}", rule, got, advice)
                found[name] = value
        return found

    def encode(self, x: Tensor | np.ndarray) -> Tensor:
        """Latents of raw activations, dense, in units of what they reconstruct: f W_dec + b_dec / out_scale does.

        Activations are floating-point numbers of any precision, brought to the SAE's own before anything else; latents
        have it too. A row that is not finite has latents of NaN.

        Args:
            x: (..., d), with any leading axes, which latents keep behind those of a stack: (*s, ..., m). Of a stack,
                (*s, n, d) are rows for each of its members.
        """
        rows, lead = self._rows(x)
        if not rows.numel():
            return self._led(rows @ self.W_enc, lead)
        return self._led(dense(self.coded(rows * self.scale).latents) / self._divisor(rows), lead)

    def beside(self, x: Tensor | np.ndarray) -> Tensor:
        """What raw activations add to the reconstruction past all latents, in units of it; 0 of most variants.

        `sae(x)` is `sae.decode(sae.encode(x)) + sae.beside(x)`.
        """
        rows, lead = self._rows(x)
        scaled, nothing = rows * self.scale, rows.new_zeros(*self.shape, rows.shape[-2], self.d_out)
        return self._led(sum(besides(self.coded(scaled), self.decoder, scaled), nothing) / self._divisor(rows), lead)

    def decode(self, latents: Tensor | np.ndarray) -> Tensor:
        """Reconstruction in units of x of what `encode` returned."""
        f = self._floats(latents, "latents", self.m)
        bias = self.b_dec[..., None, :] if self.shape else self.b_dec
        return (self.decoder(f * self.out_scale) + bias) / self.out_scale

    def forward(self, x: Tensor | np.ndarray) -> Tensor:
        """Reconstruction (*s, ..., d) of raw activations; of what `encode` takes; NaN where a row is not finite."""
        rows, lead = self._rows(x)
        if rows.numel():
            x_hat = self.trace(rows * self.scale).x_hat / self._divisor(rows)
        else:
            x_hat = rows @ self.W_enc @ self.W_dec
        return self._led(x_hat, lead)

    def interactions(self, members: Int[Tensor, "t order"]) -> Float[Tensor, "*s t d"]:
        """Coefficients in `decode(f)` of products of latents, 0 of a linear decoder; see `Polynomial`."""
        return self.decoder.interactions(members, self.scale)

    def own_units(self, x: Tensor | np.ndarray) -> Tensor:
        """Raw activations as `trace` takes them: rows in the SAE's own dtype, times `scale`."""
        return self._rows(x)[0] * self.scale

    def _floats(self, x: Tensor | np.ndarray, what: str, width: int) -> Tensor:
        """The numbers in the SAE's own dtype."""
        where = f"{self.name}.{what}"
        values: Any = x
        if isinstance(x, np.ndarray) and x.dtype in (np.float16, np.float32, np.float64):
            values = torch.tensor(x, dtype=self.b_dec.dtype, device=self.b_dec.device)
        floats = isinstance(values, Tensor) and values.is_floating_point()
        kind = type(x).__name__ if not isinstance(x, Tensor | np.ndarray) else f"one of {x.dtype}"
        must(floats, where, "a tensor or array of floating-point numbers", kind, "convert it, as x.float() does")
        rule, here = f"of width {width} on its last axis", self.b_dec.device
        must(values.shape[-1:] == (width,), where, rule, tuple(values.shape), "transpose it")
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
        return torch.where(rows.isfinite().all(-1, keepdim=True), self.out_scale, torch.nan)

    @torch.no_grad()
    def finish_step(self, out: Pass) -> None:
        """What follows an optimiser step: rows are projected, every part updates what it keeps, parameters settle."""
        self.decoder.project()
        for part in (self.encoder, self.decoder, *self.objective.values(), *self.rules):
            if isinstance(part, Part):
                part.after_step(out)
        self.settle()

    @torch.no_grad()
    def settle(self) -> None:
        """Put parameters back to where parts hold them, columns of the encoder last, since they may follow rows."""
        for part in (self.decoder, *self.objective.values(), *self.rules, self.encoder):
            if isinstance(part, Part):
                part.settle(self.encoder, self.decoder)

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


def must_fit(where: str, source: Any, sae: SAE, advice: str = "pass the SAE's own world") -> None:
    """Refuse a source of another width than an SAE reads, or whose targets are not what it reconstructs."""
    must(source.d == sae.d, where, f"of dimension {sae.d}, the SAE's", source.d, advice)
    if has_targets(source) and not sae.decoder.maps:
        must(False, where, f"activations alone for {sae.name}", "pairs with targets", "create a transcoder for them")
    got, advice = target_width(source), f"create it with d_y={target_width(source)}"
    must(got == sae.d_out, where, f"one whose targets have the width {sae.d_out} of {sae.name}'s", got, advice)


def must_be_single(sae: SAE, where: str) -> None:
    """Refuse a stack where one SAE is meant."""
    said = f"a stack of shape {sae.shape}"
    must(not sae.shape, where, "a single SAE", said, "save it, and load its folders member-000, member-001, ...")


_WRITERS: list[Callable[[SAE, Path], Path]] = []
"""what writes an SAE's folder: `workbench.interop` puts it here"""


def write_with(writer: Callable[[SAE, Path], Path]) -> None:
    """Let `SAE.save` write folders with this function of an SAE and a folder."""
    _WRITERS.append(writer)


# --- variants ---------------------------------------------------------------------------------------------------------


@dataclass
class Stack(Sizes):
    """What a variant is handed: sizes, and a way to put an SAE together."""

    held: dict[str, Any] = field(default_factory=dict)
    """settings as the SAE has them: numbers as tensors of the stack's shape"""

    def sae(self, encoder: Encoder, decoder: Decoder, *parts: Term | Rule) -> SAE:
        """The SAE of these parts; terms are summed, rules run in the order given."""
        return SAE(self, encoder, decoder, parts)


Maker = Callable[..., SAE]


@dataclass(frozen=True)
class Variant:
    """A variant on the shelf: the function that puts its parts together, whose parameters are its settings."""

    name: str
    make: Maker
    core: bool
    """part of the default experiment"""
    settings: Mapping[str, Setting]

    @property
    def defaults(self) -> dict[str, Any]:
        """Settings by name, and their defaults."""
        return {name: setting.default for name, setting in self.settings.items()}

    def __call__(
        self,
        d: int | np.integer,
        m: int | np.integer,
        *,
        seed: Seeds = 0,
        objective: str | None = None,
        **settings: Any,
    ) -> SAE:
        """A new SAE or stack, see `workbench.create`."""
        for setting in settings:
            pick(setting, self.settings, f"setting of {self.name}")
        d = whole_number(f"{self.name}.d", d, "give the width of the activations")
        m = whole_number(f"{self.name}.m", m, "give the number of latents; all members of a stack have as many")
        seed = plain(seed)
        must_be_seeds(f"{self.name}.seed", seed)
        values = {name: given(settings.get(name, s.default), s.default) for name, s in self.settings.items()}
        shape = self._shape([seed, *values.values()])
        # whatever the caller's defaults are, weights are float32 on the CPU
        with memory_for(self.name, d, m, shape), torch.inference_mode(False), torch.device("cpu"):
            held = {name: s.held(f"{self.name}.{name}", values[name], shape, m) for name, s in self.settings.items()}
            asked = {} if objective is None else {"objective": " ".join(objective.split())}
            sae: Any = self.make(Stack(self.name, d, m, shape, seed, values | asked, held), **held)
            must(isinstance(sae, SAE), self.name, "a function that returns stack.sae(...)", shown(sae), "return it")
            return sae.float()

    def _shape(self, values: list[Any]) -> tuple[int, ...]:
        """Of the stack that lists make together."""
        lists = [value for value in values if isinstance(value, list)]
        where = f"{self.name}'s lists"
        try:
            shape = np.broadcast_shapes(*(np.asarray(value).shape for value in lists))
        except ValueError:
            must(False, where, "of shapes that broadcast", lists, "make them equally long or nest them")
            raise
        must(0 not in shape, where, "of at least one entry", lists, "leave out what is empty")
        return shape


VARIANTS: dict[str, Variant] = {}
_F = TypeVar("_F", bound=Maker)


def variant(name: str, *, core: bool = False) -> Callable[[_F], _F]:
    """Function decorator: put a variant on the shelf; `core` ones run in the default experiment.

    The function takes a `Stack` and settings with defaults and returns `stack.sae(encoder, decoder, *terms_and_rules)`.
    Annotations such as `Positive` say what its settings may be (`workbench.settings`).

    Raises:
        ValueError: no name, one that is taken, or no such function.
    """
    must(
        isinstance(name, str) and name, "variant.name", "a text that is not empty", repr(name), 'write @variant("name")'
    )

    def put(make: _F) -> _F:
        where, thing = f"variant({name!r})", shown(make)
        if isinstance(make, type):
            _must_be_a_function(name)
        must(callable(make), where, "on a function of a stack", thing, "write def name(stack, k=4): ...")
        other = VARIANTS.get(name)
        free = other is None or other.make.__module__ == make.__module__
        must(free, "variant.name", "one not taken", f"{name!r}, a variant of {other}", "choose another name")
        VARIANTS[name] = Variant(name, make, core, settings_of_signature(make, where))
        return make

    return put


def _must_be_a_function(name: str) -> NoReturn:
    must(
        False,
        f"variant {name!r}",
        "a function that puts parts together",
        "a class, as before",
        f'write @workbench.variant("{name}") above def {name.replace("-", "_")}(stack, weight: NonNegative = 0.5): '
        "return stack.sae(Affine(stack, ReLU()), Rows(stack), SquaredError(), L1(stack, weight)), with settings as "
        "parameters, `activate` as a Selection, `loss` as Terms and `after_step` as a Rule of workbench.parts",
    )
    raise AssertionError


def register(name: str, *, core: bool = False) -> NoReturn:
    """How variants were registered while they were classes: says what they have become."""
    _must_be_a_function(name)
