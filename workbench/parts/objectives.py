"""Terms of a loss. Each goes with every encoder, by name from a command line or as an object in a variant."""

# ruff: noqa: D102 (overrides inherit theirs)

import inspect
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, Literal, TypeVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from synthetic.base.errors import must, pick
from synthetic.source import Codes
from workbench import kernels
from workbench.parts.base import Pass, Sizes, Term, squared_error
from workbench.parts.encoders import Gates
from workbench.parts.nuclear_norm import factored_norm, nuclear_norm
from workbench.parts.prefixes import Detach, prefix_loss, track_frequency, widths_of
from workbench.parts.sparsifiers import fired, top_k
from workbench.settings import Count, Natural, NonNegative, settings_of_signature

Maker = Callable[..., Term]
OBJECTIVES: dict[str, Maker] = {}
"""terms by the names that `create(objective=...)` and `--objective` take"""
_M = TypeVar("_M", bound=Maker)


def objective(name: str) -> Callable[[_M], _M]:
    """Decorator of a term, or of a function that makes one: `objective="name=value,value"` then adds it to a variant.

    Its parameters are a stack and settings with defaults, as a variant's. A term of the same name as one that the
    variant has takes its place.
    """

    def put(maker: _M) -> _M:
        other, where = OBJECTIVES.get(name), f"objective({name!r})"
        free = other is None or other.__module__ == maker.__module__
        must(free, where, "a name that is not taken", f"that of {other}", "choose another name")
        must(name.isidentifier(), where, "a name of letters", repr(name), "choose another name")
        _must_take_settings(maker, where)
        OBJECTIVES[name] = maker
        return maker

    return put


def _must_take_settings(maker: Maker, where: str) -> None:
    if not any(p.kind is p.VAR_POSITIONAL for p in inspect.signature(maker).parameters.values()):
        settings_of_signature(maker, where)


# --- reconstruction ---------------------------------------------------------------------------------------------------


class SquaredError(Term):
    """sum_d (x - x_hat)^2, mean over rows."""

    name = "mse"

    def forward(self, out: Pass) -> Float[Tensor, "*s"]:
        return squared_error(out.x, out.x_hat)


class Nested(Term):
    """Mean over prefixes of the latents of |x - b_dec - f W_dec restricted to the prefix|^2, see `prefix_loss`."""

    name = "mse"
    inner_weight: Tensor
    detach: Detach
    frequency: Tensor | None

    def __init__(
        self,
        stack: Sizes,
        prefixes: tuple[float, ...],
        detach: Detach = "none",
        *,
        by_frequency: bool = False,
        inner_weight: NonNegative = 1.0,
    ) -> None:
        super().__init__()
        self.keep(inner_weight=stack.real(inner_weight), detach=detach)
        self.widths = widths_of(stack.name, prefixes, stack.m)
        self.register_buffer("frequency", stack.zeros(stack.m) if by_frequency else None)

    def forward(self, out: Pass) -> Float[Tensor, "*s"]:
        advice = "use an encoder whose decoder is rows"
        must(out.decoder.linear, "Nested's decoder", "linear in latents", type(out.decoder).__name__, advice)
        rows, b_dec = out.decoder.rows, out.decoder.b_dec
        return prefix_loss(rows, b_dec, out, self.widths, self.frequency, self.detach, self.inner_weight)

    def after_step(self, out: Pass) -> None:
        """Follow how often latents fire."""
        if self.frequency is not None:
            track_frequency(self.frequency, out.codes)


@objective("nested")
def nested(stack: Sizes, *prefixes: float) -> Term:
    """Prefixes as fractions of m, increasing to 1."""
    return Nested(stack, prefixes or (1 / 16, 1 / 4, 1.0))


class GateError(Term):
    """|x - relu(z + b_gate) W_dec - b_dec|^2 of a gated encoder's gates, decoder frozen."""

    name = "gate"

    @property
    def surrogate(self) -> tuple[str, ...]:
        return ("W_dec", "b_dec")

    def forward(self, out: Pass) -> Float[Tensor, "*s"] | None:
        if not isinstance(out.coded, Gates):
            return None
        alone = out.coded.gate @ out.decoder.rows.detach() + out.decoder.b_dec.detach()[..., None, :]
        return squared_error(out.x, alone)


# --- dead latents -----------------------------------------------------------------------------------------------------


def aux_k_loss(out: Pass, dead: Bool[Tensor, "*s m"], k: int) -> Float[Tensor, "*s"]:
    """AuxK: squared error of the residual x - x_hat explained by its k largest dead pre-activations.

    sum_d, mean over rows, like the main error; 0 for members without dead latents. Where entries of both signs are
    selected: the k of largest magnitude. What they add is that of the decoder, without b_dec.

    Source: Gao et al. (2024), arXiv 2406.04093, section 2.4 and appendix A.2.
    """
    residual, evidence, encoder = (out.x - out.x_hat).detach(), out.evidence, out.encoder
    with torch.no_grad():
        most = int(dead.sum(-1).max())
        order = dead.to(torch.uint8).sort(dim=-1, descending=True, stable=True).indices
        first = order[..., :most]  # dead latents, then others where a member has fewer
        size = evidence.abs() if encoder.keeps_entries and not encoder.nonnegative else evidence
        among = size.take_along_dim(first[..., None, :], -1)
        among = among.masked_fill(~dead.gather(-1, first)[..., None, :], -torch.inf)
        values, at = among.topk(min(k, most), dim=-1)
        indices = first[..., None, :].expand_as(among).gather(-1, at)
    codes = Codes(indices, torch.where(values > 0, evidence.gather(-1, indices), 0.0), evidence.shape[-1])
    if not evidence.requires_grad:
        codes = encoder.entries(out.coded.seen, codes, out.decoder)
    return squared_error(residual, out.decoder(codes)) * dead.any(-1)


class Silent(Term):
    """A term on latents that have fired in none of the last batches."""

    name = "aux"
    silent: Tensor

    def __init__(self, stack: Sizes) -> None:
        super().__init__()
        self.register_buffer("silent", stack.zeros(stack.m))

    def count(self, out: Pass) -> Float[Tensor, "*s m"]:
        """Batches since each latent fired, this one counted."""
        return torch.where(fired(out.codes, self.silent.shape[-1]), 0.0, self.silent + 1)

    def after_step(self, out: Pass) -> None:
        """Keep the count."""
        self.silent.copy_(self.count(out))


@objective("auxk")
class AuxK(Silent):
    """weight * `aux_k_loss` of latents silent for `after` batches."""

    k: int
    weight: Tensor
    after: Tensor

    def __init__(self, stack: Sizes, k: Count = 32, weight: NonNegative = 1 / 32, after: Count = 200) -> None:
        super().__init__(stack)
        self.keep(k=int(stack.tensor(k).max()), weight=stack.real(weight), after=stack.tensor(after))

    def forward(self, out: Pass) -> Float[Tensor, "*s"] | None:
        dead = self.count(out) >= self.after[..., None]
        return self.weight * aux_k_loss(out, dead, self.k) if bool(dead.any()) else None


class DeadGuess(Silent):
    """weight |x - x_hat - guess|^2, the guess by the largest of the latents silent for 5 batches.

    The residual carries gradient, where `aux_k_loss` holds it fixed.

    Source: Lee et al. (2025), arXiv 2503.24277, its reference code.
    """

    weight: Tensor
    latents: Tensor

    def __init__(self, stack: Sizes, weight: NonNegative, latents: Natural) -> None:
        super().__init__(stack)
        self.keep(weight=stack.real(weight), latents=stack.tensor(latents))

    def forward(self, out: Pass) -> Float[Tensor, "*s"] | None:
        dead = self.count(out) >= 5
        if not bool(dead.any()):
            return None
        a = torch.where(dead[..., None, :], out.coded.seen @ out.encoder.columns(out.decoder), 0.0)
        k = torch.minimum(dead.sum(-1), self.latents).clamp_min(1)
        guess = kernels.decode(top_k(a, k), out.decoder.rows)
        return self.weight * squared_error(out.x - out.x_hat, guess) * dead.any(-1)


# --- penalties --------------------------------------------------------------------------------------------------------


@objective("l1")
class L1(Term):
    """weight |f|_1; of a gated encoder its gates, of one with a low-rank part the sparse part."""

    name = "l1"
    sparse = True
    weight: Tensor

    def __init__(self, stack: Sizes, weight: NonNegative = 1.0, *, warmed: bool = True) -> None:
        super().__init__()
        self.keep(weight=stack.real(weight))
        self.warmed = warmed

    def forward(self, out: Pass) -> Float[Tensor, "*s"]:
        f = out.coded.penalised()
        return self.weight * (f if out.encoder.nonnegative else f.abs()).sum(-1).mean(-1)


@objective("l0")
class L0(Term):
    """weight |f|_0, its gradient by a rectangle kernel: a JumpReLU's own one, else one of width 1 around f = 0.

    With a target the weight is multiplied by exp(c), and every step c grows by gain tanh(3 (L0 / target - 1)), L0 being
    what the present trend leads to within 1/gain steps: c would otherwise run away before the thresholds follow.

    Source: Rajamanoharan et al. (2024), arXiv 2407.14435; the controller after SynthSAEBench's, arXiv 2602.14687.
    """

    name = "l0"
    sparse = warmed = True
    weight: Tensor
    target_l0: Tensor
    gain: Tensor
    control: Tensor | None

    def __init__(
        self, stack: Sizes, weight: NonNegative = 1.0, target_l0: NonNegative = 0.0, gain: NonNegative = 3e-4
    ) -> None:
        super().__init__()
        self.keep(weight=stack.real(weight), target_l0=stack.real(target_l0), gain=stack.real(gain))
        steered, given = bool((self.target_l0 > 0).any()), stack.settings.get("target_l0", target_l0)
        whole, rule = not steered or bool((self.target_l0 > 0).all()), "above 0 for all members or for none"
        must(whole, f"{stack.name}.target_l0", rule, given, "make two stacks")
        self.register_buffer("control", stack.zeros(3) if steered else None)

    def forward(self, out: Pass) -> Float[Tensor, "*s"]:
        active = out.encoder.active(out).mean(-1)
        weight = self.weight if self.control is None else self.weight * self.control[..., 0].exp()
        return weight * active

    def after_step(self, out: Pass) -> None:
        """Steer the weight."""
        if self.control is not None:
            active = (out.dense() != 0).sum(-1).to(self.control.dtype).mean(-1)
            self.control.copy_(steer(self.control, active, self.target_l0, self.gain))


def steer(control: Tensor, active: Tensor, target: Tensor, gain: Tensor) -> Tensor:
    """The controller's next state: log-weight, smoothed L0, its smoothed change a step; (*s, 3)."""
    log_weight, seen, drift = control.unbind(-1)
    first = seen == 0
    now = torch.where(first, active, seen.lerp(active, 0.01))
    drift = torch.where(first, 0.0, drift.lerp(now - seen, 0.01))
    error = (now + drift / gain.clamp_min(1e-9)) / target.clamp_min(1e-9) - 1
    log_weight = (log_weight + gain * (3 * error).tanh()).clamp(-4.6, 4.6)
    return torch.where((target > 0)[..., None], torch.stack((log_weight, now, drift), -1), control)


EPS = 1e-8
"""added to |f|, so that the slope at small latents is finite"""
CHANGES = 10
"""values of p: 1, .9, ..., .1"""
RECENT = 10
"""batches over which old and new penalty are compared"""


def power_sum(f: Float[Tensor, "*s n m"], p: Float[Tensor, "*s"]) -> Float[Tensor, "*s"]:
    """sum_i (|f_i| + 1e-8)^p over the latents that are not 0, mean over rows; 0^p is 0, and has no slope."""
    powers = torch.where(f == 0, 0.0, (f.abs() + EPS) ** p[..., None, None])
    return powers.sum(-1).mean(-1)


@objective("power")
class Power(Term):
    """weight * |f|_p^p: p = 1 until step `start`, then a tenth less every `every` steps, down to .1.

    At each change the weight is multiplied by mean |f|_p^p (old p) / mean |f|_p^p (new p) over the last ten batches, so
    that the penalty goes on at the size it had. p, weight and the last batches are buffers: they are saved and resumed.

    Source: Karvonen et al. (2024), arXiv 2408.00113, p-annealing; values of p as in their public code.
    """

    name = "power"
    sparse = warmed = True
    names = {name: f"penalty.{name}" for name in ("p", "weight", "step", "recent")}  # noqa: RUF012
    start: Tensor
    every: Tensor
    p: Tensor
    weight: Tensor
    step: Tensor
    recent: Tensor

    def __init__(self, stack: Sizes, weight: NonNegative = 1.0, start: Count = 1000, every: Count = 200) -> None:
        super().__init__()
        self.keep(start=stack.tensor(start), every=stack.tensor(every))
        for name, value in (("start", self.start), ("every", self.every)):
            given = stack.settings.get(name, value.tolist())
            must(bool((value >= RECENT).all()), f"{stack.name}.{name}", f"at least {RECENT}", given, "raise it")
        at_first = stack.real(weight)
        self.register_buffer("p", torch.ones_like(at_first))
        self.register_buffer("weight", at_first.clone())
        self.register_buffer("step", torch.zeros_like(at_first))
        self.register_buffer("recent", torch.ones(*at_first.shape, RECENT, 2))

    def forward(self, out: Pass) -> Float[Tensor, "*s"]:
        return self.weight * power_sum(out.coded.penalised(), self.p)

    def after_step(self, out: Pass) -> None:
        """Anneal."""
        self.advance(out.coded.penalised())

    @torch.no_grad()
    def advance(self, f: Float[Tensor, "*s n m"]) -> None:
        """Take note of a training step's latents; lower p where it is time."""
        lower = self.p - 1 / CHANGES
        place = int(self.step.reshape(-1)[0]) % RECENT
        self.recent[..., place, 0] = power_sum(f, self.p)
        self.recent[..., place, 1] = power_sum(f, lower)
        self.step += 1
        since = self.step - self.start
        due = (since >= 0) & (since % self.every == 0) & (since // self.every < CHANGES - 1)
        old, new = self.recent.mean(-2).unbind(-1)
        self.weight.copy_(torch.where(due & (new > 0), self.weight * old / new.clamp_min(1e-30), self.weight))
        self.p.copy_(torch.where(due, lower, self.p))


@objective("nuclear")
class Nuclear(Term):
    """gamma |R|_* / sqrt(n) of a batch of n: R the low-rank part of an encoder that has one, else f W_dec.

    `norm` "factored" takes (|L|_F^2 + |Q|_F^2) / 2 of the factors of R = L Q in its place, which is at least as large.
    """

    name = "norm"
    warmed = True
    gamma: Tensor

    def __init__(
        self, stack: Sizes, gamma: NonNegative = 1.0, norm: Literal["nuclear", "factored"] = "nuclear"
    ) -> None:
        super().__init__()
        self.keep(gamma=stack.real(gamma))
        self.size = nuclear_norm if norm == "nuclear" else factored_norm

    def forward(self, out: Pass) -> Float[Tensor, "*s"]:
        left, right = out.encoder.factors(out)
        return self.gamma * self.size(left / out.x.shape[-2] ** 0.5, right)


@objective("norm_gap")
class NormGap(Term):
    """d weight (|f| - |x|)^2, mean over rows: d times that of Lee et al. (2025), arXiv 2503.24277."""

    name = "afa"
    d: int
    weight: Tensor

    def __init__(self, stack: Sizes, weight: NonNegative = 1 / 32) -> None:
        super().__init__()
        self.keep(weight=stack.real(weight), d=stack.d)

    def forward(self, out: Pass) -> Float[Tensor, "*s"]:
        values = out.codes if isinstance(out.codes, Tensor) else out.codes.values
        gap = values.norm(dim=-1) - out.x.norm(dim=-1)
        return self.d * self.weight * gap.square().mean(-1)


# --- by name ----------------------------------------------------------------------------------------------------------


def terms_of(stack: Sizes, text: str) -> dict[str, Term]:
    """The terms that a text such as "nested=1/16,1/4,1 auxk=32" names, by their names in the loss.

    Words are `name`, or `name=value,value` with the values of its settings in order, or `setting:value`; a number may
    be a fraction.

    Raises:
        ValueError: no such objective, or not the settings that it takes.
    """
    terms: dict[str, Term] = {}
    for word in text.split():
        name, _, values = word.partition("=")
        maker, where = OBJECTIVES[pick(name, OBJECTIVES, "objective")], f"objective {name}"
        positional, named = _arguments(values, where)
        term = _made(stack, maker, positional, named, where)
        must(term.name not in terms, where, "named once for each term of the loss", repr(text), "drop one")
        terms[term.name] = term
    must(terms, "objective", "one or more of name=value,value", repr(text), 'write "nested=1/16,1/4,1"')
    return terms


def _arguments(values: str, where: str) -> tuple[list[Any], dict[str, Any]]:
    positional: list[Any] = []
    named: dict[str, Any] = {}
    for entry in values.split(",") if values else ():
        key, colon, value = entry.partition(":")
        must(entry.strip(), where, "given values between its commas", repr(values), "drop the empty one")
        if colon:
            named[key] = _value(value)
        else:
            positional.append(_value(entry))
    return positional, named


def _value(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(Fraction(text))
    except (ValueError, ZeroDivisionError):
        return text


def _made(stack: Sizes, maker: Maker, positional: list[Any], named: Mapping[str, Any], where: str) -> Term:
    if any(p.kind is p.VAR_POSITIONAL for p in inspect.signature(maker).parameters.values()):
        numbers = all(isinstance(value, int | float) for value in positional) and not named
        must(numbers, where, "given numbers alone", (*positional, *named), "write nested=1/16,1/4,1")
        return maker(stack, *map(float, positional))
    settings = settings_of_signature(maker, where)
    order = list(settings)
    rule, advice = f"given at most {len(order)} values, {', '.join(order)}", "drop the others"
    must(len(positional) <= len(order), where, rule, len(positional), advice)
    given = dict(zip(order, positional, strict=False)) | dict(named)
    held = {}
    for name, value in given.items():
        pick(name, settings, f"setting of {where}")
        held[name] = settings[name].held(f"{where}.{name}", value, stack.shape, stack.m)
    return maker(stack, **held)
