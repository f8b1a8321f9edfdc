"""What one pass over evaluation samples keeps of an SAE: sums from which every metric follows."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from synthetic.base.streams import stream, torch_defaults
from synthetic.source import Codes, GroundTruth, World, must_be_finite, rows_given
from workbench.metrics.matching import Geometry, match
from workbench.metrics.samples import Coefficients, Samples, first_samples, products_of
from workbench.ratios import ratio
from workbench.sae import SAE, Latents


@dataclass
class Evidence:
    """One SAE on n samples of a world: m latents, n_true features. "Its latent" is the one assigned to a feature."""

    truth: GroundTruth
    decoder: Float[Tensor, "m d"]
    """decoder rows in raw units of x, float64"""
    geometry: Geometry
    index: int
    """which member of the stack, in order"""
    others: dict[int, Float[Tensor, "m2 d"]]
    """decoders of the members that differ from this one in seed alone, by index"""
    agreement: dict[tuple[int, int], float]
    """MCC of pairs of members found so far; all members of a stack share this"""
    n: int
    fires: Float[Tensor, " m"]
    """samples in which each latent fires"""
    positive: Float[Tensor, " m"]
    """... with a value above 0"""
    peak: Float[Tensor, " m"]
    """largest |f| |row| of each latent"""
    targets: Float[Tensor, " m"] | None
    """firing rates that the SAE steers its latents to, or below; None where it does not"""
    products: Coefficients | None
    """members of products of features -> the coefficients (t, d) the decoder gives them; None for linear decoders"""
    first: Samples
    """the first samples, one by one"""
    hits_nearest: Float[Tensor, " m"]
    """samples in which each latent fires while its nearest feature is above 0"""
    hits: Float[Tensor, " n_true"]
    """samples in which a feature and its latent both fire"""
    hits_with_child: Float[Tensor, " n_true"]
    """samples in which a feature and the latent of its parent both fire"""
    true_fires: Float[Tensor, " n_true"]
    true_above: Float[Tensor, " n_true"]
    """samples in which a feature is above 0"""
    h_sum: Float[Tensor, " n_true"]
    h_square: Float[Tensor, " n_true"]
    f_sum: Float[Tensor, " n_true"]
    """sum over samples of its latent's contribution along the row, f |row| sign(cos)"""
    f_square: Float[Tensor, " n_true"]
    fh: Float[Tensor, " n_true"]
    x_square: float
    spread: float
    """sum of |x - mean x|^2"""
    residual: float
    """sum of |x - x_hat|^2"""
    ratio: float
    """sum of |x_hat| / |x| over samples with x other than 0"""
    ratio_count: int
    x_hat_square: float
    x_dot: float
    """sum of <x, x_hat>"""

    @property
    def matched_fires(self) -> Float[Tensor, " n_true"]:
        """Samples in which a feature's latent fires, 0 for unmatched features."""
        found = self.geometry.latent_of
        return torch.where(found >= 0, self.fires[found.clamp_min(0)], 0.0)

    @property
    def fvu(self) -> float:
        """sum |x - x_hat|^2 / sum |x - mean x|^2; NaN where x does not vary, as in a single sample."""
        return ratio(self.residual, self.spread)

    @property
    def live(self) -> Bool[Tensor, " m"]:
        """Latents that fired."""
        return self.fires > 0


_FEATURE_SUMS = ("hits", "hits_with_child", "f_sum", "f_square", "fh")


@torch_defaults()
@torch.no_grad()
def collect(sae: SAE, world: World, n: int, seed: int) -> list[Evidence]:
    """Evidence for each member of a stack, in order, from the same n samples of stream "evaluate"."""
    truth = world.truth
    device = sae.W_dec.device
    decoders = (sae.W_dec.detach().double().cpu() / float(sae.scale)).reshape(-1, sae.m, sae.d)
    biases = (sae.b_dec.detach().double().cpu() / float(sae.scale)).reshape(-1, sae.d)
    members = [_Counter(rows, truth) for rows in decoders]
    shared = _Truth(truth)
    was_training = sae.training
    sae.eval()
    chunk = max(64, min(1024, 2**24 // truth.n_true))  # of the world alone: samples must not depend on the stack
    dense = None
    for step, start in enumerate(range(0, n, chunk)):
        batch = world.sample(min(chunk, n - start), stream(seed, "evaluate", step, device))
        must_be_finite(rows_given(batch.x, min(chunk, n - start), sae.d))
        out = sae.trace(sae.own_units(batch.x))
        codes, x_hat = out.codes, (out.x_hat / sae.scale).reshape(len(members), *batch.x.shape)
        h = _entries(batch.h.indices, batch.h.values)
        if dense is None:
            dense = batch.h.dense()
        else:  # the cleared array of the batch before: at 16k features a fresh one costs as much as the sampling
            dense.scatter_add_(-1, batch.h.indices, batch.h.values)
        shared.add(batch.x, h)
        for i, member in enumerate(members):
            entries = _member_entries(codes, i)
            member.add(batch.x, x_hat[i], entries, h, dense)
            if not step:
                member.first = first_samples(batch.x, x_hat[i], entries, decoders[i], biases[i])
        dense.scatter_(-1, batch.h.indices, 0.0)
    sae.train(was_training)
    groups, agreement = _same_settings(sae), {}
    targets = getattr(sae, "targets", None)
    targets = None if targets is None else targets.double().cpu().reshape(-1, sae.m)
    found = []
    for i, member in enumerate(members):
        others = {j: decoders[j] for j in range(len(members)) if j != i and groups[j] == groups[i]}
        products = products_of(sae, i, member.geometry)
        found.append(member.finish(n, shared, i, others, agreement, None if targets is None else targets[i], products))
    return found


Entries = tuple[Int[Tensor, " _"], Int[Tensor, " _"], Float[Tensor, " _"]]
"""row, column and value of each nonzero"""


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


def _same_settings(sae: SAE) -> list[tuple[float | int, ...]]:
    """A key for each member: its settings without the seed."""
    varying = [getattr(sae, name).flatten().tolist() for name, v in sae.settings.items() if isinstance(v, list)]
    varying += [] if sae.rates is None else [sae.rates]
    members = int(torch.tensor(sae.shape).prod()) if sae.shape else 1
    return [tuple(values[i] for values in varying) for i in range(members)]


class _Truth:
    """Sums over samples that concern the world alone, float64."""

    def __init__(self, truth: GroundTruth) -> None:
        self.fires, self.above, self.h, self.h2 = torch.zeros(4, truth.n_true, dtype=torch.float64)
        self.x2 = self.off2 = 0.0
        self.origin: Tensor | None = None  # the first sample: sums about it are 0 where all samples are equal

    def add(self, x: Tensor, h: Entries) -> None:
        _, feature, value = h
        self.fires += _count(feature, len(self.fires))
        self.above += _count(feature[value > 0], len(self.fires))
        self.h += _count(feature, len(self.fires), value)
        self.h2 += _count(feature, len(self.fires), value**2)
        x = x.double()
        if self.origin is None:
            self.origin, self.off = x[0], torch.zeros_like(x[0])
        off = x - self.origin
        self.off += off.sum(0)
        self.off2 += float(off.square().sum())
        self.x2 += float(x.square().sum())

    def spread(self, n: int) -> float:
        """Sum of |x - mean x|^2 over the n samples."""
        return self.off2 - float(self.off.square().sum()) / n


class _Counter:
    """Sums over samples for one member, float64."""

    def __init__(self, decoder: Float[Tensor, "m d"], truth: GroundTruth) -> None:
        self.truth, self.decoder = truth, decoder
        self.geometry = match(decoder, truth.features)
        m, n_true = len(decoder), truth.n_true
        latent_of, cosine_of = self.geometry.latent_of, self.geometry.cosine_of
        found = latent_of >= 0
        self.feature_of = torch.full((m,), -1)
        self.feature_of[latent_of[found]] = found.nonzero().squeeze(1)
        self.strength = torch.zeros(m, dtype=torch.float64)
        self.strength[latent_of[found]] = decoder[latent_of[found]].norm(dim=1) * cosine_of[found].sign()
        self.has_parents = bool((truth.parents >= 0).any())
        self.fires, self.positive, self.hits_nearest, self.peak = torch.zeros(4, m, dtype=torch.float64)
        self.first: Samples
        self.length = decoder.norm(dim=1)
        self.sums = {name: torch.zeros(n_true, dtype=torch.float64) for name in _FEATURE_SUMS}
        self.residual = self.ratio = self.x_hat_square = self.x_dot = 0.0
        self.ratio_count = 0

    def add(self, x: Tensor, x_hat: Tensor, codes: Entries, h: Entries, dense: Tensor) -> None:
        rows, latent, value = codes
        device = rows.device
        m, n_true = len(self.fires), self.truth.n_true
        self.fires += _count(latent, m)
        self.positive += _count(latent[value > 0], m)
        peak = torch.zeros(m, dtype=torch.float64, device=device)
        peak.scatter_reduce_(0, latent, value.double().abs(), "amax")
        self.peak = torch.maximum(self.peak, peak.cpu() * self.length)
        nearest = dense[rows, self.geometry.nearest.to(device)[latent]]
        self.hits_nearest += _count(latent[nearest > 0], m)
        feature = self.feature_of.to(device)[latent]
        kept = feature >= 0
        rows, feature = rows[kept], feature[kept]
        estimate = value[kept].double() * self.strength.to(device)[latent[kept]]
        true = dense[rows, feature].double()
        self.sums["hits"] += _count(feature[true != 0], n_true)
        self.sums["f_sum"] += _count(feature, n_true, estimate)
        self.sums["f_square"] += _count(feature, n_true, estimate**2)
        self.sums["fh"] += _count(feature, n_true, estimate * true)
        if self.has_parents:
            firing = torch.zeros_like(dense, dtype=torch.bool)
            firing[rows, feature] = True
            true_rows, child, _ = h
            parent = self.truth.parents.to(device)[child]
            both = (parent >= 0) & firing[true_rows, parent.clamp_min(0)]
            self.sums["hits_with_child"] += _count(child[both], n_true)
        x, x_hat = x.double(), x_hat.double()
        self.residual += float((x - x_hat).square().sum())
        self.x_hat_square += float(x_hat.square().sum())
        self.x_dot += float((x * x_hat).sum())
        norm = x.norm(dim=1)
        valid = norm > 0
        self.ratio += float((x_hat.norm(dim=1)[valid] / norm[valid]).sum())
        self.ratio_count += int(valid.sum())

    def finish(
        self,
        n: int,
        shared: _Truth,
        index: int,
        others: dict[int, Tensor],
        agreement: dict[tuple[int, int], float],
        targets: Tensor | None,
        products: Coefficients | None,
    ) -> Evidence:
        return Evidence(
            truth=self.truth,
            decoder=self.decoder,
            geometry=self.geometry,
            index=index,
            others=others,
            agreement=agreement,
            n=n,
            fires=self.fires,
            positive=self.positive,
            peak=self.peak,
            products=products,
            first=self.first,
            targets=targets,
            hits_nearest=self.hits_nearest,
            true_fires=shared.fires,
            true_above=shared.above,
            h_sum=shared.h,
            h_square=shared.h2,
            x_square=shared.x2,
            spread=shared.spread(n),
            residual=self.residual,
            ratio=self.ratio,
            ratio_count=self.ratio_count,
            x_hat_square=self.x_hat_square,
            x_dot=self.x_dot,
            **self.sums,
        )


def _count(index: Tensor, size: int, weight: Tensor | None = None) -> Float[Tensor, " k"]:
    weight = None if weight is None else weight.double()
    return torch.bincount(index, weight, minlength=size).double().cpu()
