"""Encoders that look at their input once or a few times: what makes latents of activations."""

# ruff: noqa: D102 (overrides inherit theirs)

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from synthetic.base.errors import must
from synthetic.source import Codes
from workbench import kernels
from workbench.parts import pursuit
from workbench.parts.base import Coded, Decoder, Encoder, Latents, Pass, Renewed, Sizes, dense, must_be_part, sparse_now
from workbench.parts.bias_control import positive
from workbench.parts.selections import BatchTopK, Selection, must_be_same, same_count
from workbench.parts.semi_nmf import best_codes
from workbench.parts.sparsifiers import masked, norm_match, packed, soft_threshold
from workbench.settings import Count, LatentCount, Natural, NonNegative, Positive, Probability, Real


def product(
    x: Float[Tensor, "*b n d"],
    columns: Float[Tensor, "*s d m"],
    b_dec: Float[Tensor, "*s d"],
    bias: Float[Tensor, "*s m"] | None = None,
) -> Float[Tensor, "*s n m"]:
    """(x - b_dec) W_enc, plus a bias."""
    fixed = b_dec.detach()  # its gradient comes through a term that is 0: backward needs a large product fewer
    made = (x - fixed[..., None, :]) @ columns
    if torch.is_grad_enabled():
        nothing = ((fixed - b_dec)[..., None, :] @ columns).squeeze(-2)
        bias = nothing if bias is None else bias + nothing
    return made if bias is None else made + bias[..., None, :]


def centred(x: Float[Tensor, "*b n d"], decoder: Decoder) -> Float[Tensor, "*s n d"]:
    """x - b_dec."""
    return x - decoder.centre[..., None, :]


class Linear(Encoder):
    """What has a W_enc of its own, which starts at the transposed rows."""

    W_enc: nn.Parameter

    def __init__(self, stack: Sizes) -> None:
        super().__init__()
        self.W_enc = nn.Parameter(stack.rows.clone().mT)  # columns lie together, as sparse gradients come

    def columns(self, decoder: Decoder) -> Float[Tensor, "*s d m"]:
        return self.W_enc

    def scaled(self) -> dict[str, Tensor] | None:
        return {"W_enc": self.W_enc}

    def renewed(self, dead: Bool[Tensor, "*s m"], rows: Float[Tensor, "*s m d"]) -> Renewed:
        return renewed_columns(self.W_enc, dead, rows)


def renewed_columns(W_enc: nn.Parameter, dead: Bool[Tensor, "*s m"], rows: Float[Tensor, "*s m d"]) -> Renewed:
    """Columns along rows, of .2 times the mean norm of live ones."""
    norms = W_enc.norm(dim=-2)
    mean_norm = (norms * ~dead).sum(-1, keepdim=True) / (~dead).sum(-1, keepdim=True).clamp_min(1)
    mean_norm = torch.where(mean_norm > 0, mean_norm, torch.ones_like(mean_norm))
    return {W_enc: (dead[..., None, :], (0.2 * mean_norm[..., None] * rows).mT)}


class Affine(Linear):
    """f = selection((x - b_dec) W_enc + b_enc)."""

    def __init__(self, stack: Sizes, selection: Selection) -> None:
        super().__init__(stack)
        must_be_part(f"{stack.name}: selection of {type(self).__name__}", selection, Selection)
        self.b_enc = nn.Parameter(stack.zeros(stack.m))
        self.selection = selection
        self.nonnegative, self.rowwise = selection.nonnegative, selection.rowwise
        self.compares, self.keeps_entries = selection.compares, selection.keeps_entries
        self.positional = selection.positional

    def product(self, x: Float[Tensor, "*b n d"], decoder: Decoder) -> Float[Tensor, "*s n m"]:
        """Pre-activations."""
        return product(x, self.columns(decoder), decoder.centre, self.b_enc)

    def forward(self, x: Float[Tensor, "*b n d"], decoder: Decoder) -> Coded:
        """Latents; backward costs what the code costs where the selection keeps entries."""
        if not (self.keeps_entries and sparse_now(self.W_enc.shape[-1])):
            evidence = self.product(x, decoder)
            return Coded(self.selection(evidence), evidence, x)
        with torch.no_grad():
            evidence, codes = self._search(x, decoder)
        return Coded(self.entries(x, codes, decoder), evidence, x)

    def _search(self, x: Tensor, decoder: Decoder) -> tuple[Tensor, Codes]:
        """Pre-activations and sparse latents: in one call where the selection has one, else one after the other."""
        found = self.selection.search(centred(x, decoder), self.columns(decoder), self.b_enc)
        if found is not None:
            return found
        evidence = self.product(x, decoder)
        codes = self.selection(evidence)
        return evidence, codes if isinstance(codes, Codes) else packed(codes, codes != 0)

    def entries(self, seen: Tensor, codes: Codes, decoder: Decoder) -> Codes:
        return kernels.encoded(codes, seen, self.columns(decoder), self.b_enc, decoder.centre)

    def active(self, out: Pass) -> Float[Tensor, "*s n"]:
        found = self.selection.open(out.evidence)
        return super().active(out) if found is None else found.sum(-1)

    def felt(self, out: Pass) -> Bool[Tensor, "*s n m"] | None:
        return self.selection.felt(out.evidence)

    def scaled(self) -> dict[str, Tensor] | None:
        return {"W_enc": self.W_enc, "b_enc": self.b_enc} | self.selection.scaled()

    def renewed(self, dead: Bool[Tensor, "*s m"], rows: Float[Tensor, "*s m d"]) -> Renewed:
        biases: Renewed = {self.get_parameter("b_enc"): (dead, torch.zeros_like(self.b_enc))}
        return super().renewed(dead, rows) | biases | self.selection.renewed(dead)

    def after_step(self, out: Pass) -> None:
        self.selection.follow(out.codes)


def views_of(stack: Sizes, views: Count) -> int:
    """A number of equally wide views, the same for all members and a divisor of d."""
    number = same_count(stack, "views", views)
    must(stack.d % number == 0, f"{stack.name}.views", f"a divisor of d={stack.d}", number, "change it")
    return number


def view_norms(rows: Float[Tensor, "*s m d"], views: int) -> Float[Tensor, "*s m"]:
    """Sum over equally wide views of the norms of rows' parts in them."""
    return rows.unflatten(-1, (views, -1)).norm(dim=-1).sum(-1)


class ByContribution(Affine):
    """f = entries of z = (x - b_dec) W_enc + b_enc, those that `selection` keeps of z_i sum_v |w_i^v|, v over views."""

    def __init__(self, stack: Sizes, selection: BatchTopK, views: Count = 1) -> None:
        super().__init__(stack, selection)
        self.views = views_of(stack, views)

    def forward(self, x: Float[Tensor, "*b n d"], decoder: Decoder) -> Coded:
        evidence = self.product(x, decoder)
        with torch.no_grad():
            kept = dense(self.selection(evidence * view_norms(decoder.rows, self.views)[..., None, :])) != 0
        return Coded(masked(evidence, kept), evidence, x)

    def scaled(self) -> dict[str, Tensor] | None:
        return {"W_enc": self.W_enc, "b_enc": self.b_enc}

    def after_step(self, out: Pass) -> None:
        """Thresholds follow contributions."""
        self.selection.follow(out.dense() * view_norms(out.decoder.rows, self.views)[..., None, :])


@dataclass(frozen=True)
class Guessed(Coded):
    """Latents, and those of a first guess."""

    guess: Latents


class TwoLooks(Affine):
    """z0 = (x - b_dec) W_enc + b_enc, f0 = first(z0), z1 = z0 + eta (x - b_dec - f0 W_dec) W_enc, f = selection(z1).

    The added term is a step down the gradient of |x - b_dec - f W_dec|^2 / 2 in f, with W_enc in the place of W_dec^T.

    Source: Gregor and LeCun (2010), LISTA; one step of it, from z0 instead of f0.
    """

    eta: Tensor

    def __init__(self, stack: Sizes, first: BatchTopK, selection: BatchTopK, eta: NonNegative) -> None:
        super().__init__(stack, selection)
        self.keep(eta=stack.real(eta))
        self.first = first

    def forward(self, x: Float[Tensor, "*b n d"], decoder: Decoder) -> Coded:
        sparse = sparse_now(self.W_enc.shape[-1])
        with torch.set_grad_enabled(torch.is_grad_enabled() and not sparse):
            guess = self.first(self.product(x, decoder))
        if sparse and isinstance(guess, Codes):
            guess = self.entries(x, guess, decoder)
        left = centred(x, decoder) - decoder(guess)
        coded = super().forward(x + self.eta[..., None, None] * left, decoder)
        return Guessed(coded.latents, coded.evidence, coded.seen, guess)

    def scaled(self) -> dict[str, Tensor] | None:
        return (super().scaled() or {}) | self.first.scaled()

    def after_step(self, out: Pass) -> None:
        if isinstance(out.coded, Guessed):
            self.first.follow(out.coded.guess)
        super().after_step(out)


@dataclass(frozen=True)
class Gates(Coded):
    """Latents that gates decide on."""

    b_gate: Tensor

    @cached_property
    def gate(self) -> Float[Tensor, "*s n m"]:
        """relu(z + b_gate)."""
        z = self.evidence
        return self.b_gate if z is None else (z + self.b_gate[..., None, :]).relu()

    def penalised(self) -> Float[Tensor, "*s n m"]:
        """The gates."""
        return self.gate


class Gated(Linear):
    """f = 1[z + b_gate > 0] relu(e^r_mag z + b_mag), z = (x - b_dec) W_enc."""

    def __init__(self, stack: Sizes) -> None:
        super().__init__(stack)
        self.b_gate, self.b_mag, self.r_mag = (nn.Parameter(stack.zeros(stack.m)) for _ in range(3))

    def forward(self, x: Float[Tensor, "*b n d"], decoder: Decoder) -> Coded:
        z = product(x, self.W_enc, decoder.centre)
        magnitude = (z * self.r_mag.exp()[..., None, :] + self.b_mag[..., None, :]).relu()
        return Gates(magnitude * (z + self.b_gate[..., None, :] > 0), z, x, self.b_gate)

    def scaled(self) -> dict[str, Tensor] | None:
        return {"W_enc": self.W_enc, "b_gate": self.b_gate, "b_mag": self.b_mag}

    def renewed(self, dead: Bool[Tensor, "*s m"], rows: Float[Tensor, "*s m d"]) -> Renewed:
        nothing = torch.zeros_like(self.b_gate)
        return super().renewed(dead, rows) | {p: (dead, nothing) for p in (self.b_gate, self.b_mag, self.r_mag)}


@dataclass(frozen=True)
class LowRank(Coded):
    """Latents, and the left factor of a low-rank part; `reading` says where that part goes."""

    sparse_part: Float[Tensor, "*s n m"]
    left: Float[Tensor, "*s n r"]
    right: Float[Tensor, "*s r w"]
    reading: str

    def penalised(self) -> Float[Tensor, "*s n m"]:
        """The sparse part."""
        return self.sparse_part

    @property
    def beside(self) -> Float[Tensor, "*s n d"] | None:
        return self.left @ self.right if self.reading == "residual" else None


class PlusLowRank(Affine):
    """S = selection((x - b_dec) W_enc + b_enc) and R = (x - b_dec) P Q; f = S + R, or f = S where R joins x_hat."""

    nonnegative = False
    reading: Literal["latents", "residual"]

    def __init__(
        self, stack: Sizes, selection: Selection, rank: Count, reading: Literal["latents", "residual"]
    ) -> None:
        super().__init__(stack, selection)
        ranks = stack.tensor(rank)
        same, given = bool((ranks == ranks.flatten()[0]).all()), stack.settings.get("rank", rank)
        must(same, f"{stack.name}.rank", "at least 1, the same for all members", given, "change it")
        d, r, wide = stack.d, int(ranks.max()), stack.m if reading == "latents" else stack.d
        self.P = nn.Parameter(
            stack.drawn("P", lambda rng: torch.randn(d, r, generator=rng, dtype=torch.float32) / 10 / d**0.5)
        )
        self.Q = nn.Parameter(
            stack.drawn("Q", lambda rng: torch.randn(r, wide, generator=rng, dtype=torch.float32) / 10 / wide**0.5)
        )
        self.reading, self.nonnegative, self.keeps_entries = reading, False, False

    def forward(self, x: Float[Tensor, "*b n d"], decoder: Decoder) -> Coded:
        evidence, left = self.product(x, decoder), centred(x, decoder) @ self.P
        sparse = self.selection(evidence)
        sparse = sparse.dense() if isinstance(sparse, Codes) else sparse
        latents = sparse + left @ self.Q if self.reading == "latents" else sparse
        return LowRank(latents, evidence, x, sparse, left, self.Q, self.reading)

    def scaled(self) -> dict[str, Tensor] | None:
        return (super().scaled() or {}) | ({"Q": self.Q} if self.reading == "latents" else {})

    def after_step(self, out: Pass) -> None:
        """Thresholds follow the sparse part, which they select."""
        self.selection.follow(out.coded.penalised())

    def factors(self, out: Pass) -> tuple[Float[Tensor, "*s n r"], Float[Tensor, "*s r w"]]:
        """(x - b_dec) P and Q."""
        return (out.coded.left, self.Q) if isinstance(out.coded, LowRank) else super().factors(out)


class NormMatched(Linear):
    """The k* largest a_i |w_i| of a = relu((x - b_dec) W_enc), their norm nearest |x - b_dec| or |x|; no b_enc.

    No gradient goes through the choice.

    Source: Lee et al. (2025), arXiv 2503.24277, and its reference code.
    """

    least: Tensor
    most: Tensor
    rule: Literal["norm", "square", "reach"]
    target: Literal["centred", "raw"]
    sentinel: bool
    precise: bool

    def __init__(
        self,
        stack: Sizes,
        *,
        rule: Literal["norm", "square", "reach"] = "norm",
        target: Literal["centred", "raw"] = "centred",
        sentinel: bool = True,
        least: Natural = 1,
        most: Natural = 0,
        precise: bool = False,
        start: Tensor | None = None,
    ) -> None:
        super().__init__(stack)
        self.keep(least=stack.tensor(least), most=stack.tensor(most), rule=rule, target=target)
        self.keep(sentinel=sentinel, precise=precise)
        limit = torch.where(self.most > 0, self.most, stack.m)
        fits = bool(((self.least <= limit) & (limit <= stack.m)).all())
        said, given = f"at most `most`, and that at most m={stack.m}", stack.settings.get("least", least)
        must(fits, f"{stack.name}.least", said, given, "lower both")
        if start is not None:
            self.W_enc.data.copy_(start)

    def forward(self, x: Float[Tensor, "*b n d"], decoder: Decoder) -> Coded:
        seen = centred(x, decoder)
        evidence = seen @ self.W_enc
        a = evidence.relu()
        exact = torch.Tensor.double if self.precise else torch.Tensor.detach
        size = exact(a.detach()) * exact(decoder.rows.norm(dim=-1))[..., None, :]
        tau = exact(self.matched(seen, decoder)).norm(dim=-1)
        most = torch.where(self.most > 0, self.most, a.shape[-1])[..., None]
        mark = 1e4 if self.sentinel else None
        chosen = norm_match(size, tau, rule=self.rule, sentinel=mark, least=self.least[..., None], most=most)
        return Coded(masked(a, chosen), evidence, x)

    @property
    def as_published(self) -> bool:
        """Whether the rule is that of the reference: nearest in norm to |x - b_dec|, one latent at least."""
        free = bool((self.least == 1).all() and (self.most == 0).all())
        return free and self.rule == "norm" and self.target == "centred"

    def matched(self, seen: Float[Tensor, "*s n d"], decoder: Decoder) -> Float[Tensor, "*s n d"]:
        """What the norm of the latents is to match that of."""
        return seen if self.target == "centred" else seen + decoder.centre[..., None, :]

    def contributions(self, x: Float[Tensor, "*b n d"], decoder: Decoder) -> Float[Tensor, "*s n m"]:
        """a_i |w_i|."""
        return (centred(x, decoder) @ self.W_enc).relu() * decoder.rows.norm(dim=-1)[..., None, :]

    def saturated(self, x: Float[Tensor, "*b n d"], decoder: Decoder) -> Bool[Tensor, "*s n"] | None:
        """Samples whose latents together fall short of the target, so that none is left out."""
        target = self.matched(centred(x, decoder), decoder).norm(dim=-1)
        return self.contributions(x, decoder).norm(dim=-1) < target


class Steered(Encoder):
    """f_j = a_j phi(y_j), y = (x - b_dec) W + b_enc, of a b_enc that is no parameter; W = W_dec^T where tied.

    phi(y) = y - b_enc where y > 0 ("jump": no shrinkage) or relu(y).

    Source: Chen et al. (2025), arXiv 2506.14002.
    """

    nonnegative = False
    W_enc: nn.Parameter | None
    a: nn.Parameter | None
    output: Literal["jump", "relu"]

    def __init__(self, stack: Sizes, output: Literal["jump", "relu"], *, tied: bool, trained_scale: bool) -> None:
        super().__init__()
        self.output = output
        self.register_parameter("W_enc", None if tied else nn.Parameter(stack.rows.clone().mT))
        self.register_parameter("a", nn.Parameter(torch.ones(*stack.shape, stack.m)) if trained_scale else None)
        self.register_buffer("b_enc", stack.zeros(stack.m))

    def columns(self, decoder: Decoder) -> Float[Tensor, "*s d m"]:
        return decoder.rows.mT if self.W_enc is None else self.W_enc

    def forward(self, x: Float[Tensor, "*b n d"], decoder: Decoder) -> Coded:
        y = product(x, self.columns(decoder), decoder.centre, self.b_enc)
        f = (y - self.b_enc[..., None, :]) * positive(y) if self.output == "jump" else y.relu()
        return Coded(f if self.a is None else f * self.a[..., None, :], y, x)

    def renewed(self, dead: Bool[Tensor, "*s m"], rows: Float[Tensor, "*s m d"]) -> Renewed:
        return {} if self.W_enc is None else renewed_columns(self.W_enc, dead, rows)


class Spherical(Encoder):
    """f = a phi(u - t), u = x W_dec^T, t fixed; a batch takes rows w to (w + step G) / |w + step G|.

    G = mean over rows of g(u) x, g = (2u - t) 1[u > t] for phi = relu, 2u 1[u > t] for "jump" (phi = u 1[u > t], its
    jump ignored); step = 0 stands for an infinite one, w <- G / |G|. The optimiser's own step on W_dec is overwritten.

    t is the Gaussian quantile P(N(0, 1) > t) = rate.
    """

    nonnegative = False
    t: Tensor
    step: Tensor
    a: Tensor
    row: Tensor
    output: Literal["jump", "relu"]

    def __init__(
        self, stack: Sizes, rate: Probability, step: NonNegative, a: Positive, output: Literal["jump", "relu"]
    ) -> None:
        super().__init__()
        self.keep(step=stack.real(step), a=stack.real(a), output=output)
        self.register_buffer("row", stack.rows.clone())
        self.register_buffer("t", -torch.special.ndtri(stack.real(rate))[..., None, None], persistent=False)

    def forward(self, x: Float[Tensor, "*b n d"], decoder: Decoder) -> Coded:
        if self.training:
            self.row.copy_(decoder.rows.detach())  # those that this batch is seen with
        u = product(x, decoder.rows.mT, decoder.centre)
        phi = (u - self.t).relu() if self.output == "relu" else u * (u > self.t).to(u.dtype)
        return Coded(self.a[..., None, None] * phi, u, x)

    def after_step(self, out: Pass) -> None:
        """The spherical step, from the rows that the batch was seen with; a row that fired nowhere stays.

        Rows that are not kept at norm 1 stay on spheres of their norms.
        """
        rows = out.decoder.rows
        if not rows.requires_grad:
            return
        u = out.evidence.to(out.x.dtype)
        g = ((2 * u - self.t) if self.output == "relu" else 2 * u) * (u > self.t)
        ascent = g.mT @ out.x / out.x.shape[-2]
        step = self.step[..., None, None]
        moved = torch.where(step > 0, self.row + step * ascent, ascent)
        norm = moved.norm(dim=-1, keepdim=True)
        if not out.decoder.unit:
            norm = norm / self.row.norm(dim=-1, keepdim=True)
        self.row.copy_(torch.where(norm > 0, moved / norm.clamp_min(1e-30), self.row))
        rows.copy_(self.row)


class LeastSquares(Encoder):
    """f = argmin_{f >= 0} |x - b_dec - f W|^2 + l1 |f|_1, without gradient."""

    l1: Tensor
    iterations: Tensor

    def __init__(self, stack: Sizes, l1: NonNegative, iterations: Count) -> None:
        super().__init__()
        self.keep(l1=stack.real(l1), iterations=stack.tensor(iterations))

    def forward(self, x: Float[Tensor, "*b n d"], decoder: Decoder) -> Coded:
        kernels.must_be_plain("LeastSquares")
        evidence = product(x, decoder.rows.mT, decoder.centre)
        codes = best_codes(evidence.detach(), decoder.rows.detach(), l1=self.l1 / 2, iterations=self.iterations)
        return Coded(codes, evidence, x)

    def scaled(self) -> dict[str, Tensor] | None:
        return None if bool((self.l1 > 0).any()) else {}  # a fixed weight of |f|_1 would act otherwise


class Unrolled(Linear):
    """f <- soft(f + s (x - b_dec - f W_dec) W_enc, s theta), `steps` times from f = 0; theta learned, one a latent.

    Each step sends f down the gradient of |x - b_dec - f W_dec|^2 / 2 and through the proximal map of the L1 norm;
    s = step / L, L = lam_max(W_dec W_dec^T), which is tracked by power iteration.

    Source: Gregor and LeCun (2010), LISTA; Daubechies, Defrise, De Mol (2004), ISTA. Differs: encoder, decoder and
    thresholds are shared by all steps.
    """

    steps: Tensor
    step: Tensor
    signed: bool
    direction: Tensor
    largest: Tensor

    def __init__(self, stack: Sizes, theta: Real, steps: Count, step: Positive, *, signed: bool) -> None:
        super().__init__(stack)
        self.keep(steps=stack.tensor(steps), step=stack.real(step), signed=signed)
        self.nonnegative = False
        self.log_theta = nn.Parameter(stack.real(theta).log()[..., None].expand(*stack.shape, stack.m).clone())
        direction = stack.drawn("power", lambda rng: torch.randn(stack.d, generator=rng, dtype=torch.float32))
        self.register_buffer("direction", direction)
        self.register_buffer("largest", torch.ones(stack.shape))
        self._iterate(stack.rows, 30)

    @torch.no_grad()
    def _iterate(self, W: Tensor, times: int) -> None:
        """Power iteration on W_dec^T W_dec, and its largest eigenvalue so far."""
        v = self.direction[..., None]
        for _ in range(times):
            v = W.mT @ (W @ v)
            v = v / v.norm(dim=-2, keepdim=True).clamp_min(1e-30)
        self.direction.copy_(v.squeeze(-1))
        self.largest.copy_((W @ v).square().sum((-1, -2)))

    def forward(self, x: Float[Tensor, "*b n d"], decoder: Decoder) -> Coded:
        """The unrolled steps; members that take fewer keep what they have."""
        pre, W = centred(x, decoder), decoder.rows
        s = (self.step / self.largest)[..., None, None]
        threshold = s * self.log_theta.exp()[..., None, :]
        f = soft_threshold(s * (pre @ self.W_enc), threshold, nonnegative=not self.signed)
        for t in range(1, int(self.steps.max())):
            u = f + s * ((pre - f @ W) @ self.W_enc)
            after = soft_threshold(u, threshold, nonnegative=not self.signed)
            f = torch.where((t < self.steps)[..., None, None], after, f)
        return Coded(f, None, x)

    def rescale(self, factor: Float[Tensor, "*s m"], decoder: Decoder) -> None:
        """Thresholds grow with latents; weights and thresholds also take up the change of L that other rows bring."""
        before = self.largest.clone()
        super().rescale(factor, decoder)
        self._iterate(decoder.rows, 1000)
        share = (self.largest / before)[..., None]
        self.W_enc.mul_(share[..., None])
        self.log_theta.add_((factor.where(factor > 0, 1.0) * share).log())

    def after_step(self, out: Pass) -> None:
        """Follow L."""
        self._iterate(out.decoder.rows, 2)


# --- picks, one after another ---------------------------------------------------------------------------------------


_GRAM_NUMBERS = 1 << 26
"""largest stack of Gram matrices that is kept: 256 MB of float32"""


class Picking(Encoder):
    """k picks; `steps` at inference in their place where it is set."""

    nonnegative = False
    sparse = True
    inference = ("steps",)
    steps: int | None = None
    k: Tensor

    def __init__(self, stack: Sizes, k: Count) -> None:
        super().__init__()
        self.keep(k=stack.tensor(k))

    @property
    def picks(self) -> Tensor | int:
        """Steps to take now."""
        return self.k if self.steps is None or self.training else self.steps


class Pursuit(Picking):
    """k steps of matching pursuit on r = x - b_dec: best row w_j of W_dec for r, f_j += <w_j, r>, r -= <w_j, r> w_j.

    At inference correlations are updated by rows of W W^T, which is made once for the weights as they are: 1.3 to 2
    times faster at d 32 to 64, 4 to 6 at d 256 to 768.
    """

    select: Literal["abs", "relu", "max"]
    tol: Tensor
    stop_on_repeat: bool
    _gram: tuple[tuple[object, ...], Tensor] | None = None

    def __init__(
        self,
        stack: Sizes,
        k: Count,
        select: Literal["abs", "relu", "max"],
        tol: NonNegative = 0.0,
        *,
        stop_on_repeat: bool = False,
    ) -> None:
        super().__init__(stack, k)
        self.keep(tol=stack.real(tol), select=select, stop_on_repeat=stop_on_repeat)
        must_be_same(stack, "tol", self.tol)

    def path(self, x: Float[Tensor, "*b n d"], decoder: Decoder) -> pursuit.Path:
        """Picks, increments and residual of each row."""
        left, W = centred(x, decoder), decoder.rows
        gram = None if self.training or torch.is_grad_enabled() else self._kept_gram(left, W)
        return pursuit.matching_pursuit(
            left,
            W,
            self.picks,
            select=self.select,
            tol=float(self.tol.flatten()[0]),
            stop_on_repeat=self.stop_on_repeat,
            gram=gram,
        )

    def forward(self, x: Float[Tensor, "*b n d"], decoder: Decoder) -> Coded:
        """The increments, by latent."""
        return Coded(self.path(x, decoder).codes(decoder.rows.shape[-2]), None, x)

    def _kept_gram(self, x: Tensor, W: Tensor) -> Tensor | None:
        """W W^T of the weights as they are; None where it is too large, or costs more than it saves."""
        key, m = (W.data_ptr(), W._version, W.dtype, W.device), W.shape[-2]
        if self._gram is not None and self._gram[0] == key:
            return self._gram[1]
        if W.shape[:-1].numel() * m > _GRAM_NUMBERS or x.shape[-2] * int(self.k.min()) < m:
            return None
        self._gram = key, W @ W.mT
        return self._gram[1]


class OrthogonalPursuit(Picking):
    """k steps of OMP on x - b_dec; f = least squares on the picked rows, without gradient."""

    compares = True
    select: Literal["abs", "positive"]

    def __init__(self, stack: Sizes, k: LatentCount, select: Literal["abs", "positive"]) -> None:
        super().__init__(stack, k)
        self.keep(select=select)

    def forward(self, x: Float[Tensor, "*b n d"], decoder: Decoder) -> Coded:
        """Coefficients on the picked rows."""
        kernels.must_be_plain("OrthogonalPursuit")
        path = pursuit.orthogonal_matching_pursuit(centred(x, decoder), decoder.rows, self.picks, select=self.select)
        return Coded(path.codes(decoder.rows.shape[-2]), None, x)

    def scaled(self) -> dict[str, Tensor] | None:
        return {}


class Aligned(Affine):
    """f = selection((x - b_dec) E + b_enc), e_i = u_i + (1 - <u_i, w_i>) w_i / |w_i|^2, so that <e_i, w_i> = 1
    (e_i = u_i where w_i = 0).

    u is trained, and replaced by e after each step, which leaves e as it is: folders and other tools have e. With
    b_enc = 0 a lone latent returns what lies along its row unchanged: a w_i becomes f_i = a.

    Source: arXiv 2605.18629, aligned training, as reported by readers. Differs: which parametrisation the paper takes
    is not known; this one has as many numbers as an affine encoder.
    """

    def columns(self, decoder: Decoder) -> Float[Tensor, "*s d m"]:
        rows = decoder.rows.mT
        lacking, square = 1 - (self.W_enc * rows).sum(-2, keepdim=True), rows.square().sum(-2, keepdim=True)
        return self.W_enc + torch.where(square > 0, lacking, 0.0) / square.where(square > 0, 1.0) * rows

    @torch.no_grad()
    def settle(self, encoder: Encoder, decoder: Decoder) -> None:
        """Put e in the place of u."""
        if self.W_enc.requires_grad:
            self.W_enc.copy_(self.columns(decoder))


def onto_simplex(z: Float[Tensor, "*b m"]) -> Float[Tensor, "*b m"]:
    """max(z - tau, 0), tau such that the entries sum to 1: argmin_f |f - z|^2 over f >= 0 with sum f = 1.

    Source: Martins and Astudillo (2016), sparsemax; Held, Wolfe, Crowder (1974).
    """
    falling = z.sort(dim=-1, descending=True).values
    excess = falling.cumsum(-1) - 1
    count = torch.arange(1, z.shape[-1] + 1, device=z.device)
    support = (count * falling > excess).sum(-1, keepdim=True).clamp_min(1)
    return (z - excess.gather(-1, support - 1) / support).relu()


class Prototypes(Linear):
    """f = the projection of -lambda |x - b_dec - p_i|^2 onto the simplex; prototypes p_i are the columns of W_enc.

    |x - b_dec|^2 moves all entries alike and the projection not at all, so lambda (2 <x - b_dec, p_i> - |p_i|^2) is
    what is projected. These are no latents before a selection: there is no evidence. lambda > 0 is trained by its
    logarithm.

    Source: Hindupur, Lubana, Fel, Ba (2025), SpaDE, arXiv 2503.01822, and its reference code. Differs: the logarithm in
    place of an inverse softplus.
    """

    compares = True

    def __init__(self, stack: Sizes, start: NonNegative) -> None:
        super().__init__(stack)
        self.W_enc.data.mul_(stack.d**0.5)
        sharpness = stack.real(start)
        sharpness = torch.where(sharpness > 0, sharpness, 1 / (2 * stack.d))
        self.log_sharpness = nn.Parameter(sharpness.log()[..., None].clone())

    def forward(self, x: Float[Tensor, "*b n d"], decoder: Decoder) -> Coded:
        near = 2 * centred(x, decoder) @ self.W_enc - self.W_enc.square().sum(-2)[..., None, :]
        scores = self.log_sharpness.exp()[..., None] * near
        return Coded(onto_simplex(scores), None, x)

    def scaled(self) -> dict[str, Tensor] | None:
        """Nothing: latents sum to 1."""
        return None
