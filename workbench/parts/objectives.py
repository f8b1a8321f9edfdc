"""Terms of a loss. Each goes with every encoder, by name from a command line or as an object in a variant."""

# ruff: noqa: D102 (overrides inherit theirs)

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any, ClassVar, Literal, NamedTuple, TypeVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, linalg

from synthetic.base.errors import must, pick
from synthetic.source import Codes
from workbench import kernels
from workbench.parts.base import Latents, Pass, Sizes, Term, drawn, must_be_part, squared_error
from workbench.parts.encoders import Gates, centred, view_norms, views_of
from workbench.parts.selections import must_be_same, same_count
from workbench.parts.sparsifiers import fired, packed, top_k
from workbench.ratios import unit_rows
from workbench.settings import Count, LatentCount, Natural, NonNegative, PositiveShare, settings_of_signature
from workbench.theory import concept_probes as theory

Thin = tuple[Float[Tensor, "*s n k"], Float[Tensor, "*s k"], Float[Tensor, "*s k m"]]


def thin_svd(left: Float[Tensor, "*s n r"], right: Float[Tensor, "*s r m"]) -> Thin:
    """Singular vectors and values of left @ right, at most min(n, r, m) of them, in O((n + m) r^2)."""
    q, a = linalg.qr(left)
    p, b = linalg.qr(right.mT)
    u, singular, v = linalg.svd(a @ b.mT, full_matrices=False)
    return q @ u, singular, v @ p.mT


def nuclear_norm(left: Float[Tensor, "*s n r"], right: Float[Tensor, "*s r m"]) -> Float[Tensor, "*s"]:
    """Sum of the singular values of left @ right.

    Written as <U V^T, left @ right> with U V^T held fixed, which has the norm's value and U V^T, a subgradient, as its
    gradient, also where singular values are equal or 0 and the derivative of an SVD is not finite.

    Source: Watson (1992), the subdifferential of matrix norms.
    """
    u, _, v = thin_svd(left.detach(), right.detach())
    return ((u.mT @ left) * (right @ v.mT).mT).sum((-1, -2))


def factored_norm(left: Float[Tensor, "*s n r"], right: Float[Tensor, "*s r m"]) -> Float[Tensor, "*s"]:
    """(|left|_F^2 + |right|_F^2) / 2, at least the nuclear norm of left @ right; equal where factors are `balanced`.

    Source: Srebro, Rennie, Jaakkola (2004), maximum-margin matrix factorization.
    """
    return theory.factored(left.square().sum((-1, -2)), right.square().sum((-1, -2)))


def balanced(
    left: Float[Tensor, "*s n r"], right: Float[Tensor, "*s r m"]
) -> tuple[Float[Tensor, "*s n k"], Float[Tensor, "*s k m"]]:
    """U sqrt(S) and sqrt(S) V^T of the product, at which `factored_norm` is the nuclear norm."""
    u, singular, v = thin_svd(left, right)
    root = singular.sqrt()
    return u * root[..., None, :], root[..., :, None] * v


Detach = Literal["none", "inner", "all"]
"""which losses leave the latents of shorter prefixes alone: none, those of proper prefixes, the full one too"""


def widths_of(owner: str, prefixes: tuple[float, ...], m: int) -> list[int]:
    """Prefix widths in latents from fractions of m; refuses fractions that do not increase to 1."""
    ordered = bool(prefixes) and all(0 < a < b for a, b in zip((1e-9, *prefixes), prefixes, strict=False))
    must(ordered and prefixes[-1] == 1, f"{owner}.prefixes", "increasing to 1", prefixes, "sort them and end with 1")
    return [max(1, round(share * m)) for share in prefixes]


def levels_of(frequency: Float[Tensor, "*s m"], widths: list[int]) -> Int[Tensor, "*s m"]:
    """Number of the shortest prefix that holds each latent, most frequent first; equals keep their order."""
    ranks = torch.arange(frequency.shape[-1], device=frequency.device)
    level = torch.bucketize(ranks, torch.tensor(widths, device=frequency.device), right=True)
    order = frequency.argsort(dim=-1, descending=True, stable=True)
    return torch.empty_like(order).scatter_(-1, order, level.expand_as(order))


def track_frequency(frequency: Float[Tensor, "*s m"], codes: Latents, rate: float = 0.01) -> None:
    """Running mean, in place, of each latent's share of samples on which it fires."""
    if isinstance(codes, Tensor):
        share = (codes.detach() != 0).to(frequency.dtype).mean(-2)
    else:
        share = torch.zeros_like(frequency)
        share.scatter_add_(-1, codes.indices.flatten(-2), (codes.values != 0).flatten(-2).to(share.dtype))
        share /= codes.values.shape[-2]
    frequency.lerp_(share, rate)


def prefix_loss(
    W_dec: Float[Tensor, "*s m d"],
    out: Pass,
    widths: list[int],
    frequency: Float[Tensor, "*s m"] | None,
    detach: Detach,
    inner_weight: Float[Tensor, "*s"],
) -> Float[Tensor, "*s"]:
    """Weighted mean over prefixes of |x - c - f W_dec restricted to the prefix|^2; the full one has weight 1.

    c is b_dec, and what joins the reconstruction beside latents, if anything does.

    Levels add up, so all of them cost one decode. With `detach` a shorter prefix enters the losses it names as a
    constant; c is then trained by the shortest prefix and the full one.

    Args:
        W_dec: rows of the decoder.
        out: forward pass.
        widths: prefix lengths, the last m.
        frequency: latents are ranked by it; None for the order they have.
        detach: see `Detach`.
        inner_weight: weight of each proper prefix.

    Source: Bussmann et al. (2025), arXiv 2503.17547; options from the LISTA-Matryoshka recipe (github.com/chanind/
    claude-auto-research-synthsaebench). Differs: averaged, not summed; "all" is ours.
    """
    errors, constant, x = [], out.constant, out.target
    inner = constant
    if len(widths) > 1:
        parts = _decoded(out.codes, W_dec, widths, frequency, len(widths) - (detach != "all"))
        for level in range(len(widths) - 1):
            inner = (inner.detach() if detach != "none" and level else inner) + next(parts)
            errors.append(squared_error(x, inner))
        if detach == "all":
            full = squared_error(x, inner.detach() + next(parts) + (constant - constant.detach()))
            return _mean(errors, full, inner_weight)
    return _mean(errors, squared_error(x, out.x_hat), inner_weight)


def _mean(errors: list[Tensor], full: Tensor, inner_weight: Tensor) -> Tensor:
    return (sum(errors, torch.zeros_like(full)) * inner_weight + full) / (1 + len(errors) * inner_weight)


def _decoded(
    codes: Latents, W_dec: Tensor, widths: list[int], frequency: Tensor | None, count: int
) -> Iterator[Float[Tensor, "*s n d"]]:
    """What each of the first `count` levels adds to the reconstruction."""
    if isinstance(codes, Codes):
        level = levels_of(W_dec.new_zeros(W_dec.shape[:-1]) if frequency is None else frequency, widths)
        for part in split(codes, level, count):
            yield kernels.decode(part, W_dec)
        return
    if frequency is not None:
        order = frequency.argsort(dim=-1, descending=True, stable=True)
        codes = codes.gather(-1, order[..., None, :].expand_as(codes))
        W_dec = W_dec.gather(-2, order[..., None].expand_as(W_dec))
    for start, stop in zip([0, *widths], widths[:count], strict=False):
        yield codes[..., start:stop] @ W_dec[..., start:stop, :]


def split(codes: Codes, level: Int[Tensor, "*s m"], count: int) -> list[Codes]:
    """The codes of each of the levels 0 ... count - 1, packed into as few slots as their fullest row needs."""
    *stack, n, k = codes.indices.shape
    own = level[..., None, :].expand(*stack, n, level.shape[-1]).gather(-1, codes.indices)
    own = own.masked_fill(codes.values == 0, level.shape[-1])  # unused slots last
    own, order = own.sort(stable=True)
    indices, values = codes.indices.gather(-1, order), codes.values.gather(-1, order)
    sizes = (own[..., None] == torch.arange(count, device=own.device)).sum(-2)
    starts = sizes.cumsum(-1) - sizes
    parts = []
    for number, slots in enumerate(sizes.reshape(-1, count).amax(0).clamp_min(1).tolist()):
        slot = torch.arange(slots, device=own.device)
        used = slot < sizes[..., number, None]
        at = (starts[..., number, None] + slot).clamp_max(k - 1)
        parts.append(Codes(indices.gather(-1, at), values.gather(-1, at) * used, codes.width))
    return parts


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
    parameters = list(inspect.signature(maker).parameters.values())
    kinds, advice = [p.kind for p in parameters], "write def __init__(self, stack, weight: NonNegative = 1.0): ..."
    bare = inspect.isclass(maker) and kinds[:1] == [inspect.Parameter.VAR_POSITIONAL]
    must(not bare, where, "on a class that is made of a stack and settings", "one without __init__", advice)
    if inspect.Parameter.VAR_POSITIONAL not in kinds:
        settings_of_signature(maker, where)


# --- reconstruction ---------------------------------------------------------------------------------------------------


class SquaredError(Term):
    """sum_d (x - x_hat)^2, mean over rows."""

    name = "mse"

    def forward(self, out: Pass) -> Float[Tensor, "*s"]:
        return squared_error(out.target, out.x_hat)


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
        rows = out.decoder.rows
        return prefix_loss(rows, out, self.widths, self.frequency, self.detach, self.inner_weight)

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
        alone = out.coded.gate @ out.decoder.rows.detach() + out.constant.detach()
        return squared_error(out.target, alone)


# --- dead latents -----------------------------------------------------------------------------------------------------


def aux_k_loss(out: Pass, dead: Bool[Tensor, "*s m"], k: int) -> Float[Tensor, "*s"]:
    """AuxK: squared error of the residual x - x_hat explained by its k largest dead pre-activations.

    sum_d, mean over rows, like the main error; 0 for members without dead latents. Where entries of both signs are
    selected: the k of largest magnitude. What they add is that of the decoder, without b_dec.

    Source: Gao et al. (2024), arXiv 2406.04093, section 2.4 and appendix A.2.
    """
    residual, evidence, encoder = (out.target - out.x_hat).detach(), out.evidence, out.encoder
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
    counters = ("silent",)
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

    reads_evidence = True
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
        looked = centred(out.coded.seen, out.decoder)
        a = torch.where(dead[..., None, :], looked @ out.encoder.columns(out.decoder), 0.0)
        k = torch.minimum(dead.sum(-1), self.latents).clamp_min(1)
        guess = kernels.decode(top_k(a, k), out.decoder.rows)
        return self.weight * squared_error(out.target - out.x_hat, guess) * dead.any(-1)


# --- penalties --------------------------------------------------------------------------------------------------------


class Control(NamedTuple):
    """How a weight is steered."""

    slope: float
    """of the controller in L0 / target"""
    ahead: float
    """over how many 1/gain steps the trend is followed"""
    rate: float
    """at which L0 and its trend are smoothed: so many gains, within [.01, .1]"""


PROMPT, GATED = Control(slope=1.0, ahead=0.2, rate=10.0), Control(slope=1.0, ahead=1.0, rate=10.0)
PATIENT = Control(slope=3.0, ahead=1.0, rate=3.0)
"""where latents follow the weight within a few steps, later, and where they take hundreds"""


class Steered(Term):
    """A penalty on how many latents fire, or how strongly, whose weight may be steered to a number of active ones.

    With a target the weight is multiplied by exp(c), and every step c grows by gain tanh(slope (L0 / target - 1)), L0
    being what the present trend leads to within ahead/gain steps: c would otherwise run away before latents follow. A
    gain of 0 is 20 over the steps of the training, within [3e-4, .01].

    Thresholds follow the weight slowly, biases under L1 at once: there L0 answers a weight that looks as far ahead by
    swings of a factor of two that never end, of which the mean alone is at the target.

    Source: the controller after SynthSAEBench's, arXiv 2602.14687. Differs: it looks ahead, theirs rests while L0 nears
    the target.
    """

    sparse = True
    counters = ("control",)
    weight: Tensor
    target_l0: Tensor
    gain: Tensor
    control: Tensor | None
    control_by: ClassVar[Control] = PATIENT

    def __init__(self, stack: Sizes, weight: NonNegative, target_l0: NonNegative, gain: NonNegative) -> None:
        super().__init__()
        self.keep(weight=stack.real(weight), target_l0=stack.real(target_l0), gain=stack.real(gain))
        steered, given = bool((self.target_l0 > 0).any()), stack.settings.get("target_l0", target_l0)
        whole, rule = not steered or bool((self.target_l0 > 0).all()), "above 0 for all members or for none"
        must(whole, f"{stack.name}.target_l0", rule, given, "make two stacks")
        within = bool((self.target_l0 <= stack.m).all())
        must(within, f"{stack.name}.target_l0", f"at most m={stack.m}", given, "lower it or raise m")
        moves = not steered or bool((self.weight > 0).all())
        must(moves, f"{stack.name}: weight of {self.name}", "above 0 where it is steered to a target", 0, "raise it")
        self.register_buffer("control", stack.zeros(3) if steered else None)
        self.pace = 3e-4

    def begin(self, steps: int) -> None:
        """In a short training the weight has as far to go."""
        self.pace = pace_of(steps)

    @property
    def weight_now(self) -> Float[Tensor, "*s"]:
        """The weight in force."""
        return self.weight if self.control is None else self.weight * self.control[..., 0].exp()

    def after_step(self, out: Pass) -> None:
        """Steer the weight."""
        if self.control is not None:
            active = (out.dense() != 0).sum(-1).to(self.control.dtype).mean(-1)
            gain = torch.where(self.gain > 0, self.gain, self.pace)
            by = GATED if isinstance(out.coded, Gates) else self.control_by
            self.control.copy_(steer(self.control, active, self.target_l0, gain, by))


@objective("l1")
class L1(Steered):
    """weight |f|_1; of a gated encoder its gates, of one with a low-rank part the sparse part."""

    name = "l1"
    control_by = PROMPT

    def __init__(
        self,
        stack: Sizes,
        weight: NonNegative = 1.0,
        *,
        warmed: bool = True,
        target_l0: NonNegative = 0.0,
        gain: NonNegative = 0.0,
    ) -> None:
        super().__init__(stack, weight, target_l0, gain)
        self.warmed = warmed

    def forward(self, out: Pass) -> Float[Tensor, "*s"]:
        f = out.coded.penalised()
        return self.weight_now * (f if out.encoder.nonnegative else f.abs()).sum(-1).mean(-1)


class RowL1(L1):
    """weight sum_i |f_i| sum_v |w_i^v|, w_i^v the part of row i in view v: what shorter rows cannot evade."""

    def __init__(self, stack: Sizes, weight: NonNegative = 1.0, views: Count = 1) -> None:
        super().__init__(stack, weight)
        self.views = views_of(stack, views)

    def forward(self, out: Pass) -> Float[Tensor, "*s"]:
        f = out.coded.penalised().abs() * view_norms(out.decoder.rows, self.views)[..., None, :]
        return self.weight * f.sum(-1).mean(-1)


@objective("l0")
class L0(Steered):
    """weight |f|_0, its gradient by a rectangle kernel: a JumpReLU's own one, else one of width 1 around f = 0.

    Source: Rajamanoharan et al. (2024), arXiv 2407.14435.
    """

    name = "l0"
    warmed = True

    def __init__(
        self, stack: Sizes, weight: NonNegative = 1.0, target_l0: NonNegative = 0.0, gain: NonNegative = 0.0
    ) -> None:
        super().__init__(stack, weight, target_l0, gain)

    def forward(self, out: Pass) -> Float[Tensor, "*s"]:
        return self.weight_now * out.encoder.active(out).mean(-1)


def pace_of(steps: int) -> float:
    """The gain of a controller that has none of its own, in a training of so many steps."""
    return min(0.01, max(3e-4, 20 / steps))


def steer(control: Tensor, active: Tensor, target: Tensor, gain: Tensor, by: Control) -> Tensor:
    """The controller's next state: log-weight, smoothed L0, its smoothed change a step; (*s, 3)."""
    log_weight, seen, drift = control.unbind(-1)
    first, rate = seen == 0, (by.rate * gain).clamp(0.01, 0.1)
    now = torch.where(first, active, seen.lerp(active, rate))
    drift = torch.where(first, 0.0, drift.lerp(now - seen, rate))
    error = (now + by.ahead * drift / gain) / target - 1
    log_weight = (log_weight + gain * (by.slope * error).tanh()).clamp(-4.6, 4.6)
    return torch.stack((log_weight, now, drift), -1)


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
    counters = ("step",)
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
        gap = values.norm(dim=-1) - out.target.norm(dim=-1)
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
        must_be_part(where, term, Term)
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
        return maker(replace(stack, name=where, settings={}), *map(float, positional))
    settings = settings_of_signature(maker, where)
    order = list(settings)
    rule, advice = f"given at most {len(order)} values, {', '.join(order)}", "drop the others"
    must(len(positional) <= len(order), where, rule, len(positional), advice)
    given = dict(zip(order, positional, strict=False)) | dict(named)
    held = {}
    for name, value in given.items():
        pick(name, settings, f"setting of {where}")
        held[name] = settings[name].held(f"{where}.{name}", value, stack.shape, stack.m)
    return maker(replace(stack, name=where, settings=given), **held)


def codes_of(out: Pass) -> Codes:
    """Latents in sparse form; as many slots as the fullest row needs where they are dense."""
    if isinstance(out.codes, Codes):
        return out.codes
    fires, felt = out.codes != 0, out.encoder.felt(out)
    return packed(out.codes, fires if felt is None else fires | felt)


def in_order(codes: Codes, order: Int[Tensor, "*s n k"]) -> Codes:
    """The slots of each row that `order` names, in its order."""
    return Codes(codes.indices.gather(-1, order), codes.values.gather(-1, order), codes.width)


def partial_errors(out: Pass, codes: Codes) -> Float[Tensor, "*s n t"]:
    """|x - b_dec - sum_{i < t} f_i w_i|^2 of each row for t = 0, ..., k: latents join in the order of their slots.

    Time and memory are n k d numbers.
    """
    where, advice = "the decoder of an objective on partial sums", "use an encoder whose decoder is rows"
    must(out.decoder.linear, where, "linear in latents", type(out.decoder).__name__, advice)
    left = out.target - out.constant
    added = codes.values[..., None] * _rows_at(out.decoder.rows, codes.indices)
    return (
        (left[..., None, :] - torch.cat((torch.zeros_like(left)[..., None, :], added.cumsum(-2)), -2)).square().sum(-1)
    )


def _rows_at(rows: Float[Tensor, "*s m d"], indices: Int[Tensor, "*s n k"]) -> Float[Tensor, "*s n k d"]:
    *stack, m, d = rows.shape
    members = torch.arange(rows[..., 0, 0].numel(), device=rows.device).view(*stack, 1, 1)
    return rows.reshape(-1, d)[indices + m * members]


@objective("hierarchical")
class Hierarchical(Term):
    """Mean over j of |x - b_dec - the j largest latents' f_i w_i|^2: over j = 1, ..., k, or over 1, 2, 4, ... and k.

    The last one, j = k, is of the whole code: an encoder may give more latents than k.

    Source: Balagansky et al. (2025), HierarchicalTopK, arXiv 2505.24473. Differs: goes with every encoder; which subset
    of budgets the paper takes is not known, powers of 2 are ours.
    """

    name = "mse"
    k: Tensor
    budgets: Literal["all", "powers"]

    def __init__(self, stack: Sizes, k: LatentCount = 4, budgets: Literal["all", "powers"] = "all") -> None:
        super().__init__()
        self.keep(k=stack.tensor(k), budgets=budgets)

    def forward(self, out: Pass) -> Float[Tensor, "*s"]:
        codes, k = codes_of(out), self.k[..., None]
        budgets = torch.arange(1, int(self.k.max()), device=k.device)
        among = budgets < k
        if self.budgets == "powers":
            among = among & (budgets & (budgets - 1) == 0)
        weight = among.to(out.x_hat.dtype)
        most = min(weight.shape[-1], codes.values.shape[-1])
        largest = codes.values.detach().abs().argsort(dim=-1, descending=True, stable=True)[..., :most]
        errors = partial_errors(out, in_order(codes, largest))[..., 1:].mean(-2)
        total, within = weight.sum(-1) + 1, weight[..., :most]
        whole = (out.target - out.x_hat).square().sum(-1).mean(-1)  # also of budgets that no row fills
        return ((errors * within).sum(-1) + (total - within.sum(-1)) * whole) / total


@objective("ordered")
class Ordered(Term):
    """sum_j p_j |x - b_dec - f[:j] W_dec[:j]|^2 over all prefixes of the latents, j = 1, ..., m; sum_j p_j = 1.

    p_j is proportional to r^(j / m): r = 1 weighs all prefixes alike, a smaller r the short ones more. Exact for all m
    at the price of as many errors as latents fire, since an error changes at these alone.

    Source: Wang et al. (2025), Ordered SAE, arXiv 2512.02194. Differs: the shape of p is ours.
    """

    name = "mse"
    before: Tensor
    """sum of p_j over j <= i, for latent i = 0, ..., m - 1: prefixes that do not hold it"""

    def __init__(self, stack: Sizes, r: PositiveShare = 1.0) -> None:
        super().__init__()
        share = stack.real(r).double()[..., None]
        p = share ** (torch.arange(1, stack.m + 1, dtype=torch.float64) / stack.m)
        before = torch.cat((torch.zeros_like(share), (p / p.sum(-1, keepdim=True)).cumsum(-1)), -1)[..., :-1]
        self.keep(before=before.float())

    def forward(self, out: Pass) -> Float[Tensor, "*s"]:
        codes = codes_of(out)
        codes = in_order(codes, codes.indices.argsort(dim=-1, stable=True))
        before = self.before[..., None, :].expand(*codes.indices.shape[:-1], -1).gather(-1, codes.indices)
        ends = torch.zeros_like(before[..., :1])
        weight = torch.cat((before, ends + 1), -1) - torch.cat((ends, before), -1)
        return (partial_errors(out, codes) * weight).sum(-1).mean(-1)


@objective("elastic")
class ElasticNet(Steered):
    """l1 |f|_1 + l2 |f|_2^2, mean over rows; of a gated encoder its gates, of one with a low-rank part the sparse part.

    A target steers l1. l2 > 0 makes codes unique and Lipschitz in x: least squares plus this is strongly convex in f.

    Source: Zou and Hastie (2005), elastic net; as a penalty of SAEs the adaptive elastic net SAE, arXiv 2605.05341.
    Differs: that one weighs |f_i| by a running pilot, here all latents weigh alike.
    """

    name = "elastic"
    warmed = True
    control_by = PROMPT
    l2: Tensor

    def __init__(
        self,
        stack: Sizes,
        l1: NonNegative = 1.0,
        l2: NonNegative = 0.1,
        target_l0: NonNegative = 0.0,
        gain: NonNegative = 0.0,
    ) -> None:
        super().__init__(stack, l1, target_l0, gain)
        self.keep(l2=stack.real(l2))

    def forward(self, out: Pass) -> Float[Tensor, "*s"]:
        f = out.coded.penalised()
        return self.weight_now * f.abs().sum(-1).mean(-1) + self.l2 * f.square().sum(-1).mean(-1)


@objective("orthogonal")
class Orthogonality(Term):
    """weight times the mean over rows w_i of max_j cos(w_i, w_j)^2, j another row of the same chunk.

    Chunks are of at most `size` latents but of two at least, as equal as can be, and drawn anew every step, so that the
    cost is m size d in place of m^2 d. Over m > d rows its expectation over chunks is at least (m - d) / (d (m - 1))
    (Welch), attained by an equiangular tight frame.

    Source: Korznikov et al. (2025), OrtSAE, arXiv 2509.22033, as reported by readers; weight and size are ours.
    """

    name = "orthogonal"
    weight: Tensor
    size: Tensor
    steps: Tensor
    seed: Any
    shape: tuple[int, ...]
    names = {"steps": "orthogonal.steps"}  # noqa: RUF012
    counters = ("steps",)

    def __init__(self, stack: Sizes, weight: NonNegative = 1.0, size: Count = 4096) -> None:
        super().__init__()
        self.keep(weight=stack.real(weight), size=stack.tensor(size), seed=stack.seed, shape=stack.shape)
        must_be_same(stack, "size", self.size)
        self.register_buffer("steps", stack.zeros())

    def forward(self, out: Pass) -> Float[Tensor, "*s"]:
        rows = unit_rows(out.decoder.rows)
        m = rows.shape[-2]
        chunks = max(1, min(-(-m // int(self.size.reshape(-1)[0])), m // 2))  # a row alone would pay nothing
        if chunks > 1:
            rows = rows.take_along_dim(self.order(m).to(rows.device)[..., None], -2)
        worst = [nearest(chunk) for chunk in rows.tensor_split(chunks, dim=-2)]
        return self.weight * torch.cat(worst, -1).mean(-1)

    def order(self, m: int) -> Tensor:
        """The order of this step in which latents fall into chunks, (*s, m)."""
        step = int(self.steps.reshape(-1)[0])
        return drawn(self.seed, self.shape, f"chunks {step}", lambda rng: torch.randperm(m, generator=rng))

    def after_step(self, out: Pass) -> None:
        """Count, so that the next chunks are others."""
        self.steps += 1


def nearest(rows: Float[Tensor, "*s m d"]) -> Float[Tensor, "*s m"]:
    """max_{j != i} <w_i, w_j>^2 of each row; 0 where it is alone."""
    squares = (rows @ rows.mT).square()
    return squares.masked_fill(torch.eye(rows.shape[-2], dtype=torch.bool, device=rows.device), 0.0).amax(-1)


@objective("block_nuclear")
class BlockNuclear(Term):
    """gamma times the mean over blocks of |W_enc[:, block] W_dec[block]|_*, which lowers the rank of a block's map.

    Source: Dalili and Mahdavi (2026), arXiv 2606.06333, as reported by readers: a nuclear norm on each block's map.
    """

    name = "nuclear"
    warmed = True
    gamma: Tensor
    size: Tensor

    def __init__(self, stack: Sizes, gamma: NonNegative = 1.0, size: Count = 2) -> None:
        super().__init__()
        self.keep(gamma=stack.real(gamma), size=stack.tensor(size))
        self.each = same_count(stack, "size", self.size)
        must(stack.m % self.each == 0, "block_nuclear.size", f"a divisor of m={stack.m}", self.each, "change m or it")

    def forward(self, out: Pass) -> Float[Tensor, "*s"]:
        blocks = (-1, self.each)
        columns, rows = (w.unflatten(-2, blocks) for w in (out.encoder.columns(out.decoder).mT, out.decoder.rows))
        return self.gamma * nuclear_norm(columns.mT, rows).mean(-1)


@objective("distances")
class Distances(Term):
    """gamma sum_i f_i |x - b_dec - e_i|^2, mean over rows: codes use prototypes, columns of W_enc, that are near.

    Source: Tasissa et al. (2023), K-deep simplex, arXiv 2012.02134, whose atoms are those of the decoder; an option in
    SpaDE's reference code, with weight .1.
    """

    name = "distances"
    warmed = True
    gamma: Tensor

    def __init__(self, stack: Sizes, gamma: NonNegative = 0.1) -> None:
        super().__init__()
        self.keep(gamma=stack.real(gamma))

    def forward(self, out: Pass) -> Float[Tensor, "*s"]:
        f, x, columns = out.dense(), centred(out.x, out.decoder), out.encoder.columns(out.decoder)
        squares = x.square().sum(-1, keepdim=True) - 2 * x @ columns + columns.square().sum(-2)[..., None, :]
        return self.gamma * (f * squares).sum(-1).mean(-1)
