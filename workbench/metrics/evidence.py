"""What one pass over evaluation samples keeps of an SAE: sums from which every metric follows."""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from synthetic.base.errors import must
from synthetic.base.streams import stream, torch_defaults
from synthetic.rows import as_source
from synthetic.source import Codes, GroundTruth, Source, must_be_finite, pairs_given, rows_given
from workbench.metrics.codings import Coding, OwnEncoder
from workbench.metrics.matching import Geometry, match
from workbench.metrics.samples import Coefficients, Samples, first_samples
from workbench.parts.base import Latents
from workbench.ratios import ratio
from workbench.sae import SAE, must_fit

Entries = tuple[Int[Tensor, " _"], Int[Tensor, " _"], Float[Tensor, " _"]]
"""row, column and value of each nonzero"""


def _zeros(n: int) -> Tensor:
    return torch.zeros(n, dtype=torch.float64)


@dataclass
class Energy:
    """Sums over samples of activations and reconstructions."""

    x_square: float = 0.0
    spread: float = 0.0
    """sum of |x - mean x|^2"""
    residual: float = 0.0
    """sum of |x - x_hat|^2"""
    ratio: float = 0.0
    """sum of |x_hat| / |x| over samples with x other than 0"""
    ratio_count: int = 0
    x_hat_square: float = 0.0
    x_dot: float = 0.0
    """sum of <x, x_hat>"""

    def add(self, x: Tensor, x_hat: Tensor) -> None:
        """Count a batch; `x_square` and `spread` are the same for all members and come from `Inputs`."""
        x, x_hat = x.double(), x_hat.double()
        self.residual += float((x - x_hat).square().sum())
        self.x_hat_square += float(x_hat.square().sum())
        self.x_dot += float((x * x_hat).sum())
        norm = x.norm(dim=1)
        valid = norm > 0
        self.ratio += float((x_hat.norm(dim=1)[valid] / norm[valid]).sum())
        self.ratio_count += int(valid.sum())


@dataclass
class Inputs:
    """Sums over samples that concern the activations alone, or the targets that they are to give."""

    x_square: float = 0.0
    origin: Tensor | None = None
    """the first sample: sums about it are 0 where all samples are equal"""
    off: Tensor | float = 0.0
    off_square: float = 0.0

    def add(self, x: Tensor) -> None:
        """Count a batch."""
        x = x.double()
        if self.origin is None:
            self.origin, self.off = x[0], torch.zeros_like(x[0])
        off = x - self.origin
        self.off += off.sum(0)
        self.off_square += float(off.square().sum())
        self.x_square += float(x.square().sum())

    def spread(self, n: int) -> float:
        """Sum of |x - mean x|^2 over the n samples."""
        return self.off_square - float(torch.as_tensor(self.off).square().sum()) / n


@dataclass
class LatentSums:
    """Sums over samples, one for each of m latents."""

    fires: Float[Tensor, " m"]
    """samples in which it fires"""
    positive: Float[Tensor, " m"]
    """... with a value above 0"""
    peak: Float[Tensor, " m"]
    """largest |f| |row|"""

    def add(self, codes: Entries, length: Float[Tensor, " m"]) -> None:
        """Count a batch; `length` are the norms of decoder rows."""
        rows, latent, value = codes
        m = len(self.fires)
        self.fires += _count(latent, m)
        self.positive += _count(latent[value > 0], m)
        peak = torch.zeros(m, dtype=torch.float64, device=rows.device)
        peak.scatter_reduce_(0, latent, value.double().abs(), "amax")
        self.peak = torch.maximum(self.peak, peak.cpu() * length)


@dataclass
class CauseSums:
    """Sums over samples, one for each of n_true features; all members of a stack share them."""

    fires: Float[Tensor, " n_true"]
    above: Float[Tensor, " n_true"]
    """samples in which it is above 0"""
    h_sum: Float[Tensor, " n_true"]
    h_square: Float[Tensor, " n_true"]

    def add(self, h: Entries) -> None:
        """Count a batch."""
        _, feature, value = h
        n_true = len(self.fires)
        self.fires += _count(feature, n_true)
        self.above += _count(feature[value > 0], n_true)
        self.h_sum += _count(feature, n_true, value)
        self.h_square += _count(feature, n_true, value**2)


class FeatureSums:
    """A world's features against one member's latents. "Its latent" is the one assigned to a feature."""

    fires: Float[Tensor, " n_true"]
    """samples in which a feature fires; this and the next three are those of `CauseSums`"""
    above: Float[Tensor, " n_true"]
    h_sum: Float[Tensor, " n_true"]
    h_square: Float[Tensor, " n_true"]
    hits: Float[Tensor, " n_true"]
    """samples in which a feature and its latent both fire"""
    fires_with_parent: Float[Tensor, " n_true"]
    """samples in which a feature and its parent both fire"""
    hits_with_child: Float[Tensor, " n_true"]
    """... and the latent of its parent too"""
    f_sum: Float[Tensor, " n_true"]
    """sum over samples of its latent's contribution along the row, f |row| sign(cos)"""
    f_square: Float[Tensor, " n_true"]
    fh: Float[Tensor, " n_true"]
    hits_nearest: Float[Tensor, " m"]
    """samples in which each latent fires while its nearest feature is above 0"""

    def __init__(self, truth: GroundTruth, decoder: Float[Tensor, "m d"], causes: CauseSums) -> None:
        self.fires, self.above, self.h_sum, self.h_square = causes.fires, causes.above, causes.h_sum, causes.h_square
        self.truth, self.geometry = truth, match(decoder, truth.features)
        m, n_true = len(decoder), truth.n_true
        latent_of, cosine_of = self.geometry.latent_of, self.geometry.cosine_of
        matched = latent_of >= 0
        self.feature_of = torch.full((m,), -1)
        self.feature_of[latent_of[matched]] = matched.nonzero().squeeze(1)
        self.strength = _zeros(m)
        self.strength[latent_of[matched]] = decoder[latent_of[matched]].norm(dim=1) * cosine_of[matched].sign()
        self.has_parents = bool((truth.parents >= 0).any())
        self.hits, self.fires_with_parent, self.hits_with_child = (_zeros(n_true) for _ in range(3))
        self.f_sum, self.f_square, self.fh = (_zeros(n_true) for _ in range(3))
        self.hits_nearest = _zeros(m)

    def add(self, codes: Entries, h: Entries, dense: Tensor) -> None:
        """Count a batch: one member's codes, the true coefficients, and these once more as a dense array."""
        rows, latent, value = codes
        device, n_true = rows.device, self.truth.n_true
        nearest = dense[rows, self.geometry.nearest.to(device)[latent]]
        self.hits_nearest += _count(latent[nearest > 0], len(self.hits_nearest))
        feature = self.feature_of.to(device)[latent]
        kept = feature >= 0
        rows, feature = rows[kept], feature[kept]
        estimate = value[kept].double() * self.strength.to(device)[latent[kept]]
        true = dense[rows, feature].double()
        self.hits += _count(feature[true != 0], n_true)
        self.f_sum += _count(feature, n_true, estimate)
        self.f_square += _count(feature, n_true, estimate**2)
        self.fh += _count(feature, n_true, estimate * true)
        if self.has_parents:
            firing = torch.zeros_like(dense, dtype=torch.bool)
            firing[rows, feature] = True
            true_rows, child, _ = h
            parent = self.truth.parents.to(device)[child]
            both = (parent >= 0) & (dense[true_rows, parent.clamp_min(0)] != 0)
            self.fires_with_parent += _count(child[both], n_true)
            self.hits_with_child += _count(child[both & firing[true_rows, parent.clamp_min(0)]], n_true)


@dataclass
class Evidence:
    """One member of a stack on n samples: m latents and, on a world, n_true features."""

    decoder: Float[Tensor, "m d"]
    """decoder rows in raw units of x, float64"""
    index: int
    """which member of the stack, in order"""
    n: int
    others: dict[int, Float[Tensor, "m2 d"]]
    """decoders of the members that differ from this one in seed alone, by index"""
    agreement: dict[tuple[int, int], float]
    """MCC of pairs of members found so far; all members of a stack share this"""
    latents: LatentSums
    on_world: FeatureSums | None
    """None for activations of unknown causes"""
    energy: Energy = field(default_factory=Energy)
    first: Samples = field(init=False)
    """the first samples, one by one"""
    targets: Float[Tensor, " m"] | None = None
    """firing rates that the SAE steers its latents to, or below; None where it does not"""
    products: Coefficients | None = None
    """members of products of features -> the coefficients (t, d) the decoder gives them; None for linear decoders"""

    @property
    def features(self) -> FeatureSums:
        """What is counted of the world's features.

        Raises:
            ValueError: the causes of these activations are not known.
        """
        if self.on_world is None:
            must(False, "evidence.features", "counted on a world", "activations of unknown causes", "ask `on_world`")
            raise AssertionError
        return self.on_world

    @property
    def truth(self) -> GroundTruth:
        """The world's."""
        return self.features.truth

    @property
    def geometry(self) -> Geometry:
        """Decoder rows against true directions."""
        return self.features.geometry

    @property
    def fires(self) -> Float[Tensor, " m"]:
        """Samples in which each latent fires."""
        return self.latents.fires

    @property
    def live(self) -> Bool[Tensor, " m"]:
        """Latents that fired."""
        return self.fires > 0

    @property
    def matched_fires(self) -> Float[Tensor, " n_true"]:
        """Samples in which a feature's latent fires, 0 for unmatched features."""
        latent_of = self.geometry.latent_of
        return torch.where(latent_of >= 0, self.fires[latent_of.clamp_min(0)], 0.0)

    @property
    def fvu(self) -> float:
        """sum |x - x_hat|^2 / sum |x - mean x|^2; NaN where x does not vary, as in a single sample."""
        return ratio(self.energy.residual, self.energy.spread)

    @property
    def l0(self) -> float:
        """Mean number of latents that fire in a sample."""
        return float(self.fires.sum()) / self.n

    @property
    def dead(self) -> float:
        """Share of latents that never fire."""
        return float((~self.live).double().mean())


Watch = Callable[[Evidence, Entries, Tensor], None]
"""takes a member, its nonzero codes of a batch, and the true coefficients (b, n_true)"""


def known_world(where: str, x: Any, sae: SAE | None = None) -> Any:
    """A world, or the one of a name, whose features are known; refuses other sources, and those an SAE does not fit."""
    world = as_source(x)
    must(truth_of(world) is not None, where, "a world whose features are known", type(world).__name__, "pass one")
    if sae is not None:
        must_fit(where, world, sae)
    return world


def truth_of(source: Source | Tensor) -> GroundTruth | None:
    """What is known of the causes of a source's activations; None where nothing is."""
    missing = inspect.getattr_static(source, "truth", None) is None
    return None if missing else source.truth  # type: ignore[union-attr]


@torch_defaults()
@torch.no_grad()
def collect(
    sae: SAE | Coding, source: Source | Float[Tensor, "n d"], n: int, seed: int, watch: Watch | None = None
) -> list[Evidence]:
    """Evidence for each member of a stack, in order, from the same n samples of stream "evaluate".

    Args:
        sae: an SAE or a stack, or rows with an inference.
        source: a world, a store or another source; or activations themselves, each of which counts once.
        n: samples drawn from a source.
        seed: of the stream.
        watch: called for each member with each batch of a world, to count what `Evidence` does not.
    """
    coding = OwnEncoder(sae) if isinstance(sae, SAE) else sae
    n = len(source) if isinstance(source, Tensor) else n
    truth = truth_of(source)
    causes = None if truth is None else CauseSums(*(_zeros(truth.n_true) for _ in range(4)))
    members = _members(coding, truth, causes, n)
    inputs, lengths = Inputs(), [own.decoder.norm(dim=1) for own in members]
    dense, training = None, coding.evaluating(True)
    chunk = 1024 if truth is None else max(64, min(1024, 2**24 // truth.n_true))  # samples must not depend on the stack
    for step, (x, y, codes_of_h) in enumerate(_batches(source, n, seed, coding, chunk, truth is not None)):
        codes, x_hat = coding.code(x)
        inputs.add(y)
        h = None
        if causes is not None and codes_of_h is not None:
            h = _entries(codes_of_h.indices, codes_of_h.values)
            causes.add(h)
            if dense is None:
                dense = codes_of_h.dense()
            else:  # the cleared array of the batch before: at 16k features a fresh one costs as much as the sampling
                dense.scatter_add_(-1, codes_of_h.indices, codes_of_h.values)
        for i, member in enumerate(members):
            entries = _member_entries(codes, i)
            member.latents.add(entries, lengths[i])
            member.energy.add(y, x_hat[i])
            if h is not None and dense is not None:
                member.features.add(entries, h, dense)
                if watch is not None:
                    watch(member, entries, dense[: len(x)])
            if not step:
                member.first = first_samples(y, x_hat[i], entries, member.decoder, coding.bias[i])
        if dense is not None and codes_of_h is not None:
            dense.scatter_(-1, codes_of_h.indices, 0.0)
    coding.evaluating(not training)
    for member in members:
        member.energy.x_square, member.energy.spread = inputs.x_square, inputs.spread(n)
    return members


def _members(coding: Coding, truth: GroundTruth | None, causes: CauseSums | None, n: int) -> list[Evidence]:
    """Each member with nothing counted yet."""
    groups, agreement = coding.groups(), {}
    members = []
    for i, decoder in enumerate(coding.rows):
        others = {j: rows for j, rows in enumerate(coding.rows) if j != i and groups[j] == groups[i]}
        known = None if truth is None or causes is None else FeatureSums(truth, decoder, causes)
        latents = LatentSums(*(_zeros(coding.m) for _ in range(3)))
        member = Evidence(decoder, i, n, others, agreement, latents, known)
        member.targets = None if coding.targets is None else coding.targets[i]
        member.products = None if known is None else coding.products(i, known.geometry)
        members.append(member)
    return members


def _batches(
    source: Source | Tensor, n: int, seed: int, coding: Coding, chunk: int, known: bool
) -> Iterator[tuple[Float[Tensor, "b d"], Float[Tensor, "b d_out"], Codes | None]]:
    """Activations and what they are to give, a chunk at a time, and what caused them where that is known."""
    for step, start in enumerate(range(0, n, chunk)):
        size = min(chunk, n - start)
        if isinstance(source, Tensor):
            x, h = rows_given(source[start : start + size].to(coding.device), size, source.shape[-1]), None
            y = x
        else:
            batch = source.sample(size, stream(seed, "evaluate", step, coding.device))
            (x, y), h = pairs_given(batch, size, source), batch.h if known else None
            must_be_finite(y, "world.x" if y is x else "world.y")
        must_be_finite(x)
        yield x, y, h


def _entries(indices: Tensor, values: Tensor) -> Entries:
    rows, slots = values.nonzero(as_tuple=True)
    return rows, indices[rows, slots], values[rows, slots]


def _member_entries(codes: Latents, i: int) -> Entries:
    if isinstance(codes, Codes):
        return (
            _entries(codes.indices.flatten(0, -3)[i], codes.values.flatten(0, -3)[i])
            if codes.values.ndim > 2
            else (_entries(codes.indices, codes.values))
        )
    dense = codes.reshape(-1, *codes.shape[-2:])[i]
    rows, columns = dense.nonzero(as_tuple=True)
    return rows, columns, dense[rows, columns]


def _count(index: Tensor, size: int, weight: Tensor | None = None) -> Float[Tensor, " k"]:
    weight = None if weight is None else weight.double()
    return torch.bincount(index, weight, minlength=size).double().cpu()
